"""OpenAI's Responses at a host that has it: what came goes on, what is answered goes back.

Source: developers.openai.com/api/reference/resources/responses and .../responses/streaming-events, read
2026-11-25. A request's fields go on as they came but for the model and the wallet's limit; an
answer's bytes go back (`native`) but for the canonical model and what a reseller charges. Beside them goes
what the meter needs: text, the end, usage, failures.

    response.completed, .incomplete   the end, with usage
    response.failed, error            a failure
    *.delta                           text
    response.output_item.done         its text, where no delta told it
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from deeptoken.catalog.model import Candidate
from deeptoken.providers import refusal
from deeptoken.providers.base import Asked, Failure, Malformed, Piece, Reply
from deeptoken.providers.host import Host, has_v1
from deeptoken.providers.openai import BROKEN, HEAD_BYTES, TIERS, TRUE, OpenAI, no_events
from deeptoken.wire.chat import Chat
from deeptoken.wire.choice import FIELDS, NULL, encode
from deeptoken.wire.completion import COSTS, read_usage
from deeptoken.wire.http import HttpRequest
from deeptoken.wire.responses_answer import usage_object
from deeptoken.wire.responses_events import LAST, Told, read_told
from deeptoken.wire.responses_reasoning import without_ours
from deeptoken.wire.sse import Event, EventTooLarge, Reader
from deeptoken.wire.usage import Usage

DEFAULT_TIER = Raw(b'"default"')
CALLERS_CODES = re.compile(r"invalid_prompt|context_length_exceeded|.*_policy.*|.*image.*")
"""Codes of a response that failed for what was asked."""
NOTHING = Raw()

_decode = msgspec.json.decode


class Answer(msgspec.Struct):
    """What has to be known of a whole response."""

    id: str | None = None
    status: str | None = None
    error: Any = None
    output: list[Any] | None = None
    usage: Raw = NULL


_answer = msgspec.json.Decoder(Answer).decode


def has_responses(host: Host, at: Candidate) -> bool:
    """Whether this channel speaks the dialect: by its own option, else as its host does at home."""
    told = at.channel.options.get("responses")
    if isinstance(told, bool):
        return told
    if host.azure:
        return has_v1(at)
    return host.responses and at.channel.base_url.rstrip("/") in ("", host.base_url)


class Responses:
    """The Responses of one host; `chat` knows its addresses and keys."""

    def __init__(self, chat: OpenAI) -> None:
        self._chat = chat

    @property
    def name(self) -> str:
        return self._chat.name

    def request(self, chat: Chat, at: Candidate, *, stream: bool, limit: int | None) -> HttpRequest:
        fields = dict(chat.native.fields) if chat.native is not None else {}
        fields["model"] = Raw(encode(at.upstream_model))
        fields.pop("stream", None)
        if stream:
            fields["stream"] = TRUE
        else:
            fields.pop("stream_options", None)
        if "input" in fields:
            fields["input"] = without_ours(fields["input"])
        if limit is not None:
            fields["max_output_tokens"] = Raw(encode(limit))
        return HttpRequest(self._chat.url(at, "responses"), self._chat.headers(at), encode(fields))

    def reply(self, body: bytes, asked: Asked) -> Reply:
        try:
            body.decode()  # fields that nobody here reads must be UTF-8 too
            answer = _answer(body)
        except BROKEN as error:
            raise Malformed(f"no response in JSON: {refusal.words_of(body).message or error}") from None
        if answer.error is not None or answer.status == "failed":
            raise Malformed(f"an error under a 200: {refusal.words_of(body).message}")
        if answer.output is None or answer.status not in ("completed", "incomplete"):
            raise Malformed("a response that has not ended")
        native, usage, told = _shown(Raw(body), self._chat.host, asked)
        text = "".join(_text(item) for item in answer.output)
        return Reply({}, text, usage, told, upstream_id=answer.id, native=native)

    def stream(self, asked: Asked) -> "ResponseStream":
        return ResponseStream(self._chat.host, asked)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return self._chat.failure(status, headers, body)


class ResponseStream:
    """A streamed response: events until the one that ends it."""

    __slots__ = ("_asked", "_head", "_host", "_reader", "_told", "done", "upstream_id")

    def __init__(self, host: Host, asked: Asked) -> None:
        self._host = host
        self._asked = asked
        self._reader = Reader()
        self._head: bytes | None = b""
        """The first bytes, until there is an event."""
        self._told: set[int | None] = set()
        """The items whose text came in deltas."""
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
            if self.done:
                return
            piece = self._piece(event)
            if piece is not None:
                yield piece

    def end(self) -> Iterator[Piece]:
        for event in [] if self.done else self._reader.end():
            piece = self._piece(event)
            if piece is not None:
                yield piece
        if self.done:
            return
        if self._head is not None:
            raise Malformed(no_events(self._head))
        raise Malformed("the stream was cut: nothing ended the response")

    def _piece(self, event: Event) -> Piece | None:
        data = event.data
        if not data.isascii() or b"\n" in data:
            # What is no UTF-8 becomes U+FFFD; a line end between tokens becomes a space.
            data = data.decode("utf-8", "replace").replace("\n", " ").encode()
        if not data or data.isspace() or data == b"[DONE]":
            return None
        self._head = None
        try:
            told = read_told(data)
            return self._read(told, data, told.type or event.name)
        except BROKEN as error:
            raise Malformed(f"an event is no JSON of this dialect: {error}") from None

    def _read(self, told: Told, data: bytes, kind: str) -> Piece | None:
        if kind == "error" or (not kind and FIELDS.decode(data).get("error", NULL) != NULL):
            return self._failed(_failure(data))
        if not kind:
            return None
        if kind == "response.failed":
            return self._failed(_failure(encode({"error": FIELDS.decode(told.response).get("error", NULL)})))
        if told.response:
            return self._whole(told, data, kind)
        if isinstance(told.delta, str) and kind.endswith(".delta"):
            self._told.add(told.output_index)
            return Piece(b"", told.delta, bool(told.delta), native=data, native_name=kind)
        text = ""
        if told.item:
            if kind == "response.output_item.added":
                text = _named(_decode(told.item))
            elif told.output_index not in self._told:
                text = _text(_decode(told.item), named=False)
        return Piece(b"", text, bool(text), native=data, native_name=kind)

    def _whole(self, told: Told, data: bytes, kind: str) -> Piece:
        """An event that tells the response as it stands."""
        response, usage, shown = _shown(told.response, self._host, self._asked)
        own = _decode(FIELDS.decode(told.response).get("id", NULL))
        self.upstream_id = self.upstream_id or (own if isinstance(own, str) else None)
        native = encode({**FIELDS.decode(data), "response": response})
        if kind not in LAST:
            return Piece(native=native, native_name=kind)
        self.done = True
        return Piece(finish=True, usage=usage, told=shown, native=native, native_name=kind)

    def _failed(self, failure: Failure) -> Piece:
        self.done = True
        return Piece(failure=failure)


def _shown(response: Raw, host: Host, asked: Asked) -> tuple[dict[str, Raw], Usage | None, Raw | None]:
    """A response as the caller may see it, and what it used."""
    fields = FIELDS.decode(response)
    fields["model"] = Raw(encode(asked.model))
    if host.own_tiers and fields.get("service_tier", NULL) not in TIERS:
        fields["service_tier"] = DEFAULT_TIER
    counts = _decode(fields.get("usage", NULL))
    if not isinstance(counts, dict):
        return fields, None, None
    names = {
        "prompt_tokens": "input_tokens",
        "completion_tokens": "output_tokens",
        "total_tokens": "total_tokens",
        "prompt_tokens_details": "input_tokens_details",
        "completion_tokens_details": "output_tokens_details",
    }
    chats = {name: counts[theirs] for name, theirs in names.items() if theirs in counts}
    usage, told = read_usage(Raw(encode(chats)), reasoning_outside=host.reasoning_outside)
    shown = _filled(counts, usage)
    if shown != counts:
        fields["usage"] = Raw(encode(shown))
    return fields, usage, told


def _filled(counts: dict[str, Any], usage: Usage | None) -> dict[str, Any]:
    """A usage without what a reseller charges, and with the counts that the host left out."""
    shown = {name: told for name, told in counts.items() if name not in COSTS}
    for name, ours in ({} if usage is None else usage_object(usage)).items():
        told = shown.get(name)
        if isinstance(ours, dict) and isinstance(told, dict):
            shown[name] = {**told, **{one: count for one, count in ours.items() if told.get(one) is None}}
        elif told is None:
            shown[name] = ours
    return shown


def _failure(data: bytes) -> Failure:
    failure = refusal.inside(data)
    code = failure.code or ""
    if code == "rate_limit_exceeded":
        return msgspec.structs.replace(failure, cause="capacity")
    if failure.cause == "outage" and CALLERS_CODES.fullmatch(code):
        return msgspec.structs.replace(failure, cause="caller", status=400)
    return failure


def _named(item: object) -> str:
    match item:
        case {"type": "function_call" | "custom_tool_call", "name": str(name)}:
            return name
    return ""


def _text(item: object, *, named: bool = True) -> str:
    """What was generated in an item, for the meter."""
    if not isinstance(item, dict):
        return ""
    texts = [_named(item)] if named else []
    texts += [item[name] for name in ("arguments", "input") if isinstance(item.get(name), str)]
    for name in ("summary", "content"):
        parts = item.get(name)
        for part in parts if isinstance(parts, list) else ():
            match part:
                case {"text": str(text)} | {"refusal": str(text)}:
                    texts.append(text)
    return "".join(texts)
