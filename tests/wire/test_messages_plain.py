"""A Claude client's call for a host of OpenAI's API: nothing that it would refuse, and nothing lost."""

import json
from typing import Any

import openai.types.chat
import pydantic
import pytest
from hypothesis import given

from claude_client import HI, TOOL, asked
from claude_conversations import calls
from deeptoken.errors import BadRequest
from deeptoken.wire.messages import read
from deeptoken.wire.messages_plain import THINKING, enforced, long_names, short_name

EPHEMERAL = {"type": "ephemeral"}
CALL = {"type": "tool_use", "id": "call_1", "name": "add", "input": {"a": 1}}
ASKED: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(openai.types.chat.ChatCompletionMessageParam)
LONG = "mcp__a_server_with_a_long_name__and_a_tool_with_an_even_longer_name_than_that"


def plain(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    told = read(asked(*messages, **fields)).passing()
    return {name: json.loads(bytes(raw)) for name, raw in told.items()}


def listed(value: Any) -> Any:
    """What the library has seen: it looks into lists as they are read, and drops what it does not know."""
    match value:
        case dict():
            return {name: listed(inner) for name, inner in value.items()}
        case str() | int() | float() | bool() | None:
            return value
    return [listed(inner) for inner in value]


def said(*messages: dict[str, Any]) -> Any:
    return plain(*messages)["messages"]


def result(content: object, **more: object) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": "call_1", "content": content}
    return {"role": "user", "content": [block | more]}


CALLED = {"role": "assistant", "content": [CALL]}


def test_a_plain_call_has_openais_fields_alone() -> None:
    body = plain(
        HI,
        system=[{"type": "text", "text": "Be terse.", "cache_control": EPHEMERAL}],
        stream=True,
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        thinking={"type": "enabled", "budget_tokens": 900},
        output_config={"effort": "low"},
        cache_control=EPHEMERAL,
        context_management={},
        metadata={"user_id": "u-1"},
        service_tier="auto",
        stop_sequences=["END"],
        max_cost_usd=1,
    )

    assert body == {
        "messages": [{"role": "system", "content": "Be terse."}, HI],
        "stream": True,
        "max_completion_tokens": 1000,
        "temperature": 0.5,
        "top_p": 0.9,
        "reasoning_effort": "low",
        "user": "u-1",
        "stop": ["END"],
    }


def test_marks_stay_behind_and_thinking_is_what_a_chat_has_of_it() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    text = {"type": "text", "text": "Let me ", "cache_control": EPHEMERAL}

    messages = said(
        HI,
        {
            "role": "assistant",
            "content": [thought, text, text | {"text": "see."}, CALL | {"cache_control": {}}],
        },
        result("3", cache_control=EPHEMERAL),
        {"role": "assistant", "content": [thought]},
        HI,
    )

    function = {"name": "add", "arguments": '{"a": 1}'}
    assert messages[1:] == [
        {
            "role": "assistant",
            "content": "Let me see.",
            "reasoning_content": "Hm.",
            "reasoning_details": [
                {
                    "type": "reasoning.text",
                    "text": "Hm.",
                    "signature": "s",
                    "format": "anthropic-claude-v1",
                    "index": 0,
                }
            ],
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "3"},
        HI,
    ]


def test_an_effort_of_none_is_left_to_the_model() -> None:
    assert "reasoning_effort" not in plain(HI, thinking={"type": "disabled"})


def test_what_a_result_shows_comes_after_all_results() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    blocks = [
        *result([picture])["content"],
        *result([{"type": "text", "text": "4"}], tool_use_id="call_2")["content"],
        {"type": "text", "text": "So?"},
    ]

    messages = said(
        HI,
        {"role": "assistant", "content": [CALL, CALL | {"id": "call_2"}]},
        {"role": "user", "content": blocks},
    )

    one, two, user = messages[2:]
    assert (one["role"], one["content"]) == ("tool", "It is in the next message.")
    assert (two["role"], two["content"]) == ("tool", "4")
    assert user == {
        "role": "user",
        "content": [
            {"type": "text", "text": "What the tool call call_1 showed:"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "text", "text": "So?"},
        ],
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("no such file", "Error: no such file"),
        ("", "Error: "),
        ([{"type": "text", "text": "no"}], "Error: no"),
        (
            [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            [{"type": "text", "text": text} for text in ("Error: ", "a", "b")],
        ),
    ],
)
def test_a_result_that_is_an_error_says_so(content: object, expected: object) -> None:
    messages = said(HI, CALLED, result(content, is_error=True))

    assert messages[2]["content"] == expected


def test_documents_and_search_results_are_files_or_text() -> None:
    text = {"type": "text", "media_type": "text/plain", "data": "Ünder"}
    inner = [
        {"type": "text", "text": "one"},
        {"type": "image", "source": {"type": "url", "url": "https://x"}},
    ]
    [message] = said(
        {
            "role": "user",
            "content": [
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
                    "citations": {"enabled": True},
                },
                {"type": "document", "source": text, "title": "a.txt"},
                {"type": "document", "source": {"type": "content", "content": inner}, "title": "b"},
                {"type": "search_result", "source": "s", "title": "t", "content": inner[:1]},
            ],
        }
    )

    pdf = {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}
    assert message["content"] == [
        {"type": "file", "file": pdf},
        {"type": "text", "text": "a.txt:\nÜnder"},
        {"type": "text", "text": "b:\n"},
        {"type": "text", "text": "one"},
        {"type": "image_url", "image_url": {"url": "https://x"}},
        {"type": "text", "text": "t (s):\n"},
        {"type": "text", "text": "one"},
    ]


def test_a_long_user_goes_on_as_a_hash() -> None:
    one, same, other = (
        plain(HI, metadata={"user_id": user})["user"] for user in ("a" * 65, "a" * 65, "b" * 65)
    )

    assert len(one) == 64
    assert one == same != other


def test_a_long_tool_name_is_shortened_everywhere_and_can_be_found_again() -> None:
    chat = read(
        asked(
            HI,
            {"role": "assistant", "content": [CALL | {"name": LONG}]},
            result("3"),
            tools=[TOOL, TOOL | {"name": LONG}],
            tool_choice={"type": "tool", "name": LONG},
        )
    )

    told = {name: json.loads(bytes(raw)) for name, raw in chat.passing().items()}

    short = short_name(LONG)
    assert len(short) == 64
    assert [tool["function"]["name"] for tool in told["tools"]] == ["add", short]
    assert told["tool_choice"]["function"]["name"] == short
    assert told["messages"][1]["tool_calls"][0]["function"]["name"] == short
    assert long_names(chat.request) == {short: LONG}


CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        (CLOSED, True),
        ({**CLOSED, "properties": {"a": {"type": "array", "items": CLOSED}}}, True),
        ({**CLOSED, "properties": {"a": {"anyOf": [CLOSED, {"type": "null"}]}}}, True),
        ({**CLOSED, "$defs": {"oneOf": CLOSED}}, True),
        ({**CLOSED, "properties": {"a": {"enum": [{"properties": {}}]}}}, True),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "additionalProperties": True}, False),
        ({**CLOSED, "properties": {"a": {"type": "object"}}}, False),
        ({**CLOSED, "properties": {"a": {"oneOf": [CLOSED]}}}, False),
        ({**CLOSED, "$defs": {"x": {**CLOSED, "required": []}}}, False),
        ({"type": "array", "items": {"type": "object", "properties": {}}}, False),
    ],
)
def test_what_is_enforced_there_is_enforced_here_where_openai_takes_the_schema(
    schema: dict[str, Any], fits: bool
) -> None:
    form = {"type": "json_schema", "schema": schema}
    tool = TOOL | {"input_schema": schema, "strict": True}

    body = plain(HI, tools=[tool], output_config={"format": form})

    assert enforced(schema) is fits
    assert body["response_format"]["json_schema"].get("strict", False) is fits
    assert body["tools"][0]["function"].get("strict", False) is fits


def test_a_choice_without_tools_is_left_out() -> None:
    body = plain(HI, tool_choice={"type": "auto", "disable_parallel_tool_use": True})

    assert not {"tool_choice", "parallel_tool_calls"} & body.keys()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stop_sequences": list("abcde")}, "stop_sequences"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools.0.type"),
        (
            {
                "messages": [
                    HI,
                    {
                        "role": "user",
                        "content": [{"type": "document", "source": {"type": "url", "url": "https://x"}}],
                    },
                ]
            },
            "messages.1.content.0.source",
        ),
        (
            {"messages": [HI, {"role": "assistant", "content": [{"type": "server_tool_use", "id": "s"}]}]},
            "messages.1.content.0.type",
        ),
        (
            {"messages": [HI, CALLED, result([{"type": "tool_reference", "tool_name": "x"}])]},
            "messages.2.content.0.content.0.type",
        ),
    ],
)
def test_what_openais_api_has_no_place_for_is_refused_by_anthropics_path(
    fields: dict[str, Any], param: str
) -> None:
    chat = read(asked(**fields))

    with pytest.raises(BadRequest) as refused:
        chat.passing()

    assert refused.value.param == param


@given(calls())
def test_every_message_is_one_that_openais_own_types_know(body: dict[str, Any]) -> None:
    chat = read(json.dumps(body).encode())

    try:
        told = chat.passing()
    except BadRequest:
        return

    for message in json.loads(bytes(told["messages"])):
        for name in THINKING:
            message.pop(name, None)
        assert listed(ASKED.validate_python(message)) == message, "no field beside"
        if message["role"] == "tool" and isinstance(message["content"], list):
            assert {part["type"] for part in message["content"]} == {"text"}
