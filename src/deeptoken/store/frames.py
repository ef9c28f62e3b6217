"""What processes and the writer say to each other: frames of 4 bytes of length (big-endian) and msgpack.

A connection registers first, which gives it its epoch; then it has one batch on its way at a time. When it
closes, its epoch is fenced.

    Register -> Registered(epoch)
    Operations(batch_no, operations) -> Answers(batch_no, answers, holds) | Failed(why)

A worker of the gateway `follows`: it is told what happens, may ask, and goes on under its epoch with another
writer when one dies:

    Resume(epoch, batch_no, holds, claims) -> Registered(epoch) | Failed(why)
    Look(number, ...) -> Looked(number, ...)       what a wallet and its limits leave
    Gather(number) -> Gathered(number, reports)    what all workers and the writer have counted
                                                   <- Changed()        people, channels or prices were written
                                                   <- Reread()         read the configuration again
    Told(number, report)                           <- Tell(number)     what have you counted?
"""

import asyncio
import struct
from collections.abc import Sequence
from typing import Any

import msgspec

from deeptoken.ledger.changes import HoldRow
from deeptoken.ledger.postings import (
    Answer,
    Checkpoint,
    Claim,
    Edit,
    Extend,
    Fence,
    Grant,
    Hold,
    Left,
    OpenWallet,
    Posting,
    Refund,
    Room,
    Settle,
    Statement,
    Sweep,
)
from deeptoken.store.peers import Busy
from deeptoken.store.sqlite import StoreError

FRAME_MOST = 32 * 1024 * 1024
OPERATIONS_MOST = 512
HEAD = struct.Struct(">I")


class Register(msgspec.Struct, frozen=True, tag="register"):
    follows: bool = False


class Resume(msgspec.Struct, frozen=True, tag="resume"):
    """Go on under an epoch that another writer gave: what was answered last, and what is held."""

    epoch: int
    batch_no: int
    """The last that was answered."""
    holds: tuple[HoldRow, ...]
    claims: dict[str, Claim]
    """The idempotency keys of holds, by call."""


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


class Look(msgspec.Struct, frozen=True, tag="look"):
    """What a wallet has, or what it and its limits leave for a hold."""

    number: int
    wallet: str = ""
    hold: Hold | None = None


class Gather(msgspec.Struct, frozen=True, tag="gather"):
    number: int


class Told(msgspec.Struct, frozen=True, tag="told"):
    number: int
    report: bytes


class Registered(msgspec.Struct, frozen=True, tag="registered"):
    epoch: int


class Answers(msgspec.Struct, frozen=True, tag="answers"):
    batch_no: int
    answers: Sequence[Answer | Busy]
    holds: Sequence[HoldRow] = ()
    """For who follows: what the holds of the batch came to."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    why: str


class Looked(msgspec.Struct, frozen=True, tag="looked"):
    number: int
    room: Room | None = None
    left: Sequence[Left] = ()


class Gathered(msgspec.Struct, frozen=True, tag="gathered"):
    number: int
    reports: Sequence[bytes]


class Changed(msgspec.Struct, frozen=True, tag="changed"):
    pass


class Reread(msgspec.Struct, frozen=True, tag="reread"):
    pass


class Tell(msgspec.Struct, frozen=True, tag="tell"):
    number: int


Request = Register | Resume | ReadOperations | Look | Gather | Told
Reply = Registered | Answers | Failed | Looked | Gathered | Changed | Reread | Tell

encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode


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


def frame(message: msgspec.Struct) -> bytes:
    body = encode(message)
    return HEAD.pack(len(body)) + body


async def write_frame(writer: asyncio.StreamWriter, message: msgspec.Struct) -> None:
    writer.write(frame(message))
    await writer.drain()
