"""What a call may cost, whichever of its models answers: the dearest one counts. Pure."""

from deeptoken.catalog.model import Model
from deeptoken.catalog.price import affordable, bound
from deeptoken.money import NanoUsd
from deeptoken.wire.chat import ChatRequest

OUTPUT_UNKNOWN = 131_072
"""The most that a model generates when nobody told."""
FIRST_WORDS = 16
"""Tokens that an answer must be able to have; fewer if fewer are asked for."""


class Terms:
    """The prices of the models that may answer."""

    __slots__ = ("_prices", "_ratio_ppm", "models")

    def __init__(self, models: tuple[Model, ...], ratio_ppm: int) -> None:
        self.models = models
        self._prices = tuple(model.price for model in models)
        self._ratio_ppm = ratio_ppm

    @property
    def context(self) -> int | None:
        """The largest that is known, if all are."""
        contexts = [model.context for model in self.models]
        return None if None in contexts else max(context for context in contexts if context is not None)

    def longest(self, request: ChatRequest, prompt: int | None = None) -> int:
        """The most tokens that a choice may have; with a counted prompt, as the context has left."""
        longest = max(_longest(request, model) for model in self.models)
        context = None if prompt is None else self.context
        return longest if prompt is None or context is None else max(1, min(longest, context - prompt))

    def price_of(self, prompt: int, completion: int) -> NanoUsd:
        """An upper bound for so many tokens."""
        if len(self._prices) == 1:
            return bound(self._prices[0], prompt, completion, self._ratio_ppm)
        return max(bound(price, prompt, completion, self._ratio_ppm) for price in self._prices)

    def affordable(self, prompt: int, amount: NanoUsd) -> int:
        """The longest answer that an amount pays, with that prompt."""
        return min(affordable(price, prompt, amount, self._ratio_ppm) for price in self._prices)


def _longest(request: ChatRequest, model: Model) -> int:
    limits = [limit for limit in (request.limit, model.max_output) if limit]
    return min(limits) if limits else model.context or OUTPUT_UNKNOWN
