"""The same as `test_odd_answers.py`, of answers that come in the caller's own dialect and are passed on."""

import json
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from odd_scene import ANYTHING, FACTS

from deeptoken.providers.base import Asked, Malformed, Piece, Stream
from deeptoken.providers.compatible import HOSTS
from deeptoken.providers.openai import OpenAI
from deeptoken.providers.openai_completions import Completions
from deeptoken.providers.openai_responses import Responses
from deeptoken.providers.registry import PROVIDERS
from deeptoken.wire import messages_events, responses_events
from deeptoken.wire.completions import Joined
from deeptoken.wire.messages_answer import costed
from deeptoken.wire.messages_assembler import Assembler
from deeptoken.wire.responses_answer import End, passed
from deeptoken.wire.usage import Usage
from odd_shapes import Path, paths, replaced

COST = {"cost": 7}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": None,
    "usage": {"input_tokens": 3, "output_tokens": 1},
}
CALL = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": MESSAGE},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "t"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "hi"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {}}},
    {"type": "content_block_stop", "index": 1},
    {"type": "content_block_start", "index": 2, "content_block": CALL},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {"type": "content_block_stop", "index": 2},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
    {"type": "message_stop"},
]
WHOLE = MESSAGE | {"content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn"}
ITEM = {
    "id": "i",
    "type": "message",
    "status": "in_progress",
    "content": [{"type": "output_text", "text": "a"}],
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "output": [ITEM],
    "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
}
TOLD: list[dict[str, Any]] = [
    {"type": "response.created", "sequence_number": 0, "response": RESPONSE | {"status": "in_progress"}},
    {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": ITEM},
    {"type": "response.output_text.delta", "sequence_number": 2, "output_index": 0, "delta": "a"},
    {"type": "response.output_item.done", "sequence_number": 3, "output_index": 0, "item": ITEM},
    {"type": "response.completed", "sequence_number": 4, "response": RESPONSE},
]
LOGPROBS = {"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": [{"a": -1}], "text_offset": [0]}
TEXT = {"text": "a", "index": 0, "logprobs": LOGPROBS, "finish_reason": None}
TEXTS: list[dict[str, Any]] = [
    {"id": "c", "object": "text_completion", "created": 1, "choices": [TEXT]},
    {"id": "c", "object": "text_completion", "created": 1, "choices": [TEXT | {"finish_reason": "stop"}]},
]


@given(st.sampled_from(list(paths(EVENTS))), ANYTHING)
@example((0, "message", "usage"), 5)
@example((12, "usage"), "x")
@example((6, "index"), "x")
def test_a_message_with_a_field_of_any_shape_is_passed_on(path: Path, value: Any) -> None:
    pieces = _pieces(PROVIDERS["anthropic"].stream(_asked("messages")), replaced(EVENTS, path, value))
    events, whole = messages_events.Events("acme/one", "msg_1"), Assembler()

    written = b"".join(events.native(piece.native) for piece in pieces if piece.native)
    written += events.end(Usage(), more=COST)
    for piece in pieces:
        if piece.native:
            whole.add(piece.native)

    assert written
    assert msgspec.json.encode(costed(whole.whole(), COST))


@given(st.sampled_from(list(paths(WHOLE))), ANYTHING)
@example(("usage",), [])
def test_a_whole_message_with_a_field_of_any_shape_is_passed_on(path: Path, value: Any) -> None:
    body = json.dumps(replaced(WHOLE, path, value)).encode()
    try:
        reply = PROVIDERS["anthropic"].reply(body, _asked("messages"))
    except Malformed:
        assume(False)

    assert reply.native is not None
    assert msgspec.json.encode(costed(reply.native, COST))


@pytest.mark.parametrize("whole", [True, False])
@given(st.sampled_from(list(paths(TOLD))), ANYTHING)
@example((4, "response", "usage"), [])
@example((0, "response"), {"status": 5})
def test_a_response_with_a_field_of_any_shape_is_passed_on(whole: bool, path: Path, value: Any) -> None:
    pieces = _pieces(Responses(OpenAI(HOSTS[0])).stream(_asked("responses")), replaced(TOLD, path, value))
    relay, end = responses_events.Relay(FACTS), End(Usage(), more=COST)

    written = b"".join(relay.event(piece.native_name, piece.native) for piece in pieces)

    assert written + (msgspec.json.encode(relay.final(end)) if whole else relay.end(end))


@given(st.sampled_from(list(paths(RESPONSE))), ANYTHING)
@example(("usage",), [])
def test_a_whole_response_with_a_field_of_any_shape_is_passed_on(path: Path, value: Any) -> None:
    body = json.dumps(replaced(RESPONSE, path, value)).encode()
    try:
        reply = Responses(OpenAI(HOSTS[0])).reply(body, _asked("responses"))
    except Malformed:
        assume(False)

    assert reply.native is not None
    assert msgspec.json.encode(passed(reply.native, COST))


@given(st.sampled_from(list(paths(TEXTS))), ANYTHING)
@example((0, "choices", 0, "logprobs"), "x")
def test_a_text_with_a_field_of_any_shape_is_put_together(path: Path, value: Any) -> None:
    stream = Completions(OpenAI(HOSTS[0])).stream(_asked("completions"))
    joined = Joined()
    for piece in _pieces(stream, replaced(TEXTS, path, value)):
        if piece.native:
            joined.add(piece.native)

    assert msgspec.json.encode(joined.whole("length"))


def _asked(dialect: str) -> Asked:
    return Asked(model="acme/one", id="chatcmpl-1", created=7, dialect=dialect)


def _pieces(stream: Stream, events: Iterable[object]) -> list[Piece]:
    pieces: list[Piece] = []
    try:
        for event in deepcopy(list(events)):
            pieces += stream.feed(b"data: %b\n\n" % json.dumps(event).encode())
        pieces += stream.end()
    except Malformed:
        assume(False)
    assume(not any(piece.failure for piece in pieces))
    return pieces
