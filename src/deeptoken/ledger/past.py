"""What the book asks of what is no longer in its memory, and what it remembers of calls that ended.

The past answers for every row that was taken from the book, durable or not; the book itself knows those
that were not taken yet.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from deeptoken.ledger.changes import ClaimRow, EntryRow, UsageRow
from deeptoken.ledger.postings import Outcome

RECENT_MAX = 4096
"""Ended calls kept in memory: this many to twice as many."""

Spent = tuple[int, int, int, int]
"""Of a usage row: created_us, settled_us, charged, tokens (prompt and completion)."""


class PastUsage(msgspec.Struct, frozen=True):
    """What a call cost in the end: its usage row with the entries that came after it."""

    wallet: str
    key: str
    outcome: Outcome
    charged: int
    cost: int
    refunded: int = 0
    late: bool = False
    """The owner's settlement came after the orphan's row was written."""
    expires_us: int | None = None
    """When the last of the lots that paid expires; None: one never does."""
    second: str | None = None
    """The second wallet that paid."""
    rest: int = 0
    """What that one did."""


class Past(Protocol):
    """The store, as the book sees it."""

    def history(self, key: str, after_us: int, limit: int) -> list[Spent]:
        """What counts at a subject with ``settled_us > after_us``, by `settled_us`, at most `limit`.

        Of a key its usage rows; of any subject the calls that were told to count there too.
        """
        ...

    def totals(self, key: str, after_us: int) -> tuple[int, int, int]:
        """Charged, rows and tokens of all the rows that `history` would list."""
        ...

    def claim(self, key: str, name: str) -> ClaimRow | None: ...

    def usage(self, id: str) -> PastUsage | None:
        """See `recall`, which makes it from rows."""
        ...

    def granted(self, ref: str) -> bool:
        """Is there a lot with this `ref`?"""
        ...


def recall(row: UsageRow, entries: Iterable[EntryRow], expiries: Mapping[str, int | None]) -> PastUsage:
    """A call from its usage row, all entries with its id as `ref`, and the expiry of each lot they name."""
    charged, cost, refunded, late = int(row.charged), int(row.cost), 0, False
    second, rest = None, 0
    paying = [] if row.lot is None else [row.lot]
    for entry in entries:
        sign = 1 if entry.credit == "revenue" else -1
        if entry.kind == "refund":
            refunded += entry.amount
        elif entry.kind == "late" or (entry.kind == "loss" and entry.n > 0):
            late = True
            cost += sign * entry.amount
        if entry.kind == "draw" and entry.debit != row.call.wallet:
            second, rest = entry.debit, rest + entry.amount
        if entry.kind == "late" and entry.credit == second:
            rest -= entry.amount
        if entry.kind == "late" and "operator_loss" not in (entry.debit, entry.credit):
            charged += sign * entry.amount
        if entry.credit == "revenue" and entry.lot is not None:
            paying.append(entry.lot)
    return PastUsage(
        wallet=row.call.wallet,
        key=row.call.key,
        outcome=row.outcome,
        charged=charged,
        cost=cost,
        refunded=refunded,
        late=late,
        expires_us=latest(expiries[lot] for lot in paying),
        second=second,
        rest=rest,
    )


def latest(expiries: Iterable[int | None]) -> int | None:
    """The last of some expiries; None if one never comes."""
    last: int | None = None
    for expires_us in expiries:
        if expires_us is None:
            return None
        last = expires_us if last is None else max(last, expires_us)
    return last


class Recent:
    """Calls that ended lately, so that a repeated settlement asks no database."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._new: dict[str, PastUsage] = {}
        self._old: dict[str, PastUsage] = {}
        self._forgotten: str | None = None

    def starts_after(self, id: str) -> None:
        """No call that ended has an id above this."""
        self._forgotten = id

    def ended(self, id: str) -> bool:
        """Has this call a usage row?

        Ids grow with time, so one above all that were forgotten is not looked up.
        """
        if id in self._new or id in self._old:
            return True
        return (self._forgotten is None or id <= self._forgotten) and self._past.usage(id) is not None

    def find(self, id: str) -> PastUsage | None:
        return self._new.get(id) or self._old.get(id) or self._past.usage(id)

    def put(self, id: str, usage: PastUsage) -> None:
        self._new[id] = usage

    def taken(self) -> None:
        """What was put is known to the past now, so that the older half may be forgotten."""
        if len(self._new) < RECENT_MAX:
            return
        if self._old and self._forgotten is not None:
            self._forgotten = max(self._forgotten, max(self._old))
        self._old, self._new = self._new, {}
