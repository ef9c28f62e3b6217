"""Anthropic's streams: as chunks of OpenAI's dialect, however the bytes are cut."""

import json
from pathlib import Path
from typing import Any

import anthropic
import anthropic.types
import httpx2
from anthropic_events import (
    END,
    THINKING_AND_TOOLS,
    begin,
    delta,
    deltas,
    events,
    put_together,
    read,
    started,
    stop,
    told,
)

from deeptoken.providers.anthropic_messages import turns
from deeptoken.wire.chat import read as read_chat
from deeptoken.wire.usage import Usage

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings" / "anthropic-stream.jsonl"


def test_a_stream_becomes_chunks_with_every_delta_at_its_time() -> None:
    pieces = read(THINKING_AND_TOOLS)

    ours = {"format": "anthropic-claude-v1"}
    assert deltas(pieces) == [
        {"role": "assistant", "content": ""},
        {
            "reasoning_content": "Hm… ",
            "reasoning_details": [{"type": "reasoning.text", "text": "Hm… ", **ours, "index": 0}],
        },
        {
            "reasoning_content": "add.",
            "reasoning_details": [{"type": "reasoning.text", "text": "add.", **ours, "index": 0}],
        },
        {
            "reasoning_details": [
                {"type": "reasoning.text", "text": "", "signature": "Eq+/==", **ours, "index": 0}
            ]
        },
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "Rk9P", **ours, "index": 1}]},
        {"content": "Let me "},
        {"content": "add ü."},
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "toolu_1",
                    "type": "function",
                    "function": {"name": "add", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a": '}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
        {
            "tool_calls": [
                {
                    "index": 1,
                    "id": "toolu_2",
                    "type": "function",
                    "function": {"name": "now", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]


def test_every_chunk_is_of_one_completion_and_the_last_one_finishes() -> None:
    chunks = [json.loads(piece.data) for piece in read(THINKING_AND_TOOLS) if piece.data]

    for chunk in chunks:
        choice = chunk.pop("choices")[0]
        assert chunk == {
            "id": "msg_1",
            "object": "chat.completion.chunk",
            "created": 1_790_000_000,
            "model": "acme/claude",
        }
        assert (choice["index"], choice["logprobs"]) == (0, None)
        assert choice["finish_reason"] == ("tool_calls" if chunk is chunks[-1] else None)


def test_the_usage_so_far_is_told_at_the_start_and_after_the_finish() -> None:
    pieces = read(THINKING_AND_TOOLS)

    counted = [piece for piece in pieces if piece.usage]
    assert [piece.usage for piece in counted] == [
        Usage(prompt=5, cached=2, completion=1),
        Usage(prompt=5, cached=2, completion=5, reasoning=4),
    ]
    assert pieces[-2].finish
    assert json.loads(bytes(pieces[-1].told or b"")) == {
        "prompt_tokens": 7,
        "completion_tokens": 9,
        "total_tokens": 16,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }


def test_what_is_generated_commits_and_is_metered() -> None:
    pieces = read(THINKING_AND_TOOLS)

    assert not pieces[0].content, "the role alone commits nothing"
    assert "".join(piece.text for piece in pieces) == 'Hm… add.Let me add ü.{"a": 1}{}'
    assert all(piece.content for piece in pieces if piece.text)
    assert [piece.content for piece in pieces if piece.finish or piece.usage] == [False, False, False]


def test_bytes_cut_at_any_place_say_the_same() -> None:
    whole = read(THINKING_AND_TOOLS)

    for cut in range(1, len(THINKING_AND_TOOLS)):
        assert read(THINKING_AND_TOOLS, cut) == whole


def test_bytes_that_come_one_by_one_say_the_same() -> None:
    whole = read(THINKING_AND_TOOLS)

    assert read(THINKING_AND_TOOLS, *range(1, len(THINKING_AND_TOOLS))) == whole


def test_a_streamed_turn_goes_back_as_it_came() -> None:
    parts = deltas(read(THINKING_AND_TOOLS))
    details = [detail for part in parts for detail in part.get("reasoning_details", ())]
    body = {
        "model": "m",
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Let me add ü.", "reasoning_details": details},
        ],
    }

    messages = read_chat(json.dumps(body).encode()).request.messages

    assert turns(messages).messages[1]["content"] == [
        {"type": "thinking", "thinking": "Hm… add.", "signature": "Eq+/=="},
        {"type": "redacted_thinking", "data": "Rk9P"},
        {"type": "text", "text": "Let me add ü."},
    ]


def test_thinking_that_is_not_shown_still_hands_over_its_signature() -> None:
    pieces = read(
        events(
            started(input_tokens=1, output_tokens=1),
            begin(0, type="thinking", thinking="", signature=""),
            delta(0, type="signature_delta", signature="s"),
            stop(0),
            told("end_turn", output_tokens=1),
            END,
        )
    )

    detail = {
        "type": "reasoning.text",
        "text": "",
        "signature": "s",
        "format": "anthropic-claude-v1",
        "index": 0,
    }
    assert deltas(pieces)[1] == {"reasoning_details": [detail]}
    assert pieces[2].content, "the answer has begun"


def test_a_block_that_begins_with_its_content_loses_none() -> None:
    pieces = read(
        events(
            started(input_tokens=1, output_tokens=1),
            begin(0, type="thinking", thinking="Hm.", signature="s"),
            stop(0),
            begin(1, type="text", text="So:"),
            stop(1),
            begin(2, type="tool_use", id="t", name="now", input={"a": 1}),
            stop(2),
            told("tool_use", output_tokens=1),
            END,
        )
    )

    whole = put_together(pieces)
    assert (whole["content"], whole["reasoning_content"]) == ("So:", "Hm.")
    assert whole["calls"] == [["t", "now", '{"a": 1}']]


def test_counts_are_cumulative_and_one_that_is_missing_has_not_changed() -> None:
    written = {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}
    pieces = read(
        events(
            started(input_tokens=1, output_tokens=1, cache_creation_input_tokens=7, cache_creation=written),
            told(None, output_tokens=2),
            told("end_turn", output_tokens=3, input_tokens=11, cache_creation_input_tokens=9),
            END,
        )
    )

    assert [piece.usage for piece in pieces if piece.usage] == [
        Usage(prompt=1, cache_write=3, cache_write_1h=4, completion=1),
        Usage(prompt=1, cache_write=3, cache_write_1h=4, completion=2),
        Usage(prompt=11, cache_write=5, cache_write_1h=4, completion=3),
    ]


def test_usage_that_nobody_told_is_none_and_a_told_zero_is_zero() -> None:
    silent = read(events({"type": "message_start", "message": {"id": "m"}}, told("end_turn"), END))
    zero = read(events(started(input_tokens=0, output_tokens=0), told("end_turn"), END))

    assert [piece.usage for piece in silent if piece.usage] == []
    assert [piece.usage for piece in zero if piece.told] == [Usage(), Usage()]


def read_by_the_vendor(body: bytes) -> anthropic.types.Message:
    """What the vendor's own library makes of the same bytes."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    with (
        httpx2.Client(transport=httpx2.MockTransport(answer)) as door,
        anthropic.Anthropic(api_key="x", http_client=door) as client,
        client.messages.stream(
            model="m", max_tokens=1, messages=[{"role": "user", "content": "Hi"}]
        ) as stream,
    ):
        return stream.get_final_message()


def recorded() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDINGS.read_bytes().splitlines()] if RECORDINGS.exists() else []


def test_recorded_streams_cut_anywhere_say_what_the_vendors_library_reads() -> None:
    for row in recorded():
        data = row["body"].encode()
        known = read_by_the_vendor(data)

        for size in (1, 7, 64, 1000):
            assert read(data, *range(size, len(data), size)) == read(data)
        pieces = read(data)

        whole = put_together(pieces)
        assert whole["content"] == "".join(block.text for block in known.content if block.type == "text")
        thoughts = [block for block in known.content if block.type == "thinking"]
        assert [(kept["text"], kept["signature"]) for kept in whole["reasoning_details"].values()] == [
            (block.thinking, block.signature) for block in thoughts
        ]
        assert [(id, name, json.loads(arguments)) for id, name, arguments in whole["calls"]] == [
            (block.id, block.name, block.input) for block in known.content if block.type == "tool_use"
        ]
        assert whole["finish"] == ("tool_calls" if known.stop_reason == "tool_use" else "stop")
        usage = next(piece.usage for piece in reversed(pieces) if piece.usage)
        assert (usage.prompt, usage.completion_tokens) == (
            known.usage.input_tokens,
            known.usage.output_tokens,
        )
        assert usage.cached == (known.usage.cache_read_input_tokens or 0)
        assert usage.cache_write + usage.cache_write_1h == (known.usage.cache_creation_input_tokens or 0)
