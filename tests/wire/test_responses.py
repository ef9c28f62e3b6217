"""A Responses request, read as a chat."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from responses_scene import asked, messages

from deeptoken.errors import BadRequest, UpstreamRefused
from deeptoken.wire.responses import read, refuse_beyond, rename

CALL = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a":1}', "id": "fc_1"}
CALLED = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
TOOL = {"type": "function", "name": "add", "parameters": {"type": "object"}, "strict": True}


def fields(**told: Any) -> dict[str, Any]:
    """The fields of the chat that a request is, but for its messages."""
    passing = {name: json.loads(bytes(raw)) for name, raw in asked(**told).fields.items()}
    del passing["messages"]
    return passing


def test_a_text_is_the_user_s_message_and_instructions_come_first() -> None:
    assert messages("Hi") == [{"role": "user", "content": "Hi"}]
    assert messages("Hi", instructions="Be brief.") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


def test_items_are_the_messages_of_a_chat() -> None:
    said = {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed"}

    told = messages(
        [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "input_text", "text": "2 and 2?"}]},
            {**said, "content": [{"type": "output_text", "text": "I add.", "annotations": []}]},
            CALL,
            {"type": "function_call_output", "call_id": "c1", "output": "4"},
            {"role": "assistant", "content": "Four."},
            {"role": "user", "content": "Thanks"},
        ]
    )

    assert told == [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "2 and 2?"},
        {"role": "assistant", "content": "I add.", "tool_calls": [CALLED]},
        {"role": "tool", "tool_call_id": "c1", "content": "4"},
        {"role": "assistant", "content": "Four."},
        {"role": "user", "content": "Thanks"},
    ]


def test_parts_are_the_parts_of_a_chat_and_keep_what_stands_beside() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    sound = {"data": "UklG", "format": "wav"}

    [told] = messages(
        [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "See", **mark},
                    {"type": "input_image", "image_url": "https://a/b.png", "detail": "low"},
                    {"type": "input_image", "image_url": "data:image/png;base64,iVBO"},
                    {"type": "input_file", "file_data": "data:application/pdf;base64,JVBE", "filename": "a"},
                    {"type": "input_file", "file_url": "https://a/b.pdf"},
                    {"type": "input_audio", "input_audio": sound},
                ],
            }
        ]
    )

    assert told["content"] == [
        {"type": "text", "text": "See", **mark},
        {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
        {"type": "file", "file": {"filename": "a", "file_data": "data:application/pdf;base64,JVBE"}},
        {"type": "file", "file": {"file_data": "https://a/b.pdf"}},
        {"type": "input_audio", "input_audio": sound},
    ]


def test_a_tool_s_output_may_have_parts() -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,iVBO"}

    output = {"type": "function_call_output", "call_id": "c1", "output": [picture]}

    assert messages([CALL, output])[1]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
    ]


def test_all_that_an_assistant_did_in_one_turn_is_one_message() -> None:
    thought = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}
    more = {**CALL, "call_id": "c2"}

    told = messages(
        [
            thought,
            {"role": "assistant", "content": "I "},
            CALL,
            thought,
            {"role": "assistant", "content": "add."},
            more,
            {"type": "function_call_output", "call_id": "c2", "output": "b"},
            {"type": "function_call_output", "call_id": "c1", "output": "a"},
        ]
    )

    assert told == [
        {
            "role": "assistant",
            "reasoning_content": "Hm.Hm.",
            "content": "I add.",
            "tool_calls": [CALLED, {**CALLED, "id": "c2"}],
        },
        {"role": "tool", "tool_call_id": "c2", "content": "b"},
        {"role": "tool", "tool_call_id": "c1", "content": "a"},
    ]


def test_two_messages_of_an_assistant_stay_two() -> None:
    assert messages([{"role": "assistant", "content": one} for one in "ab"]) == [
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]


def test_a_thought_that_led_to_nothing_is_dropped() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]}

    assert messages([thought, {"role": "user", "content": "Go on"}]) == [{"role": "user", "content": "Go on"}]


def test_thoughts_that_a_host_encrypted_are_kept_as_its_own() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA=="}

    [told] = messages([thought, CALL])

    assert told["reasoning_details"] == [
        {"type": "reasoning.encrypted", "data": "gAAA==", "format": "openai-responses-v1", "id": "rs_1"}
    ]


def test_pictures_that_were_generated_stay_with_their_turn() -> None:
    picture = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "iVBO"}

    [told] = messages([picture, {"role": "assistant", "content": "Here."}])

    assert told["images"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]


def test_tools_have_the_chat_s_shape() -> None:
    told = fields(tools=[TOOL], tool_choice={"type": "function", "name": "add"}, parallel_tool_calls=False)

    assert told == {
        "tools": [
            {
                "type": "function",
                "function": {"name": "add", "parameters": {"type": "object"}, "strict": True},
            }
        ],
        "tool_choice": {"type": "function", "function": {"name": "add"}},
        "parallel_tool_calls": False,
    }


@pytest.mark.parametrize("choice", ["none", "auto", "required"])
def test_a_choice_of_tools_goes_on(choice: str) -> None:
    assert fields(tools=[TOOL], tool_choice=choice)["tool_choice"] == choice


def test_allowed_tools_are_the_only_ones_that_go_on() -> None:
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "add"}]}

    told = fields(tools=[{**TOOL, "name": "other"}, TOOL], tool_choice=choice)

    assert [tool["function"]["name"] for tool in told["tools"]] == ["add"]
    assert told["tool_choice"] == "required"


def test_options_have_the_chat_s_names() -> None:
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}

    told = fields(
        max_output_tokens=9,
        text={"format": schema, "verbosity": "low"},
        reasoning={"effort": "high", "summary": "auto"},
        include=["message.output_text.logprobs", "reasoning.encrypted_content"],
        top_logprobs=2,
    )

    assert told == {
        "max_completion_tokens": 9,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
        },
        "verbosity": "low",
        "reasoning_effort": "high",
        "logprobs": True,
        "top_logprobs": 2,
    }


def test_what_has_no_meaning_without_storage_stays_here_and_the_rest_goes_on() -> None:
    same: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "u",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "service_tier": "flex",
        "stream": True,
        "tomorrow": {"a": [1]},
    }

    told = fields(
        store=True, metadata={"a": "b"}, truncation="auto", max_tool_calls=3, background=False, **same
    )

    assert told == same


def test_what_came_is_kept_for_a_host_of_the_dialect() -> None:
    body = b'{"model":"acme/one", "input":"H\\u0069", "store" : true, "max_cost_usd":1, "user":null}'

    chat = read(body)

    assert chat.native is not None
    assert {name: bytes(raw) for name, raw in chat.native.fields.items()} == {
        "model": b'"acme/one"',
        "input": b'"H\\u0069"',
        "store": b"true",
    }
    assert (chat.native.dialect, chat.size, bytes(chat.ours["max_cost_usd"])) == (
        "responses",
        len(body),
        b"1",
    )


def test_a_field_that_stands_twice_in_an_item_goes_on_once() -> None:
    chat = read(b'{"model":"m","input":[{"role":"user","role":"system","content":"a"}]}')

    assert chat.native is not None
    assert bytes(chat.native.fields["input"]) == b'[{"role":"system","content":"a"}]'


@pytest.mark.parametrize(
    ("told", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"background": True}, "background"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].id"),
        ({"input": [{"id": "msg_1"}]}, "input[0].id"),
        ({"input": None}, "input"),
        ({"input": 5}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a"]}, "input[0]"),
        ({"input": [{}]}, "input[0].type"),
        ({"input": [{"role": "tool", "content": "a"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [5]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].file_id",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].image_url",
        ),
        (
            {"input": [{"role": "assistant", "content": [{"type": "output_text"}]}]},
            "input[0].content[0].text",
        ),
        ({"input": [{**CALL, "arguments": {}}]}, "input[0].arguments"),
        ({"input": [{**CALL, "call_id": None}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "output": "a"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": 4}]}, "input[0].output"),
        (
            {"input": [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_file"}]}]},
            "input[0].output[0].file_data",
        ),
        ({"input": [{"type": "reasoning", "summary": "a"}]}, "input[0].summary"),
        ({"input": [{"type": "reasoning", "summary": [{}]}]}, "input[0].summary[0].text"),
        ({"input": [{"type": "reasoning", "encrypted_content": 5}]}, "input[0].encrypted_content"),
        (
            {"input": [{"type": "computer_call_output", "output": {"file_id": "f"}}]},
            "input[0].output.file_id",
        ),
        ({"tools": [{"name": "add"}]}, "tools[0].type"),
        ({"tools": [TOOL, {"type": "function"}]}, "tools[1].name"),
        ({"tools": [{**TOOL, "parameters": []}]}, "tools[0].parameters"),
        ({"tools": [{**TOOL, "strict": 1}]}, "tools[0].strict"),
        ({"tools": [TOOL], "tool_choice": "add"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "tool_choice.tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "file_search"}}, "tool_choice.type"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"text": {"verbosity": 5}}, "text.verbosity"),
        ({"reasoning": {"effort": 5}}, "reasoning.effort"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_tokens": 9}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"temperature": 3}, "temperature"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"include": "a"}, "include"),
        ({"metadata": {"a": 1}}, "metadata[...]"),
        ({"truncation": "some"}, "truncation"),
        ({"model": ""}, "model"),
        ({"n": 2}, "n"),
        ({"stop": ["a"] * 5}, "stop"),
    ],
)
def test_what_is_wrong_is_told_by_the_dialect_s_own_name(told: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(**{"given": told.pop("input", "Hi"), **told})

    assert refused.value.param == param
    assert refused.value.message.startswith(param)


HOSTED = (
    "web_search",
    "web_search_preview",
    "file_search",
    "code_interpreter",
    "image_generation",
    "mcp",
    "shell",
    "tool_search",
    "tomorrow",
)


@pytest.mark.parametrize("kind", HOSTED)
def test_a_tool_that_the_host_runs_has_no_price_and_is_refused(kind: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(tools=[TOOL, {"type": kind}])

    assert refused.value.param == "tools[1].type"


ONLY_NATIVE: list[tuple[dict[str, Any], str]] = [
    ({"tools": [TOOL, {"type": "custom", "name": "patch"}]}, "tools[1].type"),
    ({"tools": [{"type": "local_shell"}]}, "tools[0].type"),
    ({"tools": [{"type": "shell", "environment": {"type": "local"}}]}, "tools[0].type"),
    ({"tools": [{"type": "namespace", "name": "n", "tools": [TOOL]}]}, "tools[0].type"),
    ({"given": ["Hi", {"type": "custom_tool_call_output", "call_id": "c", "output": "a"}]}, "input[1].type"),
    ({"given": [{"role": "user", "content": [{"type": "input_video"}]}]}, "input[0].content[0].type"),
    ({"given": [{"role": "assistant", "content": [{"type": "spoken"}]}]}, "input[0].content[0].type"),
    ({"given": [{"type": "compaction", "encrypted_content": "gAAA"}]}, "input[0].type"),
    ({"context_management": [{"type": "compaction"}]}, "context_management"),
    ({"moderation": {"model": "m"}}, "moderation"),
]


@pytest.mark.parametrize(("told", "param"), ONLY_NATIVE)
def test_what_only_a_host_of_the_dialect_can_do_is_refused_where_there_is_none(
    told: dict[str, Any], param: str
) -> None:
    given = [{"role": "user", "content": "Hi"} if one == "Hi" else one for one in told.get("given", ["Hi"])]

    chat = asked(**{**told, "given": given})

    with pytest.raises(BadRequest) as refused:
        refuse_beyond(chat)
    assert refused.value.param == param


def test_what_a_chat_can_carry_is_refused_nowhere() -> None:
    refuse_beyond(asked([CALL], tools=[TOOL]))


def test_an_error_of_the_chat_inside_names_the_dialect_s_field() -> None:
    named = {
        "max_completion_tokens": "max_output_tokens",
        "messages[3].content[0].image_url.url": "input",
        "response_format.json_schema": "text.format",
        "reasoning_effort": "reasoning.effort",
        "top_logprobs": "top_logprobs",
        "tools[0].function": "tools[0].function",
    }

    for param, here in named.items():
        error = UpstreamRefused(f"{param} is wrong.", status=422, code="c", param=param)
        rename(error)
        assert (error.param, error.message, error.status) == (here, f"{here} is wrong.", 422)


NAMES = (
    "type",
    "role",
    "content",
    "id",
    "text",
    "call_id",
    "output",
    "summary",
    "arguments",
    "file_id",
    "name",
)
WORDS = (
    "message",
    "user",
    "assistant",
    "input_text",
    "output_text",
    "reasoning",
    "function_call",
    "a",
    "function",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 9) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
FIELDS = (
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "include",
    "max_output_tokens",
)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_body_is_a_chat_or_refused_by_a_name_of_this_dialect(told: dict[str, Any]) -> None:
    given = told.pop("input", "Hi")

    refused: BadRequest | None = None
    try:
        refuse_beyond(asked(given, **told))
    except BadRequest as error:
        refused = error

    assert refused is None or re.split(r"[.\[]", refused.param or "")[0] in FIELDS


def test_what_is_nested_too_deeply_is_refused() -> None:
    for depth in (500, 900, 980, 985, 990, 995, 1_000, 5_000):
        deep = b"[" * depth + b"]" * depth
        body = b'{"model":"m","input":[{"role":"user","content":"Hi"},{"type":"tomorrow","a":%b}]}' % deep

        with pytest.raises(BadRequest, match="nested too deeply"):
            read(body)
