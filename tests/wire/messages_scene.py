"""Chunks of a chat's answer, and what a Claude client gets for them."""

import json
from typing import Any

import msgspec

from deeptoken.wire.completion import Assembler
from deeptoken.wire.messages_answer import message
from deeptoken.wire.messages_events import Events
from deeptoken.wire.usage import Usage

USAGE = Usage(prompt=5, cached=3, cache_write=2, cache_write_1h=1, completion=7, reasoning=4)


def chunk(*, finish: str | None = None, id: str = "chatcmpl-1", **delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    known = {"id": id, "object": "chat.completion.chunk", "created": 1, "model": "acme/m"}
    return json.dumps(known | {"choices": [choice]}).encode()


def call(index: int, arguments: str = "", **more: Any) -> dict[str, Any]:
    """A delta of a tool call; its first one has `id` and `name`."""
    function = {"arguments": arguments} | ({"name": more["name"]} if "name" in more else {})
    first = {"id": more["id"], "type": "function"} if "id" in more else {}
    return {"index": index, **first, "function": function}


def streamed(*chunks: bytes, usage: Usage = USAGE, dry: str | None = None) -> bytes:
    events = Events("acme/m", "msg_ours")
    return b"".join(events.chunk(data) for data in chunks) + events.end(usage, dry)


def whole(*chunks: bytes, usage: Usage = USAGE) -> dict[str, Any]:
    """The same answer as if it had not been streamed, decoded."""
    assembler = Assembler()
    for data in chunks:
        assembler.add(data)
    told: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(message(assembler.whole(), usage)))
    return told
