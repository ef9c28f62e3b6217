"""What a call would cost, and what each of its limits would do to it. Pure: nobody is asked, nothing is held.

    minimum    the prompt and one token, at the cheapest of the models that may answer
    expected   the prompt and an answer like the wallet's last ones of that model: their median. Where these
               are too few, `TYPICAL` tokens a choice, or as many as it may have
    maximum    what the hold may grow to: the dearest model, the dearest class of tokens, the longest answer
               that caller, model, context and money allow

    clamps     the answer may be cut shorter than the caller allows
    refuses    the call would be refused. Such a limit changes no figure: they say what would be needed

The rules are those of `tab.py` and of the ledger's admission. A prompt is counted, by the vocabulary of the
first model; a maker that publishes none may count otherwise.
"""

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any, Literal

import msgspec

from deeptoken.catalog import tokens
from deeptoken.catalog.listing import prices
from deeptoken.catalog.model import Group, Model
from deeptoken.catalog.price import charge
from deeptoken.errors import BadRequest, BudgetExceeded, RateLimited, WalletEmpty
from deeptoken.gateway.plan import Plan, Sought
from deeptoken.gateway.rates import whose
from deeptoken.gateway.terms import FIRST_WORDS, Terms
from deeptoken.ledger.postings import Left
from deeptoken.money import NanoUsd, credits_json
from deeptoken.wire.chat import Chat
from deeptoken.wire.usage import Usage

TYPICAL = 512
RECENT_MIN, RECENT_MAX = 5, 32
"""So many of the last answers make an expectation; so many count."""
CAP = "max_cost_usd"
SECOND_US = 1_000_000
MONEY = ("wallet", "usd", CAP)
"""What binds before a call begins. A limit of tokens a minute binds while it runs, and rolls on meanwhile."""
UNITS = {"tokens": "tokens", "requests": "requests", "concurrent": "calls"}
CODES = {"wallet": WalletEmpty.code, "usd": BudgetExceeded.code, CAP: BadRequest.code}

Effect = Literal["none", "clamps", "refuses"]


class Costs:
    """What a call may come to, whichever of these models answers. Tokens are of all choices but `each`."""

    def __init__(self, chat: Chat, models: tuple[Model, ...], ratio_ppm: int) -> None:
        self.terms = Terms(models, ratio_ppm)
        self.ratio_ppm = ratio_ppm
        self.prompt = tokens.count(chat, models[0].id, self.terms.context)
        self.choices = chat.request.n or 1
        self.each = self.terms.longest(chat.request, self.prompt)
        """The most that a choice may have."""

    @property
    def first(self) -> int:
        """What an answer must be able to have."""
        return self.choices * min(FIRST_WORDS, self.each)

    @property
    def needed(self) -> NanoUsd:
        """Where a limit leaves less, it refuses."""
        return self.terms.price_of(self.prompt, self.first)

    @property
    def full(self) -> NanoUsd:
        """Where a wallet leaves as much, the answer need not be cut short."""
        return self.terms.price_of(self.prompt, self.choices * self.each)

    def paid(self, amount: int) -> int:
        """The most tokens that a choice may have for that amount."""
        return max(0, self.terms.affordable(self.prompt, NanoUsd(amount))) // self.choices

    def charge(self, model: Model, completion: int) -> NanoUsd:
        return charge(model.price, Usage(prompt=self.prompt, completion=completion), self.ratio_ppm)


class Bound(msgspec.Struct, frozen=True):
    """What a limit does to a call; `each` is what it leaves a choice, where it clamps."""

    name: str
    kind: str
    most: int | None
    balance: int
    available: int
    effect: Effect
    each: int | None = None
    retry_after_us: int | None = None
    subject: str = ""


def bounds(costs: Costs, left: Iterable[Left], cap: NanoUsd | None) -> list[Bound]:
    """What the wallet, each limit of the key and the caller's own `cap` do."""
    found = [_bound(costs, one) for one in left]
    if cap is not None:
        short = cap < costs.needed
        found.append(_bound(costs, Left(CAP, "usd", cap, cap, cap, short), kind=CAP))
    return found


def _bound(costs: Costs, left: Left, *, kind: str = "") -> Bound:
    kind = kind or left.kind
    effect: Effect = "refuses" if left.refuses else "none"
    each = None
    if effect == "none" and kind in (*MONEY, "tokens"):
        each = costs.paid(left.balance)
        if kind == "tokens":
            each = (left.available - costs.prompt) // costs.choices
        effect = "clamps" if each < costs.each else "none"
    return Bound(
        left.name,
        kind,
        left.most,
        left.balance,
        left.available,
        effect,
        each if effect == "clamps" else None,
        left.retry_after_us,
        "" if kind == "wallet" else left.subject,
    )


def quote(
    sought: Sought, plan: Plan, group: Group, costs: Costs, bound: list[Bound], recent: Sequence[int]
) -> dict[str, Any]:
    """The answer. `recent` are the completion tokens of the last answers of the first model."""
    each = min([costs.each, *(one.each for one in bound if one.each is not None and one.kind in MONEY)])
    models = [choice.candidate.model for choice in plan.choices]
    expected = max(1, min(costs.choices * each, _expected(costs, recent)))
    return {
        "object": "quote",
        "model": sought.models[0].model.id,
        "candidates": [
            {
                "channel": choice.candidate.channel.label,
                "provider": choice.candidate.channel.provider,
                "model": choice.candidate.model.id,
                "reason": choice.reason,
                "prices": prices(choice.candidate.model, group),
            }
            for choice in plan.choices
        ],
        "left_out": _left_out(sought, plan),
        "cost": {
            "minimum": credits_json(min(costs.charge(model, 1) for model in models)),
            "expected": credits_json(costs.charge(models[0], expected)),
            "maximum": credits_json(costs.terms.price_of(costs.prompt, costs.choices * each)),
        },
        "prompt_tokens": costs.prompt,
        "max_completion_tokens": each,
        "limits": [_limit(one) for one in bound],
    }


def _expected(costs: Costs, recent: Sequence[int]) -> int:
    if len(recent) < RECENT_MIN:
        return costs.choices * TYPICAL
    last = sorted(recent[:RECENT_MAX])
    return last[len(last) // 2]


def _left_out(sought: Sought, plan: Plan) -> list[dict[str, str]]:
    """By label: callers do not know the channels' names. What looks the same to them stands there once."""
    labels = {at.channel.name: at.channel.label for found in sought.models for at in found.candidates}
    once = dict.fromkeys((labels[left.channel], left.model, left.reason) for left in plan.left_out)
    return [{"channel": label, "model": model, "reason": reason} for label, model, reason in once]


def _limit(bound: Bound) -> dict[str, Any]:
    unit = UNITS.get(bound.kind, "credits")
    told: dict[str, Any] = {"name": bound.name, "unit": unit}
    if bound.subject:
        told["of"] = whose(bound.subject)
    amounts = {"limit": bound.most, "left": bound.balance, "available": bound.available}
    for name, amount in amounts.items():
        if amount is not None:
            told[name] = credits_json(NanoUsd(amount)) if unit == "credits" else amount
    told["effect"] = bound.effect
    if bound.each is not None:
        told["max_completion_tokens"] = bound.each
    if bound.effect == "refuses":
        told["code"] = CODES.get(bound.kind, RateLimited.code)
        if bound.retry_after_us is not None:
            told["retry_after"] = max(1, ceil(bound.retry_after_us / SECOND_US))
    return told
