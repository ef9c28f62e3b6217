"""Sim's words in Anthropic's dialect. Pure.

Source: platform.claude.com/docs/en/api/messages and .../build-with-claude/streaming, read 2026-11-23.
"""

import re
from typing import Annotated, Any, Literal

import msgspec

from deeptoken.providers import sim
from deeptoken.providers.sim_dialect import Dialect, arguments_of, text_of
from deeptoken.wire.chat import Chat, ChatRequest, Function, Message, Tool

ERRORS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
COUNT_TOKENS = re.compile("/v1/messages/count_tokens")
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


class Asked(msgspec.Struct, frozen=True):
    role: Literal["user", "assistant"]
    content: str | list[dict[str, Any]]


class OfferedTool(msgspec.Struct, frozen=True):
    name: str
    input_schema: dict[str, Any] | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    type: str
    name: str | None = None


class MessagesRequest(msgspec.Struct, frozen=True):
    model: str
    messages: Annotated[list[Asked], msgspec.Meta(min_length=1)]
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    system: str | list[dict[str, Any]] | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    tools: list[OfferedTool] | None = None
    tool_choice: ToolChoice | None = None


def chat(body: bytes) -> Chat:
    """The request as sim understands it.

    Raises:
        msgspec.DecodeError: it is none.
    """
    asked = msgspec.json.decode(body, type=MessagesRequest)
    messages = [] if asked.system is None else [Message(role="system", content=text_of(asked.system))]
    for message in asked.messages:
        messages += _messages(message)
    tools = [
        Tool(type="function", function=Function(name=tool.name, parameters=tool.input_schema))
        for tool in asked.tools or ()
    ]
    choice: str | dict[str, Any] | None = None
    match asked.tool_choice:
        case ToolChoice(type="tool", name=name):
            choice = {"type": "function", "function": {"name": name}}
        case ToolChoice(type=kind):
            choice = "required" if kind == "any" else kind
    request = ChatRequest(
        model=asked.model,
        messages=messages,
        stream=asked.stream,
        max_tokens=asked.max_tokens,
        stop=asked.stop_sequences,
        tools=tools or None,
        tool_choice=choice,
    )
    return Chat(request=request, fields={}, extra={}, size=len(body))


def counted(body: bytes) -> dict[str, Any]:
    """The answer of count_tokens. Raises:
    msgspec.DecodeError: it is no request.
    """
    return {"input_tokens": sim.prompt_tokens(chat(body).request)}


def error(status: int, message: str) -> dict[str, Any]:
    kind = ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": None}


def _messages(message: Asked) -> list[Message]:
    if isinstance(message.content, str):
        return [Message(role=message.role, content=message.content)]
    results = [
        Message(
            role="tool", content=text_of(block.get("content")), tool_call_id=str(block.get("tool_use_id"))
        )
        for block in message.content
        if block.get("type") == "tool_result"
    ]
    text = text_of(message.content)
    return [*([Message(role=message.role, content=text)] if text or not results else []), *results]


def whole(chat: Chat, completion: dict[str, Any]) -> dict[str, Any]:
    choice = completion["choices"][0]
    content: list[dict[str, Any]] = []
    for call in choice["message"].get("tool_calls", ()):
        # What the limit cut off is no JSON, and Anthropic's answer has no place for such.
        content.append({**_block(call), "input": arguments_of(call, choice["finish_reason"]) or {}})
    if choice["message"]["content"]:
        content.append({"type": "text", "text": choice["message"]["content"]})
    usage = completion["usage"]
    return _head(completion) | {
        "content": content,
        "stop_reason": STOP_REASONS[choice["finish_reason"]],
        "usage": {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]},
    }


def _head(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": answer["id"],
        "type": "message",
        "role": "assistant",
        "model": answer["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _block(call: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "tool_use",
        "id": call["id"].replace("call_", "toolu_"),
        "name": call["function"]["name"],
        "input": {},
    }


class Events:
    """Of one stream: one block, and how it ended."""

    def __init__(self, chat: Chat) -> None:
        self._prompt_tokens = sim.prompt_tokens(chat.request)
        self._reason = ""

    def __call__(self, chunk: dict[str, Any]) -> bytes:
        if not chunk["choices"]:
            delta = {"stop_reason": STOP_REASONS[self._reason], "stop_sequence": None}
            usage = {"output_tokens": chunk["usage"]["completion_tokens"]}
            return _event("message_delta", delta=delta, usage=usage) + _event("message_stop")
        self._reason = chunk["choices"][0]["finish_reason"] or self._reason
        delta = chunk["choices"][0]["delta"]
        calls = delta.get("tool_calls")
        if "role" in delta:
            message = _head(chunk) | {"usage": {"input_tokens": self._prompt_tokens, "output_tokens": 1}}
            block = _block(calls[0]) if calls else {"type": "text", "text": ""}
            start = _event("content_block_start", index=0, content_block=block)
            return _event("message_start", message=message) + start + _event("ping")
        if calls:
            part = {"type": "input_json_delta", "partial_json": calls[0]["function"]["arguments"]}
            return _event("content_block_delta", index=0, delta=part)
        if "content" in delta:
            part = {"type": "text_delta", "text": delta["content"]}
            return _event("content_block_delta", index=0, delta=part)
        return _event("content_block_stop", index=0)


def _event(kind: str, **fields: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode({"type": kind} | fields))


def _read(body: bytes, path: re.Match[str]) -> Chat:
    return chat(body)


DIALECT = Dialect(
    path=re.compile("/v1/messages"),
    place=re.compile("/v1/messages"),
    read=_read,
    whole=whole,
    events=Events,
    error=error,
    id="msg_",
)
