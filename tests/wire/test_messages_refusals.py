"""A call in Anthropic's dialect that cannot be: each mistake is named by its path there."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_client import HI, TOOL, asked
from deeptoken.errors import BadRequest
from deeptoken.wire.messages import read

CALL = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}}


def refused(body: bytes) -> BadRequest:
    with pytest.raises(BadRequest) as error:
        read(body)
    return error.value


def turn(*blocks: object, role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": list(blocks)}]}


def mistake_in(body: bytes) -> BadRequest | None:
    try:
        read(body)
    except BadRequest as error:
        return error
    return None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": []}]}, "messages"),
        ({"messages": [HI, {"role": "tool", "content": "x"}]}, "messages.1.role"),
        ({"messages": [HI, {"role": "user"}]}, "messages.1.content"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages.0.content"),
        ({"system": 1}, "system"),
        ({"system": [{"type": "image"}]}, "system.0.type"),
        ({"system": [{"type": "text"}]}, "system.0.text"),
        ({"temperature": 1.5}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"stop_sequences": [1]}, "stop_sequences.0"),
        ({"stream": 1}, "stream"),
        ({"tools": [{"name": "x"}]}, "tools.0.input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.name"),
        ({"tools": [TOOL | {"description": 1}]}, "tools.0.description"),
        ({"tools": [TOOL, {"type": "web_search_20260209", "name": "web_search"}]}, "tools.1.type"),
        ({"tools": [{"type": "code_execution_20260521", "name": "code_execution"}]}, "tools.0.type"),
        ({"tools": [{"type": "something_new_20270101", "name": "x"}]}, "tools.0.type"),
        ({"tool_choice": {"type": "all"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": {}}, "thinking.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"output_config": {"effort": 3}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format"),
        ({"output_format": {"type": "json_schema"}}, "output_format"),
        ({"container": "c"}, "container"),
        ({"mcp_servers": [{"url": "https://x.example"}]}, "mcp_servers"),
        ({"speed": "fast"}, "speed"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"fallbacks": [{"model": "x"}]}, "fallbacks"),
        (turn({"text": "x"}), "messages.0.content.0.type"),
        (turn({"type": "text"}), "messages.0.content.0.text"),
        (turn({"type": "image"}), "messages.0.content.0.source"),
        (turn({"type": "image", "source": {"type": "base64"}}), "messages.0.content.0.source"),
        (turn({"type": "image", "source": {"type": "file", "file_id": "f"}}), "messages.0.content.0.source"),
        (turn({"type": "document", "source": {"type": "url"}}), "messages.0.content.0.source"),
        (turn({"type": "container_upload", "file_id": "f"}), "messages.0.content.0.file_id"),
        (
            turn({"type": "document", "source": {"type": "content", "content": [{"type": "video"}]}}),
            "messages.0.content.0.source.content.0",
        ),
        (turn({"type": "search_result", "source": "s"}), "messages.0.content.0.title"),
        (turn({"type": "tool_result"}), "messages.0.content.0.tool_use_id"),
        (turn({"type": "tool_result", "tool_use_id": "t", "content": 1}), "messages.0.content.0.content"),
        (turn({"type": "tool_result", "tool_use_id": "t", "content": [1]}), "messages.0.content.0.content"),
        (
            turn({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text"}]}),
            "messages.0.content.0.content.0.text",
        ),
        (turn(CALL), "messages.0.content.0.type"),
        (turn({"type": "tool_result"}, role="assistant"), "messages.0.content.0.type"),
        (turn(CALL | {"input": "x"}, role="assistant"), "messages.0.content.0.input"),
        (turn(CALL | {"id": None}, role="assistant"), "messages.0.content.0.id"),
        (turn({"type": "thinking"}, role="assistant"), "messages.0.content.0.thinking"),
        (
            turn({"type": "thinking", "thinking": "", "signature": 1}, role="assistant"),
            "messages.0.content.0.signature",
        ),
        (turn({"type": "redacted_thinking"}, role="assistant"), "messages.0.content.0.data"),
    ],
)
def test_what_is_wrong_is_named_as_anthropic_names_it(fields: dict[str, Any], param: str) -> None:
    error = refused(asked(**fields))

    assert error.param == param
    assert param in error.message


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"model": "\xff"}', b"[" * 100_000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    refused(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "text", "content", "source", "id", "input", "role", "name"]), inner
            )
        ),
        max_leaves=8,
    ),
    st.sampled_from(["messages", "system", "tools", "tool_choice", "thinking", "output_config", "metadata"]),
)
def test_no_nonsense_passes_for_a_mistake_of_ours(value: object, name: str) -> None:
    mistake = mistake_in(json.dumps(json.loads(asked(HI)) | {name: value}).encode())

    assert mistake is None or (mistake.param and "[" not in mistake.param), "a path of the chat's"
