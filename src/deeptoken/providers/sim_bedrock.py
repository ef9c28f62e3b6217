"""Sim's words in the dialect of Bedrock's Converse and ConverseStream, whose events are binary frames. Pure.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
.../API_runtime_ConverseStream.html, read 2026-11-25.
"""

import re
from typing import Annotated, Literal

import msgspec

from deeptoken.providers.sim_dialect import Dialect, Object, arguments_of, heard, text_of
from deeptoken.wire import eventstream
from deeptoken.wire.chat import Chat

FINISH = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
KINDS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
STREAM_TYPE = "application/vnd.amazon.eventstream"


class Turn(msgspec.Struct, frozen=True):
    role: Literal["user", "assistant"]
    content: list[Object]


class Inference(msgspec.Struct, frozen=True, rename="camel"):
    max_tokens: int | None = None
    stop_sequences: list[str] | None = None


class Schema(msgspec.Struct, frozen=True):
    json: Object | None = None


class Specification(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    input_schema: Schema = Schema()


class Tool(msgspec.Struct, frozen=True, rename="camel"):
    """A tool, or a mark of the cache, which has none."""

    tool_spec: Specification | None = None


class Tools(msgspec.Struct, frozen=True, rename="camel"):
    tools: list[Tool] = []
    tool_choice: Object | None = None


class Asked(msgspec.Struct, frozen=True, rename="camel"):
    messages: Annotated[list[Turn], msgspec.Meta(min_length=1)]
    system: list[Object] | None = None
    inference_config: Inference = Inference()
    tool_config: Tools = Tools()
    output_config: Object | None = None


def read(body: bytes, path: re.Match[str]) -> Chat:
    """Raises:
    msgspec.DecodeError: it is no request.
    """
    asked = msgspec.json.decode(body, type=Asked)
    messages: list[Object] = (
        [] if not asked.system else [{"role": "system", "content": text_of(asked.system)}]
    )
    for turn in asked.messages:
        messages += _messages(turn)
    tools = [_tool(tool.tool_spec) for tool in asked.tool_config.tools if tool.tool_spec is not None]
    told = {
        "model": path["model"],
        "messages": messages,
        "stream": path["how"] == "converse-stream",
        "max_tokens": asked.inference_config.max_tokens,
        "stop": asked.inference_config.stop_sequences,
        "tools": tools or None,
        "tool_choice": _choice(asked.tool_config.tool_choice),
        "response_format": _format(asked.output_config),
    }
    return heard(told, len(body))


def whole(chat: Chat, completion: Object) -> Object:
    [choice] = completion["choices"]
    said, finish = choice["message"], choice["finish_reason"]
    content: list[Object] = [{"text": said["content"]}] if said["content"] else []
    for call in said.get("tool_calls", ()):
        # What the limit cut off is no JSON, and there is no place for such.
        content.append({"toolUse": _named(call) | {"input": arguments_of(call, finish) or {}}})
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": FINISH[finish],
        "usage": _usage(completion),
        "metrics": {"latencyMs": 0},
    }


class Events:
    """Of one stream: one block, how it ended, and the usage."""

    def __init__(self, chat: Chat) -> None:
        self._finish = "stop"

    def __call__(self, chunk: Object) -> bytes:
        if not chunk["choices"]:
            stop = _event("messageStop", stopReason=FINISH[self._finish])
            return stop + _event("metadata", usage=_usage(chunk), metrics={"latencyMs": 0})
        [choice] = chunk["choices"]
        delta = choice["delta"]
        calls = delta.get("tool_calls")
        if "role" in delta:
            start = _event("messageStart", role="assistant")
            # A block of text begins with its first delta.
            return start + (
                _block("contentBlockStart", start={"toolUse": _named(calls[0])}) if calls else b""
            )
        if choice["finish_reason"]:
            self._finish = choice["finish_reason"]
            return _block("contentBlockStop")
        if calls:
            arguments = calls[0]["function"]["arguments"]
            return _block("contentBlockDelta", delta={"toolUse": {"input": arguments}})
        return _block("contentBlockDelta", delta={"text": delta["content"]})


def error(status: int, message: str) -> Object:
    known = KINDS.get(status) or KINDS[400 if status < 500 else 500]
    return {"__type": known, "message": message}


def _messages(turn: Turn) -> list[Object]:
    """What is said in a turn, and the results in it, each a message of its own."""
    results = [
        {
            "role": "tool",
            "content": _shown(result.get("content")),
            "tool_call_id": str(result.get("toolUseId")),
        }
        for block in turn.content
        if isinstance(result := block.get("toolResult"), dict)
    ]
    text = text_of(turn.content)
    # The results stand last: an answer to them is no call again.
    return [*([{"role": turn.role, "content": text}] if text or not results else []), *results]


def _shown(content: object) -> str:
    """A result's text, or its JSON."""
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return " ".join(text_of([part]) or msgspec.json.encode(part.get("json")).decode() for part in parts)


def _tool(told: Specification) -> Object:
    return {"type": "function", "function": {"name": told.name, "parameters": told.input_schema.json}}


def _choice(choice: Object | None) -> str | Object | None:
    match choice:
        case {"any": _}:
            return "required"
        case {"tool": {"name": str(name)}}:
            return {"type": "function", "function": {"name": name}}
    return None


def _format(config: Object | None) -> Object | None:
    match config:
        case {"textFormat": {"structure": {"jsonSchema": {"schema": str(schema)}}}}:
            wanted = {"name": "answer", "schema": msgspec.json.decode(schema)}
            return {"type": "json_schema", "json_schema": wanted}
    return None


def _named(call: Object) -> Object:
    return {"toolUseId": call["id"].replace("call_", "tooluse_"), "name": call["function"]["name"]}


def _usage(said: Object) -> Object:
    usage = said["usage"]
    return {
        "inputTokens": usage["prompt_tokens"],
        "outputTokens": usage["completion_tokens"],
        "totalTokens": usage["total_tokens"],
    }


def _block(kind: str, **fields: object) -> bytes:
    return _event(kind, contentBlockIndex=0, **fields)


def _event(kind: str, **fields: object) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return eventstream.written(headers, msgspec.json.encode(fields))


DIALECT = Dialect(
    path=re.compile(r"/model/(?P<model>.+)/(?P<how>converse(?:-stream)?)"),
    place=re.compile("/model/"),
    read=read,
    whole=whole,
    events=Events,
    error=error,
    stream_type=STREAM_TYPE,
)
