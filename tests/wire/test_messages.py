"""A call in Anthropic's dialect, read as a chat: each field in its place."""

from typing import Any

import msgspec
import pytest

from claude_client import HI, TOOL, asked
from deeptoken.wire.chat import Chat
from deeptoken.wire.messages import read

EPHEMERAL = {"type": "ephemeral"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
FORM = {"type": "json_schema", "schema": SCHEMA}


def field(chat: Chat, name: str) -> Any:
    raw = chat.fields.get(name)
    return None if raw is None else msgspec.json.decode(raw)


def read_as(**fields: Any) -> Chat:
    return read(asked(**fields))


def test_a_plain_call_is_a_chat_with_its_limit() -> None:
    chat = read(asked(HI, system="Be terse.", stream=True, temperature=0.5, top_p=0.9, top_k=3))

    assert chat.request.model == "acme/claude"
    assert [(message.role, message.content) for message in chat.request.messages] == [
        ("system", "Be terse."),
        ("user", "Hi"),
    ]
    assert (chat.request.limit, chat.stream) == (1000, True)
    assert (chat.request.temperature, chat.request.top_p, chat.extra["top_k"]) == (0.5, 0.9, 3)


def test_the_bound_of_the_prompt_counts_the_body_that_was_made() -> None:
    chat = read(asked(HI))

    assert chat.size >= len(bytes(chat.fields["messages"]))


def test_content_of_each_kind_is_a_part_with_what_it_has_beside() -> None:
    chat = read(
        asked(
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "x", "cache_control": EPHEMERAL, "citations": None},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
                    },
                    {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
                        "title": "a.pdf",
                        "context": "c",
                        "citations": {"enabled": True},
                    },
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "ü"},
                    },
                    {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}},
                ],
            }
        )
    )

    pdf = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}
    assert chat.request.messages[0].content == [
        {"type": "text", "text": "x", "cache_control": EPHEMERAL},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
        {"type": "file", "file": pdf, "context": "c", "citations": {"enabled": True}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,w7w="}},
        {"type": "file", "file": {"file_data": "https://x.example/a.pdf"}},
    ]


def test_results_are_messages_before_what_the_user_says() -> None:
    chat = read(
        asked(
            HI,
            {"role": "assistant", "content": [CALL, CALL | {"id": "toolu_2", "cache_control": EPHEMERAL}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "3", "is_error": True},
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_2",
                        "content": [{"type": "text", "text": "4"}],
                        "cache_control": EPHEMERAL,
                    },
                    {"type": "text", "text": "So?"},
                ],
            },
        )
    )

    said, one, two, user = chat.request.messages[1:]
    calls = said.tool_calls or []
    assert [(call.id, call.cache_control) for call in calls] == [("toolu_1", None), ("toolu_2", EPHEMERAL)]
    assert (one.role, one.tool_call_id, one.content, one.is_error) == ("tool", "toolu_1", "3", True)
    assert (two.content, two.cache_control) == ([{"type": "text", "text": "4"}], EPHEMERAL)
    assert (user.role, user.content) == ("user", [{"type": "text", "text": "So?"}])


@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": ""}])
def test_an_empty_result_is_an_empty_text(content: dict[str, Any]) -> None:
    result = {"type": "tool_result", "tool_use_id": "toolu_1", **content}

    chat = read(asked(HI, {"role": "assistant", "content": [CALL]}, {"role": "user", "content": [result]}))

    assert chat.request.messages[2].content == ""


def test_a_tools_input_stays_as_it_was_written() -> None:
    body = asked(HI, {"role": "assistant", "content": [CALL]})
    written = b'{ "a":1.0,"\\u00fc" : [1e2]}'

    chat = read(body.replace(b'{"a": 1}', written))

    [call] = chat.request.messages[1].tool_calls or []
    assert call.function is not None
    assert call.function.arguments.encode() == written


def test_a_key_that_stands_twice_counts_once_for_every_reader() -> None:
    body = asked(HI, {"role": "assistant", "content": [CALL]})

    chat = read(body.replace(b'"a": 1', b'"a": 1, "a": 2'))

    [call] = chat.request.messages[1].tool_calls or []
    assert call.function is not None
    assert call.function.arguments == '{"a":2}'
    assert chat.native is not None
    assert b'"input":{"a":2}' in bytes(chat.native.fields["messages"])


def test_thinking_is_reasoning_and_each_signature_a_detail_at_its_place() -> None:
    chat = read(
        asked(
            HI,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm. ", "signature": "Eq+/="},
                    {"type": "text", "text": "Let me see."},
                    {"type": "redacted_thinking", "data": "Rk9P"},
                    {"type": "thinking", "thinking": "Unsigned.", "signature": ""},
                    CALL,
                ],
            },
        )
    )

    said = chat.request.messages[1]
    assert said.reasoning_content == "Hm. Unsigned."
    ours = {"format": "anthropic-claude-v1"}
    assert said.reasoning_details == [
        {"type": "reasoning.text", "text": "Hm. ", "signature": "Eq+/=", **ours, "index": 0},
        {"type": "reasoning.encrypted", "data": "Rk9P", **ours, "index": 2},
    ]


def test_a_system_message_within_the_conversation_stays_where_it_stood() -> None:
    chat = read(asked(HI, {"role": "system", "content": [{"type": "text", "text": "Now in German."}]}))

    assert [message.role for message in chat.request.messages] == ["user", "system"]


def test_a_turn_without_content_says_nothing() -> None:
    chat = read(asked(HI, {"role": "assistant", "content": []}, {"role": "user", "content": []}, HI))

    assert [message.role for message in chat.request.messages] == ["user", "user"]


def test_tools_are_functions_with_what_they_have_beside() -> None:
    beside = {"cache_control": EPHEMERAL, "eager_input_streaming": True, "input_examples": [{"a": 1}]}

    chat = read_as(tools=[TOOL | {"type": "custom", "strict": True} | beside, TOOL | {"name": "sub"}])

    function = {"name": "add", "description": "Adds.", "parameters": TOOL["input_schema"]}
    assert field(chat, "tools") == [
        {"type": "function", "function": function | {"strict": True}, **beside},
        {"type": "function", "function": function | {"name": "sub"}},
    ]


@pytest.mark.parametrize(
    ("choice", "expected", "parallel"),
    [
        ({"type": "auto"}, "auto", None),
        ({"type": "any", "disable_parallel_tool_use": True}, "required", False),
        ({"type": "tool", "name": "add"}, {"type": "function", "function": {"name": "add"}}, None),
        ({"type": "none"}, "none", None),
        ({"type": "auto", "disable_parallel_tool_use": False}, "auto", None),
    ],
)
def test_the_choice_of_tools_in_its_four_forms(
    choice: dict[str, Any], expected: object, parallel: object
) -> None:
    chat = read_as(tools=[TOOL], tool_choice=choice)

    assert chat.request.tool_choice == expected
    assert chat.request.parallel_tool_calls is parallel


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}}, "none"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "max"),
        ({"output_config": {"effort": "xhigh"}}, "xhigh"),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, "none"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2_000}, "max_tokens": 10_000}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5_000}, "max_tokens": 10_000}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 9_999}, "max_tokens": 10_000}, "high"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 9_999}, "output_config": {"effort": "low"}},
            "low",
        ),
    ],
)
def test_thinking_and_effort_are_reasoning_effort_and_stay_beside_it(
    fields: dict[str, Any], effort: str | None
) -> None:
    chat = read_as(**fields)

    assert chat.request.reasoning_effort == effort
    assert {name: chat.extra[name] for name in chat.extra} == {
        name: value for name, value in fields.items() if name != "max_tokens"
    }


@pytest.mark.parametrize("fields", [{"output_config": {"format": FORM}}, {"output_format": FORM}])
def test_a_schema_of_the_answer_is_a_response_format(fields: dict[str, Any]) -> None:
    chat = read_as(**fields)

    assert chat.request.response_format == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": SCHEMA},
    }


def test_any_number_of_stops_and_the_user_are_kept() -> None:
    chat = read_as(stop_sequences=list("abcdef"), metadata={"user_id": "u-1"})

    assert chat.request.stop == list("abcdef")
    assert field(chat, "stop") == list("abcdef")
    assert (chat.request.user, chat.extra["metadata"]) == ("u-1", {"user_id": "u-1"})


def test_what_only_claude_knows_is_carried_and_the_gateways_own_fields_are_found() -> None:
    chat = read_as(
        cache_control=EPHEMERAL,
        context_management={"edits": []},
        service_tier="standard_only",
        tomorrow=1,
        max_cost_usd=0.5,
        usage={"include": True},
    )

    assert chat.extra == {
        "cache_control": EPHEMERAL,
        "context_management": {"edits": []},
        "service_tier": "standard_only",
    }
    assert bytes(chat.ours["max_cost_usd"]) == b"0.5"
    assert chat.request.usage is not None
    assert chat.request.usage.include


def test_a_call_that_only_counts_needs_no_limit() -> None:
    chat = read(asked(HI, max_tokens=None), counting=True)

    assert chat.request.limit is None
