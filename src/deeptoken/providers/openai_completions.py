"""OpenAI's legacy completions at a host that has it: a prompt goes on, its text comes back.

Source: developers.openai.com/api/reference/resources/completions and docs.vllm.ai/en/latest/serving, read
2026-11-25. A request's fields go on as they came but for the model, the limit (16 tokens where none is
told, as OpenAI documents; not every host keeps that) and the usage that is always asked for; an answer's
go back (`native`, without its usage) but for the canonical model, and what breaks the rules is mended.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from deeptoken.catalog.model import Candidate
from deeptoken.providers import refusal
from deeptoken.providers.base import Asked, Failure, Malformed, Piece, Reply
from deeptoken.providers.host import Host
from deeptoken.providers.openai import BROKEN, HEAD_BYTES, TRUE, OpenAI, no_events
from deeptoken.wire.chat import Chat
from deeptoken.wire.choice import FIELDS, NULL, OBJECTS, Broken, encode, finish_of
from deeptoken.wire.completion import read_usage
from deeptoken.wire.completions import MAX_TOKENS, TEXT_REASONS
from deeptoken.wire.http import HttpRequest
from deeptoken.wire.sse import Event, EventTooLarge, Reader
from deeptoken.wire.usage import Usage

TEXT = Raw(b'"text_completion"')
STOP = "stop"

_decode = msgspec.json.decode


class Choice(msgspec.Struct, gc=False):
    index: int | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: Raw = NULL


_choices = msgspec.json.Decoder(list[Choice]).decode


class Chosen(msgspec.Struct):
    """The choices of an answer or a chunk, mended; their text, and which of them have ended."""

    raw: Raw
    text: str
    seen: set[int]
    ended: set[int]


def has_completions(host: Host, at: Candidate) -> bool:
    return bool(host.completions) and re.fullmatch(host.completions, at.upstream_model) is not None


class Completions:
    """The completions of one host; `chat` knows its addresses and keys."""

    def __init__(self, chat: OpenAI) -> None:
        self._chat = chat

    @property
    def name(self) -> str:
        return self._chat.name

    def request(self, chat: Chat, at: Candidate, *, stream: bool, limit: int | None) -> HttpRequest:
        fields = dict(chat.native.fields) if chat.native is not None else {}
        fields["model"] = Raw(encode(at.upstream_model))
        if limit is not None or "max_tokens" not in fields:
            fields["max_tokens"] = Raw(encode(MAX_TOKENS if limit is None else limit))
        fields.pop("stream", None)
        options = fields.pop("stream_options", NULL)
        if stream:
            fields["stream"] = TRUE
            wanted: dict[str, Any] = _decode(options) or {}
            fields["stream_options"] = Raw(encode({**wanted, "include_usage": True}))
        return HttpRequest(self._chat.url(at, "completions"), self._chat.headers(at), encode(fields))

    def reply(self, body: bytes, asked: Asked) -> Reply:
        try:
            body.decode()  # fields that nobody here reads must be UTF-8 too
            fields = FIELDS.decode(body)
            if fields.get("error", NULL) != NULL:
                raise Malformed(f"an error under a 200: {refusal.words_of(body).message}")
            chosen = _chosen(fields.get("choices", NULL), whole=True)
            usage, told = _usage(fields, self._chat.host)
            own = _own_id(fields)
        except BROKEN as error:
            raise Malformed(f"no completion in JSON: {refusal.words_of(body).message or error}") from None
        if not chosen.seen:
            raise Malformed("an answer without choices")
        native = _shown(fields, chosen.raw, own or asked.id, asked)
        return Reply({}, chosen.text, usage, told, upstream_id=own, native=native)

    def stream(self, asked: Asked) -> "TextStream":
        return TextStream(self._chat.host, asked)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return self._chat.failure(status, headers, body)


class TextStream:
    """A streamed answer: ``text_completion`` events until ``[DONE]``."""

    __slots__ = ("_asked", "_ended", "_head", "_host", "_id", "_reader", "_seen", "done", "upstream_id")

    def __init__(self, host: Host, asked: Asked) -> None:
        self._host = host
        self._asked = asked
        self._reader = Reader()
        self._head: bytes | None = b""
        """The first bytes, until there is an event."""
        self._id: str | None = None
        self._seen: set[int] = set()
        self._ended: set[int] = set()
        self.upstream_id: str | None = None
        self.done = False

    def feed(self, data: bytes) -> Iterator[Piece]:
        if self._head is not None and len(self._head) < HEAD_BYTES:
            self._head += data[:HEAD_BYTES]
        try:
            events = self._reader.feed(data)
        except EventTooLarge as error:
            raise Malformed(str(error)) from None
        for event in events:
            yield from self._event(event)

    def end(self) -> Iterator[Piece]:
        for event in [] if self.done else self._reader.end():
            yield from self._event(event)
        if self.done:
            return
        if self._head is not None:
            raise Malformed(no_events(self._head))
        if not self._seen or self._seen - self._ended:
            raise Malformed("the stream was cut: neither a finish reason nor [DONE]")
        self.done = True

    def _event(self, event: Event) -> Iterator[Piece]:
        if self.done:
            return
        data = event.data
        if data == b"[DONE]":
            yield from self._end()
            return
        if not data.isascii() or b"\n" in data:
            # What is no UTF-8 becomes U+FFFD; a line end between tokens becomes a space.
            data = data.decode("utf-8", "replace").replace("\n", " ").encode()
        if not data or data.isspace():
            return
        self._head = None
        try:
            piece = self._piece(event.name, FIELDS.decode(data), data)
        except Broken as error:
            piece = self._failed(Failure(cause="outage", message=str(error)))
        except BROKEN as error:
            raise Malformed(f"an event is no JSON of this dialect: {error}") from None
        if piece is not None:
            yield piece

    def _end(self) -> Iterator[Piece]:
        """[DONE] was seen: what has no finish reason stopped."""
        if not self._seen:
            raise Malformed("a stream without choices")
        self.done = True
        if left := sorted(self._seen - self._ended):
            ends = [{"text": "", "index": at, "logprobs": None, "finish_reason": STOP} for at in left]
            native = _shown({}, Raw(encode(ends)), self._id or self._asked.id, self._asked)
            yield Piece(finish=True, native=encode(native))

    def _piece(self, name: str, fields: dict[str, Raw], data: bytes) -> Piece | None:
        if name == "error" or fields.get("error", NULL) != NULL:
            return self._failed(refusal.inside(data))
        usage, told = _usage(fields, self._host)
        chosen = _chosen(fields.get("choices", NULL), whole=False)
        if not chosen.seen:
            return None if usage is None else Piece(usage=usage, told=told)
        self.upstream_id = self.upstream_id or _own_id(fields)
        self._id = self._id or self.upstream_id or self._asked.id
        self._seen |= chosen.seen
        self._ended |= chosen.ended
        native = _shown(fields, chosen.raw, self._id, self._asked)
        text = chosen.text
        return Piece(b"", text, bool(text), bool(chosen.ended), usage, told, native=encode(native))

    def _failed(self, failure: Failure) -> Piece:
        self.done = True
        return Piece(failure=failure)


def _chosen(raw: Raw, *, whole: bool) -> Chosen:
    """Raises:
    Broken: the host says that it failed.
    msgspec.ValidationError: they are no list of choices.
    """
    if raw == NULL:
        return Chosen(raw, "", set(), set())
    chosen = Chosen(raw, "", set(), set())
    fields = OBJECTS.decode(raw)
    for place, (told, choice) in enumerate(zip(fields, _choices(raw), strict=True)):
        index = place if choice.index is None else choice.index
        reason: str | None = choice.finish_reason or (STOP if whole else None)
        if reason is not None:
            reason = finish_of(reason, called=False)
            reason = reason if reason in TEXT_REASONS else STOP
            chosen.ended.add(index)
        chosen.seen.add(index)
        chosen.text += choice.text or ""
        told["text"] = Raw(encode(choice.text or ""))
        told["index"] = Raw(encode(index))
        told["logprobs"] = choice.logprobs
        told["finish_reason"] = Raw(encode(reason))
    chosen.raw = Raw(encode(fields))
    return chosen


def _shown(fields: dict[str, Raw], choices: Raw, id: str, asked: Asked) -> dict[str, Raw]:
    """An answer or a chunk as the caller may see it."""
    created = _decode(fields.get("created", NULL))
    known = {
        "id": Raw(encode(id)),
        "object": TEXT,
        "created": Raw(encode(created if isinstance(created, int) and created > 0 else asked.created)),
        "model": Raw(encode(asked.model)),
        "choices": choices,
    }
    return {**fields, **known}


def _usage(fields: dict[str, Raw], host: Host) -> tuple[Usage | None, Raw | None]:
    raw = fields.pop("usage", NULL)
    return (None, None) if raw == NULL else read_usage(raw, reasoning_outside=host.reasoning_outside)


def _own_id(fields: dict[str, Raw]) -> str | None:
    told = _decode(fields.get("id", NULL))
    return told if isinstance(told, str) and told else None
