"""The one that writes SQLite. Its memory decides, its thread makes durable what was decided.

    hold, extend, checkpoint             answered at once
    settle, grant, refund, statement     answered when the transaction that has them is committed

What comes while a commit runs is the next batch; nothing lingers for company. While a commit fails, or what
waits has waited too long, no new hold is given; settlements are never refused. A caller that goes away
takes nothing with it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from deeptoken.clock import LedgerClock, monotonic
from deeptoken.errors import Overloaded
from deeptoken.ledger.book import Book
from deeptoken.ledger.changes import HoldRow
from deeptoken.ledger.postings import (
    Answer,
    Checkpoint,
    Claim,
    Done,
    Edit,
    Extend,
    Fence,
    Hold,
    Left,
    Posting,
    Rejected,
    Repeat,
    Room,
    Statement,
)
from deeptoken.store.commit import Batch, Committer, Reply, steps
from deeptoken.store.past import DurablePast
from deeptoken.store.peers import Busy, Heirs, Kept, Peer
from deeptoken.store.queries import commit as sql
from deeptoken.store.queries.statements import WRITES
from deeptoken.store.sqlite import StoreError, Value

QUEUE_US = 500_000
QUEUE_LENGTH = 20_000
LINGER_S = 0.05
"""How long a change that nobody waits for may stay in memory only."""
BATCH_OPERATIONS = 512
"""So many of them go to the disk at once."""
STOP_SECONDS = 10.0
"""How long the last commits are tried before a stop gives up."""

NOTHING = Done(changed=False)

log = logging.getLogger("deeptoken.store")


Waiter = tuple[asyncio.Future[Answer], Answer | int]
"""Who waits, and for what: an answer, or that of the statement with this index."""
PeerWaiter = tuple[asyncio.Future[list[Answer | Busy]], list[Answer | Busy | int]]


class Writer:
    """The ledger of one database, on one event loop. Opened by `open_writer`."""

    def __init__(
        self,
        book: Book,
        past: DurablePast,
        clock: LedgerClock,
        *,
        epoch: int,
        changed: Callable[[], None] | None = None,
        timed: Callable[[float], object] | None = None,
    ) -> None:
        self.epoch = epoch
        self.book = book
        self.peers: dict[int, Peer] = {}
        self._past = past
        self._clock = clock
        self._changed = changed
        self._timed = timed
        self._loop = asyncio.get_running_loop()
        self._committer: Committer | None = None
        self._number = 0
        self._last_epoch = epoch
        self._flying: Batch | None = None
        self._flying_waiters: list[Waiter] = []
        self._flying_since_us = 0
        self._began_s = 0.0
        self._waiters: list[Waiter] = []
        self._peer_waiters: list[PeerWaiter] = []
        self._flying_peer_waiters: list[PeerWaiter] = []
        self._statements: list[Statement | Edit] = []
        self._writes: list[tuple[str, tuple[Value, ...]]] = []
        self._replies: list[Reply] = []
        self._waiting_since_us = 0
        self._operations = 0
        self._overdue = False
        self._timer: asyncio.TimerHandle | None = None
        self._flush_soon = False
        self._failing = False
        self._closed = False
        self._heirs: Heirs | None = None

    @property
    def queue_length(self) -> int:
        """How many wait for the disk."""
        return len(self._waiters) + len(self._flying_waiters)

    @property
    def holds_open(self) -> int:
        return len(self.book.holds)

    def room(self, wallet: str) -> Room | None:
        """What a wallet has now, and what of it is free; None if there is no such wallet."""
        return self.book.room(wallet, self._clock.now_us())

    def left(self, hold: Hold) -> list[Left]:
        """What wallets and limits leave for a hold; see `Book.left`."""
        return self.book.left(hold, self._clock.now_us())

    @property
    def failing(self) -> bool:
        """Does the database refuse commits at the moment?"""
        return self._failing

    def start(self, committer: Committer) -> None:
        self._committer = committer
        committer.start()

    def expect(self, kept: dict[int, Kept], processes: int) -> None:
        """So many processes go on that posted through a writer that died."""
        self._heirs = Heirs(kept, processes, self._without)

    def resume(
        self, epoch: int, batch_no: int, holds: Sequence[HoldRow], claims: Mapping[str, Claim]
    ) -> None:
        """A process goes on under its epoch: its last answered batch, and what it holds.

        Raises:
            StoreError: the epoch is over.
        """
        kept = None if self._heirs is None else self._heirs.find(epoch)
        known = self.book.wallets
        if kept is None or any(row.epoch != epoch or row.call.wallet not in known for row in holds):
            raise StoreError(f"Epoch {epoch} is over: its holds were settled. Register anew.")
        peer = self.peers[epoch] = Peer(batch_no=batch_no)
        if kept.batch_no == batch_no + 1:
            # It was durable, and its answer was lost.
            peer.batch_no, peer.answers = kept.batch_no, self._loop.create_future()
            peer.answers.set_result(kept.answers)
        self.book.reopen(holds, claims)
        self._touch()
        self._came(epoch)

    def _came(self, epoch: int | None) -> None:
        if self._heirs is not None:
            self._heirs.came(epoch)

    def _without(self, epochs: list[int]) -> None:
        """Of these nobody came: what they held is settled."""
        for epoch in epochs:
            self._end(epoch, "fenced")
            self.book.post(Fence(epoch=epoch), self._clock.now_us(), self.epoch)
        self._touch()

    async def post(self, posting: Posting) -> Answer:
        """Apply a posting.

        Raises:
            Overloaded: a hold, while the disk does not keep up.
            StoreError: the writer has stopped, or gave up.
        """
        answer = self._decide(posting, self.epoch)
        if _in_memory(posting, answer):
            self._touch()
            return answer  # type: ignore[return-value]  # only a statement is answered by a number
        return await self._durable(answer)

    async def apply(self, epoch: int, batch_no: int, operations: Sequence[Posting]) -> list[Answer | Busy]:
        """A batch of another process, answered when all of it is durable.

        One that was sent before gets the answers that it got.

        Raises:
            StoreError: the epoch is over, or the number is not the next.
        """
        peer = self.peers.get(epoch)
        if peer is None:
            raise StoreError(f"Epoch {epoch} is over: its holds were settled. Register anew.")
        if batch_no == peer.batch_no and peer.answers is not None:
            return await asyncio.shield(peer.answers)
        if batch_no != peer.batch_no + 1:
            raise StoreError(f"Batch {batch_no} does not follow batch {peer.batch_no} of epoch {epoch}.")
        answers = [self._decide_or_busy(posting, epoch) for posting in operations]
        self._replies.append(Reply(epoch=epoch, batch_no=batch_no, answers=answers))
        peer.batch_no = batch_no
        peer.answers = self._loop.create_future()
        if all(_in_memory(posting, answer) for posting, answer in zip(operations, answers, strict=True)):
            peer.answers.set_result(_final(answers, ()))
            self._touch()
        else:
            self._peer_waiters.append((peer.answers, answers))
            self._wait()
        return await asyncio.shield(peer.answers)

    async def register(self, *, follows: bool = False) -> int:
        """A new epoch, for a process that posts through this one."""
        self._last_epoch += 1
        epoch = self._last_epoch
        self._writes.append((sql.NEW_REPLICA, (epoch, self._clock.now_us())))
        await self._durable(NOTHING)
        self.peers[epoch] = Peer()
        if follows:
            self._came(None)
        return epoch

    async def fence(self, epoch: int, state: str = "fenced") -> Answer:
        """A process is gone: settle its holds at their checkpoints. Its later batches are refused."""
        self._end(epoch, state)
        return await self.post(Fence(epoch=epoch))

    def _end(self, epoch: int, state: str) -> None:
        self.peers.pop(epoch, None)
        self._writes.append((sql.END_REPLICA, (epoch, state, self._clock.now_us())))

    async def room_of(self, wallet: str) -> Room | None:
        """As `room`, for who does not know whether this is the process that writes."""
        return self.room(wallet)

    async def left_for(self, hold: Hold) -> list[Left]:
        """As `left`."""
        return self.left(hold)

    async def stop(self) -> None:
        """Make everything durable, end the epoch, end the thread. What is posted after it is refused.

        Holds that are still open are settled at their checkpoints.

        Raises:
            StoreError: the database did not take the last commits.
        """
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._heirs is not None:
            self._heirs.stop()
        giving_up = self._loop.call_later(STOP_SECONDS, self._thread().give_up)
        try:
            self.book.post(Fence(epoch=self.epoch), self._clock.now_us(), self.epoch)
            self._writes.append((sql.END_REPLICA, (self.epoch, "closed", self._clock.now_us())))
            await self._durable(NOTHING)
        finally:
            giving_up.cancel()
            self._thread().give_up()
            await asyncio.to_thread(self._thread().stop)

    def _decide(self, posting: Posting, epoch: int) -> Answer | int:
        """The answer, or the index of the statement that will have it."""
        if self._closed:
            raise StoreError("The ledger has stopped.")
        now_us = self._clock.now_us()
        if type(posting) is Hold:
            since_us = self._flying_since_us or self._waiting_since_us
            if (
                self._failing
                or (self._heirs is not None and self._heirs.waiting)
                or (since_us and (now_us - since_us > QUEUE_US or self.queue_length > QUEUE_LENGTH))
            ):
                raise Overloaded
        elif isinstance(posting, Statement | Edit):
            for step in steps(posting):
                if step.name not in WRITES:
                    return Rejected(why=f"There is no statement {step.name!r}.")
            if isinstance(posting, Edit) and posting.closes and not self.book.close(posting.closes):
                return NOTHING
            self._statements.append(posting)
            return len(self._statements) - 1
        return self.book.post(posting, now_us, epoch)

    def _decide_or_busy(self, posting: Posting, epoch: int) -> Answer | Busy | int:
        try:
            return self._decide(posting, epoch)
        except Overloaded:
            return Busy()

    def _durable(self, answer: Answer | int) -> asyncio.Future[Answer]:
        """A future that has the answer when everything posted so far is committed."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._waiters.append((future, answer))
        self._wait()
        return future

    def _wait(self) -> None:
        """Somebody waits for what is in memory: take it to the disk as soon as the thread is free."""
        if not self._waiting_since_us:
            self._waiting_since_us = self._clock.now_us()
        if self._flying is None and not self._flush_soon:
            self._flush_soon = True
            # Not now but after what else is ready in this turn of the loop: it shares the commit.
            self._loop.call_soon(self._flush)

    def _touch(self) -> None:
        """Something changed that nobody waits for."""
        self._operations += 1
        if self._timer is None and not self._flush_soon:
            self._timer = self._loop.call_later(LINGER_S, self._linger_over)
        if self._operations >= BATCH_OPERATIONS and self._flying is None and not self._flush_soon:
            self._flush_soon = True
            self._loop.call_soon(self._flush)

    def _linger_over(self) -> None:
        self._timer = None
        if self._flying is not None:
            self._overdue = True
        elif not self._flush_soon:
            self._flush()

    def _flush(self) -> None:
        """Give the thread, which is free, all there is."""
        self._flush_soon = False
        if self._flying is not None:
            # Two paths lead here in one turn of the loop; the other was first. What came since goes next.
            self._overdue = True
            return
        self._overdue = False
        self._operations = 0
        changes = self.book.take()
        self._flying_waiters, self._waiters = self._waiters, []
        self._flying_peer_waiters, self._peer_waiters = self._peer_waiters, []
        self._flying_since_us, self._waiting_since_us = self._waiting_since_us, 0
        now_us = self._clock.now_us()
        batch = Batch(self._number + 1, now_us, changes, self._statements, self._writes, self._replies)
        if not batch:
            self._answer(batch)
            return
        self._statements, self._writes, self._replies = [], [], []
        self._number += 1
        self._flying = batch
        self._began_s = monotonic()
        self._past.fly(batch.number, changes)
        self._thread().commit(batch)

    def committed(self, batch: Batch) -> None:
        """On the loop: the batch is durable, or was given up."""
        self._flying = None
        self._past.land()
        if self._timed is not None:
            self._timed(monotonic() - self._began_s)
        if self._failing:
            log.info("the ledger is written again")
        self._failing = batch.error is not None
        self._answer(batch)
        for wallet in batch.kept if batch.statements else ():
            self.book.keep(wallet)
        if batch.error is None and batch.notifies and self._changed is not None:
            self._changed()
        if (self._waiters or self._peer_waiters or self._overdue) and not self._flush_soon:
            self._flush()

    def failed(self, error: Exception) -> None:
        """On the loop: a commit failed and is tried again."""
        self._failing = True
        log.error("the ledger cannot be written, new calls get 503 until it can: %s", error)

    def _answer(self, batch: Batch) -> None:
        waiters, self._flying_waiters = self._flying_waiters, []
        peers, self._flying_peer_waiters = self._flying_peer_waiters, []
        self._flying_since_us = 0
        results = batch.results
        for future, answer in waiters:
            if future.done():
                continue
            if batch.error is not None:
                future.set_exception(batch.error)
            else:
                future.set_result(results[answer] if isinstance(answer, int) else answer)
        for peer_future, answers in peers:
            if batch.error is not None:
                peer_future.set_exception(batch.error)
            else:
                peer_future.set_result(_final(answers, results))

    def _thread(self) -> Committer:
        assert self._committer is not None, "the writer was not started"
        return self._committer


def _in_memory(posting: Posting, answer: Answer | Busy | int) -> bool:
    """May this be answered before it is durable?"""
    kind = type(posting)
    if kind is Hold:
        # The answer that is repeated must be durable before it is delivered.
        return type(answer) is not Repeat or answer.state != "done"
    return kind is Extend or kind is Checkpoint


def _final(answers: Sequence[Answer | Busy | int], results: Sequence[Answer]) -> list[Answer | Busy]:
    return [results[answer] if isinstance(answer, int) else answer for answer in answers]
