"""Tools and the choice among them, as Converse wants them.

    auto        toolChoice.auto, or nothing
    required    toolChoice.any
    a function  toolChoice.tool
    none        Converse has no such choice: no tools go along

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html and
.../userguide/structured-output.html (whose subset of JSON schema is Anthropic's); read 2026-11-25. That
Claude calls one tool at a time is said in its own words: Converse has none.
"""

from typing import Any

from deeptoken.errors import BadRequest
from deeptoken.providers.anthropic_tools import NO_PARAMETERS, enforceable
from deeptoken.providers.bedrock_messages import cache_point

Choice = str | dict[str, Any] | None


def none_wanted(choice: Choice) -> bool:
    return choice == "none" or (isinstance(choice, dict) and choice.get("type") == "none")


def tools(given: list[dict[str, Any]], *, strict: bool, marks: tuple[str, ...]) -> list[dict[str, Any]]:
    """`strict`: the model can be held to a schema. `marks` as for messages.

    Raises:
        BadRequest: a tool that is no function.
    """
    written: list[dict[str, Any]] = []
    for at, tool in enumerate(given):
        function = tool.get("function")
        if not isinstance(function, dict):
            raise BadRequest("Bedrock's tools are functions with a JSON schema.", param=f"tools[{at}].type")
        written.append({"toolSpec": _specification(function, strict=strict)})
        written += cache_point(tool.get("cache_control") or function.get("cache_control"), marks)
    return written


def _specification(function: dict[str, Any], *, strict: bool) -> dict[str, Any]:
    schema = function.get("parameters") or NO_PARAMETERS
    if schema.get("type") != "object":
        schema = {**schema, "type": "object"}
    held = strict and function.get("strict") is True
    specification = {
        "name": function.get("name"),
        "inputSchema": {"json": enforceable(schema) if held else schema},
    }
    if (description := function.get("description")) and not description.isspace():
        specification["description"] = description
    if held:
        specification["strict"] = True
    return specification


def tool_choice(choice: Choice) -> dict[str, Any] | None:
    """Raises:
    BadRequest: a choice that Converse does not know.
    """
    match choice:
        case None | "auto" | {"type": "auto"}:
            return None
        case "required" | {"type": "any"}:
            return {"any": {}}
        case {"type": "function", "function": {"name": str(name)}} | {"type": "tool", "name": str(name)}:
            return {"tool": {"name": name}}
    raise BadRequest("Bedrock chooses none, auto, required or one named function.", param="tool_choice")


def one_at_a_time(chosen: dict[str, Any] | None) -> dict[str, Any]:
    """Claude's own words beside a choice: what both said would be refused."""
    one = {"disable_parallel_tool_use": True}
    return one if chosen else {"type": "auto", **one}
