"""What is booked beside a usage row: refunds, and what the owner of an orphan tells after the fence, once.

A refund goes back to the wallets that paid, to the last one first: what the fallback paid was the last money
of the call, so it is the first that was not needed.

A call that cost more is charged as far as its wallets can pay, in their order; the rest is the operator's.
One that cost less than its checkpoint first takes back what the operator lost by it, then returns the charge
as a new lot.
"""

import msgspec

from deeptoken.ledger.changes import EntryRow
from deeptoken.ledger.lots import Lot
from deeptoken.ledger.past import PastUsage, latest
from deeptoken.ledger.postings import DAY_US, Grant, Refund, Settle
from deeptoken.ledger.vault import Vault
from deeptoken.money import NanoUsd

REFUND_US = 30 * DAY_US
"""What is given back lasts that long at least."""

Drawn = list[tuple[Lot, int]]


def settle_late(vault: Vault, settle: Settle, usage: PastUsage, now_us: int) -> PastUsage:
    """The call as it is after that."""
    if settle.cost > usage.cost:
        return _charge(vault, settle, usage, now_us)
    return _give_back(vault, settle, usage, now_us)


def give_back(vault: Vault, refund: Refund, usage: PastUsage, now_us: int) -> PastUsage:
    """Part of a charge goes back to who paid it, as new lots; the call as it is after that."""
    for lot in _lots(usage, refund.amount, refund.lot, refund.ref, now_us):
        vault.add(vault.due(vault.by_id[lot.wallet], now_us), lot, now_us)
        # What was refunded before is as good as a count: it only grows.
        n = usage.refunded
        vault.journal.entries.append(
            EntryRow(refund.usage, "refund", n, "revenue", lot.wallet, lot.amount, lot.lot, now_us)
        )
        usage = _changed(usage, lot.wallet, refunded=lot.amount)
    return usage


def _charge(vault: Vault, settle: Settle, usage: PastUsage, now_us: int) -> PastUsage:
    journal, id = vault.journal, settle.id
    more = settle.cost - usage.cost
    allowed = more if settle.most is None else min(more, max(0, settle.most - usage.charged))
    drawn: Drawn = []
    for name in [usage.wallet] if usage.second is None else [usage.wallet, usage.second.wallet]:
        wallet = vault.due(vault.by_id[name], now_us)
        part = wallet.draw(min(allowed, wallet.balance - wallet.held), now_us)
        allowed -= sum_of(part)
        drawn += part
        usage = _charged(usage, name, part)
        journal.wallets[name] = wallet
    for n, (lot, amount) in enumerate(drawn):
        journal.lots[lot.row.id] = lot
        journal.entries.append(
            EntryRow(id, "late", n, lot.row.wallet, "revenue", NanoUsd(amount), lot.row.id, now_us)
        )
    lost = NanoUsd(more - sum_of(drawn))
    if lost:
        journal.entries.append(EntryRow(id, "loss", 1, "operator_loss", "revenue", lost, None, now_us))
    return msgspec.structs.replace(usage, cost=settle.cost, late=True)


def _give_back(vault: Vault, settle: Settle, usage: PastUsage, now_us: int) -> PastUsage:
    entries, id = vault.journal.entries, settle.id
    less = usage.cost - settle.cost
    found = NanoUsd(min(less, usage.cost - usage.charged))
    back = min(less - found, usage.charged - usage.refunded)
    if found:
        entries.append(EntryRow(id, "late", 0, "revenue", "operator_loss", found, None, now_us))
    for n, lot in enumerate(_lots(usage, back, f"lot_{id}", id, now_us), 1):
        vault.add(vault.due(vault.by_id[lot.wallet], now_us), lot, now_us)
        entries.append(EntryRow(id, "late", n, "revenue", lot.wallet, lot.amount, lot.lot, now_us))
        usage = _changed(usage, lot.wallet, charged=-lot.amount)
    return msgspec.structs.replace(usage, cost=usage.cost - found - back, late=bool(found or back))


def _lots(usage: PastUsage, amount: int, id: str, ref: str, now_us: int) -> list[Grant]:
    """What goes back to which wallet, as credit like that which paid; but it lasts some days at least."""
    second = usage.second
    rest = 0 if second is None else min(amount, second.charged - second.refunded)
    parts = [(usage.wallet, amount - rest, usage.expires_us)]
    if second is not None:
        parts.insert(0, (second.wallet, rest, second.expires_us))
    lots: list[Grant] = []
    for wallet, part, expires_us in parts:
        if part:
            until_us = None if expires_us is None else max(expires_us, now_us + REFUND_US)
            number = f"/{len(lots) + 1}" if lots else ""
            lots.append(Grant(wallet, id + number, NanoUsd(part), "refund", ref + number, until_us))
    return lots


def _charged(usage: PastUsage, wallet: str, drawn: Drawn) -> PastUsage:
    """The wallet paid that too."""
    paid, second = sum_of(drawn), usage.second
    if not paid:
        return usage
    total = usage.charged + paid
    if second is not None and wallet == second.wallet:
        until_us = _until_us(drawn, second.expires_us, second.charged)
        second = msgspec.structs.replace(second, charged=second.charged + paid, expires_us=until_us)
        return msgspec.structs.replace(usage, charged=total, second=second)
    before = usage.charged - (0 if second is None else second.charged)
    return msgspec.structs.replace(
        usage, charged=total, expires_us=_until_us(drawn, usage.expires_us, before)
    )


def _until_us(drawn: Drawn, expires_us: int | None, before: int) -> int | None:
    """When the last of what paid expires, with what did before."""
    return latest([*([expires_us] if before else []), *(lot.row.expires_us for lot, _ in drawn)])


def sum_of(drawn: Drawn) -> int:
    return sum([amount for _, amount in drawn])


def _changed(usage: PastUsage, wallet: str, *, charged: int = 0, refunded: int = 0) -> PastUsage:
    second = usage.second
    if second is not None and wallet == second.wallet:
        second = msgspec.structs.replace(
            second, charged=second.charged + charged, refunded=second.refunded + refunded
        )
    return msgspec.structs.replace(
        usage, charged=usage.charged + charged, refunded=usage.refunded + refunded, second=second
    )
