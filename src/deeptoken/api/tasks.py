"""What is no chat: who reads a body of such an endpoint, and how it is answered.

    /v1/embeddings, /v1/moderations, /v1/images/generations, /v1/rerank   JSON, sent when it is settled
    /v1/audio/speech, and images where they are streamed                  bytes as they come

The last byte of what is streamed waits until the call is settled. What breaks off does so for the client too.
"""

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from deeptoken.api import errors as envelope
from deeptoken.api.delivery import REPLY_KEPT_MAX, UNBUFFERED, Door, Whole
from deeptoken.errors import DeeptokenError
from deeptoken.gateway.trace import Bill
from deeptoken.gateway.upstream import Answer
from deeptoken.ledger.postings import StoredReply
from deeptoken.money import NanoUsd
from deeptoken.providers.base import Piece
from deeptoken.providers.raw import EVENTS, UNKNOWN, RawStream
from deeptoken.wire import embeddings, images, moderations, rerank, speech, task_usage
from deeptoken.wire.chat import Chat
from deeptoken.wire.usage import Usage

Read = Callable[[bytes], Chat]

TASKS: Mapping[str, Read] = MappingProxyType(
    {
        f"/v1/{name}": read
        for name, read in (
            (embeddings.NAME, embeddings.read),
            (moderations.NAME, moderations.read),
            (images.NAME, images.read),
            (speech.NAME, speech.read),
            (rerank.NAME, rerank.read),
        )
    }
)
"""The endpoints, and what reads a body of each: a task, which cannot be made without a meter."""

USAGES: Mapping[str, Callable[[Usage], dict[str, Any]]] = MappingProxyType(
    {
        embeddings.NAME: task_usage.embeddings,
        moderations.NAME: task_usage.embeddings,
        images.NAME: task_usage.images,
        rerank.NAME: task_usage.rerank,
    }
)
"""A `usage` as each answer has it."""
ALWAYS = (embeddings.NAME, rerank.NAME)
"""The answers that have one whether the provider told it or not."""


class TaskWhole(Whole):
    """A task's answer, sent when it is settled."""

    def __init__(self, exchange: Door, chat: Chat) -> None:
        super().__init__(exchange, chat)
        self._body: bytes | None = None
        """An answer that is no JSON."""

    def take(self, answer: Answer) -> None:
        super().take(answer)
        if answer.reply is not None and answer.reply.body is not None:
            self._body = answer.reply.body
            self.content_type = answer.reply.content_type or UNKNOWN

    def _written(self, fields: dict[str, Any], bill: Bill) -> bytes:
        if self._body is not None:
            return self._body
        task = self._chat.task
        assert task is not None
        told = bill.told
        costs = self._costs(bill)
        if task.name in USAGES and (told is not None or costs or task.name in ALWAYS):
            usage = USAGES[task.name](bill.usage)
            if told is not None:
                usage |= msgspec.json.decode(told, type=dict[str, msgspec.Raw])
            fields = {**fields, "usage": {**usage, **costs}}
        return msgspec.json.encode(fields)


class TaskStream(Whole):
    """A task's answer as it comes: audio, or events."""

    def __init__(
        self, exchange: Door, chat: Chat, _heartbeat_s: float, _loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(exchange, chat)
        self._keep: bytearray | None = bytearray() if exchange.call.claim is not None else None

    def take(self, answer: Answer) -> None:
        stream = answer.stream
        self.content_type = stream.content_type if isinstance(stream, RawStream) else UNKNOWN

    def send(self, pieces: list[Piece]) -> None:
        data = b"".join([self._tail, *(piece.raw for piece in pieces)])
        if len(data) > 1:
            self._tail = data[-1:]
            self._write(data[:-1])
        else:
            self._tail = data

    def compose(self, bill: Bill) -> None:
        self._cost = bill.charged

    def kept(self) -> StoredReply | None:
        whole = None if self._keep is None else bytes(self._keep + self._tail)
        return StoredReply(
            status=200,
            content_type=self.content_type,
            body=whole if whole is not None and len(whole) <= REPLY_KEPT_MAX else None,
            request_id=self._exchange.call.request_id,
            cost=self._cost or NanoUsd(0),
        )

    def finish(self) -> None:
        if self.begun:
            self._exchange.write_last(self._tail)
        else:
            self._write(self._tail)
            self._exchange.write_last(b"")

    def fail(self, error: DeeptokenError) -> None:
        """What was sent so far must not pass for all of it; events can say why."""
        if self.content_type.startswith(EVENTS):
            told = msgspec.json.decode(envelope.body(error))
            data = msgspec.json.encode({"type": "error", **told})
            self._exchange.write_last(self._tail + b"event: error\ndata: %b\n\n" % data)
        else:
            self._exchange.break_off()

    def _write(self, data: bytes) -> None:
        if self._keep is not None and len(self._keep) <= REPLY_KEPT_MAX:
            self._keep += data
        if self.begun:
            self._exchange.write(data)
            return
        self.begun = True
        own = b"content-type: %b\r\n" % self.content_type.encode("latin-1", "replace")
        if self.content_type.startswith(EVENTS):
            own += UNBUFFERED
        self._exchange.begin(200, self._facts() + own, data)
