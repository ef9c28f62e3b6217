"""What is booked beside a usage row: refunds, and what the owner of an orphan tells after the fence, once.

A call that cost more is charged as far as its wallet can pay; the rest is the operator's. One that cost less
than its checkpoint first takes back what the operator lost by it, then returns the charge as a new lot.
"""

import msgspec

from deeptoken.ledger.changes import EntryRow
from deeptoken.ledger.closing import givers
from deeptoken.ledger.past import PastUsage, latest
from deeptoken.ledger.postings import DAY_US, Grant, Refund, Settle
from deeptoken.ledger.vault import Vault
from deeptoken.money import NanoUsd

REFUND_US = 30 * DAY_US
"""What is given back lasts that long at least."""


def settle_late(vault: Vault, settle: Settle, usage: PastUsage, now_us: int) -> PastUsage:
    """The call as it is after that."""
    if settle.cost > usage.cost:
        return _charge(vault, settle, usage, now_us)
    return _give_back(vault, settle, usage, now_us)


def give_back(vault: Vault, refund: Refund, usage: PastUsage, now_us: int) -> PastUsage:
    """Part of a charge goes back to who paid it, as new lots; the call as it is after that."""
    expires_us = extended(usage.expires_us, now_us)
    # What was refunded before is as good as a count: it only grows.
    n = usage.refunded
    for place, (id, part) in enumerate(givers(usage, refund.amount)):
        wallet, mark = vault.due(vault.by_id[id], now_us), f"/{place + 1}" if place else ""
        amount, lot = NanoUsd(part), refund.lot + mark
        vault.add(wallet, Grant(wallet.id, lot, amount, "refund", refund.ref + mark, expires_us), now_us)
        vault.journal.entries.append(
            EntryRow(refund.usage, "refund", n, "revenue", wallet.id, amount, lot, now_us)
        )
        n += part
    return msgspec.structs.replace(usage, refunded=n)


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
    entries, id = vault.journal.entries, settle.id
    less = usage.cost - settle.cost
    found = NanoUsd(min(less, usage.cost - usage.charged))
    back = NanoUsd(min(less - found, usage.charged - usage.refunded))
    if found:
        entries.append(EntryRow(id, "late", 0, "revenue", "operator_loss", found, None, now_us))
    for n, (payer, part) in enumerate(givers(usage, back), 1):
        mark = "" if n == 1 else f"/{n}"
        lot, expires_us = f"lot_{id}{mark}", extended(usage.expires_us, now_us)
        owner = vault.due(vault.by_id[payer], now_us)
        vault.add(owner, Grant(payer, lot, NanoUsd(part), "refund", f"{id}{mark}", expires_us), now_us)
        entries.append(EntryRow(id, "late", n, "revenue", payer, NanoUsd(part), lot, now_us))
        if payer == usage.second:
            usage = msgspec.structs.replace(usage, rest=usage.rest - part)
    return msgspec.structs.replace(
        usage,
        charged=usage.charged - back,
        cost=usage.cost - found - back,
        late=bool(found or back),
    )
