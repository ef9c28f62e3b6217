"""Quotes made of a plan, and read as a caller reads them."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from plan_scene import NOW, Dice, channel, chat, found, model

from deeptoken.catalog.catalog import Found
from deeptoken.catalog.model import Group, Rates
from deeptoken.gateway import wishes
from deeptoken.gateway.draw import Unmeasured
from deeptoken.gateway.needs import needs
from deeptoken.gateway.plan import Sought, plan
from deeptoken.gateway.quote import Costs, bounds, quote
from deeptoken.ledger.postings import Left
from deeptoken.money import NanoUsd, PicoUsd
from deeptoken.wire.chat import Chat

RATES = Rates(prompt=PicoUsd(1_000_000), completion=PicoUsd(2_000_000), cache_write=PicoUsd(1_250_000))
"""A prompt token is 1 credit, a completion token 2; one that is written to a cache is 1.25."""
PLENTY = 10**18


def wallet(balance: int, available: int | None = None, *, refuses: bool = False) -> Left:
    """In nano-USD."""
    return Left("wallet", "wallet", None, balance, balance if available is None else available, refuses)


def quoted(
    *models: Found,
    said: Chat | None = None,
    left: Sequence[Left] = (wallet(PLENTY),),
    cap: int | None = None,
    ratio_ppm: int = 1_000_000,
    recent: Sequence[int] = (),
    **more: Any,
) -> dict[str, Any]:
    """The quote as a caller reads it."""
    asked = said or chat()
    served = models or (found(channel("a"), at=model(rates=RATES)),)
    sought = Sought(served, asked, needs(asked), wishes.read(asked), ratio_ppm=ratio_ppm)
    made = plan(sought, more.get("health", Unmeasured()), NOW, Dice(), explain=True, full=more.get("full"))
    once = {choice.candidate.model.id: choice.candidate.model for choice in made.choices}
    costs = Costs(asked, tuple(once.values()), ratio_ppm)
    bound = bounds(costs, left, None if cap is None else NanoUsd(cap))
    told = quote(sought, made, Group("default", ratio_ppm=ratio_ppm), costs, bound, recent)
    read: dict[str, Any] = json.loads(msgspec.json.encode(told))
    return read


def limit(told: dict[str, Any], name: str) -> dict[str, Any]:
    named: list[dict[str, Any]] = [one for one in told["limits"] if one["name"] == name]
    (one,) = named
    return one
