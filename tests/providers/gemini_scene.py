"""A call to Gemini, and what it may answer."""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import openai.types.chat

from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.money import PicoUsd
from deeptoken.providers.base import Asked, Piece, Provider
from deeptoken.providers.gemini import Gemini
from deeptoken.wire.chat import read
from deeptoken.wire.completion import Assembler
from deeptoken.wire.http import HttpRequest

ASKED = Asked(model="acme/gem", id="chatcmpl-7", created=1_790_000_000)
NO_PRICE = Price(id=1, model="acme/gem", rates=Rates(prompt=PicoUsd(0), completion=PicoUsd(0)))
HI = {"role": "user", "content": "Hi"}
PLAIN = "gemini-3.5-flash"
PNG = "iVBORw0KGgo="
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1,  "b": 2.0}'}}
SIGNED = {"type": "reasoning.encrypted", "data": "Ci/+=", "format": "google-gemini-v1", "index": 0}
"""A signature; of a text, or with `id` of a call."""
NOW = {"type": "function", "function": {"name": "now"}}


def candidate(upstream_model: str = PLAIN, base_url: str = "", **channel: Any) -> Candidate:
    told = {"secret": "AIza-x", "provider": "gemini", **channel}
    where = Channel(name="g", label="g", base_url=base_url, models={}, **told)
    return Candidate(channel=where, model=Model(id="acme/gem", price=NO_PRICE), upstream_model=upstream_model)


def asked(
    *messages: dict[str, Any],
    model: str = PLAIN,
    stream: bool = False,
    limit: int | None = None,
    provider: Provider | None = None,
    channel: dict[str, Any] | None = None,
    **fields: Any,
) -> HttpRequest:
    body = {"model": "acme/gem", "messages": list(messages) or [HI], **fields}
    at = candidate(model, **(channel or {}))
    return (provider or Gemini()).request(read(json.dumps(body).encode()), at, stream=stream, limit=limit)


def sent(*messages: dict[str, Any], **options: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(asked(*messages, **options).body)
    return body


def contents(*messages: dict[str, Any], **options: Any) -> Any:
    return sent(*messages, **options)["contents"]


def parts(*content: dict[str, Any], **options: Any) -> Any:
    """The parts that a user message of these becomes."""
    return contents({"role": "user", "content": list(content)}, **options)[0]["parts"]


def config(**options: Any) -> Any:
    return sent(HI, **options).get("generationConfig", {})


def said(*told: dict[str, Any], finish: str | None = "STOP", **fields: Any) -> dict[str, Any]:
    """An answer, or a piece of one."""
    content = {"role": "model", "parts": list(told)}
    chosen: dict[str, Any] = {"content": content, **({"finishReason": finish} if finish else {})}
    counts = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
    return {"candidates": [chosen], "usageMetadata": counts, "responseId": "resp-1", **fields}


def events(*pieces: dict[str, Any]) -> bytes:
    return b"".join(
        b"data: " + json.dumps(piece, ensure_ascii=False).encode() + b"\r\n\r\n" for piece in pieces
    )


def array(*pieces: dict[str, Any]) -> bytes:
    return "[{}\n]".format(
        "\n,\r\n".join(json.dumps(one, indent=2, ensure_ascii=False) for one in pieces)
    ).encode()


def streamed(data: bytes, *cuts: int, provider: Provider | None = None) -> list[Piece]:
    """The pieces of a stream whose bytes are cut at these places."""
    stream = (provider or Gemini()).stream(ASKED)
    pieces: list[Piece] = []
    for left, right in pairwise((0, *cuts, len(data))):
        pieces += stream.feed(data[left:right])
    pieces += stream.end()
    assert stream.done
    return pieces


def choices(pieces: Iterable[Piece]) -> list[dict[str, Any]]:
    """What a client has in the end, by OpenAI's rules; each chunk is one by its own schema."""
    whole = Assembler()
    calls: dict[tuple[int, int], int] = {}
    for piece in pieces:
        if not piece.data:
            continue
        openai.types.chat.ChatCompletionChunk.model_validate_json(piece.data, strict=True)
        for choice in json.loads(piece.data)["choices"]:
            for call in choice["delta"].get("tool_calls", ()):
                place = (choice["index"], call["index"])
                assert ("id" in call) == (place not in calls), "id and name once"
                calls[place] = calls.get(place, 0) + 1
        whole.add(piece.data)
    told: list[dict[str, Any]] = whole.whole()["choices"]
    return told


def deltas(pieces: Iterable[Piece]) -> list[dict[str, Any]]:
    return [json.loads(piece.data)["choices"][0]["delta"] for piece in pieces if piece.data]


def refusal(status: str, message: str, *details: dict[str, Any]) -> bytes:
    return json.dumps(
        {"error": {"code": 400, "message": message, "status": status, "details": list(details)}}
    ).encode()
