"""The whole gateway in this process, on real sockets, with its own database."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deeptoken import app, config, ids
from deeptoken.providers.registry import BASE_URLS
from deeptoken.settings import Settings
from deeptoken.store.queries.money import UsageFilter, UsageRecord
from deeptoken.store.reads import Reader

SECONDS_MAX = 20.0
BASE = """
[server]
port = 0
{server}
[database]
url = "sqlite:///deeptoken.db"
[[users]]
name = "ops"
grant_usd = {grant}
[[keys]]
name = "ci"
owner = "ops"
secret = "{key}"
{more}
"""


@dataclass
class Reply:
    """An answer as it came over the wire; `body` is without its chunks."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]

    @property
    def events(self) -> list[str]:
        """The data of each event."""
        return [
            part.removeprefix("data: ")
            for part in self.body.decode().split("\n\n")
            if part.startswith("data")
        ]

    @property
    def chunks(self) -> list[Any]:
        return [json.loads(event) for event in self.events if event != "[DONE]"]

    @property
    def text(self) -> str:
        """What the stream said, all choices in turn."""
        return "".join(
            choice["delta"].get("content") or ""
            for chunk in self.chunks
            for choice in chunk.get("choices", ())
        )


class Connection:
    """One client connection, byte by byte if need be."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    def close(self) -> None:
        """Gone, without a goodbye."""
        self.writer.transport.abort()

    async def head(self) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(SECONDS_MAX):
            raw = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").split("\r\n")
        fields = [line.split(": ", 1) for line in lines if line]
        headers = {name.lower(): value for name, value in fields}
        assert len(headers) == len(fields), f"a header stands twice: {lines}"
        return int(first.split()[1]), headers

    async def chunk(self) -> bytes:
        """The next chunk of a chunked body; empty at its end."""
        async with asyncio.timeout(SECONDS_MAX):
            size = int(await self.reader.readline(), 16)
            data = await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        return data

    async def reply(self) -> Reply:
        status, headers = await self.head()
        if headers.get("transfer-encoding") == "chunked":
            parts = []
            while data := await self.chunk():
                parts.append(data)
            return Reply(status, headers, b"".join(parts))
        async with asyncio.timeout(SECONDS_MAX):
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Reply(status, headers, body)

    async def closed(self) -> bytes:
        """What else comes until the server closes."""
        async with asyncio.timeout(SECONDS_MAX):
            return await self.reader.read()


class Whole:
    """A running gateway and its database."""

    def __init__(self, port: int, folder: Path, key: str, orders: app.Orders) -> None:
        self.port = port
        self.folder = folder
        self.key = key
        self.orders = orders
        self._clients: list[Connection] = []

    async def connect(self, tls: ssl.SSLContext | None = None) -> Connection:
        name = None if tls is None else "localhost"
        streams = await asyncio.open_connection("127.0.0.1", self.port, ssl=tls, server_hostname=name)
        connection = Connection(*streams)
        self._clients.append(connection)
        return connection

    def request(
        self,
        body: dict[str, Any] | bytes = b"",
        *,
        path: str = "/v1/chat/completions",
        method: str = "",
        **headers: str,
    ) -> bytes:
        """The bytes of a request; a header's name has ``_`` for ``-``."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        told = {"host": "gateway", "authorization": f"Bearer {self.key}"}
        if raw:
            told |= {"content-type": "application/json", "content-length": str(len(raw))}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items() if value)
        return f"{method or ('POST' if raw else 'GET')} {path} HTTP/1.1\r\n{lines}\r\n".encode() + raw

    async def ask(self, body: dict[str, Any] | bytes = b"", **options: Any) -> Reply:
        """One request on a connection of its own."""
        connection = await self.connect()
        connection.write(self.request(body, **options))
        reply = await connection.reply()
        connection.close()
        return reply

    def reader(self) -> Reader:
        return Reader(self.folder / "deeptoken.db")

    def rows(self) -> list[UsageRecord]:
        with self.reader() as reader:
            return reader.usages(UsageFilter())

    async def credits(self) -> dict[str, Any]:
        told: dict[str, Any] = (await self.ask(path="/v1/credits")).json
        return told

    async def settled(self, count: int) -> list[UsageRecord]:
        """The usage rows, once there are so many."""
        for _ in range(2_000):
            rows = await asyncio.to_thread(self.rows)
            if len(rows) >= count:
                return rows
        raise AssertionError(f"{len(rows)} usage rows instead of {count}")

    def close(self) -> None:
        for client in self._clients:
            client.close()


@asynccontextmanager
async def whole(folder: Path, more: str, *, server: str = "", grant: str = "100.0") -> AsyncIterator[Whole]:
    """A gateway with one user and one key; `more` is the rest of its configuration."""
    key = ids.new_secret()
    file = folder / "deeptoken.toml"
    file.write_text(BASE.format(server=server, grant=grant, key=key, more=more))

    def read() -> Settings:
        return config.load(file, {}, providers=BASE_URLS)

    orders = app.Orders()
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(app.run(read(), orders, read_settings=read, listening=address.set_result))
    waiting: set[asyncio.Future[Any]] = {running, address}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    started = Whole(int(address.result().rpartition(":")[2]), folder, key, orders)
    try:
        yield started
    finally:
        started.close()
        orders.stop.set()
        await running


def chat(text: str, model: str = "sim/echo", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}
