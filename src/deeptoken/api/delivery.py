"""How an answer reaches the caller: as events, or whole.

    take      a provider answers: what its head says
    send      pieces, as they come
    compose   the bill is known: write what is left
    finish    the bill is settled: send that

The head of a stream leaves with the first content, or with a comment line where that takes long; a comment
keeps an idle connection alive.
"""

import asyncio
from typing import Any, Protocol

import msgspec

from deeptoken import clock
from deeptoken.api.errors import JSON, Headers, body, lines
from deeptoken.catalog.price import charge
from deeptoken.errors import DeeptokenError
from deeptoken.gateway.inbound import Inbound
from deeptoken.gateway.rates import WARNING, rate_headers, warning
from deeptoken.gateway.serve import Flow
from deeptoken.gateway.trace import Bill
from deeptoken.gateway.upstream import Answer
from deeptoken.ledger.postings import StoredReply
from deeptoken.money import NanoUsd, credits, credits_json
from deeptoken.providers.base import Piece
from deeptoken.wire.chat import Chat
from deeptoken.wire.completion import Assembler, usage_object
from deeptoken.wire.usage import Usage

REPLY_KEPT_MAX = 256 * 1024
EVENT_STREAM = b"content-type: text/event-stream; charset=utf-8\r\n"
UNBUFFERED = b"cache-control: no-cache\r\nx-accel-buffering: no\r\n"
COMMENT = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"


class Door(Protocol):
    """The HTTP exchange that an answer belongs to."""

    @property
    def call(self) -> Inbound: ...
    @property
    def flow(self) -> Flow: ...
    def common_lines(self) -> bytes: ...
    def respond(self, status: int, headers: bytes, body: bytes) -> None: ...
    def begin(self, status: int, headers: bytes, data: bytes) -> None: ...
    def write(self, data: bytes) -> None: ...
    def write_last(self, data: bytes) -> None: ...
    def break_off(self) -> None: ...


class Head(msgspec.Struct):
    """What the chunks of one answer share."""

    id: str = ""
    created: int = 0
    model: str = ""


READ_HEAD = msgspec.json.Decoder(Head).decode
READ_FINISHED = msgspec.json.Decoder(dict[str, Any]).decode


class Outlet:
    """What both forms share: the head's facts, the usage object, what is kept for a repeat."""

    def __init__(self, exchange: Door, chat: Chat) -> None:
        self.begun = False
        """The head has left."""
        self._exchange = exchange
        self.flow = exchange.flow
        """How full the caller's side is."""
        self._chat = chat
        self._tail = b""
        self._cost: NanoUsd | None = None
        options = chat.request.usage
        self._with_cost = bool(options and options.include)

    def _facts(self) -> bytes:
        """The headers of an answer, as they are sent, but for those of its form."""
        call = self._exchange.call
        trace, answer = call.trace, call.trace.answer
        facts = b"%bopenai-processing-ms: %d\r\n" % (
            self._exchange.common_lines(),
            round((clock.monotonic() - call.began) * 1_000),
        )
        more: Headers = []
        if trace.label is not None and answer is not None:
            label = trace.label.encode("latin-1", "replace")
            facts += b"x-deeptoken-channel: %b\r\nx-deeptoken-attempts: %d\r\n" % (label, trace.attempts)
            more += answer.told
        if trace.limit is not None:
            more.append((b"x-deeptoken-max-tokens", b"%d" % trace.limit))
        if trace.rates:
            more += rate_headers(trace.rates)
        if trace.near is not None:
            more.append((WARNING, warning(trace.near, trace.model if trace.cheaper else None)))
        return facts + lines(more)

    def _usage(self, bill: Bill) -> object:
        """The provider's own words where there are any; ours where it was silent, or cost is asked for."""
        if bill.told is not None and not self._with_cost:
            return bill.told
        usage = msgspec.json.decode(bill.told) if bill.told is not None else usage_object(bill.usage)
        return {**usage, **self._costs(bill)}

    def _costs(self, bill: Bill) -> dict[str, Any]:
        """What the caller asked to be told of the cost, beside its usage."""
        if not self._with_cost:
            return {}
        prompt, completion = (credits_json(_share(bill, prompt=side)) for side in (True, False))
        return {
            "cost": credits_json(bill.charged),
            "cost_details": {"prompt": prompt, "completion": completion},
        }


class Whole(Outlet):
    """A ``chat.completion``, sent when it is settled."""

    content_type = JSON[1].decode()

    def __init__(self, exchange: Door, chat: Chat) -> None:
        super().__init__(exchange, chat)
        self._fields: dict[str, Any] | None = None
        self._assembler: Assembler | None = None

    def take(self, answer: Answer) -> None:
        if answer.reply is not None:
            self._fields = answer.reply.fields
        else:
            self._assembler = Assembler()

    def send(self, pieces: list[Piece]) -> None:
        if self._assembler is not None:
            for piece in pieces:
                self._assembler.add(piece.data)

    def compose(self, bill: Bill) -> None:
        fields = self._fields
        if self._assembler is not None:
            fields = self._assembler.whole()
            if bill.dry is not None:
                for choice in fields["choices"]:
                    choice["finish_reason"] = choice["finish_reason"] or "length"
                fields["deeptoken"] = {"reason": bill.dry}
        self._cost = bill.charged
        self._tail = self._written(fields or {}, bill)

    def _written(self, fields: dict[str, Any], bill: Bill) -> bytes:
        return msgspec.json.encode({**fields, "usage": self._usage(bill)})

    def kept(self) -> StoredReply | None:
        return StoredReply(
            status=200,
            content_type=self.content_type,
            body=self._tail if len(self._tail) <= REPLY_KEPT_MAX else None,
            request_id=self._exchange.call.request_id,
            cost=self._cost or NanoUsd(0),
        )

    def fail(self, error: DeeptokenError) -> None:
        """Too late: head and body have left together."""

    def close(self) -> None:
        """Nothing is left open."""

    def finish(self) -> None:
        own = b"content-type: %b\r\nx-deeptoken-cost: %b\r\n" % (
            self.content_type.encode("latin-1", "replace"),
            credits(self._cost or NanoUsd(0)).encode(),
        )
        self.begun = True
        self._exchange.respond(200, self._facts() + own, self._tail)


class Events(Outlet):
    """Server-sent events: each ``chat.completion.chunk`` as it comes."""

    comment = COMMENT
    """What keeps an idle connection alive."""

    def __init__(
        self, exchange: Door, chat: Chat, heartbeat_s: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(exchange, chat)
        options = chat.request.stream_options
        self._with_usage = self._with_cost or bool(options and options.include_usage)
        self._form = b'data: %b,"usage":null}\n\n' if self._with_usage else b"data: %b\n\n"
        self._head: Head | None = None
        self._finished: set[int] = set()
        self._keep: bytearray | None = bytearray() if exchange.call.claim is not None else None
        self._heartbeat_s = heartbeat_s
        self._last = clock.monotonic()
        self._loop = loop
        self._timer = loop.call_later(heartbeat_s, self._beat)

    def take(self, answer: Answer) -> None:
        self._head = None

    def send(self, pieces: list[Piece]) -> None:
        data = self._event(pieces[0]) if len(pieces) == 1 else b"".join(map(self._event, pieces))
        if not data:
            return
        if self.begun and self._keep is None:
            self._last = clock.monotonic()
            self._exchange.write(data)
        else:
            self._write(data)

    def _event(self, piece: Piece) -> bytes:
        """A piece as its caller reads it; nothing where it says nothing."""
        data = piece.data
        if not data:
            return b""
        if self._head is None:
            self._head = READ_HEAD(data)
        if piece.finish:
            self._has_finished(data)
        return self._form % (data[:-1] if self._with_usage else data)

    def _framed(self, data: bytes) -> bytes:
        """A chunk without its usage, as an event; nothing of nothing."""
        if not data:
            return b""
        return self._form % (data[:-1] if self._with_usage else data)

    def _has_finished(self, data: bytes) -> None:
        self._finished.update(
            choice["index"] for choice in READ_FINISHED(data)["choices"] if choice.get("finish_reason")
        )

    def compose(self, bill: Bill) -> None:
        self._cost = bill.charged
        self._tail = self._end(bill)

    def _end(self, bill: Bill) -> bytes:
        return b"".join(b"data: %b\n\n" % chunk for chunk in self._last_chunks(bill)) + DONE

    def _last_chunks(self, bill: Bill) -> list[bytes]:
        """The chunks that only the bill can tell."""
        head = self._head or Head(model=self._exchange.call.trace.model or "")
        tail = [self._ended_dry(head, index, bill.dry) for index in self._unfinished() if bill.dry]
        if self._with_usage:
            tail.append(_chunk(head, choices=[], usage=self._usage(bill)))
        return tail

    def _unfinished(self) -> list[int]:
        return [index for index in range(self._chat.request.n or 1) if index not in self._finished]

    def _ended_dry(self, head: Head, index: int, reason: str | None) -> bytes:
        choice = {"index": index, "delta": {}, "logprobs": None, "finish_reason": "length"}
        more: dict[str, object] = {"usage": None} if self._with_usage else {}
        return _chunk(head, choices=[choice], deeptoken={"reason": reason}, **more)

    def kept(self) -> StoredReply | None:
        whole = None if self._keep is None else bytes(self._keep + self._tail)
        return StoredReply(
            status=200,
            content_type="text/event-stream; charset=utf-8",
            body=whole if whole is not None and len(whole) <= REPLY_KEPT_MAX else None,
            request_id=self._exchange.call.request_id,
            cost=self._cost or NanoUsd(0),
        )

    def finish(self) -> None:
        self._write(self._tail, last=True)

    def fail(self, error: DeeptokenError) -> None:
        """The head has left: the error is the last event, and no ``[DONE]`` follows."""
        self._write(self._failed(error), last=True)

    def _failed(self, error: DeeptokenError) -> bytes:
        return b"data: %b\n\n" % body(error)

    def close(self) -> None:
        """No more heartbeats."""
        self._timer.cancel()

    def _write(self, data: bytes, *, last: bool = False) -> None:
        self._last = clock.monotonic()
        if (
            self._keep is not None
            and not last
            and data is not self.comment
            and len(self._keep) <= REPLY_KEPT_MAX
        ):
            self._keep += data
        if not self.begun:
            self.begun = True
            self._exchange.begin(200, self._facts() + EVENT_STREAM + UNBUFFERED, data)
            data = b""
        if last:
            self._exchange.write_last(data)
        elif data:
            self._exchange.write(data)

    def _beat(self) -> None:
        idle = clock.monotonic() - self._last
        if idle >= self._heartbeat_s:
            idle = 0.0
            if not self.flow.write_paused:
                self._write(self.comment)
        self._timer = self._loop.call_later(self._heartbeat_s - idle, self._beat)


def _chunk(head: Head, **fields: object) -> bytes:
    return msgspec.json.encode(
        {
            "id": head.id,
            "object": "chat.completion.chunk",
            "created": head.created,
            "model": head.model,
            **fields,
        }
    )


def _share(bill: Bill, *, prompt: bool) -> NanoUsd:
    """What one side of a call costs; the fee of a request is neither's."""
    sides = ("completion", "reasoning", "completion_audio", "completion_image", "images")
    left = {name: 0 for name in Usage.__struct_fields__ if (name in sides) == prompt}
    side = charge(bill.price, msgspec.structs.replace(bill.usage, **left), bill.ratio_ppm)
    return NanoUsd(side - charge(bill.price, Usage(), bill.ratio_ppm))
