"""``POST /v1/quote``: who would be asked for a call, what it would cost, which limits would bind.

It is read, authorised and planned as the call itself would be. Nobody is asked, nothing is held, and nothing
counts against a limit.
"""

from typing import Any, Protocol

import msgspec

from deeptoken.catalog.model import Channel
from deeptoken.gateway.affinity import conversation
from deeptoken.gateway.inbound import Inbound
from deeptoken.gateway.plan import Plan, Sought, plan
from deeptoken.gateway.quote import Costs, bounds, quote
from deeptoken.gateway.route import Means
from deeptoken.gateway.router import ANSWER_TOKENS, BYTES_A_TOKEN
from deeptoken.gateway.serve import Gateway, Peer
from deeptoken.gateway.terms import least
from deeptoken.identity.caller import Caller
from deeptoken.ledger.postings import Left
from deeptoken.money import NanoUsd


class Purse(Protocol):
    """What the ledger knows of a caller's money."""

    async def left(
        self, caller: Caller, *, minimum: NanoUsd, tokens_minimum: int, full: NanoUsd
    ) -> list[Left]:
        """What the wallet that would pay and limits leave for a hold of at least that and at most `full`."""

    async def recent_answers(self, wallet: str, model: str) -> list[int]:
        """How many tokens the wallet's latest whole answers of a model had, newest first."""


async def quoted(gateway: Gateway, purse: Purse, call: Inbound, peer: Peer) -> dict[str, Any]:
    """The quote for what `call` would ask for.

    Raises what the call itself would, up to its hold.
    """
    caller, sought = await gateway.sought(call, peer)
    made = _planned(gateway.router.means, caller, sought)
    models = tuple({choice.candidate.model.id: choice.candidate.model for choice in made.choices}.values())
    costs = Costs(sought.chat, models, sought.ratio_ppm)
    recent = await purse.recent_answers(caller.wallet, models[0].id)
    tokens, full = costs.prompt + costs.first, least(costs.full, call.cost_max)
    left = await purse.left(caller, minimum=costs.needed, tokens_minimum=tokens, full=full)
    told = quote(sought, made, caller.group, costs, bounds(costs, left, call.cost_max), recent)
    if caller.fallback is not None:
        told["payer"] = caller.fallback_owner if left[0].subject == caller.fallback else caller.owner
    return told


def _planned(means: Means, caller: Caller, sought: Sought) -> Plan:
    """The plan as a call would find it now, with its reasons."""
    now, request = means.now(), sought.chat.request
    conversed = conversation(caller.wallet, sought.models[0].model.id, sought.chat)
    sought = msgspec.structs.replace(sought, served=means.affinity.served(conversed, now))
    tokens = sought.chat.size // BYTES_A_TOKEN + (request.limit or ANSWER_TOKENS) * (request.n or 1)

    def full(channel: Channel) -> bool:
        return channel.paced and means.queue.full(channel, tokens, now)

    return plan(sought, means.health, now, means.draw, full=full, explain=True)
