"""What Anthropic's whole answers mean."""

import json
from pathlib import Path
from typing import Any

import anthropic.types
import msgspec
import openai.types.chat
import pytest
from anthropic_scene import ASKED, HI, answer, turns

from deeptoken.providers.anthropic import Anthropic
from deeptoken.providers.base import Malformed
from deeptoken.wire.usage import Usage

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings" / "anthropic.jsonl"


def test_an_answer_is_a_completion_to_the_letter() -> None:
    reply = Anthropic().reply(
        answer([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]), ASKED
    )

    assert reply.fields == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "acme/claude",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
    }
    assert (reply.text, reply.upstream_id) == ("Hello", "msg_1")
    assert reply.usage == Usage(prompt=3, completion=2)
    assert json.loads(bytes(reply.told or b"")) == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
    }
    openai.types.chat.ChatCompletion.model_validate(reply.fields, strict=True)


def test_tool_calls_and_thinking_come_in_openais_shape() -> None:
    reply = Anthropic().reply(
        answer(
            [
                {"type": "thinking", "thinking": "Hm. ", "signature": "s1"},
                {"type": "redacted_thinking", "data": "r"},
                {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}},
                {"type": "web_search_tool_result", "tool_use_id": "srv", "content": []},
                {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}},
                {"type": "thinking", "thinking": "And.", "signature": "s2"},
                {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
            ],
            stop_reason="tool_use",
        ),
        ASKED,
    )

    message = reply.fields["choices"][0]["message"]
    ours = {"format": "anthropic-claude-v1"}
    assert message == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "reasoning_content": "Hm. And.",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "Hm. ", "signature": "s1", **ours, "index": 0},
            {"type": "reasoning.encrypted", "data": "r", **ours, "index": 1},
            {"type": "reasoning.text", "text": "And.", "signature": "s2", **ours, "index": 3},
        ],
        "tool_calls": [
            {"id": "toolu_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
            {"id": "toolu_2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
        ],
    }
    assert reply.fields["choices"][0]["finish_reason"] == "tool_calls"
    assert reply.text == 'Hm. And.{"a": 1}{}'
    openai.types.chat.ChatCompletion.model_validate(reply.fields, strict=True)


def test_a_turn_with_thinking_and_tools_survives_the_round_trip() -> None:
    content: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "Zwei und zwei…\u2028\n", "signature": "Eq+/=="},
        {"type": "text", "text": "Let me see."},
        {"type": "thinking", "thinking": "", "signature": "hidden"},
        {"type": "redacted_thinking", "data": "Rk9P"},
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1.0, "ü": [None]}},
    ]
    reply = Anthropic().reply(answer(content, stop_reason="tool_use"), ASKED)

    said = turns(
        HI,
        reply.fields["choices"][0]["message"],
        {"role": "tool", "tool_call_id": "toolu_1", "content": "3"},
    )

    assert said[1]["content"] == content


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
        (None, "stop"),
    ],
)
def test_each_stop_reason_has_its_finish(reason: str | None, finish: str) -> None:
    reply = Anthropic().reply(answer([], stop_reason=reason), ASKED)

    assert reply.fields["choices"][0]["finish_reason"] == finish
    assert reply.fields["choices"][0]["message"]["content"] == ""


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"input_tokens": 1, "output_tokens": 0}, Usage(prompt=1)),
        (
            {
                "input_tokens": 1,
                "output_tokens": 2,
                "cache_read_input_tokens": 3,
                "cache_creation_input_tokens": 4,
            },
            Usage(prompt=1, cached=3, cache_write=4, completion=2),
        ),
        (
            {
                "input_tokens": 1,
                "output_tokens": 2,
                "cache_creation_input_tokens": 9,
                "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 5},
            },
            Usage(prompt=1, cache_write=4, cache_write_1h=5, completion=2),
        ),
        (
            {
                "input_tokens": 1,
                "output_tokens": 2,
                "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 5},
            },
            Usage(prompt=1, cache_write=4, cache_write_1h=5, completion=2),
        ),
        (
            {"input_tokens": 1, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}},
            Usage(prompt=1, completion=5, reasoning=4),
        ),
        (
            {
                "input_tokens": 23,
                "output_tokens": 1,
                "iterations": [
                    {"type": "compaction", "input_tokens": 180, "output_tokens": 35},
                    {"type": "message", "input_tokens": 23, "output_tokens": 1},
                ],
            },
            Usage(prompt=203, completion=36),
        ),
        ({"output_tokens": 2}, None),
        ({"input_tokens": 2}, None),
        ({"input_tokens": -2, "output_tokens": 2}, None),
        ({"input_tokens": "2", "output_tokens": 2}, None),
        (None, None),
    ],
)
def test_usage_is_split_into_disjoint_classes(counts: object, usage: Usage | None) -> None:
    reply = Anthropic().reply(answer([], usage=counts), ASKED)

    assert reply.usage == usage
    assert (reply.told is None) is (usage is None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Bad gateway</body></html>",
        b'{"type": "message", "content": [{"ty',
        b"[]",
        b'{"id": "x"}',
        b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}',
        b"\xff\xfe",
    ],
)
def test_a_body_that_is_no_answer_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        Anthropic().reply(body, ASKED)


def recorded() -> list[dict[str, Any]]:
    if not RECORDINGS.exists():
        return []
    rows = (msgspec.json.decode(line) for line in RECORDINGS.read_bytes().splitlines())
    return [row for row in rows if row["status"] == 200]


def test_recorded_answers_say_what_the_vendors_own_types_read() -> None:
    for row in recorded():
        raw = json.loads(row["body"])
        known = anthropic.types.Message.construct(**raw)

        reply = Anthropic().reply(row["body"].encode(), ASKED)

        read_back = openai.types.chat.ChatCompletion.model_validate(reply.fields, strict=True)
        message = read_back.choices[0].message
        texts = [block.text for block in known.content if block.type == "text"]
        calls = [(block.id, block.name, block.input) for block in known.content if block.type == "tool_use"]
        assert (message.content or "") == "".join(texts)
        made = message.tool_calls or []
        assert all(call.type == "function" for call in made)
        assert [
            (call.id, call.function.name, json.loads(call.function.arguments))
            for call in made
            if call.type == "function"
        ] == calls
        assert read_back.choices[0].finish_reason == (
            "tool_calls" if known.stop_reason == "tool_use" else "stop"
        )
        usage, compacted = known.usage, 0
        for iteration in raw["usage"].get("iterations") or []:
            if iteration["type"] == "compaction":
                compacted += iteration["input_tokens"] + iteration["cache_creation_input_tokens"]
        assert reply.usage is not None
        assert reply.usage.prompt_tokens == compacted + (
            usage.input_tokens
            + (usage.cache_read_input_tokens or 0)
            + (usage.cache_creation_input_tokens or 0)
        )
        if not compacted:
            assert reply.usage.completion_tokens == usage.output_tokens
