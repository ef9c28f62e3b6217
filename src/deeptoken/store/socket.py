"""The writer's door for other processes: a socket beside the database, mode 0600.

A frame is 4 bytes of length (big-endian) and msgpack. A connection registers first, which gives it its
epoch; then it has one batch on its way at a time. When it closes, its epoch is fenced.

    Register -> Registered(epoch)
    Operations(batch_no, operations) -> Answers(batch_no, answers) | Failed(why)
"""

import asyncio
import hashlib
import logging
import os
import socket
import struct
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from deeptoken.ledger.postings import (
    Answer,
    Checkpoint,
    Edit,
    Extend,
    Fence,
    Grant,
    Hold,
    OpenWallet,
    Posting,
    Refund,
    Settle,
    Statement,
    Sweep,
)
from deeptoken.store.sqlite import StoreError
from deeptoken.store.writer import Busy, Writer

PATH_MOST = 100
"""A socket's path has room for 107 bytes on Linux and 103 elsewhere."""
FRAME_MOST = 32 * 1024 * 1024
OPERATIONS_MOST = 512
HEAD = struct.Struct(">I")

log = logging.getLogger("deeptoken.store")


class Register(msgspec.Struct, frozen=True, tag="register"):
    pass


class Operations(msgspec.Struct, frozen=True, tag="operations"):
    epoch: int
    batch_no: int
    operations: tuple[Posting, ...]


class AnyStatement(msgspec.Struct, frozen=True, tag="statement"):
    """A `Statement` as it is read: msgspec cannot tell text from bytes in one union."""

    name: str
    parameters: tuple[Any, ...]

    def checked(self) -> Statement:
        """Raises `StoreError` where a parameter is no value of a database."""
        for value in self.parameters:
            if not isinstance(value, str | int | bytes | None):
                raise StoreError(f"A parameter of {self.name!r} is neither text, number, bytes nor nothing.")
        return Statement(name=self.name, parameters=self.parameters)


class AnyEdit(msgspec.Struct, frozen=True, tag="edit"):
    """An `Edit` as it is read."""

    steps: tuple[AnyStatement, ...]

    def checked(self) -> Edit:
        """Raises `StoreError`, as its steps do."""
        return Edit(steps=tuple(step.checked() for step in self.steps))


class ReadOperations(msgspec.Struct, frozen=True, tag="operations"):
    """`Operations` as they are read."""

    epoch: int
    batch_no: int
    operations: tuple[
        Hold
        | Extend
        | Checkpoint
        | Settle
        | OpenWallet
        | Grant
        | Refund
        | Fence
        | Sweep
        | AnyStatement
        | AnyEdit,
        ...,
    ]


class Registered(msgspec.Struct, frozen=True, tag="registered"):
    epoch: int


class Answers(msgspec.Struct, frozen=True, tag="answers"):
    batch_no: int
    answers: Sequence[Answer | Busy]


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    why: str


encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Register | ReadOperations).decode
decode_reply = msgspec.msgpack.Decoder(Registered | Answers | Failed).decode


def socket_path(database: Path) -> Path:
    """`deeptoken.db.sock`, in the temporary folder where that path is too long for a socket."""
    beside = database.resolve().with_name(database.name + ".sock")
    if len(os.fsencode(beside)) <= PATH_MOST:
        return beside
    mark = hashlib.sha256(os.fsencode(beside)).hexdigest()[:24]
    return Path(tempfile.gettempdir()) / f"deeptoken-{mark}.sock"


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame, None at the end.

    Raises:
        StoreError: it is too long.
    """
    try:
        (length,) = HEAD.unpack(await reader.readexactly(HEAD.size))
        if length > FRAME_MOST:
            raise StoreError(f"A frame of {length} bytes is too long; {FRAME_MOST} is the most.")
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def write_frame(writer: asyncio.StreamWriter, message: msgspec.Struct) -> None:
    body = encode(message)
    writer.write(HEAD.pack(len(body)) + body)
    await writer.drain()


@asynccontextmanager
async def open_door(ledger: Writer, database: Path) -> AsyncIterator[Path]:
    """Let other processes post until the end of the block. The caller holds the lock of the database."""
    path = socket_path(database)
    path.unlink(missing_ok=True)  # Left by a process that was killed: whoever has the lock owns the name.
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)  # Before it listens, so that there is no moment in which others could connect.
    visitors: set[asyncio.Task[None]] = set()

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        visitors.add(task)
        task.add_done_callback(visitors.discard)
        try:
            await _serve(ledger, reader, writer)
        except asyncio.CancelledError:
            pass  # The door closes; a task that ends as cancelled would be reported by the stream's callback.
        finally:
            writer.close()

    server = await asyncio.start_unix_server(visit, sock=listener)
    try:
        yield path
    finally:
        server.close()
        for task in visitors:
            task.cancel()
        await asyncio.gather(*visitors, return_exceptions=True)
        path.unlink(missing_ok=True)


async def _serve(ledger: Writer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    epoch = 0
    try:
        while (frame := await read_frame(reader)) is not None:
            request = decode_request(frame)
            if isinstance(request, Register):
                epoch = epoch or await ledger.register()
                await write_frame(writer, Registered(epoch=epoch))
            elif request.epoch != epoch or len(request.operations) > OPERATIONS_MOST:
                await write_frame(
                    writer, Failed(why="This connection has another epoch, or the batch is too long.")
                )
            else:
                await write_frame(writer, await _apply(ledger, request))
    except (StoreError, msgspec.ValidationError, msgspec.DecodeError, ConnectionError) as error:
        log.warning("a process that writes through this one was cut off: %s", error)
    finally:
        if epoch:
            await ledger.fence(epoch)


async def _apply(ledger: Writer, batch: ReadOperations) -> Answers | Failed:
    try:
        operations = [
            operation.checked() if isinstance(operation, AnyStatement | AnyEdit) else operation
            for operation in batch.operations
        ]
        answers = await ledger.apply(batch.epoch, batch.batch_no, operations)
    except StoreError as error:
        return Failed(why=error.message)
    return Answers(batch_no=batch.batch_no, answers=answers)
