"""Providers that hear, behind a gateway: a script each, which has the head of a request and reads the rest.

Ear          `/name/v1/audio/...` is answered by the script `name`
channel      a channel that leads to a script
recorded     the bytes of a request for a transcription
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import uvloop

from upstreams import ScriptedServer, answer, read_chunks
from whole_scene import Reply, Whole, whole

T = TypeVar("T")

BOUNDARY = "3f9c0a"
KIND = f"multipart/form-data; boundary={BOUNDARY}"
TRANSCRIPTIONS = "/v1/audio/transcriptions"
SECONDS_MAX = 30.0
PRICED = """
[[models]]
id = "m/*"
second = 0.0001
[[models]]
id = "t/*"
prompt = 2
prompt_audio = 6
completion = 10
"""
JSON = "Content-Type: application/json"


class Hearing:
    """One request as it comes to a provider."""

    def __init__(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        self.line = line
        self.fields = dict(field.split(": ", 1) for field in rest)
        self.body = b""
        self.reader = reader
        self._writer = writer

    async def all(self) -> bytes:
        """Its body."""
        if self.fields.get("transfer-encoding") == "chunked":
            self.body = await read_chunks(self.reader)
        else:
            self.body = await self.reader.readexactly(int(self.fields["content-length"]))
        return self.body

    async def rest(self) -> tuple[bytes, bool]:
        """What comes until the gateway leaves, and whether that was the whole body."""
        try:
            self.body += await self.reader.read()
        except ConnectionError:
            return self.body, False
        told = self.fields.get("content-length")
        whole = self.body.endswith(b"0\r\n\r\n") if told is None else len(self.body) >= int(told)
        return self.body, whole

    async def say(self, raw: bytes) -> None:
        self._writer.write(raw)
        await self._writer.drain()

    def reset(self) -> None:
        self._writer.transport.abort()


Script = Callable[[Hearing], Awaitable[None]]


class Ear:
    """A host that does as its scripts say. Use as ``async with``."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.heard: dict[str, list[Hearing]] = defaultdict(list)
        self._server = ScriptedServer(self._serve)

    def url(self, name: str) -> str:
        return self._server.url(f"/{name}/v1")

    async def __aenter__(self) -> "Ear":
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.__aexit__(kind, error, trace)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            hearing = Hearing(head, reader, writer)
            name = hearing.line.split("/")[1]
            self.heard[name].append(hearing)
            await self.scripts[name](hearing)


def hears(raw: bytes) -> Script:
    """Hears all of it, and answers."""

    async def script(hearing: Hearing) -> None:
        await hearing.all()
        await hearing.say(raw)

    return script


class Cut:
    """A provider that hears until the gateway leaves."""

    def __init__(self, raw: bytes = b"") -> None:
        self.asked = asyncio.Event()
        self.heard: asyncio.Future[tuple[bytes, bool]] = asyncio.get_running_loop().create_future()
        self._raw = raw

    async def __call__(self, hearing: Hearing) -> None:
        self.asked.set()
        if self._raw:
            await hearing.say(self._raw)
        self.heard.set_result(await hearing.rest())


def told(fields: dict[str, Any], *, kind: str = JSON) -> bytes:
    """An answer in JSON."""
    return answer(json.dumps(fields).encode(), kind)


HEARD = {"text": "hello", "usage": {"type": "duration", "seconds": 9}}


def channel(ear: Ear, script: str, model: str = "", /, **settings: str) -> str:
    """A channel to `script` that calls `m/model` and `t/model` ``hidden``; `settings` are TOML."""
    model = model or script
    told = {
        "name": f'"{script}"',
        "provider": '"openai"',
        "base_url": f'"{ear.url(script)}"',
        "api_key": '"sk-upstream"',
        "models": f'{{ "m/{model}" = "hidden", "t/{model}" = "hidden" }}',
        **settings,
    }
    return "\n[[channels]]\n" + "".join(f"{key} = {value}\n" for key, value in told.items())


def field(name: str, value: str) -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def file(data: bytes) -> bytes:
    head = 'Content-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg'
    return f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + data + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def recording(model: str, data: bytes = b"ID3 sound", **fields: str) -> bytes:
    """A form, as the SDKs write it: the file comes last."""
    return (
        b"".join(field(name, value) for name, value in {"model": model, **fields}.items()) + file(data) + END
    )


class Scene:
    """A gateway and its providers; both stand still but for while `run` runs."""

    def __init__(self, runner: asyncio.Runner, ear: Ear, gateway: Whole) -> None:
        self.ear = ear
        self.gateway = gateway
        self._runner = runner

    def run(self, main: Callable[[], Awaitable[T]]) -> T:
        async def timely() -> T:
            async with asyncio.timeout(SECONDS_MAX):
                return await main()

        return self._runner.run(timely())

    def request(self, body: bytes, *, path: str = TRANSCRIPTIONS, **headers: str) -> bytes:
        return self.gateway.request(body, path=path, **{"content_type": KIND, **headers})

    async def ask(self, body: bytes, **headers: str) -> Reply:
        """One request on a connection of its own."""
        connection = await self.gateway.connect()
        connection.write(self.request(body, **headers))
        return await connection.reply()

    def head(self, size: int | None, **headers: str) -> bytes:
        """The head of a request whose body comes later; without a size in chunks."""
        length = {"transfer_encoding": "chunked"} if size is None else {"content_length": str(size)}
        return self.request(b"", method="POST", **length, **headers)


@contextmanager
def lasting(folder: Path, configuration: Callable[[Ear], str], **options: str) -> Iterator[Scene]:
    """A gateway on the loop that operators run it on. `options` are those of `whole`."""
    stack = AsyncExitStack()

    async def opened() -> tuple[Ear, Whole]:
        ear = await stack.enter_async_context(Ear())
        return ear, await stack.enter_async_context(whole(folder, PRICED + configuration(ear), **options))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            yield Scene(runner, *runner.run(opened()))
        finally:
            runner.run(stack.aclose())
