"""What a call used: counted roughly while it comes, exactly when it matters.

generated   tokens so far, biased upwards: the hold must stay ahead of them
count       the same by the tokenizer, which is loaded for it
used        what is charged, by what happened (spec: what happened, what is charged)
"""

import msgspec

from deeptoken.catalog import tokens
from deeptoken.catalog.model import Model
from deeptoken.ledger.postings import Outcome
from deeptoken.providers.base import Piece, Reply
from deeptoken.wire.chat import Chat
from deeptoken.wire.usage import Usage

BYTES_A_TOKEN = 3
"""Few texts have fewer."""
PIECE = 16_384
"""Characters of an answer that are counted once and for all."""


class Meter:
    """Of one call. `prompt` is an upper bound until `count_prompt`."""

    def __init__(self, chat: Chat, model: str, context: int | None) -> None:
        self.prompt = tokens.bound(chat, context)
        self.generated = 0
        self.usage: Usage | None = None
        self.told: msgspec.Raw | None = None
        self._chat = chat
        self._model = model
        """Whose tokens are counted."""
        self._context = context
        self._counted = False
        self._text: list[str] = []
        """What was not counted yet, behind what was: `_before` tokens."""
        self._before = 0
        self._finished = False

    def answered_by(self, model: Model) -> None:
        """Its tokens are counted from here on."""
        self._model = model.id

    def take(self, reply: Reply) -> None:
        """A whole answer."""
        self._text.append(reply.text)
        self.usage, self.told = reply.usage, reply.told
        self._finished = True

    def add(self, piece: Piece) -> None:
        """A part of a stream."""
        text = piece.text
        if text:
            self._text.append(text)
            size = len(text) if text.isascii() else len(text.encode())
            self.generated += size // BYTES_A_TOKEN or 1
        if piece.usage is not None:
            self.usage, self.told = piece.usage, piece.told
        if piece.finish:
            self._finished = True

    @property
    def heard(self) -> bool:
        """Some of the answer came."""
        return bool(self._text or self._before)

    def forget(self, pieces: list[Piece]) -> None:
        """These, the last ones, were not delivered."""
        text = "".join(self._text)
        left = text[: max(0, len(text) - sum(len(piece.text) for piece in pieces))]
        self._text = [left] if left else []

    def count_prompt(self) -> None:
        if not self._counted:
            self.prompt = tokens.count(self._chat, self._model, self._context)
            self._counted = True

    def count(self) -> int:
        """The tokens that were generated, by the tokenizer; a long text is counted piece by piece, once."""
        text = "".join(self._text)
        counted = self._before + tokens.count_text(text, self._model)
        if len(text) > PIECE:
            self._before, self._text = counted, []
        else:
            self._text = [text]
        self.generated = counted
        return counted

    def used(self, outcome: Outcome, *, accepted: bool) -> tuple[Usage | None, bool]:
        """What is charged, and whether it is our own count; None: nothing. `accepted`: a provider had begun.

        What a provider told in full counts; where it was cut short, what it told of the prompt does.
        """
        if outcome == "complete" and self.usage is not None:
            return self.usage, False
        nothing = not self._text and not self._before and not self._finished
        if outcome in ("failed", "orphan") or (nothing and not (outcome == "cancelled" and accepted)):
            return None, False
        told = self.usage or Usage()
        generated = self.count()
        if not told.prompt_tokens:
            self.count_prompt()
            return Usage(prompt=self.prompt, completion=generated), True
        more = max(0, generated - told.completion_tokens)
        return msgspec.structs.replace(told, completion=told.completion + more), True
