"""Where a window begins and ends: it rolls, is the calendar month (UTC), or all time. Pure arithmetic."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from deeptoken.ledger.postings import ALWAYS_US, DAY_US, MONTH_US

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LONGEST_MONTH_US = 31 * DAY_US


def edge_us(width_us: int, now_us: int) -> int:
    """The last moment that is no longer in the window."""
    if width_us >= 0:
        return now_us - width_us
    return month_us(now_us // DAY_US)[0] - 1 if width_us == MONTH_US else -1


def leaves_at_us(width_us: int, at_us: int) -> int | None:
    """When what happened then is no longer in it; None: never."""
    if width_us >= 0:
        return at_us + width_us
    return None if width_us == ALWAYS_US else month_us(at_us // DAY_US)[1]


def longest_us(width_us: int) -> int:
    """How long something stays in it at most; of all time, how long it is worth being remembered."""
    return width_us if width_us >= 0 else LONGEST_MONTH_US


@lru_cache(maxsize=8)
def month_us(day: int) -> tuple[int, int]:
    """The first microsecond of the month that has this day since 1970, and that of the next month."""
    first = (EPOCH + timedelta(days=day)).replace(day=1)
    after = (first + timedelta(microseconds=LONGEST_MONTH_US)).replace(day=1)
    return (first - EPOCH) // MICROSECOND, (after - EPOCH) // MICROSECOND
