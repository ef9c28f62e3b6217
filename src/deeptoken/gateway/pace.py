"""What a channel may take at once and in a minute, and what it has taken. Time is given.

    max_concurrency   calls under way
    rpm               calls that began in the last minute
    tpm               their tokens: what a call may come to when it begins, what it came to when it has ended

A minute here is 60 s and the part of a second in which the oldest call of it began: never shorter.
"""

import math
from typing import Protocol

import msgspec

from deeptoken.gateway.seconds import Seconds

MINUTE_S = 61
"""Whole seconds that a rolling minute touches."""


class Paced(Protocol):
    """A channel with its limits; None: without that limit."""

    @property
    def name(self) -> str: ...
    @property
    def max_concurrency(self) -> int | None: ...
    @property
    def rpm(self) -> int | None: ...
    @property
    def tpm(self) -> int | None: ...


class Taken(msgspec.Struct):
    """What a call has of a channel."""

    channel: str
    tokens: int
    second: int
    """In which it counts."""
    minute: Seconds | None
    here: bool = True
    """It is under way."""


class Pace:
    """Of all channels of this process. It is one of `workers`: each has its part of what a channel takes."""

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers
        self._busy: dict[str, int] = {}
        self._minutes: dict[str, Seconds] = {}

    def busy(self, channel: str) -> int:
        """Calls under way."""
        return self._busy.get(channel, 0)

    def full(self, channel: Paced, tokens: int, now: float) -> float | None:
        """None if a call of so many tokens may begin; else the seconds until it may, if no other does.

        Infinity: a call must end first. A call of more tokens than a minute may have begins in an empty one.
        """
        most = self._part(channel.max_concurrency)
        if most is not None and self._busy.get(channel.name, 0) >= most:
            return math.inf
        rpm, tpm = self._part(channel.rpm), self._part(channel.tpm)
        minute = None if rpm is None and tpm is None else self._minutes.get(channel.name)
        if minute is None:
            return None
        minute.advance(now)
        calls = 0 if rpm is None else minute.calls + 1 - rpm
        amount = 0 if tpm is None else min(minute.amount, minute.amount + tokens - tpm)
        if calls <= 0 and amount <= 0:
            return None
        return minute.gone(calls=calls, amount=amount) - now

    def _part(self, most: int | None) -> int | None:
        return most if most is None or self._workers == 1 else max(1, most // self._workers)

    def take(self, channel: Paced, tokens: int, now: float) -> Taken:
        """A call of at most so many tokens begins. Whether it may is not asked again."""
        name = channel.name
        self._busy[name] = self._busy.get(name, 0) + 1
        if channel.rpm is None and channel.tpm is None:
            return Taken(name, tokens, 0, None)
        minute = self._minutes.get(name)
        if minute is None:
            minute = self._minutes[name] = Seconds(MINUTE_S)
        return Taken(name, tokens, minute.add(now, calls=1, amount=tokens), minute)

    def used(self, taken: Taken, tokens: int) -> None:
        """It came to so many tokens; that it began still counts."""
        if taken.minute is not None:
            taken.minute.correct(taken.second, amount=tokens - taken.tokens)
        taken.tokens = tokens

    def unused(self, taken: Taken) -> None:
        """It never went out: neither that it began nor its tokens count. It has ended."""
        if taken.minute is not None:
            taken.minute.correct(taken.second, calls=-1, amount=-taken.tokens)
            taken.minute = None
        self.leave(taken)

    def leave(self, taken: Taken) -> None:
        """The call has ended. The second time it changes nothing."""
        if taken.here:
            taken.here = False
            self._busy[taken.channel] -= 1

    def kept(self, channels: set[str]) -> None:
        """After a reload: forget channels that are gone."""
        for name in self._minutes.keys() - channels:
            del self._minutes[name]
        for name in [name for name, busy in self._busy.items() if not busy and name not in channels]:
            del self._busy[name]
