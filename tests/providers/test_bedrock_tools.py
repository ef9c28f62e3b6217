"""Tools and the choice among them, as Converse takes them."""

from typing import Any

import pytest
from bedrock_scene import ADD, CLAUDE, GPT, HI, NOVA, OLD, PROFILE, asked, candidate, sent

from deeptoken.errors import BadRequest

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "integer", "description": "minimum: 1"}},
    "additionalProperties": False,
}
MARK = {"type": "ephemeral"}


def tool(name: str = "add", **function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **function}}


def specification(name: str = "add", **fields: Any) -> dict[str, Any]:
    return {"toolSpec": {"name": name, **fields}}


def test_tools_are_translated() -> None:
    config = sent(
        HI,
        tools=[
            tool("now"),
            tool("blank", description=" "),
            tool(description="Adds.", parameters=SCHEMA, strict=False) | {"cache_control": MARK},
            tool("typeless", parameters={"properties": {}}),
        ],
    )["toolConfig"]

    empty = {"json": {"type": "object", "properties": {}}}
    assert config == {
        "tools": [
            specification("now", inputSchema=empty),
            specification("blank", inputSchema=empty),
            specification(description="Adds.", inputSchema={"json": SCHEMA}),
            {"cachePoint": {"type": "default"}},
            specification("typeless", inputSchema=empty),
        ]
    }


@pytest.mark.parametrize(
    ("model", "strict"),
    [
        (CLAUDE, True),
        ("anthropic.claude-opus-5-5", True),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", False),
        (OLD, False),
        (NOVA, False),
        (GPT, False),
    ],
)
def test_a_schema_is_enforced_where_the_model_can(model: str, strict: bool) -> None:
    tools = sent(HI, model=model, tools=[tool(parameters=SCHEMA, strict=True)])["toolConfig"]["tools"]

    if strict:
        assert tools == [specification(inputSchema={"json": CLOSED}, strict=True)]
    else:
        assert tools == [specification(inputSchema={"json": SCHEMA})]


@pytest.mark.parametrize(("model", "marked"), [(CLAUDE, True), (PROFILE, True), (NOVA, False), (GPT, False)])
def test_tools_are_marked_where_the_model_keeps_them(model: str, marked: bool) -> None:
    tools = sent(HI, at=candidate(model, id="any"), tools=[tool(cache_control=MARK)])["toolConfig"]["tools"]

    assert (len(tools) == 2) is marked


@pytest.mark.parametrize("kind", ["custom", "web_search_20250305", "bash_20250124"])
def test_a_tool_that_is_no_function_is_refused(kind: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, tools=[ADD, {"type": kind, "name": "x"}])

    assert refused.value.param == "tools[1].type"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", None),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "add"}}, {"tool": {"name": "add"}}),
        ({"type": "auto"}, None),
        ({"type": "any"}, {"any": {}}),
        ({"type": "tool", "name": "add"}, {"tool": {"name": "add"}}),
    ],
)
def test_the_choice_of_tools_is_translated(choice: object, expected: object) -> None:
    assert sent(HI, tools=[ADD], tool_choice=choice)["toolConfig"].get("toolChoice") == expected


@pytest.mark.parametrize("choice", ["none", {"type": "none"}])
def test_where_no_tool_is_to_be_called_none_goes_along(choice: object) -> None:
    body = sent(HI, tools=[ADD], tool_choice=choice, parallel_tool_calls=False)

    assert "toolConfig" not in body
    assert "additionalModelRequestFields" not in body


def test_a_choice_without_tools_is_dropped() -> None:
    body = sent(HI, tool_choice="required", parallel_tool_calls=False)

    assert body == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


def test_a_choice_that_converse_does_not_know_is_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, tools=[ADD], tool_choice={"type": "allowed_tools"})

    assert refused.value.param == "tool_choice"


@pytest.mark.parametrize(
    ("model", "fields", "choice", "more"),
    [
        (CLAUDE, {}, None, {"type": "auto", "disable_parallel_tool_use": True}),
        (CLAUDE, {"tool_choice": "auto"}, None, {"type": "auto", "disable_parallel_tool_use": True}),
        (CLAUDE, {"tool_choice": "required"}, {"any": {}}, {"disable_parallel_tool_use": True}),
        (
            CLAUDE,
            {"tool_choice": {"type": "function", "function": {"name": "add"}}},
            {"tool": {"name": "add"}},
            {"disable_parallel_tool_use": True},
        ),
        (NOVA, {"tool_choice": "required"}, {"any": {}}, None),
    ],
)
def test_one_tool_at_a_time_is_claudes_own_word(
    model: str, fields: dict[str, Any], choice: object, more: object
) -> None:
    body = sent(HI, model=model, tools=[ADD], parallel_tool_calls=False, **fields)

    assert body["toolConfig"].get("toolChoice") == choice
    assert body.get("additionalModelRequestFields", {}).get("tool_choice") == more


def test_tools_in_parallel_need_no_word() -> None:
    assert "additionalModelRequestFields" not in sent(HI, tools=[ADD], parallel_tool_calls=True)


def test_a_schema_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(450):
        schema = {"type": "object", "properties": {"a": schema}}

    with pytest.raises(BadRequest):
        asked(HI, tools=[tool(parameters=schema, strict=True)])
