"""Which wallet pays, where two may: the first that need not clamp, else the first that can pay at all. Pure.

Only the first one is bound by what its organization allows.
"""

from collections.abc import Sequence

import msgspec

from deeptoken.ledger.admission import refusal, room
from deeptoken.ledger.ceilings import without_organizations
from deeptoken.ledger.lots import Wallet
from deeptoken.ledger.meters import Meters
from deeptoken.ledger.postings import Hold, NotCheap, Refused, Room


class Payer(msgspec.Struct, frozen=True):
    """A wallet that may pay a hold, what limits it, and why it does not."""

    wallet: Wallet
    meters: Meters | None
    room: Room
    refused: Refused | NotCheap | None


def payers(
    hold: Hold, wallet: Wallet, second: Wallet | None, meters: Meters | None, now_us: int
) -> Sequence[Payer]:
    """Who may pay, in order."""
    there = room(wallet, meters)
    first = Payer(wallet, meters, there, refusal(hold, wallet, meters, there, now_us))
    if second is None:
        return (first,)
    own = without_organizations(meters)
    beside = room(second, own)
    return first, Payer(second, own, beside, refusal(hold, second, own, beside, now_us))


def chosen(hold: Hold, may: Sequence[Payer]) -> Payer | Refused | NotCheap:
    """Who pays, or why nobody does."""
    first = may[0]
    if isinstance(first.refused, NotCheap):
        return NotCheap(first.room, may[1].room) if len(may) > 1 else first.refused
    able = [payer for payer in may if payer.refused is None]
    for payer in able:
        if len(able) == 1 or payer.room.balance >= hold.full:
            return payer
    if able:
        return able[0]
    refused = [payer.refused for payer in may if isinstance(payer.refused, Refused)]
    # One that time cures comes first: waiting helps.
    return next((one for one in refused if _passes(one)), refused[0])


def _passes(refused: Refused) -> bool:
    return refused.retry_after_us is not None or refused.reason == "held_by_inflight"
