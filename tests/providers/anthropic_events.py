"""Events of Anthropic's streams, written and read."""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import openai.types.chat

from deeptoken.providers.anthropic import Anthropic
from deeptoken.providers.base import Asked, Piece

ASKED = Asked(model="acme/claude", id="chatcmpl-7", created=1_790_000_000)


def events(*data: dict[str, Any]) -> bytes:
    return b"".join(
        b"event: " + event["type"].encode() + b"\ndata: " + json.dumps(event).encode() + b"\n\n"
        for event in data
    )


def started(**usage: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": "msg_1", "type": "message", "usage": usage}}


def begin(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, **part: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": part}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def told(reason: str | None, **usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


END = {"type": "message_stop"}


THINKING_AND_TOOLS = events(
    started(input_tokens=5, output_tokens=1, cache_read_input_tokens=2),
    {"type": "ping"},
    begin(0, type="thinking", thinking="", signature=""),
    delta(0, type="thinking_delta", thinking="Hm… "),
    delta(0, type="thinking_delta", thinking="add."),
    delta(0, type="signature_delta", signature="Eq+/=="),
    stop(0),
    begin(1, type="redacted_thinking", data="Rk9P"),
    stop(1),
    begin(2, type="text", text=""),
    delta(2, type="text_delta", text="Let me "),
    delta(2, type="citations_delta", citation={"type": "char_location"}),
    delta(2, type="text_delta", text="add ü."),
    stop(2),
    begin(3, type="server_tool_use", id="srv", name="web_search", input={}),
    delta(3, type="input_json_delta", partial_json='{"query": "x"}'),
    stop(3),
    begin(4, type="web_search_tool_result", tool_use_id="srv", content=[]),
    stop(4),
    begin(5, type="tool_use", id="toolu_1", name="add", input={}),
    delta(5, type="input_json_delta", partial_json=""),
    delta(5, type="input_json_delta", partial_json='{"a": '),
    delta(5, type="input_json_delta", partial_json="1}"),
    stop(5),
    begin(6, type="tool_use", id="toolu_2", name="now", input={}),
    stop(6),
    begin(7, type="some_new_block", text="x"),
    delta(7, type="some_new_delta", text="x"),
    stop(7),
    {"type": "some_new_event", "index": 9},
    told("tool_use", output_tokens=9, output_tokens_details={"thinking_tokens": 4}),
    END,
)


def read(data: bytes, *cuts: int) -> list[Piece]:
    stream = Anthropic().stream(ASKED)
    edges = [0, *cuts, len(data)]
    pieces: list[Piece] = []
    for left, right in pairwise(edges):
        pieces += stream.feed(data[left:right])
    pieces += stream.end()
    assert stream.done
    return pieces


def deltas(pieces: Iterable[Piece]) -> list[dict[str, Any]]:
    return [json.loads(piece.data)["choices"][0]["delta"] for piece in pieces if piece.data]


def put_together(pieces: Iterable[Piece]) -> dict[str, Any]:
    """What a client has in the end, by OpenAI's rules."""
    whole: dict[str, Any] = {"content": "", "reasoning_content": "", "reasoning_details": {}, "calls": []}
    for piece in pieces:
        if not piece.data:
            continue
        openai.types.chat.ChatCompletionChunk.model_validate_json(piece.data, strict=True)
        choice = json.loads(piece.data)["choices"][0]
        part = choice["delta"]
        whole["content"] += part.get("content", "")
        whole["reasoning_content"] += part.get("reasoning_content", "")
        for detail in part.get("reasoning_details", ()):
            kept = whole["reasoning_details"].setdefault(detail["index"], {"text": "", "signature": ""})
            kept["text"] += detail.get("text", "")
            kept["signature"] += detail.get("signature", "")
        for call in part.get("tool_calls", ()):
            if "id" in call:
                assert call["index"] == len(whole["calls"]), "0-based and contiguous"
                whole["calls"].append([call["id"], call["function"]["name"], ""])
            whole["calls"][call["index"]][2] += call["function"]["arguments"]
        whole["finish"] = choice["finish_reason"]
    return whole
