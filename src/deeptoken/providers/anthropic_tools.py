"""Tools, the choice among them, and JSON schemas, as Anthropic's Messages API wants them.

Source: platform.claude.com/docs/en/agents-and-tools/tool-use/overview and
.../build-with-claude/structured-outputs; read 2026-11-23. A schema that is enforced (a strict tool, a
JSON answer) closes every object and has no bounds on numbers, lengths and counts: they
go on as words, in its description.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from deeptoken.errors import BadRequest
from deeptoken.wire.chat import Chat
from deeptoken.wire.messages_tools import BESIDE

NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}
NOT_ENFORCED = frozenset(
    (
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "maxItems", "uniqueItems", "contains", "minContains", "maxContains"),
        *("minProperties", "maxProperties", "patternProperties", "propertyNames"),
    )
)
FORMATS = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
)
RUN_BY_THE_CALLER = ("bash_", "text_editor_", "computer_", "memory_")
"""Anthropic's own tools that cost tokens only."""
SCHEMAS_BY_NAME = ("properties", "$defs", "definitions")
SCHEMAS_IN_LIST = ("anyOf", "allOf")


def tools(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Raises:
    BadRequest: a tool that Claude does not have.
    """
    return [_tool(tool, f"tools[{at}]") for at, tool in enumerate(given)]


def _tool(tool: dict[str, Any], path: str) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, dict):
        if not str(tool.get("type")).startswith(RUN_BY_THE_CALLER):
            # What Anthropic runs itself has fees that no class of tokens bears, on the operator's account.
            raise BadRequest("Claude's tools here are functions with a JSON schema.", param=f"{path}.type")
        return tool
    schema = function.get("parameters") or NO_PARAMETERS
    if schema.get("type") != "object":
        schema = {**schema, "type": "object"}
    strict = function.get("strict") is True
    translated = {"name": function.get("name"), "input_schema": enforceable(schema) if strict else schema}
    if description := function.get("description"):
        translated["description"] = description
    if strict:
        translated["strict"] = True
    if mark := function.get("cache_control"):
        translated["cache_control"] = mark
    return translated | {name: tool[name] for name in BESIDE if tool.get(name) is not None}


def tool_choice(choice: str | dict[str, Any] | None, parallel: bool | None) -> dict[str, Any] | None:
    """Raises:
    BadRequest: a choice that Claude cannot make.
    """
    match choice:
        case None if parallel is not False:
            return None
        case "none" | {"type": "none"}:
            return {"type": "none"}
        case None | "auto" | {"type": "auto"}:
            chosen: dict[str, Any] = {"type": "auto"}
        case "required" | {"type": "any"}:
            chosen = {"type": "any"}
        case {"type": "function", "function": {"name": str(name)}} | {"type": "tool", "name": str(name)}:
            chosen = {"type": "tool", "name": name}
        case _:
            raise BadRequest(
                "Claude chooses none, auto, required or one named function.", param="tool_choice"
            )
    if parallel is False:
        chosen["disable_parallel_tool_use"] = True
    return chosen


def enforceable(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without what the API refuses to enforce."""
    kept: dict[str, Any] = {}
    words: list[str] = []
    for key, value in schema.items():
        if key in SCHEMAS_BY_NAME and isinstance(value, dict):
            kept[key] = {name: _enforceable(inner) for name, inner in value.items()}
        elif key in SCHEMAS_IN_LIST and isinstance(value, list):
            kept[key] = [_enforceable(inner) for inner in value]
        elif key == "oneOf" and isinstance(value, list):
            kept["anyOf"] = [_enforceable(inner) for inner in value]
        elif key == "items":
            kept[key] = _enforceable(value)
        elif key in NOT_ENFORCED or (key == "minItems" and value not in (0, 1)):
            words.append(f"{key}: {msgspec.json.encode(value).decode()}")
        elif key == "format" and not (isinstance(value, str) and value in FORMATS):
            words.append(f"format: {value}")
        else:
            kept[key] = value
    if schema.get("type") == "object" or "properties" in schema:
        kept["additionalProperties"] = False
    if words:
        said = schema.get("description")
        kept["description"] = f"{said} ({', '.join(words)})" if said else ", ".join(words)
    return kept


def _enforceable(schema: Any) -> Any:
    return enforceable(schema) if isinstance(schema, dict) else schema


def unenforced(chat: Chat, *, strict: bool = True) -> tuple[str, ...]:
    """What `enforceable` turns into words in the schemas of a chat, each as a place and a keyword.

    Not `strict`: no tool is held to its schema.
    """
    lost: list[str] = []
    match chat.request.response_format:
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            lost += _lost(schema, "response_format.json_schema.schema")
    for at, tool in enumerate(chat.request.tools or () if strict else ()):
        function = tool.function
        if function is not None and function.strict is True and function.parameters:
            lost += _lost(function.parameters, f"tools[{at}].function.parameters")
    return tuple(lost)


def _lost(schema: Any, path: str) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    for key, value in schema.items():
        if key in SCHEMAS_BY_NAME and isinstance(value, dict):
            for name, inner in value.items():
                yield from _lost(inner, f"{path}.{key}.{name}")
        elif key in (*SCHEMAS_IN_LIST, "oneOf") and isinstance(value, list):
            for at, inner in enumerate(value):
                yield from _lost(inner, f"{path}.{key}[{at}]")
        elif key == "items":
            yield from _lost(value, f"{path}.items")
        elif key in NOT_ENFORCED or (key == "minItems" and value not in (0, 1)):
            yield f"{path} {key}"
        elif key == "format" and not (isinstance(value, str) and value in FORMATS):
            yield f"{path} format"
