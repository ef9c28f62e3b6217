"""Bodies that come in pieces, and a server that does not want them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from deeptoken.net import Client, Response
from deeptoken.wire.http import HttpRequest

MEBIBYTE = 1024 * 1024
PIECE = bytes(range(256)) * 256
"""64 KiB."""
MANY = 1024
"""Pieces: more than all buffers on the way hold."""

sized = pytest.mark.parametrize("told", [True, False], ids=["length", "chunks"])


Step = bytes | Callable[[], Awaitable[bytes]]


class Source:
    """Gives its pieces in turn; of a function what it returns, once it does."""

    def __init__(self, *pieces: Step, size: int | None = None) -> None:
        self.size = size
        self.given = 0
        self.waits = asyncio.Event()
        """It was asked for a piece that is a function's."""
        self.pieces: Iterator[Step] = iter(pieces)

    async def read(self) -> bytes:
        piece = next(self.pieces, b"")
        if callable(piece):
            self.waits.set()
            piece = await piece()
        self.given += len(piece)
        return piece


def many(*, told: bool) -> Source:
    """64 MiB, which are not there all at once."""
    source = Source(size=MANY * len(PIECE) if told else None)
    source.pieces = (bytes(PIECE) for _ in range(MANY))
    return source


async def never() -> bytes:
    await asyncio.get_running_loop().create_future()
    return b""


def dropped(client: Client) -> bool:
    """Whether no connection is left that could be used."""
    return all(one.gone for one in client._pools.opened)


async def upload(client: Client, url: str, source: Source, *, head_s: float = 5) -> Response:
    return await client.send(HttpRequest(url, upload=source), connect_s=5, head_s=head_s)


class Refusing:
    """Answers `raw` to the head of a request, and tells what follows: bytes, then whether they were all."""

    def __init__(self, raw: bytes = b"", *, read: bool = True) -> None:
        self.got = bytearray()
        self.gone = asyncio.Event()
        self._raw = raw
        self._read = read

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self._raw)
        try:
            while self._read and (piece := await reader.read(MEBIBYTE)):
                self.got += piece
            if not self._read:
                await asyncio.get_running_loop().create_future()
        except ConnectionError:
            pass
        finally:
            self.gone.set()
