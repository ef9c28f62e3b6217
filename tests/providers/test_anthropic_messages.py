"""A chat's messages as Anthropic's turns."""

import base64
import json
from typing import Any

import pytest
from anthropic_scene import CALL, HI, PNG, THOUGHT, asked, sent, turns

from deeptoken.errors import BadRequest


def test_system_and_developer_messages_come_first_in_order_with_their_cache_marks() -> None:
    marked = {"type": "text", "text": "Two", "cache_control": {"type": "ephemeral", "ttl": "1h"}}

    body = sent(
        {"role": "system", "content": "One"},
        HI,
        {"role": "developer", "content": [marked]},
    )

    assert body["system"] == [{"type": "text", "text": "One"}, marked]
    assert [turn["role"] for turn in body["messages"]] == ["user"]


def test_a_system_prompt_alone_is_said_by_the_user() -> None:
    body = sent({"role": "system", "content": "Write a poem"})

    assert "system" not in body
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Write a poem"}]}]


def test_neighbours_of_one_role_are_one_turn_and_blank_text_is_left_out() -> None:
    said = turns(
        HI,
        {"role": "user", "content": [{"type": "text", "text": " \n"}, {"type": "text", "text": "there"}]},
        {"role": "assistant", "content": ""},
        {"role": "assistant", "content": "Yes?"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "user", "name": "bob", "content": "Why"},
    )

    assert [(turn["role"], [block["text"] for block in turn["content"]]) for turn in said] == [
        ("user", ["Hi", "there"]),
        ("assistant", ["Yes?", "No."]),
        ("user", ["Why"]),
    ]


def test_the_refusal_field_of_a_message_is_said_too() -> None:
    said = turns(HI, {"role": "assistant", "content": None, "refusal": "I will not."}, HI)

    assert said[1]["content"] == [{"type": "text", "text": "I will not."}]


def test_an_answer_to_be_continued_does_not_end_in_space() -> None:
    said = turns(HI, {"role": "assistant", "content": "The answer is: "})

    assert said[1]["content"] == [{"type": "text", "text": "The answer is:"}]


def test_tool_calls_keep_their_arguments_byte_for_byte() -> None:
    request = asked(HI, {"role": "assistant", "content": None, "tool_calls": [CALL]})

    assert b'"input":{"a": 1,  "b": 2.0}' in request.body
    assert json.loads(request.body)["messages"][1]["content"] == [
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1, "b": 2.0}}
    ]


@pytest.mark.parametrize("arguments", ["", " \n"])
def test_no_arguments_are_an_empty_object(arguments: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "now", "arguments": arguments}}

    said = turns(HI, {"role": "assistant", "tool_calls": [call]})

    assert said[1]["content"][0]["input"] == {}


@pytest.mark.parametrize("arguments", ["{", "[]", "1", '{"a": 1} x', "null"])
def test_arguments_that_are_no_object_are_the_callers_mistake(arguments: str) -> None:
    broken = {"id": "c", "type": "function", "function": {"name": "now", "arguments": arguments}}

    with pytest.raises(BadRequest) as refused:
        asked(HI, {"role": "assistant", "tool_calls": [CALL, broken]})

    assert refused.value.param == "messages[1].tool_calls[1].function.arguments"


def test_tool_results_stand_first_in_one_user_turn_after_the_call() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}

    said = turns(
        HI,
        {"role": "assistant", "tool_calls": [CALL, CALL | {"id": "functions.now:1"}]},
        {"role": "user", "content": "Quick!"},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "3"},
        {
            "role": "tool",
            "tool_call_id": "functions.now:1",
            "content": [{"type": "text", "text": "see"}, image],
        },
        {"role": "user", "content": "So?"},
    )

    assert [block["id"] for block in said[1]["content"]] == ["toolu_1", "functions_now_1"]
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    seen = [{"type": "text", "text": "see"}, {"type": "image", "source": source}]
    assert said[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "3"},
        {"type": "tool_result", "tool_use_id": "functions_now_1", "content": seen},
        {"type": "text", "text": "Quick!"},
        {"type": "text", "text": "So?"},
    ]


def test_an_empty_tool_result_is_a_result() -> None:
    said = turns(
        HI,
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": ""},
    )

    assert said[2]["content"] == [{"type": "tool_result", "tool_use_id": "toolu_1"}]


def test_a_legacy_function_call_and_its_answer_are_a_tool_call() -> None:
    said = turns(
        HI,
        {"role": "assistant", "content": None, "function_call": {"name": "now", "arguments": "{}"}},
        {"role": "function", "name": "now", "content": "noon"},
    )

    called, answered = said[1]["content"][0], said[2]["content"][0]
    assert called == {"type": "tool_use", "id": "function_call_1", "name": "now", "input": {}}
    assert answered == {"type": "tool_result", "tool_use_id": "function_call_1", "content": "noon"}


def test_a_function_message_without_a_call_is_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, {"role": "function", "name": "now", "content": "noon"})

    assert refused.value.param == "messages[1].role"


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            {"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{PNG}", "detail": "high"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": PNG}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
            {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
        ),
        (
            {
                "type": "file",
                "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
                "cache_control": {"type": "ephemeral"},
            },
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
                "title": "a.pdf",
                "cache_control": {"type": "ephemeral"},
            },
        ),
        (
            {"type": "file", "file": {"file_data": "JVBERg=="}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
            },
        ),
        (
            {"type": "file", "file": {"file_data": "https://x.example/a.pdf"}},
            {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}},
        ),
        (
            {
                "type": "file",
                "file": {"file_data": "data:text/markdown;base64," + base64.b64encode("ü".encode()).decode()},
            },
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "ü"}},
        ),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
        ),
    ],
)
def test_each_part_becomes_its_block(part: dict[str, Any], block: dict[str, Any]) -> None:
    assert turns({"role": "user", "content": [part]})[0]["content"] == [block]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, "type"),
        ({"type": "video_url", "video_url": {"url": "https://x.example"}}, "type"),
        ({"type": "image_url", "image_url": {"url": "ftp://x.example"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,abc"}}, "image_url.url"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file.file_data"),
        ({"type": "document", "source": {"type": "file", "file_id": "file_1"}}, "source"),
        ({"type": "file", "file": {"file_data": "data:application/zip;base64,AAAA"}}, "file.file_data"),
        ({"type": "file", "file": {"file_data": "data:text/plain;base64,%%"}}, "file.file_data"),
    ],
)
def test_what_claude_cannot_read_is_refused_by_name(part: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked({"role": "user", "content": [{"type": "text", "text": "x"}, part]})

    assert refused.value.param == f"messages[0].content[1].{param}"


def test_nothing_said_is_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        asked({"role": "user", "content": " "})

    assert refused.value.param == "messages"


def test_signed_thinking_goes_back_first_and_byte_for_byte() -> None:
    redacted = {"type": "reasoning.encrypted", "data": "Rk9P", "format": "anthropic-claude-v1", "index": 1}

    said = turns(
        HI,
        {
            "role": "assistant",
            "content": "Let me add.",
            "reasoning_content": "shown to people",
            "reasoning_details": [THOUGHT, redacted],
            "tool_calls": [CALL],
        },
        {"role": "tool", "tool_call_id": "toolu_1", "content": "3"},
    )

    assert said[1]["content"][:2] == [
        {"type": "thinking", "thinking": "Two and two.\n", "signature": "EqRk+/=ü"},
        {"type": "redacted_thinking", "data": "Rk9P"},
    ]
    assert [block["type"] for block in said[1]["content"][2:]] == ["text", "tool_use"]


def test_a_thought_between_text_and_call_goes_back_to_its_place() -> None:
    said = turns(
        HI,
        {
            "role": "assistant",
            "content": "Let me add.",
            "reasoning_details": [THOUGHT, THOUGHT | {"index": 2}],
            "tool_calls": [CALL],
        },
    )

    assert [block["type"] for block in said[1]["content"]] == ["thinking", "text", "thinking", "tool_use"]


def test_deltas_of_a_thought_that_a_client_kept_one_by_one_are_one_thought() -> None:
    deltas = [
        {"type": "reasoning.text", "text": "Two ", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.text", "text": "and two.", "format": "anthropic-claude-v1", "index": 0},
        {
            "type": "reasoning.text",
            "text": "",
            "signature": "s",
            "format": "anthropic-claude-v1",
            "index": 0,
        },
    ]

    said = turns(HI, {"role": "assistant", "content": "4", "reasoning_details": deltas}, HI)

    assert said[1]["content"][0] == {"type": "thinking", "thinking": "Two and two.", "signature": "s"}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "redacted_thinking", "data": "Rk9P"},
    ],
)
def test_thinking_as_anthropic_writes_it_goes_back_too(block: dict[str, Any]) -> None:
    said = turns(HI, {"role": "assistant", "content": "4", "reasoning_details": [block]}, HI)

    assert said[1]["content"] == [block, {"type": "text", "text": "4"}]


@pytest.mark.parametrize(
    "detail",
    [
        {key: value for key, value in THOUGHT.items() if key != "signature"},
        THOUGHT | {"format": "google-gemini-v1"},
        {key: value for key, value in THOUGHT.items() if key != "format"},
        {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"},
        {"type": "reasoning.summary", "summary": "x", "format": "anthropic-claude-v1"},
        THOUGHT | {"signature": 7},
    ],
)
def test_unsigned_and_foreign_thinking_is_left_out(detail: dict[str, Any]) -> None:
    said = turns(HI, {"role": "assistant", "content": "4", "reasoning_details": [detail]}, HI)

    assert said[1]["content"] == [{"type": "text", "text": "4"}]
