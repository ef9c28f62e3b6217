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


class Part(msgspec.Struct, frozen=True):
    """What the second of two wallets paid of a call in the end."""

    wallet: str
    charged: int
    refunded: int = 0
    expires_us: int | None = None


class PastUsage(msgspec.Struct, frozen=True):
    """What a call cost in the end: its usage row with the entries that came after it.

    `charged` and `refunded` are of all wallets, `expires_us` is of the first.
    """

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
    second: Part | None = None


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
    first, cost, late = row.call.wallet, int(row.cost), False
    charged: dict[str, int] = {first: 0 if row.split else int(row.charged)}
    refunded: dict[str, int] = {}
    paying: dict[str, list[str]] = {first: [] if row.lot is None else [row.lot]}
    for entry in entries:
        pays = entry.credit == "revenue"
        sign, wallet = (1, entry.debit) if pays else (-1, entry.credit)
        if entry.kind == "refund":
            refunded[wallet] = refunded.get(wallet, 0) + entry.amount
            continue
        if entry.kind == "late" or (entry.kind == "loss" and entry.n > 0):
            late = True
            cost += sign * entry.amount
        if wallet == "operator_loss":
            continue
        charged[wallet] = charged.get(wallet, 0) + sign * entry.amount
        if pays and entry.lot is not None:
            paying.setdefault(wallet, []).append(entry.lot)
    until_us = {wallet: latest([expiries[lot] for lot in lots]) for wallet, lots in paying.items()}
    second = next((wallet for wallet in charged if wallet != first), None)
    return PastUsage(
        wallet=first,
        key=row.call.key,
        outcome=row.outcome,
        charged=sum(charged.values()),
        cost=cost,
        refunded=sum(refunded.values()),
        late=late,
        expires_us=until_us[first],
        second=None
        if second is None
        else Part(second, charged[second], refunded.get(second, 0), until_us[second]),
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
