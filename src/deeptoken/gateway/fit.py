"""Who meets the needs and wishes of a request; what nobody meets, as an error that names it. Pure."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import NamedTuple

from deeptoken.catalog.model import Candidate, Level, Model
from deeptoken.catalog.price import decimal
from deeptoken.errors import BadRequest
from deeptoken.gateway.needs import Need, lacking, too_long, unknown
from deeptoken.gateway.wishes import Wishes
from deeptoken.money import ONE_PPM
from deeptoken.wire.chat import Chat

Keep = Callable[[Candidate], bool]
Levels = tuple[Level, ...]

DOES: dict[str, str] = {
    "tools": "does not call tools",
    "vision": "does not see images",
    "audio": "does not hear or speak",
    "files": "does not read files",
    "json_schema": "does not answer by a JSON schema",
}


class Demand(NamedTuple):
    """What a channel must be to stay, the field that asks for it, and why one does not stay."""

    keep: Keep
    param: str
    why: str


def unfit(
    model: Model, chat: Chat, needs: tuple[Need, ...], wishes: Wishes, ratio_ppm: int
) -> BadRequest | None:
    """Why `model` cannot serve, whoever would ask it."""
    need = lacking(needs, model)
    if need is not None:
        return _unmet(need.param, f"{model.id!r} {DOES[need.capability]}")
    if model.context is not None:
        tokens = too_long(chat, model.context)
        if tokens is not None:
            return _unmet(
                "messages",
                f"{model.id!r} holds {model.context:,} tokens, and the prompt has {tokens:,} at least",
            )
    if wishes.prompt_max is not None or wishes.completion_max is not None:
        return _too_dear(model, wishes, ratio_ppm)
    return None


def demands(wishes: Wishes) -> Iterator[Demand]:
    """What `provider` asks of a channel."""
    if parameters := wishes.parameters:
        yield Demand(
            lambda at: not unknown(parameters, at),
            "provider.require_parameters",
            "a parameter would get lost there",
        )
    if only := wishes.only:
        yield Demand(
            lambda at: not only.isdisjoint(at.channel.names),
            "provider.only",
            "provider.only does not name it",
        )
    if ignore := wishes.ignore:
        yield Demand(
            lambda at: ignore.isdisjoint(at.channel.names), "provider.ignore", "provider.ignore names it"
        )
    if wishes.order and not wishes.allow_fallbacks:
        order = frozenset(wishes.order)
        yield Demand(
            lambda at: not order.isdisjoint(at.channel.names),
            "provider.order",
            "provider.order does not name it, and provider.allow_fallbacks is false",
        )


def nobody(demand: Demand, model: Model, levels: Levels, wishes: Wishes) -> BadRequest:
    """The error when no candidate of these, which were left, meets the demand."""
    candidates = [at for equals in levels for at in equals.candidates]
    if demand.param == "provider.require_parameters":
        lost = set.intersection(*(set(unknown(wishes.parameters, at)) for at in candidates))
        which = ", ".join(sorted(lost)) or "some of the parameters"
        return _unmet(demand.param, f"with every channel of {model.id!r} {which} would get lost")
    labels = ", ".join(sorted({at.channel.label for at in candidates}))
    return _unmet(demand.param, f"it leaves no channel of {model.id!r}, which is served by {labels}")


def parted(levels: Levels, keep: Keep) -> tuple[Levels, Levels]:
    """The levels with those candidates alone, and with the others alone."""
    those, others = [], []
    for equals in levels:
        candidates = [at for at in equals.candidates if keep(at)]
        if len(candidates) == len(equals.candidates):
            those.append(equals)
        elif not candidates:
            others.append(equals)
        else:
            those.append(Level(tuple(candidates)))
            names = {at.channel.name for at in candidates}
            others.append(Level(tuple(at for at in equals.candidates if at.channel.name not in names)))
    return tuple(those), tuple(others)


def named(name: str) -> Keep:
    """Those that a caller calls so."""
    return lambda at: name in at.channel.names


def costing(cost: int) -> Keep:
    """Those at this price."""
    return lambda at: sum(price_of(at.model)) == cost


def price_of(model: Model, tokens: int = 0) -> tuple[int, int]:
    """The dearest that a prompt of up to so many tokens, and its answer, may cost: pico-USD a token."""
    price = model.price
    if not price.tiers:
        return price.rates.prompt, price.rates.completion
    rates = [price.rates, *(tier.rates for tier in price.tiers if tokens > tier.above)]
    return max(rate.prompt for rate in rates), max(rate.completion for rate in rates)


def priced(model: Model, ratio_ppm: int, tokens: int = 0) -> str:
    """The same for people, per 1M tokens, as the caller's group pays it."""
    prompt, completion = (
        decimal(Fraction(rate * ratio_ppm, 1_000_000 * ONE_PPM)) for rate in price_of(model, tokens)
    )
    return f"${prompt} per 1M prompt tokens, ${completion} per 1M completion tokens"


def _too_dear(model: Model, wishes: Wishes, ratio_ppm: int) -> BadRequest | None:
    rates = price_of(model, wishes.tokens)
    for rate, most in zip(rates, (wishes.prompt_max, wishes.completion_max), strict=True):
        if most is not None and rate * ratio_ppm > most * ONE_PPM:
            costs = priced(model, ratio_ppm, wishes.tokens)
            return _unmet("provider.max_price", f"{model.id!r} costs {costs}")
    return None


def _unmet(param: str, why: str) -> BadRequest:
    return BadRequest(f"{param}: {why}.", param=param)
