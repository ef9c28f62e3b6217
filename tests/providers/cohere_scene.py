"""A call to Cohere, and what it may answer."""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.money import PicoUsd
from deeptoken.providers.base import Asked, Piece
from deeptoken.providers.cohere import Cohere
from deeptoken.wire.chat import read as read_chat
from deeptoken.wire.http import HttpRequest

ASKED = Asked(model="acme/command", id="chatcmpl-7", created=1_790_000_000)
HI = {"role": "user", "content": "Hi"}
PLAIN = "command-a-plus-05-2026"
NO_PRICE = Price(id=1, model="acme/command", rates=Rates(prompt=PicoUsd(0), completion=PicoUsd(0)))
CALL = {"id": "add_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1,  "b": 2.0}'}}
COUNTS = {
    "billed_units": {"input_tokens": 8, "output_tokens": 2},
    "tokens": {"input_tokens": 208, "output_tokens": 4},
}


def thought(text: str, index: int = 0) -> dict[str, Any]:
    return {"type": "reasoning.text", "text": text, "format": "cohere-thinking-v2", "index": index}


def plan(text: str, index: int = 0) -> dict[str, Any]:
    return {"type": "reasoning.text", "text": text, "format": "cohere-tool-plan-v2", "index": index}


def candidate(upstream_model: str = PLAIN, base_url: str = "") -> Candidate:
    channel = Channel(name="c", provider="cohere", label="c", base_url=base_url, models={}, secret="co-x")
    return Candidate(channel=channel, model=Model("acme/command", NO_PRICE), upstream_model=upstream_model)


def asked(
    *messages: dict[str, Any],
    model: str = PLAIN,
    base_url: str = "",
    stream: bool = False,
    limit: int | None = None,
    **fields: Any,
) -> HttpRequest:
    body = {"model": "acme/command", "messages": list(messages) or [HI], **fields}
    chat = read_chat(json.dumps(body).encode())
    return Cohere().request(chat, candidate(model, base_url), stream=stream, limit=limit)


def sent(*messages: dict[str, Any], **options: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(asked(*messages, **options).body)
    return body


def turns(*messages: dict[str, Any]) -> Any:
    return sent(*messages)["messages"]


def answer(message: dict[str, Any], **fields: Any) -> bytes:
    whole = {
        "id": "c-1",
        "message": {"role": "assistant", **message},
        "finish_reason": "COMPLETE",
        "usage": COUNTS,
    }
    return json.dumps(whole | fields).encode()


def events(*data: dict[str, Any]) -> bytes:
    written = (
        b"event: " + event["type"].encode() + b"\ndata: " + json.dumps(event).encode() + b"\n\n"
        for event in data
    )
    return b"".join(written) + b"data: [DONE]\n\n"


def event(kind: str, index: int | None = None, **message: Any) -> dict[str, Any]:
    """An event that changes the message."""
    told: dict[str, Any] = {"type": kind}
    if index is not None:
        told["index"] = index
    if message:
        told["delta"] = {"message": message}
    return told


def called(index: int, id: str, name: str, *arguments: str) -> list[dict[str, Any]]:
    """A tool call, as it is streamed."""
    function = {"name": name, "arguments": ""}
    begun = {"id": id, "type": "function", "function": function}
    more = ({"function": {"arguments": part}} for part in arguments)
    return [
        event("tool-call-start", index, tool_calls=begun),
        *(event("tool-call-delta", index, tool_calls=part) for part in more),
        event("tool-call-end", index),
    ]


def ended(reason: str | None, **fields: Any) -> dict[str, Any]:
    return {"type": "message-end", "delta": {"finish_reason": reason, "usage": COUNTS, **fields}}


START = {
    "id": "c-1",
    "type": "message-start",
    "delta": {
        "message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    },
}


def read(stream: bytes, cuts: Iterable[int] = ()) -> list[Piece]:
    """What comes of a stream that is cut at these places."""
    reader = Cohere().stream(ASKED)
    places = sorted({0, len(stream), *cuts})
    pieces = [piece for start, end in pairwise(places) for piece in reader.feed(stream[start:end])]
    return pieces + list(reader.end())


def deltas(pieces: list[Piece]) -> list[dict[str, Any]]:
    return [json.loads(piece.data)["choices"][0]["delta"] for piece in pieces if piece.data]
