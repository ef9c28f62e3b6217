"""Who meets needs and wishes; what nobody meets is named."""

import pytest
from plan_scene import CHEAP, RATES, channel, chat, found, model, names, planned

from deeptoken.catalog.model import Rates, Tier
from deeptoken.errors import BadRequest
from deeptoken.money import PicoUsd

OPENAI = channel("o1", provider="openai", label="OpenAI", priority=3)
SECOND = channel("o2", provider="openai", label="Second", priority=2)
AZURE = channel("a1", provider="azure", label="Azure EU", priority=1)
CLAUDE = channel("c1", provider="anthropic", label="Claude")
ALL = (OPENAI, SECOND, AZURE, CLAUDE)
TOOLS = {"tools": [{"type": "function", "function": {"name": "f"}}]}
IMAGE = {"type": "image_url", "image_url": {"url": "https://a.test/b.png"}}


@pytest.mark.parametrize(
    ("provider", "left"),
    [
        ({"only": ["openai"]}, ["o1", "o2"]),
        ({"only": ["AZURE EU", "c1"]}, ["a1", "c1"]),
        ({"only": ["nowhere", "Second"]}, ["o2"]),
        ({"ignore": ["OpenAI"]}, ["a1", "c1"]),
        ({"ignore": ["O2", "claude", "nowhere"]}, ["o1", "a1"]),
        ({"only": ["openai", "azure"], "ignore": ["second"]}, ["o1", "a1"]),
        ({"order": ["claude", "nowhere", "azure"]}, ["c1", "a1", "o1", "o2"]),
        ({"order": ["azure", "openai"]}, ["a1", "o1", "o2", "c1"]),
        ({"order": ["azure", "second"], "allow_fallbacks": False}, ["a1", "o2"]),
        ({"order": ["second", "azure"], "ignore": ["azure"], "allow_fallbacks": False}, ["o2"]),
        ({"allow_fallbacks": False}, ["o1"]),
        ({"only": ["azure", "anthropic"], "allow_fallbacks": False}, ["a1"]),
        ({"require_parameters": True}, ["o1", "o2", "a1"]),
        ({"max_price": {"prompt": 0.15, "completion": 0.6}}, ["o1", "o2", "a1", "c1"]),
    ],
)
def test_what_is_wished_of_channels_is_met(provider: dict[str, object], left: list[str]) -> None:
    assert names(planned(found(*ALL), said=chat(seed=1, provider=provider))) == left


UNMET = [
    (
        {"provider": {"only": ["nowhere"]}},
        "provider.only",
        "which is served by Azure EU, Claude, OpenAI, Second",
    ),
    ({"provider": {"ignore": ["openai", "azure", "claude"]}}, "provider.ignore", "leaves no channel of 'm'"),
    ({"provider": {"only": ["claude"], "ignore": ["c1"]}}, "provider.ignore", "which is served by Claude"),
    ({"provider": {"order": ["x"], "allow_fallbacks": False}}, "provider.order", "leaves no channel of 'm'"),
    (
        {
            "provider": {"only": ["claude"], "require_parameters": True},
            "seed": 1,
            "top_k": 2,
            "logit_bias": {},
        },
        "provider.only",
        "which is served by Azure EU, OpenAI, Second",
    ),
    (
        {"provider": {"max_price": {"prompt": 0.149999}}},
        "provider.max_price",
        "'m' costs $0.15 per 1M prompt tokens, $0.6 per 1M completion tokens",
    ),
    ({"provider": {"max_price": {"completion": 0.59}}}, "provider.max_price", "'m' costs $0.15"),
]


@pytest.mark.parametrize(("fields", "param", "words"), UNMET)
def test_a_wish_that_no_channel_meets_is_named(fields: dict[str, object], param: str, words: str) -> None:
    with pytest.raises(BadRequest) as refused:
        planned(found(*ALL), said=chat(**fields))

    assert refused.value.param == param
    assert words in str(refused.value)


def test_parameters_that_would_get_lost_everywhere_are_named() -> None:
    said = chat(seed=1, top_k=2, logit_bias={}, provider={"require_parameters": True})

    with pytest.raises(
        BadRequest, match="with every channel of 'm' logit_bias, seed would get lost"
    ) as refused:
        planned(found(CLAUDE), said=said)

    assert refused.value.param == "provider.require_parameters"


def test_a_parameter_that_gets_lost_with_some_alone_is_not_blamed() -> None:
    said = chat(seed=1, temperature=0.5, provider={"require_parameters": True})

    with pytest.raises(BadRequest, match="with every channel of 'm' temperature would get lost"):
        planned(found(*ALL, at=model(capabilities={"temperature": False})), said=said)


@pytest.mark.parametrize(
    ("capability", "fields", "param"),
    [
        ("tools", TOOLS, "tools"),
        ("vision", {"messages": [{"role": "user", "content": [IMAGE]}]}, "messages[0].content"),
        ("json_schema", {"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format"),
    ],
)
def test_a_need_that_the_model_does_not_meet_is_named(
    capability: str, fields: dict[str, object], param: str
) -> None:
    with pytest.raises(BadRequest, match="'m' does not") as refused:
        planned(found(*ALL, at=model(capabilities={capability: False})), said=chat(**fields))

    assert refused.value.param == param


def test_a_prompt_that_no_context_holds_is_named() -> None:
    with pytest.raises(
        BadRequest, match="'m' holds 1,000 tokens, and the prompt has 1,250 at least"
    ) as refused:
        planned(found(*ALL, at=model(context=1_000)), said=chat("word " * 5_001))

    assert refused.value.param == "messages"


def test_a_fallback_serves_what_the_model_cannot() -> None:
    small = found(*ALL, at=model("small", context=1_000, capabilities={"tools": False}))
    large = found(AZURE, at=model("large", context=100_000))

    for said in (chat("word " * 5_001), chat(**TOOLS)):
        assert [choice.candidate.model.id for choice in planned(small, large, said=said).choices] == ["large"]


def test_when_no_model_can_the_first_one_s_reason_is_told() -> None:
    blind, dear = model("one", capabilities={"tools": False}), model("two")
    said = chat(**TOOLS, provider={"max_price": {"prompt": 0}})

    with pytest.raises(BadRequest) as refused:
        planned(found(*ALL, at=blind), found(*ALL, at=dear), said=said)

    assert refused.value.param == "tools"


@pytest.mark.parametrize(("ratio_ppm", "served"), [(1_000_000, True), (1_000_001, False), (500_000, True)])
def test_a_highest_price_is_held_against_what_the_caller_s_group_pays(ratio_ppm: int, served: bool) -> None:
    said = chat(provider={"max_price": {"prompt": 0.15}})

    if served:
        assert len(planned(found(*ALL), said=said, ratio_ppm=ratio_ppm).choices) == 4
        return
    with pytest.raises(BadRequest, match=r"provider\.max_price"):
        planned(found(*ALL), said=said, ratio_ppm=ratio_ppm)


@pytest.mark.parametrize(("above", "served"), [(100, False), (100_000, True)])
def test_a_highest_price_holds_in_the_tiers_that_the_prompt_can_reach(above: int, served: bool) -> None:
    dear = Tier(above, Rates(prompt=PicoUsd(300_000), completion=PicoUsd(600_000)))
    said = chat("word " * 100, provider={"max_price": {"prompt": 0.2}})
    tiered = found(*ALL, at=model(rates=RATES, tiers=(dear,)))

    if served:
        assert planned(tiered, said=said).choices
        return
    with pytest.raises(BadRequest, match=r"'m' costs \$0\.3 per"):
        planned(tiered, said=said)


def test_a_fallback_that_is_cheap_enough_is_taken() -> None:
    said = chat(provider={"max_price": {"prompt": 0.1}})

    plan = planned(found(*ALL), found(AZURE, at=model("cheap", rates=CHEAP)), said=said)

    assert [choice.candidate.model.id for choice in plan.choices] == ["cheap"]
