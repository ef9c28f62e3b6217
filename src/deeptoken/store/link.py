"""The ledger of a worker: behind the writer's socket, whichever process the writer is at the moment.

    connected   one batch is on its way; what is posted meanwhile is the next one
    lost        new holds are refused, all else waits; the next writer is looked for
    resumed     it is told what is held here, and gets the unanswered batch again, under the same number
    over        the writer ended this epoch (it took too long): its holds were settled. Settlements go to the
                next epoch, where they are booked as late ones; a change of people or prices is told as lost

Whoever asked for a hold and went away meanwhile has it released: nobody else would.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec

from deeptoken.errors import ClientGone, Overloaded
from deeptoken.ledger.changes import HoldRow
from deeptoken.ledger.closing import SECOND
from deeptoken.ledger.postings import (
    Answer,
    Claim,
    Edit,
    Held,
    Hold,
    Left,
    Posting,
    Room,
    Settle,
    Statement,
)
from deeptoken.money import NanoUsd
from deeptoken.store.frames import (
    OPERATIONS_MOST,
    Answers,
    Changed,
    Failed,
    Gather,
    Gathered,
    Look,
    Looked,
    Operations,
    Register,
    Registered,
    Reread,
    Resume,
    Tell,
    Told,
    decode_reply,
    frame,
    read_frame,
)
from deeptoken.store.peers import Busy
from deeptoken.store.socket import socket_path
from deeptoken.store.sqlite import StoreError

AGAIN_S = 0.02
"""How often the next writer is looked for."""
Waiting = tuple[Posting, asyncio.Future[Answer]]


class Link:
    """Use as ``async with``, which waits for the first writer. Called on the event loop are `changed` and
    `reread`, when the writer says so; `report` gives what this process has counted."""

    def __init__(
        self,
        database: Path,
        *,
        changed: Callable[[], None],
        reread: Callable[[], None],
        report: Callable[[], bytes],
    ) -> None:
        self.epoch = 0
        self._path = socket_path(database)
        self._changed = changed
        self._reread = reread
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._writer: asyncio.StreamWriter | None = None
        self._batch_no = 0
        """Of the batch that was sent last."""
        self._flight: list[Waiting] = []
        self._waiting: list[Waiting] = []
        self._soon = False
        self._holds: dict[str, HoldRow] = {}
        self._claims: dict[str, Claim] = {}
        self._questions = 0
        self._asked: dict[int, asyncio.Future[Looked | Gathered]] = {}
        self._first: asyncio.Future[None] = self._loop.create_future()
        self._task: asyncio.Task[None] | None = None
        self._releases: set[asyncio.Task[Answer]] = set()

    async def __aenter__(self) -> Self:
        self._task = self._loop.create_task(self._run())
        await asyncio.wait({self._task, self._first}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            await self._task
        return self

    async def __aexit__(self, *_: object) -> None:
        """What was posted is answered before it closes, if a writer is there."""
        while self._writer is not None and (self._flight or self._waiting):
            await asyncio.wait([future for _, future in (self._flight or self._waiting)])
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @property
    def failing(self) -> bool:
        return self._writer is None

    @property
    def holds_open(self) -> int:
        return sum(not id.endswith(SECOND) for id in self._holds)

    @property
    def queue_length(self) -> int:
        return len(self._flight) + len(self._waiting)

    async def post(self, posting: Posting) -> Answer:
        """Apply a posting.

        Raises:
            Overloaded: a hold, while there is no writer, or it does not keep up.
            StoreError: a change of people or prices of which nobody knows whether it was applied.
        """
        if type(posting) is Hold and self._writer is None:
            raise Overloaded
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting.append((posting, future))
        self._send_soon()
        return await future

    async def room_of(self, wallet: str) -> Room | None:
        """What a wallet has; None: there is none. Raises `Overloaded`: there is no writer at the moment."""
        answer = await self._ask(lambda number: Look(number, wallet=wallet))
        assert isinstance(answer, Looked)
        return answer.room

    async def left_for(self, hold: Hold) -> list[Left]:
        """What wallets and limits leave for a hold. Raises `Overloaded`, as above."""
        answer = await self._ask(lambda number: Look(number, hold=hold))
        assert isinstance(answer, Looked)
        return list(answer.left)

    async def gather(self) -> list[bytes]:
        """What the other processes have counted; nothing while there is no writer."""
        try:
            answer = await self._ask(Gather)
        except Overloaded:
            return []
        assert isinstance(answer, Gathered)
        return list(answer.reports)

    async def _ask(self, question: Callable[[int], msgspec.Struct]) -> Looked | Gathered:
        if self._writer is None:
            raise Overloaded
        self._questions += 1
        number = self._questions
        answer: asyncio.Future[Looked | Gathered] = self._loop.create_future()
        self._asked[number] = answer
        self._writer.write(frame(question(number)))
        try:
            return await answer
        finally:
            self._asked.pop(number, None)

    # What is sent.

    def _send_soon(self) -> None:
        if self._writer is not None and not self._flight and self._waiting and not self._soon:
            self._soon = True
            # After what else is ready in this turn of the loop: it goes with it.
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        self._soon = False
        if self._writer is None or self._flight or not self._waiting:
            return
        self._flight, self._waiting = self._waiting[:OPERATIONS_MOST], self._waiting[OPERATIONS_MOST:]
        self._batch_no += 1
        self._send_flight()

    def _send_flight(self) -> None:
        assert self._writer is not None
        operations = tuple([posting for posting, _ in self._flight])
        self._writer.write(frame(Operations(self.epoch, self._batch_no, operations)))

    # What comes.

    async def _run(self) -> None:
        """Raises `StoreError`: the socket is somebody else's."""
        while True:
            try:
                reader, writer = await self._connect()
            except (FileNotFoundError, ConnectionError):
                await asyncio.sleep(AGAIN_S)
                continue
            try:
                await self._follow(reader, writer)
            except (StoreError, ConnectionError):
                # Whatever is wrong with this writer, the next one may be right.
                await asyncio.sleep(AGAIN_S)
            finally:
                self._lost()
                writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._path.stat().st_uid != os.geteuid():
            raise StoreError(f"{self._path} belongs to another user than the one who runs the gateway.")
        return await asyncio.open_unix_connection(self._path)

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.epoch:
            held = tuple(self._holds.values())
            answered = self._batch_no - bool(self._flight)
            writer.write(frame(Resume(self.epoch, answered, held, self._claims)))
            reply = await _reply(reader)
            if isinstance(reply, Failed):
                self._over()
        if not self.epoch:
            writer.write(frame(Register(follows=True)))
            reply = await _reply(reader)
        if not isinstance(reply, Registered):
            raise StoreError("The writer answered what was not asked.")
        self.epoch, self._writer = reply.epoch, writer
        if self._flight:
            self._send_flight()
        self._send_soon()
        # What was written before this is not known here.
        self._changed()
        if not self._first.done():
            self._first.set_result(None)
        while True:
            self._take(await _reply(reader))

    def _take(self, message: object) -> None:
        match message:
            case Answers():
                self._answered(message)
            case Looked(number=number) | Gathered(number=number):
                answer = self._asked.get(number)
                if answer is not None and not answer.done():
                    answer.set_result(message)
            case Changed():
                self._changed()
            case Reread():
                self._reread()
            case Tell(number=number):
                assert self._writer is not None
                self._writer.write(frame(Told(number, self._report())))
            case Failed(why=why):
                raise StoreError(why)

    def _answered(self, answers: Answers) -> None:
        if answers.batch_no != self._batch_no or len(answers.answers) != len(self._flight):
            raise StoreError("The writer answered another batch.")
        flight, self._flight = self._flight, []
        for row in answers.holds:
            self._holds[row.call.id] = row
        for (posting, future), answer in zip(flight, answers.answers, strict=True):
            if type(posting) is Settle:
                self._forget(posting.id)
            elif type(posting) is Hold and posting.claim is not None and type(answer) is Held:
                self._claims[posting.call.id] = posting.claim
            if future.cancelled():
                if type(posting) is Hold and type(answer) is Held:
                    self._release(posting)
            elif isinstance(answer, Busy):
                future.set_exception(Overloaded())
            else:
                future.set_result(answer)
        self._send_soon()

    def _forget(self, id: str) -> None:
        self._holds.pop(id, None)
        self._holds.pop(id + SECOND, None)
        self._claims.pop(id, None)

    # How it ends.

    def _lost(self) -> None:
        """The writer has gone. Nobody waits for a hold that was not sent."""
        self._writer = None
        waiting, self._waiting = self._waiting, []
        for posting, future in waiting:
            if type(posting) is Hold:
                _fail(future, Overloaded())
            else:
                self._waiting.append((posting, future))
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(Overloaded())

    def _over(self) -> None:
        """The epoch has ended, and what was held under it was settled."""
        self.epoch = self._batch_no = 0
        self._holds.clear()
        self._claims.clear()
        flight, self._flight = self._flight, []
        again = []
        for posting, future in flight:
            if type(posting) is Hold:
                _fail(future, Overloaded())
            elif isinstance(posting, Statement | Edit):
                _fail(future, StoreError("The writer has gone. Whether it was changed is not known: look."))
            else:
                again.append((posting, future))
        self._waiting = again + self._waiting

    def _release(self, hold: Hold) -> None:
        """The hold is there, and who wanted it is not."""
        gone = ClientGone()
        end = Settle(hold.call.id, NanoUsd(0), "cancelled", status=gone.status, code=gone.code)
        task = self._loop.create_task(self.post(end))
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)


async def _reply(reader: asyncio.StreamReader) -> object:
    """Raises `ConnectionError`: the writer has gone."""
    data = await read_frame(reader)
    if data is None:
        raise ConnectionResetError("the writer has gone")
    try:
        return decode_reply(data)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise StoreError(f"The writer's words make no sense: {error}") from error


def _fail(future: "asyncio.Future[Answer]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # Who waits gets it; one that has gone need not.
