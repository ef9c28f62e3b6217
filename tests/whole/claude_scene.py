"""Anthropic's own client before the gateway, and scripted providers of both dialects behind it.

    m/gpt      speaks OpenAI's dialect; m/claude Anthropic's, where bytes pass through
    m/both     the first, and behind it the second
    m/cached   Anthropic's, with a price for each class of tokens
    sim/*      the built-in `sim`

told, named, whole_message, message_events    what Anthropic's API says
"""

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
from provider_scene import Provider, Scene, channel, lasting, streamed

from upstreams import answer

JSON = "Content-Type: application/json"
HI: Any = [{"role": "user", "content": "hello there"}]
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"enum": ["Oslo"]}}, "required": ["city"]},
}
USAGE = {"input_tokens": 10, "output_tokens": 7}
MORE = """
[[channels]]
name = "sim"
provider = "sim"
models = { "sim/echo" = "echo", "sim/text" = "text", "sim/cut" = "cut", "sim/busy" = "error-429-30" }

[[models]]
id = "m/cached"
prompt = 10
completion = 20
cached_prompt = 1
cache_write = 12.5
cache_write_1h = 20
reasoning = 30
"""


def claude(provider: Provider, script: str, model: str = "", /, **settings: str) -> str:
    """A channel of Anthropic's dialect."""
    base = provider.url(script).removesuffix("/v1")
    return channel(provider, script, model, provider='"anthropic"', base_url=f'"{base}"', **settings)


def configuration(provider: Provider) -> str:
    return (
        MORE
        + channel(provider, "gpt")
        + claude(provider, "claude")
        + claude(provider, "cached")
        + channel(provider, "gpt", "both", name='"both-1"', priority="1")
        + claude(provider, "claude", "both", name='"both-2"')
    )


@contextmanager
def claude_scene(
    folder: Path, more: Callable[[Provider], str] | None = None, **options: str
) -> Iterator[Scene]:
    def all_of_it(provider: Provider) -> str:
        return configuration(provider) + (more(provider) if more else "")

    with lasting(folder, all_of_it, **options) as scene:
        yield scene


def base_url(scene: Scene) -> str:
    """As Anthropic's clients want it."""
    return f"http://127.0.0.1:{scene.gateway.port}"


def asked(scene: Scene, ask: Callable[[anthropic.AsyncAnthropic], Awaitable[None]], **options: Any) -> None:
    """Let Anthropic's client ask. It retries nothing."""

    async def main() -> None:
        known: Any = {"base_url": base_url(scene), "api_key": scene.gateway.key, "max_retries": 0}
        async with anthropic.AsyncAnthropic(**(known | options)) as client:
            await ask(client)

    scene.run(main)


def told(*blocks: dict[str, Any], stop: str | None = "end_turn", **fields: Any) -> dict[str, Any]:
    """A Message."""
    return {
        "id": "msg_up",
        "type": "message",
        "role": "assistant",
        "model": "hidden-claude",
        "content": list(blocks),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": USAGE,
        **fields,
    }


def whole_message(*blocks: dict[str, Any], **fields: Any) -> bytes:
    return answer(json.dumps(told(*blocks, **fields)).encode(), JSON)


def named(**fields: Any) -> bytes:
    """An event."""
    return b"event: %b\ndata: %b\n\n" % (fields["type"].encode(), json.dumps(fields).encode())


def started(**fields: Any) -> bytes:
    return named(type="message_start", message=told(stop=None, **fields))


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    """A block from its beginning to its end."""
    middle = b"".join(named(type="content_block_delta", index=index, delta=delta) for delta in deltas)
    begin = named(type="content_block_start", index=index, content_block=start)
    return begin + middle + named(type="content_block_stop", index=index)


def text_block(index: int, *words: str) -> bytes:
    deltas = ({"type": "text_delta", "text": word} for word in words)
    return block(index, {"type": "text", "text": ""}, *deltas)


def tool_block(index: int, id: str, name: str, *arguments: str) -> bytes:
    deltas = ({"type": "input_json_delta", "partial_json": part} for part in arguments)
    return block(index, {"type": "tool_use", "id": id, "name": name, "input": {}}, *deltas)


def ended(stop: str = "end_turn", usage: dict[str, Any] | None = None, **delta: Any) -> bytes:
    told = {"stop_reason": stop, "stop_sequence": None, **delta}
    end = named(type="message_delta", delta=told, usage=usage or {"output_tokens": 7})
    return end + named(type="message_stop")


def message_events(*blocks: bytes, stop: str = "end_turn", **fields: Any) -> bytes:
    """A whole stream over HTTP."""
    return streamed(started(**fields) + b"".join(blocks) + ended(stop))


# What hosts of OpenAI's dialect say beside text.


def calls_of(*calls: tuple[str, str, str]) -> list[dict[str, Any]]:
    """Tool calls: id, name and arguments of each."""
    return [
        {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id, name, arguments in calls
    ]


def chosen(message: dict[str, Any], finish: str = "stop") -> list[dict[str, Any]]:
    """The one choice of a completion."""
    said = {"role": "assistant", "content": None, "refusal": None, **message}
    return [{"index": 0, "message": said, "logprobs": None, "finish_reason": finish}]
