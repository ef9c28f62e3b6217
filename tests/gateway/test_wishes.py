"""The body's `models` and `provider`: what is read, and with which words what is wrong is refused."""

import msgspec
import pytest
from plan_scene import chat

from deeptoken.errors import BadRequest
from deeptoken.gateway.wishes import MODELS_MAX, NAMES_MAX, NO_WISHES, Wishes, read
from deeptoken.money import PicoUsd
from deeptoken.wire.chat import read as read_chat


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"usage": {"include": True}, "max_cost_usd": 1},
        {"models": []},
        {"models": None, "provider": None},
        {"provider": {}},
        {"provider": {"order": [], "only": None, "ignore": [], "sort": None, "max_price": {"prompt": None}}},
        {"provider": {"allow_fallbacks": True, "require_parameters": False, "max_price": {}}},
        {"provider": {"data_collection": "allow", "zdr": False, "quantizations": []}},
    ],
)
def test_who_wishes_nothing_has_no_wishes(fields: dict[str, object]) -> None:
    assert read(chat(**fields)) is NO_WISHES


def test_all_wishes_are_read() -> None:
    provider = {
        "order": ["OpenAI", "azure", "openai"],
        "only": ["OpenAI", "Azure"],
        "ignore": ["Groq"],
        "allow_fallbacks": False,
        "sort": "latency",
        "max_price": {"prompt": 0.15, "completion": "2"},
    }

    wishes = read(chat("Hello!", models=["a", "b:nitro"], provider=provider))

    assert wishes == Wishes(
        models=("a", "b:nitro"),
        order=("openai", "azure"),
        only=frozenset(("openai", "azure")),
        ignore=frozenset(("groq",)),
        allow_fallbacks=False,
        sort="latency",
        prompt_max=PicoUsd(150_000),
        completion_max=PicoUsd(2_000_000),
        tokens=wishes.tokens,
    )
    assert wishes.tokens > len("Hello!")


def test_required_parameters_are_those_that_not_everybody_understands() -> None:
    fields: dict[str, object] = {
        "temperature": 1,
        "seed": None,
        "max_tokens": 9,
        "stream": True,
        "user": "u",
        "logit_bias": {},
    }

    alone = read(chat(n=1, provider={"require_parameters": True}, **fields))
    several = read(chat(n=2, provider={"require_parameters": True}, **fields))

    assert alone.parameters == {"temperature", "logit_bias"}
    assert several.parameters == {"temperature", "logit_bias", "n"}


@pytest.mark.parametrize(
    ("written", "pico"),
    [
        ("0.15", 150_000),
        ("0.3", 300_000),
        ("1e-6", 1),
        ("0.0000019", 1),
        ("0", 0),
        ('"0.30"', 300_000),
        ("0.1000000000000000055", 100_000),
        ("1000000", 10**12),
    ],
)
def test_a_price_is_read_as_it_is_written_and_never_becomes_higher(written: str, pico: int) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}],"provider":{"max_price":{"prompt":%s}}}'

    assert read(read_chat(body % written.encode())).prompt_max == pico


WRONG = [
    ({"models": "a"}, "models", "expected a list of model ids"),
    ({"models": {}}, "models", "expected a list of model ids"),
    ({"models": ["a", 1]}, "models[1]", "expected a model id of at most 256 characters"),
    ({"models": [""]}, "models[0]", "expected a model id"),
    ({"models": ["x" * 257]}, "models[0]", "expected a model id"),
    ({"models": ["x"] * (MODELS_MAX + 1)}, "models", "expected at most 16 ids"),
    ({"provider": "openai"}, "provider", "expected an object"),
    ({"provider": ["openai"]}, "provider", "expected an object"),
    ({"provider": {"onyl": ["x"]}}, "provider.onyl", "there is no such preference; did you mean only?"),
    ({"provider": {"zzz": 1}}, "provider.zzz", "known are order, only, ignore"),
    ({"provider": {"only": "openai"}}, "provider.only", "expected a list of at most 100 names"),
    ({"provider": {"order": ["a"] * (NAMES_MAX + 1)}}, "provider.order", "expected a list of at most 100"),
    ({"provider": {"order": ["a", 7]}}, "provider.order[1]", "expected the name of a provider or a channel"),
    ({"provider": {"ignore": [""]}}, "provider.ignore[0]", "expected the name of a provider or a channel"),
    ({"provider": {"allow_fallbacks": "no"}}, "provider.allow_fallbacks", "expected true or false"),
    ({"provider": {"require_parameters": 1}}, "provider.require_parameters", "expected true or false"),
    ({"provider": {"sort": "speed"}}, "provider.sort", "expected one of price, throughput, latency"),
    ({"provider": {"sort": {"by": "price"}}}, "provider.sort", "expected one of price"),
    ({"provider": {"max_price": 1}}, "provider.max_price", "expected an object with prompt and completion"),
    ({"provider": {"max_price": {"image": 1}}}, "provider.max_price.image", "expected prompt or completion"),
    ({"provider": {"max_price": {"prompt": -1}}}, "provider.max_price.prompt", "expected a number of USD"),
    ({"provider": {"max_price": {"prompt": True}}}, "provider.max_price.prompt", "expected a number of USD"),
    ({"provider": {"max_price": {"prompt": "NaN"}}}, "provider.max_price.prompt", "expected a number of USD"),
    ({"provider": {"max_price": {"prompt": "1e9999"}}}, "provider.max_price.prompt", "expected a number"),
    ({"provider": {"max_price": {"prompt": 10**40}}}, "provider.max_price.prompt", "expected a number"),
    ({"provider": {"max_price": {"completion": []}}}, "provider.max_price.completion", "expected a number"),
    (
        {"provider": {"data_collection": "deny"}},
        "provider.data_collection",
        "cannot be kept, what a provider",
    ),
    ({"provider": {"zdr": True}}, "provider.zdr", "what a provider keeps is not known here. Leave it out."),
    ({"provider": {"quantizations": ["fp8"]}}, "provider.quantizations", "cannot be kept"),
    ({"provider": {"enforce_distillable_text": True}}, "provider.enforce_distillable_text", "licence"),
    ({"provider": {"preferred_min_throughput": 50}}, "provider.preferred_min_throughput", "use sort"),
]


@pytest.mark.parametrize(("fields", "param", "words"), WRONG, ids=[param for _, param, _ in WRONG])
def test_a_wish_that_is_none_is_refused_by_its_name(
    fields: dict[str, object], param: str, words: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        read(chat(**fields))

    assert refused.value.param == param
    assert str(refused.value).startswith(f"{param}: ")
    assert words in str(refused.value)


def test_wishes_go_to_no_provider() -> None:
    said = chat(models=["a"], provider={"only": ["x"]})

    assert not {"models", "provider"} & (said.fields.keys() | said.extra.keys())
    assert msgspec.json.decode(said.ours["models"]) == ["a"]
