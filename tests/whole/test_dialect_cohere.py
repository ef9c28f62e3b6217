"""Cohere behind the gateway, with OpenAI's own client before it."""

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from provider_scene import Provider, Scene, channel, event, lasting, nothing_is_held, row_of, says, streamed

from upstreams import answer

JSON = "Content-Type: application/json"
HI: Any = [{"role": "user", "content": "hello there"}]
TOOL: Any = {
    "type": "function",
    "function": {"name": "now", "parameters": {"type": "object", "properties": {}}},
}
COUNTS = {
    "billed_units": {"input_tokens": 10, "output_tokens": 7},
    "tokens": {"input_tokens": 510, "output_tokens": 60},
}


def configuration(provider: Provider) -> str:
    return channel(provider, "command", provider='"cohere"')


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with lasting(tmp_path_factory.mktemp("cohere"), configuration) as scene:
        yield scene


def asked(scene: Scene, ask: Callable[[openai.AsyncOpenAI], Awaitable[None]]) -> None:
    """Let OpenAI's client ask."""

    async def main() -> None:
        url = f"http://127.0.0.1:{scene.gateway.port}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=scene.gateway.key, max_retries=0) as client:
            await ask(client)

    scene.run(main)


def said(message: dict[str, Any], reason: str) -> bytes:
    told = {
        "id": "c-1",
        "message": {"role": "assistant", **message},
        "finish_reason": reason,
        "usage": COUNTS,
    }
    return answer(json.dumps(told).encode(), JSON)


def test_a_tool_is_planned_and_called_and_its_result_goes_back(scene: Scene) -> None:
    call = {"id": "now_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    scene.provider.scripts["command"] = says(
        said({"tool_plan": "I look.", "tool_calls": [call]}, "TOOL_CALL")
    )

    async def ask(client: openai.AsyncOpenAI) -> None:
        reply = await client.chat.completions.with_raw_response.create(
            model="m/command", messages=HI, tools=[TOOL], tool_choice="required"
        )
        told = reply.parse()
        assert isinstance(told, ChatCompletion)
        (choice,) = told.choices
        assert (choice.finish_reason, told.usage and told.usage.total_tokens) == ("tool_calls", 17)
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.upstream_id, row.charged) == ("c-1", 10_000 + 7 * 2_000)
        result = {"role": "tool", "tool_call_id": "now_1", "content": "noon"}
        messages: Any = [*HI, choice.message.to_dict(), result]
        await client.chat.completions.create(model="m/command", messages=messages, tools=[TOOL])

    asked(scene, ask)
    first, second = scene.provider.requests["command"][-2:]
    assert first.line == "POST /command/v2/chat HTTP/1.1"
    assert first.fields["authorization"] == "Bearer sk-upstream-secret"
    assert json.loads(first.body)["tool_choice"] == "REQUIRED"
    assert json.loads(second.body)["messages"][1:] == [
        {"role": "assistant", "tool_plan": "I look.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "now_1", "content": "noon"},
    ]


def named(kind: str, **message: Any) -> bytes:
    return event({"type": kind, "index": 0, "delta": {"message": message}})


START = event(
    {"type": "message-start", "id": "c-1", "delta": {"message": {"role": "assistant", "content": []}}}
)
TEXT = b"".join(
    (
        named("content-start", content={"type": "text", "text": ""}),
        named("content-delta", content={"text": "Grüß "}),
        named("content-delta", content={"text": "Gott"}),
        event({"type": "content-end", "index": 0}),
    )
)


def end(reason: str, **more: Any) -> bytes:
    delta = {"finish_reason": reason, "usage": COUNTS, **more}
    return event({"type": "message-end", "delta": delta}) + b"data: [DONE]\n\n"


def test_a_stream_is_told_in_chunks_and_costs_what_cohere_bills(scene: Scene) -> None:
    scene.provider.scripts["command"] = says(streamed(START + TEXT + end("MAX_TOKENS")))

    async def ask(client: openai.AsyncOpenAI) -> None:
        reply = await client.chat.completions.with_raw_response.create(
            model="m/command", messages=HI, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in reply.parse()]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert (text, chunks[-2].choices[0].finish_reason) == ("Grüß Gott", "length")
        assert chunks[-1].usage is not None
        assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (10, 7)
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.charged, row.upstream_id) == (10_000 + 7 * 2_000, "c-1")
        await nothing_is_held(scene.gateway)

    asked(scene, ask)


def test_a_stream_that_fails_at_once_is_an_error(scene: Scene) -> None:
    scene.provider.scripts["command"] = says(streamed(START + end("ERROR", error="generation failed")))

    async def ask(client: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.APIStatusError) as failed:
            await client.chat.completions.create(model="m/command", messages=HI, stream=True)
        assert failed.value.status_code == 502
        assert "generation failed" in failed.value.message
        await nothing_is_held(scene.gateway)

    asked(scene, ask)


def test_what_cohere_cannot_do_is_refused_before_it_is_asked(scene: Scene) -> None:
    before = len(scene.provider.requests["command"])

    async def ask(client: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(model="m/command", messages=HI, n=2)
        assert refused.value.param == "n"
        await nothing_is_held(scene.gateway)

    asked(scene, ask)
    assert len(scene.provider.requests["command"]) == before
