"""What can be called: models, prices, channels, groups. Frozen values; snapshots are replaced whole."""

from typing import Any

import msgspec

from deeptoken.money import ONE_PPM, PicoUsd


class Rates(msgspec.Struct, frozen=True, omit_defaults=True):
    """Prices of a model in pico-USD a token, a class of tokens each (`wire/usage.py`).

    None: that class costs what its base class costs (cached, cache_write and prompt_audio: prompt;
    cache_write_1h: cache_write; reasoning and completion_audio: completion). `request` is pico-USD a call.
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


class Channel(msgspec.Struct, frozen=True):
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
    enabled: bool = True
    options: dict[str, Any] = {}
    """What only this provider knows: ``api_version``, ``auth`` (azure), ``sim`` ..."""


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
