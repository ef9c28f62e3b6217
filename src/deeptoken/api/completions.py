"""Answers in the dialect of OpenAI's older completions (`wire/completions.py` has the words)."""

from typing import Any

import msgspec

from deeptoken.api import errors as envelope
from deeptoken.api.delivery import DONE, READ_HEAD, Events, Whole
from deeptoken.errors import DeeptokenError
from deeptoken.gateway.trace import Bill
from deeptoken.gateway.upstream import Answer
from deeptoken.providers.base import Piece
from deeptoken.wire import completions
from deeptoken.wire.completions import Joined, Texts


class TextWhole(Whole):
    """A ``text_completion``, sent when it is settled."""

    def take(self, answer: Answer) -> None:
        super().take(answer)
        self._native = None if answer.reply is None else answer.reply.native
        self._joined: Joined | None = None

    def send(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            if piece.native:
                self._joined = self._joined or Joined()
                self._joined.add(piece.native)
        if self._joined is None:
            super().send(pieces)

    def _written(self, fields: dict[str, Any], bill: Bill) -> bytes:
        if self._joined is not None:
            told = self._joined.whole("length" if bill.dry else None)
            if bill.dry:
                told["deeptoken"] = {"reason": bill.dry}
        else:
            told = Texts(self._chat).whole(fields, self._native)
        return msgspec.json.encode({**told, "usage": self._usage(bill)})


class TextEvents(Events):
    """Each ``text_completion`` as it comes."""

    def take(self, answer: Answer) -> None:
        super().take(answer)
        self._texts = Texts(self._chat)

    def _event(self, piece: Piece) -> bytes:
        told = piece.native or piece.data
        if not told:
            return b""
        if self._head is None:
            self._head = READ_HEAD(told)
        if piece.finish:
            self._has_finished(told)
        return self._framed(self._texts.chunk(piece.data, piece.native))

    def _end(self, bill: Bill) -> bytes:
        chunks = [self._texts.chunk(chunk) for chunk in self._last_chunks(bill)]
        return b"".join(b"data: %b\n\n" % chunk for chunk in chunks if chunk) + DONE

    def _failed(self, error: DeeptokenError) -> bytes:
        completions.rename(error)
        return super()._failed(error)


def error_body(error: DeeptokenError, _: str) -> bytes:
    """OpenAI's envelope; the field that it names has this dialect's name."""
    completions.rename(error)
    return envelope.body(error)
