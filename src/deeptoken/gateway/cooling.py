"""How long a model on a channel is left alone after a 429. Time and chance are given.

    told       as long as the provider says; a later, shorter wait does not shorten it
    not told   1 s, doubling to 60 s with each 429 in a row; a success begins anew

A 429 of a call that began before the last one came is of the same wave, and doubles nothing. A wait is up to
a twentieth longer by chance, so that not all processes come back at once.

Source: spec "What a failure means".
"""

from deeptoken.gateway.breaker import SPREAD

FIRST_S = 1.0
UNTOLD_MAX_S = 60.0
DOUBLINGS_MAX = 6
TOLD_MAX_S = 86_400.0
"""A wait of more than a day is no rate limit: it is for the operator to see."""


class Cooling:
    """Until `until` nobody goes there."""

    __slots__ = ("_row", "until", "wave")

    def __init__(self) -> None:
        self.until = 0.0
        self.wave = 0
        """A call that begins now has this number."""
        self._row = 0

    def refused(self, wave: int, told_s: float | None, now: float, chance: float) -> None:
        """A call of `wave` got a 429 that says to wait so long; None or 0: that does not say."""
        if wave == self.wave:
            self._row = min(self._row + 1, DOUBLINGS_MAX + 1)
            self.wave += 1
        wait_s = min(UNTOLD_MAX_S, FIRST_S * 2 ** max(0, self._row - 1))
        if told_s:
            wait_s = min(TOLD_MAX_S, told_s)
        self.until = max(self.until, now + wait_s * (1 + SPREAD * chance))

    def succeeded(self, wave: int) -> None:
        """A call of `wave` was answered."""
        if wave == self.wave:
            self._row = 0

    def clear(self) -> None:
        """Somebody knows that it is well."""
        self.until = 0.0
        self.wave += 1
        self._row = 0
