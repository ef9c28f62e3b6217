"""Calls to hosts of OpenAI's dialect, and streams of theirs."""

import json
from typing import Any

from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.money import PicoUsd
from deeptoken.providers.base import Asked, Piece
from deeptoken.providers.compatible import PROVIDERS
from deeptoken.wire.chat import read as read_chat
from deeptoken.wire.http import HttpRequest

ASKED = Asked(model="acme/one", id="chatcmpl-ours", created=77)
MODEL = Model("acme/one", Price(1, "acme/one", Rates(prompt=PicoUsd(1), completion=PicoUsd(1))))
HI = {"role": "user", "content": "Hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "add"}}


def asked(
    host: str,
    *messages: dict[str, Any],
    model: str = "one-2026",
    base_url: str = "",
    stream: bool = False,
    options: dict[str, Any] | None = None,
    **fields: Any,
) -> HttpRequest:
    body = {"model": "acme/one", "messages": list(messages) or [HI], **fields}
    channel = Channel("c", host, "C", base_url, {}, secret="key-1", options=options or {})
    at = Candidate(channel, MODEL, model)
    return PROVIDERS[host].request(read_chat(json.dumps(body).encode()), at, stream=stream, limit=None)


def sent(host: str, *messages: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The body that goes to this host."""
    body: dict[str, Any] = json.loads(asked(host, *messages, **options).body)
    return body


def turns(host: str, *messages: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = sent(host, *messages, **options)["messages"]
    return told


def streamed(host: str, *chunks: dict[str, Any] | bytes) -> list[Piece]:
    """What comes of a stream of these chunks, whole."""
    stream = PROVIDERS[host].stream(ASKED)
    events = [chunk if isinstance(chunk, bytes) else json.dumps(chunk).encode() for chunk in chunks]
    data = b"".join(b"data: " + event + b"\n\n" for event in [*events, b"[DONE]"])
    return [*stream.feed(data), *stream.end()]


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
    if delta is not None:
        choice["delta"] = delta
    return {"id": "x1", "object": "chat.completion.chunk", "created": 5, "choices": [choice], **fields}
