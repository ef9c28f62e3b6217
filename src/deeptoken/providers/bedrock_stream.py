"""Converse's streamed answers as chunks of a chat completion.

    messageStart         the role
    contentBlockStart    a tool call: its id and name. Text and reasoning begin without it
    contentBlockDelta    text, reasoning and its signature, arguments as they come
    contentBlockStop     arguments that never came are {}; what was encrypted is whole
    messageStop          the finish
    metadata             the usage: the end
    an exception, an error    a failure; nothing follows it

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html, read 2026-11-25. What
the model's own server does (a tool of its own, what it cites) is not passed on.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import msgspec

from deeptoken.providers.anthropic_answer import Positions
from deeptoken.providers.base import Asked, Malformed, Piece
from deeptoken.providers.bedrock_answer import (
    NOTHING,
    SERVER_TOOL,
    STOP,
    Block,
    Reasoning,
    ToolUse,
    failure_told,
    finish_of,
    usage_of,
)
from deeptoken.providers.bedrock_models import encrypted_told, text_told, written_format
from deeptoken.wire.choice import call_id
from deeptoken.wire.completion import usage_object
from deeptoken.wire.eventstream import BrokenFrame, Frame, Reader

KINDS = frozenset(
    (
        *("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop"),
        *("messageStop", "metadata"),
    )
)
"""The events that say something here."""


class _Event(msgspec.Struct, gc=False, rename="camel"):
    """Any event: one shape, of which each kind fills its part."""

    content_block_index: int = 0
    start: Block | None = None
    delta: Block | None = None
    stop_reason: str | None = None
    usage: msgspec.Raw = NOTHING


class _Refusal(msgspec.Struct, gc=False, rename="camel"):
    message: str | None = None
    original_message: str | None = None


_decode = msgspec.json.Decoder(_Event).decode
_refusal = msgspec.json.Decoder(_Refusal).decode
_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


class _Open(msgspec.Struct, gc=False):
    """A block that has begun and is passed on. `place` is a thought's position, a call's number."""

    type: str
    place: int
    unsaid: str = ""
    """Arguments that a call has if no delta brings them."""
    encrypted: list[str] = []


class ConverseStream:
    """One streamed answer. Converse gives it no id: it stands in a header alone."""

    __slots__ = (
        "_begun",
        "_blocks",
        "_done",
        "_finished",
        "_format",
        "_head",
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
        self._blocks: dict[int, _Open] = {}
        self._places = Positions()
        self._format = written_format(asked.model)
        self._begun = False
        self._finished = False
        self._done = False
        known = {
            "id": asked.id,
            "object": "chat.completion.chunk",
            "created": asked.created,
            "model": asked.model,
        }
        self._head = _encode(known)[:-1] + b',"choices":[{"index":0,"delta":'
        self._tail = b',"logprobs":null,"finish_reason":null}]}'

    @property
    def done(self) -> bool:
        return self._done

    def feed(self, data: bytes) -> Iterator[Piece]:
        try:
            for frame in self._reader.feed(data):
                yield from self._read(frame)
        except BrokenFrame as error:
            raise Malformed(str(error)) from None

    def end(self) -> Iterator[Piece]:
        if self._done or self._finished:
            return iter(())
        try:
            self._reader.end()
        except BrokenFrame as error:
            raise Malformed(f"The answer was cut: {error}.") from None
        raise Malformed("The answer was cut: it told no stopReason.")

    def _read(self, frame: Frame) -> Iterator[Piece]:
        if self._done:
            return
        match frame.text(":message-type"):
            case "event":
                yield from self._event(frame.text(":event-type"), frame.payload)
            case "exception":
                self._done = True
                yield Piece(failure=failure_told(frame.text(":exception-type"), _words(frame.payload)))
            case "error":
                self._done = True
                told = failure_told(frame.text(":error-code"), frame.text(":error-message"))
                yield Piece(failure=told)

    def _event(self, kind: str, payload: bytes) -> Iterator[Piece]:
        if kind not in KINDS:
            return
        try:
            event = _decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Malformed("An event of the answer is no JSON of this dialect.") from None
        if not self._begun:
            self._begun = True
            yield self._chunk({"role": "assistant", "content": ""})
        match kind:
            case "contentBlockDelta" if event.delta is not None:
                yield from self._delta(event.content_block_index, event.delta)
            case "contentBlockStart" if event.start is not None and event.start.tool_use is not None:
                yield from self._call(event.content_block_index, event.start.tool_use)
            case "contentBlockStop":
                yield from self._closed(event.content_block_index)
            case "messageStop" if not self._finished:
                for index in tuple(self._blocks):
                    yield from self._closed(index)
                yield self._finish(finish_of(event.stop_reason))
            case "metadata":
                yield from self._told(event.usage)

    def _call(self, index: int, call: ToolUse) -> Iterator[Piece]:
        if call.type == SERVER_TOOL:
            return
        number = self._places.call()
        self._blocks[index] = _Open("call", number, unsaid="{}")
        yield self._chunk(
            {
                "tool_calls": [
                    {
                        "index": number,
                        "id": call.tool_use_id or call_id(self.asked.id, number),
                        "type": "function",
                        "function": {"name": call.name or "", "arguments": ""},
                    }
                ]
            },
            content=True,
        )

    def _delta(self, index: int, delta: Block) -> Iterator[Piece]:
        if delta.text:
            self._places.text(delta.text)
            data = self._head + b'{"content":' + _encode(delta.text) + b"}" + self._tail
            yield Piece(data, delta.text, content=True)
        elif delta.tool_use is not None:
            yield from self._arguments(index, delta.tool_use)
        elif delta.reasoning_content is not None:
            yield from self._thought(index, delta.reasoning_content)

    def _arguments(self, index: int, call: ToolUse) -> Iterator[Piece]:
        block = self._blocks.get(index)
        if block is None or block.type != "call" or not call.input:
            return
        try:
            said = _text(call.input)
        except msgspec.ValidationError:
            raise Malformed("The arguments of a tool call are no text.") from None
        if said:
            block.unsaid = ""
            yield self._said(block.place, said)

    def _said(self, number: int, arguments: str) -> Piece:
        call = {"index": number, "function": {"arguments": arguments}}
        return self._chunk({"tool_calls": [call]}, arguments, content=True)

    def _thought(self, index: int, part: Reasoning) -> Iterator[Piece]:
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = _Open("thought", self._places.thought())
        if part.redacted_content:
            block.encrypted.append(part.redacted_content)
        text = part.text or ""
        if text or part.signature:
            delta: dict[str, Any] = {"reasoning_content": text} if text else {}
            delta["reasoning_details"] = [text_told(text, part.signature, block.place, self._format)]
            yield self._chunk(delta, text, content=True)

    def _closed(self, index: int) -> Iterator[Piece]:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        if block.unsaid:
            yield self._said(block.place, block.unsaid)
        if block.encrypted:
            detail = encrypted_told(_joined(block.encrypted), block.place, self._format)
            yield self._chunk({"reasoning_details": [detail]}, content=True)

    def _finish(self, reason: str) -> Piece:
        self._finished = True
        end = b'{},"logprobs":null,"finish_reason":' + _encode(reason) + b"}]}"
        return Piece(self._head + end, finish=True)

    def _told(self, usage: msgspec.Raw) -> Iterator[Piece]:
        self._done = True
        if not self._finished:
            yield self._finish(STOP)
        if counted := usage_of(usage):
            yield Piece(usage=counted, told=msgspec.Raw(_encode(usage_object(counted))))

    def _chunk(self, delta: dict[str, Any], text: str = "", *, content: bool = False) -> Piece:
        return Piece(self._head + _encode(delta) + self._tail, text, content=content)


def _joined(pieces: list[str]) -> str:
    """Bytes that came as base64, piece by piece; one piece stays as it was written."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return base64.b64encode(b"".join(base64.b64decode(piece) for piece in pieces)).decode()
    except binascii.Error:
        raise Malformed("What is encrypted is no base64.") from None


def _words(payload: bytes) -> str:
    """The words of an exception; what the model said itself where Bedrock passes that on."""
    try:
        told = _refusal(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return told.message or told.original_message or ""
