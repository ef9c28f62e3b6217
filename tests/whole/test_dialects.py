"""A provider of another dialect behind the gateway, with OpenAI's own client before it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from provider_scene import (
    MODELS,
    Provider,
    Scene,
    channel,
    event,
    gone,
    lasting,
    nothing_is_held,
    row_of,
    says,
    says_and_closes,
    stream_head,
    streamed,
)

from deeptoken import mock
from upstreams import Received, answer
from whole_scene import whole

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"enum": ["Oslo"]}}, "required": ["city"]},
    },
}
HI: Any = [{"role": "user", "content": "hello there"}]
JSON = "Content-Type: application/json"


def configuration(provider: Provider) -> str:
    names = ["claude", *(f"claude-{number}" for number in range(3)), *(f"claude-{kind}" for kind in ERRORS)]
    return "".join(
        channel(
            provider,
            name,
            provider='"anthropic"',
            base_url=f'"{provider.url(name).removesuffix("/v1")}"',
        )
        for name in names
    )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with lasting(tmp_path_factory.mktemp("dialects"), configuration) as scene:
        yield scene


def asked(scene: Scene, ask: Callable[[openai.AsyncOpenAI], Awaitable[None]]) -> None:
    """Let OpenAI's client ask."""

    async def main() -> None:
        url = f"http://127.0.0.1:{scene.gateway.port}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=scene.gateway.key, max_retries=0) as client:
            await ask(client)

    scene.run(main)


def message(*blocks: dict[str, Any], stop: str = "end_turn") -> bytes:
    told = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "hidden-claude",
        "content": blocks,
        "stop_reason": stop,
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 7},
    }
    return answer(json.dumps(told).encode(), JSON)


def named(**fields: Any) -> bytes:
    return b"event: %b\n" % fields["type"].encode() + event(fields)


START = named(
    type="message_start",
    message={
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": "hidden-claude",
        "usage": {"input_tokens": 10, "output_tokens": 1},
    },
)
TEXT = b"".join(
    (
        named(type="content_block_start", index=0, content_block={"type": "text", "text": ""}),
        named(type="ping"),
        named(type="content_block_delta", index=0, delta={"type": "text_delta", "text": "Grüß "}),
        named(type="content_block_delta", index=0, delta={"type": "text_delta", "text": "Gott"}),
    )
)
END = b"".join(
    (
        named(type="content_block_stop", index=0),
        named(type="message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 7}),
        named(type="message_stop"),
    )
)


def test_a_text_comes_as_a_completion_and_the_request_goes_as_a_message(scene: Scene) -> None:
    scene.provider.scripts["claude"] = says(message({"type": "text", "text": "Good day."}))

    async def ask(client: openai.AsyncOpenAI) -> None:
        messages: Any = [{"role": "system", "content": "Be brief."}, *HI]
        reply = await client.chat.completions.with_raw_response.create(
            model="m/claude", messages=messages, max_tokens=50, stop=["END"]
        )
        told = reply.parse()
        assert isinstance(told, ChatCompletion)
        assert (told.model, told.choices[0].message.content) == ("m/claude", "Good day.")
        assert told.choices[0].finish_reason == "stop"
        assert told.usage is not None
        assert (told.usage.prompt_tokens, told.usage.completion_tokens) == (15, 7)
        assert told.usage.prompt_tokens_details is not None
        assert told.usage.prompt_tokens_details.cached_tokens == 5
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.upstream_id, row.charged) == ("msg_1", 15_000 + 7 * 2_000)

    asked(scene, ask)
    request, sent = scene.provider.requests["claude"][-1], scene.provider.body("claude")
    assert request.line == "POST /claude/v1/messages HTTP/1.1"
    assert request.fields["x-api-key"] == "sk-upstream-secret"
    assert "authorization" not in request.fields
    assert (sent["model"], sent["max_tokens"], sent["stop_sequences"]) == ("hidden-claude", 50, ["END"])
    assert "Be brief." in json.dumps(sent["system"])
    assert [said["role"] for said in sent["messages"]] == ["user"]


def test_a_tool_is_called_and_its_result_goes_back(scene: Scene) -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}}
    scene.provider.scripts["claude"] = says(message(use, stop="tool_use"))

    async def ask(client: openai.AsyncOpenAI) -> None:
        told = await client.chat.completions.create(model="m/claude", messages=HI, tools=[TOOL])
        (choice,) = told.choices
        assert choice.finish_reason == "tool_calls"
        assert choice.message.tool_calls is not None
        (call,) = choice.message.tool_calls
        assert call.type == "function"
        assert (call.id, call.function.name) == ("toolu_1", "get_weather")
        assert json.loads(call.function.arguments) == {"city": "Oslo"}
        result = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
        messages: Any = [*HI, choice.message.to_dict(), result]
        await client.chat.completions.create(model="m/claude", messages=messages, tools=[TOOL])

    asked(scene, ask)
    *_, assistant, user = scene.provider.body("claude")["messages"]
    assert assistant["content"][-1] == use
    assert (user["content"][0]["type"], user["content"][0]["tool_use_id"]) == ("tool_result", "toolu_1")


@pytest.mark.parametrize("size", [1, 1_000_000])
def test_a_stream_is_told_in_chunks_however_it_is_cut(size: int, scene: Scene) -> None:
    raw = stream_head() + START + TEXT + END

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for place in range(0, len(raw), size):
            writer.write(raw[place : place + size])
            await asyncio.sleep(0)
            if writer.is_closing():
                return
        await gone(reader)
        writer.close()

    scene.provider.scripts["claude"] = script

    async def ask(client: openai.AsyncOpenAI) -> None:
        stream = await client.chat.completions.create(
            model="m/claude", messages=HI, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        assert all(isinstance(chunk, ChatCompletionChunk) for chunk in chunks)
        assert {(chunk.model, chunk.id, chunk.object) for chunk in chunks} == {
            ("m/claude", "msg_1", "chat.completion.chunk")
        }
        *said, counted = chunks
        assert "".join(chunk.choices[0].delta.content or "" for chunk in said) == "Grüß Gott"
        assert said[0].choices[0].delta.role == "assistant"
        assert [chunk.choices[0].finish_reason for chunk in said if chunk.choices[0].finish_reason] == [
            "stop"
        ]
        assert counted.usage is not None
        assert (counted.usage.prompt_tokens, counted.usage.completion_tokens) == (10, 7)

    asked(scene, ask)


def test_a_stream_that_broke_or_failed_raises_in_the_client(scene: Scene) -> None:
    overloaded = named(type="error", error={"type": "overloaded_error", "message": "Overloaded"})

    async def ask(client: openai.AsyncOpenAI) -> None:
        for end in (b"", overloaded, named(type="message_stop")[:20]):
            read = asyncio.Event()

            async def script(
                request: Received,
                reader: asyncio.StreamReader,
                writer: asyncio.StreamWriter,
                read: asyncio.Event = read,
                end: bytes = end,
            ) -> None:
                writer.write(stream_head() + START + TEXT)
                await read.wait()
                writer.write(end)
                writer.close()

            scene.provider.scripts["claude"] = script
            stream = await client.chat.completions.create(model="m/claude", messages=HI, stream=True)
            said: list[str] = []
            with pytest.raises(openai.APIError):
                await hear(stream, said, read)
            assert "".join(said) == "Grüß Gott"
        await nothing_is_held(scene.gateway)

    asked(scene, ask)


async def hear(stream: openai.AsyncStream[ChatCompletionChunk], said: list[str], read: asyncio.Event) -> None:
    async for chunk in stream:
        said.append(chunk.choices[0].delta.content or "")
        if "".join(said) == "Grüß Gott":
            read.set()


ERRORS = {
    "invalid_request_error": ("400 Bad Request", openai.BadRequestError, "invalid_request_error"),
    "authentication_error": ("401 Unauthorized", openai.InternalServerError, "upstream_error"),
    "rate_limit_error": ("429 Too Many Requests", openai.RateLimitError, "upstream_rate_limited"),
    "overloaded_error": ("529 Overloaded", openai.InternalServerError, "upstream_error"),
    "not_found_error": ("404 Not Found", openai.NotFoundError, "model_not_found"),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_its_errors_are_openais_to_the_client(kind: str, scene: Scene) -> None:
    status, raised, code = ERRORS[kind]
    told = json.dumps({"type": "error", "error": {"type": kind, "message": f"model: hidden-claude-{kind}"}})
    scene.provider.scripts[f"claude-{kind}"] = says(answer(told.encode(), JSON, status=status))

    async def ask(client: openai.AsyncOpenAI) -> None:
        with pytest.raises(raised) as refused:
            await client.chat.completions.create(model=f"m/claude-{kind}", messages=HI)
        assert (refused.value.code, "hidden" in str(refused.value)) == (code, False)

    asked(scene, ask)


def test_an_error_as_the_first_event_or_an_empty_stream_is_an_error_response(scene: Scene) -> None:
    overloaded = named(type="error", error={"type": "overloaded_error", "message": "Overloaded"})

    async def ask(client: openai.AsyncOpenAI) -> None:
        scripts = (says(streamed(START + overloaded)), says(streamed(b"")), says_and_closes())
        for number, script in enumerate(scripts):
            scene.provider.scripts[f"claude-{number}"] = script
            with pytest.raises(openai.InternalServerError):
                await client.chat.completions.create(model=f"m/claude-{number}", messages=HI, stream=True)

    asked(scene, ask)


def test_the_mock_of_anthropic_is_served_whole_and_streamed_with_text_and_tools(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async def main() -> None:
        async with mock.running() as url:
            more = f"""{MODELS}
[[channels]]
name = "claude"
provider = "anthropic"
base_url = "{url.removesuffix("/v1")}"
models = {{ "m/echo" = "echo", "m/text" = "text" }}
"""
            async with whole(tmp_path_factory.mktemp("mock"), more) as gateway:
                base = f"http://127.0.0.1:{gateway.port}/v1"
                async with openai.AsyncOpenAI(base_url=base, api_key=gateway.key, max_retries=0) as client:
                    await converse(client)
                await nothing_is_held(gateway)
                assert {row.outcome for row in gateway.rows()} == {"complete"}

    asyncio.run(main())


async def converse(client: openai.AsyncOpenAI) -> None:
    told = await client.chat.completions.create(model="m/echo", messages=HI)
    assert told.choices[0].message.content == "hello there"
    async with client.chat.completions.stream(model="m/echo", messages=HI) as stream:
        whole_answer = await stream.get_final_completion()
    assert whole_answer.choices[0].message.content == "hello there"
    async with client.chat.completions.stream(
        model="m/text", messages=HI, tools=[TOOL], tool_choice="required"
    ) as stream:
        called = await stream.get_final_completion()
    (choice,) = called.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    assert json.loads(choice.message.tool_calls[0].function.arguments) == {"city": "Oslo"}
