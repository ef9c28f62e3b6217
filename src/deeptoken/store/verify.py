"""Walks the ledger: every invariant, the hash chain, every bill. Reads one snapshot, row by row.

`deeptoken verify` prints what `verify` yields. It changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import apsw
import msgspec

from deeptoken.catalog.model import Price
from deeptoken.ledger.changes import EntryRow, UsageRow
from deeptoken.ledger.lots import Order
from deeptoken.money import NanoUsd
from deeptoken.store.commit import FIRST_HASH, Chained, PriceRow, link_rows
from deeptoken.store.queries import checks
from deeptoken.store.queries.accounts import AUDIT_COLUMNS, Audited
from deeptoken.store.queries.people import all_prices
from deeptoken.store.queries.rows import ENTRY_COLUMNS, USAGE_COLUMNS, entry_row, usage_row
from deeptoken.store.sqlite import Row, is_written, open_reader_connection, snapshot
from deeptoken.wire.usage import Usage

PROBLEMS_SHOWN = 100
"""Of each invariant; the rest is only counted."""
STEP = 1_000

Cost = Callable[[Price, Usage, int], NanoUsd]
"""`catalog.price.charge`: price, usage, ratio in ppm."""
Progress = Callable[[str, int, int], None]
"""Told an invariant's name, how much of it is done, and how much there is."""

_usage = msgspec.json.Decoder(Usage).decode


class Problem(msgspec.Struct, frozen=True):
    """What does not hold, and of which row, wallet, lot or batch."""

    subject: str
    detail: str


class Finding(msgspec.Struct, frozen=True):
    """An invariant with what breaks it: the first of `count` problems."""

    name: str
    sentence: str
    problems: tuple[Problem, ...]
    count: int


def verify(
    path: Path,
    cost: Cost,
    *,
    order: Order = "oldest_first",
    progress: Progress = lambda name, done, total: None,
) -> Iterator[Finding]:
    """Check the database at `path`; a `Finding` for each invariant, in order."""
    connection = open_reader_connection(path)
    try:
        with snapshot(connection):
            for check in checks.CHECKS:
                if check is checks.OLDEST_FIRST and order != "oldest_first":
                    continue
                progress(check.name, 0, 1)
                finding = _finding(check.name, check.sentence, _broken(connection, check))
                yield _waiting(connection, path, finding) if check is checks.LIVING else finding
                progress(check.name, 1, 1)
            yield _finding(
                "I11",
                "Every batch of ledger and audit log is as it was written, and follows the one before it.",
                _broken_links(connection, progress),
            )
            yield _finding(
                "bills",
                _bills_sentence(connection),
                _wrong_bills(connection, cost, progress),
            )
    finally:
        connection.close()


def _finding(name: str, sentence: str, problems: Iterable[Problem]) -> Finding:
    shown: list[Problem] = []
    count = 0
    for problem in problems:
        count += 1
        if count <= PROBLEMS_SHOWN:
            shown.append(problem)
    return Finding(name=name, sentence=sentence, problems=tuple(shown), count=count)


def _broken(connection: apsw.Connection, check: checks.Check) -> Iterator[Problem]:
    for subject, detail in connection.execute(check.sql):
        yield Problem(subject=str(subject), detail=str(detail))


def _waiting(connection: apsw.Connection, path: Path, living: Finding) -> Finding:
    """I12, where nobody writes: a killed process is still called live; the next start settles its holds."""
    count = int(connection.execute(checks.WAITING).get)
    if living.count or not count or is_written(path):
        return living
    holds = "1 hold waits" if count == 1 else f"{count} holds wait"
    return msgspec.structs.replace(living, sentence=f"{holds} for the next start to settle.")


def _bills_sentence(connection: apsw.Connection) -> str:
    orphans = int(connection.execute(checks.CHECKPOINT_BILLS).get)
    but = f" but those of orphans, charged at a checkpoint ({orphans})," if orphans else ""
    return f"Every bill{but} can be computed again from its tokens, its price and its ratio."


class Rows:
    """A table in the order it was written, read a batch at a time. Rows end with epoch, batch and place."""

    def __init__(self, rows: Iterable[Row], name: str) -> None:
        self._rows = iter(rows)
        self._name = name
        self._next = next(self._rows, None)

    def of(self, place: tuple[int, int], problems: list[Problem]) -> list[Row]:
        """The rows of this batch; those that belong to none before it are problems."""
        found: list[Row] = []
        while self._next is not None and self._next[-3:-1] <= place:
            row = self._next
            self._next = next(self._rows, None)
            if row[-3:-1] < place:
                problems.append(self._stray(row))
                continue
            if row[-1] != len(found):
                problems.append(
                    Problem(subject=_named(place), detail=f"{self._name} row {len(found)} of it is missing")
                )
            found.append(row[:-3])
        return found

    def rest(self) -> Iterator[Problem]:
        while self._next is not None:
            yield self._stray(self._next)
            self._next = next(self._rows, None)

    def _stray(self, row: Row) -> Problem:
        return Problem(subject=str(row[0]), detail=f"a row of {self._name} that no batch wrote there")


def _broken_links(connection: apsw.Connection, progress: Progress) -> Iterator[Problem]:
    place = "epoch, batch_no"
    usage = Rows(connection.execute(f"select {USAGE_COLUMNS}, {place}, n from usage order by rowid"), "usage")
    entries = Rows(
        connection.execute(f"select {ENTRY_COLUMNS}, {place}, place from entry order by seq"), "entry"
    )
    prices = Rows(connection.execute(checks.CHAINED_PRICES), "price")
    audits = Rows(connection.execute(f"select {AUDIT_COLUMNS}, {place}, n from audit order by seq"), "audit")
    total = int(connection.execute(checks.COUNT_BATCHES).get)
    before, last = FIRST_HASH, (0, 0)
    for done, (epoch, number, n, prev_hash, hash) in enumerate(connection.execute(checks.BATCHES)):
        if done % STEP == 0:
            progress("I11", done, total)
        here = (epoch, number)
        subject = _named(here)
        if number != (last[1] + 1 if epoch == last[0] else 1):
            yield Problem(
                subject=subject, detail=f"the batch before it is missing; the last is {_named(last)}"
            )
        elif prev_hash != before:
            yield Problem(subject=subject, detail=f"it does not follow {_named(last)}")
        problems: list[Problem] = []
        rows: list[UsageRow] = [usage_row(row) for row in usage.of(here, problems)]
        booked: list[EntryRow] = [entry_row(row) for row in entries.of(here, problems)]
        chained = Chained(
            prices=msgspec.convert(prices.of(here, problems), list[PriceRow]),
            audits=msgspec.convert(audits.of(here, problems), list[Audited]),
        )
        yield from problems
        count = len(rows) + len(booked) + len(chained.prices) + len(chained.audits)
        if count != n or link_rows(prev_hash, rows, booked, chained) != hash:
            yield Problem(subject=subject, detail=f"its {n} rows are not those that were written")
        before, last = hash, here
    for table in (usage, entries, prices, audits):
        yield from table.rest()
    progress("I11", total, total)


def _wrong_bills(connection: apsw.Connection, cost: Cost, progress: Progress) -> Iterator[Problem]:
    prices = {version.price.id: version.price for version in all_prices(connection)}
    total = int(connection.execute(checks.COUNT_USAGE).get)
    for done, row in enumerate(connection.execute(checks.BILLS)):
        id, price_id, ratio_ppm, classes, told, outcome = row
        if done % STEP == 0:
            progress("bills", done, total)
        # An orphan was charged its checkpoint; what was never served has neither tokens nor a price to pay.
        if outcome == "orphan" or (not told and classes == "{}"):
            continue
        price = prices.get(price_id)
        if price is None:
            yield Problem(subject=id, detail=f"price {price_id} is not in the price book")
            continue
        again = cost(price, _usage(classes), ratio_ppm)
        if again != told:
            yield Problem(subject=id, detail=f"cost {told}, computed again {again}")
    progress("bills", total, total)


def _named(place: tuple[int, int]) -> str:
    return f"batch {place[1]} of epoch {place[0]}"
