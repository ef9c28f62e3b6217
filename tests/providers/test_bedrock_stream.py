"""Bedrock's streams: as chunks of OpenAI's dialect, however the bytes are cut."""

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bedrock_events import (
    ASKED,
    STARTED,
    THINKING_AND_TOOLS,
    begin,
    delta,
    deltas,
    put_together,
    read,
    stop,
    stopped,
    told,
)
from bedrock_scene import GPT, HI, candidate, turns

from deeptoken.providers.base import Asked
from deeptoken.wire.completion import Assembler
from deeptoken.wire.usage import Usage

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings" / "bedrock-stream.jsonl"
CLAUDES = {"format": "anthropic-claude-v1"}


def test_a_stream_becomes_chunks_with_every_delta_at_its_time() -> None:
    pieces = read(THINKING_AND_TOOLS)

    def called(index: int, id: str, name: str) -> dict[str, Any]:
        function = {"name": name, "arguments": ""}
        return {"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]}

    def thought(**detail: str) -> list[dict[str, Any]]:
        return [{"type": "reasoning.text", **detail, **CLAUDES, "index": 0}]

    assert deltas(pieces) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "Hm… ", "reasoning_details": thought(text="Hm… ")},
        {"reasoning_content": "add.", "reasoning_details": thought(text="add.")},
        {"reasoning_details": thought(text="", signature="Eq+/==")},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "Rnb9P", **CLAUDES, "index": 1}]},
        {"content": "Let me "},
        {"content": "add ü."},
        called(0, "tooluse_1", "add"),
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a": '}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
        called(1, "tooluse_2", "now"),
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]


def test_every_chunk_is_of_one_completion_and_the_last_one_finishes() -> None:
    chunks = [json.loads(piece.data) for piece in read(THINKING_AND_TOOLS) if piece.data]

    for chunk in chunks:
        choice = chunk.pop("choices")[0]
        assert chunk == {
            "id": "chatcmpl-7",
            "object": "chat.completion.chunk",
            "created": 1_790_000_000,
            "model": "acme/claude",
        }
        assert (choice["index"], choice["logprobs"]) == (0, None)
        assert choice["finish_reason"] == ("tool_calls" if chunk is chunks[-1] else None)


def test_the_usage_is_told_after_the_finish() -> None:
    pieces = read(THINKING_AND_TOOLS)

    assert [piece.usage for piece in pieces if piece.usage] == [Usage(prompt=5, cached=2, completion=9)]
    assert pieces[-2].finish
    assert json.loads(bytes(pieces[-1].told or b"")) == {
        "prompt_tokens": 7,
        "completion_tokens": 9,
        "total_tokens": 16,
        "prompt_tokens_details": {"cached_tokens": 2},
    }


def test_what_is_generated_commits_and_is_metered() -> None:
    pieces = read(THINKING_AND_TOOLS)

    assert not pieces[0].content, "the role alone commits nothing"
    assert "".join(piece.text for piece in pieces) == 'Hm… add.Let me add ü.{"a": 1}{}'
    assert all(piece.content for piece in pieces if piece.text)
    assert [piece.content for piece in pieces if piece.finish or piece.usage] == [False, False]


def test_bytes_cut_at_any_place_say_the_same() -> None:
    whole = read(THINKING_AND_TOOLS)

    for cut in range(1, len(THINKING_AND_TOOLS)):
        assert read(THINKING_AND_TOOLS, cut) == whole


def test_bytes_that_come_one_by_one_say_the_same() -> None:
    whole = read(THINKING_AND_TOOLS)

    assert read(THINKING_AND_TOOLS, *range(1, len(THINKING_AND_TOOLS))) == whole


def test_a_streamed_turn_goes_back_as_it_came() -> None:
    assembler = Assembler()
    for piece in read(THINKING_AND_TOOLS):
        assembler.add(piece.data)

    said = turns(HI, assembler.whole()["choices"][0]["message"])

    assert said[1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Hm… add.", "signature": "Eq+/=="}}},
        {"reasoningContent": {"redactedContent": "Um5iOVA="}},
        {"text": "Let me add ü."},
        {"toolUse": {"toolUseId": "tooluse_1", "name": "add", "input": {"a": 1}}},
        {"toolUse": {"toolUseId": "tooluse_2", "name": "now", "input": {}}},
    ]


def test_what_was_encrypted_and_came_in_parts_goes_back_whole() -> None:
    parts = [base64.b64encode(part).decode() for part in (b"\x00\xff", b"abcd", b"\x01")]
    stream = b"".join(
        (
            STARTED,
            *(delta(0, reasoningContent={"redactedContent": part}) for part in parts),
            stop(0),
            delta(1, text="So."),
            stopped("end_turn"),
            told(),
        )
    )
    pieces = read(stream, asked=Asked("acme/gpt", "chatcmpl-7", 1))
    details = [detail for part in deltas(pieces) for detail in part.get("reasoning_details", ())]

    said = turns(
        HI,
        {"role": "assistant", "content": "So.", "reasoning_details": details},
        at=candidate(GPT, id="acme/gpt"),
    )

    whole = base64.b64encode(b"\x00\xffabcd\x01").decode()
    assert said[1]["content"] == [{"reasoningContent": {"redactedContent": whole}}, {"text": "So."}]


def test_what_was_encrypted_and_came_at_once_stays_as_it_was_written() -> None:
    stream = STARTED + delta(0, reasoningContent={"redactedContent": "no base64"}) + stop(0)

    pieces = read(stream + stopped("end_turn") + told(), asked=Asked("acme/gpt", "chatcmpl-7", 1))

    (detail,) = deltas(pieces)[1]["reasoning_details"]
    assert (detail["data"], detail["format"]) == ("no base64", "bedrock-converse-v1")


def test_thinking_that_is_not_shown_still_hands_over_its_signature() -> None:
    pieces = read(
        STARTED + delta(0, reasoningContent={"signature": "s"}) + stop(0) + stopped("end_turn") + told()
    )

    detail = {"type": "reasoning.text", "text": "", "signature": "s", **CLAUDES, "index": 0}
    assert deltas(pieces)[1] == {"reasoning_details": [detail]}
    assert pieces[1].content, "the answer has begun"


def test_a_stream_without_its_first_event_has_a_role() -> None:
    pieces = read(delta(0, text="Hi") + stopped("end_turn") + told())

    assert deltas(pieces) == [{"role": "assistant", "content": ""}, {"content": "Hi"}, {}]


def test_a_call_whose_end_does_not_come_has_arguments() -> None:
    pieces = read(
        STARTED
        + begin(0, toolUse={"toolUseId": "a", "name": "now"})
        + begin(1, toolUse={"name": "then"})
        + delta(1, toolUse={"input": '{"b": 2}'})
        + stopped("tool_use")
        + told()
    )

    assert put_together(pieces)["calls"] == [
        ["a", "now", "{}"],
        ["call_chatcmpl-7_1", "then", '{"b": 2}'],
    ]


def test_usage_that_nobody_told_is_none_and_a_told_zero_is_zero() -> None:
    silent = read(STARTED + stopped("end_turn") + told())
    zero = read(STARTED + stopped("end_turn") + told(inputTokens=0, outputTokens=0))

    assert [piece.usage for piece in silent if piece.usage] == []
    assert [piece.usage for piece in zero if piece.told] == [Usage()]


def recorded() -> list[bytes]:
    if not RECORDINGS.exists():
        return []
    rows = [json.loads(line) for line in RECORDINGS.read_bytes().splitlines()]
    return [base64.b64decode(row["body_base64"]) for row in rows if row["status"] == 200]


def events(data: bytes) -> Iterator[dict[str, Any]]:
    """The payloads of a stream: what stands behind its headers."""
    while data:
        total, headers = struct.unpack_from(">II", data)
        yield json.loads(data[12 + headers : total - 4])
        data = data[total:]


def known(data: bytes) -> dict[str, Any]:
    """What a stream says, block by block."""
    whole: dict[str, Any] = {"texts": {}, "thoughts": {}, "encrypted": {}, "calls": {}}
    for event in events(data):
        index, part = event.get("contentBlockIndex", 0), event.get("delta", {})
        thought = part.get("reasoningContent", {})
        for kind, said in (("texts", part.get("text")), ("encrypted", thought.get("redactedContent"))):
            if said:
                whole[kind][index] = whole[kind].get(index, "") + said
        if thought and "redactedContent" not in thought:
            kept = whole["thoughts"].setdefault(index, {"text": "", "signature": ""})
            for name, said in thought.items():
                kept[name] += said
        if call := event.get("start", {}).get("toolUse"):
            whole["calls"][index] = [call["toolUseId"], call["name"], ""]
        if "toolUse" in part:
            whole["calls"][index][2] += part["toolUse"]["input"]
        whole |= {name: event[name] for name in ("stopReason", "usage") if name in event}
    return whole


def test_recorded_streams_cut_anywhere_say_what_bedrock_wrote() -> None:
    finishes = {"end_turn": "stop", "tool_use": "tool_calls", "guardrail_intervened": "content_filter"}
    for data in recorded():
        said = known(data)

        for size in (1, 7, 64, 1000):
            assert read(data, *range(size, len(data), size)) == read(data)
        pieces = read(data)

        whole = put_together(pieces)
        assert whole["content"] == "".join(said["texts"].values())
        assert whole["reasoning_content"] == "".join(kept["text"] for kept in said["thoughts"].values())
        details = whole["details"].values()
        assert [(kept["text"], kept["signature"]) for kept in details if not kept["data"]] == [
            (kept["text"], kept["signature"]) for kept in said["thoughts"].values()
        ]
        assert [kept["data"] for kept in details if kept["data"]] == [
            base64.b64decode(data).decode() for data in said["encrypted"].values()
        ]
        assert [(id, name, json.loads(arguments)) for id, name, arguments in whole["calls"]] == [
            (id, name, json.loads(arguments or "{}")) for id, name, arguments in said["calls"].values()
        ]
        assert whole["finish"] == finishes[said["stopReason"]]
        usage = pieces[-1].usage
        assert usage is not None
        assert (usage.prompt, usage.completion) == (
            said["usage"]["inputTokens"],
            said["usage"]["outputTokens"],
        )
        assert usage.prompt_tokens + usage.completion_tokens == said["usage"]["totalTokens"]


def test_the_id_is_ours_since_bedrock_tells_its_own_in_a_header_alone() -> None:
    pieces = read(THINKING_AND_TOOLS)

    assert {json.loads(piece.data)["id"] for piece in pieces if piece.data} == {ASKED.id}
