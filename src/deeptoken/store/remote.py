"""The ledger of a database that another process writes, for the command line.

What is posted at the same time goes in one batch; one batch is on its way at a time.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deeptoken.errors import Overloaded
from deeptoken.ledger.postings import Answer, Posting
from deeptoken.store.frames import (
    OPERATIONS_MOST,
    Answers,
    Failed,
    Operations,
    Register,
    Registered,
    decode_reply,
    read_frame,
    write_frame,
)
from deeptoken.store.peers import Busy
from deeptoken.store.socket import socket_path
from deeptoken.store.sqlite import StoreError

ANSWER_SECONDS = 30.0
"""How long the writer may take for a batch; its disk may be slow, it may have gone."""


class RemoteLedger:
    """Posts through the writer's socket. Opened by `connect`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.epoch = 0
        self._reader = reader
        self._writer = writer
        self._batch_no = 0
        self._turn = asyncio.Lock()
        self._waiting: list[tuple[Posting, asyncio.Future[Answer | Busy]]] = []

    async def post(self, posting: Posting) -> Answer:
        """Apply a posting.

        Raises:
            Overloaded: a hold, while the writer does not keep up.
            StoreError: the writer has gone. Whether the posting was applied is not known; it may be repeated.
        """
        future: asyncio.Future[Answer | Busy] = asyncio.get_running_loop().create_future()
        self._waiting.append((posting, future))
        async with self._turn:
            if not future.done():
                # One turn of the loop, so that what is posted with it goes with it.
                await asyncio.sleep(0)
                await self._send()
        answer = await future
        if isinstance(answer, Busy):
            raise Overloaded
        return answer

    async def register(self) -> None:
        reply = await self._ask(Register())
        if not isinstance(reply, Registered):
            raise StoreError("The writer answered something else than an epoch.")
        self.epoch = reply.epoch

    async def _send(self) -> None:
        """One batch of what waits, at least the oldest."""
        batch, self._waiting = self._waiting[:OPERATIONS_MOST], self._waiting[OPERATIONS_MOST:]
        self._batch_no += 1
        operations = tuple(posting for posting, _ in batch)
        try:
            reply = await self._ask(
                Operations(epoch=self.epoch, batch_no=self._batch_no, operations=operations)
            )
            if isinstance(reply, Failed):
                raise StoreError(reply.why)
            if not isinstance(reply, Answers) or reply.batch_no != self._batch_no:
                raise StoreError("The writer answered another batch.")
        except BaseException as error:
            # The frames are out of step from here on; nothing more can be asked on this connection.
            self._writer.close()
            gone = error if isinstance(error, StoreError) else StoreError("The writer's answer was lost.")
            for _, future in batch:
                if not future.done():
                    future.set_exception(gone)
                    future.exception()  # Who waits gets it; one that was cancelled need not.
            if isinstance(error, Exception):
                return
            raise
        for (_, future), answer in zip(batch, reply.answers, strict=True):
            if not future.done():
                future.set_result(answer)

    async def _ask(self, request: Register | Operations) -> Registered | Answers | Failed:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await write_frame(self._writer, request)
                frame = await read_frame(self._reader)
        except (ConnectionError, TimeoutError) as error:
            raise StoreError("The process that writes the database does not answer. Try again.") from error
        if frame is None:
            raise StoreError("The process that writes the database has gone. Try again.")
        reply = decode_reply(frame)
        if not isinstance(reply, Registered | Answers | Failed):
            raise StoreError("The writer answered what was not asked.")
        return reply


@asynccontextmanager
async def connect(database: Path) -> AsyncIterator[RemoteLedger | None]:
    """The ledger behind the socket of `database`; None if nobody listens there."""
    path = socket_path(database)
    try:
        if path.stat().st_uid != os.geteuid():
            raise StoreError(f"{path} belongs to another user. Run this as the user who runs the gateway.")
        reader, writer = await asyncio.open_unix_connection(path)
    except (FileNotFoundError, ConnectionRefusedError):
        yield None
        return
    try:
        ledger = RemoteLedger(reader, writer)
        await ledger.register()
        yield ledger
    finally:
        writer.close()
