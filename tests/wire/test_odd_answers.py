"""Whatever shape a provider gives the fields of an answer: each dialect writes what it can of it.

One field of a good answer, or of a chunk of one, is replaced by any JSON. What comes through the adapter that
passes fields on unread (OpenAI's) is written in every dialect.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from odd_scene import ANYTHING, DETAIL, FACTS, OTHER

from deeptoken.providers.base import Asked, Malformed, Piece
from deeptoken.providers.registry import PROVIDERS
from deeptoken.wire import completions, messages_events, responses_events
from deeptoken.wire.completion import Assembler
from deeptoken.wire.completions import Texts
from deeptoken.wire.messages_answer import message
from deeptoken.wire.responses_answer import End, response
from deeptoken.wire.usage import Usage
from odd_shapes import Path, paths, replaced

ASKED = Asked(model="acme/one", id="chatcmpl-1", created=7)
TEXT = completions.read(b'{"model":"acme/one","prompt":"hi"}')
TOP = {"token": "a", "logprob": -1, "bytes": [1]}
SAID = {
    "role": "assistant",
    "content": "hello",
    "refusal": None,
    "reasoning_content": "t",
    "annotations": [
        {
            "type": "url_citation",
            "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1},
        }
    ],
    "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}],
    "reasoning_details": [DETAIL, OTHER],
    "tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
CHOICE = {
    "index": 0,
    "finish_reason": "stop",
    "stop_reason": None,
    "logprobs": {"content": [{**TOP, "top_logprobs": [TOP]}]},
}
ANSWER: dict[str, Any] = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "service_tier": "default",
    "choices": [{**CHOICE, "message": SAID}],
}
CHUNK: dict[str, Any] = {
    **ANSWER,
    "object": "chat.completion.chunk",
    "choices": [{**CHOICE, "finish_reason": None, "delta": SAID}],
}
FIRST = {**CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
LAST = {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}

Write = Callable[[dict[str, Any]], object]
Stream = tuple[Callable[[bytes], bytes], Callable[[], bytes]]
"""What writes a chunk, and what writes the end."""

WHOLES: dict[str, Write] = {
    "chat": lambda fields: fields,
    "messages": lambda fields: message(fields, Usage()),
    "responses": lambda fields: response(fields, FACTS, End(Usage())),
    "completions": lambda fields: Texts(TEXT).whole(fields),
}


def _of_messages() -> Stream:
    events = messages_events.Events("acme/one", "msg_1")
    return events.chunk, partial(events.end, Usage())


def _of_responses() -> Stream:
    events = responses_events.Events(FACTS)
    return events.chunk, partial(events.end, End(Usage()))


def _of_completions() -> Stream:
    return Texts(TEXT).chunk, bytes


def _of_one_put_together() -> Stream:
    assembler = Assembler()

    def end() -> bytes:
        return b"".join(msgspec.json.encode(write(assembler.whole())) for write in WHOLES.values())

    def add(data: bytes) -> bytes:
        assembler.add(data)
        return b""

    return add, end


STREAMS = {
    "messages": _of_messages,
    "responses": _of_responses,
    "completions": _of_completions,
    "put together": _of_one_put_together,
}


@pytest.mark.parametrize("write", WHOLES.values(), ids=WHOLES)
@given(st.sampled_from(list(paths(ANSWER))), ANYTHING)
@example(("choices", 0, "message", "reasoning_details"), ["x"])
@example(("choices", 0, "message", "reasoning_details"), 1.5)
@example(("choices", 0, "message", "reasoning_details"), True)
@example(("choices", 0, "message", "reasoning_details", 0, "index"), -7)
@example(("choices", 0, "logprobs"), True)
@example(("choices", 0, "logprobs", "content"), [None])
@example(("choices", 0, "logprobs", "content", 0, "top_logprobs"), [1])
@example(("choices", 0, "logprobs", "content", 0, "token"), 1.5)
def test_a_whole_answer_with_a_field_of_any_shape_is_written(write: Write, path: Path, value: Any) -> None:
    told = json.dumps(replaced(ANSWER, path, value)).encode()

    try:
        reply = PROVIDERS["openai"].reply(told, ASKED)
    except Malformed:
        assume(False)

    assert json.loads(msgspec.json.encode(write(reply.fields))) is not None


@pytest.mark.parametrize("begin", STREAMS.values(), ids=STREAMS)
@given(st.sampled_from(list(paths(CHUNK))), ANYTHING)
@example(("choices", 0, "delta", "reasoning_details"), ["x"])
@example(("choices", 0, "delta", "reasoning_details"), True)
@example(("choices", 0, "delta", "reasoning_details", 0, "text"), 5)
@example(("choices", 0, "delta", "reasoning_details", 0, "signature"), {})
@example(("choices", 0, "logprobs"), True)
def test_a_stream_with_a_field_of_any_shape_is_written(
    begin: Callable[[], Stream], path: Path, value: Any
) -> None:
    chunks = [FIRST, CHUNK, replaced(CHUNK, path, value), CHUNK, LAST]
    told = b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks)

    try:
        pieces = _pieces(told)
    except Malformed:
        assume(False)
    chunk, end = begin()
    written = b"".join(chunk(piece.data) for piece in pieces if piece.data) + end()

    assert written


@pytest.mark.parametrize("name", ["messages", "put together", "responses", "completions"])
def test_a_number_beyond_all_numbers_is_passed_on_or_is_no_json(name: str) -> None:
    chunk, end = STREAMS[name]()
    data = json.dumps(CHUNK).replace('"hello"', '"hello", "score": 1e400').encode()

    with suppress(msgspec.DecodeError):
        chunk(data)
        assert isinstance(end(), bytes)


def _pieces(told: bytes) -> list[Piece]:
    stream = PROVIDERS["openai"].stream(ASKED)
    pieces = [*stream.feed(told + b"data: [DONE]\n\n"), *stream.end()]
    assume(not any(piece.failure for piece in pieces))
    return pieces
