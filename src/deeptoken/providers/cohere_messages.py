"""The messages of a chat as Cohere's Chat API wants them.

    system, developer    one system message, first of all, with all of them in their order
    user                 text and pictures
    tool, function       text, and Cohere's own parts of type `document`
    assistant            thinking, text, `tool_plan`, `tool_calls`

Source: docs.cohere.com/reference/chat, .../docs/reasoning, .../v2/docs/tool-use-overview; read 2026-11-25.
What the API refuses and a chat may have is left out: blank text, empty messages, other providers'
reasoning. Names of messages have no place there.
"""

from typing import Any

from deeptoken.errors import BadRequest
from deeptoken.providers.cohere_answer import NO_ARGUMENTS, PLAN_FORMAT, THOUGHT_FORMAT
from deeptoken.wire.chat import FunctionCall, Message

Turn = dict[str, Any]
Part = dict[str, Any]

ERROR = "Error: "
"""How a tool's result begins that is an error."""
USER = ("text", "refusal", "image_url")
TOOL = ("text", "refusal", "document")
TEXT = ("text", "refusal")


def turns(messages: list[Message]) -> list[Turn]:
    """Raises:
    BadRequest: a part that Cohere cannot read, or nothing to read at all.
    """
    system: list[str] = []
    said: list[Turn] = []
    function = ""
    for at, message in enumerate(messages):
        if message.role in ("system", "developer"):
            system += (part["text"] for part in _parts(message, at, TEXT))
        elif turn := _turn(message, at, function):
            said.append(turn)
        if message.function_call:
            function = _function_id(at)
    if system:
        # The API takes one system message, and that one first.
        said.insert(0, {"role": "system", "content": "\n\n".join(system)})
    if not said:
        raise BadRequest("There is no message with content.", param="messages")
    return said


def _turn(message: Message, at: int, function: str) -> Turn | None:
    """None where nothing is said. `function` is the id of the last function call of the older kind."""
    match message.role:
        case "user":
            content = _content(message, at, USER)
            return {"role": "user", "content": content} if content else None
        case "assistant":
            said = _assistant(message, at)
            return {"role": "assistant", **said} if said else None
    return _result(message, at, function)


def _content(message: Message, at: int, kinds: tuple[str, ...]) -> str | list[Part]:
    """Text as text; parts as parts. Empty where nothing is said."""
    if isinstance(message.content, str):
        return "" if _blank(message.content) else message.content
    return _parts(message, at, kinds)


def _parts(message: Message, at: int, kinds: tuple[str, ...]) -> list[Part]:
    match message.content:
        case None:
            return []
        case str(text):
            return [] if _blank(text) else [_text(text)]
        case parts:
            read = (_part(part, f"messages[{at}].content[{i}]", kinds) for i, part in enumerate(parts))
            return [part for part in read if part]


def _part(part: Part, path: str, kinds: tuple[str, ...]) -> Part | None:
    kind = part.get("type")
    if kind not in kinds:
        raise BadRequest(f"Cohere takes no part of type {kind!r} here.", param=f"{path}.type")
    match part:
        case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            return None if _blank(text) else _text(text)
        case {"type": "image_url", "image_url": {"url": str(url), **more}}:
            # A base64 data URL or an address, both as OpenAI writes them.
            detail = {"detail": more["detail"]} if more.get("detail") else {}
            return {"type": "image_url", "image_url": {"url": url, **detail}}
    return part


def _text(text: str) -> Part:
    return {"type": "text", "text": text}


def _result(message: Message, at: int, function: str) -> Turn:
    called = message.tool_call_id if message.role == "tool" else function
    if not called:
        raise BadRequest("No function_call stands before this.", param=f"messages[{at}].role")
    content = message.content if isinstance(message.content, str) else _parts(message, at, TOOL) or ""
    if message.is_error is True:
        # Cohere has no word for it.
        content = ERROR + content if isinstance(content, str) else [_text(ERROR), *content]
    return {"role": "tool", "tool_call_id": called, "content": content}


def _assistant(message: Message, at: int) -> Turn:
    """Its fields; none where it says nothing."""
    content = _parts(message, at, TEXT)
    if message.refusal and not _blank(message.refusal):
        content.append(_text(message.refusal))
    calls = [
        _call(call.id, call.function, f"messages[{at}].tool_calls[{i}]")
        for i, call in enumerate(message.tool_calls or ())
    ]
    if legacy := message.function_call:
        calls.append(_call(_function_id(at), legacy, f"messages[{at}].function_call"))
    thoughts, plan = _reasoning(message)
    turn: Turn = {}
    if calls:
        turn["tool_calls"] = calls
        if plan:
            turn["tool_plan"] = plan
    if content or (calls and thoughts):
        content = [{"type": "thinking", "thinking": thought} for thought in thoughts] + content
        alone = len(content) == 1 and content[0]["type"] == "text"
        turn["content"] = content[0]["text"] if alone else content
    return turn


def _call(id: str, function: FunctionCall | None, path: str) -> Part:
    if function is None:
        raise BadRequest("Cohere's tools are functions.", param=f"{path}.type")
    arguments = NO_ARGUMENTS if _blank(function.arguments) else function.arguments
    return {"id": id, "type": "function", "function": {"name": function.name, "arguments": arguments}}


def _reasoning(message: Message) -> tuple[list[str], str]:
    """The thoughts, and the plan of the tool calls.

    A client that keeps no details, but the text of the reasoning, gives it back as the plan.
    """
    if not message.reasoning_details:
        return [], message.reasoning_content or ""
    thoughts: dict[object, str] = {}
    plan = ""
    for number, detail in enumerate(message.details):
        text = detail.get("text")
        if not isinstance(text, str):
            continue
        if detail.get("format") == PLAN_FORMAT:
            plan += text
        elif detail.get("format") == THOUGHT_FORMAT:
            # A stream's deltas that were kept one by one are joined by their index.
            index = detail.get("index")
            place = index if isinstance(index, int) else f"at {number}"
            thoughts[place] = thoughts.get(place, "") + text
    return [thought for thought in thoughts.values() if thought], plan


def _blank(text: str) -> bool:
    return not text or text.isspace()


def _function_id(at: int) -> str:
    return f"function_call_{at}"
