"""The end of a call: its hold, and that of its second wallet, become one usage row.

The first wallet pays as far as its hold reaches, the second one the rest. What two wallets paid are `draw`
entries, each from its own.
"""

import msgspec

from deeptoken.ledger.changes import EntryRow, SpentRow, UsageRow
from deeptoken.ledger.journal import Journal
from deeptoken.ledger.lots import Lot, OpenHold
from deeptoken.ledger.meters import ORGANIZATION
from deeptoken.ledger.past import Part, PastUsage, latest
from deeptoken.ledger.postings import Settle
from deeptoken.money import NanoUsd

Drawn = list[tuple[Lot, int]]
SECOND = "/2"
"""Behind a call's id: the hold of its second wallet."""


class Paid(msgspec.Struct):
    """What each of the two wallets paid, and from which lots."""

    charged: int
    rest: int = 0
    draws: Drawn = []
    rest_draws: Drawn = []


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
    paid.draws = wallet.draw(paid.charged, hold.created_us)
    wallet.held -= hold.amount
    del wallet.holds[hold.call.id]
    if rest is not None:
        paid.rest_draws = rest.wallet.draw(paid.rest, rest.created_us)
        rest.wallet.held -= rest.amount
        del rest.wallet.holds[rest.call.id]
    return paid


def write(journal: Journal, hold: OpenHold, settle: Settle, paid: Paid, now_us: int) -> PastUsage:
    """The usage row; an entry for each lot if there are several, and for what nobody paid."""
    call, draws, charged = hold.call, paid.draws, NanoUsd(paid.charged + paid.rest)
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
            draws[0][0].row.id if draws and not split else None,
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
    _book(journal, call.id, paid, split, now_us)
    if charged < settle.cost:
        lost = NanoUsd(settle.cost - charged)
        journal.entries.append(EntryRow(call.id, "loss", 0, "operator_loss", "revenue", lost, None, now_us))
    if hold.subjects:
        _count(journal, hold, settle, paid, now_us)
    second = None
    if paid.rest and hold.rest is not None:
        second = Part(hold.rest.wallet.id, paid.rest, 0, _until_us(paid.rest_draws))
    return PastUsage(
        call.wallet, call.key, settle.outcome, charged, settle.cost, 0, False, _until_us(draws), second
    )


def _until_us(draws: Drawn) -> int | None:
    return latest([lot.row.expires_us for lot, _ in draws])


def _book(journal: Journal, id: str, paid: Paid, split: bool, now_us: int) -> None:
    """The lots that paid, and where the usage row does not say it, how much of it each did."""
    for n, (lot, amount) in enumerate([*paid.draws, *paid.rest_draws] if paid.rest else paid.draws):
        journal.lots[lot.row.id] = lot
        if split:
            wallet, part = lot.row.wallet, NanoUsd(amount)
            journal.entries.append(EntryRow(id, "draw", n, wallet, "revenue", part, lot.row.id, now_us))


def _count(journal: Journal, hold: OpenHold, settle: Settle, paid: Paid, now_us: int) -> None:
    """What the call came to, for its further subjects."""
    tokens = settle.usage.prompt_tokens + settle.usage.completion_tokens
    for subject in hold.subjects:
        charged = (
            NanoUsd(paid.charged) if subject.startswith(ORGANIZATION) else NanoUsd(paid.charged + paid.rest)
        )
        journal.spent.append(SpentRow(subject, hold.call.id, hold.created_us, now_us, charged, tokens))
