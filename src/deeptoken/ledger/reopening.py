"""Open holds, from their rows: at a start those that are durable, later those that a process tells.

A writer answers a hold from memory. When it dies, the processes that posted through it go on, and tell the
next writer what they hold: `reopen` puts that in the place of what was durable of it.
"""

from collections.abc import Iterable, Mapping

from deeptoken.ledger.changes import HoldRow
from deeptoken.ledger.claims import Claims
from deeptoken.ledger.closing import SECOND
from deeptoken.ledger.journal import Journal, hold_row
from deeptoken.ledger.lots import OpenHold, Wallet
from deeptoken.ledger.past import Recent
from deeptoken.ledger.postings import Claim


def in_order(rows: Iterable[HoldRow]) -> list[HoldRow]:
    """What a call's second wallet holds comes after the call's own hold."""
    return sorted(rows, key=_is_rest)


def put(row: HoldRow, holds: dict[str, OpenHold], wallets: Mapping[str, Wallet]) -> OpenHold:
    """Open a hold as its row says.

    Raises:
        KeyError: there is no such wallet, or no such call.
    """
    owner = wallets[row.call.wallet]
    hold = OpenHold(row.call, owner, row.amount, row.used, row.tokens, row.epoch, row.created_us)
    hold.subjects, hold.fallback = row.subjects, row.fallback
    if _is_rest(row):
        holds[_call_of(row)].rest = hold
    else:
        holds[row.call.id] = hold
    owner.holds[row.call.id] = hold
    owner.held += hold.amount
    return hold


def reopen(
    rows: Iterable[HoldRow],
    told: Mapping[str, Claim],
    holds: dict[str, OpenHold],
    wallets: Mapping[str, Wallet],
    recent: Recent,
    claims: Claims,
    journal: Journal,
) -> None:
    """Have these holds as their process knows them; `told` are their idempotency keys, by call. A hold that
    has ended stays so.

    Raises:
        KeyError: there is no such wallet.
    """
    for row in in_order(rows):
        id = _call_of(row)
        if recent.ended(id):
            continue
        known = holds.get(id)
        hold = known if known is None or not _is_rest(row) else known.rest
        if hold is None:
            hold = put(row, holds, wallets)
        hold.wallet.held += row.amount - hold.amount
        hold.amount, hold.used, hold.tokens = row.amount, row.used, row.tokens
        journal.hold(hold)
        journal.wallets[hold.wallet.id] = hold.wallet
        if id in told and hold.claim is None and not _is_rest(row):
            hold.claim = told[id]
            claims.begin(hold.call, hold.claim)


def rows(hold: OpenHold | None) -> list[HoldRow]:
    """As it is now: its own row, and that of its second wallet."""
    if hold is None:
        return []
    return [hold_row(hold)] if hold.rest is None else [hold_row(hold), hold_row(hold.rest)]


def _is_rest(row: HoldRow) -> bool:
    return row.call.id.endswith(SECOND)


def _call_of(row: HoldRow) -> str:
    return row.call.id.removesuffix(SECOND)
