"""What the owner of an orphan tells after the fence: the difference is booked beside the usage row, once.

A call that cost more is charged as far as its wallet can pay; the rest is the operator's. One that cost less
than its checkpoint first takes back what the operator lost by it, then returns the charge as a new lot.
"""

import msgspec

from deeptoken.ledger.changes import EntryRow
from deeptoken.ledger.past import PastUsage, latest
from deeptoken.ledger.postings import DAY_US, Grant, Settle
from deeptoken.ledger.vault import Vault
from deeptoken.money import NanoUsd

REFUND_US = 30 * DAY_US
"""What is given back lasts that long at least."""


def settle_late(vault: Vault, settle: Settle, usage: PastUsage, now_us: int) -> PastUsage:
    """The call as it is after that."""
    if settle.cost > usage.cost:
        return _charge(vault, settle, usage, now_us)
    return _give_back(vault, settle, usage, now_us)


def extended(expires_us: int | None, now_us: int) -> int | None:
    """The expiry of what is given back to a lot with that expiry."""
    return None if expires_us is None else max(expires_us, now_us + REFUND_US)


def _charge(vault: Vault, settle: Settle, usage: PastUsage, now_us: int) -> PastUsage:
    wallet, journal, id = vault.due(vault.by_id[usage.wallet], now_us), vault.journal, settle.id
    more = settle.cost - usage.cost
    paid = min(more, wallet.balance - wallet.held)
    if settle.most is not None:
        paid = min(paid, max(0, settle.most - usage.charged))
    drawn = wallet.draw(paid, now_us)
    for n, (lot, amount) in enumerate(drawn):
        journal.lots[lot.row.id] = lot
        journal.entries.append(
            EntryRow(id, "late", n, wallet.id, "revenue", NanoUsd(amount), lot.row.id, now_us)
        )
    if paid < more:
        lost = NanoUsd(more - paid)
        journal.entries.append(EntryRow(id, "loss", 1, "operator_loss", "revenue", lost, None, now_us))
    journal.wallets[wallet.id] = wallet
    expiries = [lot.row.expires_us for lot, _ in drawn]
    if usage.charged:
        expiries.append(usage.expires_us)
    return msgspec.structs.replace(
        usage, charged=usage.charged + paid, cost=settle.cost, late=True, expires_us=latest(expiries)
    )


def _give_back(vault: Vault, settle: Settle, usage: PastUsage, now_us: int) -> PastUsage:
    wallet, entries, id = vault.due(vault.by_id[usage.wallet], now_us), vault.journal.entries, settle.id
    less = usage.cost - settle.cost
    found = NanoUsd(min(less, usage.cost - usage.charged))
    back = NanoUsd(min(less - found, usage.charged - usage.refunded))
    if found:
        entries.append(EntryRow(id, "late", 0, "revenue", "operator_loss", found, None, now_us))
    if back:
        lot, expires_us = f"lot_{id}", extended(usage.expires_us, now_us)
        vault.add(wallet, Grant(wallet.id, lot, back, "refund", id, expires_us), now_us)
        entries.append(EntryRow(id, "late", 1, "revenue", wallet.id, back, lot, now_us))
    return msgspec.structs.replace(
        usage,
        charged=usage.charged - back,
        cost=usage.cost - found - back,
        late=bool(found or back),
    )
