"""What a task used: what the provider told of it, else what its request tells.

tokens   as the provider counted them; else our own count, where they are what is paid
units    images that came, seconds and searches as the provider counted them; else those of the request,
         or as many seconds as the audio seems to have

Of a stream that was broken off, no more is generated than was delivered.
"""

import msgspec

from deeptoken.catalog import tokens
from deeptoken.catalog.model import Model
from deeptoken.catalog.price import charge
from deeptoken.gateway.meter import Meter
from deeptoken.gateway.terms import Terms
from deeptoken.ledger.postings import Outcome
from deeptoken.money import ONE_PPM, NanoUsd
from deeptoken.providers.base import Piece, Reply
from deeptoken.wire import transcriptions
from deeptoken.wire.chat import Chat
from deeptoken.wire.task import Task
from deeptoken.wire.usage import NOTHING, Usage

UNITS = ("images", "characters", "seconds", "searches")
GENERATED = ("completion", "reasoning", "completion_audio", "completion_image")


class Tally:
    """Of one task, as `Meter` is of a chat. `prompt` is an upper bound until `count_prompt`."""

    def __init__(self, task: Task, model: Model, *, by_tokens: bool) -> None:
        self.prompt = task.bound.prompt_tokens if by_tokens else 0
        self.generated = 0
        """Nothing is watched while it comes: all that it may be is held."""
        self.usage: Usage | None = None
        self.told: msgspec.Raw | None = None
        self._units: Usage | None = None
        self._task = task
        self._model = model
        self._by_tokens = by_tokens
        self._came = False
        self._bytes = 0

    def answered_by(self, model: Model) -> None:
        self._model = model

    def take(self, reply: Reply) -> None:
        """A whole answer."""
        self._came = True
        self.usage, self.told = reply.usage, reply.told
        self._units = reply.units

    def add(self, piece: Piece) -> None:
        """A part of a stream."""
        self._came = True
        self._bytes += len(piece.raw)
        if piece.usage is not None:
            self.usage, self.told = piece.usage, piece.told
        if piece.units is not None:
            self._units = piece.units

    @property
    def heard(self) -> bool:
        """Some of the answer came."""
        return self._came

    def forget(self, pieces: list[Piece]) -> None:
        """These, the last ones, were not delivered."""
        if pieces:
            self._bytes -= sum(len(piece.raw) for piece in pieces)
            self._came = self._bytes > 0

    def count_prompt(self) -> None:
        size = sum(len(text) for text, _ in self._task.texts)
        if self._by_tokens and self._task.upload is None and size <= tokens.TEXT_COUNTED_MAX:
            self.prompt = min(self.prompt, self._counted())

    def count(self) -> int:
        return 0

    @property
    def delivered(self) -> Usage:
        """What is charged if it ends now."""
        return self._usage(whole=False)[0]

    def used(self, outcome: Outcome, *, accepted: bool) -> tuple[Usage | None, bool]:
        """What is charged, and whether it is our own count; None: nothing. `accepted`: a provider had
        begun."""
        if outcome in ("failed", "orphan") or not (self._came or (outcome == "cancelled" and accepted)):
            return None, False
        return self._usage(whole=outcome == "complete")

    def _usage(self, *, whole: bool) -> tuple[Usage, bool]:
        if self._task.upload is not None:
            return self._heard(self._task.upload.likely_s)
        asked, told = self._task.units, self._units or NOTHING
        units = {name: getattr(told, name) or getattr(asked, name) for name in UNITS}
        if self.usage is not None:
            return msgspec.structs.replace(self.usage, **units), False
        if not self._model.price.rates.by_tokens:
            return Usage(**units), False
        guessed = {name: getattr(asked, name) for name in GENERATED}
        if not whole and self._task.bytes_a_token:
            came = -(-self._bytes // self._task.bytes_a_token)
            guessed = {name: min(most, came) for name, most in guessed.items()}
        return Usage(prompt=self._counted(), **guessed, **units), True

    def _heard(self, likely_s: int) -> tuple[Usage, bool]:
        """Of audio; what a model is not paid by need not have been told."""
        rates = self._model.price.rates
        if self._units is not None:
            seconds, guessed = self._units.seconds, False
        else:
            guessed = rates.second is not None
            seconds = likely_s if guessed else 0
        if self.usage is not None:
            return msgspec.structs.replace(self.usage, seconds=seconds), guessed
        if not rates.by_tokens:
            return Usage(seconds=seconds), guessed
        heard, written = transcriptions.tokens(seconds or likely_s)
        return Usage(prompt_audio=heard, completion=written, seconds=seconds), True

    def _counted(self) -> int:
        return self._task.units.prompt_tokens + tokens.count_texts(self._task.texts, self._model.id)


def meter_of(chat: Chat, model: Model, terms: Terms) -> Meter | Tally:
    """What counts in a call: `model` is the one whose tokens are counted until another answers."""
    if chat.task is None:
        return Meter(chat, model.id, terms.context)
    return Tally(chat.task, model, by_tokens=terms.by_tokens)


def spent(chat: Chat, model: Model, heard: list[Piece]) -> NanoUsd:
    """About what a provider bills for an answer that it began and that ended so soon, at our own price."""
    meter = meter_of(chat, model, Terms((model,), ONE_PPM, chat.task))
    for piece in heard:
        meter.add(piece)
    usage, _ = meter.used("cancelled", accepted=True)
    return charge(model.price, usage or Usage(), ONE_PPM)
