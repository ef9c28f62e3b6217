"""Each error reaches Anthropic's client as the exception that it knows, with its type, words and an id."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import anthropic
import pytest
from claude_scene import HI, JSON, asked, claude, claude_scene, named, started
from provider_scene import (
    SECRET,
    Provider,
    Scene,
    Script,
    channel,
    nothing_is_held,
    row_of,
    says,
    says_and_closes,
    says_and_waits,
    streamed,
)

from deeptoken import ids
from upstreams import answer

KEYS = {name: ids.new_secret() for name in ("poor", "narrow", "slow")}
MORE = f"""
[[users]]
name = "poor"

[[keys]]
name = "poor"
owner = "poor"
secret = "{KEYS["poor"]}"

[[keys]]
name = "narrow"
owner = "ops"
secret = "{KEYS["narrow"]}"
models = ["sim/echo"]

[[keys]]
name = "slow"
owner = "ops"
secret = "{KEYS["slow"]}"
rpm = 1
"""
ASKED: Any = {"model": "sim/echo", "max_tokens": 9, "messages": HI}


class Fails(NamedTuple):
    """What a provider answers, and what the client raises."""

    raised: type[anthropic.APIStatusError]
    type: str
    code: str
    status: str
    kind: str = "x"
    message: str = ""
    field: str = "X: y"
    says: str = ""
    """If the words are not the provider's."""

    def script(self, dialect: str) -> Script:
        error = {"type": self.kind, "message": self.message, "code": self.kind}
        body: dict[str, Any] = {"error": error}
        if dialect == "anthropic":
            del error["code"]
            body["type"] = "error"
        return says(answer(json.dumps(body).encode(), JSON, self.field, status=self.status))


PROVIDERS = {
    "bad": Fails(
        anthropic.BadRequestError,
        "invalid_request_error",
        "invalid_request_error",
        "400 Bad Request",
        "invalid_request_error",
        "max_tokens: too many",
    ),
    "large": Fails(
        anthropic.ContentTooLargeError,
        "request_too_large",
        "request_too_large",
        "413 Payload Too Large",
        "request_too_large",
        "too many bytes",
    ),
    "account": Fails(
        anthropic.InternalServerError,
        "api_error",
        "upstream_error",
        "401 Unauthorized",
        "authentication_error",
        f"wrong key {SECRET}",
        says="The operator has to look at the channel.",
    ),
    "gone": Fails(
        anthropic.NotFoundError,
        "not_found_error",
        "model_not_found",
        "404 Not Found",
        "not_found_error",
        "no such model",
    ),
    "busy": Fails(
        anthropic.RateLimitError,
        "rate_limit_error",
        "upstream_rate_limited",
        "429 Too Many Requests",
        "rate_limit_error",
        "slow down",
        "Retry-After: 17",
    ),
    "broken": Fails(
        anthropic.InternalServerError, "api_error", "upstream_error", "500 Oops", "api_error", "boom"
    ),
    "overloaded": Fails(
        anthropic.ServiceUnavailableError,
        "overloaded_error",
        "upstream_error",
        "529 Overloaded",
        "overloaded_error",
        "Overloaded",
    ),
    "no answer": Fails(
        anthropic.InternalServerError,
        "api_error",
        "upstream_invalid_response",
        "200 OK",
        says="The provider's answer is not valid",
    ),
    "silent": Fails(
        anthropic.GatewayTimeoutError,
        "timeout_error",
        "upstream_timeout",
        "",
        says="The provider did not answer in time.",
    ),
}
WAYS = [
    (name, dialect, stream) for name in PROVIDERS for dialect in ("openai", "anthropic") for stream in (0, 1)
]
BUSY = named(type="error", error={"type": "overloaded_error", "message": "Overloaded"})
BEGUN = {
    "error-first": says(streamed(started() + BUSY)),
    "nothing": says(streamed(b"")),
    "no-head": says_and_closes(),
}


def name_of(way: tuple[str, str, int]) -> str:
    return f"way-{WAYS.index(way)}"


def more(provider: Provider) -> str:
    """A channel for each way to fail, since what it did would count against it the next time."""
    told = [MORE]
    for name, script in BEGUN.items():
        provider.scripts[name] = script
        told.append(claude(provider, name))
    for way in WAYS:
        name, dialect, _ = way
        how = PROVIDERS[name]
        provider.scripts[name_of(way)] = how.script(dialect) if how.status else says_and_waits()
        make = claude if dialect == "anthropic" else channel
        told.append(make(provider, name_of(way), timeout="{ first_byte = 0.2 }"))
    return "".join(told)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    server = "body_bytes_max = 20000"
    with claude_scene(tmp_path_factory.mktemp("errors"), more, server=server) as scene:
        yield scene


def told_in(error: anthropic.APIStatusError) -> dict[str, Any]:
    """What the envelope says; it has the shape of Anthropic's, and the id where the client looks for it."""
    body: Any = error.body
    assert (body["type"], body.keys()) == ("error", {"type", "error", "request_id"})
    assert error.request_id == body["request_id"] == error.response.headers["x-request-id"]
    assert error.response.headers["x-deeptoken-id"]
    assert error.api_message == body["error"]["message"]
    assert error.type == body["error"]["type"]
    assert error.error_code == body["error"]["code"]
    told: dict[str, Any] = body["error"]
    return told


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(map(str, way)))
def test_what_a_provider_fails_with_is_an_error_of_anthropics(
    way: tuple[str, str, int], scene: Scene
) -> None:
    how = PROVIDERS[way[0]]

    async def ask(client: anthropic.AsyncAnthropic) -> None:
        with pytest.raises(how.raised) as failed:
            await client.messages.create(
                **{**ASKED, "model": f"m/{name_of(way)}", "stream": bool(way[2])},
                extra_headers={"X-Request-Id": "mine"},
            )
        assert type(failed.value) is how.raised
        told = told_in(failed.value)
        assert (told["type"], told["code"], failed.value.request_id) == (how.type, how.code, "mine")
        assert (how.says or how.message) in told["message"]
        assert SECRET not in str(failed.value)
        headers = failed.value.response.headers
        assert headers.get("retry-after") == ("17" if way[0] == "busy" else None)
        row = await row_of(scene.gateway, headers["x-deeptoken-id"])
        assert (row.outcome, row.charged, row.status) == ("failed", 0, failed.value.status_code)
        await nothing_is_held(scene.gateway)

    asked(scene, ask)


@pytest.mark.parametrize("name", BEGUN)
def test_a_stream_that_failed_is_a_response_where_nothing_was_sent_yet(name: str, scene: Scene) -> None:
    async def ask(client: anthropic.AsyncAnthropic) -> None:
        with pytest.raises((anthropic.InternalServerError, anthropic.ServiceUnavailableError)) as failed:
            await client.messages.create(**{**ASKED, "model": f"m/{name}", "stream": True})
        assert told_in(failed.value)["type"] in ("api_error", "overloaded_error")

    asked(scene, ask)


def test_the_key_comes_as_a_bearer_or_as_x_api_key(scene: Scene) -> None:
    async def ask(client: anthropic.AsyncAnthropic) -> None:
        assert (await client.messages.create(**ASKED)).content
        # What older libraries and other clients send.
        key = scene.gateway.key
        for headers in ({"authorization": "", "x_api_key": key}, {"x_api_key": "another's"}):
            for path in ("/v1/messages", "/v1/messages/count_tokens"):
                assert (await scene.gateway.ask(ASKED, path=path, **headers)).status == 200

    asked(scene, ask)


@pytest.mark.parametrize("header", ["authorization", "x_api_key"])
def test_a_wrong_key_is_refused(header: str, scene: Scene) -> None:
    async def ask(client: anthropic.AsyncAnthropic) -> None:
        options = {name: value for name, value in ASKED.items() if name != "max_tokens"}
        for call in (client.messages.create(**ASKED), client.messages.count_tokens(**options)):
            with pytest.raises(anthropic.AuthenticationError) as refused:
                await call
            assert told_in(refused.value)["type"] == "authentication_error"
        told = {"authorization": ""} | {
            header: "Bearer dtk_nobody" if header == "authorization" else "dtk_nobody"
        }
        reply = await scene.gateway.ask(ASKED, path="/v1/messages", **told)
        assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")

    asked(scene, ask, api_key="dtk_nobody")


def test_a_call_without_a_key_is_refused(scene: Scene) -> None:
    async def main() -> None:
        reply = await scene.gateway.ask(ASKED, path="/v1/messages", authorization="")
        assert (reply.status, reply.error["type"]) == (401, "authentication_error")
        assert reply.json["request_id"] == reply.headers["request-id"]

    scene.run(main)


def test_an_empty_wallet_is_a_billing_error_that_says_what_it_lacks(scene: Scene) -> None:
    async def ask(client: anthropic.AsyncAnthropic) -> None:
        with pytest.raises(anthropic.PaymentRequiredError) as refused:
            await client.messages.create(**ASKED)
        told = told_in(refused.value)
        assert (told["type"], told["code"]) == ("billing_error", "wallet_empty")
        assert told["deeptoken"]["reason"] == "insufficient_credit"
        assert told["deeptoken"]["affordable_max_tokens"] == 0
        assert "Add credits" in told["message"]

    asked(scene, ask, api_key=KEYS["poor"])


def test_a_rate_that_is_reached_says_when_to_come_again(scene: Scene) -> None:
    async def ask(client: anthropic.AsyncAnthropic) -> None:
        await client.messages.create(**ASKED)
        with pytest.raises(anthropic.RateLimitError) as refused:
            await client.messages.create(**ASKED)
        assert (told_in(refused.value)["type"], told_in(refused.value)["code"]) == (
            "rate_limit_error",
            "rate_limit_exceeded",
        )
        assert 1 <= int(refused.value.response.headers["retry-after"]) <= 60

    asked(scene, ask, api_key=KEYS["slow"])


def test_a_model_that_the_key_may_not_call_is_refused(scene: Scene) -> None:
    async def ask(client: anthropic.AsyncAnthropic) -> None:
        for call in (client.messages.create, client.messages.count_tokens):
            given: Any = {"model": "sim/text", "messages": HI}
            given |= {"max_tokens": 1} if call == client.messages.create else {}
            with pytest.raises(anthropic.PermissionDeniedError) as refused:
                await call(**given)
            told = told_in(refused.value)
            assert (told["type"], told["code"]) == ("permission_error", "model_not_allowed")

    asked(scene, ask, api_key=KEYS["narrow"])


def test_a_model_that_is_not_there_is_not_found(scene: Scene) -> None:
    async def ask(client: anthropic.AsyncAnthropic) -> None:
        for call in (client.messages.create, client.messages.count_tokens):
            given: Any = {"model": "nobody/knows", "messages": HI}
            given |= {"max_tokens": 1} if call == client.messages.create else {}
            with pytest.raises(anthropic.NotFoundError) as unknown:
                await call(**given)
            told = told_in(unknown.value)
            assert (told["type"], told["param"]) == ("not_found_error", "model")

    asked(scene, ask)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no max_tokens": ({"max_tokens": None}, "max_tokens"),
    "messages of nobody": ({"messages": [{"role": "nobody", "content": "x"}]}, "messages.0.role"),
    "no messages": ({"messages": []}, "messages"),
    "temperature": ({"temperature": 2}, "temperature"),
    "a block without text": (
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        "messages.0.content.0.text",
    ),
    "a tool without schema": ({"tools": [{"name": "t"}]}, "tools.0.input_schema"),
    "a choice that there is not": (
        {"tools": [{"name": "t", "input_schema": {}}], "tool_choice": {"type": "some"}},
        "tool_choice.type",
    ),
    "a tool with fees": (
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        "tools.0.type",
    ),
    "a server of the operator's": (
        {"mcp_servers": [{"type": "url", "url": "https://x.example", "name": "x"}]},
        "mcp_servers",
    ),
    "a cap that is none": ({"max_cost_usd": "a"}, "max_cost_usd"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_wrong_with_a_request_is_named(kind: str, scene: Scene) -> None:
    fields, param = BAD[kind]

    async def ask(client: anthropic.AsyncAnthropic) -> None:
        with pytest.raises(anthropic.BadRequestError) as refused:
            await client.messages.create(**ASKED, extra_body=fields)
        told = told_in(refused.value)
        assert (told["type"], told["code"], told["param"]) == (
            "invalid_request_error",
            "invalid_request_error",
            param,
        )
        assert param in told["message"]

    asked(scene, ask)


def test_what_is_no_request_of_this_dialect_is_refused_in_it(scene: Scene) -> None:
    async def main() -> None:
        gateway = scene.gateway
        told = {
            "no json": await gateway.ask(b"{", path="/v1/messages"),
            "no type": await gateway.ask(ASKED, path="/v1/messages", content_type="text/plain"),
            "too large": await gateway.ask({**ASKED, "x": "y" * 20_001}, path="/v1/messages"),
            "no method": await gateway.ask(path="/v1/messages"),
            "no path": await gateway.ask(path="/v1/messages/batches"),
            "no organization": await gateway.ask(ASKED, path="/v1/messages", x_deeptoken_org="acme"),
        }
        found = {
            name: (reply.status, reply.error["type"], reply.error["code"]) for name, reply in told.items()
        }
        assert found == {
            "no json": (400, "invalid_request_error", "invalid_request_error"),
            "no type": (415, "invalid_request_error", "unsupported_media_type"),
            "too large": (413, "request_too_large", "request_too_large"),
            "no method": (405, "invalid_request_error", "method_not_allowed"),
            "no path": (404, "not_found_error", "not_found"),
            "no organization": (404, "not_found_error", "org_not_found"),
        }
        for reply in told.values():
            assert reply.json["type"] == "error"
            assert reply.json["request_id"] == reply.headers["request-id"] == reply.headers["x-request-id"]

    scene.run(main)


def test_other_endpoints_have_no_header_of_anthropics(scene: Scene) -> None:
    async def main() -> None:
        assert "request-id" not in (await scene.gateway.ask(path="/v1/models")).headers

    scene.run(main)
