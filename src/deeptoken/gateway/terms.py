"""What a call may cost, whichever of its models answers: the dearest one counts. Pure.

Of a task that is known: the most of each unit that its request can come to.
"""

from deeptoken.catalog.model import Model, Price
from deeptoken.catalog.price import affordable, bound
from deeptoken.ledger.postings import NotCheap, Room
from deeptoken.money import NanoUsd, usd
from deeptoken.wire.chat import ChatRequest
from deeptoken.wire.task import Task
from deeptoken.wire.usage import NOTHING

OUTPUT_UNKNOWN = 131_072
"""The most that a model generates when nobody told."""
FIRST_WORDS = 16
"""Tokens that an answer must be able to have; fewer if fewer are asked for."""
CHEAP = usd("0.02")
SMALL_SHARE, TINY_SHARE = 10, 200
"""Once counted: the most is held when it is at most $0.02 and a tenth of what is available, or a 200th."""
GRANT_MIN, GRANT_MAX, GRANT_SHARE = 512, 4096, 8


class Terms:
    """The prices of the models that may answer."""

    __slots__ = ("_price", "_ratio_ppm", "_units", "by_tokens", "context", "models")

    def __init__(self, models: tuple[Model, ...], ratio_ppm: int, task: Task | None = None) -> None:
        self.models = models
        self._units = NOTHING if task is None else task.bound
        self._ratio_ppm = ratio_ppm
        self._price: Price | None = None
        """That of an only model."""
        if len(models) == 1:
            (only,) = models
            self._price = only.price
            self.context = only.context
            self.by_tokens = only.price.rates.by_tokens
            return
        self.context = _largest(models)
        self.by_tokens = any(model.price.rates.by_tokens for model in models)
        """One of them is paid by tokens."""

    def longest(self, request: ChatRequest, prompt: int | None = None) -> int:
        """The most tokens that a choice may have; with a counted prompt, as the context has left."""
        if self._units is not NOTHING:
            return self._units.completion_tokens if self.by_tokens else 0
        if self._price is not None:
            longest = _longest(request, self.models[0])
        else:
            longest = max(_longest(request, model) for model in self.models)
        if prompt is None or self.context is None:
            return longest
        return max(1, min(longest, self.context - prompt))

    def price_of(self, prompt: int, completion: int) -> NanoUsd:
        """An upper bound for so many tokens."""
        if self._price is not None:
            return bound(self._price, prompt, completion, self._ratio_ppm, self._units)
        return max(
            bound(model.price, prompt, completion, self._ratio_ppm, self._units) for model in self.models
        )

    def affordable(self, prompt: int, amount: NanoUsd) -> int:
        """The longest answer that an amount pays, with that prompt."""
        if self._price is not None:
            return affordable(self._price, prompt, amount, self._ratio_ppm)
        return min(affordable(model.price, prompt, amount, self._ratio_ppm) for model in self.models)

    def first_grant(self, prompt: int, most: int, available: NanoUsd) -> int:
        """Tokens to hold at first: all when they are cheap, else a grant that grows with what is asked."""
        small = min(CHEAP, available // SMALL_SHARE)
        if self.price_of(prompt, most) <= max(small, available // TINY_SHARE):
            return most
        return min(most, max(GRANT_MIN, min(GRANT_MAX, most // GRANT_SHARE)))


def _longest(request: ChatRequest, model: Model) -> int:
    asked, most = request.limit, model.max_output
    if asked and most:
        return asked if asked < most else most
    return asked or most or model.context or OUTPUT_UNKNOWN


def _largest(models: tuple[Model, ...]) -> int | None:
    """The largest context that is known, if all are."""
    contexts = [model.context for model in models if model.context is not None]
    return max(contexts) if len(contexts) == len(models) else None


def paying(told: NotCheap, full: NanoUsd, minimum: NanoUsd) -> Room:
    """What the wallet that will pay has: the first that need not clamp, else the first that can pay."""
    rooms = [told.room] if told.other is None else [told.room, told.other]
    for enough in (full, minimum):
        for room in rooms:
            if room.balance >= enough:
                return room
    return told.room


def least(balance: NanoUsd, cap: NanoUsd | None) -> NanoUsd:
    """Of a balance what a call may cost at most, where it has a cap of its own."""
    return balance if cap is None else min(balance, cap)
