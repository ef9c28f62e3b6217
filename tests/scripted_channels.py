"""What channels do, by script, on virtual time: well or ill, always or now and then.

    Script    from which second on a channel does what
    Does      `well`, `breaks`, `fails`, `hangs`, `unable`; `flaky` and `by_model` of these; a `Bucket`

Chance is drawn from a seed, so that each run can be had again.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from deeptoken.catalog.model import Candidate, Channel, Timeouts
from deeptoken.errors import BadRequest
from deeptoken.gateway.upstream import Wanted
from deeptoken.providers.base import Cause, Failure
from virtual_loop import now

DAY_S = 86_400.0


def channel(name: str, **settings: Any) -> Channel:
    settings.setdefault("timeout", Timeouts(first_byte=30.0))
    return Channel(name=name, provider="openai", label=name, base_url="", models={}, **settings)


class Chance:
    """Numbers in [0, 1), the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._state = seed * 0x9E3779B97F4A7C15 % 2**64

    def __call__(self) -> float:
        self._state = (self._state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
        return (self._state >> 11) / 2**53

    def gap(self, mean: float) -> float:
        """Between things that happen independently, so far apart on average."""
        return -mean * math.log(1.0 - self())


class Told(msgspec.Struct, frozen=True):
    """An answer: its first content is there, the rest takes `rest_s`, or breaks off then."""

    rest_s: float = 0.0
    breaks: Failure | None = None


Does = Callable[[Candidate, Wanted], Awaitable[Told | Failure]]
Script = list[tuple[float, Does]]


def well(first_s: float = 0.2, rest_s: float = 0.3) -> Does:
    async def does(at: Candidate, wanted: Wanted) -> Told | Failure:
        await asyncio.sleep(first_s)
        return Told(rest_s)

    return does


def fails(cause: Cause, after_s: float = 0.05, **more: Any) -> Does:
    async def does(at: Candidate, wanted: Wanted) -> Told | Failure:
        await asyncio.sleep(after_s)
        return Failure(cause, "It failed.", **more)

    return does


async def hangs(at: Candidate, wanted: Wanted) -> Told | Failure:
    """Nothing comes, ever."""
    await asyncio.sleep(DAY_S)
    return Told()


def by_model(**models: Does) -> Does:
    """As it does for each model."""

    async def does(at: Candidate, wanted: Wanted) -> Told | Failure:
        return await models[at.model.id](at, wanted)

    return does


async def unable(at: Candidate, wanted: Wanted) -> Told | Failure:
    """The provider has no word for a parameter."""
    raise BadRequest("logprobs: this provider cannot tell them.", param="logprobs")


def breaks(first_s: float = 0.2, rest_s: float = 0.3) -> Does:
    async def does(at: Candidate, wanted: Wanted) -> Told | Failure:
        await asyncio.sleep(first_s)
        return Told(rest_s, Failure("outage", "It broke."))

    return does


def flaky(chance: Chance, share: float, bad: Does, good: Does | None = None) -> Does:
    """Does `bad` for a share of the calls."""
    otherwise = good or well()

    async def does(at: Candidate, wanted: Wanted) -> Told | Failure:
        return await (bad if chance() < share else otherwise)(at, wanted)

    return does


class Bucket:
    """So many calls a second, and `most` at once; the rest are told to wait until there is room, or nothing
    at all."""

    def __init__(self, per_s: float, most: float, *, tells: bool) -> None:
        self._per_s = per_s
        self._most = most
        self._tells = tells
        self._left = most
        self._at = 0.0

    async def __call__(self, at: Candidate, wanted: Wanted) -> Told | Failure:
        await asyncio.sleep(0.05)
        self._left = min(self._most, self._left + (now() - self._at) * self._per_s)
        self._at = now()
        if self._left < 1:
            wait_s = (1 - self._left) / self._per_s
            return Failure(
                "capacity", "Slow down.", status=429, retry_after_s=wait_s if self._tells else None
            )
        self._left -= 1
        await asyncio.sleep(0.15)
        return Told(0.3)
