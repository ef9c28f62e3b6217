"""The mock's dialects, each through the gateway's own provider of it: the same words, ends and faults."""

import json
from pathlib import Path
from typing import Any

import openai
import pytest
from mock_scene import FORM, HELLO, TOOL, asked
from openai.types.chat import ChatCompletionChunk

from whole_scene import Whole

CHANNELS = {
    "gemini": 'provider = "gemini"\nbase_url = "{host}/v1beta"\napi_key = "any"',
    "bedrock": 'provider = "bedrock"\nbase_url = "{host}"\napi_key = "any"',
    "cohere": 'provider = "cohere"\nbase_url = "{host}"\napi_key = "any"',
}


@pytest.fixture(params=CHANNELS)
def channel(request: pytest.FixtureRequest) -> str:
    return CHANNELS[request.param]


def test_an_answer_is_whole_and_its_usage_counted(channel: str, tmp_path: Path) -> None:
    async def ask(client: openai.AsyncOpenAI, gateway: Whole) -> None:
        answer = await client.chat.completions.create(model="m/echo", messages=HELLO)
        assert answer.choices[0].message.content == "hello there"
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage is not None
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (4, 2)
        [row] = await gateway.settled(1)
        assert (row.outcome, row.charged, row.estimated) == ("complete", 4_000 + 2 * 2_000, False)

    asked(tmp_path, channel, ask)


def test_a_stream_says_the_same_word_by_word(channel: str, tmp_path: Path) -> None:
    async def ask(client: openai.AsyncOpenAI, gateway: Whole) -> None:
        stream = await client.chat.completions.create(
            model="m/echo", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        said = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
        assert [word for word in said if word] == ["hello", " there"]
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
        assert chunks[-1].usage is not None
        assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (4, 2)
        [row] = await gateway.settled(1)
        assert (row.outcome, row.charged, row.estimated) == ("complete", 4_000 + 2 * 2_000, False)

    asked(tmp_path, channel, ask)


def test_a_limit_cuts_with_length(channel: str, tmp_path: Path) -> None:
    async def ask(client: openai.AsyncOpenAI, gateway: Whole) -> None:
        whole = await client.chat.completions.create(model="m/text", messages=HELLO, max_tokens=16)
        stream = await client.chat.completions.create(
            model="m/text", messages=HELLO, max_tokens=16, stream=True
        )
        said: list[str] = []
        finish = await hear(stream, said)
        assert whole.choices[0].message.content == "".join(said)
        assert len("".join(said).split()) == 16
        assert (whole.choices[0].finish_reason, finish) == ("length", "length")

    asked(tmp_path, channel, ask)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
def test_a_tool_is_called_whole_and_streamed_and_its_result_answered(
    choice: Any, channel: str, tmp_path: Path
) -> None:
    async def ask(client: openai.AsyncOpenAI, gateway: Whole) -> None:
        wish: Any = {"model": "m/text", "messages": HELLO, "tools": [TOOL], "tool_choice": choice}
        whole = await client.chat.completions.create(**wish)
        async with client.chat.completions.stream(**wish) as stream:
            streamed = await stream.get_final_completion()
        for answer in (whole, streamed):
            [one] = answer.choices
            assert one.finish_reason == "tool_calls"
            [call] = one.message.tool_calls or []
            assert call.type == "function"
            assert call.function.name == "get_weather"
            assert json.loads(call.function.arguments) == {"city": "Oslo"}
        result = {"role": "tool", "tool_call_id": call.id, "content": "rain in Oslo"}
        messages: Any = [*HELLO, {"role": "user", "content": "get_weather"}, one.message.to_dict(), result]
        last = await client.chat.completions.create(model="m/text", messages=messages, tools=[TOOL])
        assert last.choices[0].finish_reason == "stop"
        assert last.choices[0].message.content

    asked(tmp_path, channel, ask)


def test_a_schema_is_answered_with_what_fits_it(channel: str, tmp_path: Path) -> None:
    async def ask(client: openai.AsyncOpenAI, gateway: Whole) -> None:
        answer = await client.chat.completions.create(model="m/text", messages=HELLO, response_format=FORM)
        assert json.loads(answer.choices[0].message.content or "") == {"city": "Oslo"}

    asked(tmp_path, channel, ask)


@pytest.mark.parametrize("stream", [False, True])
def test_errors_keep_their_status_words_and_wait(stream: bool, channel: str, tmp_path: Path) -> None:
    async def ask(client: openai.AsyncOpenAI, gateway: Whole) -> None:
        with pytest.raises(openai.BadRequestError, match="sim was asked to answer 400"):
            await client.chat.completions.create(model="m/error-400", messages=HELLO, stream=stream)
        with pytest.raises(openai.RateLimitError) as refused:
            await client.chat.completions.create(model="m/error-429-7", messages=HELLO, stream=stream)
        assert 1 <= int(refused.value.response.headers["retry-after"]) <= 7
        for name in ("m/error-503", "m/empty"):
            with pytest.raises(openai.InternalServerError):
                await client.chat.completions.create(model=name, messages=HELLO, stream=stream)

    asked(tmp_path, channel, ask)


def test_cut_breaks_off_after_five_words(channel: str, tmp_path: Path) -> None:
    async def ask(client: openai.AsyncOpenAI, gateway: Whole) -> None:
        stream = await client.chat.completions.create(model="m/cut", messages=HELLO, stream=True)
        said: list[str] = []
        with pytest.raises(openai.APIError):
            await hear(stream, said)
        assert len("".join(said).split()) == 5
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="m/cut", messages=HELLO)

    asked(tmp_path, channel, ask)


async def hear(stream: openai.AsyncStream[ChatCompletionChunk], said: list[str]) -> str | None:
    """Gather what is said; why it ended."""
    finish = None
    async for chunk in stream:
        for choice in chunk.choices:
            said.append(choice.delta.content or "")
            finish = choice.finish_reason or finish
    return finish
