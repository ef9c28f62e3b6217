"""Events of Converse's streams, written and read."""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import openai.types.chat

from aws_frames import event
from deeptoken.providers.base import Asked, Piece
from deeptoken.providers.bedrock import Bedrock

ASKED = Asked(model="acme/claude", id="chatcmpl-7", created=1_790_000_000)

STARTED = event("messageStart", role="assistant", p="abc")


def begin(index: int, **start: Any) -> bytes:
    return event("contentBlockStart", contentBlockIndex=index, start=start, p="ab")


def delta(index: int, **part: Any) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=index, delta=part, p="abcd")


def stop(index: int) -> bytes:
    return event("contentBlockStop", contentBlockIndex=index)


def stopped(reason: str) -> bytes:
    return event("messageStop", stopReason=reason)


def told(**usage: Any) -> bytes:
    return event("metadata", usage=usage, metrics={"latencyMs": 7})


THINKING_AND_TOOLS = b"".join(
    (
        STARTED,
        delta(0, reasoningContent={"text": "Hm… "}),
        delta(0, reasoningContent={"text": "add."}),
        delta(0, reasoningContent={"signature": "Eq+/=="}),
        stop(0),
        delta(1, reasoningContent={"redactedContent": "Um5iOVA="}),
        stop(1),
        delta(2, text="Let me "),
        delta(2, citation={"title": "x"}),
        delta(2, text="add ü."),
        stop(2),
        begin(3, toolUse={"toolUseId": "srv", "name": "nova_grounding", "type": "server_tool_use"}),
        delta(3, toolUse={"input": '{"query": "x"}'}),
        stop(3),
        begin(4, toolResult={"toolUseId": "srv"}),
        delta(4, toolResult=[{"text": "y"}]),
        stop(4),
        begin(5, toolUse={"toolUseId": "tooluse_1", "name": "add"}),
        delta(5, toolUse={"input": ""}),
        delta(5, toolUse={"input": '{"a": '}),
        delta(5, toolUse={"input": "1}"}),
        stop(5),
        begin(6, toolUse={"toolUseId": "tooluse_2", "name": "now"}),
        stop(6),
        event("someNewEvent", contentBlockIndex=9),
        stopped("tool_use"),
        told(inputTokens=5, outputTokens=9, totalTokens=16, cacheReadInputTokens=2),
    )
)


def read(data: bytes, *cuts: int, asked: Asked = ASKED) -> list[Piece]:
    stream = Bedrock().stream(asked)
    pieces: list[Piece] = []
    for left, right in pairwise([0, *cuts, len(data)]):
        pieces += stream.feed(data[left:right])
    pieces += stream.end()
    assert stream.done
    return pieces


def deltas(pieces: Iterable[Piece]) -> list[dict[str, Any]]:
    return [json.loads(piece.data)["choices"][0]["delta"] for piece in pieces if piece.data]


def put_together(pieces: Iterable[Piece]) -> dict[str, Any]:
    """What a client has in the end, by OpenAI's rules."""
    whole: dict[str, Any] = {"content": "", "reasoning_content": "", "details": {}, "calls": []}
    for piece in pieces:
        if not piece.data:
            continue
        openai.types.chat.ChatCompletionChunk.model_validate_json(piece.data, strict=True)
        choice = json.loads(piece.data)["choices"][0]
        part = choice["delta"]
        whole["content"] += part.get("content", "")
        whole["reasoning_content"] += part.get("reasoning_content", "")
        for detail in part.get("reasoning_details", ()):
            kept = whole["details"].setdefault(detail["index"], {"text": "", "signature": "", "data": ""})
            for name in kept:
                kept[name] += detail.get(name, "")
        for call in part.get("tool_calls", ()):
            if "id" in call:
                assert call["index"] == len(whole["calls"]), "0-based and contiguous"
                whole["calls"].append([call["id"], call["function"]["name"], ""])
            whole["calls"][call["index"]][2] += call["function"]["arguments"]
        whole["finish"] = choice["finish_reason"]
    return whole
