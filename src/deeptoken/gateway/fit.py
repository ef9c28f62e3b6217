"""Who meets the needs and wishes of a request; what nobody meets, as an error that names it. Pure."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple

from deeptoken.catalog.catalog import Found
from deeptoken.catalog.model import Model
from deeptoken.catalog.price import dearest, decimal
from deeptoken.errors import BadRequest
from deeptoken.gateway.needs import Need, lacking, too_long, unknown
from deeptoken.gateway.wishes import Wishes
from deeptoken.money import ONE_PPM
from deeptoken.wire.chat import Chat

Channels = frozenset[str]
"""Names of channels that serve one model."""
NOBODY: Channels = frozenset()

DOES_NOT = {
    "tools": "does not call tools",
    "vision": "does not see images",
    "audio": "does not hear or speak",
    "files": "does not read files",
    "json_schema": "does not answer by a JSON schema",
}


class Demand(NamedTuple):
    """The channels that meet one of the wishes, its field, and why one that does not is left out."""

    those: Channels
    param: str
    why: str


def unfit(
    model: Model, chat: Chat, needs: tuple[Need, ...], wishes: Wishes, ratio_ppm: int
) -> BadRequest | None:
    """Why `model` cannot serve, whoever would be asked for it."""
    need = lacking(needs, model)
    if need is not None:
        why = DOES_NOT.get(need.capability, f"is declared without {need.capability}")
        return unmet(need.param, f"{model.id!r} {why}")
    if model.context is not None:
        tokens = too_long(chat, model.context)
        if tokens is not None:
            return unmet(
                "messages",
                f"{model.id!r} holds {model.context:,} tokens, and the prompt has {tokens:,} at least",
            )
    if wishes.prompt_max is not None or wishes.completion_max is not None:
        return _too_dear(model, wishes, ratio_ppm)
    return None


def _too_dear(model: Model, wishes: Wishes, ratio_ppm: int) -> BadRequest | None:
    rates = dearest(model.price, wishes.tokens)
    for rate, most in zip(rates, (wishes.prompt_max, wishes.completion_max), strict=True):
        if most is not None and rate * ratio_ppm > most * ONE_PPM:
            costs = priced(model, ratio_ppm, wishes.tokens)
            return unmet("provider.max_price", f"{model.id!r} costs {costs}")
    return None


def demands(wishes: Wishes, found: Found) -> Iterator[Demand]:
    """What `provider` asks of the channels of a model."""
    if wishes.parameters:
        yield Demand(
            _passing(wishes.parameters, found),
            "provider.require_parameters",
            "a parameter would get lost there",
        )
    if wishes.only:
        yield Demand(called(wishes.only, found), "provider.only", "provider.only does not name it")
    if wishes.ignore:
        yield Demand(
            found.channels - called(wishes.ignore, found), "provider.ignore", "provider.ignore names it"
        )
    if wishes.order and not wishes.allow_fallbacks:
        yield Demand(
            called(wishes.order, found),
            "provider.order",
            "provider.order does not name it, and provider.allow_fallbacks is false",
        )


def called(names: Iterable[str], found: Found) -> Channels:
    """The channels with one of these names."""
    return NOBODY.union(*(found.called.get(name, NOBODY) for name in names))


def _passing(parameters: frozenset[str], found: Found) -> Channels:
    """Those where no parameter gets lost, which is a matter of the provider."""
    lost: dict[str, bool] = {}
    for at in found.candidates:
        provider = at.channel.provider
        if provider not in lost:
            lost[provider] = bool(unknown(parameters, at))
    return frozenset(at.channel.name for at in found.candidates if not lost[at.channel.provider])


def nobody(demand: Demand, found: Found, left: Channels, wishes: Wishes) -> BadRequest:
    """The error when none of the channels that were left meets the demand."""
    candidates = [at for at in found.candidates if at.channel.name in left]
    if wishes.parameters and demand.param == "provider.require_parameters":
        lost = set.intersection(*(set(unknown(wishes.parameters, at)) for at in candidates))
        which = ", ".join(sorted(lost)) or "one of the parameters"
        return unmet(demand.param, f"with every channel of {found.model.id!r} {which} would get lost")
    labels = ", ".join(sorted({at.channel.label for at in candidates}))
    return unmet(demand.param, f"it leaves no channel of {found.model.id!r}, which is served by {labels}")


def unmet(param: str, why: str) -> BadRequest:
    return BadRequest(f"{param}: {why}.", param=param)


def priced(model: Model, ratio_ppm: int, tokens: int = 0) -> str:
    """Its price for people, as the caller's group pays it for a prompt of up to so many tokens."""
    prompt, completion = (
        decimal(Fraction(rate * ratio_ppm, 1_000_000 * ONE_PPM)) for rate in dearest(model.price, tokens)
    )
    return f"${prompt} per 1M prompt tokens, ${completion} per 1M completion tokens"
