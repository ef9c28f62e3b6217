"""What a caller wishes of the routing: `models` and `provider` in the body, read and checked. Pure.

The shape is OpenRouter's (openrouter.ai/docs/features/provider-routing, read 2026-11-25), as far as a gateway
of one's own can keep it:

    order               these first, in this order          allow_fallbacks   false: no others
    only, ignore        these alone, all but these          sort              price, latency, throughput
    require_parameters  no parameter may get lost           max_price         USD per 1M tokens

Its other preferences are refused, not passed over: who wants providers that keep nothing must not get others.
"""

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any, get_args

import msgspec

from deeptoken.catalog import tokens
from deeptoken.catalog.patterns import Sort
from deeptoken.errors import BadRequest
from deeptoken.money import PicoUsd, usd_per_million
from deeptoken.wire.chat import MODEL_ID_MAX, Chat

MODELS_MAX = 16
"""More could not be tried in one call."""
NAMES_MAX = 100
SORTS: tuple[Sort, ...] = get_args(Sort)
PREFERENCES = ("order", "only", "ignore", "allow_fallbacks", "require_parameters", "sort", "max_price")
NOT_KEPT: Mapping[str, tuple[Any, str]] = {
    "data_collection": ("allow", "what a provider keeps is not known here"),
    "zdr": (False, "what a provider keeps is not known here"),
    "enforce_distillable_text": (False, "a model's licence is not known here"),
    "quantizations": ([], "how a model was quantized is not known here"),
    "preferred_min_throughput": (None, 'use sort: "throughput"'),
    "preferred_max_latency": (None, 'use sort: "latency"'),
}
"""What OpenRouter knows besides: the value that asks for nothing, and why another cannot be kept."""
PRICES = ("prompt", "completion")
LABELS = frozenset(
    ("messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "user", "metadata")
)
"""Fields that are no parameters, or that every provider understands."""


class Wishes(msgspec.Struct, frozen=True):
    """Names are in small letters; where there is no wish, a field is empty."""

    models: tuple[str, ...] = ()
    """Ids to fall back on, in order."""
    order: tuple[str, ...] = ()
    only: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    allow_fallbacks: bool = True
    sort: Sort | None = None
    parameters: frozenset[str] = frozenset()
    """None of these may get lost."""
    prompt_max: PicoUsd | None = None
    completion_max: PicoUsd | None = None
    tokens: int = 0
    """With a price's limit: the most tokens that the prompt can have, for tiers."""


NO_WISHES = Wishes()
DECODE = msgspec.json.Decoder(float_hook=Decimal).decode
"""A price is never a float."""


def read(chat: Chat) -> Wishes:
    """What the body of `chat` wishes.

    Raises:
        BadRequest: a wish that is none; `param` names it.
    """
    ours = chat.ours
    if not ours or ("models" not in ours and "provider" not in ours):
        return NO_WISHES
    models = _models(ours["models"]) if "models" in ours else ()
    if "provider" not in ours:
        return Wishes(models=models) if models else NO_WISHES
    told = DECODE(ours["provider"])
    if not isinstance(told, dict):
        raise _wrong("provider", "expected an object")
    wishes = _preferences({name: value for name, value in told.items() if value is not None}, models, chat)
    return NO_WISHES if wishes == NO_WISHES else wishes


def _preferences(told: dict[str, Any], models: tuple[str, ...], chat: Chat) -> Wishes:
    for name, value in told.items():
        if name not in PREFERENCES and not (name in NOT_KEPT and value == NOT_KEPT[name][0]):
            raise _unknown(name)
    prices = _prices(told.get("max_price"))
    return Wishes(
        models=models,
        order=_names(told, "order"),
        only=frozenset(_names(told, "only")),
        ignore=frozenset(_names(told, "ignore")),
        allow_fallbacks=_flag(told, "allow_fallbacks", True),
        sort=_sort(told.get("sort")),
        parameters=_parameters(chat) if _flag(told, "require_parameters", False) else frozenset(),
        prompt_max=prices.get("prompt"),
        completion_max=prices.get("completion"),
        tokens=tokens.bound(chat) if prices else 0,
    )


def _models(raw: msgspec.Raw) -> tuple[str, ...]:
    told = msgspec.json.decode(raw)
    if not isinstance(told, list):
        raise _wrong("models", "expected a list of model ids")
    if len(told) > MODELS_MAX:
        raise _wrong("models", f"expected at most {MODELS_MAX} ids")
    for at, id in enumerate(told):
        if not isinstance(id, str) or not 1 <= len(id) <= MODEL_ID_MAX:
            raise _wrong(f"models[{at}]", f"expected a model id of at most {MODEL_ID_MAX} characters")
    return tuple(told)


def _names(told: dict[str, Any], name: str) -> tuple[str, ...]:
    """Names in small letters, each once."""
    names = told.get(name, [])
    param = f"provider.{name}"
    if not isinstance(names, list) or len(names) > NAMES_MAX:
        raise _wrong(param, f"expected a list of at most {NAMES_MAX} names of providers or channels")
    for at, one in enumerate(names):
        if not isinstance(one, str) or not one:
            raise _wrong(f"{param}[{at}]", "expected the name of a provider or a channel")
    return tuple(dict.fromkeys(one.lower() for one in names))


def _flag(told: dict[str, Any], name: str, otherwise: bool) -> bool:
    value = told.get(name, otherwise)
    if not isinstance(value, bool):
        raise _wrong(f"provider.{name}", "expected true or false")
    return value


def _sort(told: Any) -> Sort | None:
    if told is None:
        return None
    for sort in SORTS:
        if told == sort:
            return sort
    raise _wrong("provider.sort", f"expected one of {', '.join(SORTS)}")


def _prices(told: Any) -> dict[str, PicoUsd]:
    """Limits in pico-USD a token. What is below a pico-dollar is cut off."""
    if told is None:
        return {}
    if not isinstance(told, dict):
        raise _wrong("provider.max_price", "expected an object with prompt and completion")
    limits = {}
    for name, value in told.items():
        if name not in PRICES:
            raise _wrong(f"provider.max_price.{name}", "expected prompt or completion, in USD per 1M tokens")
        if value is not None:
            limits[name] = _price(value, f"provider.max_price.{name}")
    return limits


def _price(value: Any, param: str) -> PicoUsd:
    try:
        # OpenRouter takes texts too, as its own list of prices has them.
        if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
            raise ValueError
        price = Decimal(value).quantize(Decimal("1e-6"), rounding=ROUND_DOWN)
        if price < 0 or not price.is_finite():
            raise ValueError
        return usd_per_million(str(price))
    except (ValueError, InvalidOperation):
        raise _wrong(param, "expected a number of USD per 1M tokens, at least 0") from None


def _parameters(chat: Chat) -> frozenset[str]:
    """The names of what must not get lost. `n` of 1 is what every model does; of a task an adapter drops
    nothing."""
    if chat.task is not None:
        return frozenset()
    names = chat.fields.keys() - LABELS
    return frozenset(names if (chat.request.n or 1) > 1 else names - {"n"})


def _unknown(name: str) -> BadRequest:
    param = f"provider.{name}"
    if name in NOT_KEPT:
        return _wrong(param, f"this preference cannot be kept, {NOT_KEPT[name][1]}. Leave it out")
    close = get_close_matches(name, PREFERENCES, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(PREFERENCES)}."
    return BadRequest(f"{param}: there is no such preference; {hint}", param=param)


def _wrong(param: str, what: str) -> BadRequest:
    return BadRequest(f"{param}: {what}.", param=param)
