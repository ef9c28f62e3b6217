"""A chat that came in Anthropic's dialect as OpenAI's own API has it.

    cache marks, top_k               left out: these hosts cache by themselves
    thinking                         what a chat has of it; few hosts take it (`providers/manners.py`)
    pictures and files of a result   in a `user` message behind the results: a `tool` message is text
    is_error                         the result begins with "Error: "
    text documents, search results   text
    strict                           where the schema is one that OpenAI would enforce
    user                             its hash where it is longer than 64 characters
    names of tools                   shortened to 64 characters; `long_names` gives them back

Source: platform.openai.com/docs/api-reference/chat/create, .../docs/guides/structured-outputs; read
2026-11-25. OpenAI and Groq refuse fields of messages that they do not know; Groq by name.
"""

import base64
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec

from deeptoken.errors import BadRequest
from deeptoken.wire.chat import ChatRequest
from deeptoken.wire.messages_turns import KNOWN, Message, Part, Turn, blocks, wrong

PASSED = (
    *("stream", "max_completion_tokens", "temperature", "top_p", "reasoning_effort"),
    *("tool_choice", "parallel_tool_calls"),
)
OF_TOOLS = ("tool_choice", "parallel_tool_calls")
THINKING = ("reasoning_content", "reasoning_details")
STOPS_MAX = 4
NAME_MAX = 64
USER_MAX = 64
NO_EFFORT = "none"
"""Not every model knows this word; without any it does as it likes."""
TEXT_FILE = "data:text/plain;base64,"
FILE_NAME = "document.pdf"
ERROR = "Error: "
ELSEWHERE = "It is in the next message."
OPEN_ENDED = frozenset(
    (
        "oneOf",
        "allOf",
        "not",
        "if",
        "then",
        "else",
        "patternProperties",
        "dependentRequired",
        "dependentSchemas",
    )
)
"""Keywords that OpenAI's strict mode does not have."""
SCHEMAS_BY_NAME = ("properties", "$defs", "definitions")
VALUES = ("enum", "const", "default", "examples", "required")


def plain(fields: Mapping[str, Any], turns: list[Turn]) -> dict[str, msgspec.Raw]:
    """The fields for a host of OpenAI's API. `fields` are the chat's, `turns` what they were made of.

    Raises:
        BadRequest: its API has no place for something; `param` is the path in Anthropic's request.
    """
    _refuse(fields, turns)
    try:
        return _plain(fields)
    except RecursionError:
        raise BadRequest("The body's JSON is nested too deeply.") from None


def _plain(fields: Mapping[str, Any]) -> dict[str, msgspec.Raw]:
    told: dict[str, Any] = {name: fields[name] for name in PASSED if name in fields}
    told["messages"] = _messages(fields["messages"])
    if told.get("reasoning_effort") == NO_EFFORT:
        del told["reasoning_effort"]
    if stops := fields.get("stop"):
        told["stop"] = stops
    if user := fields.get("user"):
        told["user"] = user if len(user) <= USER_MAX else sha256(user.encode()).hexdigest()
    if form := fields.get("response_format"):
        schema = form["json_schema"]
        told["response_format"] = {**form, "json_schema": schema | _strictly(schema["schema"])}
    if given := fields.get("tools"):
        told["tools"] = [_tool(tool["function"]) for tool in given]
        if isinstance(told.get("tool_choice"), dict):
            name = told["tool_choice"]["function"]["name"]
            told["tool_choice"] = {"type": "function", "function": {"name": short_name(name)}}
    else:
        told = {name: value for name, value in told.items() if name not in OF_TOOLS}
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in told.items()}


def short_name(name: str) -> str:
    """A tool's name as OpenAI takes it: the end of a long one is its hash."""
    return (
        name if len(name) <= NAME_MAX else f"{name[: NAME_MAX - 9]}_{sha256(name.encode()).hexdigest()[:8]}"
    )


def long_names(request: ChatRequest) -> dict[str, str]:
    """The tools' own names by the short ones that they got, if any did."""
    names = [tool.function.name for tool in request.tools or () if tool.function]
    return {short_name(name): name for name in names if len(name) > NAME_MAX}


def _refuse(fields: Mapping[str, Any], turns: list[Turn]) -> None:
    for path, block in blocks(turns):
        if block.get("type") not in KNOWN:
            raise wrong(f"{path}.type", f"this model's provider takes no block of type {block.get('type')!r}")
        match block:
            case {"type": "document", "source": {"type": "url"}}:
                raise wrong(f"{path}.source", "this model's provider takes a document itself, not its URL")
    for at, tool in enumerate(fields.get("tools") or ()):
        if "function" not in tool:
            raise wrong(f"tools.{at}.type", f"this model's provider has no tool {tool['type']!r}")
    if len(fields.get("stop") or ()) > STOPS_MAX:
        raise wrong("stop_sequences", f"this model's provider takes at most {STOPS_MAX}")


def _messages(given: list[Message]) -> list[Message]:
    told: list[Message] = []
    shown: list[Part] = []
    """What results showed beside text, until all of them are told."""
    for message in given:
        match message["role"]:
            case "tool":
                told.append(_result(message, shown))
            case "user":
                content = _flat(_parts(message["content"]))
                if shown:
                    content = [*shown, *_listed(content)]
                    shown = []
                told.append({"role": "user", "content": content})
            case role:
                if shown:
                    told.append({"role": "user", "content": shown})
                    shown = []
                told += [_assistant(message)] if role == "assistant" else [_system(message)]
    if shown:
        told.append({"role": "user", "content": shown})
    return [
        message
        for message in told
        if message["content"] or message["role"] == "tool" or "tool_calls" in message
    ]


def _system(message: Message) -> Message:
    return {"role": "system", "content": _flat(_parts(message["content"]))}


def _assistant(message: Message) -> Message:
    content = _flat(_parts(message["content"] or ""), joint="")
    told: Message = {"role": "assistant", "content": content or None}
    told |= {name: message[name] for name in THINKING if name in message}
    if calls := message.get("tool_calls"):
        told["tool_calls"] = [_call(call) for call in calls]
    return told


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {
        "id": call["id"],
        "type": "function",
        "function": {"name": short_name(function["name"]), "arguments": function["arguments"]},
    }


def _result(message: Message, shown: list[Part]) -> Message:
    """A tool's result as text; what else it has is added to `shown`."""
    parts = _parts(message["content"])
    texts = [part for part in parts if part["type"] == "text"]
    others = [part for part in parts if part["type"] != "text"]
    if others:
        shown.append({"type": "text", "text": f"What the tool call {message['tool_call_id']} showed:"})
        shown += others
        texts = texts or [{"type": "text", "text": ELSEWHERE}]
    content = _flat(texts)
    if message.get("is_error") is True:
        content = (
            [{"type": "text", "text": ERROR}, *content] if isinstance(content, list) else ERROR + content
        )
    return {"role": "tool", "tool_call_id": message["tool_call_id"], "content": content}


def _listed(content: str | list[Part]) -> list[Part]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []


def _flat(parts: list[Part], joint: str | None = None) -> str | list[Part]:
    """One text, or texts that may be joined, as a string: each host takes that."""
    if joint is None and len(parts) > 1:
        return parts
    texts = [part["text"] for part in parts if part["type"] == "text"]
    return (joint or "").join(texts) if len(texts) == len(parts) else parts


def _parts(content: str | list[Part]) -> list[Part]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [made for part in content for made in _part(part)]


def _part(part: Part) -> list[Part]:
    match part:
        case {"type": "text", "text": text}:
            return [{"type": "text", "text": text}]
        case {"type": "file", "file": {"file_data": str(data)} as file}:
            if data.startswith(TEXT_FILE):
                text = base64.b64decode(data.removeprefix(TEXT_FILE)).decode()
                return [_titled(file.get("filename"), text)]
            return [
                {"type": "file", "file": {"filename": file.get("filename") or FILE_NAME, "file_data": data}}
            ]
        case {"type": "image_url", "image_url": image}:
            return [{"type": "image_url", "image_url": image}]
        case {"type": "search_result", "content": content, "title": title, "source": source}:
            return [_titled(f"{title} ({source})", ""), *_natives(content)]
        case {"type": "document", "source": {"content": content}}:
            title = part.get("title")
            return [*([_titled(title, "")] if title else []), *_natives(content)]
    return [part]


def _natives(content: str | list[Part]) -> list[Part]:
    """Blocks that stayed as Anthropic writes them."""
    if isinstance(content, str):
        return _parts(content)
    return [made for block in content for made in _part(_as_part(block))]


def _as_part(block: Part) -> Part:
    match block:
        case {"type": "image", "source": {"type": "url", "url": url}}:
            return {"type": "image_url", "image_url": {"url": url}}
        case {"type": "image", "source": {"media_type": media, "data": data}}:
            return {"type": "image_url", "image_url": {"url": f"data:{media};base64,{data}"}}
    return block


def _titled(title: object, text: str) -> Part:
    return {"type": "text", "text": f"{title}:\n{text}" if title else text}


def _tool(function: dict[str, Any]) -> dict[str, Any]:
    told = {name: function[name] for name in ("description", "parameters") if name in function}
    strictly = _strictly(function["parameters"]) if function.get("strict") else {}
    return {"type": "function", "function": {"name": short_name(function["name"]), **told, **strictly}}


def _strictly(schema: dict[str, Any]) -> dict[str, bool]:
    return {"strict": True} if enforced(schema) else {}


def enforced(schema: Any) -> bool:
    """Whether OpenAI's strict mode takes a schema: every object closed, every property required."""
    if not isinstance(schema, dict):
        return all(map(enforced, schema)) if isinstance(schema, list) else True
    if OPEN_ENDED & schema.keys():
        return False
    properties = schema.get("properties")
    if isinstance(properties, dict):
        closed = schema.get("additionalProperties") is False
        if not closed or sorted(properties) != sorted(map(str, schema.get("required") or ())):
            return False
    elif schema.get("type") == "object":
        return False
    inner = [value for key, value in schema.items() if key not in (*VALUES, *SCHEMAS_BY_NAME)]
    for name in SCHEMAS_BY_NAME:
        named = schema.get(name)
        inner += named.values() if isinstance(named, dict) else [named]
    return all(map(enforced, inner))
