"""A call to Bedrock, and what it may answer."""

import json
from typing import Any

from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.money import PicoUsd
from deeptoken.providers.base import Asked
from deeptoken.providers.bedrock import Bedrock
from deeptoken.wire.chat import read
from deeptoken.wire.http import HttpRequest

ASKED = Asked(model="acme/claude", id="chatcmpl-7", created=1_790_000_000)
PNG = "iVBORw0KGgo="
PDF = "JVBERg=="
NO_PRICE = Price(id=1, model="acme/claude", rates=Rates(prompt=PicoUsd(0), completion=PicoUsd(0)))
HI = {"role": "user", "content": "Hi"}

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS = "global.anthropic.claude-opus-5-5"
OLD = "anthropic.claude-3-haiku-20240307-v1:0"
NOVA = "amazon.nova-pro-v1:0"
NOVA_2 = "global.amazon.nova-2-lite-v1:0"
GPT = "us.openai.gpt-5.6-luna"
OSS = "openai.gpt-oss-120b-1:0"
KIMI = "moonshot.kimi-k2-thinking"
LLAMA = "us.meta.llama3-3-70b-instruct-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"

THOUGHT = {
    "type": "reasoning.text",
    "text": "Two and two.\n",
    "signature": "EqRk+/=ü",
    "format": "anthropic-claude-v1",
    "index": 0,
}
CALL = {
    "id": "tooluse_1",
    "type": "function",
    "function": {"name": "add", "arguments": '{"a": 1,  "b": 2.0}'},
}
ADD = {
    "type": "function",
    "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {}}},
}
ASSISTANT = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "tooluse_1", "content": "3"}


def candidate(
    upstream_model: str = CLAUDE,
    *,
    id: str = "acme/claude",
    max_output: int | None = None,
    base_url: str = "https://bedrock-runtime.us-east-1.amazonaws.com",
    secret: str = "ABSKx=",
    **options: Any,
) -> Candidate:
    channel = Channel(
        name="b",
        provider="bedrock",
        label="b",
        base_url=base_url,
        models={},
        secret=secret,
        options=options,
    )
    return Candidate(channel, Model(id=id, price=NO_PRICE, max_output=max_output), upstream_model)


def asked(
    *messages: dict[str, Any],
    at: Candidate | None = None,
    model: str = CLAUDE,
    stream: bool = False,
    limit: int | None = None,
    **fields: Any,
) -> HttpRequest:
    body = {"model": "acme/claude", "messages": list(messages) or [HI], **fields}
    chat = read(json.dumps(body).encode())
    return Bedrock().request(chat, at or candidate(model), stream=stream, limit=limit)


def sent(*messages: dict[str, Any], **options: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(asked(*messages, **options).body)
    return body


def turns(*messages: dict[str, Any], **options: Any) -> Any:
    """The messages as they are sent, with a tool beside them."""
    return sent(*messages, tools=[ADD], **options)["messages"]


def answer(content: list[dict[str, Any]], **fields: Any) -> bytes:
    told = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
        "metrics": {"latencyMs": 7},
    }
    return json.dumps(told | fields).encode()
