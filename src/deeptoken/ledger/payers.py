"""Which wallet pays, where two may. Pure.

    the first that leaves all that the call could cost, so that it need not be cut short
    else the first that can pay the least of it; the other one pays the rest while it runs
    else none: the refusal that passes first, and of two that never do that of the call's own wallet

Only the first one is bound by what its organization allows.
"""

from collections.abc import Sequence

import msgspec

from deeptoken.ledger.admission import refusal, room
from deeptoken.ledger.ceilings import without_organizations
from deeptoken.ledger.lots import Wallet
from deeptoken.ledger.meters import ORGANIZATION, SOON_US, Meters, each
from deeptoken.ledger.postings import Hold, Left, NotCheap, Refused, Room
from deeptoken.money import AMOUNT_MAX, NanoUsd


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
        if payer.room.balance >= hold.full:
            return payer
    if able:
        return able[0] if able[0] is not first else _with_the_rest(may)
    return min([payer.refused for payer in may if isinstance(payer.refused, Refused)], key=_wait_us)


def left(hold: Hold, may: Sequence[Payer], now_us: int) -> list[Left]:
    """What there would be for a hold: of the wallet that pays, or whose refusal would be told."""
    paid, minimum = chosen(hold, may), hold.minimum
    payer = paid if isinstance(paid, Payer) else next((one for one in may if one.refused is paid), may[0])
    meters, rooms = payer.meters, [room(payer.wallet, None)]
    if all(payer is not one for one in may):
        # The other one pays on where its own limits end.
        meters, rooms = may[1].meters, [room(one.wallet, None) for one in may]
    balance, available = sum(each.balance for each in rooms), sum(each.available for each in rooms)
    short = balance < minimum or available < minimum
    cure = SOON_US if short and balance >= minimum else None
    return [
        Left("wallet", "wallet", None, balance, available, short, cure, payer.wallet.id),
        *(() if meters is None else meters.left(minimum, hold.tokens_minimum, now_us)),
    ]


def _with_the_rest(may: Sequence[Payer]) -> Payer:
    """The first one; of what it leaves the call, with what the other one can pay on."""
    first, there = may[0], may[0].room
    if len(may) == 1:
        return first
    metered = each(first.meters)
    of_keys = [meter.balance for meter in metered if not meter.subject.startswith(ORGANIZATION)]
    of_organizations = [meter.balance for meter in metered if meter.subject.startswith(ORGANIZATION)]
    own = max(0, min([first.wallet.balance - first.wallet.lapsed, *of_organizations]))
    both = max(0, min([own + may[1].wallet.balance - may[1].wallet.lapsed, *of_keys]))
    return Payer(
        first.wallet, first.meters, Room(NanoUsd(both), there.available, there.bound, there.subject), None
    )


def _wait_us(refused: Refused) -> int:
    if refused.retry_after_us is not None:
        return refused.retry_after_us
    return SOON_US if refused.reason == "held_by_inflight" else AMOUNT_MAX
