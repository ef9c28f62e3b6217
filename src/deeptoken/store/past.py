"""What the book asks about calls that it no longer has in memory.

The answers come from the database and from the batch that is on its way there. Every question is one
snapshot, which says itself whether it has that batch already.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from deeptoken.ledger.changes import Changes, ClaimRow, EntryRow, UsageRow
from deeptoken.ledger.past import PastUsage, Spent, recall
from deeptoken.ledger.postings import StoredReply
from deeptoken.store.queries.rows import ENTRIES_OF, USAGE_ROW, entry_row, usage_row
from deeptoken.store.sqlite import numbered, open_reader_connection, snapshot

LAST_BATCH = "select coalesce(max(batch_no), 0) from batch where epoch = $1"
COUNTED = """
select created_us, settled_us, charged, prompt_tokens + completion_tokens as tokens from usage
where key_id = $1 and settled_us > $2
union all
select created_us, settled_us, charged, tokens from spent where subject = $1 and settled_us > $2
"""
HISTORY = f"{COUNTED} order by settled_us limit $3"
TOTALS = f"select coalesce(sum(charged), 0), count(*), coalesce(sum(tokens), 0) from ({COUNTED})"
CLAIM = """
select key_id, name, fingerprint, request_id, reply, expires_us from idempotency
where key_id = $1 and name = $2
"""
GRANTED = "select count(*) from lot where ref = $1"
EXPIRY = "select expires_us from lot where id = $1"

NOTHING = Changes()

_reply = msgspec.msgpack.Decoder(StoredReply).decode


class DurablePast:
    """Reads on a connection of its own, on the event loop: few rows, by an index."""

    def __init__(self, path: Path, epoch: int) -> None:
        self._connection = open_reader_connection(path)
        self._epoch = epoch
        self._number = 0
        self._flying = NOTHING

    def close(self) -> None:
        self._connection.close()

    def fly(self, number: int, changes: Changes) -> None:
        """This batch is on its way to the database."""
        self._number = number
        self._flying = changes

    def land(self) -> None:
        """The batch is durable."""
        self._flying = NOTHING

    def history(self, key: str, after_us: int, limit: int) -> list[Spent]:
        with self._asked() as flying:
            found: list[Spent] = list(self._connection.execute(HISTORY, numbered(key, after_us, limit)))
        # What flies was settled later than all that is stored, so it goes to the end.
        found.extend(_flying(flying, key, after_us))
        return found[:limit]

    def totals(self, key: str, after_us: int) -> tuple[int, int, int]:
        with self._asked() as flying:
            charged, rows, tokens = self._connection.execute(TOTALS, numbered(key, after_us)).get
        for spent in _flying(flying, key, after_us):
            charged, rows, tokens = charged + spent[2], rows + 1, tokens + spent[3]
        return charged, rows, tokens

    def claim(self, key: str, name: str) -> ClaimRow | None:
        with self._asked() as flying:
            for claim in flying.claims:
                if claim.key == key and claim.name == name:
                    return claim
            row = self._connection.execute(CLAIM, numbered(key, name)).fetchone()
        if row is None:
            return None
        key, name, fingerprint, request, reply, expires_us = row
        return ClaimRow(key, name, fingerprint, request, None if reply is None else _reply(reply), expires_us)

    def usage(self, id: str) -> PastUsage | None:
        with self._asked() as flying:
            row = next((row for row in flying.usage if row.call.id == id), None) or self._usage(id)
            if row is None:
                return None
            entries = [entry_row(entry) for entry in self._connection.execute(ENTRIES_OF, numbered(id))]
            entries.extend(entry for entry in flying.entries if entry.ref == id)
            return recall(row, entries, self._expiries(row, entries, flying))

    def granted(self, ref: str) -> bool:
        with self._asked() as flying:
            return any(lot.ref == ref for lot in flying.lots.values()) or bool(
                self._connection.execute(GRANTED, numbered(ref)).get
            )

    @contextmanager
    def _asked(self) -> Iterator[Changes]:
        """A snapshot of the database, and what it does not have yet."""
        with snapshot(self._connection):
            if self._flying is NOTHING:
                yield NOTHING
                return
            last = self._connection.execute(LAST_BATCH, numbered(self._epoch)).get
            yield NOTHING if last >= self._number else self._flying

    def _usage(self, id: str) -> UsageRow | None:
        row = self._connection.execute(USAGE_ROW, numbered(id)).fetchone()
        return None if row is None else usage_row(row)

    def _expiries(self, row: UsageRow, entries: list[EntryRow], flying: Changes) -> dict[str, int | None]:
        named = {lot for lot in (row.lot, *(entry.lot for entry in entries)) if lot is not None}
        return {
            lot: flying.lots[lot].expires_us
            if lot in flying.lots
            else self._connection.execute(EXPIRY, numbered(lot)).get
            for lot in named
        }


def _flying(changes: Changes, subject: str, after_us: int) -> list[Spent]:
    """What of them counts at a subject, by the time at which it was settled."""
    own = [_spent(row) for row in changes.usage if row.call.key == subject and row.settled_us > after_us]
    others: list[Spent] = [
        (row.created_us, row.settled_us, row.charged, row.tokens)
        for row in changes.spent
        if row.subject == subject and row.settled_us > after_us
    ]
    return sorted(own + others, key=lambda spent: spent[1]) if others else own


def _spent(row: UsageRow) -> Spent:
    return row.created_us, row.settled_us, row.charged, row.usage.prompt_tokens + row.usage.completion_tokens
