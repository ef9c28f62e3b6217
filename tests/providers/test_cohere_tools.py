"""Tools and the choice among them, as Cohere gets them."""

from typing import Any

import pytest
from cohere_scene import HI, asked, sent

from deeptoken.errors import BadRequest

ADD: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "parameters": {"type": "object", "properties": {"a": {"type": "number", "minimum": 1}}},
    },
}
NOW: dict[str, Any] = {"type": "function", "function": {"name": "now"}}
NOW_SENT = {
    "type": "function",
    "function": {"name": "now", "parameters": {"type": "object", "properties": {}}},
}


def strict(tool: dict[str, Any]) -> dict[str, Any]:
    return {**tool, "function": {**tool["function"], "strict": True}}


def test_tools_go_on_with_their_schemas() -> None:
    body = sent(HI, tools=[ADD, NOW])

    assert body["tools"] == [ADD, NOW_SENT]
    assert body.keys() == {"model", "messages", "stream", "tools"}


def test_tools_are_strict_if_all_of_them_are() -> None:
    every = sent(HI, tools=[strict(ADD), strict(NOW)])
    some = sent(HI, tools=[strict(ADD), NOW])

    assert every["strict_tools"] is True
    assert every["tools"] == some["tools"] == [ADD, NOW_SENT]
    assert "strict_tools" not in some


def allowed(mode: str, *tools: Any) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}}


@pytest.mark.parametrize(
    ("choice", "names", "word"),
    [
        ("auto", ["add", "now"], None),
        ("none", ["add", "now"], "NONE"),
        ("required", ["add", "now"], "REQUIRED"),
        ({"type": "function", "function": {"name": "now"}}, ["now"], "REQUIRED"),
        ({"type": "tool", "name": "now"}, ["now"], "REQUIRED"),
        (allowed("auto", ADD), ["add"], None),
        (allowed("required", ADD, NOW), ["add", "now"], "REQUIRED"),
    ],
)
def test_a_choice_is_a_word_and_the_tools_that_are_offered(
    choice: Any, names: list[str], word: str | None
) -> None:
    body = sent(HI, tools=[ADD, NOW], tool_choice=choice)

    assert [tool["function"]["name"] for tool in body["tools"]] == names
    assert body.get("tool_choice") == word


def test_a_choice_without_tools_is_none() -> None:
    assert sent(HI, tool_choice="none").keys() == {"model", "messages", "stream"}


@pytest.mark.parametrize(
    "choice", ["auto", "required", allowed("auto", ADD, NOW)], ids=["auto", "required", "allowed"]
)
def test_one_call_at_a_time_cannot_be_promised_of_several_tools(choice: Any) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, tools=[ADD, NOW], tool_choice=choice, parallel_tool_calls=False)

    assert refused.value.param == "parallel_tool_calls"


@pytest.mark.parametrize(
    ("tools", "choice"),
    [
        ([ADD], "auto"),
        ([ADD, NOW], "none"),
        ([ADD, NOW], {"type": "function", "function": {"name": "now"}}),
    ],
)
def test_one_call_at_a_time_goes_without_saying_where_there_is_one_tool(tools: Any, choice: Any) -> None:
    body = sent(HI, tools=tools, tool_choice=choice, parallel_tool_calls=False)

    assert "parallel_tool_calls" not in body


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools[0].type"),
        ({"tools": [ADD], "tool_choice": {"type": "custom"}}, "tool_choice"),
        ({"tools": [ADD], "tool_choice": {"type": "function", "function": {"name": "now"}}}, "tool_choice"),
        ({"tools": [ADD], "tool_choice": allowed("auto", {"type": "mcp"})}, "tool_choice"),
    ],
)
def test_tools_and_choices_that_cohere_does_not_have_are_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, **fields)

    assert refused.value.param == param
