"""Anthropic's streamed answers as chunks of a chat completion.

    message_start          the role; the id, and the tokens of the prompt
    content_block_start    a tool call: its id and name. What the API's own tools do is not passed on
    content_block_delta    text, reasoning and its signature, arguments as they come
    content_block_stop     arguments that never came are {}
    message_delta          the finish, then the usage so far: each count is cumulative
    message_stop           the end
    error                  a failure; nothing follows it

A caller of this dialect gets the events themselves too, those that say nothing to a chat as well.

Source: platform.claude.com/docs/en/build-with-claude/streaming, read 2026-11-23. `ping`, and what is not
known yet, says nothing.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from deeptoken.providers import anthropic_native
from deeptoken.providers.anthropic_answer import (
    FINISH,
    NOTHING,
    STOP,
    Block,
    Counts,
    ErrorBody,
    Positions,
    encrypted_detail,
    failure_told,
    read_counts,
    text_detail,
    usage_of,
)
from deeptoken.providers.base import Asked, Malformed, Piece
from deeptoken.wire.choice import call_id
from deeptoken.wire.completion import usage_object
from deeptoken.wire.sse import EventTooLarge, Reader


class _Started(msgspec.Struct, gc=False):
    id: str | None = None
    usage: msgspec.Raw = NOTHING


class _Event(msgspec.Struct, gc=False):
    """Any event: one shape, of which each kind fills its part."""

    type: str = ""
    index: int = 0
    delta: Block | None = None
    content_block: Block | None = None
    message: _Started | None = None
    usage: msgspec.Raw = NOTHING
    error: ErrorBody | None = None


NOT_PASSED = ("", "ping", "error")
"""Events that a caller of this dialect gets from us, if at all."""

_decode = msgspec.json.Decoder(_Event).decode
_encode = msgspec.json.Encoder().encode


class _Open(msgspec.Struct, gc=False):
    """A block that has begun and is passed on. `place` is a thought's position, a call's number."""

    type: str
    place: int = 0
    unsaid: str = ""
    """Arguments that a call has if no delta brings them."""


class MessageStream:
    """One streamed answer."""

    __slots__ = (
        "_blocks",
        "_counts",
        "_done",
        "_finished",
        "_head",
        "_id",
        "_kind",
        "_native",
        "_places",
        "_reader",
        "_tail",
        "asked",
        "upstream_id",
    )

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.upstream_id: str | None = None
        self._reader = Reader()
        self._native = asked.dialect == anthropic_native.DIALECT
        self._kind = ""
        """The type of the last event."""
        self._blocks: dict[int, _Open] = {}
        self._places = Positions()
        self._counts = Counts()
        self._finished = False
        self._done = False
        self._head = b""
        self._id = asked.id
        self._tail = b',"logprobs":null,"finish_reason":null}]}'
        self._begin(asked.id)

    @property
    def done(self) -> bool:
        return self._done

    def feed(self, data: bytes) -> Iterator[Piece]:
        try:
            events = self._reader.feed(data)
        except EventTooLarge as error:
            raise Malformed(str(error)) from None
        read = self._natively if self._native else self._read
        for event in events:
            yield from read(event.data)

    def end(self) -> Iterator[Piece]:
        read = self._natively if self._native else self._read
        for event in self._reader.end():
            yield from read(event.data)
        if not self._done and not self._finished:
            raise Malformed("The answer was cut: it told no stop_reason.")

    def _begin(self, id: str) -> None:
        self._id, asked = id, self.asked
        known = {"id": id, "object": "chat.completion.chunk", "created": asked.created, "model": asked.model}
        self._head = _encode(known)[:-1] + b',"choices":[{"index":0,"delta":'

    def _natively(self, data: bytes) -> Iterator[Piece]:
        """The pieces of an event, and with the first of them the event itself."""
        if self._done:
            return
        pieces = list(self._read(data))
        if self._kind not in NOT_PASSED:
            if not pieces:
                pieces.append(Piece(content=self._kind == "content_block_delta"))
            try:
                pieces[0].native = anthropic_native.event(data, self._kind, self.asked.model)
            except msgspec.DecodeError:
                raise Malformed("An event of the answer is no JSON of this dialect.") from None
        yield from pieces

    def _read(self, data: bytes) -> Iterator[Piece]:
        if self._done:
            return
        try:
            event = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Malformed("An event of the answer is no JSON of this dialect.") from None
        self._kind = event.type
        match event.type:
            case "content_block_delta" | "content_block_start" | "content_block_stop":
                yield from self._part(event)
            case "message_start":
                yield from self._start(event.message or _Started())
            case "message_delta":
                yield from self._told(event)
            case "message_stop":
                if not self._finished:
                    yield self._finish(STOP)
                self._done = True
            case "error":
                self._done = True
                yield Piece(failure=failure_told(event.error))

    def _part(self, event: _Event) -> Iterator[Piece]:
        if event.delta is not None:
            if piece := self._delta(event.index, event.delta):
                yield piece
        elif event.content_block is not None:
            yield from self._block(event.index, event.content_block)
        elif (block := self._blocks.pop(event.index, None)) and block.unsaid:
            yield self._arguments(block.place, block.unsaid)

    def _start(self, message: _Started) -> Iterator[Piece]:
        if message.id:
            self.upstream_id = message.id
            self._begin(message.id)
        yield self._chunk({"role": "assistant", "content": ""})
        if message.usage:
            yield from self._usage(message.usage)

    def _block(self, index: int, block: Block) -> Iterator[Piece]:
        match block.type:
            case "text":
                self._blocks[index] = _Open("text")
                if block.text:
                    yield self._text(block.text)
            case "thinking":
                self._blocks[index] = _Open("thinking", self._places.thought())
                if piece := self._thought(index, block):
                    yield piece
            case "redacted_thinking" if block.data:
                detail = encrypted_detail(block.data, self._places.thought())
                yield self._chunk({"reasoning_details": [detail]}, content=True)
            case "tool_use":
                number = self._places.call()
                said = bytes(block.input).decode() if block.input else "{}"
                self._blocks[index] = _Open("tool_use", number, "{}" if said == "null" else said)
                function = {"name": block.name or "", "arguments": ""}
                call = {
                    "index": number,
                    "id": block.id or call_id(self._id, number),
                    "type": "function",
                    "function": function,
                }
                yield self._chunk({"tool_calls": [call]}, content=True)

    def _delta(self, index: int, delta: Block) -> Piece | None:
        block = self._blocks.get(index)
        if block is None:
            return None
        if delta.text and block.type == "text":
            return self._text(delta.text)
        if delta.partial_json and block.type == "tool_use":
            block.unsaid = ""
            return self._arguments(block.place, delta.partial_json)
        if block.type == "thinking":
            return self._thought(index, delta)
        return None

    def _text(self, text: str) -> Piece:
        self._places.text(text)
        return Piece(self._head + b'{"content":' + _encode(text) + b"}" + self._tail, text, content=True)

    def _arguments(self, number: int, arguments: str) -> Piece:
        call = {"index": number, "function": {"arguments": arguments}}
        return self._chunk({"tool_calls": [call]}, arguments, content=True)

    def _thought(self, index: int, part: Block) -> Piece | None:
        text = part.thinking or ""
        if not text and not part.signature:
            return None
        delta: dict[str, Any] = {"reasoning_content": text} if text else {}
        delta["reasoning_details"] = [text_detail(text, part.signature, self._blocks[index].place)]
        return self._chunk(delta, text, content=True)

    def _told(self, event: _Event) -> Iterator[Piece]:
        reason = event.delta.stop_reason if event.delta else None
        if reason and not self._finished:
            yield self._finish(FINISH.get(reason, STOP))
        if event.usage:
            yield from self._usage(event.usage)

    def _finish(self, reason: str) -> Piece:
        self._finished = True
        end = b'{},"logprobs":null,"finish_reason":' + _encode(reason) + b"}]}"
        return Piece(self._head + end, finish=True)

    def _usage(self, told: msgspec.Raw) -> Iterator[Piece]:
        self._counts = self._counts.then(read_counts(told))
        if usage := usage_of(self._counts):
            yield Piece(usage=usage, told=msgspec.Raw(_encode(usage_object(usage))))

    def _chunk(self, delta: dict[str, Any], text: str = "", *, content: bool = False) -> Piece:
        return Piece(self._head + _encode(delta) + self._tail, text, content=content)
