"""The mock, asked by the vendors' own clients over a real socket."""

import asyncio
import base64
import io
import math
import socket
import wave
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anthropic
import msgspec
import openai
import pytest
from anthropic.types import Message, TextBlock, ToolUseBlock

from deeptoken import mock
from deeptoken.mock import Mock

T = TypeVar("T")
TOOL: Any = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"enum": ["New York"]}}, "required": ["city"]},
}
HELLO: Any = [{"role": "user", "content": "hello there"}]


def with_openai(ask: Callable[[openai.AsyncOpenAI], Awaitable[T]]) -> T:
    async def run() -> T:
        async with (
            mock.running() as url,
            openai.AsyncOpenAI(base_url=url, api_key="any", max_retries=0, timeout=10) as client,
        ):
            return await ask(client)

    return asyncio.run(run())


def with_anthropic(ask: Callable[[anthropic.AsyncAnthropic], Awaitable[T]]) -> T:
    async def run() -> T:
        async with (
            mock.running() as url,
            anthropic.AsyncAnthropic(
                base_url=url.removesuffix("/v1"), api_key="any", max_retries=0, timeout=10
            ) as client,
        ):
            return await ask(client)

    return asyncio.run(run())


@pytest.mark.filterwarnings("ignore:deprecated")
@pytest.mark.parametrize("name", ["transcriptions", "translations"])
def test_audio_is_heard_as_long_as_it_lasts(name: str) -> None:
    async def ask(client: openai.AsyncOpenAI) -> tuple[str, str]:
        spoken = (await client.audio.speech.create(model="text", voice="x", input="one " * 40)).content
        heard = await getattr(client.audio, name).create(file=("a.wav", spoken), model="text")
        with pytest.raises(openai.BadRequestError) as refused:
            await getattr(client.audio, name).create(file=("a.wav", spoken), model="")
        return heard.text, str(refused.value.param)

    assert with_openai(ask) == ("This audio lasts 2 seconds.", "model")


async def exchange(url: str, model: str, path: str = "/v1/chat/completions", **fields: Any) -> bytes:
    """All bytes that come back until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.removesuffix("/v1").rsplit(":")[-1]))
    body = msgspec.json.encode({"model": model, "messages": HELLO, "max_tokens": 100} | fields)
    head = f"POST {path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await reader.read()
    writer.close()
    return answer


def exchanged(model: str, path: str = "/v1/chat/completions", **fields: Any) -> bytes:
    async def run() -> bytes:
        async with mock.running() as url:
            return await exchange(url, model, path, **fields)

    return asyncio.run(run())


def test_openais_client_gets_a_whole_answer() -> None:
    answer = with_openai(lambda client: client.chat.completions.create(model="echo", messages=HELLO))

    assert answer.choices[0].message.content == "hello there"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 4
    assert answer.id.startswith("chatcmpl-")


def test_openais_client_gets_a_stream() -> None:
    async def ask(client: openai.AsyncOpenAI) -> list[str]:
        stream = await client.chat.completions.create(model="echo", messages=HELLO, stream=True)
        return [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]

    assert with_openai(ask) == ["", "hello", " there", ""]


def test_openais_client_meets_the_error_that_it_asked_for() -> None:
    with pytest.raises(openai.RateLimitError) as refused:
        with_openai(lambda client: client.chat.completions.create(model="error-429-30", messages=HELLO))

    assert refused.value.response.headers["retry-after"] == "30"
    assert refused.value.code == "rate_limit_exceeded"


def test_a_bad_request_names_its_field() -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        with_openai(lambda client: client.chat.completions.create(model="text", messages=HELLO, n=0))

    assert refused.value.param == "n"


def test_models_are_listed_and_any_is_known() -> None:
    async def ask(client: openai.AsyncOpenAI) -> list[str]:
        known = await client.models.retrieve("sim/error-500")
        return [known.id, *[model.id async for model in client.models.list()]]

    assert with_openai(ask) == ["sim/error-500", *mock.NAMES]


def test_embeddings_are_unit_vectors() -> None:
    async def ask(client: openai.AsyncOpenAI) -> list[list[float]]:
        texts = await client.embeddings.create(model="text", input=["a", "b"], dimensions=8)
        plain = await client.embeddings.create(model="text", input="a", dimensions=8, encoding_format="float")
        tokens = await client.embeddings.create(model="text", input=[1, 2], dimensions=8)
        return [entry.embedding for answer in (texts, plain, tokens) for entry in answer.data]

    one, other, again, tokens = with_openai(ask)

    assert all(math.isclose(math.hypot(*vector), 1, rel_tol=1e-6) for vector in (one, other, again, tokens))
    assert one == pytest.approx(again)
    assert one != other != tokens


def test_openais_client_gets_moderations_and_pictures() -> None:
    async def ask(client: openai.AsyncOpenAI) -> tuple[list[bool], list[str | None]]:
        judged = await client.moderations.create(model="text", input=["love", "hate"])
        drawn = await client.images.generate(model="text", prompt="a cat", n=2)
        return [one.flagged for one in judged.results], [one.b64_json for one in drawn.data or []]

    flagged, pictures = with_openai(ask)

    assert flagged == [False, True]
    assert [base64.b64decode(picture or "")[1:4] for picture in pictures] == [b"PNG", b"PNG"]


def test_openais_client_hears_speech() -> None:
    async def ask(client: openai.AsyncOpenAI) -> bytes:
        return (await client.audio.speech.create(model="text", input="one two", voice="alloy")).content

    with wave.open(io.BytesIO(with_openai(ask))) as sound:
        assert sound.getnframes() == 800


def test_documents_are_ranked() -> None:
    answer = exchanged("text", "/v1/rerank", query="big dog", documents=["a cat", "a big dog"])

    ranked = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])
    assert [one["index"] for one in ranked["results"]] == [1, 0]


def test_anthropics_client_gets_a_whole_answer() -> None:
    answer = with_anthropic(
        lambda client: client.messages.create(model="echo", max_tokens=9, system="be brief", messages=HELLO)
    )

    assert [block.text for block in answer.content if isinstance(block, TextBlock)] == ["hello there"]
    assert answer.stop_reason == "end_turn"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (4, 2)


def test_anthropics_client_gets_the_same_from_a_stream() -> None:
    async def ask(client: anthropic.AsyncAnthropic) -> Message:
        async with client.messages.stream(model="echo", max_tokens=1, messages=HELLO) as stream:
            return await stream.get_final_message()

    answer = with_anthropic(ask)

    assert [block.text for block in answer.content if isinstance(block, TextBlock)] == ["hello"]
    assert answer.stop_reason == "max_tokens"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (2, 1)


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_anthropics_client_gets_a_tool_call_whole_and_streamed(choice: Any) -> None:
    async def ask(client: anthropic.AsyncAnthropic) -> list[Message]:
        asked: Any = {
            "model": "text",
            "max_tokens": 9,
            "messages": HELLO,
            "tools": [TOOL],
            "tool_choice": choice,
        }
        async with client.messages.stream(**asked) as stream:
            return [await client.messages.create(**asked), await stream.get_final_message()]

    whole, streamed = with_anthropic(ask)

    for answer in (whole, streamed):
        [block] = answer.content
        assert isinstance(block, ToolUseBlock)
        assert (block.name, block.input) == ("get_weather", {"city": "New York"})
        assert answer.stop_reason == "tool_use"
    assert whole.content[0] == streamed.content[0]


def test_a_tool_result_is_answered_in_words() -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "sun"}]}
    messages: Any = [
        {"role": "user", "content": "get_weather"},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]

    answer = with_anthropic(
        lambda client: client.messages.create(model="text", max_tokens=99, messages=messages, tools=[TOOL])
    )

    assert [block.type for block in answer.content] == ["text"]


def test_anthropics_client_meets_the_error_that_it_asked_for() -> None:
    with pytest.raises(anthropic.APIStatusError) as refused:
        with_anthropic(
            lambda client: client.messages.create(model="error-529-3", max_tokens=1, messages=HELLO)
        )

    assert refused.value.status_code == 529
    assert refused.value.response.headers["retry-after"] == "3"
    body = refused.value.body
    assert isinstance(body, dict)
    assert body["error"]["type"] == "overloaded_error"


def test_anthropics_client_counts_tokens() -> None:
    counted = with_anthropic(lambda client: client.messages.count_tokens(model="text", messages=HELLO))

    assert counted.input_tokens == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_empty_closes_the_connection_without_a_byte(path: str, stream: bool) -> None:
    assert exchanged("empty", path, stream=stream) == b""


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_cut_breaks_a_stream_after_five_words(path: str) -> None:
    answer = exchanged("cut", path, stream=True)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert body.count(b'"content":"') - 1 == 5 or body.count(b"text_delta") == 5
    assert b"[DONE]" not in body
    assert not body.endswith(b"0\r\n\r\n")


def test_cut_breaks_a_whole_answer_before_its_end() -> None:
    answer = exchanged("cut")

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert not answer.endswith(b"0\r\n\r\n")


def test_stall_never_answers_and_goes_when_the_client_goes() -> None:
    async def run() -> list[object]:
        gone = asyncio.Event()
        events = [
            {
                "type": "http.request",
                "body": b'{"model": "stall", "messages": [{"role": "user", "content": ""}]}',
            }
        ]
        sent: list[object] = []

        async def receive() -> Any:
            if events:
                return events.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(event: Any) -> None:
            sent.append(event)

        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions"}
        asking = asyncio.create_task(Mock()(scope, receive, send))
        done, _ = await asyncio.wait([asking], timeout=0.05)
        assert not done
        gone.set()
        await asking
        return sent

    assert asyncio.run(run()) == []


def test_a_body_that_is_no_request_is_refused_in_the_dialect_of_its_route() -> None:
    answers = [Mock().answer("POST", path, b"{") for path in ("/v1/chat/completions", "/v1/messages")]

    errors = [msgspec.json.decode(step.data) for answer in answers for step in answer.steps]
    assert [answer.status for answer in answers] == [400, 400]
    assert errors[0]["error"]["type"] == "invalid_request_error"
    assert errors[1]["type"] == "error"
    assert Mock().answer("GET", "/nothing", b"").status == 404


def test_delay_and_pace_are_those_of_the_command_line() -> None:
    body = msgspec.json.encode({"model": "echo", "messages": HELLO, "stream": True})

    answers = [
        Mock({"delay": 3, "pace": 2}).answer("POST", path, body)
        for path in ("/v1/chat/completions", "/v1/messages")
    ]

    assert [[step.wait_s for step in answer.steps] for answer in answers] == [[0, 3, 0.5, 0, 0]] * 2


def test_a_body_does_not_wait_until_its_head_is_acknowledged() -> None:
    with mock.listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()

    with connection:
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
