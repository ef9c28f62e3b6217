"""The end of a call: its hold, and that of its second wallet, become one usage row.

The first wallet pays as far as its hold reaches, the second one the rest. What two wallets paid are `draw`
entries, each from its own.
"""

from collections.abc import Sequence

import msgspec

from deeptoken.ledger.changes import EntryRow, SpentRow, UsageRow
from deeptoken.ledger.journal import Journal
from deeptoken.ledger.lots import Lot, OpenHold, Wallet
from deeptoken.ledger.meters import ORGANIZATION
from deeptoken.ledger.past import PastUsage, latest
from deeptoken.ledger.postings import Settle
from deeptoken.money import NanoUsd

Draw = tuple[Wallet, Lot, int]
SECOND = "/2"
"""Behind a call's id: the hold of its second wallet."""


class Paid(msgspec.Struct):
    """What each of the two wallets paid, and from which lots."""

    charged: int
    rest: int = 0
    draws: list[Draw] = []

    @property
    def total(self) -> NanoUsd:
        return NanoUsd(self.charged + self.rest)


def pay(hold: OpenHold, settle: Settle) -> Paid:
    """Draw what the call cost, as far as its holds and their wallets reach."""
    wallet, rest = hold.wallet, hold.rest
    most = settle.cost if settle.most is None or settle.cost <= settle.most else settle.most
    if rest is None:
        reach = hold.amount + wallet.balance - wallet.held
        paid = Paid(most if most <= reach else reach)
    else:
        # Beyond its hold the first wallet may be bound by a budget.
        charged = min(most, hold.amount)
        paid = Paid(charged, min(most - charged, rest.amount + rest.wallet.balance - rest.wallet.held))
    paid.draws = [(wallet, lot, amount) for lot, amount in wallet.draw(paid.charged, hold.created_us)]
    wallet.held -= hold.amount
    del wallet.holds[hold.call.id]
    if rest is not None:
        drawn = rest.wallet.draw(paid.rest, rest.created_us)
        paid.draws += [(rest.wallet, lot, amount) for lot, amount in drawn]
        rest.wallet.held -= rest.amount
        del rest.wallet.holds[rest.call.id]
    return paid


def write(journal: Journal, hold: OpenHold, settle: Settle, paid: Paid, now_us: int) -> PastUsage:
    """The usage row; an entry for each lot if there are several, and for what nobody paid."""
    call, draws, charged = hold.call, paid.draws, paid.total
    split = len(draws) > 1 or paid.rest > 0
    if settle.by is not None:
        model, price = settle.by
        call = msgspec.structs.replace(call, model=model, price=price)
    journal.usage.append(
        UsageRow(
            call,
            settle.usage,
            settle.estimated,
            settle.cost,
            charged,
            draws[0][1].row.id if draws and not split else None,
            split,
            settle.outcome,
            settle.status,
            settle.code,
            settle.channel,
            settle.attempts,
            settle.upstream_id,
            settle.ttft_ms,
            settle.duration_ms,
            hold.created_us,
            now_us,
        )
    )
    _book(journal, call.id, draws if split else (), settle.cost - charged, now_us)
    for _, lot, _ in draws:
        journal.lots[lot.row.id] = lot
    if hold.subjects:
        _count(journal, hold, settle, paid, now_us)
    expires_us = latest([lot.row.expires_us for _, lot, _ in draws])
    return PastUsage(
        call.wallet,
        call.key,
        settle.outcome,
        charged,
        settle.cost,
        expires_us=expires_us,
        second=hold.rest.wallet.id if paid.rest and hold.rest is not None else None,
        rest=paid.rest,
    )


def _book(journal: Journal, id: str, draws: Sequence[Draw], lost: int, now_us: int) -> None:
    """The movements of money that the usage row does not say itself."""
    for n, (wallet, lot, amount) in enumerate(draws):
        part = NanoUsd(amount)
        journal.entries.append(EntryRow(id, "draw", n, wallet.id, "revenue", part, lot.row.id, now_us))
    if lost:
        journal.entries.append(
            EntryRow(id, "loss", 0, "operator_loss", "revenue", NanoUsd(lost), None, now_us)
        )


def _count(journal: Journal, hold: OpenHold, settle: Settle, paid: Paid, now_us: int) -> None:
    """What the call came to, for its further subjects."""
    tokens = settle.usage.prompt_tokens + settle.usage.completion_tokens
    for subject in hold.subjects:
        charged = NanoUsd(paid.charged) if subject.startswith(ORGANIZATION) else paid.total
        journal.spent.append(SpentRow(subject, hold.call.id, hold.created_us, now_us, charged, tokens))


def givers(usage: PastUsage, amount: int) -> list[tuple[str, int]]:
    """To which wallets so much of a charge goes back: first to the one that paid last."""
    second = 0 if usage.second is None else min(amount, max(0, usage.rest - usage.refunded))
    parts = ((usage.second or "", second), (usage.wallet, amount - second))
    return [(wallet, part) for wallet, part in parts if part]
