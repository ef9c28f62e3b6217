"""Sim's words in Gemini's dialect, which Vertex speaks too. Pure.

A call comes whole, once its last word is there; a stream is server-sent events, as ``alt=sse`` asks for.

Source: ai.google.dev/api/generate-content and the types of google-genai 3.6, read 2026-11-25.
"""

import re
from typing import Annotated, Any

import msgspec

from deeptoken.providers.sim_dialect import Dialect, Object, arguments_of, heard, text_of
from deeptoken.wire.chat import Chat

STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
FINISH = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS"}
MODES = {"NONE": "none", "AUTO": "auto", "VALIDATED": "auto", "ANY": "required"}
JSON = "application/json"
COUNT_TOKENS = re.compile(r"/.*models/.+:countTokens")


class Content(msgspec.Struct, frozen=True):
    parts: list[Object] = []
    role: str = "user"


class Tool(msgspec.Struct, frozen=True, rename="camel"):
    function_declarations: list[Object] = []


class Calling(msgspec.Struct, frozen=True, rename="camel"):
    mode: str = "AUTO"
    allowed_function_names: list[str] = []


class ToolConfig(msgspec.Struct, frozen=True, rename="camel"):
    function_calling_config: Calling = Calling()


class Generation(msgspec.Struct, frozen=True, rename="camel"):
    max_output_tokens: int | None = None
    stop_sequences: list[str] | None = None
    candidate_count: int | None = None
    seed: int | None = None
    response_mime_type: str | None = None
    response_json_schema: Object | None = None
    response_schema: Object | None = None


class Asked(msgspec.Struct, frozen=True, rename="camel"):
    contents: Annotated[list[Content], msgspec.Meta(min_length=1)]
    system_instruction: Content | None = None
    tools: list[Tool] | None = None
    tool_config: ToolConfig | None = None
    generation_config: Generation = Generation()


class Counted(msgspec.Struct, frozen=True, rename="camel"):
    """What countTokens takes: contents, or a whole request."""

    contents: list[Content] | None = None
    generate_content_request: Asked | None = None


def read(body: bytes, path: re.Match[str]) -> Chat:
    """Raises:
    msgspec.DecodeError: it is no request.
    """
    asked = msgspec.json.decode(body, type=Asked)
    config = asked.generation_config
    messages = []
    if asked.system_instruction is not None:
        messages.append({"role": "system", "content": text_of(asked.system_instruction.parts)})
    for content in asked.contents:
        messages += _messages(content)
    tools = [_tool(declared) for tool in asked.tools or () for declared in tool.function_declarations]
    told = {
        "model": path["model"],
        "messages": messages,
        "stream": path["method"] == "streamGenerateContent",
        "max_tokens": config.max_output_tokens,
        "stop": config.stop_sequences,
        "n": config.candidate_count,
        "seed": config.seed,
        "tools": tools or None,
        "tool_choice": None if asked.tool_config is None else _choice(asked.tool_config),
        "response_format": _format(config),
    }
    return heard(told, len(body))


def whole(chat: Chat, completion: Object) -> Object:
    candidates = []
    for choice in completion["choices"]:
        message, finish = choice["message"], choice["finish_reason"]
        parts = [part for call in message.get("tool_calls", ()) for part in _called(call, finish)]
        if message["content"]:
            parts.append({"text": message["content"]})
        candidates.append(_candidate(choice["index"], parts, finish))
    return _answer(completion, candidates)


class Events:
    """Of one stream: a word an event, then the ends with the usage."""

    def __init__(self, chat: Chat) -> None:
        self._finished: dict[int, str] = {}
        self._calls: dict[int, Object] = {}
        """Of each choice, as far as it has come."""

    def __call__(self, chunk: Object) -> bytes:
        if not chunk["choices"]:
            return _event(_answer(chunk, [self._end(index) for index in sorted(self._finished)]))
        return b"".join(self._told(chunk, choice) for choice in chunk["choices"])

    def _told(self, chunk: Object, choice: Object) -> bytes:
        index, delta = choice["index"], choice["delta"]
        if choice["finish_reason"]:
            self._finished[index] = choice["finish_reason"]
        for call in delta.get("tool_calls", ()):
            begun = self._calls.setdefault(index, {"id": call.get("id"), "function": {"arguments": ""}})
            arguments = begun["function"]["arguments"] + call["function"]["arguments"]
            begun["function"] |= call["function"] | {"arguments": arguments}
        if not delta.get("content"):
            return b""
        return _event(_answer(chunk, [_candidate(index, [{"text": delta["content"]}])]))

    def _end(self, index: int) -> Object:
        finish = self._finished[index]
        call = self._calls.get(index)
        parts = _called(call, finish) if call else []
        return _candidate(index, parts or [{"text": ""}], finish)


def counted(body: bytes) -> Object:
    """The answer of countTokens. Raises:
    msgspec.DecodeError: it is no request.
    """
    asked = msgspec.json.decode(body, type=Counted)
    request = asked.generate_content_request
    contents = request.contents if request else asked.contents or []
    system = [request.system_instruction] if request and request.system_instruction else []
    words = sum(len(text_of(content.parts).split()) for content in [*system, *contents])
    return {"totalTokens": max(1, words)}


def error(status: int, message: str) -> Object:
    known = STATUS.get(status) or ("INVALID_ARGUMENT" if status < 500 else "UNAVAILABLE")
    return {"error": {"code": status, "message": message, "status": known}}


def _messages(content: Content) -> list[Object]:
    """The results of a turn, each a message of its own, and the rest of it."""
    results = [
        {
            "role": "tool",
            "content": msgspec.json.encode(part["functionResponse"].get("response")).decode(),
            "tool_call_id": str(part["functionResponse"].get("id")),
        }
        for part in content.parts
        if isinstance(part.get("functionResponse"), dict)
    ]
    text = text_of([part for part in content.parts if not part.get("thought")])
    role = "assistant" if content.role == "model" else "user"
    # The results stand last: an answer to them is no call again.
    return [*([{"role": role, "content": text}] if text or not results else []), *results]


def _tool(declared: Object) -> Object:
    schema = declared.get("parametersJsonSchema") or _lower(declared.get("parameters"))
    return {"type": "function", "function": {"name": declared.get("name"), "parameters": schema}}


def _lower(schema: Any) -> Any:
    """A schema of Google's older kind, whose types are in capitals, as JSON Schema has it."""
    if isinstance(schema, list):
        return [_lower(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    told = {name: _lower(value) for name, value in schema.items()}
    if isinstance(kind := told.get("type"), str):
        told["type"] = kind.lower()
    return told


def _choice(config: ToolConfig) -> str | Object:
    calling = config.function_calling_config
    mode, names = MODES.get(calling.mode, "auto"), calling.allowed_function_names
    if not names or mode == "none":
        return mode
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def _format(config: Generation) -> Object | None:
    if config.response_mime_type != JSON:
        return None
    schema = config.response_json_schema or _lower(config.response_schema)
    if schema is None:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _called(call: Object, finish: str) -> list[Object]:
    arguments = arguments_of(call, finish)
    if arguments is None:
        return []
    return [{"functionCall": {"id": call["id"], "name": call["function"]["name"], "args": arguments}}]


def _candidate(index: int, parts: list[Object], finish: str | None = None) -> Object:
    told: Object = {"content": {"role": "model", "parts": parts}, "index": index}
    return told if finish is None else told | {"finishReason": FINISH[finish]}


def _answer(said: Object, candidates: list[Object]) -> Object:
    """`said` is a completion, or the chunk that tells it."""
    answer = {"candidates": candidates, "modelVersion": said["model"], "responseId": said["id"]}
    if usage := said.get("usage"):
        answer["usageMetadata"] = {
            "promptTokenCount": usage["prompt_tokens"],
            "candidatesTokenCount": usage["completion_tokens"],
            "totalTokenCount": usage["total_tokens"],
        }
    return answer


def _event(answer: Object) -> bytes:
    return b"data: %b\r\n\r\n" % msgspec.json.encode(answer)


DIALECT = Dialect(
    path=re.compile(r"/.*models/(?P<model>.+):(?P<method>(?:streamG|g)enerateContent)"),
    place=re.compile(r"/.*models/.+:\w+"),
    read=read,
    whole=whole,
    events=Events,
    error=error,
)
