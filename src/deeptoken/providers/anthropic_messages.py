"""The messages of a chat as the turns of Anthropic's Messages API.

    system, developer    the system prompt: all of it first, in its order
    user                 a user turn; neighbours of one role are one turn
    tool, function       `tool_result` blocks, which stand first in the user turn after the call
    assistant            thinking that was signed, text, `tool_use`; each where it stood

Source: platform.claude.com/docs/en/api/messages, .../agents-and-tools/tool-use/overview,
.../build-with-claude/thinking, .../build-with-claude/pdf-support; read 2026-11-23.
What the API refuses and a chat may have is left out: blank text, other providers' thinking, the
space at the end of a last assistant turn. Names of messages have no place there.
"""

import base64
import binascii
import re
from collections.abc import Collection
from itertools import islice
from typing import Any, TypeVar

import msgspec

from deeptoken.errors import BadRequest
from deeptoken.wire.chat import Message
from deeptoken.wire.thoughts import FORMAT

Block = dict[str, Any]
T = TypeVar("T")

TOOL_ID = re.compile(r"[^a-zA-Z0-9_-]")
"""What an id of a tool call must not have; other providers' ids do."""
NATIVE_PARTS = ("image", "document", "search_result")
BESIDE = ("cache_control", "citations", "context", "transformations")
"""What a part may have besides, in Anthropic's words."""
NO_INPUT = msgspec.Raw(b"{}")

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Turns(msgspec.Struct):
    """A conversation, ready to be sent."""

    system: list[Block]
    messages: list[dict[str, Any]]


def turns(messages: list[Message]) -> Turns:
    """Raises:
    BadRequest: a part that Claude cannot read, or arguments that are no JSON object.
    """
    system: list[Block] = []
    told = _Conversation()
    for at, message in enumerate(messages):
        match message.role:
            case "system" | "developer":
                system += _blocks(message, at)
            case "user":
                told.user(_blocks(message, at))
            case "assistant":
                told.assistant(_assistant(message, at), function=_function_id(at))
            case "tool" | "function":
                told.result(_result(message, at, told.function))
    said = told.close()
    if not said and system:
        # A chat may have a system prompt alone; here somebody must have spoken.
        said, system = [{"role": "user", "content": system}], []
    if not said:
        raise BadRequest("There is no message with content.", param="messages")
    _trim_prefill(said[-1])
    return Turns(system=system, messages=said)


class _Conversation:
    """Turns as they are gathered: neighbours joined, a user turn's tool results kept before the rest."""

    __slots__ = ("function", "messages", "rest", "results")

    def __init__(self) -> None:
        self.function = ""
        """The id of the last function call, which a `function` message answers without naming it."""
        self.messages: list[dict[str, Any]] = []
        self.results: list[Block] = []
        self.rest: list[Block] = []

    def user(self, blocks: list[Block]) -> None:
        self.rest += blocks

    def result(self, block: Block) -> None:
        self.results.append(block)

    def assistant(self, blocks: list[Block], *, function: str) -> None:
        if not blocks:
            return
        if blocks[-1].get("id") == function:
            self.function = function
        said = self.close()
        if said and said[-1]["role"] == "assistant":
            said[-1]["content"] += blocks
        else:
            said.append({"role": "assistant", "content": blocks})

    def close(self) -> list[dict[str, Any]]:
        """End the user turn, if there is one."""
        if self.results or self.rest:
            self.messages.append({"role": "user", "content": self.results + self.rest})
            self.results, self.rest = [], []
        return self.messages


def _blocks(message: Message, at: int) -> list[Block]:
    match message.content:
        case None:
            return []
        case str(text):
            return [] if _blank(text) else [{"type": "text", "text": text}]
        case parts:
            read = (_part(part, f"messages[{at}].content[{i}]") for i, part in enumerate(parts))
            return [block for block in read if block]


def _part(part: dict[str, Any], path: str) -> Block | None:
    match part:
        case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            if _blank(text):
                return None
            block: Block = {"type": "text", "text": text}
        case {"type": "image_url", "image_url": {"url": str(url)} | str(url)}:
            block = {"type": "image", "source": _image(url, path)}
        case {"type": "file", "file": dict(file)}:
            block = _document(file, path)
        case {"source": {"type": "file"}}:
            raise BadRequest(
                "Send the file itself: one stored upstream is not yours.", param=f"{path}.source"
            )
        case {"type": str(kind)} if kind in NATIVE_PARTS:
            return part
        case _:
            raise BadRequest(f"Claude takes no part of type {part.get('type')!r}.", param=f"{path}.type")
    beside = BESIDE[:1] if block["type"] == "text" else BESIDE
    return block | {name: part[name] for name in beside if part.get(name) is not None}


def _image(url: str, path: str) -> Block:
    if url[:8].lower().startswith(("http://", "https://")):
        return {"type": "url", "url": url}
    media, data = _data_url(url, f"{path}.image_url.url")
    return {"type": "base64", "media_type": "image/jpeg" if media == "image/jpg" else media, "data": data}


def _document(file: dict[str, Any], path: str) -> Block:
    """A file that came with the call. One that is stored upstream is the operator's, not the caller's."""
    data = file.get("file_data")
    if not isinstance(data, str):
        raise BadRequest("Send the file itself, as a data URL in file_data.", param=f"{path}.file.file_data")
    block: Block = {"type": "document", "source": _file_source(data, f"{path}.file.file_data")}
    if name := file.get("filename"):
        block["title"] = name
    return block


def _file_source(data: str, path: str) -> Block:
    if data[:8].lower().startswith(("http://", "https://")):
        return {"type": "url", "url": data}
    if data[:5].lower() != "data:":
        return {"type": "base64", "media_type": "application/pdf", "data": data}
    media, content = _data_url(data, path)
    if media == "application/pdf":
        return {"type": "base64", "media_type": media, "data": content}
    if not media.startswith("text/"):
        raise BadRequest(f"Claude reads files of type PDF and text, not {media!r}.", param=path)
    try:
        text = base64.b64decode(content, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise BadRequest("The file is no base64 of UTF-8 text.", param=path) from None
    return {"type": "text", "media_type": "text/plain", "data": text}


def _data_url(url: str, path: str) -> tuple[str, str]:
    """Media type and base64 text. Cut by hand: a pattern is slow on megabytes."""
    head, _, data = url.partition(",")
    if head[:5].lower() != "data:" or not head.lower().endswith(";base64") or not data:
        raise BadRequest("This is neither an http(s) URL nor a base64 data URL.", param=path)
    return head[5:].split(";", 1)[0].lower(), data


def _result(message: Message, at: int, function: str) -> Block:
    called = _tool_id(message.tool_call_id or "") if message.role == "tool" else function
    if not called:
        raise BadRequest("No function_call stands before this.", param=f"messages[{at}].role")
    block: Block = {"type": "tool_result", "tool_use_id": called}
    if content := message.content if isinstance(message.content, str) else _blocks(message, at):
        block["content"] = content
    if message.is_error is True:
        block["is_error"] = True
    if message.cache_control is not None:
        block["cache_control"] = message.cache_control
    return block


def _assistant(message: Message, at: int) -> list[Block]:
    said = _blocks(message, at)
    if message.refusal and not _blank(message.refusal):
        said.append({"type": "text", "text": message.refusal})
    for i, call in enumerate(message.tool_calls or ()):
        path = f"messages[{at}].tool_calls[{i}]"
        if call.function is None:
            raise BadRequest("Claude's tools are functions.", param=f"{path}.type")
        read = _input(call.function.arguments, f"{path}.function.arguments")
        called = {"type": "tool_use", "id": _tool_id(call.id), "name": call.function.name, "input": read}
        said.append(called | ({"cache_control": call.cache_control} if call.cache_control else {}))
    if legacy := message.function_call:
        read = _input(legacy.arguments, f"messages[{at}].function_call.arguments")
        said.append({"type": "tool_use", "id": _function_id(at), "name": legacy.name, "input": read})
    if not message.reasoning_details:
        return said
    thoughts = signed_thoughts(message.details, (FORMAT,))
    return woven([(thought.index, thought.block()) for thought in thoughts], said)


def _input(arguments: str, path: str) -> msgspec.Raw:
    """The arguments as they came: only looked at, so that the prompt's cache still knows them."""
    if _blank(arguments):
        return NO_INPUT
    data = arguments.encode()
    try:
        _object.decode(data)
    except msgspec.DecodeError:
        raise BadRequest("The arguments of a tool call must be a JSON object.", param=path) from None
    return msgspec.Raw(data)


class Thought(msgspec.Struct):
    """One block of reasoning, `data` if it was encrypted. `index` is where it stood in the answer."""

    index: int | None
    texts: list[str]
    signature: str = ""
    data: str = ""
    format: str = FORMAT

    def block(self) -> Block:
        if self.data:
            return {"type": "redacted_thinking", "data": self.data}
        return {"type": "thinking", "thinking": "".join(self.texts), "signature": self.signature}


def signed_thoughts(details: list[dict[str, Any]], formats: Collection[str]) -> list[Thought]:
    """What was signed in one of `formats`. A stream's deltas kept one by one are joined by their index."""
    found: list[Thought] = []
    for detail in details:
        thought = _thought(detail, formats)
        if thought is None:
            continue
        last = found[-1] if found else None
        open_still = last is not None and not (last.signature or last.data)
        if last and open_still and thought.index is not None and thought.index == last.index:
            last.texts += thought.texts
            last.signature = thought.signature
        else:
            found.append(thought)
    return [thought for thought in found if thought.signature or thought.data]


def _thought(detail: dict[str, Any], formats: Collection[str]) -> Thought | None:
    """One detail, in OpenRouter's shape or as Anthropic writes it; None if it is another provider's."""
    kind, at = detail.get("type"), detail.get("index")
    told = detail.get("format") if kind in ("reasoning.text", "reasoning.encrypted") else FORMAT
    if not isinstance(told, str) or told not in formats:
        return None
    index = at if isinstance(at, int) else None
    if kind in ("reasoning.encrypted", "redacted_thinking"):
        data = detail.get("data")
        return Thought(index, [], data=data, format=told) if isinstance(data, str) else None
    if kind not in ("reasoning.text", "thinking"):
        return None
    text = detail.get("text" if kind == "reasoning.text" else "thinking") or ""
    signature = detail.get("signature") or ""
    if not isinstance(text, str) or not isinstance(signature, str):
        return None
    return Thought(index, [text], signature, format=told)


def woven(thoughts: list[tuple[int | None, T]], said: list[T]) -> list[T]:
    """Each thought back at its place: before all that was said, or where its index tells."""
    blocks: list[T] = []
    rest = iter(said)
    for index, thought in thoughts:
        blocks += islice(rest, max(0, min((index or 0) - len(blocks), len(said))))
        blocks.append(thought)
    blocks += rest
    return blocks


def _trim_prefill(last: dict[str, Any]) -> None:
    """An answer that is to be continued must not end in space."""
    content = last["content"]
    if last["role"] == "assistant" and content[-1]["type"] == "text":
        content[-1] = content[-1] | {"text": content[-1]["text"].rstrip()}


def _blank(text: str) -> bool:
    return not text or text.isspace()


def _tool_id(id: str) -> str:
    return TOOL_ID.sub("_", id) or "_"


def _function_id(at: int) -> str:
    return f"function_call_{at}"
