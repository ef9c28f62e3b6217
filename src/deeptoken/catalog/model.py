"""What can be called: models, prices, channels, groups. Frozen values; snapshots are replaced whole."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from functools import cached_property
from itertools import accumulate, groupby
from typing import Any

import msgspec

from deeptoken.money import ONE_PPM, PicoUsd


class Rates(msgspec.Struct, frozen=True, omit_defaults=True):
    """Prices of a model in pico-USD a token, a class of tokens each (`wire/usage.py`).

    None: that class costs what its base class costs (cached, cache_write and prompt_audio: prompt;
    cache_write_1h: cache_write; reasoning, completion_audio and completion_image: completion). `request` is
    pico-USD a call. `image`, `character`, `second` and `search` are pico-USD for one of them; None: it is not
    priced by that unit.
    """

    prompt: PicoUsd
    completion: PicoUsd
    cached: PicoUsd | None = None
    cache_write: PicoUsd | None = None
    cache_write_1h: PicoUsd | None = None
    prompt_audio: PicoUsd | None = None
    reasoning: PicoUsd | None = None
    completion_audio: PicoUsd | None = None
    request: PicoUsd = PicoUsd(0)
    completion_image: PicoUsd | None = None
    image: PicoUsd | None = None
    character: PicoUsd | None = None
    second: PicoUsd | None = None
    search: PicoUsd | None = None

    @property
    def by_tokens(self) -> bool:
        """Tokens are what is paid, be it nothing; False: some other unit is, and tokens are not counted."""
        if self.prompt or self.completion:
            return True
        return (self.image, self.character, self.second, self.search) == (None, None, None, None)


class Tier(msgspec.Struct, frozen=True):
    """Other rates for the whole call when its prompt has more than `above` tokens."""

    above: int
    rates: Rates


class Price(msgspec.Struct, frozen=True):
    """One version of a model's price, never changed; a call is billed by the one it was admitted under."""

    id: int
    model: str
    rates: Rates
    tiers: tuple[Tier, ...] = ()


class Model(msgspec.Struct, frozen=True):
    """A public id and what is known of it. `id` may be a pattern (``acme/*``) for a family."""

    id: str
    price: Price
    context: int | None = None
    max_output: int | None = None
    owned_by: str = ""
    modalities: tuple[str, ...] = ("text",)
    capabilities: dict[str, bool] = {}
    """Only what was declared; what is not there counts as present."""


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds. `first_byte` ends with the head of a whole answer or the first content of a stream."""

    connect: float = 5.0
    first_byte: float = 120.0
    idle: float = 60.0
    total: float = 600.0


class Channel(msgspec.Struct, frozen=True, dict=True):
    """One configured upstream."""

    name: str
    provider: str
    label: str
    base_url: str
    models: dict[str, str]
    """Canonical id or pattern -> the upstream's name or pattern."""
    secret: str = ""
    """The credential in the clear, in memory only."""
    priority: int = 0
    weight: int = 1
    groups: tuple[str, ...] = ("default",)
    timeout: Timeouts = Timeouts()
    max_concurrency: int | None = None
    rpm: int | None = None
    """Requests a minute that it takes."""
    tpm: int | None = None
    enabled: bool = True
    options: dict[str, Any] = {}
    """What only this provider knows: ``api_version``, ``auth`` (azure), ``sim`` ..."""

    @cached_property
    def names(self) -> frozenset[str]:
        """What a caller's preferences may call it, in small letters: label, provider or name."""
        return frozenset(name.lower() for name in (self.label, self.provider, self.name))

    @cached_property
    def paced(self) -> bool:
        """It has a limit of its own: calls at once, requests or tokens a minute."""
        return (self.max_concurrency, self.rpm, self.tpm) != (None, None, None)


class Group(msgspec.Struct, frozen=True):
    """Which channels may be used, at which price multiplier and queue weight."""

    name: str
    ratio_ppm: int = ONE_PPM
    weight: int = 1


class Candidate(msgspec.Struct, frozen=True):
    """A channel that can serve a model, and what it calls it."""

    channel: Channel
    model: Model
    upstream_model: str


FEW = 4
"""Of so many, one is few."""


class Level(msgspec.Struct, frozen=True, dict=True):
    """Candidates that are equals but for their weight; by name, so that a draw can be done again."""

    candidates: tuple[Candidate, ...]

    @cached_property
    def sums(self) -> list[int]:
        """The sum of the weights up to each of them."""
        return list(accumulate(at.channel.weight for at in self.candidates))

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each channel stands."""
        return {at.channel.name: place for place, at in enumerate(self.candidates)}

    def among(self, channels: AbstractSet[str]) -> "Level":
        """Those of these channels alone."""
        candidates = self.candidates
        if len(channels) < len(candidates) // FEW:
            # Few of many are looked up, not looked for.
            places = sorted(self.places[name] for name in channels if name in self.places)
            return Level(tuple(candidates[place] for place in places))
        those = tuple(at for at in candidates if at.channel.name in channels)
        return self if len(those) == len(candidates) else Level(those)


def levels(candidates: Iterable[Candidate]) -> tuple[Level, ...]:
    """The levels of priority, the highest first."""
    ordered = sorted(candidates, key=lambda at: (-at.channel.priority, at.channel.name))
    return tuple(Level(tuple(equals)) for _, equals in groupby(ordered, key=lambda at: at.channel.priority))
