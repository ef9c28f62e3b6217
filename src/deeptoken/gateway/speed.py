"""How fast a model is on a channel, and how often it fails, as measured. Time is given.

A mean forgets: what happened `DECAY_S` ago counts 1/e of what happens now. A percentile is that of the
last `KEPT` values.
"""

import math
from array import array
from bisect import bisect_left, insort

import msgspec

DECAY_S = 120.0
KEPT = 64
PERCENTILE = 0.95


class Speed(msgspec.Struct, frozen=True):
    """What was measured, of one answer at least."""

    ttft_s: float
    """Until the first content of a stream, the mean; where none was streamed, until the head of an answer."""
    tokens_per_s: float
    """0: no answer told."""
    error_share: float
    """0 to 1."""
    ttft_p95_s: float | None = None
    """Of streams; None: there were none."""
    whole_p95_s: float | None = None
    """Of answers that came whole, until their head: that is not alike."""


class Mean:
    """A weighted mean that forgets."""

    __slots__ = ("_at", "_sum", "_weight")

    def __init__(self) -> None:
        self._at = -math.inf
        self._sum = 0.0
        self._weight = 0.0

    def add(self, now: float, amount: float, weight: float = 1.0) -> None:
        """`amount` is what `weight` came to: so many tokens in so many seconds."""
        if now > self._at:
            left = math.exp((self._at - now) / DECAY_S)
            self._sum *= left
            self._weight *= left
            self._at = now
        self._sum += amount
        self._weight += weight

    @property
    def value(self) -> float | None:
        return self._sum / self._weight if self._weight > 0 else None


class Percentile:
    """The 95th of the last values: as many are at most this."""

    __slots__ = ("_last", "_place", "_sorted")

    def __init__(self) -> None:
        self._last = array("d")
        self._sorted = array("d")
        self._place = 0
        """Of the oldest one."""

    def add(self, value: float) -> None:
        if len(self._last) < KEPT:
            self._last.append(value)
        else:
            oldest, self._last[self._place] = self._last[self._place], value
            self._place = (self._place + 1) % KEPT
            del self._sorted[bisect_left(self._sorted, oldest)]
        insort(self._sorted, value)

    @property
    def value(self) -> float:
        """Of one value at least."""
        return self._sorted[math.ceil(PERCENTILE * len(self._sorted)) - 1]


class Measured:
    """What was measured of one model on one channel."""

    __slots__ = ("_errors", "_first", "_rate", "_ttft", "_whole", "_whole_first")

    def __init__(self) -> None:
        self._errors = Mean()
        self._first: Mean | None = None
        self._whole_first: Mean | None = None
        self._ttft: Percentile | None = None
        self._whole: Percentile | None = None
        self._rate: Mean | None = None

    @property
    def error_share(self) -> float:
        return min(1.0, self._errors.value or 0.0)

    def succeeded(self, now: float) -> None:
        self._errors.add(now, 0.0)

    def failed(self, now: float, *, succeeded: bool) -> None:
        """`succeeded`: it had, and was counted."""
        self._errors.add(now, 1.0, 0.0 if succeeded else 1.0)

    def first(self, now: float, seconds: float, *, whole: bool) -> None:
        """It took so long until the first content, or until the head of a whole answer."""
        if whole:
            self._whole_first = self._whole_first or Mean()
            self._whole_first.add(now, seconds)
            self._whole = self._whole or Percentile()
            self._whole.add(seconds)
        else:
            self._first = self._first or Mean()
            self._first.add(now, seconds)
            self._ttft = self._ttft or Percentile()
            self._ttft.add(seconds)

    def generated(self, now: float, tokens: int, seconds: float) -> None:
        self._rate = self._rate or Mean()
        self._rate.add(now, tokens, seconds)

    def speed(self) -> Speed | None:
        first = self._first or self._whole_first
        if first is None:
            return None
        return Speed(
            ttft_s=first.value or 0.0,
            tokens_per_s=(self._rate and self._rate.value) or 0.0,
            error_share=self.error_share,
            ttft_p95_s=self._ttft.value if self._ttft else None,
            whole_p95_s=self._whole.value if self._whole else None,
        )
