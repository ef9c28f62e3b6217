"""How much of a hold is given: pure arithmetic on a wallet and the limits of a key.

    refused    insufficient_credit, else budget_exceeded, else rate_limited, else held_by_inflight
    granted    as much as there is, not less than the minimum

Where a share is asked for, a prompt is not counted yet and the amounts are upper bounds: then only what no
count can change refuses (limits of calls), and the rest is `NotCheap`.
"""

from deeptoken.ledger.lots import Wallet
from deeptoken.ledger.meters import Meters, tightest, worst
from deeptoken.ledger.postings import Extend, Hold, NotCheap, Refused, Room
from deeptoken.money import AMOUNT_MAX, ONE_PPM, NanoUsd


def room(wallet: Wallet, meter: Meters | None) -> Room:
    """What wallet and ``usd`` limits leave. Expired credit that older holds need is nobody else's."""
    balance = wallet.balance - wallet.lapsed
    available = wallet.balance - wallet.held
    bound, whose = "wallet", ""
    if meter is not None and meter.usd:
        if meter.spare < available:
            available = max(0, meter.spare)
            bound, whose = meter.bound, meter.whose
        if meter.balance < balance:
            balance = max(0, meter.balance)
    return Room(NanoUsd(balance), NanoUsd(available), bound, whose)


def refusal(
    hold: Hold, wallet: Wallet, meter: Meters | None, there: Room, now_us: int
) -> Refused | NotCheap | None:
    """Why the hold is not given; None: it is."""
    minimum = min(hold.minimum, hold.wanted)
    tokens_minimum = min(hold.tokens_minimum, hold.tokens)
    if hold.share_ppm < ONE_PPM:
        if meter is not None and meter.full():
            return _blocked(hold, meter, 0, 0, there, now_us)
        if not _cheap(hold, meter, there):
            return NotCheap(there)
    elif wallet.balance - wallet.lapsed < minimum:
        return Refused("insufficient_credit", there)
    if meter is not None and (meter.balance < minimum or meter.tokens_left < tokens_minimum or meter.full()):
        blocked = _blocked(hold, meter, minimum, tokens_minimum, there, now_us)
        if blocked is not None:
            return blocked
    if there.available < minimum:
        limit = "" if there.bound == "wallet" else there.bound
        told = () if meter is None else tightest(meter.rates(now_us))
        return Refused("held_by_inflight", there, limit, subject=there.subject, rates=told)
    return None


def granted(hold: Hold, meter: Meters | None, there: Room) -> tuple[int, int]:
    """Money and tokens to be held, of a hold that is not refused.

    Between the minima and what is wanted both are in the same proportion, so that the amount tells the
    caller what either of them allows.
    """
    amount, tokens = int(min(hold.wanted, there.available)), hold.tokens
    left = AMOUNT_MAX if meter is None else meter.tokens_left
    if amount == hold.wanted and tokens <= left:
        return amount, tokens
    minimum, tokens_minimum = min(hold.minimum, hold.wanted), min(hold.tokens_minimum, tokens)
    more, more_tokens = hold.wanted - minimum, tokens - tokens_minimum
    if left < tokens:
        amount = min(amount, minimum + more * (left - tokens_minimum) // more_tokens)
        tokens = left
    if amount < hold.wanted:
        tokens = min(tokens, tokens_minimum - -more_tokens * (amount - minimum) // more)
    return amount, tokens


def extension(extend: Extend, meter: Meters | None, there: Room) -> tuple[int, int]:
    """Money and tokens to be held on top, in the same proportion; nothing, if there is nothing."""
    amount, tokens = int(min(extend.more, there.available)), extend.tokens
    left = AMOUNT_MAX if meter is None else meter.tokens_left
    if left < tokens:
        amount = min(amount, extend.more * left // tokens)
        tokens = left
    if amount < extend.more:
        tokens = min(tokens, -(-extend.tokens * amount // extend.more))
    return amount, tokens


def _cheap(hold: Hold, meter: Meters | None, there: Room) -> bool:
    if hold.wanted * ONE_PPM > hold.share_ppm * there.available:
        return False
    return meter is None or hold.tokens * ONE_PPM <= hold.share_ppm * meter.tokens_left


def _blocked(
    hold: Hold, meter: Meters, minimum: int, tokens_minimum: int, there: Room, now_us: int
) -> Refused | None:
    blocked = worst(meter.blocks(minimum, tokens_minimum, now_us))
    if blocked is None:
        return None
    return Refused(
        "budget_exceeded" if blocked.budget else "rate_limited",
        there,
        blocked.name,
        blocked.retry_after_us,
        "" if blocked.subject == hold.call.key else blocked.subject,
        tightest(meter.rates(now_us)),
    )
