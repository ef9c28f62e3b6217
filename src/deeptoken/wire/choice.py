"""Choices of an answer as the gateway reads them, whole or as chunks, and what may be wrong with them.

Source: platform.openai.com/docs/api-reference/chat/object and openai-python's types, read 2026-11-23. Only
the fields that the gateway must understand are named here; the others stay as they came.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
OTHER_REASONS = {
    "max_tokens": "length",
    "max_length": "length",
    "model_length": "length",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "content_filtered": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
}
"""What hosts say instead, in lower case. Anything else (`eos`, `end_turn`, `stop_sequence`) is a stop."""
BROKEN_REASONS = frozenset({"error", "abort", "insufficient_system_resource"})
"""The host gave up: no answer that anybody should pay for as whole."""
NO_ARGUMENTS = "{}"
"""What a call without arguments should have said: callers parse it."""
PARTS_FORMAT = "mistral-content-v1"
"""Marks reasoning details that were parts of the content, as Mistral writes them and wants them back."""
NULL = Raw(b"null")
ASSISTANT = Raw(b'"assistant"')
FUNCTION = Raw(b'"function"')

Text = str | UnsetType | None


class Broken(ValueError):
    """The host says that this answer failed."""


class Function(msgspec.Struct, gc=False):
    name: Text = UNSET
    arguments: Text = UNSET


class Call(msgspec.Struct, gc=False):
    index: int | UnsetType = UNSET
    id: Text = UNSET
    type: Text = UNSET
    function: Function | UnsetType | None = UNSET


class Message(msgspec.Struct, gc=False):
    """What is generated, whole or as a delta: just the fields that the gateway must understand."""

    role: Text = UNSET
    content: Text = UNSET
    refusal: Text = UNSET
    reasoning_content: Text = UNSET
    reasoning: Text = UNSET
    tool_calls: list[Call] | UnsetType | None = UNSET
    function_call: Function | UnsetType | None = UNSET
    audio: Raw | UnsetType = UNSET
    images: Raw | UnsetType = UNSET


class Choice(msgspec.Struct, gc=False):
    """One choice, whole or of a chunk."""

    index: int | UnsetType = UNSET
    message: Message | UnsetType | None = UNSET
    delta: Message | UnsetType | None = UNSET
    finish_reason: Text = UNSET
    logprobs: Raw | UnsetType = UNSET


FIELDS = msgspec.json.Decoder(dict[str, Raw])
OBJECTS = msgspec.json.Decoder(list[dict[str, Raw]])
CHOICES = msgspec.json.Decoder(list[Choice])
_JSON = msgspec.json.Decoder()
_LOOSE = msgspec.json.Decoder(list[dict[str, Any]])
encode = msgspec.json.Encoder().encode


def read_choices(raw: Raw) -> tuple[Raw, list[Choice]]:
    """The choices as we understand them, and their JSON: changed where a known field has a wrong type.

    Raises:
        msgspec.ValidationError: they are no list of objects.
    """
    try:
        return raw, CHOICES.decode(raw)
    except msgspec.ValidationError:
        choices = _LOOSE.decode(raw)
    for choice in choices:
        _retype(choice)
    retyped = Raw(encode(choices))
    return retyped, CHOICES.decode(retyped)


def objects_of(told: object) -> list[dict[str, Any]]:
    """Of a field that adapters do not mend the objects, if it is a list."""
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def text_of(message: Message) -> str:
    """What was generated in it, for the meter."""
    text = (message.reasoning_content or message.reasoning or "") + (message.content or "")
    text += message.refusal or ""
    functions = [call.function for call in message.tool_calls or ()]
    for function in (*functions, message.function_call):
        if function:
            text += (function.name or "") + (function.arguments or "")
    return text


def finish_of(reason: str, *, called: bool) -> str:
    """The reason in OpenAI's words; `called`: tool calls were made.

    Raises:
        Broken: it says that the host failed.
    """
    if reason in FINISH_REASONS:
        return reason
    if reason.lower() in BROKEN_REASONS:
        raise Broken(f"the provider ended the answer with {reason!r}")
    if not reason and called:
        return "tool_calls"
    return OTHER_REASONS.get(reason.lower(), "stop")


def move_reasoning(fields: dict[str, Raw], message: Message) -> None:
    """Many hosts call the reasoning text `reasoning`; here it is `reasoning_content`."""
    if message.reasoning is UNSET:
        return
    told = fields.pop("reasoning")
    if message.reasoning is not None and not message.reasoning_content:
        fields["reasoning_content"] = told


def call_id(id: str, number: int) -> str:
    """A tool call's id, for a host that gives none: the same for the same answer."""
    return f"call_{id}_{number}"


def _retype(choice: dict[str, Any]) -> None:
    for key in ("message", "delta"):
        if isinstance(choice.get(key), dict):
            _retype_message(choice[key])
        else:
            choice.pop(key, None)
    if not isinstance(choice.get("finish_reason"), str | None):
        del choice["finish_reason"]
    if not isinstance(choice.get("index", 0), int):
        del choice["index"]


def _retype_message(message: dict[str, Any]) -> None:
    if isinstance(message.get("content"), list):
        _flatten(message)
    for name in ("role", "content", "refusal", "reasoning_content", "reasoning"):
        if not isinstance(message.get(name), str | None):
            del message[name]
    if not isinstance(message.get("function_call"), dict | None):
        del message["function_call"]
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        message["tool_calls"] = [_retyped_call(call) for call in calls if isinstance(call, dict)]
    elif calls is not None:
        del message["tool_calls"]


def _retyped_call(call: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(call.get("index"), int):
        call.pop("index", None)
    for name in ("id", "type"):
        if not isinstance(call.get(name), str | None):
            call[name] = str(call[name])
    function = call.get("function")
    if not isinstance(function, dict):
        call.pop("function", None)
        return call
    if not isinstance(function.get("name"), str | None):
        del function["name"]
    if not isinstance(function.get("arguments"), str | None):
        # Some hosts write the arguments as the object itself.
        function["arguments"] = encode(function["arguments"]).decode()
    return call


def _flatten(message: dict[str, Any]) -> None:
    """Content as a list of parts (Mistral's): text stays content, thinking is reasoning, the rest is kept."""
    content: list[str] = []
    details: list[dict[str, Any]] = []
    others: list[Any] = []
    for part in message["content"]:
        match part:
            case {"type": "text", "text": str(text)}:
                content.append(text)
            case {"type": "thinking", "thinking": str() | list() as thinking}:
                details.append(_detail(thinking, part.get("signature"), len(details)))
                others += [inner for inner in thinking if isinstance(inner, dict) and "text" not in inner]
            case {"type": str()}:
                others.append(part)
    message["content"] = "".join(content)
    if details:
        message["reasoning_content"] = "".join(detail["text"] for detail in details)
        message["reasoning_details"] = details
    if others:
        message["references"] = others


def _detail(thinking: str | list[Any], signature: object, index: int) -> dict[str, Any]:
    text = thinking if isinstance(thinking, str) else "".join(_texts(thinking))
    detail: dict[str, Any] = {"type": "reasoning.text", "text": text, "format": PARTS_FORMAT, "index": index}
    return {**detail, "signature": signature} if isinstance(signature, str) else detail


def _texts(parts: list[Any]) -> Iterator[str]:
    for part in parts:
        match part:
            case {"text": str(text)}:
                yield text
