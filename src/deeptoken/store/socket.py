"""The writer's door for other processes: a socket beside the database, mode 0600; `frames.py` has the words.

A batch is answered when it is durable, or at once if it need not be. What else a worker asks is answered
beside it, so that no batch waits for a question.
"""

import asyncio
import hashlib
import logging
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from deeptoken.ledger.changes import HoldRow
from deeptoken.ledger.postings import Checkpoint, Extend, Hold
from deeptoken.store.frames import (
    OPERATIONS_MOST,
    Answers,
    AnyEdit,
    AnyStatement,
    Changed,
    Failed,
    Gather,
    Gathered,
    Look,
    Looked,
    ReadOperations,
    Register,
    Registered,
    Reread,
    Resume,
    Tell,
    Told,
    decode_request,
    frame,
    read_frame,
)
from deeptoken.store.sqlite import StoreError
from deeptoken.store.writer import Writer

PATH_MOST = 100
"""A socket's path has room for 107 bytes on Linux and 103 elsewhere."""
GATHER_S = 1.0
"""How long a worker may take to say what it has counted; a busy one is left out."""
UNREAD_MOST = 64 * 1024 * 1024
"""A process that reads its answers no more is cut off."""

log = logging.getLogger("deeptoken.store")


def socket_path(database: Path) -> Path:
    """`deeptoken.db.sock`, in the temporary folder where that path is too long for a socket."""
    beside = database.resolve().with_name(database.name + ".sock")
    if len(os.fsencode(beside)) <= PATH_MOST:
        return beside
    mark = hashlib.sha256(os.fsencode(beside)).hexdigest()[:24]
    return Path(tempfile.gettempdir()) / f"deeptoken-{mark}.sock"


class Door:
    """Who is connected. `report` gives what the writer itself has counted."""

    def __init__(self, report: Callable[[], bytes] | None = None) -> None:
        self._report = report
        self._visits: dict[_Visit, asyncio.Task[None]] = {}
        self._questions = 0
        self._asked: dict[int, asyncio.Future[bytes]] = {}

    @property
    def followers(self) -> list["_Visit"]:
        return [visit for visit in self._visits if visit.follows]

    def changed(self) -> None:
        """People, channels or prices were written: all that follow are told, before who wrote it is."""
        for visit in self.followers:
            visit.say(Changed())

    def reread(self) -> None:
        """The file was declared anew."""
        for visit in self.followers:
            visit.say(Reread())

    async def gather(self, asking: "_Visit") -> list[bytes]:
        """What the others have counted, and the writer."""
        questions = []
        for visit in self.followers:
            if visit is not asking:
                self._questions += 1
                questions.append(self._questions)
                self._asked[self._questions] = asyncio.get_running_loop().create_future()
                visit.say(Tell(self._questions))
        answers = [self._asked[number] for number in questions]
        if answers:
            await asyncio.wait(answers, timeout=GATHER_S)
        for number in questions:
            del self._asked[number]
        told = [answer.result() for answer in answers if answer.done()]
        return told if self._report is None else [*told, self._report()]

    def told(self, number: int, report: bytes) -> None:
        answer = self._asked.get(number)
        if answer is not None and not answer.done():
            answer.set_result(report)

    @asynccontextmanager
    async def open(self, ledger: Writer, database: Path) -> AsyncIterator[Path]:
        """Let other processes post until the end of the block. The caller holds the lock of the database."""
        path = socket_path(database)
        path.unlink(missing_ok=True)  # Left by a process that was killed: whoever has the lock owns the name.
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        path.chmod(0o600)  # Before it listens, so that there is no moment in which others could connect.

        async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            visit = _Visit(self, ledger, writer)
            self._visits[visit] = task
            try:
                await visit.serve(reader)
            except asyncio.CancelledError:
                # The door closes; a task that ends as cancelled would be reported by the stream's callback.
                pass
            finally:
                del self._visits[visit]
                writer.close()

        server = await asyncio.start_unix_server(visit, sock=listener)
        try:
            yield path
        finally:
            server.close()
            tasks = list(self._visits.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            path.unlink(missing_ok=True)

    async def empty(self) -> None:
        """Wait until everybody has gone."""
        while self._visits:
            await asyncio.wait(list(self._visits.values()))


class _Visit:
    """One connection, from its first frame to its last."""

    def __init__(self, door: Door, ledger: Writer, writer: asyncio.StreamWriter) -> None:
        self.follows = False
        self._door = door
        self._ledger = ledger
        self._writer = writer
        self._epoch = 0
        self._batch: asyncio.Task[None] | None = None
        self._beside: set[asyncio.Task[None]] = set()

    def say(self, message: msgspec.Struct) -> None:
        transport = self._writer.transport
        if transport.get_write_buffer_size() > UNREAD_MOST:
            transport.abort()
        elif not transport.is_closing():
            transport.write(frame(message))

    async def serve(self, reader: asyncio.StreamReader) -> None:
        try:
            while (data := await read_frame(reader)) is not None:
                await self._take(data)
        except (StoreError, KeyError, msgspec.ValidationError, msgspec.DecodeError, ConnectionError) as error:
            log.warning("a process that writes through this one was cut off: %s", error)
        finally:
            self.follows = False
            for task in self._beside:
                task.cancel()
            if self._epoch:
                await self._ledger.fence(self._epoch)

    async def _take(self, data: bytes) -> None:
        match decode_request(data):
            case Register(follows=follows):
                self._epoch = self._epoch or await self._ledger.register(follows=follows)
                self.follows = follows
                self.say(Registered(epoch=self._epoch))
            case Resume() as told if not self._epoch:
                self._resume(told)
            case ReadOperations() as batch:
                self._operations(batch)
            case Look() as look:
                self.say(self._looked(look))
            case Gather(number=number):
                self._aside(self._gathered(number))
            case Told(number=number, report=report):
                self._door.told(number, report)
            case _:
                self.say(Failed(why="This connection has an epoch already."))

    def _resume(self, told: Resume) -> None:
        try:
            self._ledger.resume(told.epoch, told.batch_no, told.holds, told.claims)
        except StoreError as error:
            self.say(Failed(why=error.message))
            return
        self._epoch, self.follows = told.epoch, True
        self.say(Registered(epoch=self._epoch))

    def _operations(self, batch: ReadOperations) -> None:
        busy = self._batch is not None and not self._batch.done()
        if busy or not self._epoch or batch.epoch != self._epoch or len(batch.operations) > OPERATIONS_MOST:
            self.say(Failed(why="Another epoch, a batch before the last was answered, or one too long."))
        else:
            self._batch = self._aside(self._apply(batch))

    async def _apply(self, batch: ReadOperations) -> None:
        try:
            operations = [
                operation.checked() if isinstance(operation, AnyStatement | AnyEdit) else operation
                for operation in batch.operations
            ]
            answers = await self._ledger.apply(batch.epoch, batch.batch_no, operations)
        except StoreError as error:
            self.say(Failed(why=error.message))
            return
        holds: list[HoldRow] = []
        if self.follows:
            for operation in operations:
                if isinstance(operation, Hold):
                    holds += self._ledger.book.rows(operation.call.id)
                elif isinstance(operation, Extend | Checkpoint):
                    holds += self._ledger.book.rows(operation.id)
        self.say(Answers(batch_no=batch.batch_no, answers=answers, holds=holds))

    def _looked(self, look: Look) -> Looked:
        if look.hold is not None:
            return Looked(look.number, left=self._ledger.left(look.hold))
        return Looked(look.number, room=self._ledger.room(look.wallet))

    async def _gathered(self, number: int) -> None:
        self.say(Gathered(number, await self._door.gather(self)))

    def _aside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        return task
