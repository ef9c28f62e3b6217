"""The messages of a chat as Cohere gets them."""

from typing import Any

import pytest
from cohere_scene import CALL, HI, asked, plan, thought, turns

from deeptoken.errors import BadRequest

PNG = "data:image/png;base64,iVBORw0KGgo="


def test_all_that_the_system_says_is_one_message_and_the_first() -> None:
    said = turns(
        {"role": "system", "content": "Be brief."},
        HI,
        {
            "role": "developer",
            "content": [{"type": "text", "text": "Be kind."}, {"type": "text", "text": "\n"}],
        },
        {"role": "system", "content": " "},
    )

    assert said == [{"role": "system", "content": "Be brief.\n\nBe kind."}, HI]


def test_pictures_go_on_by_data_and_by_address() -> None:
    parts = [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://h.example/a.png", "detail": None}},
    ]

    said = turns({"role": "user", "name": "ann", "content": parts})

    assert said == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What?"},
                {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://h.example/a.png"}},
            ],
        }
    ]


def test_calls_and_their_results_go_on_in_their_order() -> None:
    other = {"id": "now_1", "type": "function", "function": {"name": "now", "arguments": " "}}
    document = {"type": "document", "document": {"id": "r", "data": {"sum": "3"}}}

    said = turns(
        HI,
        {"role": "assistant", "content": None, "tool_calls": [CALL, other]},
        {"role": "tool", "tool_call_id": "add_1", "content": [document, {"type": "text", "text": "3"}]},
        {"role": "tool", "tool_call_id": "now_1", "content": ""},
    )

    emptied = {"id": "now_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    assert said[1:] == [
        {"role": "assistant", "tool_calls": [CALL, emptied]},
        {"role": "tool", "tool_call_id": "add_1", "content": [document, {"type": "text", "text": "3"}]},
        {"role": "tool", "tool_call_id": "now_1", "content": ""},
    ]


def test_a_function_call_of_the_older_kind_is_a_tool_call() -> None:
    said = turns(
        HI,
        {"role": "assistant", "content": None, "function_call": {"name": "add", "arguments": "{}"}},
        {"role": "function", "name": "add", "content": "3"},
    )

    call = {"id": "function_call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    assert said[1:] == [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "function_call_1", "content": "3"},
    ]


def assistant(**fields: Any) -> Any:
    """What Cohere gets of this message, without the role."""
    said = turns(HI, {"role": "assistant", **fields}, HI)[1]
    assert said.pop("role") == "assistant"
    return said


def test_thoughts_and_plan_go_back_where_they_were() -> None:
    details = [thought("Hm… "), thought("add."), thought("Yes.", 2), plan("I ", 3), plan("will.", 3)]

    said = assistant(content="So.", tool_calls=[CALL], reasoning_details=details, reasoning_content="other")

    assert said == {
        "tool_calls": [CALL],
        "tool_plan": "I will.",
        "content": [
            {"type": "thinking", "thinking": "Hm… add."},
            {"type": "thinking", "thinking": "Yes."},
            {"type": "text", "text": "So."},
        ],
    }


def test_reasoning_as_text_alone_goes_back_as_the_plan_of_the_calls() -> None:
    assert assistant(reasoning_content="I will.", tool_calls=[CALL]) == {
        "tool_calls": [CALL],
        "tool_plan": "I will.",
    }
    assert assistant(reasoning_content="Hm.", content="So.") == {"content": "So."}


def test_other_providers_reasoning_is_left_out() -> None:
    signed = {"type": "reasoning.text", "text": "Hm.", "signature": "s", "format": "anthropic-claude-v1"}
    sealed = {"type": "reasoning.encrypted", "data": "x", "format": "cohere-thinking-v2"}

    said = assistant(
        content="So.", reasoning_details=[signed, sealed], reasoning_content="Hm.", tool_calls=[CALL]
    )

    assert said == {"tool_calls": [CALL], "content": "So."}


def test_a_refusal_is_text_and_empty_messages_are_left_out() -> None:
    assert assistant(refusal="No.") == {"content": "No."}
    assert assistant(content=[{"type": "refusal", "refusal": "No."}]) == {"content": "No."}
    assert turns({"role": "user", "content": " "}, {"role": "assistant", "content": ""}, HI) == [HI]


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "x"}}]},
            "messages[0].content[0].type",
        ),
        ({"role": "user", "content": [{"type": "file", "file": {}}]}, "messages[0].content[0].type"),
        (
            {"role": "system", "content": [{"type": "image_url", "image_url": {"url": PNG}}]},
            "messages[0].content[0].type",
        ),
        (
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom"}]},
            "messages[0].tool_calls[0].type",
        ),
        ({"role": "function", "name": "f", "content": "3"}, "messages[0].role"),
        ({"role": "user", "content": "\n"}, "messages"),
    ],
)
def test_what_cohere_cannot_read_is_refused_by_its_place(message: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(message)

    assert refused.value.param == param


def test_the_result_of_a_tool_that_failed_says_so() -> None:
    failed = {"role": "tool", "tool_call_id": "add_1", "content": "overflow", "is_error": True}
    parts = [{"type": "text", "text": "overflow"}]

    said = turns(HI, {"role": "assistant", "tool_calls": [CALL]}, failed, {**failed, "content": parts})

    assert [turn["content"] for turn in said[-2:]] == [
        "Error: overflow",
        [{"type": "text", "text": "Error: "}, *parts],
    ]
