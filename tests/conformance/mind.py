"""A model with just enough sense for other people's tests: a provider that speaks OpenAI's dialect.

    a tool      is called when it must be, or when the last user message has a word of its name
    arguments   by the schema: numbers and quoted words of that message, in their order
    a result    is told back
    a schema    is answered
    else        it says hello

It takes what OpenAI takes: a request with anything else in it is refused, and so is a conversation whose
calls and results do not belong together.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KNOWN = frozenset(
    (
        *(
            "model",
            "messages",
            "stream",
            "stream_options",
            "max_tokens",
            "max_completion_tokens",
            "n",
            "stop",
        ),
        *("temperature", "top_p", "tools", "tool_choice", "parallel_tool_calls", "response_format", "user"),
        *("reasoning_effort", "seed", "metadata", "logprobs", "top_logprobs", "presence_penalty", "store"),
        *("frequency_penalty", "service_tier", "prompt_cache_key", "safety_identifier", "verbosity"),
    )
)
OF_MESSAGES = frozenset(
    ("role", "content", "name", "tool_calls", "tool_call_id", "refusal", "audio", "annotations")
)
PARTS = frozenset(("text", "image_url", "input_audio", "file", "refusal"))
QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"|\u300c([^\u300d]*)\u300d")
NUMBER = re.compile(r"-?\d+")


class Refused(Exception):
    """The request is not OpenAI's."""


class Material:
    """What a message offers for arguments."""

    def __init__(self, text: str) -> None:
        self.numbers = [int(found) for found in NUMBER.findall(text)]
        self.words = ["".join(found) for found in QUOTED.findall(text)]

    def fill(self, schema: dict[str, Any], root: dict[str, Any]) -> Any:
        """A value of the schema."""
        if reference := schema.get("$ref"):
            _, *keys = reference.split("/")
            return self.fill(reduce(lambda inner, key: inner[key], keys, root), root)
        if "enum" in schema:
            return schema["enum"][0]
        if union := schema.get("anyOf") or schema.get("allOf"):
            return self.fill(union[0], root)
        match schema.get("type", "object"):
            case "object":
                return {name: self.fill(inner, root) for name, inner in schema.get("properties", {}).items()}
            case "array":
                return [self.fill(schema.get("items", {"type": "string"}), root)]
            case "integer" | "number":
                return self.numbers.pop(0) if self.numbers else 3
        return self.words.pop(0) if self.words else "word"


def text_of(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(part["text"] for part in content if part["type"] == "text")
    return content or ""


def look(body: dict[str, Any]) -> None:
    """Raises:
    Refused: a field that OpenAI does not have; a result without its call, or a call without its result.
    """
    if unknown := body.keys() - KNOWN:
        raise Refused(f"unknown fields: {sorted(unknown)}")
    waiting: list[str] = []
    for message in body["messages"]:
        if unknown := message.keys() - OF_MESSAGES:
            raise Refused(f"unknown fields of a message: {sorted(unknown)}")
        content = message.get("content")
        if isinstance(content, list) and not PARTS.issuperset(part["type"] for part in content):
            raise Refused(f"parts of a message: {content}")
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                raise Refused(f"a result without its call: {message['tool_call_id']}")
            waiting.remove(message["tool_call_id"])
        elif waiting:
            break
        for call in message.get("tool_calls") or ():
            json.loads(call["function"]["arguments"])
            waiting.append(call["id"])
    if waiting:
        raise Refused(f"calls without results: {waiting}")


def chosen(body: dict[str, Any], text: str) -> list[dict[str, Any]]:
    """The functions to call."""
    functions = [tool["function"] for tool in body.get("tools") or ()]
    match body.get("tool_choice"):
        case "none":
            return []
        case {"function": {"name": name}}:
            return [function for function in functions if function["name"] == name]
        case choice:
            pass
    said = text.lower()
    meant = [one for one in functions if any(word in said for word in words(one["name"]))]
    exact = [one for one in meant if one["name"].lower() in said]
    if choice == "required":
        return (exact or meant or functions)[:1]
    return (exact or meant)[:1] if body["messages"][-1]["role"] == "user" else []


def words(name: str) -> list[str]:
    return [word for word in re.split(r"[_\W]+", name.lower()) if len(word) > 4]


def answered(body: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The message, and why it ended."""
    look(body)
    users = [message for message in body["messages"] if message["role"] == "user"]
    text = text_of(users[-1]) if users else ""
    material = Material(text)
    if functions := chosen(body, text):
        calls = [
            {
                "id": f"call_{len(body['messages'])}_{number}",
                "type": "function",
                "function": made(one, material),
            }
            for number, one in enumerate(functions)
        ]
        return {"role": "assistant", "content": None, "refusal": None, "tool_calls": calls}, "tool_calls"
    last = body["messages"][-1]
    match body.get("response_format"):
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            content = json.dumps(material.fill(schema, schema))
        case {"type": "json_object"}:
            content = json.dumps({"setup": "Why?", "punchline": "Because."})
        case _:
            content = f"The tool says: {text_of(last)}" if last["role"] == "tool" else "Hello there, friend."
    return {"role": "assistant", "content": content, "refusal": None}, "stop"


def made(function: dict[str, Any], material: Material) -> dict[str, Any]:
    schema = function.get("parameters") or {}
    arguments = json.dumps(material.fill(schema, schema), ensure_ascii=False)
    return {"name": function["name"], "arguments": arguments}


def usage(body: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    prompt, completion = len(json.dumps(body["messages"])) // 4, len(json.dumps(message)) // 4
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def pieces(text: str) -> list[str]:
    return re.findall(r"\S+\s*", text)


def deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": "" if message["content"] else None}
    for piece in pieces(message["content"] or ""):
        yield {"content": piece}
    for index, call in enumerate(message.get("tool_calls", ())):
        function = call["function"]
        yield {
            "tool_calls": [{"index": index, **call, "function": {"name": function["name"], "arguments": ""}}]
        }
        for piece in pieces(function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            message, finish = answered(body)
        except Refused as refused:
            error = {"message": str(refused), "type": "invalid_request_error", "param": None, "code": None}
            return self._send(400, "application/json", json.dumps({"error": error}).encode())
        head: dict[str, Any] = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": body["model"]}
        if not body.get("stream"):
            choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": finish}
            whole = {**head, "object": "chat.completion", "choices": [choice], "usage": usage(body, message)}
            return self._send(200, "application/json", json.dumps(whole).encode())
        head["object"] = "chat.completion.chunk"
        choices: list[list[dict[str, Any]]] = [
            [{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas(message)
        ]
        choices.append([{"index": 0, "delta": {}, "finish_reason": finish}])
        chunks = [{**head, "choices": one, "usage": None} for one in choices]
        chunks.append({**head, "choices": [], "usage": usage(body, message)})
        told = [*(json.dumps(chunk) for chunk in chunks), "[DONE]"]
        return self._send(200, "text/event-stream", "".join(f"data: {line}\n\n" for line in told).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is told."""


@contextmanager
def thinking() -> Iterator[str]:
    """The base URL of one, while it thinks."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        running = threading.Thread(target=server.serve_forever)
        running.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            running.join()
