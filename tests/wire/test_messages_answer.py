"""A chat's whole answer as a Message."""

import json
from typing import Any

import msgspec
import pytest

from claude_client import accepted
from deeptoken.wire.messages_answer import input_of, message
from deeptoken.wire.usage import Usage

SIGNED = {"type": "reasoning.text", "signature": "Eq+/=", "format": "anthropic-claude-v1"}
ADD = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1.0}'}}


def completion(finish: str = "stop", choice: dict[str, Any] | None = None, **said: Any) -> dict[str, Any]:
    told = {"role": "assistant", "content": None, "refusal": None} | said
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "acme/m",
        "choices": [
            {"index": 0, "message": told, "logprobs": None, "finish_reason": finish, **(choice or {})}
        ],
    }


def answered(fields: dict[str, Any], usage: Usage = Usage(), **options: Any) -> dict[str, Any]:  # noqa: B008
    written = msgspec.json.encode(message(fields, usage, **options))
    accepted(written)
    told: dict[str, Any] = json.loads(written)
    return told


def test_an_answer_is_a_message_to_the_letter() -> None:
    told = answered(completion(content="Hello"), Usage(prompt=3, completion=2))

    assert told == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "acme/m",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 2,
        },
    }


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("chatcmpl-7", "msg_7"), ("gen-7", "msg_gen-7"), ("msg_01X", "msg_01X"), (None, "msg_")],
)
def test_an_id_is_one_of_this_dialect(theirs: str | None, ours: str) -> None:
    told = answered(completion() | {"id": theirs})

    assert told["id"] == ours


def test_every_class_of_tokens_is_told_once() -> None:
    usage = Usage(
        prompt=1,
        cached=2,
        cache_write=4,
        cache_write_1h=8,
        prompt_audio=16,
        completion=32,
        reasoning=64,
        completion_audio=128,
    )

    told = answered(completion(content="x"), usage, more={"cost": 1})["usage"]

    assert told == {
        "input_tokens": 17,
        "cache_read_input_tokens": 2,
        "cache_creation_input_tokens": 12,
        "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 8},
        "output_tokens": 224,
        "output_tokens_details": {"thinking_tokens": 64},
        "cost": 1,
    }


def test_fields_as_they_came_are_read_too() -> None:
    raw = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in completion(content="x").items()}

    told = answered(raw)

    assert (told["id"], told["content"]) == ("msg_1", [{"type": "text", "text": "x"}])


@pytest.mark.parametrize(
    ("fields", "reason", "sequence"),
    [
        (completion("stop", content="x"), "end_turn", None),
        (completion("length", content="x"), "max_tokens", None),
        (completion("tool_calls", tool_calls=[ADD]), "tool_use", None),
        (completion("stop", tool_calls=[ADD]), "tool_use", None),
        (completion("length", tool_calls=[ADD]), "max_tokens", None),
        (completion("content_filter", content=""), "refusal", None),
        (completion("stop", refusal="No."), "refusal", None),
        (completion("stop", {"stop_reason": "END"}, content="x"), "stop_sequence", "END"),
        (completion("stop", {"stop_reason": 7}, content="x"), "end_turn", None),
    ],
)
def test_each_finish_has_its_stop_reason(fields: dict[str, Any], reason: str, sequence: str | None) -> None:
    told = answered(fields)

    assert (told["stop_reason"], told["stop_sequence"]) == (reason, sequence)


def test_thoughts_come_back_where_they_stood_and_calls_byte_for_byte() -> None:
    details = [
        SIGNED | {"text": "Hm. ", "index": 0},
        {"type": "reasoning.encrypted", "data": "Rk9P", "format": "anthropic-claude-v1", "index": 2},
        SIGNED | {"text": "", "index": 4},
    ]
    fields = completion(
        "tool_calls",
        content="Let me see.",
        reasoning_content="Hm. ",
        reasoning_details=details,
        tool_calls=[ADD, ADD | {"id": "call_2"}],
    )

    written = msgspec.json.encode(message(fields, Usage()))

    kinds = [block["type"] for block in json.loads(written)["content"]]
    assert kinds == ["thinking", "text", "redacted_thinking", "tool_use", "thinking", "tool_use"]
    assert b'"input":{"a": 1.0}' in written
    accepted(written)


def test_reasoning_that_nobody_signed_is_thinking_without_a_signature() -> None:
    told = answered(completion(content="4", reasoning_content="2 and 2"))

    assert told["content"] == [
        {"type": "thinking", "thinking": "2 and 2", "signature": ""},
        {"type": "text", "text": "4"},
    ]


def test_blank_text_is_no_block_and_a_refusal_is_text() -> None:
    assert answered(completion(content="\n\n", tool_calls=[ADD]))["content"][0]["type"] == "tool_use"
    assert answered(completion(content=""))["content"] == []
    assert answered(completion(refusal="No."))["content"] == [{"type": "text", "text": "No."}]


def test_an_answer_that_ended_before_it_began_is_an_empty_message() -> None:
    told = answered({"id": "i", "model": "m", "choices": [], "deeptoken": {"reason": "wallet_empty"}})

    assert (told["content"], told["stop_reason"]) == ([], "end_turn")


def test_a_tool_gets_its_own_name_back() -> None:
    told = answered(completion("tool_calls", tool_calls=[ADD]), names={"add": "mcp__add"})

    assert told["content"][0]["name"] == "mcp__add"


def test_an_answer_that_ended_early_says_why() -> None:
    told = answered(completion("length", content="x") | {"deeptoken": {"reason": "wallet_empty"}})

    assert (told["stop_reason"], told["deeptoken"]) == ("max_tokens", {"reason": "wallet_empty"})


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", {}),
        ('{"a": 1}', {"a": 1}),
        ('{"a": 1, "b": ', {"a": 1}),
        ('{"a": 1, "b": "x', {"a": 1}),
        ('{"a": "x, {\\"y\\": [", "b": [1, {"c": 2}, 3', {"a": 'x, {"y": [', "b": [1, {"c": 2}]}),
        ('{"a": "q\\", {", "b": "\\\\", "c": 1, "d', {"a": 'q", {', "b": "\\", "c": 1}),
        ('{"a": {"b": {', {"a": {"b": {}}}),
        ('{"a', {}),
        ("{", {}),
        ("[1]", {}),
        ("null", {}),
        ("x y", {}),
        ('{"a": 1}}', {"a": 1}),
    ],
)
def test_arguments_that_were_cut_are_an_object_as_far_as_they_reach(
    arguments: str, expected: dict[str, Any]
) -> None:
    assert json.loads(bytes(input_of(arguments))) == expected


def test_arguments_cut_anywhere_are_an_object() -> None:
    arguments = '{"path": "a\\\\b\\"c", "lines": [1, 2.5, {"x": null}], "ü": {"y": true}}'

    for end in range(len(arguments)):
        told = json.loads(bytes(input_of(arguments[:end])))

        assert ("path" in told) is (end > arguments.index(","))
        assert ("lines" in told) is (end > arguments.index("["))
