"""Scripted providers behind a gateway: one server, a script for each path.

Provider     `/name/v1/chat/completions` is answered by the script `name`, a connection at a time
channel      the configuration of a channel that leads to a script
lasting      a gateway and a provider that live as long as a module's tests
completion, chunk, events    what OpenAI's hosts say
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

from deeptoken.catalog.price import charge
from deeptoken.store.queries.money import UsageRecord
from deeptoken.store.queries.rows import ENTRIES_OF, entry_row
from deeptoken.store.reads import Reader
from deeptoken.store.sqlite import open_reader_connection
from deeptoken.store.verify import verify
from upstreams import Received, ScriptedServer, answer, read_request, reset
from whole_scene import Whole, whole

Script = Callable[[Received, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
T = TypeVar("T")

SECRET = "sk-upstream-secret"
SECONDS_MAX = 30.0
MODELS = """
[[models]]
id = "m/*"
prompt = 1
completion = 2
"""
EVENT_STREAM = "Content-Type: text/event-stream"
DONE = b"data: [DONE]\n\n"


class Provider:
    """A host that does as its scripts say. Use as ``async with``."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.requests: dict[str, list[Received]] = defaultdict(list)
        self.plain = ScriptedServer(_without_tls)
        """Answers whatever is said in HTTP without TLS."""
        self._server = ScriptedServer(self._serve)

    def url(self, name: str) -> str:
        return self._server.url(f"/{name}/v1")

    def body(self, name: str) -> Any:
        """The last body that `name` was sent."""
        return json.loads(self.requests[name][-1].body)

    async def __aenter__(self) -> "Provider":
        await self.plain.__aenter__()
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.plain.__aexit__(kind, error, trace)
        await self._server.__aexit__(kind, error, trace)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing() and (request := await read_request(reader)) is not None:
            name = request.line.split("/")[1]
            self.requests[name].append(request)
            await self.scripts[name](request, reader, writer)


async def _without_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(answer(b"TLS?", status="400 Bad Request"))
    await writer.drain()


def says(raw: bytes) -> Script:
    """Answers, and keeps the connection."""

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return script


def says_and_closes(raw: bytes = b"") -> Script:
    """Answers, and ends the connection in an orderly way."""

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        writer.close()

    return script


def says_and_resets(raw: bytes = b"") -> Script:
    """Answers, and breaks the connection."""

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if raw:
            writer.write(raw)
            await writer.drain()
            await gone(reader, after=0.05)
        reset(writer)

    return script


def says_and_waits(raw: bytes = b"") -> Script:
    """Answers, and then nothing comes until the gateway leaves."""

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        await gone(reader)
        writer.close()

    return script


async def gone(reader: asyncio.StreamReader, *, after: float | None = None) -> bool:
    """Wait until the other side has left; `after` seconds it is no longer waited for."""
    try:
        async with asyncio.timeout(after):
            await reader.read()
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def channel(provider: Provider, script: str, model: str = "", /, **settings: str) -> str:
    """A channel to `script` that calls `m/model` ``hidden-model``; `settings` are TOML."""
    model = model or script
    told = {
        "name": f'"{script}"',
        "provider": '"openai"',
        "base_url": f'"{provider.url(script)}"',
        "api_key": f'"{SECRET}"',
        "models": f'{{ "m/{model}" = "hidden-{model}" }}',
        **settings,
    }
    return "\n[[channels]]\n" + "".join(f"{key} = {value}\n" for key, value in told.items())


# What hosts of OpenAI's dialect say.


def completion(text: str = "hello", *, model: str = "hidden", **fields: Any) -> bytes:
    """A whole answer over HTTP; a field that is None is left out."""
    body = {
        "id": "chatcmpl-up",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": used(3, 2),
        **fields,
    }
    told = {name: value for name, value in body.items() if value is not None}
    return answer(json.dumps(told).encode(), "Content-Type: application/json")


def used(prompt: int, completed: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completed, "total_tokens": prompt + completed}


def event(fields: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps(fields).encode()


def chunk(content: str | None = None, *, finish: str | None = None, role: bool = False, **more: Any) -> bytes:
    """One event of a stream; `more` are fields of the chunk."""
    delta: dict[str, Any] = {"role": "assistant"} if role else {}
    if content is not None:
        delta["content"] = content
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return event({**HEAD, "choices": [choice], **more})


HEAD = {"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "hidden"}


def events(*words: str, finish: str | None = "stop", usage: dict[str, int] | None = None) -> bytes:
    """A stream from its role to its ``[DONE]``, usage included; ``finish`` None ends it after the words."""
    told = chunk("", role=True) + b"".join(chunk(word) for word in words)
    if finish is None:
        return told
    counted = event({**HEAD, "choices": [], "usage": usage or used(3, len(words))})
    return told + chunk(finish=finish) + counted + DONE


def stream_head(*fields: str) -> bytes:
    """The head of a stream whose end is the connection's."""
    lines = "".join(f"{field}\r\n" for field in (EVENT_STREAM, *fields))
    return f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode()


def streamed(raw: bytes, *fields: str) -> bytes:
    """A whole stream with its length."""
    return answer(raw, EVENT_STREAM, *fields)


def both(text: str) -> Script:
    """A good provider: streams to who wants it streamed."""

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wanted = json.loads(request.body)
        writer.write(streamed(events(*text.split(" "))) if wanted.get("stream") else completion(text))
        await writer.drain()

    return script


# A gateway for a module's tests.


class Scene:
    """A gateway and its providers; both stand still but for while `run` runs."""

    def __init__(self, runner: asyncio.Runner, provider: Provider, gateway: Whole) -> None:
        self.provider = provider
        self.gateway = gateway
        self._runner = runner

    def run(self, main: Callable[[], Awaitable[T]]) -> T:
        async def timely() -> T:
            async with asyncio.timeout(SECONDS_MAX):
                return await main()

        return self._runner.run(timely())


@contextmanager
def lasting(folder: Path, configuration: Callable[[Provider], str], **options: str) -> Iterator[Scene]:
    """A gateway on the loop that operators run it on. `options` are those of `whole`."""
    stack = AsyncExitStack()

    async def opened() -> tuple[Provider, Whole]:
        provider = await stack.enter_async_context(Provider())
        more = MODELS + configuration(provider)
        return provider, await stack.enter_async_context(whole(folder, more, **options))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            yield Scene(runner, *runner.run(opened()))
        finally:
            runner.run(stack.aclose())


# What the books say.


async def row_of(gateway: Whole, id: str) -> UsageRecord:
    """The usage row of one call, once it is there."""
    path = gateway.folder / "deeptoken.db"

    def find() -> UsageRecord | None:
        with Reader(path) as reader:
            return reader.usage(id)

    for _ in range(20_000):
        if (row := await asyncio.to_thread(find)) is not None:
            return row
    raise AssertionError(f"there is no usage row {id}")


async def nothing_is_held(gateway: Whole) -> dict[str, Any]:
    """Wait until no hold is open; what the wallet has then."""
    for _ in range(20_000):
        money = await gateway.credits()
        if money["held"] == 0:
            return money
    raise AssertionError(f"a hold stays open: {money}")


def problems(gateway: Whole) -> list[str]:
    """What `deeptoken verify` finds."""
    found = verify(gateway.folder / "deeptoken.db", charge)
    return [f"{finding.name}: {problem}" for finding in found for problem in finding.problems]


def losses(gateway: Whole, id: str) -> int:
    """What the operator bears of a call, as the ledger's entries have it."""
    connection = open_reader_connection(gateway.folder / "deeptoken.db")
    try:
        entries = [entry_row(row) for row in connection.execute(ENTRIES_OF, (id,))]
    finally:
        connection.close()
    return sum(entry.amount for entry in entries if entry.debit == "operator_loss")
