"""A streamed answer in the dialect of Anthropic's Messages API.

    chunk    a ``chat.completion.chunk``, from a provider of any dialect
    native   an event of a provider that speaks this one: passed on as it came
    end      once all is settled: message_delta with the true usage, message_stop
    error    the last event of a stream that failed

Both kinds may come in one answer: where another provider goes on, its blocks come behind those that are
there.
What tells the end is held back until all is settled, since a finished answer has its row.

Source: platform.claude.com/docs/en/build-with-claude/streaming, read 2026-11-25.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from deeptoken.errors import DeeptokenError
from deeptoken.wire.choice import objects_of
from deeptoken.wire.messages_answer import MAX_TOKENS, NO_NAMES, costed, id_of, stop, usage_told
from deeptoken.wire.messages_blocks import Blocks, encode, event
from deeptoken.wire.messages_errors import error_body
from deeptoken.wire.usage import Usage

PING = event("ping", b'{"type":"ping"}')
"""Keeps an idle connection alive; may come before `message_start`."""
STOP = event("message_stop", b'{"type":"message_stop"}')
NOTHING = Usage()


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct, gc=False):
    index: int = 0
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning_details: Any = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None
    stop_reason: Any = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice]
    id: str | None = None


class _End(msgspec.Struct, gc=False):
    stop_reason: str | None = None


class _Event(msgspec.Struct, gc=False):
    """What is to be known of an event that is passed on."""

    type: str = ""
    index: int = 0
    delta: _End | None = None


_chunk = msgspec.json.Decoder(_Chunk).decode
_event = msgspec.json.Decoder(_Event).decode


class Events:
    """One answer. What each method returns is ready to be sent, and may be nothing."""

    __slots__ = (
        "_blocks",
        "_finish",
        "_held",
        "_id",
        "_model",
        "_prompt",
        "_refused",
        "_sequence",
        "_started",
    )

    def __init__(
        self, model: str, id: str, *, prompt: Usage = NOTHING, names: Mapping[str, str] = NO_NAMES
    ) -> None:
        """`id` is for a provider that gives none; `prompt` what is known of the prompt's tokens, if anything;
        `names` the tools' own by those they had at the provider (`messages_plain.long_names`)."""
        self._model = model
        self._id = id
        self._prompt = prompt
        self._blocks = Blocks(names)
        self._started = False
        self._held = b""
        """A native `message_delta` that has told the end."""
        self._finish: str | None = None
        self._refused = False
        self._sequence: object = None

    def chunk(self, data: bytes) -> bytes:
        """A chunk as an adapter delivers it: mended, without usage."""
        if not data:
            return b""
        told = _chunk(data)
        events = b"" if self._started else self._start(id_of(told.id or self._id))
        for choice in told.choices:
            if choice.index:
                continue
            if choice.delta is not None:
                events += self._said(choice.delta)
            if choice.finish_reason:
                self._finish, self._sequence = choice.finish_reason, choice.stop_reason
        return events

    def native(self, data: bytes) -> bytes:
        """An event of this dialect, without its name."""
        told = _event(data)
        match told.type:
            case "" | "message_stop":
                return b""
            case "message_start":
                if self._started:
                    return b""
                self._started = True
            case "content_block_start":
                self._blocks.begun(told.index)
            case "content_block_stop":
                self._blocks.ended()
            case "message_delta" if told.delta and told.delta.stop_reason:
                self._held = data
                return b""
        return event(told.type, data)

    def end(self, usage: Usage, dry: str | None = None, more: Mapping[str, Any] = NO_NAMES) -> bytes:
        """The end. `dry`: why the gateway ended the answer early; `more` is added to the usage."""
        if self._held:
            return event("message_delta", _with(self._held, more)) + STOP
        events = b"" if self._started else self._start(self._id)
        events += self._blocks.close()
        called = self._blocks.calls > 0
        reason, sequence = stop(self._finish, called=called, refused=self._refused, sequence=self._sequence)
        told: dict[str, Any] = {
            "type": "message_delta",
            "delta": {
                "stop_reason": MAX_TOKENS if dry and self._finish is None else reason,
                "stop_sequence": sequence,
                "stop_details": None,
            },
            "usage": {**usage_told(usage), **more},
        }
        if dry:
            told["deeptoken"] = {"reason": dry}
        return events + event("message_delta", encode(told)) + STOP

    def error(self, error: DeeptokenError, request_id: str | None = None) -> bytes:
        """An error; nothing follows it."""
        return event("error", error_body(error, request_id))

    def _start(self, id: str) -> bytes:
        self._started = True
        message: dict[str, Any] = {
            "id": id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": usage_told(self._prompt),
        }
        return event("message_start", encode({"type": "message_start", "message": message}))

    def _said(self, delta: _Delta) -> bytes:
        blocks = self._blocks
        details = objects_of(delta.reasoning_details)
        events = b""
        if delta.reasoning_content and not any(
            detail.get("text") or detail.get("summary") for detail in details
        ):
            events += blocks.thought(delta.reasoning_content)
        for detail in details:
            events += blocks.detail(detail)
        if delta.content:
            events += blocks.text(delta.content)
        if delta.refusal:
            self._refused = True
            events += blocks.text(delta.refusal)
        for call in delta.tool_calls or ():
            function = call.function or _Function()
            events += blocks.call(call.index, call.id, function.name, function.arguments)
        return events


def _with(data: bytes, more: Mapping[str, Any]) -> bytes:
    """A native `message_delta` whose usage says `more`."""
    if not more:
        return data
    return encode(costed(msgspec.json.decode(data), more))
