"""Answers that go on as bytes: audio as it comes, or events as they come.

    Bytes      audio, piece by piece
    Decoded    audio inside of events, of which the last one tells the usage
    Relayed    events that the caller asked for

Source: developers.openai.com/api/docs/api-reference/audio/speech-audio-delta-event, .../images-streaming and
the types of OpenAI's SDK (openai 3.54), read 2026-11-25: `speech.audio.delta` has base64, `speech.audio.done`
and `image_generation.completed` have `usage`; an event `error` has an `error`.
"""

import base64
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Raw

from deeptoken.providers import refusal
from deeptoken.providers.base import Asked, Failure, Malformed, Piece
from deeptoken.wire import task_usage
from deeptoken.wire.choice import NULL
from deeptoken.wire.images import NAME as IMAGES
from deeptoken.wire.sse import Event, EventTooLarge, Reader
from deeptoken.wire.usage import Usage

EVENTS = "text/event-stream"
TEXTS = ("text/", "application/json", "application/xml", "application/problem+json")
"""What begins so is no audio."""
DONE = b"[DONE]"
UNKNOWN = "application/octet-stream"


class _Told(msgspec.Struct):
    type: str = ""
    audio: str = ""
    usage: Raw = NULL
    error: Raw = NULL


_told = msgspec.json.Decoder(_Told)


class RawStream:
    """What its readers have in common."""

    def __init__(self, asked: Asked, content_type: str) -> None:
        self.content_type = content_type
        self.upstream_id: str | None = None
        self.done = False
        self._asked = asked

    def feed(self, data: bytes) -> Iterable[Piece]:
        raise NotImplementedError

    def end(self) -> Iterable[Piece]:
        raise NotImplementedError


def stream(asked: Asked, content_type: str | None = None, *, decoded: bool = False) -> RawStream:
    """The reader of an answer whose head says what it is. `content_type` is what audio is called otherwise;
    `decoded`: events are the host's own way, the caller wants the audio in them.

    Raises:
        Malformed: it is neither audio nor events.
    """
    kind = (asked.content_type or "").partition(";")[0].strip().lower()
    if kind == EVENTS:
        return (
            Decoded(asked, content_type or UNKNOWN) if decoded else Relayed(asked, f"{EVENTS}; charset=utf-8")
        )
    if kind.startswith(TEXTS):
        raise Malformed(f"{kind} instead of what was asked for")
    return Bytes(asked, asked.content_type or content_type or UNKNOWN)


class Bytes(RawStream):
    """Audio ends with the connection."""

    _came = False

    def feed(self, data: bytes) -> Iterable[Piece]:
        self._came = True
        return [Piece(content=True, raw=data)]

    def end(self) -> Iterable[Piece]:
        if not self._came:
            raise Malformed("an empty body")
        return [Piece(finish=True)]


class EventStream(RawStream):
    """Events until the last one. Bytes may be cut anywhere."""

    def __init__(self, asked: Asked, content_type: str) -> None:
        super().__init__(asked, content_type)
        self._reader = Reader()
        self._finished = False

    def feed(self, data: bytes) -> Iterator[Piece]:
        try:
            events = self._reader.feed(data)
        except EventTooLarge as error:
            raise Malformed(str(error)) from None
        yield from self._read(events)

    def end(self) -> Iterator[Piece]:
        if not self.done:
            yield from self._read(self._reader.end())
        if not self._finished:
            raise Malformed("the stream was cut before its last event")

    def _read(self, events: Iterable[Event]) -> Iterator[Piece]:
        raise NotImplementedError


class _Events(EventStream):
    """Those of OpenAI's tasks."""

    def _read(self, events: Iterable[Event]) -> Iterator[Piece]:
        for event in events:
            if self.done:
                return
            if event.data == DONE:
                yield from self._end(event)
                continue
            try:
                told = _told.decode(event.data)
                if told.error != NULL or "error" in (event.name, told.type):
                    self.done = self._finished = True
                    yield Piece(failure=_failure(event.data))
                    return
                yield self._piece(event, told)
            except (msgspec.DecodeError, ValueError):
                raise Malformed("an event is no JSON, or not what it should be") from None

    def _end(self, event: Event) -> Iterator[Piece]:
        """``[DONE]``."""
        if not self._finished:
            raise Malformed("the stream ended before its last event")
        self.done = True
        return iter(())

    def _piece(self, event: Event, told: _Told) -> Piece:
        raise NotImplementedError

    def _usage(self, told: _Told) -> tuple[Usage | None, Raw | None]:
        task = self._asked.task
        drawn = task is not None and task.name == IMAGES
        usage, _, shown = task_usage.read(told.usage, drawn=drawn, spoken=not drawn)
        return usage, shown


class Decoded(_Events):
    _came = False

    def _piece(self, event: Event, told: _Told) -> Piece:
        if told.type.endswith(".done"):
            if not self._came:
                raise Malformed("no audio in its events")
            self.done = self._finished = True
            usage, shown = self._usage(told)
            return Piece(finish=True, usage=usage, told=shown)
        raw = base64.b64decode(told.audio, validate=True)
        self._came = self._came or bool(raw)
        return Piece(content=bool(raw), raw=raw)


class Relayed(_Events):
    def _piece(self, event: Event, told: _Told) -> Piece:
        raw = _written(event)
        if told.type.endswith((".done", ".completed")):
            self._finished = True
            usage, shown = self._usage(told)
            return Piece(content=True, finish=True, usage=usage, told=shown, raw=raw)
        return Piece(content=True, raw=raw)

    def _end(self, event: Event) -> Iterator[Piece]:
        yield from super()._end(event)
        yield Piece(raw=_written(event))


def _written(event: Event) -> bytes:
    lines = b"".join(b"data: %b\n" % line for line in event.data.split(b"\n"))
    return b"event: %b\n%b\n" % (event.name.encode(), lines) if event.name else lines + b"\n"


def _failure(data: bytes) -> Failure:
    return refusal.inside(data)
