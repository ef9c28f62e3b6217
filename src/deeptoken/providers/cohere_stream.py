"""Cohere's streamed answers as chunks of a chat completion.

    message-start        the role; the id
    content-start        a part begins: text or thinking
    content-delta        text or thinking, with its probabilities if they were asked for
    tool-plan-delta      what it wants to do with the tools: reasoning
    tool-call-start      a tool call: its id and name
    tool-call-delta      arguments as they come
    tool-call-end        arguments that never came, or are null, are {}
    citation-start       a citation, whole
    message-end          the finish, the usage, or that it failed; nothing follows it but [DONE]

Source: docs.cohere.com/reference/chat-stream and .../docs/streaming, read 2026-11-25. `content-end`,
`citation-end`, `debug`, and what is not known yet, say nothing.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from deeptoken.providers import refusal
from deeptoken.providers.base import Asked, Malformed, Piece
from deeptoken.providers.cohere_answer import (
    NO_ARGUMENTS,
    NOTHING,
    STOP,
    Call,
    Logprob,
    Part,
    failed,
    finish_of,
    logprobs_of,
    plan_detail,
    read_counts,
    thought_detail,
    told_object,
    usage_of,
)
from deeptoken.wire.choice import call_id
from deeptoken.wire.sse import EventTooLarge, Reader


class _Delta(msgspec.Struct, gc=False):
    """What a message grows by: lists in its beginning, one object after it."""

    content: Part | list[Part] | str | None = None
    tool_plan: str | None = None
    tool_calls: Call | list[Call] | None = None
    citations: Any = None


class _Change(msgspec.Struct, gc=False):
    message: _Delta | None = None
    finish_reason: str | None = None
    usage: msgspec.Raw = NOTHING
    error: str | None = None


class _Event(msgspec.Struct, gc=False):
    """Any event: one shape, of which each kind fills its part."""

    type: str = ""
    id: str | None = None
    index: int | None = None
    delta: _Change | None = None
    logprobs: Logprob | None = None
    message: str | None = None
    """An error, in the shape that a failed call has."""


PLAN = "plan"

_decode = msgspec.json.Decoder(_Event).decode
_encode = msgspec.json.Encoder().encode


class _Open(msgspec.Struct, gc=False):
    """A tool call that has begun."""

    number: int
    unsaid: str | None = ""
    """Its arguments so far, as long as they may still be null; None: they are not."""


class ChatStream:
    """One streamed answer."""

    __slots__ = (
        "_calls",
        "_done",
        "_finished",
        "_head",
        "_id",
        "_made",
        "_reader",
        "_thoughts",
        "asked",
        "upstream_id",
    )

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.upstream_id: str | None = None
        self._reader = Reader()
        self._calls: dict[int | None, _Open] = {}
        self._made = 0
        self._thoughts: dict[int | str | None, int] = {}
        """The place of each thought, and of the plan, among the reasoning's details."""
        self._finished = False
        self._done = False
        self._head = b""
        self._id = asked.id
        self._begin(asked.id)

    @property
    def done(self) -> bool:
        return self._done

    def feed(self, data: bytes) -> Iterator[Piece]:
        try:
            events = self._reader.feed(data)
        except EventTooLarge as error:
            raise Malformed(str(error)) from None
        for event in events:
            yield from self._read(event.data)

    def end(self) -> Iterator[Piece]:
        for event in self._reader.end():
            yield from self._read(event.data)
        if not self._done and not self._finished:
            raise Malformed("The answer was cut: it told no finish_reason.")

    def _begin(self, id: str) -> None:
        self._id, asked = id, self.asked
        known = {"id": id, "object": "chat.completion.chunk", "created": asked.created, "model": asked.model}
        self._head = _encode(known)[:-1] + b',"choices":[{"index":0,"delta":'

    def _read(self, data: bytes) -> Iterator[Piece]:
        if self._done or not data.strip():
            return
        if data == b"[DONE]":
            if not self._finished:
                yield self._finish(STOP)
            self._done = True
            return
        try:
            event = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed("An event of the answer is no JSON of this dialect.") from None
        if event.type:
            yield from self._event(event)
        elif event.message:
            self._done = True
            yield Piece(failure=refusal.inside(data))

    def _event(self, event: _Event) -> Iterator[Piece]:
        change = event.delta or _Change()
        delta = change.message or _Delta()
        match event.type:
            case "content-delta" | "content-start":
                if isinstance(delta.content, Part):
                    yield from self._content(event, delta.content)
            case "tool-call-start" | "tool-call-delta" | "tool-call-end":
                yield from self._tool(event, delta.tool_calls)
            case "tool-plan-delta" if delta.tool_plan:
                yield self._reasoning(delta.tool_plan, plan_detail(delta.tool_plan, self._place(PLAN)))
            case "citation-start" if delta.citations:
                told = delta.citations if isinstance(delta.citations, list) else [delta.citations]
                yield self._chunk({"citations": told})
            case "message-start":
                yield self._start(event.id)
            case "message-end":
                yield from self._end(change)

    def _start(self, id: str | None) -> Piece:
        if id:
            self.upstream_id = id
            self._begin(id)
        return self._chunk({"role": "assistant", "content": ""})

    def _content(self, event: _Event, part: Part) -> Iterator[Piece]:
        logprobs = logprobs_of([event.logprobs] if event.logprobs else None)
        if part.thinking:
            detail = thought_detail(part.thinking, self._place(event.index))
            yield self._reasoning(part.thinking, detail, logprobs)
        if part.text:
            data = self._head + b'{"content":' + _encode(part.text) + b"}" + _tail(logprobs)
            yield Piece(data, part.text, content=True)

    def _reasoning(self, text: str, detail: dict[str, Any], logprobs: dict[str, Any] | None = None) -> Piece:
        delta = {"reasoning_content": text, "reasoning_details": [detail]}
        return self._chunk(delta, text, content=True, logprobs=logprobs)

    def _place(self, index: int | str | None) -> int:
        return self._thoughts.setdefault(index, len(self._thoughts))

    def _tool(self, event: _Event, call: Call | list[Call] | None) -> Iterator[Piece]:
        if event.type == "tool-call-end":
            yield from self._called(event.index)
        elif isinstance(call, Call):
            if event.type == "tool-call-start":
                yield self._call(event.index, call)
            yield from self._arguments(event.index, call)

    def _call(self, index: int | None, call: Call) -> Piece:
        number, self._made = self._made, self._made + 1
        self._calls[index] = _Open(number)
        name = (call.function.name if call.function else None) or ""
        begun = {
            "index": number,
            "id": call.id or call_id(self._id, number),
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
        return self._chunk({"tool_calls": [begun]}, content=True)

    def _arguments(self, index: int | None, call: Call) -> Iterator[Piece]:
        said = call.function.arguments if call.function else None
        begun = self._calls.get(index)
        if begun is None or not said:
            return
        if begun.unsaid is not None:
            said = begun.unsaid + said
            if "null".startswith(said.strip()):
                begun.unsaid = said
                return
            begun.unsaid = None
        yield self._argued(begun.number, said)

    def _called(self, index: int | None) -> Iterator[Piece]:
        begun = self._calls.pop(index, None)
        if begun is not None and begun.unsaid is not None:
            yield self._argued(begun.number, NO_ARGUMENTS)

    def _argued(self, number: int, arguments: str) -> Piece:
        call = {"index": number, "function": {"arguments": arguments}}
        return self._chunk({"tool_calls": [call]}, arguments, content=True)

    def _end(self, change: _Change) -> Iterator[Piece]:
        self._done = True
        if failure := failed(change.finish_reason, change.error):
            yield Piece(failure=failure)
            return
        for index in list(self._calls):
            yield from self._called(index)
        yield self._finish(finish_of(change.finish_reason, called=bool(self._made)))
        counts = read_counts(change.usage)
        if usage := usage_of(counts):
            yield Piece(usage=usage, told=msgspec.Raw(_encode(told_object(usage, counts))))

    def _finish(self, reason: str) -> Piece:
        self._finished = True
        end = b'{},"logprobs":null,"finish_reason":' + _encode(reason) + b"}]}"
        return Piece(self._head + end, finish=True)

    def _chunk(
        self,
        delta: dict[str, Any],
        text: str = "",
        *,
        content: bool = False,
        logprobs: dict[str, Any] | None = None,
    ) -> Piece:
        return Piece(self._head + _encode(delta) + _tail(logprobs), text, content=content)


def _tail(logprobs: dict[str, Any] | None) -> bytes:
    told = b"null" if logprobs is None else _encode(logprobs)
    return b',"logprobs":' + told + b',"finish_reason":null}]}'
