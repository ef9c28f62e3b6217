"""OpenAI's own client before the gateway, and scripted providers behind it, in all that it may speak.

    m/chat     OpenAI's chat completions; m/claude Anthropic's Messages; m/native OpenAI's Responses
    m/text     a host that has the older completions too
    m/classes  chat completions, with a price for each class of tokens; m/fees the same as Responses
    m/both     chat completions, and behind it Responses
    sim/*      the built-in `sim`

says_text                  all three say the same
response, native_events    what OpenAI's Responses says
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pydantic
import pytest
from claude_scene import JSON, claude, message_events, text_block, whole_message
from openai.types.responses import Response, ResponseStreamEvent
from provider_scene import (
    HEAD,
    Provider,
    Scene,
    Script,
    channel,
    completion,
    event,
    events,
    lasting,
    says,
    stream_head,
    streamed,
)

from upstreams import Received, answer
from whole_scene import Connection, Reply

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
everywhere = pytest.mark.parametrize("model", ["m/chat", "m/claude", "m/native"])
EVENT: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(ResponseStreamEvent)
TEXT = [
    "created",
    "in_progress",
    "output_item.added",
    "content_part.added",
    "output_text.delta",
    "output_text.delta",
    "output_text.done",
    "content_part.done",
    "output_item.done",
    "completed",
]
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": ["Oslo"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
SIM = """
[[channels]]
name = "sim"
provider = "sim"
models = { "sim/echo" = "echo", "sim/text" = "text", "sim/cut" = "cut", "sim/busy" = "error-429-30" }
"""
CLASSES = """
[[models]]
id = "m/{name}"
prompt = 10
completion = 20
cached_prompt = 1
cache_write = 12.5
reasoning = 30
"""


def configuration(provider: Provider) -> str:
    return (
        SIM
        + CLASSES.format(name="classes")
        + CLASSES.format(name="fees")
        + channel(provider, "chat")
        + channel(provider, "chat", "classes", name='"classes"')
        + channel(provider, "native", responses="true")
        + channel(provider, "native", "fees", name='"fees"', responses="true")
        + channel(provider, "text", provider='"vllm"')
        + claude(provider, "claude")
        + channel(provider, "chat", "both", name='"both-1"', priority="1")
        + channel(provider, "native", "both", name='"both-2"', responses="true")
    )


@contextmanager
def openai_scene(
    folder: Path, more: Callable[[Provider], str] | None = None, **options: str
) -> Iterator[Scene]:
    def all_of_it(provider: Provider) -> str:
        return configuration(provider) + (more(provider) if more else "")

    with lasting(folder, all_of_it, **options) as scene:
        yield scene


def asked(scene: Scene, ask: Callable[[openai.AsyncOpenAI], Awaitable[None]], **options: Any) -> None:
    """Let OpenAI's client ask. It retries nothing, and checks each answer against its schema."""

    async def main() -> None:
        known: Any = {
            "base_url": f"http://127.0.0.1:{scene.gateway.port}/v1",
            "api_key": scene.gateway.key,
            "max_retries": 0,
            # No certificate is looked at here, and to load them takes longer than most of these tests.
            "http_client": openai.DefaultAsyncHttpxClient(verify=False),
            "_strict_response_validation": True,
        }
        async with openai.AsyncOpenAI(**(known | options)) as client:
            await ask(client)

    scene.run(main)


async def heard(client: openai.AsyncOpenAI, *, stream: bool, **options: Any) -> Response:
    """The answer, whole or as the client's streaming aid puts it together."""
    if not stream:
        told: Response = await client.responses.create(**options)
        return told
    async with client.responses.stream(**options) as events:
        final: Response = await events.get_final_response()
        return final


def says_text(scene: Scene, *words: str, stream: bool) -> None:
    """Every provider says it, in its own dialect."""
    text = {"text": "".join(words)}
    scene.provider.scripts |= {
        "chat": says(streamed(events(*words)) if stream else completion(text["text"])),
        "claude": says(
            message_events(text_block(0, *words)) if stream else whole_message({"type": "text", **text})
        ),
        "native": says(natively(*words) if stream else whole_response(message_item(text))),
    }


def heedless(opening: bytes, word: bytes) -> Script:
    """Says a word for ever, whatever the limit."""

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(stream_head() + opening)
        while not writer.is_closing():
            writer.write(word)
            await writer.drain()
            await asyncio.sleep(0)

    return script


async def opened(scene: Scene, model: str, **fields: Any) -> tuple[Connection, dict[str, str]]:
    """A streamed call whose head has come."""
    client = await scene.gateway.connect()
    body = {"model": model, "input": "hi", "stream": True, **fields}
    client.write(scene.gateway.request(body, path="/v1/responses"))
    status, headers = await client.head()
    assert status == 200, await client.reader.read(2_000)
    return client, headers


async def rest(client: Connection) -> bytes:
    heard = b""
    while piece := await client.chunk():
        heard += piece
    return heard


async def streams(scene: Scene, model: str, **fields: Any) -> list[Any]:
    """The events of a whole stream."""
    client, headers = await opened(scene, model, **fields)
    return checked(Reply(200, headers, await rest(client)))


def checked(reply: Reply) -> list[Any]:
    """The events: numbered without a gap, each of a type that OpenAI's client knows, with its fields."""
    found = events_of(reply)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    for one in found:
        assert EVENT.validate_python(one).type == one["type"]
    assert b"data: [DONE]" not in reply.body
    assert b"hidden" not in reply.body
    return found


def kinds(found: list[Any]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in found]


def events_of(reply: Reply) -> list[Any]:
    """The events of a stream in order, each told by its name too; without comments."""
    assert reply.headers["content-type"].startswith("text/event-stream"), reply.body
    found = []
    for part in reply.body.decode().split("\n\n"):
        if part and not part.startswith(":"):
            name, data = part.split("\n")
            found.append(json.loads(data.removeprefix("data: ")))
            assert name == f"event: {found[-1]['type']}"
    return found


# What hosts say beside text.


def delta(finish: str | None = None, **told: Any) -> bytes:
    """One event of a chat."""
    choice = {"index": 0, "delta": told, "logprobs": None, "finish_reason": finish}
    return event({**HEAD, "choices": [choice]})


def call(index: int, arguments: str, **first: str) -> dict[str, Any]:
    """A delta of a tool call; with `id` and `name`, its first."""
    named = {"name": first["name"]} if "name" in first else {}
    opening = {"id": first["id"], "type": "function"} if "id" in first else {}
    return {"index": index, **opening, "function": {**named, "arguments": arguments}}


def tokens(read: int, cached: int, written: int, thought: int, also_read: int = 0) -> dict[str, Any]:
    """A usage of Responses: 20 tokens of output."""
    return {
        "input_tokens": read + also_read,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": read + also_read + 20,
    }


USAGE = tokens(30, 12, 4, 6)


def message_item(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "annotations": [], "logprobs": [], **part} for part in parts]
    return {
        "id": "msg_up",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": content,
        **fields,
    }


def response(*output: dict[str, Any], status: str = "completed", **fields: Any) -> dict[str, Any]:
    """A Response of a host."""
    return {
        "id": "resp_up",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "background": False,
        "completed_at": 1_700_000_001 if status == "completed" else None,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": "hidden-native",
        "output": list(output),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": USAGE if status in ("completed", "incomplete") else None,
        "user": None,
        **fields,
    }


def whole_response(*output: dict[str, Any], **fields: Any) -> bytes:
    return answer(json.dumps(response(*output, **fields)).encode(), JSON)


def numbered(*events: dict[str, Any]) -> bytes:
    """Events as the host writes them."""
    return b"".join(
        b"event: %b\n" % told["type"].encode() + event({**told, "sequence_number": number})
        for number, told in enumerate(events)
    )


def begun() -> list[dict[str, Any]]:
    made = response(status="in_progress")
    return [{"type": f"response.{kind}", "response": made} for kind in ("created", "in_progress")]


def said(*words: str, at: int = 0) -> list[dict[str, Any]]:
    """The events of a message, from its beginning to its end."""
    place = {"item_id": "msg_up", "output_index": at, "content_index": 0}
    empty = message_item({"text": ""})["content"][0]
    text = "".join(words)
    part = {**empty, "text": text}
    item = {"type": "response.output_item.added", "output_index": at}
    return [
        {**item, "item": message_item(status="in_progress")},
        {"type": "response.content_part.added", **place, "part": empty},
        *(
            {"type": "response.output_text.delta", **place, "delta": word, "logprobs": [], "obfuscation": "x"}
            for word in words
        ),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {**item, "type": "response.output_item.done", "item": message_item({"text": text})},
    ]


def native_events(*events: dict[str, Any], output: list[dict[str, Any]], **fields: Any) -> bytes:
    """A whole stream over HTTP."""
    made = response(*output, **fields)
    return streamed(numbered(*begun(), *events, {"type": f"response.{made['status']}", "response": made}))


def natively(*words: str, **fields: Any) -> bytes:
    """A streamed text over HTTP."""
    return native_events(*said(*words), output=[message_item({"text": "".join(words)})], **fields)
