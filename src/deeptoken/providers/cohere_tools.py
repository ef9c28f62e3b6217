"""Tools, the choice among them, and JSON schemas, as Cohere's Chat API wants them.

    auto, none, required        nothing, NONE, REQUIRED
    one function, some of them  these tools alone, and REQUIRED: the API cannot name one

Source: docs.cohere.com/reference/chat (`tool_choice`, `strict_tools`, `response_format`) and
.../docs/structured-outputs; read 2026-11-25. `strict_tools` holds for all tools of a call.
"""

from typing import Any

from deeptoken.errors import BadRequest
from deeptoken.wire.chat import ChatRequest

NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}

Tool = dict[str, Any]


def tool_fields(given: list[Tool], request: ChatRequest) -> dict[str, Any]:
    """`tools` and what belongs to them.

    Raises:
        BadRequest: a tool that Cohere does not have, or a choice that it cannot make.
    """
    tools = [_tool(tool, f"tools[{at}]") for at, tool in enumerate(given)]
    names, choice = _choice(request.tool_choice)
    if names is not None:
        tools = [tool for tool in tools if tool["function"]["name"] in names]
        if not tools:
            raise BadRequest("tool_choice names no function that is in tools.", param="tool_choice")
    if request.parallel_tool_calls is False and choice != "NONE" and len(tools) > 1:
        raise BadRequest(
            "Cohere may call several tools at once: leave parallel_tool_calls out, or give one tool.",
            param="parallel_tool_calls",
        )
    fields: dict[str, Any] = {"tools": tools}
    if choice is not None:
        fields["tool_choice"] = choice
    if all(tool["function"].get("strict") is True for tool in given):
        fields["strict_tools"] = True
    return fields


def _tool(tool: Tool, path: str) -> Tool:
    function = tool.get("function")
    if not isinstance(function, dict):
        raise BadRequest("Cohere's tools are functions with a JSON schema.", param=f"{path}.type")
    translated = {
        "name": function.get("name"),
        "parameters": function.get("parameters") or NO_PARAMETERS,
    }
    if description := function.get("description"):
        translated["description"] = description
    return {"type": "function", "function": translated}


def _choice(choice: str | dict[str, Any] | None) -> tuple[frozenset[str] | None, str | None]:
    """The only tools to be offered (None: all), and the word for it."""
    match choice:
        case None | "auto" | {"type": "auto"}:
            return None, None
        case "none" | {"type": "none"}:
            return None, "NONE"
        case "required" | {"type": "any"}:
            return None, "REQUIRED"
        case {"type": "function", "function": {"name": str(name)}} | {"type": "tool", "name": str(name)}:
            return frozenset((name,)), "REQUIRED"
        case {"type": "allowed_tools", "allowed_tools": {"tools": list(tools), **more}}:
            word = "REQUIRED" if more.get("mode") == "required" else None
            return frozenset(_named(tool) for tool in tools), word
    raise BadRequest("Cohere chooses none, auto, required or named functions.", param="tool_choice")


def _named(tool: Any) -> str:
    match tool:
        case {"function": {"name": str(name)}}:
            return name
    raise BadRequest("Cohere's tools are functions.", param="tool_choice")


def response_format(form: dict[str, Any] | None) -> dict[str, Any] | None:
    """Raises:
    BadRequest: a form that Cohere does not have.
    """
    match form:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            schema = form.get("json_schema") or form.get("schema")
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            pass
        case _:
            raise BadRequest(
                "Cohere answers with text, json_object or a json_schema with its schema.",
                param="response_format",
            )
    wanted: dict[str, Any] = {"type": "json_object"}
    return {**wanted, "json_schema": schema} if isinstance(schema, dict) else wanted
