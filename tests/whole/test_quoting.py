"""A quote asks nobody, holds nothing and counts against no limit; and the call itself does as it says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from provider_scene import (
    Provider,
    Scene,
    both,
    channel,
    chunk,
    lasting,
    nothing_is_held,
    row_of,
    says,
    says_and_waits,
    stream_head,
)

from deeptoken import ids
from upstreams import answer
from whole_scene import Reply, chat

LITTLE, TINY, RATED, BOUND, NARROW, MANAGER, REGULAR = (ids.new_secret() for _ in range(7))
KEYS = f"""
[[users]]
name = "little"
grant_usd = 0.0001
[[users]]
name = "tiny"
grant_usd = 0.000001
[[users]]
name = "regular"
grant_usd = 10
[[keys]]
name = "little"
owner = "little"
secret = "{LITTLE}"
[[keys]]
name = "tiny"
owner = "tiny"
secret = "{TINY}"
[[keys]]
name = "regular"
owner = "regular"
secret = "{REGULAR}"
[[keys]]
name = "rated"
owner = "ops"
secret = "{RATED}"
rpm = 1
tpm = 100000
concurrency = 1
[[keys]]
name = "bound"
owner = "ops"
secret = "{BOUND}"
ceilings = {{ "5h" = 0.0001, "1d" = 1.0 }}
[[keys]]
name = "narrow"
owner = "ops"
secret = "{NARROW}"
models = ["m/other"]
[[keys]]
name = "manager"
owner = "ops"
secret = "{MANAGER}"
scope = "manage"
"""
DEAR = """
[[models]]
id = "m/dear"
prompt = 10
completion = 20
"""
QUOTE = "/v1/quote"


def configuration(provider: Provider) -> str:
    provider.scripts |= {
        "up": both("fine"),
        "spare": both("spare"),
        "busy": says_and_waits(stream_head() + chunk("begun", role=True)),
        "dear": both("dear"),
        "down": says(answer(b"no key of mine", "Content-Type: text/plain", status="401 Unauthorized")),
    }
    labelled = {"label": '"Our label"'}
    return (
        channel(provider, "up", priority="2", **labelled)
        + channel(provider, "spare", "up", priority="1", **labelled)
        + channel(provider, "busy", max_concurrency="1", label='"Busy"', priority="9")
        + channel(provider, "spare", "busy", name='"spare-2"', label='"Spare"')
        + channel(provider, "spare", "twin", name='"twin-1"', label='"One"')
        + channel(provider, "spare", "twin", name='"twin-2"', label='"Two"')
        + channel(provider, "dear")
        + channel(provider, "down", **labelled)
        + DEAR
        + KEYS
    )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with lasting(tmp_path_factory.mktemp("quote"), configuration) as scene:
        yield scene


def ask(scene: Scene, body: Any, path: str = QUOTE, key: str = "", **options: str) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return scene.run(lambda: scene.gateway.ask(raw, path=path, **headers, **options))


def quoted(scene: Scene, body: dict[str, Any], key: str = "") -> dict[str, Any]:
    reply = ask(scene, body, key=key)
    assert reply.status == 200, reply.body
    told: dict[str, Any] = reply.json
    return told


def called(scene: Scene, body: dict[str, Any], key: str = "") -> Reply:
    return ask(scene, body, path="/v1/chat/completions", key=key)


def effects(told: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["effect"] for one in told["limits"]}


def test_a_quote_tells_who_would_be_asked_and_asks_nobody(scene: Scene) -> None:
    before = {name: len(requests) for name, requests in scene.provider.requests.items()}
    rows = len(scene.gateway.rows())

    reply = ask(scene, chat("hello", model="m/up", max_tokens=100))

    told = reply.json
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.headers["x-deeptoken-id"]
    assert (told["object"], told["model"], told["left_out"]) == ("quote", "m/up", [])
    assert [(one["channel"], one["provider"], one["reason"]) for one in told["candidates"]] == [
        ("Our label", "openai", "priority 2"),
        ("Our label", "openai", "priority 1"),
    ]
    assert told["candidates"][0]["prices"]["prompt"] == "1"
    assert told["candidates"][0]["prices"]["ratios"]["completion_ratio"] == "2"
    prompt = told["prompt_tokens"]
    assert told["cost"] == {"minimum": prompt + 2, "expected": prompt + 200, "maximum": prompt + 200}
    assert {name: len(requests) for name, requests in scene.provider.requests.items()} == before
    assert len(scene.gateway.rows()) == rows
    assert scene.run(lambda: nothing_is_held(scene.gateway))["held"] == 0


def test_a_streamed_call_is_quoted_like_another_and_the_quote_is_no_stream(scene: Scene) -> None:
    reply = ask(scene, chat("hello", model="m/up", stream=True, max_tokens=9))

    assert reply.headers["content-type"] == "application/json"
    assert reply.json["max_completion_tokens"] == 9


def test_quotes_use_up_no_limit_and_the_call_after_them_does(scene: Scene) -> None:
    body = chat("hello", model="m/up", max_tokens=10)

    quotes = [quoted(scene, body, RATED) for _ in range(3)]
    reply = called(scene, body, RATED)
    after = quoted(scene, body, RATED)

    assert [effects(one) for one in quotes] == [
        {"wallet": "none", "rpm": "none", "tpm": "none", "concurrency": "none"}
    ] * 3
    assert reply.status == 200
    rpm = next(one for one in after["limits"] if one["name"] == "rpm")
    assert (rpm["left"], rpm["effect"], rpm["code"]) == (0, "refuses", "rate_limit_exceeded")
    refused = called(scene, body, RATED)
    assert (refused.status, refused.error["code"]) == (429, rpm["code"])
    assert abs(int(refused.headers["retry-after"]) - rpm["retry_after"]) <= 5


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("key", "more", "name"),
    [
        (LITTLE, {}, "wallet"),
        (BOUND, {}, "5h"),
        ("", {"max_cost_usd": 0.0001}, "max_cost_usd"),
        (LITTLE, {"max_cost_usd": 0.00005}, "max_cost_usd"),
    ],
    ids=["wallet", "ceiling", "cap", "cap-and-wallet"],
)
def test_what_clamps_a_quote_clamps_the_call_to_as_many_tokens(
    key: str, more: dict[str, Any], name: str, stream: bool, scene: Scene
) -> None:
    body = chat("hello there", model="m/up", max_tokens=5_000, stream=stream, **more)

    told = quoted(scene, body, key)
    reply = called(scene, body, key)

    assert reply.status == 200
    assert effects(told)[name] == "clamps"
    assert reply.headers["x-deeptoken-max-tokens"] == str(told["max_completion_tokens"])
    row = scene.run(lambda: row_of(scene.gateway, reply.headers["x-deeptoken-id"]))
    assert row.charged <= told["cost"]["maximum"] * 1_000


@pytest.mark.parametrize(
    ("key", "more", "name", "status"),
    [
        (TINY, {}, "wallet", 402),
        ("", {"max_cost_usd": 0.000001}, "max_cost_usd", 400),
    ],
    ids=["wallet", "cap"],
)
def test_what_a_quote_says_is_refused_is(
    key: str, more: dict[str, Any], name: str, status: int, scene: Scene
) -> None:
    body = chat("hello", model="m/up", **more)

    told = quoted(scene, body, key)
    refused = called(scene, body, key)

    (limit,) = [one for one in told["limits"] if one["effect"] == "refuses"]
    assert (limit["name"], limit["code"]) == (name, refused.error["code"])
    assert refused.status == status
    assert told["cost"]["minimum"] > 1


def test_what_is_expected_is_what_the_last_calls_of_this_wallet_came_to(scene: Scene) -> None:
    body = chat("hello", model="m/up", max_tokens=4_000)

    before = quoted(scene, body, REGULAR)
    for _ in range(5):
        assert called(scene, body, REGULAR).status == 200
    after = quoted(scene, body, REGULAR)

    prompt = before["prompt_tokens"]
    assert before["cost"]["expected"] == prompt + 2 * 512
    assert after["cost"]["expected"] == prompt + 2 * 2
    assert after["cost"]["maximum"] == before["cost"]["maximum"]


def test_fallback_models_are_candidates_and_the_dearest_makes_the_maximum(scene: Scene) -> None:
    told = quoted(scene, chat("hello", model="m/up", models=["m/dear"], max_tokens=100))

    assert [one["model"] for one in told["candidates"]] == ["m/up", "m/up", "m/dear"]
    assert told["cost"]["maximum"] == 10 * told["prompt_tokens"] + 20 * 100


def test_a_channel_that_is_out_is_left_out_with_words_for_callers(scene: Scene) -> None:
    assert called(scene, chat("hello", model="m/down")).status == 502

    told = quoted(scene, chat("hello", model="m/down", models=["m/up"]))

    (out,) = told["left_out"]
    assert (out["channel"], out["model"]) == ("Our label", "m/down")
    assert out["reason"].startswith("it refuses the gateway's account; its probe is due in ")
    assert "hidden" not in json.dumps(told)
    assert [one["model"] for one in told["candidates"]] == ["m/up", "m/up"]
    alone = quoted(scene, chat("hello", model="m/down"))
    assert alone["candidates"][0]["reason"].startswith("last hope: its probe is due in ")


def test_who_served_the_conversation_last_is_first_among_equals_as_in_a_call(scene: Scene) -> None:
    body = chat("a conversation", model="m/twin")
    served = called(scene, body).headers["x-deeptoken-channel"]

    told = quoted(scene, body)

    assert (told["candidates"][0]["channel"], told["candidates"][0]["reason"]) == (
        served,
        "served this conversation last",
    )


def test_a_channel_that_is_full_is_left_out_while_it_is(scene: Scene) -> None:
    async def main() -> tuple[Any, Any]:
        client = await scene.gateway.connect()
        client.write(scene.gateway.request(chat("hello", model="m/busy", stream=True)))
        await client.head()
        during = (await scene.gateway.ask(chat("hello", model="m/busy"), path=QUOTE)).json
        client.close()
        await nothing_is_held(scene.gateway)
        return during, (await scene.gateway.ask(chat("hello", model="m/busy"), path=QUOTE)).json

    during, after = scene.run(main)

    assert [one["channel"] for one in during["candidates"]] == ["Spare"]
    assert during["left_out"] == [
        {"channel": "Busy", "model": "m/busy", "reason": "it serves as many calls as it may"}
    ]
    assert [one["channel"] for one in after["candidates"]] == ["Busy", "Spare"]


ERRORS: dict[str, tuple[Any, dict[str, str], int, str, str | None]] = {
    "no JSON": (b"{", {}, 400, "invalid_request_error", None),
    "no messages": ({"model": "m/up"}, {}, 400, "invalid_request_error", "messages"),
    "temperature": (chat("x", model="m/up", temperature=3), {}, 400, "invalid_request_error", "temperature"),
    "no key": (chat("x", model="m/up"), {"authorization": ""}, 401, "invalid_api_key", None),
    "another's key": (
        chat("x", model="m/up"),
        {"authorization": f"Bearer {ids.new_secret()}"},
        401,
        "invalid_api_key",
        None,
    ),
    "not on the list": (
        chat("x", model="m/up"),
        {"authorization": f"Bearer {NARROW}"},
        403,
        "model_not_allowed",
        "model",
    ),
    "no calls": (
        chat("x", model="m/up"),
        {"authorization": f"Bearer {MANAGER}"},
        403,
        "permission_denied",
        None,
    ),
    "no such model": (chat("x", model="nothing"), {}, 404, "model_not_found", "model"),
    "no such fallback": (chat("x", model="m/up", models=["no"]), {}, 404, "model_not_found", "models[0]"),
    "an organization": (chat("x", model="m/up"), {"x_deeptoken_org": "acme"}, 404, "org_not_found", None),
    "no XML": (chat("x", model="m/up"), {"content_type": "text/xml"}, 415, "unsupported_media_type", None),
    "a timeout": (
        chat("x", model="m/up"),
        {"x_deeptoken_timeout": "soon"},
        400,
        "invalid_request_error",
        None,
    ),
    "a cap": (
        chat("x", model="m/up", max_cost_usd=-1),
        {},
        400,
        "invalid_request_error",
        "max_cost_usd",
    ),
    "a wish": (
        chat("x", model="m/up", provider={"only": ["nobody"]}),
        {},
        400,
        "invalid_request_error",
        "provider.only",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_is_wrong_with_a_call_is_wrong_with_its_quote(name: str, scene: Scene) -> None:
    body, headers, status, code, param = ERRORS[name]

    quote = ask(scene, body, **headers)
    call = ask(scene, body, path="/v1/chat/completions", **headers)

    assert (quote.status, quote.error["code"], quote.error["param"]) == (status, code, param)
    assert quote.error == call.error
    assert quote.headers["x-gateway-error-category"] == "user"


def test_a_quote_is_posted(scene: Scene) -> None:
    reply = scene.run(lambda: scene.gateway.ask(path=QUOTE))

    assert (reply.status, reply.headers["allow"]) == (405, "POST, OPTIONS")
