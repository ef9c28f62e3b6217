"""What providers really answered, told in the dialects of Responses and completions."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pydantic
import pytest
from openai.types import Completion
from openai.types.responses import Response, ResponseStreamEvent

from deeptoken.providers.base import Asked, Malformed, Piece
from deeptoken.providers.registry import PROVIDERS
from deeptoken.wire import completions
from deeptoken.wire.completion import Assembler
from deeptoken.wire.responses import read
from deeptoken.wire.responses_answer import End, Facts, facts, response
from deeptoken.wire.responses_events import Events
from deeptoken.wire.sse import Reader
from deeptoken.wire.usage import Usage

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings"
ASKED = Asked(model="acme/one", id="chatcmpl-ours", created=77)
END = End(usage=Usage(prompt=1, completion=1), completed_at=9)
EVENT: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(ResponseStreamEvent)

encode, decode = msgspec.json.encode, msgspec.json.decode


def recorded(name: str, provider: str) -> list[Any]:
    """The good recordings of one file, one test each; none where there are none."""
    path = RECORDINGS / f"{name}.jsonl"
    rows = [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    return [
        pytest.param(provider, row["body"].encode(), id=row["id"]) for row in rows if row["status"] == 200
    ]


def about() -> Facts:
    chat = read(b'{"model":"acme/one","input":"Hi"}')
    return facts(chat, id="resp_7", created=77, model="acme/one")


def said(message: dict[str, Any], response: dict[str, Any]) -> None:
    """The Response says what the chat's message does."""
    texts: dict[str, str] = {"output_text": "", "refusal": "", "reasoning_text": ""}
    calls = []
    for item in response["output"]:
        for part in item.get("content", ()):
            texts[part["type"]] += part.get("text", part.get("refusal"))
        if item["type"] == "function_call":
            calls.append((item["call_id"], item["name"], item["arguments"]))
    assert texts["output_text"] == (message["content"] or "")
    assert texts["refusal"] == (message["refusal"] or "")
    assert texts["reasoning_text"] == (message.get("reasoning_content") or "")
    told = [(call["id"], call["function"]) for call in message.get("tool_calls") or ()]
    assert calls == [(id, function["name"], function["arguments"]) for id, function in told]


@pytest.mark.parametrize(
    ("provider", "body"), recorded("openai-stream", "vllm") + recorded("anthropic-stream", "anthropic")
)
def test_a_recorded_stream_is_a_stream_of_responses_and_of_text(provider: str, body: bytes) -> None:
    stream = PROVIDERS[provider].stream(ASKED)
    pieces: list[Piece] = [*stream.feed(body), *stream.end()]
    whole, events = Assembler(), Events(about())
    texts = completions.Texts(completions.read(b'{"model":"acme/one","prompt":"Hi"}'))

    told = [events.chunk(piece.data) for piece in pieces if piece.data]
    lines = [texts.chunk(piece.data) for piece in pieces if piece.data]

    for piece in pieces:
        whole.add(piece.data)
    reader = Reader()
    found = [decode(event.data) for event in reader.feed(b"".join([*told, events.end(END)]))]
    for event in found:
        EVENT.validate_python(event)
    message = whole.whole()["choices"][0]["message"]
    said(message, found[-1]["response"])
    text = "".join(decode(line)["choices"][0]["text"] for line in lines if line and decode(line)["choices"])
    assert text == (message["content"] or message["refusal"] or "")


@pytest.mark.parametrize(
    ("provider", "body"), recorded("openai", "vllm") + recorded("anthropic", "anthropic")
)
def test_a_recorded_answer_is_a_response_and_a_text(provider: str, body: bytes) -> None:
    try:
        reply = PROVIDERS[provider].reply(body, ASKED)
    except Malformed:
        return
    chat = completions.read(b'{"model":"acme/one","prompt":"Hi"}')

    made = decode(encode(response(reply.fields, about(), END)))
    text = decode(encode(completions.Texts(chat).whole(reply.fields)))

    Response.model_validate(made)
    Completion.model_validate(text)
    message = decode(encode(reply.fields))["choices"][0]["message"]
    said({"refusal": None, **message}, made)
    assert text["choices"][0]["text"] == (message["content"] or message.get("refusal") or "")
