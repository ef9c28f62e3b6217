"""The mock behind the gateway, over real sockets: one channel speaks one dialect, OpenAI's client asks."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import openai

from deeptoken import mock
from deeptoken.mock import Mock
from deeptoken.providers.sim import Played
from whole_scene import Whole, whole

HELLO: Any = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello there"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"enum": ["Oslo"]}}, "required": ["city"]},
    },
}
FORM: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "place",
        "schema": {"type": "object", "properties": {"city": {"const": "Oslo"}}, "required": ["city"]},
    },
}
NAMES = ("text", "echo", "error-400", "error-429-7", "error-503", "empty", "cut")
Ask = Callable[[openai.AsyncOpenAI, Whole], Awaitable[None]]


@asynccontextmanager
async def served(folder: Path, channel: str) -> AsyncIterator[Whole]:
    """A gateway with one channel to a mock; `channel` is what its dialect needs, ``{host}`` the mock."""
    async with mock.running() as url:
        models = ", ".join(f'"m/{name}" = "{name}"' for name in NAMES)
        more = f"""
[[models]]
id = "m/*"
prompt = 1
completion = 2
[[channels]]
name = "mocked"
models = {{ {models} }}
{channel.replace("{host}", url.removesuffix("/v1"))}
"""
        async with whole(folder, more) as gateway:
            yield gateway


def asked(folder: Path, channel: str, ask: Ask) -> None:
    """Let OpenAI's client ask."""

    async def main() -> None:
        async with served(folder, channel) as gateway:
            base = f"http://127.0.0.1:{gateway.port}/v1"
            async with openai.AsyncOpenAI(base_url=base, api_key=gateway.key, max_retries=0) as client:
                await ask(client, gateway)

    asyncio.run(main())


def played(path: str, body: Any, **options: float) -> Played:
    """What the mock plays, without a socket."""
    return Mock(options).answer("POST", path, msgspec.json.encode(body))


def told(answer: Played) -> Any:
    """The body of a whole answer."""
    [step] = answer.steps
    return json.loads(step.data)
