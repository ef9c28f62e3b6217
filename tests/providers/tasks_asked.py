"""Tasks put to a provider, and what it makes of their answers."""

import json
from typing import Any

import msgspec

from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.money import PicoUsd
from deeptoken.providers.base import Asked, Piece, Provider, Reply
from deeptoken.providers.registry import PROVIDERS
from deeptoken.wire import embeddings, images, moderations, rerank, speech
from deeptoken.wire.chat import Chat
from deeptoken.wire.http import HttpRequest

READS = {
    embeddings.NAME: embeddings.read,
    moderations.NAME: moderations.read,
    images.NAME: images.read,
    speech.NAME: speech.read,
    rerank.NAME: rerank.read,
}
LEAST: dict[str, dict[str, Any]] = {
    embeddings.NAME: {"input": ["one", "two"]},
    moderations.NAME: {"input": "one"},
    images.NAME: {"prompt": "a cat"},
    speech.NAME: {"input": "Hello", "voice": "alloy"},
    rerank.NAME: {"query": "who", "documents": ["one", "two"]},
}
BY_TOKENS = Rates(prompt=PicoUsd(1), completion=PicoUsd(1))
BY_CHARACTERS = Rates(prompt=PicoUsd(0), completion=PicoUsd(0), character=PicoUsd(1))


def chat(name: str, **fields: Any) -> Chat:
    return READS[name](json.dumps({"model": "acme/one", **LEAST[name], **fields}).encode())


def request(
    provider: str,
    name: str,
    *,
    model: str = "one-2026",
    base_url: str = "",
    rates: Rates = BY_TOKENS,
    options: dict[str, Any] | None = None,
    **fields: Any,
) -> HttpRequest:
    channel = Channel("c", provider, "C", base_url, {}, secret="key-1", options=options or {})
    at = Candidate(channel, Model("acme/one", Price(1, "acme/one", rates)), model)
    asked = chat(name, **fields)
    return PROVIDERS[provider].request(asked, at, stream=asked.stream, limit=None)


def sent(provider: str, name: str, **fields: Any) -> Any:
    """The body that goes there."""
    return json.loads(request(provider, name, **fields).body)


def asked_for(name: str, *, content_type: str | None = "application/json", **fields: Any) -> Asked:
    return Asked(
        model="acme/one", id="ours", created=77, task=chat(name, **fields).task, content_type=content_type
    )


def replied(provider: str, name: str, answer: Any, **fields: Any) -> Reply:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return PROVIDERS[provider].reply(body, asked_for(name, **fields))


def fields_of(reply: Reply) -> Any:
    """What a caller reads, but for its usage."""
    return json.loads(msgspec.json.encode(reply.fields))


def streamed(
    provider: Provider, name: str, data: bytes, cut: int, *, content_type: str | None, **fields: Any
) -> list[Piece]:
    """The pieces of an answer that comes in parts of so many bytes."""
    stream = provider.stream(asked_for(name, content_type=content_type, **fields))
    pieces: list[Piece] = []
    for at in range(0, len(data), cut):
        pieces += stream.feed(data[at : at + cut])
    return [*pieces, *stream.end()]
