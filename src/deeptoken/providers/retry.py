"""When a provider wants to be asked again, as its response headers say it.

    retry-after-ms           milliseconds
    retry-after              seconds, or a date (RFC 9110, section 10.2.3)
    x-ratelimit-reset-...    "1s", "6m0s", "12ms", "11.38": requests or tokens, where nothing is left of them

Sources: developers.openai.com/api/docs/guides/rate-limits, inference-docs.cerebras.ai/support/rate-limits,
read 2026-11-23.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

REMAINING = "x-ratelimit-remaining-"
RESET = "x-ratelimit-reset-"
DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?"
    r"(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?"
)
UNITS_S = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)
POINT_IN_TIME_S = 1_000_000_000
"""A number of seconds this large is a date since 1970, not a duration."""


def retry_after(headers: Mapping[str, str], now_s: float | None = None) -> float | None:
    """Seconds to wait, or None where nothing is said. `headers` by lower-case name.

    Dates are read against `now_s`, seconds since 1970; without it they say nothing.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    told = headers.get("retry-after")
    if told is not None:
        wait = _seconds(told, now_s)
        return _date(told, now_s) if wait is None else wait
    waits = [
        wait
        for name, left in headers.items()
        if name.startswith(REMAINING)
        and _number(left) == 0
        and (wait := _seconds(headers.get(RESET + name.removeprefix(REMAINING), ""), now_s))
    ]
    return max(waits, default=None)


def _seconds(text: str, now_s: float | None) -> float | None:
    number = _number(text)
    if number is None:
        parts = DURATION.fullmatch(text.strip())
        if parts is None or not parts[0]:
            return None
        return sum(float(part or 0) * unit for part, unit in zip(parts.groups(), UNITS_S, strict=True))
    if number < POINT_IN_TIME_S:
        return number
    return None if now_s is None else max(0.0, number - now_s)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if number >= 0 and math.isfinite(number) else None


def _date(text: str, now_s: float | None) -> float | None:
    if now_s is None:
        return None
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    # A date in "-0000" has no zone of its own; HTTP dates are in UTC.
    return max(0.0, date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now_s)
