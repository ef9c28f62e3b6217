"""Answers in the dialect of Anthropic's Messages API (`wire/messages*.py` has the words).

Where the provider speaks it too, its own events and fields pass; what tells the end of an answer waits until
the call is settled, as everywhere.
"""

from typing import Any

import msgspec

from deeptoken.api.delivery import Events, Whole
from deeptoken.errors import DeeptokenError
from deeptoken.gateway.trace import Bill
from deeptoken.gateway.upstream import Answer
from deeptoken.providers.base import Piece
from deeptoken.wire import messages_events
from deeptoken.wire.messages_answer import MAX_TOKENS, costed, message, usage_told
from deeptoken.wire.messages_assembler import Assembler
from deeptoken.wire.messages_blocks import event
from deeptoken.wire.messages_errors import error_body
from deeptoken.wire.messages_plain import long_names

HEADERS = (b"anthropic-version", b"anthropic-beta")
"""Of the caller, for a provider of this dialect."""


class MessageWhole(Whole):
    """A Message, sent when it is settled."""

    def take(self, answer: Answer) -> None:
        super().take(answer)
        self._native = None if answer.reply is None else answer.reply.native
        self._events: Assembler | None = None

    def send(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            if piece.native:
                self._events = self._events or Assembler()
                self._events.add(piece.native)
        if self._events is None:
            super().send(pieces)

    def _written(self, fields: dict[str, Any], bill: Bill) -> bytes:
        native: dict[str, Any] | None = self._native
        if self._events is not None:
            native = self._events.whole()
            if bill.dry is not None:
                native["stop_reason"] = native.get("stop_reason") or MAX_TOKENS
                native["deeptoken"] = {"reason": bill.dry}
        if native is None:
            names = long_names(self._chat.request)
            return msgspec.json.encode(message(fields, bill.usage, names=names, more=self._costs(bill)))
        if more := _counted(bill) | self._costs(bill):
            native = costed(native, more)
        return msgspec.json.encode(native)


class MessageEvents(Events):
    """``message_start`` to ``message_stop``, as the answer comes."""

    comment = messages_events.PING

    def take(self, answer: Answer) -> None:
        call = self._exchange.call
        self._writer = messages_events.Events(
            answer.at.model.id, f"msg_{call.id}", names=long_names(self._chat.request)
        )

    def _event(self, piece: Piece) -> bytes:
        return self._writer.native(piece.native) if piece.native else self._writer.chunk(piece.data)

    def _end(self, bill: Bill) -> bytes:
        return self._writer.end(bill.usage, bill.dry, more=_counted(bill) | self._costs(bill))

    def _failed(self, error: DeeptokenError) -> bytes:
        # Without an answer yet, the head has left with a heartbeat.
        return event("error", error_body(error, self._exchange.call.request_id))


def _counted(bill: Bill) -> dict[str, Any]:
    """The usage by our own count, where the provider did not tell it, or not to the end."""
    return usage_told(bill.usage) if bill.told is None else {}
