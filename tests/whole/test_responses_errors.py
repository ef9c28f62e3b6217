"""What goes wrong is told to clients of Responses in OpenAI's envelope, by the names of their own dialect."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from claude_scene import JSON
from openai_scene import asked, both_ways, openai_scene, says_text
from provider_scene import Provider, Scene, channel, nothing_is_held, says

from upstreams import answer
from whole_scene import Reply

SERVED = ("m/chat", "m/claude", "m/native")
PICTURE = {"type": "input_image", "file_id": "file_1"}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an earlier response": ({"previous_response_id": "resp_1"}, "previous_response_id"),
    "a conversation": ({"conversation": "conv_1"}, "conversation"),
    "background": ({"background": True}, "background"),
    "a template": ({"prompt": {"id": "pmpt_1"}}, "prompt"),
    "an item stored elsewhere": ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].id"),
    "a file stored elsewhere": (
        {"input": [{"role": "user", "content": [PICTURE]}]},
        "input[0].content[0].file_id",
    ),
    "no input": ({"input": []}, "input"),
    "a role": ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
    "a tool that OpenAI runs": ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    "a choice": ({"tool_choice": "some"}, "tool_choice"),
    "a format": ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
    "a temperature": ({"temperature": 3}, "temperature"),
    "a limit": ({"max_output_tokens": 0}, "max_output_tokens"),
    "an effort": ({"reasoning": {"effort": 1}}, "reasoning.effort"),
    "chat's messages": ({"messages": [{"role": "user", "content": "x"}]}, "messages"),
    "chat's limit": ({"max_tokens": 5}, "max_tokens"),
    "chat's format": ({"response_format": {"type": "json_object"}}, "response_format"),
    "a cap that is none": ({"max_cost_usd": 0}, "max_cost_usd"),
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with openai_scene(tmp_path_factory.mktemp("errors"), more) as scene:
        yield scene


def more(provider: Provider) -> str:
    """A channel for each failure and way to ask: none rests because another one failed."""
    return "".join(
        channel(
            provider,
            failing_channel(kind, number, stream=stream),
            responses="true" if kind == "native" else "false",
            models=f'{{ "m/{failing_channel(kind, number, stream=stream)}" = "hidden-name" }}',
        )
        for kind in ("chat", "native")
        for number in range(len(FAILURES))
        for stream in (False, True)
    )


def failing_channel(kind: str, number: int, *, stream: bool) -> str:
    return f"{kind}-{number}-{'stream' if stream else 'whole'}"


@pytest.mark.parametrize("model", SERVED)
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_by_the_name_that_the_caller_wrote(
    name: str, model: str, scene: Scene
) -> None:
    fields, param = REFUSED[name]
    before = {script: len(sent) for script, sent in scene.provider.requests.items()}

    async def main(client: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.responses.create(model=model, input="hello", extra_body=fields)
        assert (refused.value.code, refused.value.type, refused.value.param) == (
            "invalid_request_error",
            "user",
            param,
        )
        assert isinstance(refused.value.body, dict)
        assert refused.value.body["message"].startswith(param)

    asked(scene, main)
    assert {script: len(sent) for script, sent in scene.provider.requests.items()} == before


ONLY_NATIVE: tuple[dict[str, Any], ...] = (
    {"tools": [{"type": "custom", "name": "patch"}]},
    {"context_management": [{"type": "compaction", "compact_threshold": 1_000}]},
    {"input": [{"type": "compaction", "encrypted_content": "gAAA"}, {"role": "user", "content": "x"}]},
)


@pytest.mark.parametrize("fields", ONLY_NATIVE)
def test_what_only_a_host_of_the_dialect_can_do_goes_there_and_nowhere_else(
    fields: dict[str, Any], scene: Scene
) -> None:
    says_text(scene, "ok", stream=False)
    name = next(iter(fields))

    async def main() -> None:
        served = await ask(scene, "m/native", **fields)
        assert (served.status, scene.provider.body("native")[name]) == (200, fields[name])
        for model in ("m/chat", "m/claude", "sim/echo"):
            refused = await ask(scene, model, **fields)
            assert (refused.status, refused.error["code"]) == (400, "invalid_request_error")
            assert refused.error["param"].startswith(name)
        either = await ask(scene, "m/both", **fields)
        assert (either.status, either.headers["x-deeptoken-attempts"]) == (200, "1")

    scene.run(main)


async def ask(scene: Scene, model: str, **fields: Any) -> Reply:
    body = {"model": model, "input": "hello", **fields}
    return await scene.gateway.ask(body, path="/v1/responses")


def failing(status: str, *fields: str, message: str = "hidden-name is not so", **error: Any) -> bytes:
    told = {"error": {"message": message, "type": "t", "param": None, "code": None, **error}}
    return answer(json.dumps(told).encode(), JSON, *fields, status=status)


FAILURES: tuple[tuple[bytes, type[openai.APIStatusError], int, str], ...] = (
    (failing("400 Bad Request", code="bad"), openai.BadRequestError, 400, "bad"),
    (failing("422 Unprocessable"), openai.UnprocessableEntityError, 422, "invalid_request_error"),
    (failing("401 Unauthorized"), openai.InternalServerError, 502, "upstream_error"),
    (failing("402 Payment Required"), openai.InternalServerError, 502, "upstream_error"),
    (failing("404 Not Found", code="model_not_found"), openai.NotFoundError, 404, "model_not_found"),
    (failing("429 Too Many", "Retry-After: 7"), openai.RateLimitError, 429, "upstream_rate_limited"),
    (failing("500 Internal"), openai.InternalServerError, 502, "upstream_error"),
    (failing("503 Unavailable"), openai.InternalServerError, 503, "upstream_error"),
    (failing("529 Overloaded"), openai.InternalServerError, 503, "upstream_error"),
    (answer(b"<html>", status="502 Bad"), openai.InternalServerError, 502, "upstream_error"),
    (answer(b"<html>", JSON), openai.InternalServerError, 502, "upstream_invalid_response"),
    (answer(b"{}", JSON), openai.InternalServerError, 502, "upstream_invalid_response"),
)


@both_ways
@pytest.mark.parametrize("number", range(len(FAILURES)))
@pytest.mark.parametrize("kind", ["chat", "native"])
def test_a_provider_s_failure_is_the_same_error_that_a_chat_would_get(
    kind: str, number: int, stream: bool, scene: Scene
) -> None:
    raw, raised, status, code = FAILURES[number]
    name = failing_channel(kind, number, stream=stream)
    scene.provider.scripts[name] = says(raw)

    async def main(client: openai.AsyncOpenAI) -> None:
        with pytest.raises(raised) as failed:
            await client.responses.create(model=f"m/{name}", input="hello", stream=stream)
        assert (failed.value.status_code, failed.value.code) == (status, code)
        assert failed.value.type == ("user" if status in (400, 404, 422) else "upstream")
        assert "hidden" not in failed.value.message
        assert failed.value.response.headers["x-gateway-error-category"] == failed.value.type
        assert failed.value.request_id
        if status == 429:
            assert failed.value.response.headers["retry-after"] == "7"
        await nothing_is_held(scene.gateway)

    asked(scene, main)


NAMED = {
    "max_completion_tokens": "max_output_tokens",
    "messages[1].content": "input",
    "response_format.json_schema": "text.format",
    "reasoning_effort": "reasoning.effort",
    "tools[0].function.parameters": "tools[0].parameters",
    "temperature": "temperature",
}


@pytest.mark.parametrize("param", NAMED)
def test_a_chat_that_refuses_a_field_is_told_by_this_dialect_s_name(param: str, scene: Scene) -> None:
    said = failing("400 Bad Request", message=f"Invalid '{param}'.", param=param, code="bad")
    scene.provider.scripts["chat"] = says(said)

    async def main() -> None:
        for stream in (False, True):
            reply = await ask(scene, "m/chat", stream=stream)
            assert reply.error == {
                "message": f"Invalid '{NAMED[param]}'.",
                "type": "user",
                "code": "bad",
                "param": NAMED[param],
            }

    scene.run(main)


def test_an_adapter_that_cannot_do_it_says_so_by_this_dialect_s_name(scene: Scene) -> None:
    async def main() -> None:
        probabilities = ["message.output_text.logprobs"]
        reply = await ask(scene, "m/claude", include=probabilities)
        assert (reply.status, reply.error["param"]) == (400, "include")
        effort = await ask(scene, "m/claude", reasoning={"effort": "extreme"})
        assert (effort.status, effort.error["param"]) == (400, "reasoning.effort")
        assert effort.error["message"].startswith("reasoning.effort is one of ")

    scene.run(main)


BODIES = {
    b"{": "The body is not valid JSON",
    b"[]": "The body must be a JSON object",
    b"[" * 100_000: "nested too deeply",
    b'{"input":"x"}': "model is required",
    b'{"model":"sim/echo"}': "input: expected",
}


def test_a_body_that_is_none_a_key_a_method_and_a_path_are_refused_as_elsewhere(scene: Scene) -> None:
    async def main() -> None:
        gateway = scene.gateway
        for body, words in BODIES.items():
            reply = await gateway.ask(body, path="/v1/responses")
            assert (reply.status, words in reply.error["message"]) == (400, True)
        whole = {"model": "sim/echo", "input": "x"}
        stranger = await gateway.ask(whole, path="/v1/responses", authorization="Bearer nobody")
        assert (stranger.status, stranger.error["code"]) == (401, "invalid_api_key")
        text = await gateway.ask(whole, path="/v1/responses", content_type="text/plain")
        assert (text.status, text.error["code"]) == (415, "unsupported_media_type")
        unknown = await gateway.ask({**whole, "model": "no/body"}, path="/v1/responses")
        assert (unknown.status, unknown.error["code"], unknown.error["param"]) == (
            404,
            "model_not_found",
            "model",
        )
        got = await gateway.ask(path="/v1/responses")
        assert (got.status, got.error["code"], got.headers["allow"]) == (
            405,
            "method_not_allowed",
            "POST, OPTIONS",
        )
        for path in ("/v1/responses/resp_1", "/v1/responses/resp_1/cancel", "/v1/responses/"):
            stored = await gateway.ask(path=path)
            assert (stored.status, stored.error["code"]) == (404, "not_found")

    scene.run(main)
