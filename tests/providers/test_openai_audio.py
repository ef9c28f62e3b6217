"""Audio at the hosts that hear it: what they are asked, and what they say they used."""

import json
from typing import Any

import msgspec
import pytest

from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.errors import BadRequest
from deeptoken.money import PicoUsd
from deeptoken.providers.base import Asked, Malformed, Piece, Reply
from deeptoken.providers.compatible import PROVIDERS
from deeptoken.wire.chat import Chat, ChatRequest
from deeptoken.wire.http import Upload
from deeptoken.wire.task import Task
from deeptoken.wire.transcriptions import TRANSCRIPTIONS, TRANSLATIONS, TranscriptionRequest
from deeptoken.wire.usage import Usage

EVENTS, JSON = "text/event-stream; charset=utf-8", "application/json"
FORM = "multipart/form-data; boundary=x"


class Given:
    """A body for some upstream."""

    size = 5

    def __init__(self, model: str) -> None:
        self.model = model

    async def read(self) -> bytes:
        raise NotImplementedError


class Incoming:
    taken = False
    awaited = False
    given_at = None
    content_type = FORM
    likely_s = 7

    def named(self, model: str) -> Upload:
        return Given(model)


def task(name: str = TRANSCRIPTIONS, *, stream: bool = False) -> Task:
    request = TranscriptionRequest(model="m", stream=stream)
    return Task(name, request, bound=Usage(seconds=60), stream=stream, upload=Incoming())


def at(provider: str, **settings: Any) -> Candidate:
    rates = Rates(prompt=PicoUsd(0), completion=PicoUsd(0), second=PicoUsd(1))
    told = {"name": "c", "provider": provider, "label": provider, "base_url": "", "models": {}, "secret": "s"}
    model = Model(id="m", price=Price(id=1, model="m", rates=rates))
    return Candidate(Channel(**{**told, **settings}), model, "hidden")


def asked(content_type: str | None = JSON, **options: Any) -> Asked:
    return Asked(model="m", id="i", created=1, task=task(**options), content_type=content_type)


def reply(body: dict[str, Any] | bytes, content_type: str | None = JSON) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return PROVIDERS["openai"].reply(raw, asked(content_type))


def events(*told: dict[str, Any] | str) -> bytes:
    return b"".join(
        b"data: %b\n\n" % (one if isinstance(one, str) else json.dumps(one)).encode() for one in told
    )


def streamed(body: bytes, content_type: str | None = EVENTS, *, size: int = 0) -> list[Piece]:
    stream = PROVIDERS["openai"].stream(asked(content_type, stream=True))
    step = size or len(body)
    pieces = [
        piece for start in range(0, len(body), step) for piece in stream.feed(body[start : start + step])
    ]
    return [*pieces, *stream.end()]


def raw(pieces: list[Piece]) -> bytes:
    return b"".join(piece.raw for piece in pieces)


def used(pieces: list[Piece]) -> tuple[Usage | None, Usage | None]:
    """What was told last."""
    told = [(piece.usage, piece.units) for piece in pieces if piece.usage or piece.units]
    return told[-1] if told else (None, None)


@pytest.mark.parametrize(
    ("provider", "name", "url"),
    [
        ("openai", TRANSCRIPTIONS, "https://api.openai.com/v1/audio/transcriptions"),
        ("openai", TRANSLATIONS, "https://api.openai.com/v1/audio/translations"),
        ("groq", TRANSCRIPTIONS, "https://api.groq.com/openai/v1/audio/transcriptions"),
        ("groq", TRANSLATIONS, "https://api.groq.com/openai/v1/audio/translations"),
        ("mistral", TRANSCRIPTIONS, "https://api.mistral.ai/v1/audio/transcriptions"),
        ("deepinfra", TRANSLATIONS, "https://api.deepinfra.com/v1/openai/audio/translations"),
        ("together", TRANSLATIONS, "https://api.together.xyz/v1/audio/translations"),
        ("sambanova", TRANSCRIPTIONS, "https://api.sambanova.ai/v1/audio/transcriptions"),
        ("openrouter", TRANSCRIPTIONS, "https://openrouter.ai/api/v1/audio/transcriptions"),
        ("vllm", TRANSLATIONS, "http://localhost:8000/v1/audio/translations"),
    ],
)
def test_a_host_is_sent_the_form_as_it_comes_with_the_model_by_its_name(
    provider: str, name: str, url: str
) -> None:
    chat = Chat(ChatRequest(model="m", messages=[]), {}, {}, 0, task=task(name))

    request = PROVIDERS[provider].request(chat, at(provider), stream=False, limit=None)

    assert (request.url, request.method, request.body) == (url, "POST", b"")
    assert dict(request.headers) == {"authorization": "Bearer s", "content-type": FORM}
    assert isinstance(request.upload, Given)
    assert request.upload.model == "hidden"


def test_azure_names_the_deployment_in_the_address_and_keeps_its_key_in_its_own_field() -> None:
    chat = Chat(ChatRequest(model="m", messages=[]), {}, {}, 0, task=task())
    there = at("azure", base_url="https://me.openai.azure.com", options={"api_version": "2025-04-01-preview"})

    request = PROVIDERS["azure"].request(chat, there, stream=False, limit=None)

    path = "/openai/deployments/hidden/audio/transcriptions?api-version=2025-04-01-preview"
    assert request.url == "https://me.openai.azure.com" + path
    assert dict(request.headers) == {"api-key": "s", "content-type": FORM}


@pytest.mark.parametrize(("provider", "name"), [("mistral", TRANSLATIONS), ("deepseek", TRANSCRIPTIONS)])
def test_a_host_that_does_not_hear_is_passed_over(provider: str, name: str) -> None:
    chat = Chat(ChatRequest(model="m", messages=[]), {}, {}, 0, task=task(name))

    with pytest.raises(BadRequest, match=f"has no {name}"):
        PROVIDERS[provider].request(chat, at(provider), stream=False, limit=None)


TOKENS = {
    "type": "tokens",
    "input_tokens": 14,
    "input_token_details": {"text_tokens": 2, "audio_tokens": 12},
    "output_tokens": 45,
    "total_tokens": 59,
}


@pytest.mark.parametrize(
    ("told", "usage", "units"),
    [
        ({}, None, None),
        ({"usage": None}, None, None),
        ({"usage": {"type": "duration", "seconds": 9}}, None, Usage(seconds=9)),
        ({"usage": {"type": "duration", "seconds": 8.1}}, None, Usage(seconds=9)),
        ({"usage": {"type": "duration", "seconds": 0}}, None, Usage()),
        ({"duration": 8.470000267028809}, None, Usage(seconds=9)),
        ({"duration": "5.0"}, None, Usage(seconds=5)),
        ({"duration": 8.2, "usage": {"type": "duration", "seconds": 10}}, None, Usage(seconds=10)),
        ({"usage": TOKENS}, Usage(prompt=2, prompt_audio=12, completion=45), None),
        (
            {"usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 45}},
            Usage(prompt_audio=14, completion=45),
            None,
        ),
        (
            {
                "usage": {
                    "prompt_audio_seconds": 203,
                    "prompt_tokens": 4,
                    "completion_tokens": 635,
                    "total_tokens": 3264,
                }
            },
            Usage(prompt=4, prompt_audio=2625, completion=635),
            Usage(seconds=203),
        ),
        ({"usage": {"seconds": -1}}, None, None),
        ({"usage": {"input_tokens": "many"}}, None, None),
        ({"usage": "none"}, None, None),
        ({"duration": []}, None, None),
    ],
)
def test_what_was_used_is_read_as_hosts_tell_it(
    told: dict[str, Any], usage: Usage | None, units: Usage | None
) -> None:
    whole = {"text": "hello", **told}
    last = {"type": "transcript.text.done", **whole}

    answer = reply(whole)
    pieces = streamed(events({"type": "transcript.text.delta", "delta": "hello"}, last))

    assert (answer.usage, answer.units) == (usage, units)
    assert used(pieces) == (usage or None, units or None) or units == Usage()
    assert answer.body == json.dumps(whole).encode()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"hello\n", "text/plain; charset=utf-8"),
        (b"1\n00:00:00,000 --> 00:00:01,000\nhello\n", "application/x-subrip"),
        (b"WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n", "text/vtt"),
        (b'{"text": "no", "error": {}}', "text/plain"),
        (b"\n", None),
    ],
)
def test_text_and_subtitles_go_on_as_they_came_and_tell_nothing(body: bytes, kind: str | None) -> None:
    answer = reply(body, kind)

    assert (answer.body, answer.usage, answer.units) == (body, None, None)
    assert answer.content_type == (kind or "text/plain; charset=utf-8")
    assert raw(streamed(body, kind, size=3)) == body


def test_what_is_the_operators_stays_with_the_operator() -> None:
    usage = {"seconds": 9.2, "cost": 0.0005, "total_tokens": 1}

    answer = reply({"text": "hello", "model": "hidden", "usage": usage})
    pieces = streamed(events({"type": "transcription.done", "text": "x", "model": "hidden", "usage": usage}))

    told = {"model": "m", "usage": {"seconds": 9.2, "total_tokens": 1}}
    assert msgspec.json.decode(answer.body or b"") == {"text": "hello", **told}
    assert raw(pieces).count(b"hidden") == raw(pieces).count(b"cost") == 0
    assert answer.units == used(pieces)[1] == Usage(seconds=10)


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"", JSON, "empty"),
        (b"", "text/plain", "empty"),
        (b"<html></html>", "text/html; charset=utf-8", "HTML"),
        (b"{", JSON, "no JSON object"),
        (b"[]", JSON, "no JSON object"),
        (b'{"text": "\xff"}', JSON, "no JSON object"),
        (b'{"text": null}', JSON, "without text"),
        (b"{}", JSON, "without text"),
        (b'{"error": {"message": "bad audio"}}', JSON, "bad audio"),
        (events({"error": {"message": "bad audio"}}), EVENTS, "bad audio"),
        (events({"type": "transcript.text.delta", "delta": "x"}), EVENTS, "cut"),
        (events("x"), EVENTS, "no JSON object"),
    ],
)
def test_what_is_no_answer_is_none(body: bytes, kind: str, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        reply(body, kind)


STREAM = (
    b'event: transcript.text.delta\ndata: {"type":"transcript.text.delta", "delta":"hel"}\n\n'
    b'data: {"type":"transcript.text.delta","delta":"lo","tomorrow":1}\n\n'
    b'data: {"type":"transcript.text.done","text":"hello","usage":{"type":"tokens","input_tokens":14,'
    b'"input_token_details":{"audio_tokens":12},"output_tokens":5,"total_tokens":19}}\n\n'
    b"data: [DONE]\n\n"
)


@pytest.mark.parametrize("size", range(1, len(STREAM), 7))
def test_events_go_on_byte_for_byte_wherever_they_are_cut(size: int) -> None:
    pieces = streamed(STREAM, size=size)

    assert raw(pieces) == STREAM
    assert used(pieces) == (Usage(prompt=2, prompt_audio=12, completion=5), None)
    assert [piece.finish for piece in pieces] == [False, False, True, True]
    assert pieces[0].content


def test_the_first_event_goes_on_before_the_next_one_comes() -> None:
    stream = PROVIDERS["openai"].stream(asked(EVENTS, stream=True))
    end = STREAM.index(b"\n\n") + 2

    first = list(stream.feed(STREAM[:end]))

    assert [piece.raw for piece in first] == [STREAM[:end]]
    assert not stream.done


def test_a_stream_ends_with_its_last_event_or_with_done() -> None:
    told = streamed(events({"type": "transcript.text.done", "text": "x"}))
    marked = streamed(events({"object": "transcription.chunk", "choices": []}, "[DONE]"))

    assert told[-1].finish
    assert marked[-1].finish
    with pytest.raises(Malformed, match="cut"):
        streamed(events({"type": "transcript.text.delta", "delta": "x"}))


def test_an_error_among_the_events_is_the_end() -> None:
    stream = PROVIDERS["openai"].stream(asked(EVENTS, stream=True))

    pieces = list(stream.feed(events({"type": "error", "error": {"message": "too loud"}}, {"type": "x"})))

    assert [piece.failure and piece.failure.message for piece in pieces] == ["too loud"]
    assert stream.done


def test_a_model_that_cannot_stream_says_it_all_at_once() -> None:
    body = b'{"text":"hello","usage":{"type":"duration","seconds":3}}'

    pieces = streamed(body, JSON, size=5)

    assert [piece.raw for piece in pieces] == [body]
    assert (pieces[0].finish, pieces[0].units) == (True, Usage(seconds=3))
    with pytest.raises(Malformed, match="HTML"):
        streamed(b"<html>", "text/html")
    with pytest.raises(Malformed, match="empty"):
        streamed(b"", JSON, size=1)


def test_an_answer_that_is_too_large_to_be_read_goes_on_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deeptoken.providers.openai_audio.READ_MAX", 8)
    body = b"a long transcript"

    pieces = streamed(body, "text/plain", size=5)

    assert raw(pieces) == body
    assert [piece.finish for piece in pieces] == [False, False, False, True]
