"""The thread that commits: it takes a batch, writes it as one transaction, says so, takes the next.

A commit that fails is tried again as it is, until it succeeds or the writer gives up at its stop.

    hash = SHA-256(hash before, usage rows, entries, prices, audit rows)

These are the JSON arrays that were written (the last only where there are such rows), so that `verify` can
make them again from the rows. The first batch of an epoch goes on from the last hash of the epoch before.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue

import apsw
import msgspec

from deeptoken.ledger.changes import Changes, EntryRow, UsageRow
from deeptoken.ledger.postings import Answer, Done, Edit, Rejected, Statement
from deeptoken.store.queries import commit as sql
from deeptoken.store.queries.accounts import Audited
from deeptoken.store.queries.statements import WRITES
from deeptoken.store.sqlite import StoreError, Value, numbered

FIRST_HASH = bytes(32)
RETRY_FIRST_S = 0.05
RETRY_MOST_S = 2.0

STORAGE_ERRORS = (
    apsw.AbortError,
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.FullError,
    apsw.IOError,
    apsw.InterruptError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.NotADBError,
    apsw.PermissionsError,
    apsw.ProtocolError,
    apsw.ReadOnlyError,
    apsw.SchemaChangeError,
)
"""The database cannot be written now, whatever the statement: the batch is tried again."""
STATEMENT_ERRORS = (apsw.Error, KeyError, OverflowError, TypeError, ValueError)
"""All others: the statement itself cannot be, now or ever."""

encode = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode

PriceRow = tuple[int, str, str, str, int, str]
"""What the chain covers of a price: id, model, rates, tiers, from_us, source."""


class Unchanged(Exception):
    """A step of an edit met no row, or could not be: none of it is done."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


class Chained(msgspec.Struct):
    """What a batch's statements added to the chain."""

    prices: list[PriceRow] = []
    audits: list[Audited] = []


class Reply(msgspec.Struct):
    """Answers of a batch of another process, kept so that they can be given again.

    A number stands for the answer of the statement with that index in the batch.
    """

    epoch: int
    batch_no: int
    answers: Sequence[object]


class Batch:
    """What goes into one transaction, and what comes back from it."""

    __slots__ = (
        "changes",
        "committed_us",
        "error",
        "hash",
        "number",
        "replies",
        "results",
        "statements",
        "writes",
    )

    def __init__(
        self,
        number: int,
        committed_us: int,
        changes: Changes,
        statements: Sequence[Statement | Edit] = (),
        writes: Sequence[tuple[str, tuple[Value, ...]]] = (),
        replies: Sequence[Reply] = (),
    ) -> None:
        self.number = number
        self.committed_us = committed_us
        self.changes = changes
        self.statements = statements
        self.writes = writes
        self.replies = replies
        self.results: list[Answer] = []
        self.hash = b""
        self.error: StoreError | None = None

    @property
    def notifies(self) -> bool:
        """People or prices are to be read anew."""
        return any(WRITES[step.name].notify for posting in self.statements for step in steps(posting))

    @property
    def kept(self) -> list[str]:
        """The wallets that were to go with edits that changed nothing."""
        done = zip(self.statements, self.results, strict=True) if self.error is None else ()
        return [
            posting.closes
            for posting, answer in done
            if isinstance(posting, Edit) and posting.closes and answer != Done(changed=True)
        ]

    def __bool__(self) -> bool:
        changes = self.changes
        return bool(
            changes or changes.lots or changes.claims or self.statements or self.writes or self.replies
        )


def steps(posting: Statement | Edit) -> tuple[Statement, ...]:
    return (posting,) if isinstance(posting, Statement) else posting.steps


def link(before: bytes, usage: bytes, entries: bytes, chained: Chained) -> bytes:
    """The hash of a batch."""
    audits = encode(chained.audits) if chained.audits else b""
    return hashlib.sha256(b"".join((before, usage, entries, encode(chained.prices), audits))).digest()


def link_rows(before: bytes, usage: list[UsageRow], entries: list[EntryRow], chained: Chained) -> bytes:
    """The hash of a batch, from its rows as they were read again."""
    return link(before, encode(usage), encode(entries), chained)


def prepare(connection: apsw.Connection) -> None:
    """Give a writing connection the view and the trigger that apply a batch."""
    connection.execute(sql.VIEW)
    connection.execute(sql.TRIGGER)


class Committer:
    """Owns the writing connection from `start` to `stop`.

    `done` and `failed` are called on this thread: with the batch when it is durable (or given up, then it
    carries the `error`), with the reason when a commit failed for the first time.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        *,
        epoch: int,
        head: bytes,
        done: Callable[[Batch], object],
        failed: Callable[[Exception], object],
    ) -> None:
        self._connection = connection
        self._epoch = epoch
        self._head = head
        self._done = done
        self._failed = failed
        self._queue: SimpleQueue[Batch | None] = SimpleQueue()
        self._give_up = threading.Event()
        self._lost: StoreError | None = None
        self._thread = threading.Thread(target=self._run, name="ledger-commit", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def commit(self, batch: Batch) -> None:
        """Hand over a batch; the one before has been reported done."""
        self._queue.put(batch)

    def give_up(self) -> None:
        """Try no commit again."""
        self._give_up.set()

    def stop(self) -> None:
        """End the thread once it has done what it was given."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            self._persist(batch)
            self._done(batch)

    def _persist(self, batch: Batch) -> None:
        if self._lost is not None:
            batch.error = self._lost
            return
        wait_s = RETRY_FIRST_S
        tried = False
        while True:
            try:
                if not (tried and self._is_committed(batch)):
                    self._apply(batch)
                self._head = batch.hash
                return
            except Exception as error:  # A batch is a job: whatever stops it, it stays the next one.
                if self._give_up.is_set():
                    # What follows builds on this batch: from here on nothing is written.
                    batch.error = self._lost = StoreError(f"The ledger could not be written: {error}")
                    return
                if not tried:
                    self._failed(error)
                tried = True
            self._give_up.wait(wait_s)
            wait_s = min(2 * wait_s, RETRY_MOST_S)

    def _is_committed(self, batch: Batch) -> bool:
        """A commit that reported an error may have succeeded all the same."""
        return bool(self._connection.execute(sql.COMMITTED, numbered(self._epoch, batch.number)).get)

    def _apply(self, batch: Batch) -> None:
        if not (batch.statements or batch.writes or batch.replies or batch.changes.claims):
            self._write_changes(batch, Chained())
            return
        self._connection.execute("begin immediate")
        try:
            self._write_all(batch)
            self._connection.execute("commit")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            raise

    def _write_all(self, batch: Batch) -> None:
        for statement, parameters in batch.writes:
            self._connection.execute(statement, numbered(*parameters))
        chained = Chained()
        batch.results = [self._execute(statement, batch.number, chained) for statement in batch.statements]
        self._write_changes(batch, chained)
        for claim in batch.changes.claims:
            reply = None if claim.reply is None else _pack(claim.reply)
            self._connection.execute(
                sql.CLAIM,
                numbered(claim.key, claim.name, claim.fingerprint, claim.request, reply, claim.expires_us),
            )
        if batch.changes.claims:
            self._connection.execute(sql.EXPIRE_CLAIMS, numbered(batch.committed_us))
        for kept in batch.replies:
            answers = [
                batch.results[answer] if isinstance(answer, int) else answer for answer in kept.answers
            ]
            self._connection.execute(sql.KEEP_ANSWERS, numbered(kept.epoch, kept.batch_no, _pack(answers)))

    def _write_changes(self, batch: Batch, chained: Chained) -> None:
        changes = batch.changes
        usage = encode(changes.usage)
        entries = encode(changes.entries)
        batch.hash = link(self._head, usage, entries, chained)
        self._connection.execute(
            sql.APPLY,
            (
                self._epoch,
                batch.number,
                len(changes.usage) + len(changes.entries) + len(chained.prices) + len(chained.audits),
                self._head,
                batch.hash,
                batch.committed_us,
                encode(list(changes.wallets.values())).decode() if changes.wallets else None,
                encode(list(changes.lots.values())).decode() if changes.lots else None,
                encode(list(changes.holds.values())).decode() if changes.holds else None,
                encode(changes.ended).decode() if changes.ended else None,
                usage.decode() if changes.usage else None,
                entries.decode() if changes.entries else None,
                encode(changes.spent).decode() if changes.spent else None,
            ),
        )

    def _execute(self, posting: Statement | Edit, batch_no: int, chained: Chained) -> Answer:
        if isinstance(posting, Statement):
            return self._one(posting, batch_no, chained)
        prices, audits = len(chained.prices), len(chained.audits)
        try:
            with self._connection:
                for step in posting.steps:
                    answer = self._one(step, batch_no, chained)
                    if not isinstance(answer, Done) or not answer.changed:
                        raise Unchanged(answer)
        except Unchanged as undone:
            del chained.prices[prices:], chained.audits[audits:]
            return undone.answer
        return Done(changed=True)

    def _one(self, statement: Statement, batch_no: int, chained: Chained) -> Answer:
        write = WRITES[statement.name]
        parameters = statement.parameters
        if write.chained:
            place = len(chained.prices if write.chained == "price" else chained.audits)
            parameters = (*parameters, self._epoch, batch_no, place)
        if len(parameters) != write.parameters:
            return Rejected(why=f"The statement {statement.name!r} has too few or too many parameters.")
        try:
            with self._connection:
                rows = self._connection.execute(write.sql, numbered(*parameters)).fetchall()
                changed = bool(rows) if write.chained else bool(self._connection.changes())
        except STORAGE_ERRORS:
            raise
        except STATEMENT_ERRORS as error:
            if not self._connection.in_transaction:
                # SQLite took back the whole batch, with what went well before.
                raise
            unique = isinstance(error, apsw.ConstraintError) and str(error).startswith("UNIQUE")
            return Rejected(why=write.taken if unique else str(error))
        if write.chained == "price":
            chained.prices += msgspec.convert(rows, list[PriceRow])
        elif write.chained == "audit":
            chained.audits += msgspec.convert(rows, list[Audited])
        return Done(changed=changed)
