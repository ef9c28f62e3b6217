"""What a form asks for, and what that may cost."""

from typing import Any

import pytest
from form_scene import BOUNDARY, audio, form, part, wav

from deeptoken.errors import BadRequest
from deeptoken.wire import transcriptions
from deeptoken.wire.chat import Chat
from deeptoken.wire.form import Form
from deeptoken.wire.http import Upload
from deeptoken.wire.transcriptions import TRANSCRIPTIONS, TranscriptionRequest

MODEL = part("model", "whisper-1")


class Nowhere:
    """A body that nobody takes."""

    taken = False
    awaited = False
    given_at = None
    content_type = "multipart/form-data; boundary=3f9c0a"
    likely_s = 7

    def named(self, model: str) -> Upload:
        raise NotImplementedError


def asked(*parts: bytes, size: int = 60_000) -> Chat:
    made = Form(BOUNDARY)
    made.feed(form(*parts))
    return transcriptions.read(TRANSCRIPTIONS, made, size, Nowhere())


def request(*fields: bytes) -> Any:
    task = asked(MODEL, *fields, audio()).task
    assert task is not None
    return task.request


def test_a_form_asks_for_a_model_and_how_it_is_answered() -> None:
    chat = asked(MODEL, part("stream", "true"), part("response_format", "vtt"), part("prompt", "x"), audio())

    assert chat.task is not None
    assert chat.task.name == "audio/transcriptions"
    wanted = TranscriptionRequest(model="whisper-1", response_format="vtt", stream=True)
    assert chat.task.request == wanted
    assert (chat.request.model, chat.stream, chat.task.stream) == ("whisper-1", True, True)
    assert (chat.fields, chat.ours) == ({}, {})


@pytest.mark.parametrize(
    ("value", "streams"), [("true", True), ("True", True), ("1", True), ("false", False), ("", False)]
)
def test_it_is_streamed_where_that_is_said(value: str, streams: bool) -> None:
    assert request(part("stream", value)).stream is streams


def test_it_is_json_where_nothing_else_is_said() -> None:
    assert request().response_format == request(part("response_format", "")).response_format == "json"


def test_as_much_is_bound_as_so_many_bytes_may_last() -> None:
    packed = asked(MODEL, audio(b"ID3"), size=60_000).task
    plain = asked(MODEL, audio(wav()), size=60_000).task

    assert packed is not None
    assert plain is not None
    assert packed.bound.seconds == 60
    assert plain.bound.seconds == 2
    assert packed.bound.prompt_audio >= 10 * 60
    assert packed.bound.completion >= 4 * 60
    assert packed.units.seconds <= packed.bound.seconds


def test_what_is_for_the_gateway_is_json_as_in_other_bodies() -> None:
    chat = asked(MODEL, part("max_cost_usd", "0.5"), part("models", '["a", "b"]'), audio())

    assert {name: bytes(raw) for name, raw in chat.ours.items()} == {
        "max_cost_usd": b"0.5",
        "models": b'["a", "b"]',
    }
    with pytest.raises(BadRequest, match="expected JSON") as refused:
        asked(MODEL, part("provider", "{"), audio())
    assert refused.value.param == "provider"


@pytest.mark.parametrize(
    ("parts", "param"),
    [
        ((audio(),), "model"),
        ((part("model", ""), audio()), "model"),
        ((part("model", "x" * 257), audio()), "model"),
        ((MODEL,), "file"),
        ((MODEL, part("audio", "x", filename="a.wav")), "file"),
    ],
)
def test_what_is_missing_is_named(parts: tuple[bytes, ...], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(*parts)

    assert refused.value.param == param
