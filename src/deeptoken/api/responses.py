"""Answers in the dialect of OpenAI's Responses (`wire/responses*.py` has the words).

Where the provider speaks it too, its own events and fields pass; what tells the end of an answer waits until
the call is settled, as everywhere.
"""

from typing import Any

import msgspec

from deeptoken import clock
from deeptoken.api import errors as envelope
from deeptoken.api.delivery import Events, Whole
from deeptoken.errors import DeeptokenError
from deeptoken.gateway.inbound import Inbound
from deeptoken.gateway.trace import Bill
from deeptoken.gateway.upstream import Answer
from deeptoken.providers.base import Piece
from deeptoken.wire import responses, responses_events
from deeptoken.wire.chat import Chat
from deeptoken.wire.responses_answer import End, Facts, facts, passed, response, usage_object

Writer = responses_events.Events | responses_events.Relay


class ResponseWhole(Whole):
    """A Response, sent when it is settled."""

    def take(self, answer: Answer) -> None:
        super().take(answer)
        self._said = _facts(self._chat, self._exchange.call)
        self._native = None if answer.reply is None else answer.reply.native
        self._relay: responses_events.Relay | None = None

    def send(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            if piece.native:
                self._relay = self._relay or responses_events.Relay(self._said)
                self._relay.event(piece.native_name, piece.native)
        if self._relay is None:
            super().send(pieces)

    def _written(self, fields: dict[str, Any], bill: Bill) -> bytes:
        end = _end(bill, self._costs(bill))
        if self._native is not None:
            return msgspec.json.encode(passed(self._native, end.more))
        if self._relay is not None:
            return msgspec.json.encode(self._relay.final(end))
        return msgspec.json.encode(response(fields, self._said, end))


class ResponseEvents(Events):
    """``response.created`` to ``response.completed``, as the answer comes."""

    def take(self, answer: Answer) -> None:
        self._writer: Writer | None = None

    def _event(self, piece: Piece) -> bytes:
        if piece.native:
            writer = self._writer or responses_events.Relay(self._about())
            self._writer = writer
            assert isinstance(writer, responses_events.Relay), "an answer is in one dialect throughout"
            return writer.event(piece.native_name, piece.native)
        if not piece.data:
            return b""
        events = self._writer or responses_events.Events(self._about())
        self._writer = events
        assert isinstance(events, responses_events.Events), "an answer is in one dialect throughout"
        return events.chunk(piece.data)

    def _end(self, bill: Bill) -> bytes:
        writer = self._writer or responses_events.Events(self._about())
        return writer.end(_end(bill, self._costs(bill)))

    def _failed(self, error: DeeptokenError) -> bytes:
        responses.rename(error)
        begun: Writer | None = getattr(self, "_writer", None)
        return (begun or responses_events.Events(self._about())).failed(error)

    def _about(self) -> Facts:
        return _facts(self._chat, self._exchange.call)


def error_body(error: DeeptokenError, _: str) -> bytes:
    """OpenAI's envelope; the field that it names has this dialect's name."""
    responses.rename(error)
    return envelope.body(error)


def _end(bill: Bill, costs: dict[str, Any]) -> End:
    """Beside a provider's own usage stands what it costs; in its place our count, where there is none."""
    counted = usage_object(bill.usage) if bill.told is None else {}
    return End(bill.usage, bill.dry, clock.wall_s(), {**counted, **costs})


def _facts(chat: Chat, call: Inbound) -> Facts:
    return facts(chat, id=f"resp_{call.id}", created=clock.wall_s(), model=call.trace.model or "")
