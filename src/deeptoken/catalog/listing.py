"""A model as ``/v1/models`` and ``/api/catalog`` show it: OpenAI's fields and ours, prices in both forms.

Prices are what the caller's group pays: decimal strings, in USD per million tokens or characters, and in USD
for one image, second, search or request.
"""

from fractions import Fraction
from typing import Any

from deeptoken.catalog.model import Group, Model, Rates
from deeptoken.catalog.price import decimal, ratios
from deeptoken.money import ONE_PPM

CREATED = 1_735_689_600
"""OpenAI's list has a time for each model. Ours has none: the same one for all, 2025-01-01."""


def entry(model: Model, group: Group) -> dict[str, Any]:
    """One model, for the API and the pages."""
    return {
        "id": model.id,
        "object": "model",
        "created": CREATED,
        "owned_by": model.owned_by,
        "context": model.context,
        "max_output": model.max_output,
        "modalities": list(model.modalities),
        "capabilities": dict(model.capabilities),
        "prices": prices(model, group),
    }


def prices(model: Model, group: Group) -> dict[str, Any]:
    """What each class that has a price of its own costs, the tiers, and the ratios."""
    price = model.price
    shown: dict[str, Any] = _usd(price.rates, group.ratio_ppm)
    if price.tiers:
        shown["tiers"] = [
            {"above": tier.above, **_usd(tier.rates, group.ratio_ppm)}
            for tier in sorted(price.tiers, key=lambda tier: tier.above)
        ]
    shown["ratios"] = {"group_ratio": decimal(Fraction(group.ratio_ppm, ONE_PPM)), **ratios(price)}
    return shown


def _usd(rates: Rates, ratio_ppm: int) -> dict[str, str]:
    classes = {
        "prompt": rates.prompt,
        "completion": rates.completion,
        "cached": rates.cached,
        "cache_write": rates.cache_write,
        "cache_write_1h": rates.cache_write_1h,
        "prompt_audio": rates.prompt_audio,
        "reasoning": rates.reasoning,
        "completion_audio": rates.completion_audio,
        "completion_image": rates.completion_image,
        "character": rates.character,
    }
    shown = {
        name: decimal(Fraction(rate * ratio_ppm, 1_000_000 * ONE_PPM))
        for name, rate in classes.items()
        if rate is not None
    }
    each = {"image": rates.image, "second": rates.second, "search": rates.search}
    each["request"] = rates.request or None
    for name, rate in each.items():
        if rate is not None:
            shown[name] = _exact(Fraction(rate * ratio_ppm, 1_000_000_000_000 * ONE_PPM))
    return shown


def _exact(amount: Fraction) -> str:
    """USD with at most twelve places: what one costs may be far below a cent."""
    scaled = round(amount * 1_000_000_000_000)
    whole, rest = divmod(scaled, 1_000_000_000_000)
    return f"{whole}.{rest:012d}".rstrip("0").rstrip(".")
