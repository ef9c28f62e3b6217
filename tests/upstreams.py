"""A scripted upstream on a raw socket, and a way to run a test on both event loops.

async with ScriptedServer(answering(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")) as server:
    await client.send(HttpRequest(server.url("/v1")), ...)
"""

import asyncio
import gc
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import pytest
import uvloop

from deeptoken.net import Client, Response
from deeptoken.wire.http import HttpRequest

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Main = Callable[[], Awaitable[None]]
Run = Callable[[Main], None]

TEST_SECONDS_MAX = 20


class ScriptedServer:
    """Calls `handler` for each connection, on 127.0.0.1 and a free port."""

    def __init__(
        self, handler: Handler, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.connections = 0
        self.port = 0
        self._handler = handler
        self._tls = tls
        self._host = host
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._arrived = asyncio.Event()

    def url(self, path: str = "/", *, host: str | None = None) -> str:
        scheme = "https" if self._tls else "http"
        name = host or (f"[{self._host}]" if ":" in self._host else self._host)
        return f"{scheme}://{name}:{self.port}{path}"

    async def reached(self, connections: int) -> None:
        """Wait until so many connections have come."""
        while self.connections < connections:
            self._arrived.clear()
            await self._arrived.wait()

    async def __aenter__(self) -> "ScriptedServer":
        self._server = await asyncio.start_server(self._serve, self._host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        broken = [result for result in results if isinstance(result, Exception) and not _expected(result)]
        if broken and kind is None:
            raise broken[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._arrived.set()
        task = asyncio.ensure_future(self._handle(reader, writer))
        self._tasks.add(task)
        await asyncio.wait([task])

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._handler(reader, writer)
        finally:
            writer.close()


def _expected(error: Exception) -> bool:
    """The client may leave whenever it likes."""
    return isinstance(error, (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError))


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    line: str
    fields: dict[str, str]
    head: bytes
    body: bytes


async def read_request(reader: asyncio.StreamReader) -> Received | None:
    """The next request on the connection, or nothing at its end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    line, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    fields = dict(field.split(": ", 1) for field in rest)
    if fields.get("transfer-encoding") == "chunked":
        return Received(line, fields, head, await read_chunks(reader))
    body = await reader.readexactly(int(fields.get("content-length", "0")))
    return Received(line, fields, head, body)


async def read_chunks(reader: asyncio.StreamReader) -> bytes:
    """A body in chunks, to its end."""
    parts = []
    while size := int(await reader.readline(), 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(parts)


def answer(body: bytes = b"", *fields: str, status: str = "200 OK") -> bytes:
    """An answer with a length."""
    head = "".join(f"{field}\r\n" for field in (*fields, f"Content-Length: {len(body)}"))
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def chunked(*pieces: bytes, fields: tuple[str, ...] = ()) -> bytes:
    """An answer in chunks."""
    head = "".join(f"{field}\r\n" for field in (*fields, "Transfer-Encoding: chunked"))
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))
    return f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + body


def answering(*answers: bytes, into: list[Received] | None = None) -> Handler:
    """Answers the requests of each connection one after the other; the last answer is given again."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = list(answers)
        while (request := await read_request(reader)) is not None:
            if into is not None:
                into.append(request)
            writer.write(left.pop(0) if len(left) > 1 else left[0])
            await writer.drain()

    return handler


def then_closing(raw: bytes) -> Handler:
    """Reads one request, sends `raw`, closes."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(raw)
        await writer.drain()

    return handler


def byte_by_byte(raw: bytes) -> Handler:
    """Answers each request with `raw`, one byte in a packet."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader) is not None:
            for place in range(len(raw)):
                writer.write(raw[place : place + 1])
                await writer.drain()
                await asyncio.sleep(0)

    return handler


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset instead of an orderly end."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def send(client: Client, url: str, body: bytes = b"", *, method: str = "POST") -> Response:
    """Send a request and wait for the head of its answer."""
    return await client.send(HttpRequest(url, (), body, method), connect_s=5, head_s=5)


async def fetch(client: Client, url: str, body: bytes = b"") -> bytes:
    """The body of the answer to a request."""
    response = await send(client, url, body)
    return await response.whole(5)


async def pieces(response: Response) -> list[bytes]:
    """The body as it comes."""
    read: list[bytes] = []
    while piece := await response.read(5):
        read.append(piece)
    return read


def _runner(factory: Callable[[], asyncio.AbstractEventLoop]) -> Run:
    def run(main: Main) -> None:
        complaints: list[dict[str, Any]] = []

        async def watched() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: complaints.append(context))
            async with asyncio.timeout(TEST_SECONDS_MAX):
                await main()
            gc.collect(1)
            await asyncio.sleep(0)

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(watched())
        # What nobody awaited or retrieved shows up here.
        assert complaints == []

    return run


both_loops = pytest.mark.parametrize(
    "run", [_runner(asyncio.new_event_loop), _runner(uvloop.new_event_loop)], ids=["asyncio", "uvloop"]
)
