"""What the owner of an orphan tells after the fence: the difference is booked beside the usage row, once.

A call that cost more is charged as far as its wallet can pay; the rest is the operator's. One that cost less
than its checkpoint first takes back what the operator lost by it, then returns the charge as a new lot.
"""

import msgspec

from deeptoken.ledger.journal import Journal
from deeptoken.ledger.past import PastUsage, latest
from deeptoken.ledger.postings import DAY_US
from deeptoken.ledger.vault import Vault

REFUND_US = 30 * DAY_US
"""What is given back lasts that long at least."""


def settle_late(
    vault: Vault, journal: Journal, id: str, usage: PastUsage, cost: int, now_us: int
) -> PastUsage:
    """The call as it is after that."""
    if cost > usage.cost:
        return _charge(vault, journal, id, usage, cost - usage.cost, now_us)
    return _give_back(vault, journal, id, usage, usage.cost - cost, now_us)


def extended(expires_us: int | None, now_us: int) -> int | None:
    """The expiry of what is given back to a lot with that expiry."""
    return None if expires_us is None else max(expires_us, now_us + REFUND_US)


def _charge(vault: Vault, journal: Journal, id: str, usage: PastUsage, more: int, now_us: int) -> PastUsage:
    wallet = vault.due(vault.by_id[usage.wallet], now_us)
    paid = min(more, wallet.balance - wallet.held)
    drawn = wallet.draw(paid, now_us)
    for n, (lot, amount) in enumerate(drawn):
        journal.lots[lot.row.id] = lot
        journal.entry(id, "late", n, (wallet.id, "revenue"), amount, lot.row.id, now_us)
    if paid < more:
        journal.entry(id, "loss", 1, ("operator_loss", "revenue"), more - paid, None, now_us)
    journal.wallets[wallet.id] = wallet
    expiries = [lot.row.expires_us for lot, _ in drawn]
    if usage.charged:
        expiries.append(usage.expires_us)
    return msgspec.structs.replace(
        usage, charged=usage.charged + paid, cost=usage.cost + more, late=True, expires_us=latest(expiries)
    )


def _give_back(
    vault: Vault, journal: Journal, id: str, usage: PastUsage, less: int, now_us: int
) -> PastUsage:
    wallet = vault.due(vault.by_id[usage.wallet], now_us)
    found = min(less, usage.cost - usage.charged)
    back = min(less - found, usage.charged - usage.refunded)
    if found:
        journal.entry(id, "late", 0, ("revenue", "operator_loss"), found, None, now_us)
    if back:
        lot = f"lot_{id}"
        vault.add(wallet, lot, "refund", back, extended(usage.expires_us, now_us), id, now_us)
        journal.entry(id, "late", 1, ("revenue", wallet.id), back, lot, now_us)
    return msgspec.structs.replace(
        usage,
        charged=usage.charged - back,
        cost=usage.cost - found - back,
        late=bool(found or back),
    )
