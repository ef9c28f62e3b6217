"""Sim's words in the dialect of Cohere's chat, version 2. Pure.

Source: docs.cohere.com/reference/chat, .../reference/chat-stream and .../reference/errors, read 2026-11-25.
"""

import re
from typing import Annotated, Literal

import msgspec

from deeptoken.providers.sim_dialect import Dialect, Object, heard, text_of
from deeptoken.wire.chat import Chat

FINISH = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL"}
CHOICES = {"REQUIRED": "required", "NONE": "none"}


class Asked(msgspec.Struct, frozen=True):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | list[Object] | None = None
    tool_calls: list[Object] | None = None
    tool_call_id: str | None = None


class ChatAsked(msgspec.Struct, frozen=True):
    model: str
    messages: Annotated[list[Asked], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    max_tokens: int | None = None
    stop_sequences: list[str] | None = None
    seed: int | None = None
    tools: list[Object] | None = None
    tool_choice: str | None = None
    response_format: Object | None = None


def read(body: bytes, path: re.Match[str]) -> Chat:
    """Raises:
    msgspec.DecodeError: it is no request.
    """
    asked = msgspec.json.decode(body, type=ChatAsked)
    told = {
        "model": asked.model,
        "messages": [_message(message) for message in asked.messages],
        "stream": asked.stream,
        "max_tokens": asked.max_tokens,
        "stop": asked.stop_sequences,
        "seed": asked.seed,
        "tools": asked.tools,
        "tool_choice": CHOICES.get(asked.tool_choice or ""),
        "response_format": _format(asked.response_format),
    }
    return heard(told, len(body))


def whole(chat: Chat, completion: Object) -> Object:
    [choice] = completion["choices"]
    said = choice["message"]
    message: Object = {"role": "assistant"}
    if said["content"]:
        message["content"] = [{"type": "text", "text": said["content"]}]
    if calls := said.get("tool_calls"):
        message |= {"tool_plan": "", "tool_calls": calls}
    return {
        "id": completion["id"],
        "finish_reason": FINISH[choice["finish_reason"]],
        "message": message,
        "usage": _usage(completion),
    }


class Events:
    """Of one stream: one part of content, or one call, and the end with the usage."""

    def __init__(self, chat: Chat) -> None:
        self._calls = False
        self._finish = "stop"

    def __call__(self, chunk: Object) -> bytes:
        if not chunk["choices"]:
            delta = {"finish_reason": FINISH[self._finish], "usage": _usage(chunk)}
            return _event("message-end", delta=delta) + b"data: [DONE]\n\n"
        [choice] = chunk["choices"]
        delta = choice["delta"]
        if "role" in delta:
            return self._begun(chunk["id"], delta)
        if choice["finish_reason"]:
            self._finish = choice["finish_reason"]
            return _event("tool-call-end" if self._calls else "content-end", index=0)
        if self._calls:
            [call] = delta["tool_calls"]
            return _told("tool-call-delta", tool_calls={"function": call["function"]})
        return _told("content-delta", content={"text": delta["content"]})

    def _begun(self, id: str, delta: Object) -> bytes:
        empty: Object = {
            "role": "assistant",
            "content": [],
            "tool_plan": "",
            "tool_calls": [],
            "citations": [],
        }
        start = _event("message-start", id=id, delta={"message": empty})
        for call in delta.get("tool_calls", ()):
            self._calls = True
            begun = {name: call[name] for name in ("id", "type", "function")}
            return start + _told("tool-call-start", tool_calls=begun)
        return start + _told("content-start", content={"type": "text", "text": ""})


def error(status: int, message: str) -> Object:
    return {"message": message}


def _message(asked: Asked) -> Object:
    content = asked.content
    if isinstance(content, list):
        documents = [part["document"].get("data") for part in content if _is_document(part)]
        content = " ".join(filter(None, (text_of(content), *(str(document) for document in documents))))
    told = {
        "role": asked.role,
        "content": content,
        "tool_calls": asked.tool_calls,
        "tool_call_id": asked.tool_call_id,
    }
    return {name: value for name, value in told.items() if value is not None}


def _is_document(part: Object) -> bool:
    return isinstance(part.get("document"), dict)


def _format(form: Object | None) -> Object | None:
    if form is None or form.get("type") != "json_object":
        return None
    schema = form.get("json_schema") or form.get("schema")
    if schema is None:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _usage(said: Object) -> Object:
    usage = said["usage"]
    counts = {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]}
    return {"billed_units": counts, "tokens": counts}


def _told(kind: str, **message: object) -> bytes:
    return _event(kind, index=0, delta={"message": message})


def _event(kind: str, **fields: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode({"type": kind} | fields))


DIALECT = Dialect(
    path=re.compile("/v2/chat"),
    place=re.compile("/v2/"),
    read=read,
    whole=whole,
    events=Events,
    error=error,
)
