"""Tools, their choice and schemas, as Anthropic takes them."""

from typing import Any

import pytest
from anthropic_scene import HI, asked, sent

from deeptoken.errors import BadRequest


@pytest.mark.parametrize("kind", ["web_search_20250305", "code_execution_20250825", "mcp_toolset"])
def test_a_tool_that_anthropic_runs_for_a_fee_is_refused(kind: str) -> None:
    with pytest.raises(BadRequest) as refused:
        sent(HI, tools=[{"type": kind, "name": "x"}])

    assert refused.value.param == "tools[0].type"


def test_tools_are_translated_and_anthropics_own_pass() -> None:
    own = {"type": "bash_20250124", "name": "bash"}
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
    mark = {"type": "ephemeral"}

    body = sent(
        HI,
        tools=[
            {"type": "function", "function": {"name": "now"}},
            {
                "type": "function",
                "function": {"name": "add", "description": "Adds.", "parameters": schema},
                "cache_control": mark,
            },
            {"type": "function", "function": {"name": "strict", "parameters": schema, "strict": True}},
            own,
        ],
    )

    assert body["tools"] == [
        {"name": "now", "input_schema": {"type": "object", "properties": {}}},
        {"name": "add", "description": "Adds.", "input_schema": schema, "cache_control": mark},
        {
            "name": "strict",
            "strict": True,
            "input_schema": {
                "type": "object",
                "properties": {"a": {"type": "integer", "description": "minimum: 1"}},
                "additionalProperties": False,
            },
        },
        own,
    ]
    assert "tool_choice" not in body


def test_a_tool_that_is_no_function_is_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, tools=[{"type": "custom", "custom": {"name": "x"}}])

    assert refused.value.param == "tools[0].type"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "now"}}},
            {"type": "tool", "name": "now"},
        ),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"tool_choice": "required", "parallel_tool_calls": False},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"parallel_tool_calls": True}, None),
    ],
)
def test_the_choice_of_tools_is_translated(fields: dict[str, Any], expected: object) -> None:
    now = {"type": "function", "function": {"name": "now"}}

    assert sent(HI, tools=[now], **fields).get("tool_choice") == expected


def test_a_schema_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(450):
        schema = {"type": "object", "properties": {"a": schema}}
    deep = {"type": "function", "function": {"name": "deep", "strict": True, "parameters": schema}}

    with pytest.raises(BadRequest):
        asked(HI, tools=[deep])


def test_a_choice_without_tools_is_dropped() -> None:
    assert "tool_choice" not in sent(HI, tool_choice="auto", parallel_tool_calls=False)


def test_a_json_schema_is_enforced_by_the_api_itself() -> None:
    schema = {
        "type": "object",
        "properties": {
            "names": {"type": "array", "minItems": 3, "items": {"$ref": "#/$defs/name"}},
            "kind": {"oneOf": [{"type": "null"}, {"type": "object", "properties": {}}]},
        },
        "required": ["names"],
        "$defs": {"name": {"type": "string", "maxLength": 9, "format": "iban", "description": "A name"}},
    }

    body = sent(HI, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})

    closed = {"type": "object", "properties": {}, "additionalProperties": False}
    assert body["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {
                "names": {"type": "array", "items": {"$ref": "#/$defs/name"}, "description": "minItems: 3"},
                "kind": {"anyOf": [{"type": "null"}, closed]},
            },
            "required": ["names"],
            "$defs": {"name": {"type": "string", "description": "A name (maxLength: 9, format: iban)"}},
            "additionalProperties": False,
        },
    }


def test_a_property_named_like_a_bound_stays_a_property() -> None:
    schema = {"type": "object", "properties": {"minimum": {"type": "integer"}}}

    body = sent(HI, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})

    assert body["output_config"]["format"]["schema"]["properties"] == {"minimum": {"type": "integer"}}


def test_json_without_a_schema_is_asked_for_in_the_system_prompt() -> None:
    body = sent({"role": "system", "content": "Be brief."}, HI, response_format={"type": "json_object"})

    assert body["system"][0]["text"] == "Be brief."
    assert "valid JSON object" in body["system"][1]["text"]
