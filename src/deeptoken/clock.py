"""The only time there is.

Durations and deadlines come from the monotonic clock, dates from the wall clock. The ledger's time
is the wall clock when the process started plus the monotonic clock since, so that a jump of the
wall clock bends no rolling window.
"""

import time

monotonic = time.monotonic  # noqa: TID251
"""Seconds, for durations and deadlines. The event loop's clock is the same. It is read for every event of a
stream, so it is not one more call."""


def wall_us() -> int:
    """Microseconds since 1970, UTC."""
    return time.time_ns() // 1_000  # noqa: TID251


def wall_s() -> int:
    """Seconds since 1970, UTC."""
    return time.time_ns() // 1_000_000_000  # noqa: TID251


class LedgerClock:
    """Microseconds since 1970 that never jump and strictly increase from one call to the next."""

    def __init__(self, *, not_before_us: int = 0) -> None:
        self._base_us = wall_us() - time.monotonic_ns() // 1_000  # noqa: TID251
        self._last_us = not_before_us

    def now_us(self) -> int:
        now = self._base_us + time.monotonic_ns() // 1_000  # noqa: TID251
        self._last_us = now if now > self._last_us else self._last_us + 1
        return self._last_us
