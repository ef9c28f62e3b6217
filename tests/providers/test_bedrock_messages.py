"""A chat's messages as Converse's turns."""

import json
from typing import Any

import pytest
from bedrock_scene import (
    ADD,
    ASSISTANT,
    CALL,
    CLAUDE,
    GPT,
    HI,
    NOVA,
    OPUS,
    PDF,
    PNG,
    PROFILE,
    RESULT,
    THOUGHT,
    asked,
    candidate,
    sent,
    turns,
)

from deeptoken.errors import BadRequest

SHORT = {"type": "ephemeral"}
OURS = {"type": "reasoning.encrypted", "data": "Um5iOVA=", "format": "bedrock-converse-v1", "index": 0}


def test_system_and_developer_messages_come_first_in_order() -> None:
    body = sent(
        {"role": "system", "content": "One"},
        HI,
        {"role": "developer", "content": [{"type": "text", "text": "Two"}, {"type": "text", "text": " "}]},
    )

    assert body["system"] == [{"text": "One"}, {"text": "Two"}]
    assert [turn["role"] for turn in body["messages"]] == ["user"]


def test_a_system_prompt_alone_is_said_by_the_user() -> None:
    body = sent({"role": "system", "content": "Write a poem"})

    assert "system" not in body
    assert body["messages"] == [{"role": "user", "content": [{"text": "Write a poem"}]}]


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

    assert said[1]["content"] == [{"text": "I will not."}]


def test_an_answer_to_be_continued_does_not_end_in_space() -> None:
    said = turns(HI, {"role": "assistant", "content": "The answer is: "})

    assert said[1]["content"] == [{"text": "The answer is:"}]


def test_tool_calls_keep_their_arguments_byte_for_byte() -> None:
    request = asked(HI, ASSISTANT, RESULT, tools=[ADD])

    assert b'"input":{"a": 1,  "b": 2.0}' in request.body
    assert json.loads(request.body)["messages"][1]["content"] == [
        {"toolUse": {"toolUseId": "tooluse_1", "name": "add", "input": {"a": 1, "b": 2.0}}}
    ]


@pytest.mark.parametrize("arguments", ["", " \n"])
def test_no_arguments_are_an_empty_object(arguments: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "now", "arguments": arguments}}

    said = turns(HI, {"role": "assistant", "tool_calls": [call]})

    assert said[1]["content"][0]["toolUse"]["input"] == {}


@pytest.mark.parametrize("arguments", ["{", "[]", "1", '{"a": 1} x', "null"])
@pytest.mark.parametrize("tools", [[], [ADD]])
def test_arguments_that_are_no_object_are_the_callers_mistake(arguments: str, tools: list[Any]) -> None:
    broken = {"id": "c", "type": "function", "function": {"name": "now", "arguments": arguments}}

    with pytest.raises(BadRequest) as refused:
        asked(HI, {"role": "assistant", "tool_calls": [CALL, broken]}, tools=tools)

    assert refused.value.param == "messages[1].tool_calls[1].function.arguments"


def test_a_legacy_call_whose_arguments_are_no_object_is_the_callers_mistake() -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, {"role": "assistant", "function_call": {"name": "now", "arguments": "["}})

    assert refused.value.param == "messages[1].function_call.arguments"


def test_a_call_that_is_no_function_is_refused() -> None:
    custom = {"id": "c", "type": "custom", "custom": {"name": "x", "input": "y"}}

    with pytest.raises(BadRequest) as refused:
        asked(HI, {"role": "assistant", "tool_calls": [custom]})

    assert refused.value.param == "messages[1].tool_calls[0].type"


def test_tool_results_stand_first_in_one_user_turn_after_the_call() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    document = {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}

    said = turns(
        HI,
        {"role": "assistant", "tool_calls": [CALL, CALL | {"id": "functions.now:1"}]},
        {"role": "user", "content": "Quick!"},
        RESULT,
        {
            "role": "tool",
            "tool_call_id": "functions.now:1",
            "content": [{"type": "text", "text": "see"}, image, document],
        },
        {"role": "user", "content": "So?"},
    )

    assert [block["toolUse"]["toolUseId"] for block in said[1]["content"]] == ["tooluse_1", "functions_now_1"]
    seen = [
        {"text": "see"},
        {"image": {"format": "png", "source": {"bytes": PNG}}},
        {"document": {"format": "pdf", "name": "a", "source": {"bytes": PDF}}},
    ]
    assert said[2]["content"] == [
        {"toolResult": {"toolUseId": "tooluse_1", "content": [{"text": "3"}]}},
        {"toolResult": {"toolUseId": "functions_now_1", "content": seen}},
        {"text": "Quick!"},
        {"text": "So?"},
    ]


@pytest.mark.parametrize("content", ["", " \n", [], [{"type": "text", "text": ""}]])
def test_an_empty_tool_result_says_so(content: object) -> None:
    said = turns(HI, ASSISTANT, RESULT | {"content": content})

    assert said[2]["content"][0]["toolResult"]["content"] == [{"text": "(no output)"}]


def test_a_tool_that_failed_is_told_as_one() -> None:
    said = turns(
        HI,
        {"role": "assistant", "tool_calls": [CALL, CALL | {"id": "b"}, CALL | {"id": "c"}]},
        RESULT | {"is_error": True},
        RESULT | {"tool_call_id": "b", "is_error": False},
        RESULT | {"tool_call_id": "c", "is_error": "true"},
    )

    results = [block["toolResult"] for block in said[2]["content"]]
    assert [result.get("status") for result in results] == ["error", None, None]


def test_a_long_id_is_shortened_and_its_result_finds_it() -> None:
    long = ["x" * 80 + "1", "x" * 80 + "2"]

    said = turns(
        HI,
        {"role": "assistant", "tool_calls": [CALL | {"id": id} for id in long]},
        *(RESULT | {"tool_call_id": id} for id in long),
    )

    called = [block["toolUse"]["toolUseId"] for block in said[1]["content"]]
    assert called == [block["toolResult"]["toolUseId"] for block in said[2]["content"]]
    assert len(set(called)) == 2
    assert max(len(id) for id in called) == 64


def test_a_legacy_function_call_and_its_answer_are_a_tool_call() -> None:
    said = turns(
        HI,
        {"role": "assistant", "content": None, "function_call": {"name": "now", "arguments": "{}"}},
        {"role": "function", "name": "now", "content": "noon"},
    )

    assert said[1]["content"] == [{"toolUse": {"toolUseId": "function_call_1", "name": "now", "input": {}}}]
    assert said[2]["content"] == [
        {"toolResult": {"toolUseId": "function_call_1", "content": [{"text": "noon"}]}}
    ]


def test_a_function_message_without_a_call_is_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, {"role": "function", "name": "now", "content": "noon"})

    assert refused.value.param == "messages[1].role"


def test_nothing_said_is_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        asked({"role": "user", "content": " "})

    assert refused.value.param == "messages"


@pytest.mark.parametrize("fields", [{}, {"tools": []}, {"tools": [ADD], "tool_choice": "none"}])
def test_without_tools_calls_and_results_are_told_as_text(fields: dict[str, Any]) -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}

    body = sent(
        HI,
        ASSISTANT | {"content": "Let me add."},
        RESULT | {"content": [{"type": "text", "text": "3"}, image]},
        {"role": "assistant", "tool_calls": [CALL]},
        RESULT | {"content": "", "is_error": True},
        **fields,
    )

    assert "toolConfig" not in body
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"text": "Let me add."},
                {"text": '(Called the tool add with {"a": 1,  "b": 2.0})'},
            ],
        },
        {
            "role": "user",
            "content": [
                {"text": "(The tool add answered:)"},
                {"text": "3"},
                {"image": {"format": "png", "source": {"bytes": PNG}}},
            ],
        },
        {"role": "assistant", "content": [{"text": '(Called the tool add with {"a": 1,  "b": 2.0})'}]},
        {"role": "user", "content": [{"text": "(The tool add failed with:)"}, {"text": "(no output)"}]},
    ]


def test_signed_reasoning_goes_back_first_and_byte_for_byte() -> None:
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
        RESULT,
    )

    assert said[1]["content"][:2] == [
        {"reasoningContent": {"reasoningText": {"text": "Two and two.\n", "signature": "EqRk+/=ü"}}},
        {"reasoningContent": {"redactedContent": "Ums5UA=="}},
    ]
    assert [next(iter(block)) for block in said[1]["content"][2:]] == ["text", "toolUse"]


def test_a_thought_between_text_and_call_goes_back_to_its_place() -> None:
    said = turns(
        HI,
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "Let me add.", "cache_control": SHORT}],
            "reasoning_details": [THOUGHT, THOUGHT | {"index": 2}],
            "tool_calls": [CALL],
        },
    )

    assert [next(iter(block)) for block in said[1]["content"]] == [
        "reasoningContent",
        "text",
        "cachePoint",
        "reasoningContent",
        "toolUse",
    ]


def test_a_turn_of_nothing_but_reasoning_is_left_out() -> None:
    said = turns(HI, {"role": "assistant", "content": "", "reasoning_details": [THOUGHT]}, HI)

    assert said == [{"role": "user", "content": [{"text": "Hi"}, {"text": "Hi"}]}]


@pytest.mark.parametrize(
    "detail",
    [
        {key: value for key, value in THOUGHT.items() if key != "signature"},
        THOUGHT | {"format": "google-gemini-v1"},
        {key: value for key, value in THOUGHT.items() if key != "format"},
        THOUGHT | {"format": ["anthropic-claude-v1"]},
        {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"},
        {"type": "reasoning.summary", "summary": "x", "format": "anthropic-claude-v1"},
        THOUGHT | {"signature": 7},
    ],
)
def test_unsigned_and_foreign_reasoning_is_left_out(detail: dict[str, Any]) -> None:
    said = turns(HI, {"role": "assistant", "content": "4", "reasoning_details": [detail]}, HI)

    assert said[1]["content"] == [{"text": "4"}]


@pytest.mark.parametrize(
    ("model", "details", "kept"),
    [
        (CLAUDE, [THOUGHT], 1),
        (OPUS, [{"type": "thinking", "thinking": "Hm.", "signature": "s"}], 1),
        (PROFILE, [THOUGHT, OURS], 2),
        (GPT, [OURS], 1),
        (GPT, [THOUGHT], 0),
        (NOVA, [THOUGHT], 0),
        (GPT, [{"type": "redacted_thinking", "data": "Rk9P"}], 0),
    ],
)
def test_reasoning_goes_back_to_the_makers_models_that_it_is_of(
    model: str, details: list[dict[str, Any]], kept: int
) -> None:
    assistant = {"role": "assistant", "content": "4", "reasoning_details": details}

    said = turns(HI, assistant, HI, at=candidate(model, id="acme/any"))

    assert sum("reasoningContent" in block for block in said[1]["content"]) == kept
