"""Transcriptions and translations of OpenAI's API, and of the hosts that have them.

Source: developers.openai.com/api/docs/api-reference/audio and the types of its SDK (openai 3.54), read
2026-11-25. An answer is JSON, text, subtitles or events, and goes on as it came but for the canonical model
and what it charges the operator, where a host tells these. What it used is told as

    usage      {type: duration, seconds} or {type: tokens, input_tokens, input_token_details, output_tokens};
               Mistral: {prompt_audio_seconds, prompt_tokens, completion_tokens, total_tokens}
    duration   seconds, of ``verbose_json`` and ``diarized_json``
    nowhere    in text and subtitles, and by hosts that do not tell
"""

import math
from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec
from msgspec import Raw

from deeptoken.catalog.model import Candidate
from deeptoken.providers import refusal
from deeptoken.providers.base import Asked, Malformed, Piece, Reply
from deeptoken.providers.host import Host, headers, url
from deeptoken.providers.raw import EVENTS, EventStream, RawStream
from deeptoken.wire.choice import FIELDS, NULL, encode
from deeptoken.wire.completion import COSTS, COUNT_MAX
from deeptoken.wire.http import HttpRequest
from deeptoken.wire.sse import Event
from deeptoken.wire.task import Task
from deeptoken.wire.usage import Usage

JSON, PLAIN, HTML = "application/json", "text/plain; charset=utf-8", "text/html"
DONE = b"[DONE]"
LAST = (".done", ".completed")
"""How the name of the last event ends."""
READ_MAX = 16 * 1024 * 1024
"""Of an answer whose end tells what it used. A larger one tells nothing."""

Count = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)] | None
Seconds = Annotated[float, msgspec.Meta(ge=0, le=COUNT_MAX)] | None


class _Details(msgspec.Struct, frozen=True):
    audio_tokens: Count = None


class _Used(msgspec.Struct, frozen=True):
    seconds: Seconds = None
    prompt_audio_seconds: Seconds = None
    input_tokens: Count = None
    prompt_tokens: Count = None
    output_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    input_token_details: _Details | None = None


class _Told(msgspec.Struct, frozen=True):
    duration: Seconds = None
    usage: _Used | None = None


def request(host: Host, task: Task, at: Candidate, path: str) -> HttpRequest:
    upload = task.upload
    assert upload is not None
    fields = [field for field in headers(host, at) if field[0] != "content-type"]
    fields.append(("content-type", upload.content_type))
    return HttpRequest(url(host, at, path), tuple(fields), upload=upload.named(at.upstream_model))


def reply(body: bytes, asked: Asked) -> Reply:
    """Raises:
    Malformed: it is no answer.
    """
    kind = _kind(asked)
    if not body:
        raise Malformed("an empty body")
    if kind == HTML:
        raise Malformed("HTML instead of an answer")
    if kind == EVENTS:
        relayed = Relayed(asked)
        pieces = [*relayed.feed(body), *relayed.end()]
        for piece in pieces:
            if piece.failure is not None:
                raise Malformed(f"an error under a 200: {piece.failure.message}")
        told = [piece for piece in pieces if piece.usage or piece.units]
        usage, units = (told[-1].usage, told[-1].units) if told else (None, None)
        raw = b"".join(piece.raw for piece in pieces)
        return Reply(fields={}, usage=usage, units=units, body=raw, content_type=asked.content_type)
    if kind != JSON:
        return Reply(fields={}, body=body, content_type=asked.content_type or PLAIN)
    try:
        body.decode()
        fields = FIELDS.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise Malformed("an answer that is no JSON object") from None
    if fields.get("error", NULL) != NULL:
        raise Malformed(f"an error under a 200: {refusal.words_of(body).message}")
    if not bytes(fields.get("text", NULL)).startswith(b'"'):
        raise Malformed("an answer without text")
    usage, units = _usage(fields)
    return Reply(
        fields={}, usage=usage, units=units, body=_shown(body, fields, asked), content_type=asked.content_type
    )


def stream(asked: Asked) -> RawStream:
    """The reader of an answer that was to be streamed. A model that cannot says all at once.

    Raises:
        Malformed: its head says that it is no answer.
    """
    kind = _kind(asked)
    if kind == HTML:
        raise Malformed("HTML instead of an answer")
    return Relayed(asked) if kind == EVENTS else Whole(asked)


class Relayed(EventStream):
    """Those of a transcription, as they came."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked, f"{EVENTS}; charset=utf-8")

    def end(self) -> Iterator[Piece]:
        yield from super().end()
        self.done = True

    def _read(self, events: Iterable[Event]) -> Iterator[Piece]:
        for event in events:
            if self.done:
                return
            if event.data == DONE:
                self.done = self._finished = True
                yield Piece(content=True, finish=True, raw=_written(event.name, DONE))
                return
            try:
                fields = FIELDS.decode(event.data)
                name = msgspec.json.decode(fields.get("type", NULL))
            except (msgspec.DecodeError, ValueError, RecursionError):
                raise Malformed("an event is no JSON object") from None
            if fields.get("error", NULL) != NULL or "error" in (event.name, name):
                self.done = self._finished = True
                yield Piece(failure=refusal.inside(event.data))
                return
            yield self._piece(event, fields, isinstance(name, str) and name.endswith(LAST))

    def _piece(self, event: Event, fields: dict[str, Raw], last: bool) -> Piece:
        self._finished = self._finished or last
        usage, units = _usage(fields)
        raw = _written(event.name, _shown(event.data, fields, self._asked))
        return Piece(content=True, finish=last, usage=usage, units=units, raw=raw)


class Whole(RawStream):
    """An answer that ends with the connection."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked, asked.content_type or PLAIN)
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Piece]:
        self._size += len(data)
        if self._size <= READ_MAX:
            self._parts.append(data)
            return
        held, self._parts = b"".join(self._parts), []
        yield Piece(content=True, raw=held + data)

    def end(self) -> Iterator[Piece]:
        if self._size > READ_MAX:
            yield Piece(finish=True)
            return
        whole = reply(b"".join(self._parts), self._asked)
        yield Piece(content=True, finish=True, usage=whole.usage, units=whole.units, raw=whole.body or b"")


def _kind(asked: Asked) -> str:
    return (asked.content_type or "").partition(";")[0].strip().lower()


def _usage(fields: dict[str, Raw]) -> tuple[Usage | None, Usage | None]:
    """The tokens, and the seconds, where they are told."""
    try:
        told = msgspec.convert(
            {name: msgspec.json.decode(fields[name]) for name in ("duration", "usage") if name in fields},
            _Told,
            strict=False,  # vLLM writes a duration as text
        )
    except (msgspec.ValidationError, RecursionError):
        return None, None
    used = told.usage or _Used()
    heard = next((s for s in (used.seconds, used.prompt_audio_seconds, told.duration) if s is not None), None)
    units = None if heard is None else Usage(seconds=math.ceil(heard))
    into = used.prompt_tokens if used.input_tokens is None else used.input_tokens
    if into is None:
        return None, units
    out = (used.completion_tokens if used.output_tokens is None else used.output_tokens) or 0
    # Mistral counts the audio beside the prompt, and tells it in the total alone.
    beside = max(0, (used.total_tokens or 0) - into - out)
    details = used.input_token_details or _Details()
    audio = details.audio_tokens
    if audio is None:
        audio = 0 if beside else into
    audio = min(audio, into)
    return Usage(prompt=into - audio, prompt_audio=audio + beside, completion=out), units


def _shown(body: bytes, fields: dict[str, Raw], asked: Asked) -> bytes:
    """What the caller reads: the same bytes, unless they tell what is the operator's."""
    changed = dict(fields)
    if "model" in fields:
        changed["model"] = Raw(encode(asked.model))
    if bytes(fields.get("usage", NULL)).startswith(b"{"):
        usage = FIELDS.decode(fields["usage"])
        if COSTS & usage.keys():
            shown = {name: value for name, value in usage.items() if name not in COSTS}
            changed["usage"] = Raw(encode(shown))
    return body if changed == fields else encode(changed)


def _written(name: str, data: bytes) -> bytes:
    lines = b"".join(b"data: %b\n" % line for line in data.split(b"\n"))
    return b"event: %b\n%b\n" % (name.encode(), lines) if name else lines + b"\n"
