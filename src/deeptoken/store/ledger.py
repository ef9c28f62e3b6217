"""The ledger of an SQLite database, wherever its writer is.

open_writer     be the writer: lock, schema, memory, what the last one left open, the door
open_ledger     post: through the writer that runs, else be the writer meanwhile
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

import apsw
import msgspec

from deeptoken.clock import LedgerClock
from deeptoken.ledger.book import Book
from deeptoken.ledger.changes import HoldRow, LotRow, WalletRow
from deeptoken.ledger.lots import Order
from deeptoken.ledger.postings import Answer, Hold, Left, Posting, Room
from deeptoken.money import NanoUsd, show
from deeptoken.store.commit import FIRST_HASH, Committer, prepare
from deeptoken.store.migrate import ensure_current, migrations
from deeptoken.store.past import DurablePast
from deeptoken.store.peers import Busy, Kept
from deeptoken.store.queries import load, money
from deeptoken.store.queries.commit import NEW_REPLICA
from deeptoken.store.remote import connect
from deeptoken.store.socket import Door
from deeptoken.store.sqlite import StoreError, WriterRuns, locked, numbered, open_writer_connection
from deeptoken.store.writer import Writer

TRIES = 20
TRY_AGAIN_S = 0.1
"""A writer that starts or stops has the lock and no socket: for so long a command waits for it."""


decode_answers = msgspec.msgpack.Decoder(list[Answer | Busy]).decode


class Ledger(Protocol):
    """What the gateway and the command line need of a store."""

    async def post(self, posting: Posting) -> Answer: ...


class Gateways(Ledger, Protocol):
    """What a gateway needs besides."""

    @property
    def failing(self) -> bool:
        """Nothing can be written at the moment."""
        ...

    @property
    def holds_open(self) -> int: ...
    @property
    def queue_length(self) -> int: ...
    async def room_of(self, wallet: str) -> Room | None: ...
    async def left_for(self, hold: Hold) -> list[Left]: ...


@asynccontextmanager
async def open_writer(
    path: Path,
    *,
    order: Order = "oldest_first",
    changed: Callable[[], None] | None = None,
    timed: Callable[[float], object] | None = None,
    door: Door | None = None,
    heirs: int = 0,
) -> AsyncIterator[Writer]:
    """Be the one writer of the database at `path`; a new one is made.

    What a writer that died left open is settled at its checkpoints, durably, before this returns; but if
    `heirs` processes go on that posted through it, they are waited for first. Called on the event loop are
    `changed`, when people, channels or prices changed, and `timed`, with the seconds of each commit. `door`
    lets other processes in.

    Raises:
        WriterRuns: another process writes it.
        StoreError: the schema is not this program's, or the balances contradict the lots and holds.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(locked(path))
        connection = await asyncio.to_thread(_open, path)
        stack.callback(connection.close)
        opened = await asyncio.to_thread(_load, connection)
        clock = LedgerClock(not_before_us=opened.latest_us)
        connection.execute(NEW_REPLICA, numbered(opened.epoch, clock.now_us()))
        past = DurablePast(path, opened.epoch)
        stack.callback(past.close)
        book = Book(past, order=order)
        book.load(opened.wallets, opened.lots, opened.holds, last_usage=opened.last_usage)
        door = door or Door()
        told = door.changed if changed is None else partial(_both, door.changed, changed)
        writer = Writer(book, past, clock, epoch=opened.epoch, changed=told, timed=timed)
        writer.start(_committer(connection, opened, writer))
        try:
            if heirs:
                writer.expect(opened.kept, heirs)
            else:
                for epoch in opened.kept:
                    await writer.fence(epoch)
            async with door.open(writer, path):
                yield writer
        finally:
            await writer.stop()
            await asyncio.to_thread(connection.wal_checkpoint, None, apsw.SQLITE_CHECKPOINT_TRUNCATE)


@asynccontextmanager
async def open_ledger(path: Path) -> AsyncIterator[Ledger]:
    """Post to the database at `path`, whether a gateway runs on it or not.

    Raises:
        WriterRuns: another process has the lock and does not answer at its socket.
        StoreError: the database cannot be used.
    """
    async with AsyncExitStack() as stack:
        yield await _reach(path, stack)


async def _reach(path: Path, stack: AsyncExitStack) -> Ledger:
    for _ in range(TRIES):
        remote = await stack.enter_async_context(connect(path))
        if remote is not None:
            return remote
        try:
            return await stack.enter_async_context(open_writer(path))
        except WriterRuns:
            await asyncio.sleep(TRY_AGAIN_S)
    return await stack.enter_async_context(open_writer(path))


class Opened(msgspec.Struct):
    """What a writer starts from."""

    epoch: int
    kept: dict[int, Kept]
    """The epochs that were not ended."""
    head: bytes
    latest_us: int
    wallets: list[WalletRow]
    lots: list[LotRow]
    holds: list[HoldRow]
    last_usage: str


def _open(path: Path) -> apsw.Connection:
    connection = open_writer_connection(path)
    try:
        ensure_current(connection, migrations())
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _load(connection: apsw.Connection) -> Opened:
    head, committed_us = connection.execute(load.HEAD).fetchone() or (FIRST_HASH, 0)
    opened = Opened(
        epoch=connection.execute(load.LAST_EPOCH).get + 1,
        kept={
            epoch: Kept(batch_no, [] if answers is None else decode_answers(answers))
            for epoch, batch_no, answers in connection.execute(load.ORPHANED_EPOCHS)
        },
        head=head,
        latest_us=max(committed_us, connection.execute(load.LATEST_TIME).get),
        wallets=money.wallet_rows(connection),
        lots=money.live_lots(connection),
        holds=money.hold_rows(connection),
        last_usage=connection.execute(load.LAST_USAGE).get,
    )
    _ensure_sound(opened)
    return opened


def _both(first: Callable[[], None], second: Callable[[], None]) -> None:
    first()
    second()


def _ensure_sound(opened: Opened) -> None:
    """Refuse to serve from balances that contradict the lots and holds (I1, I2)."""
    remaining = dict.fromkeys((wallet.id for wallet in opened.wallets), 0)
    held = dict(remaining)
    for lot in opened.lots:
        remaining[lot.wallet] += lot.remaining
    for hold in opened.holds:
        held[hold.call.wallet] = held.get(hold.call.wallet, 0) + hold.amount
    for wallet in opened.wallets:
        if remaining[wallet.id] != wallet.balance or held[wallet.id] != wallet.held:
            raise StoreError(
                f"Wallet {wallet.id} has a balance of {show(wallet.balance)} with {show(wallet.held)} held, "
                f"but its lots have {show(NanoUsd(remaining[wallet.id]))} and its holds "
                f"{show(NanoUsd(held[wallet.id]))}. Somebody changed the database. Run `deeptoken verify`, "
                "and restore a backup."
            )


def _committer(connection: apsw.Connection, opened: Opened, writer: Writer) -> Committer:
    loop = asyncio.get_running_loop()
    return Committer(
        connection,
        epoch=opened.epoch,
        head=opened.head,
        done=lambda batch: loop.call_soon_threadsafe(writer.committed, batch),
        failed=lambda error: loop.call_soon_threadsafe(writer.failed, error),
    )
