"""What a Responses request must not ask, and the names by which it is told so."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from responses_scene import asked

from deeptoken.errors import BadRequest, UpstreamRefused
from deeptoken.wire.responses import read, refuse_beyond, rename

CALL = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a":1}', "id": "fc_1"}
TOOL = {"type": "function", "name": "add", "parameters": {"type": "object"}, "strict": True}


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
        ({"input": [{"type": "image_generation_call", "id": "ig_1"}]}, "input[0].result"),
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
        "tools[0].function": "tools[0]",
        "tools[0].function.parameters.function": "tools[0].parameters.function",
        "tool_choice.function.name": "tool_choice.name",
    }

    for param, here in named.items():
        error = UpstreamRefused(f"{param} is wrong.", status=422, code="c", param=param)
        rename(error)
        assert (error.param, error.message, error.status) == (here, f"{here} is wrong.", 422)


def test_a_name_of_the_chat_s_that_the_caller_wrote_is_told_as_it_was_written() -> None:
    with pytest.raises(BadRequest) as refused:
        asked(max_tokens=9)

    rename(refused.value)

    assert refused.value.param == "max_tokens"
    assert refused.value.message == "max_tokens: it is called max_output_tokens in the Responses API."


def test_of_an_error_s_words_only_the_field_itself_is_renamed() -> None:
    error = UpstreamRefused("logprobs needs top_logprobs.", status=400, code="c", param="logprobs")

    rename(error)

    assert error.message == "include needs top_logprobs."


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


def test_a_field_by_a_chat_s_name_is_told_by_the_name_that_was_sent() -> None:
    with pytest.raises(BadRequest) as refused:
        read(b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}')

    rename(refused.value)

    assert refused.value.message == "messages: it is called input in the Responses API."
    assert refused.value.param == "messages"
