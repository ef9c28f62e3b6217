"""A call to Anthropic, and what it may answer."""

import json
from typing import Any

from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.money import PicoUsd
from deeptoken.providers.anthropic import Anthropic
from deeptoken.providers.base import Asked
from deeptoken.wire.chat import read
from deeptoken.wire.http import HttpRequest

ASKED = Asked(model="acme/claude", id="chatcmpl-7", created=1_790_000_000)


PNG = "iVBORw0KGgo="


NO_PRICE = Price(id=1, model="acme/claude", rates=Rates(prompt=PicoUsd(0), completion=PicoUsd(0)))


HI = {"role": "user", "content": "Hi"}


PLAIN = "claude-sonnet-4-5"


THOUGHT = {
    "type": "reasoning.text",
    "text": "Two and two.\n",
    "signature": "EqRk+/=ü",
    "format": "anthropic-claude-v1",
    "index": 0,
}


CALL = {"id": "toolu_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1,  "b": 2.0}'}}


def candidate(upstream_model: str = PLAIN, max_output: int | None = None, base_url: str = "") -> Candidate:
    channel = Channel(name="a", provider="anthropic", label="a", base_url=base_url, models={}, secret="sk-x")
    model = Model(id="acme/claude", price=NO_PRICE, max_output=max_output)
    return Candidate(channel=channel, model=model, upstream_model=upstream_model)


def asked(
    *messages: dict[str, Any],
    model: str = PLAIN,
    stream: bool = False,
    limit: int | None = None,
    max_output: int | None = None,
    **fields: Any,
) -> HttpRequest:
    body = {"model": "acme/claude", "messages": list(messages) or [HI], **fields}
    chat = read(json.dumps(body).encode())
    return Anthropic().request(chat, candidate(model, max_output), stream=stream, limit=limit)


def sent(*messages: dict[str, Any], **options: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(asked(*messages, **options).body)
    return body


def turns(*messages: dict[str, Any]) -> Any:
    return sent(*messages)["messages"]


def answer(content: list[dict[str, Any]], **fields: Any) -> bytes:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": PLAIN,
        "content": content,
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }
    return json.dumps(message | fields).encode()


def refusal(kind: str, message: str) -> bytes:
    return json.dumps(
        {"type": "error", "error": {"type": kind, "message": message}, "request_id": "r"}
    ).encode()
