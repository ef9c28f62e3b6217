"""The turns of a conversation in Anthropic's Messages API as the messages of a chat.

    system (the field, and messages of that role)   a `system` message, where it stood
    user                                            a `tool` message for each `tool_result`, then a `user` one
    assistant                                       one message: texts, `tool_calls`, `reasoning_details`

The inverse of `providers/anthropic_messages.py`: what that writes of these messages is what came, but for the
places of texts behind tool calls, which a chat does not know. Blocks that no chat has (what Anthropic's
own tools did) stay as they are: no provider of another dialect takes them.

Source: platform.claude.com/docs/en/api/messages, .../build-with-claude/pdf-support,
.../build-with-claude/mid-conversation-system-messages and the SDK's types; read 2026-11-25.
"""

import base64
from collections.abc import Iterator
from typing import Any, Literal, TypeGuard

import msgspec

from deeptoken.errors import BadRequest
from deeptoken.wire.thoughts import REDACTED, THINKING, detail_of

Block = dict[str, Any]
Part = dict[str, Any]
Message = dict[str, Any]

KNOWN = frozenset(
    ("text", "image", "document", "search_result", "tool_use", "tool_result", THINKING, REDACTED)
)
"""Blocks that a chat can carry."""
OWN = {"text": (), "image": ("transformations",), "document": ("citations", "context")}
"""What a part of a chat may have besides, in Anthropic's words."""
STORED = "Send the file itself: one that is stored upstream belongs to nobody's key here."
NO_INPUT = msgspec.Raw(b"{}")

_raw_turns = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode


class Turn(msgspec.Struct, frozen=True):
    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


def messages(system: str | list[Block] | None, turns: list[Turn], raw: msgspec.Raw) -> list[Message]:
    """The chat's messages; `raw` is the JSON of `turns`, of which the tools' inputs are taken as they came.

    Raises:
        BadRequest: a block is not what its type says; `param` is its path as Anthropic writes it.
    """
    told = [{"role": "system", "content": _said(system, "system")}] if system else []
    written = _raw_turns(raw) if any(_calls(turn.content) for turn in turns) else []
    for at, turn in enumerate(turns):
        path = f"messages.{at}.content"
        match turn:
            case Turn(role="assistant", content=list(blocks)):
                told += _assistant(blocks, path, _inputs(blocks, written, at))
            case Turn(role="user", content=list(blocks)):
                told += _user(blocks, path)
            case Turn(role="system", content=content):
                told.append({"role": "system", "content": _said(content, path)})
            case Turn(role=role, content=content):
                told.append({"role": role, "content": content})
    return told


def blocks(turns: list[Turn]) -> Iterator[tuple[str, Block]]:
    """Every block and its path, those inside of others too."""
    for at, turn in enumerate(turns):
        yield from _inside(turn.content, f"messages.{at}.content")


def _inside(content: Any, path: str) -> Iterator[tuple[str, Block]]:
    if not isinstance(content, list):
        return
    for i, block in enumerate(content):
        if isinstance(block, dict):
            yield f"{path}.{i}", block
            yield from _inside(block.get("content"), f"{path}.{i}.content")
            source = block.get("source")
            if isinstance(source, dict):
                yield from _inside(source.get("content"), f"{path}.{i}.source.content")


def _calls(content: Any) -> TypeGuard[list[Block]]:
    return isinstance(content, list) and any(block.get("type") == "tool_use" for block in content)


def _inputs(
    blocks: list[Block], written: list[dict[str, msgspec.Raw]], at: int
) -> list[dict[str, msgspec.Raw]]:
    """The blocks with their fields as they came, where there is a call among them."""
    return _raw_turns(written[at]["content"]) if _calls(blocks) else []


def _said(content: str | list[Block], path: str) -> str | list[Part]:
    """A system prompt."""
    if isinstance(content, str):
        return content
    for i, block in enumerate(content):
        if block.get("type") != "text":
            raise wrong(f"{path}.{i}.type", "a system prompt is text")
    return _parts(content, path)


def _parts(content: list[Block], path: str) -> list[Part]:
    return [part(block, f"{path}.{i}") for i, block in enumerate(content)]


def _user(content: list[Block], path: str) -> Iterator[Message]:
    rest: list[Part] = []
    for i, block in enumerate(content):
        if block.get("type") == "tool_result":
            yield _result(block, f"{path}.{i}")
        else:
            rest.append(part(block, f"{path}.{i}"))
    if rest:
        yield {"role": "user", "content": rest}


def _result(block: Block, path: str) -> Message:
    content = block.get("content")
    match content:
        case None:
            content = ""
        case list():
            if not all(isinstance(inner, dict) for inner in content):
                raise wrong(f"{path}.content", "expected a list of blocks")
            content = _parts(content, f"{path}.content")
        case str():
            pass
        case _:
            raise wrong(f"{path}.content", "expected a string or a list of blocks")
    message = {"role": "tool", "tool_call_id": string(block, "tool_use_id", path), "content": content}
    for name in ("is_error", "cache_control"):
        if block.get(name) is not None:
            message[name] = block[name]
    return message


def _assistant(content: list[Block], path: str, written: list[dict[str, msgspec.Raw]]) -> Iterator[Message]:
    parts: list[Part] = []
    calls: list[dict[str, Any]] = []
    details: list[dict[str, Any]] = []
    thoughts: list[str] = []
    for i, block in enumerate(content):
        match block.get("type"):
            case "tool_use":
                calls.append(_call(block, f"{path}.{i}", written[i]))
            case "thinking" | "redacted_thinking":
                thoughts.append(_thought(block, f"{path}.{i}"))
                if detail := detail_of(block, i):
                    details.append(detail)
            case _:
                parts.append(part(block, f"{path}.{i}"))
    if content:
        told = {
            "tool_calls": calls,
            "reasoning_content": "".join(thoughts),
            "reasoning_details": details,
        }
        message = {"role": "assistant", "content": parts or None}
        yield message | {name: value for name, value in told.items() if value}


def _thought(block: Block, path: str) -> str:
    """The text of a block of thinking, which it may hide."""
    if block["type"] == REDACTED:
        string(block, "data", path)
        return ""
    if not isinstance(block.get("signature"), str | None):
        raise wrong(f"{path}.signature", "expected a string")
    return string(block, "thinking", path)


def _call(block: Block, path: str, written: dict[str, msgspec.Raw]) -> dict[str, Any]:
    if not isinstance(block.get("input"), dict):
        raise wrong(f"{path}.input", "expected an object")
    function = {"name": string(block, "name", path), "arguments": bytes(written["input"]).decode()}
    call = {"id": string(block, "id", path), "type": "function", "function": function}
    if mark := block.get("cache_control"):
        call["cache_control"] = mark
    return call


def part(block: Block, path: str) -> Part:
    """A block of content as a part of a message; as it is where a chat has no such part."""
    made: Part | None = block
    match block.get("type"):
        case "text":
            made = {"type": "text", "text": string(block, "text", path)}
        case "image":
            made = {"type": "image_url", "image_url": {"url": _image(_source(block, path), f"{path}.source")}}
        case "document":
            made = _document(block, path)
        case "search_result":
            _search_result(block, path)
        case "tool_use" | "tool_result" | "thinking" | "redacted_thinking" as kind:
            raise wrong(f"{path}.type", f"a block of type {kind!r} has no place here")
        case str():
            pass
        case _:
            raise wrong(f"{path}.type", "expected a string")
    if made is None or made is block:
        return block
    for name in ("cache_control", *OWN[block["type"]]):
        if block.get(name) is not None:
            made[name] = block[name]
    return made


def _document(block: Block, path: str) -> Part | None:
    """None: it is made of blocks, which a chat's file cannot be."""
    source = _source(block, path)
    if source["type"] == "content":
        _texts_and_images(source.get("content"), f"{path}.source.content")
        return None
    file: dict[str, Any] = {"file_data": _file(source, f"{path}.source")}
    if title := block.get("title"):
        file["filename"] = title
    return {"type": "file", "file": file}


def _search_result(block: Block, path: str) -> None:
    for name in ("source", "title"):
        string(block, name, path)
    _texts_and_images(block.get("content"), f"{path}.content")


def _texts_and_images(content: Any, path: str) -> None:
    """Look at blocks that stay as they are."""
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise wrong(path, "expected a list of blocks")
    for i, block in enumerate(content):
        if not isinstance(block, dict) or block.get("type") not in ("text", "image"):
            raise wrong(f"{path}.{i}", "expected a block of type text or image")
        part(block, f"{path}.{i}")


def _source(block: Block, path: str) -> dict[str, Any]:
    """Where an image or a document comes from."""
    found = block.get("source")
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise wrong(f"{path}.source", "expected an object with a type")
    return found


def _image(source: dict[str, Any], path: str) -> str:
    match source:
        case {"type": "url", "url": str(url)}:
            return url
        case {"type": "base64", "media_type": str(media), "data": str(data)} if data:
            return f"data:{media};base64,{data}"
    raise wrong(path, "an image comes as base64 with its media_type, or by url")


def _file(source: dict[str, Any], path: str) -> str:
    match source:
        case {"type": "url", "url": str(url)}:
            return url
        case {"type": "base64", "media_type": str(media), "data": str(data)} if data:
            return f"data:{media};base64,{data}"
        case {"type": "text", "data": str(text)} if text:
            return f"data:text/plain;base64,{base64.b64encode(text.encode()).decode()}"
    raise wrong(path, "a document comes as base64 with its media_type, as text, by url or as content")


def string(block: Block, name: str, path: str) -> str:
    value = block.get(name)
    if not isinstance(value, str):
        raise wrong(f"{path}.{name}", "expected a string" if name in block else "is required")
    return value


def wrong(path: str, what: str) -> BadRequest:
    return BadRequest(f"{path}: {what}" if what.endswith(".") else f"{path}: {what}.", param=path)
