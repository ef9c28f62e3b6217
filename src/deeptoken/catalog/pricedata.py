"""The price-data package, read into rows of our price book. Needs nothing else, so the build can run it.

Source: genai-prices. Its prices are USD per million tokens; ours are pico-USD a token, the same number
times a million. What has more decimals than a pico-dollar is rounded up.

    prices by date            the one in force on the day that is asked for
    prices by time of day     the dearest of them: a row holds all day
    characters that are read  a price a character
    audio that is heard       a price a second, of its price by the hour
    what has another unit     (live audio, pages of documents) has no row; no image has a price of its own
    other names of a model    exact ones, and patterns for "starts with" and for dated versions
"""

import json
from collections.abc import Iterator
from datetime import date
from decimal import ROUND_CEILING, Decimal
from typing import Any

CLASSES = {
    "prompt": "input_mtok",
    "completion": "output_mtok",
    "cached": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "prompt_audio": "input_audio_mtok",
    "reasoning": "output_reasoning_mtok",
    "completion_audio": "output_audio_mtok",
    "completion_image": "output_image_mtok",
    "character": "input_mchars",
}
"""Our class, of tokens or of characters -> the package's price for a million."""
PRICED_BY = ("input_mtok", "input_mchars", "input_audio_hours")
"""A row has one of these."""
HOUR_S = 3_600
DATED = r"\d{8}$"
"""How the package writes "and a date" at the end of a regular expression."""

Row = dict[str, Any]


def rows(day: date) -> list[Row]:
    """The price book that the package knows on this day, sorted by provider and id."""
    from genai_prices.data import providers

    found = [_row(provider.id, model, day) for provider in providers for model in provider.models]
    return sorted((row for row in found if row), key=lambda row: (row["provider"], row["id"]))


def as_json(day: date) -> str:
    """The rows as the file that is packaged: one line a row, the same bytes for the same package and day."""
    lines = (json.dumps(row, sort_keys=True, separators=(",", ":")) for row in rows(day))
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _row(provider: str, model: Any, day: date) -> Row | None:
    prices = _in_force(model.prices, day)
    if all(getattr(prices, name) is None for name in PRICED_BY) or model.id.endswith("-"):
        return None
    other = sorted({alias for alias in _names(model.match) if alias != model.id})
    row: Row = {"provider": provider, "id": model.id, "rates": _rates(prices, 0)}
    tiers = [{"above": start, "rates": _rates(prices, start + 1)} for start in sorted(_starts(prices))]
    if tiers:
        row["tiers"] = tiers
    if not model.is_match(model.id):
        # The id is the package's own name for it; the model is called by its other names.
        exact = [alias for alias in other if not alias.endswith("*")]
        if not exact:
            return None
        row["id"] = exact[0]
        other.remove(exact[0])
    if other:
        row["aliases"] = other
    if model.name:
        row["name"] = model.name
    if model.context_window:
        row["context"] = model.context_window
    return row


def _in_force(prices: Any, day: date) -> Any:
    if not isinstance(prices, list):
        return prices
    # The package's rule: the last one whose condition holds. Which hour it is, nobody knows yet.
    possible = []
    for price in reversed(prices):
        if hasattr(price.constraint, "start_time"):
            possible.append(price.prices)
        elif price.constraint is None or price.constraint.start_date <= day:
            possible.append(price.prices)
            break
    return max(possible or [prices[0].prices], key=_dearness)


def _dearness(prices: Any) -> Decimal:
    return sum((_at(getattr(prices, name), 0) for name in ("input_mtok", "output_mtok")), Decimal(0))


def _rates(prices: Any, prompt_tokens: int) -> dict[str, int]:
    rates = {"prompt": 0, "completion": 0}
    for ours, theirs in CLASSES.items():
        price = getattr(prices, theirs)
        if price is not None:
            rates[ours] = _pico(_at(price, prompt_tokens) / 1_000_000)
    if prices.requests_kcount is not None:
        rates["request"] = _pico(prices.requests_kcount / 1_000)
    if prices.input_audio_hours is not None:
        rates["second"] = _pico(_at(prices.input_audio_hours, prompt_tokens) / HOUR_S)
    return rates


def _pico(usd: Decimal) -> int:
    return int((usd * 1_000_000_000_000).to_integral_value(ROUND_CEILING))


def _at(price: Any, prompt_tokens: int) -> Decimal:
    """A price for a prompt of this size: the package's tiers hold for the whole call, as ours do."""
    if price is None:
        return Decimal(0)
    if isinstance(price, Decimal):
        return price
    found: Decimal = price.base
    for tier in price.tiers:
        if prompt_tokens > tier.start:
            found = tier.price
    return found


def _starts(prices: Any) -> set[int]:
    tiered = (getattr(prices, name) for name in CLASSES.values())
    return {tier.start for price in tiered if hasattr(price, "tiers") for tier in price.tiers}


def _names(match: Any) -> Iterator[str]:
    """The ids and patterns that a rule of the package says as such; its other rules are no patterns."""
    if hasattr(match, "or_"):
        for rule in match.or_:
            yield from _names(rule)
    elif hasattr(match, "equals"):
        yield match.equals
    elif hasattr(match, "starts_with"):
        yield match.starts_with + "*"
    elif hasattr(match, "regex") and match.regex.startswith("^") and match.regex.endswith(DATED):
        stem = match.regex[1 : -len(DATED)].replace("\\.", ".").replace("[-@]", "-")
        if not set(stem) & set("\\[](){}|*+?^$"):
            yield stem + "20*"
