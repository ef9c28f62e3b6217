"""Tools, the choice among them, effort and schemas: Anthropic's words as a chat's.

    tools           functions; what Anthropic defines stays as it is, for Claude alone
    tool_choice     auto, any, tool, none: auto, required, the function, none
    thinking        `reasoning_effort`: none where it is disabled, else by its share of max_tokens
    output_config   its effort is `reasoning_effort`, the same word; its format `response_format`

Source: platform.claude.com/docs/en/agents-and-tools/tool-use/overview, .../build-with-claude/effort,
.../build-with-claude/structured-outputs and the SDK's types; read 2026-11-25. What Anthropic runs itself and
bills apart (web search, code execution, remote servers) is refused: no class of tokens bears its
fees, and the account is the operator's. What it runs for tokens alone passes.
"""

from typing import Any

from deeptoken.wire.messages_turns import string, wrong

WITHOUT_FEES = (
    "bash_",
    "text_editor_",
    "computer_",
    "memory_",
    "browser_",
    "web_fetch_",
    "tool_search_tool_",
)
"""Tools that Anthropic defines and that cost tokens only, by how their type starts."""
BESIDE = (
    "cache_control",
    "defer_loading",
    "eager_input_streaming",
    "input_examples",
    "allowed_callers",
)
"""What a tool has beside its function, in Anthropic's words."""
CHOICES = {"auto": "auto", "any": "required", "none": "none"}
EFFORTS = ((20, "low"), (50, "medium"))
"""Up to that percent of max_tokens for thinking; more is high."""
FORMAT_NAME = "answer"


def tools(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Raises:
    BadRequest: a tool without name or schema, or one with fees that nobody here would pay.
    """
    return [_tool(tool, f"tools.{at}") for at, tool in enumerate(given)]


def _tool(tool: dict[str, Any], path: str) -> dict[str, Any]:
    kind = tool.get("type")
    if kind not in (None, "custom"):
        if not isinstance(kind, str) or not kind.startswith(WITHOUT_FEES):
            raise wrong(
                f"{path}.type",
                f"{kind!r} is run by Anthropic for a fee that no price here bears. Leave it out.",
            )
        return tool
    function: dict[str, Any] = {"name": string(tool, "name", path)}
    if description := tool.get("description"):
        function["description"] = string(tool, "description", path) and description
    if not isinstance(tool.get("input_schema"), dict):
        raise wrong(f"{path}.input_schema", "expected a JSON schema")
    function["parameters"] = tool["input_schema"]
    if tool.get("strict") is True:
        function["strict"] = True
    told = {"type": "function", "function": function}
    return told | {name: tool[name] for name in BESIDE if tool.get(name) is not None}


def choice(given: dict[str, Any]) -> tuple[str | dict[str, Any], bool | None]:
    """`tool_choice` and `parallel_tool_calls`.

    Raises:
        BadRequest: a choice that there is not.
    """
    parallel = False if given.get("disable_parallel_tool_use") is True else None
    kind = given.get("type")
    if kind == "tool":
        name = string(given, "name", "tool_choice")
        return {"type": "function", "function": {"name": name}}, parallel
    if not isinstance(kind, str) or kind not in CHOICES:
        raise wrong("tool_choice.type", "expected auto, any, tool or none")
    return CHOICES[kind], parallel


def effort(
    thinking: dict[str, Any] | None, output: dict[str, Any] | None, max_tokens: int | None
) -> str | None:
    """`reasoning_effort`; None where the caller leaves it to the model.

    Raises:
        BadRequest: a budget that is no number.
    """
    wanted = (output or {}).get("effort")
    if wanted is not None:
        wanted = string(output or {}, "effort", "output_config")
    if thinking is None:
        return wanted
    kind = string(thinking, "type", "thinking")
    if kind == "disabled":
        return "none"
    if kind != "enabled" or wanted is not None:
        return wanted
    budget = thinking.get("budget_tokens")
    if type(budget) is not int or budget < 1:
        raise wrong("thinking.budget_tokens", "expected a number of tokens")
    share = budget * 100 // max(1, max_tokens or budget)
    return next((word for most, word in EFFORTS if share <= most), "high")


def response_format(output: dict[str, Any] | None, older: dict[str, Any] | None) -> dict[str, Any] | None:
    """The JSON schema of the answer: by `output_config.format`, or as the preview had it, `output_format`.

    Raises:
        BadRequest: a format that there is not.
    """
    newer = (output or {}).get("format")
    given, path = (older, "output_format") if newer is None else (newer, "output_config.format")
    match given:
        case None:
            return None
        case {"type": "json_schema", "schema": dict(schema)}:
            return {"type": "json_schema", "json_schema": {"name": FORMAT_NAME, "schema": schema}}
    raise wrong(path, "expected json_schema and its schema")
