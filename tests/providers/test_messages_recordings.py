"""Recorded answers of real providers, as a Claude client gets them."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from claude_client import accepted, events_of, put_together
from deeptoken.providers.base import Asked
from deeptoken.providers.registry import PROVIDERS
from deeptoken.wire.completion import Assembler
from deeptoken.wire.messages_answer import message
from deeptoken.wire.messages_events import Events
from deeptoken.wire.usage import Usage

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings"
ASKED = Asked(model="acme/one", id="chatcmpl-ours", created=7)
NATIVE = Asked(model="acme/one", id="chatcmpl-ours", created=7, dialect="messages")
ADAPTERS = {"openai": "vllm", "anthropic": "anthropic"}
SHOWN = ("id", "model", "role", "stop_reason", "stop_sequence", "type", "content")


def recorded(*names: str) -> list[Any]:
    """The good answers of these files, one test each; none where there are none."""
    found = []
    for name in names:
        path = RECORDINGS / f"{name}.jsonl"
        for line in path.read_bytes().splitlines() if path.exists() else ():
            row = json.loads(line)
            if row["status"] == 200:
                found.append(pytest.param(row["provider"], row["body"].encode(), id=row["id"]))
    return found


def written(answer: dict[str, Any], usage: Usage | None) -> bytes:
    return msgspec.json.encode(message(answer, usage or Usage()))


def kept(message: Any) -> dict[str, Any]:
    """What is to be the same, streamed or not; what is None need not be there."""
    told = message.to_dict(warnings=False)
    content = [
        {name: value for name, value in block.items() if value is not None} for block in told["content"]
    ]
    return {name: told[name] for name in SHOWN} | {"content": content}


@pytest.mark.parametrize(("provider", "body"), recorded("openai", "anthropic"))
def test_a_recorded_answer_is_a_message_that_the_vendors_library_takes(provider: str, body: bytes) -> None:
    reply = PROVIDERS[ADAPTERS[provider]].reply(body, ASKED)

    told = accepted(written(reply.fields, reply.usage))

    completion = msgspec.json.decode(msgspec.json.encode(reply.fields))
    said = completion["choices"][0]["message"]
    calls = [(call["id"], call["function"]["name"]) for call in said.get("tool_calls") or ()]
    assert [(block.id, block.name) for block in told.content if block.type == "tool_use"] == calls
    texts = [block.text for block in told.content if block.type == "text"]
    assert "".join(texts).strip() == ((said["content"] or "") + (said["refusal"] or "")).strip()
    assert reply.usage is not None
    assert told.usage.output_tokens == reply.usage.completion_tokens


@pytest.mark.parametrize(("provider", "body"), recorded("openai-stream", "anthropic-stream"))
def test_a_recorded_stream_is_in_the_end_what_the_whole_answer_says(provider: str, body: bytes) -> None:
    stream = PROVIDERS[ADAPTERS[provider]].stream(ASKED)
    pieces = [*stream.feed(body), *stream.end()]
    assembler, outlet = Assembler(), Events("acme/one", "msg_ours")
    usage = next((piece.usage for piece in reversed(pieces) if piece.usage), Usage())

    events = b"".join(outlet.chunk(piece.data) for piece in pieces) + outlet.end(usage)
    for piece in pieces:
        assembler.add(piece.data)

    events_of(events)
    assert kept(put_together(events)) == kept(accepted(written(assembler.whole(), usage)))


@pytest.mark.parametrize(("provider", "body"), recorded("anthropic-stream"))
def test_a_recorded_stream_of_the_same_dialect_goes_through(provider: str, body: bytes) -> None:
    stream = PROVIDERS[provider].stream(NATIVE)
    outlet = Events("acme/one", "msg_ours")

    pieces = [*stream.feed(body), *stream.end()]
    events = b"".join(outlet.native(piece.native) for piece in pieces if piece.native) + outlet.end(Usage())

    assert kept(put_together(events)) == kept(put_together(body)) | {"model": "acme/one"}


@pytest.mark.parametrize(("provider", "body"), recorded("anthropic"))
def test_a_recorded_answer_of_the_same_dialect_goes_through(provider: str, body: bytes) -> None:
    reply = PROVIDERS[provider].reply(body, NATIVE)

    assert json.loads(msgspec.json.encode(reply.native)) == json.loads(body) | {"model": "acme/one"}
