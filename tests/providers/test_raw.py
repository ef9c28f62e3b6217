"""Answers that go on as bytes: audio and events, however the network cuts them."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasks_asked import asked_for, streamed

from deeptoken.providers.base import Malformed, Piece
from deeptoken.providers.raw import RawStream
from deeptoken.providers.registry import PROVIDERS
from deeptoken.wire.usage import Usage

OPENAI = PROVIDERS["openai"]
EVENTS = "text/event-stream"
AUDIO = bytes(range(256)) * 3


def event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **fields}).encode())


def delta(data: bytes) -> bytes:
    return event("speech.audio.delta", audio=base64.b64encode(data).decode())


USED = {"input_tokens": 4, "output_tokens": 30, "total_tokens": 34}
SPOKEN = delta(AUDIO[:100]) + delta(AUDIO[100:]) + event("speech.audio.done", usage=USED)
PARTIAL = event("image_generation.partial_image", b64_json="QQ==", partial_image_index=0)
DRAWN = PARTIAL + event("image_generation.completed", b64_json="QUJD", usage=USED)


def raw(pieces: list[Piece]) -> bytes:
    return b"".join(piece.raw for piece in pieces)


@given(st.integers(1, len(AUDIO)))
def test_audio_is_given_on_byte_for_byte_and_its_first_byte_commits(cut: int) -> None:
    pieces = streamed(OPENAI, "audio/speech", AUDIO, cut, content_type="audio/mpeg")

    assert raw(pieces) == AUDIO
    assert pieces[0].content
    assert [piece.finish for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(piece.usage is None for piece in pieces)


@given(st.integers(1, len(SPOKEN)))
def test_audio_inside_of_events_is_taken_out_and_the_last_one_tells_the_usage(cut: int) -> None:
    pieces = streamed(OPENAI, "audio/speech", SPOKEN, cut, content_type=f"{EVENTS}; charset=utf-8")

    assert raw(pieces) == AUDIO
    assert pieces[0].content
    assert pieces[-1].finish
    assert pieces[-1].usage == Usage(prompt=4, completion_audio=30)


@pytest.mark.parametrize("ending", [b"", b"data: [DONE]\n\n"])
@given(st.integers(1, len(SPOKEN)))
def test_events_that_the_caller_asked_for_go_on_as_they_are(ending: bytes, cut: int) -> None:
    whole = SPOKEN + ending

    pieces = streamed(OPENAI, "audio/speech", whole, cut, content_type=EVENTS, stream_format="sse")

    assert raw(pieces) == whole
    assert [piece.usage for piece in pieces if piece.usage] == [Usage(prompt=4, completion_audio=30)]
    assert sum(piece.finish for piece in pieces) == 1


@given(st.integers(1, len(DRAWN)))
def test_pictures_go_on_while_they_are_made(cut: int) -> None:
    pieces = streamed(OPENAI, "images/generations", DRAWN, cut, content_type=EVENTS, stream=True)

    assert raw(pieces) == DRAWN
    assert [piece.usage for piece in pieces if piece.usage] == [Usage(prompt=4, completion_image=30)]


def test_events_in_other_frames_go_on_as_the_same_events() -> None:
    framed = b': hello\r\nid: 1\r\nevent: a\r\ndata: {"type": "x.done",\r\ndata: "b64_json": ""}\r\n\r\n'

    pieces = streamed(OPENAI, "images/generations", framed, 7, content_type=EVENTS, stream=True)

    assert raw(pieces) == b'event: a\ndata: {"type": "x.done",\ndata: "b64_json": ""}\n\n'


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (SPOKEN[: -len(event("speech.audio.done", usage=USED))], {}),
        (SPOKEN[:-40], {}),
        (b"", {}),
        (b"data: [DONE]\n\n", {}),
        (delta(b"a") + b"data: [DONE]\n\n", {"stream_format": "sse"}),
        (delta(b"a") + b"data: {cut\n\n", {}),
        (b'data: {"type": "speech.audio.delta", "audio": "a"}\n\n', {}),
        (b'data: {"type": "speech.audio.delta", "audio": 5}\n\n', {}),
        (b"data: []\n\n", {}),
        (event("speech.audio.done", usage=USED), {}),
    ],
)
def test_events_that_break_off_or_are_none_are_no_answer(data: bytes, fields: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        streamed(OPENAI, "audio/speech", data, 11, content_type=EVENTS, **fields)


@pytest.mark.parametrize(
    "told",
    [
        event("error", error={"message": "too hot", "code": "heat"}),
        b'data: {"error": {"message": "too hot", "code": "heat"}}\n\n',
        b'event: error\ndata: {"message": "too hot", "code": "heat"}\n\n',
    ],
)
@pytest.mark.parametrize("form", [None, "sse"])
def test_an_event_that_says_that_it_failed_is_a_failure_and_nothing_follows_it(
    told: bytes, form: str | None
) -> None:
    stream = OPENAI.stream(asked_for("audio/speech", content_type=EVENTS, stream_format=form))

    pieces = [*stream.feed(delta(b"a") + told + delta(b"b")), *stream.end()]

    assert [piece.failure is not None for piece in pieces] == [False, True]
    failure = pieces[-1].failure
    assert failure is not None
    assert (failure.message, failure.code) == ("too hot", "heat")


@pytest.mark.parametrize("kind", ["text/html", "application/json; charset=utf-8", "TEXT/plain"])
def test_what_is_text_by_its_head_is_no_audio(kind: str) -> None:
    with pytest.raises(Malformed, match="instead of"):
        OPENAI.stream(asked_for("audio/speech", content_type=kind))


def test_an_empty_body_is_no_audio() -> None:
    with pytest.raises(Malformed, match="empty"):
        streamed(OPENAI, "audio/speech", b"", 1, content_type="audio/wav")


def test_an_event_without_end_is_refused() -> None:
    stream = OPENAI.stream(asked_for("audio/speech", content_type=EVENTS))

    with pytest.raises(Malformed, match="larger"):
        list(stream.feed(b"data: " + b"a" * 9 * 2**20))


@pytest.mark.parametrize(
    ("told", "form", "shown"),
    [
        ("audio/x-own", None, "audio/x-own"),
        (None, "wav", "audio/wav"),
        (None, "new", "application/octet-stream"),
        (EVENTS, "flac", "audio/flac"),
    ],
)
def test_audio_is_called_what_its_head_says_else_what_was_asked_for(
    told: str | None, form: str | None, shown: str
) -> None:
    stream = OPENAI.stream(asked_for("audio/speech", content_type=told, response_format=form))

    assert isinstance(stream, RawStream)
    assert stream.content_type == shown
