"""Money as whole numbers. No float ever holds an amount.

    NanoUsd   an amount: 10^-9 USD
    PicoUsd   a price: 10^-12 USD a token, which is the same number as micro-USD per million tokens
    ppm       a ratio: 1_000_000 is one

One credit is one micro-USD, so 1,000 nano-USD.
"""

from decimal import Decimal, InvalidOperation
from typing import NewType

import msgspec

NanoUsd = NewType("NanoUsd", int)
PicoUsd = NewType("PicoUsd", int)

NANO_PER_USD = 1_000_000_000
NANO_PER_CREDIT = 1_000
ONE_PPM = 1_000_000
AMOUNT_MAX = NanoUsd(2**62)
"""Far above any wallet, and far enough below 2^63 that a sum of two is one still."""


def usd(text: str) -> NanoUsd:
    """Read dollars as people write them: ``usd("1.25")`` is 1_250_000_000.

    Raises:
        ValueError: more than nine decimals, or not a number.
    """
    return NanoUsd(_scaled(text, 9, "an amount in USD has at most nine decimals"))


def usd_per_million(text: str) -> PicoUsd:
    """Read a price in USD per million tokens: ``usd_per_million("0.15")`` is 150_000.

    Raises:
        ValueError: more than six decimals, or not a number.
    """
    return PicoUsd(_scaled(text, 6, "a price in USD per 1M tokens has at most six decimals"))


def ppm(text: str) -> int:
    """Read a ratio: ``ppm("1.2")`` is 1_200_000.

    Raises:
        ValueError: more than six decimals, or not a number.
    """
    return _scaled(text, 6, "a ratio has at most six decimals")


def show(amount: NanoUsd) -> str:
    """Dollars for people, exact: at least two decimals, no zeros after them. ``$1.01``, ``-$0.000075``."""
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), NANO_PER_USD)
    decimals = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}${whole}.{decimals}"


def credits(amount: NanoUsd) -> str:
    """An amount in credits, with at most three decimals: ``1500`` nano-USD is ``1.5``."""
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), NANO_PER_CREDIT)
    return f"{sign}{whole}.{rest:03d}".rstrip("0").rstrip(".") if rest else f"{sign}{whole}"


def credits_json(amount: NanoUsd) -> msgspec.Raw:
    """The same as a JSON number, written from the integer."""
    return msgspec.Raw(credits(amount).encode())


def _scaled(text: str, decimals: int, too_fine: str) -> int:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"not a number: {text!r}") from None
    if not number.is_finite():
        raise ValueError(f"not a number: {text!r}")
    scaled = number.scaleb(decimals)
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{too_fine}: {text!r}")
    if abs(scaled) > AMOUNT_MAX:
        raise ValueError(f"at most {Decimal(AMOUNT_MAX).scaleb(-decimals):f}, found {text!r}")
    return int(scaled)
