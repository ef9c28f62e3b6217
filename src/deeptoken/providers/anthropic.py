"""Anthropic's Messages API.

Source: platform.claude.com/docs/en/api/messages, .../api/errors, .../api/versioning and
.../build-with-claude/streaming; read 2026-11-23. Differs from chat in that the system prompt is a field
of its own, `max_tokens` is required, content is blocks, and `input_tokens` leaves out what came from
or went to the cache. Version 2023-06-01 is asked for, since the next one (2026-10-21) takes
no temperature from any model.

    anthropic_request.py    the body; anthropic_messages.py its turns, anthropic_tools.py its tools
    anthropic_answer.py     what answers say; anthropic_stream.py the streamed ones
    anthropic_native.py     calls that came in this dialect: as they came

Reasoning goes to the client as `reasoning_content`, and as `reasoning_details` in the shape that OpenRouter
documents: a client that sends them back gives Claude its signed thinking, byte for byte.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from deeptoken.catalog.model import Candidate
from deeptoken.errors import BadRequest
from deeptoken.providers import anthropic_native
from deeptoken.providers.anthropic_answer import (
    FINISH,
    NOTHING,
    STOP,
    Block,
    ErrorBody,
    Positions,
    encrypted_detail,
    failure_told,
    read_counts,
    text_detail,
    usage_of,
)
from deeptoken.providers.anthropic_request import body
from deeptoken.providers.anthropic_stream import MessageStream
from deeptoken.providers.anthropic_tools import unenforced
from deeptoken.providers.base import Asked, Failure, Malformed, Reply, Stream, unable
from deeptoken.providers.retry import retry_after
from deeptoken.wire.chat import Chat
from deeptoken.wire.choice import call_id
from deeptoken.wire.completion import usage_object
from deeptoken.wire.http import HttpRequest

BASE_URL = "https://api.anthropic.com"
VERSION = "2023-06-01"
VERSION_HEADER, BETA_HEADER = "anthropic-version", "anthropic-beta"


class _Answer(msgspec.Struct):
    type: str = ""
    id: str | None = None
    content: list[Block] | None = None
    stop_reason: str | None = None
    usage: msgspec.Raw = NOTHING
    error: ErrorBody | None = None


class _Refusal(msgspec.Struct):
    error: ErrorBody | None = None


_answer = msgspec.json.Decoder(_Answer)
_refusal = msgspec.json.Decoder(_Refusal)


class Anthropic:
    name = "anthropic"
    dialect = anthropic_native.DIALECT
    """What it speaks with callers that speak it too."""

    def request(self, chat: Chat, at: Candidate, *, stream: bool, limit: int | None) -> HttpRequest:
        if chat.task is not None:
            raise unable("Anthropic", chat.task)
        native = chat.native
        if native is not None and native.dialect == anthropic_native.DIALECT:
            written = anthropic_native.body(native, at, stream=stream, limit=limit)
            return _request(at, written, dict(native.headers))
        try:
            wanted = body(chat, at, stream=stream, limit=limit)
            written = msgspec.json.encode(wanted.fields)
            lost = unenforced(chat)
        except RecursionError:
            raise BadRequest("A schema or message is nested too deeply.") from None
        betas = {BETA_HEADER: ",".join(wanted.betas)} if wanted.betas else {}
        return _request(at, written, betas, lost)

    def reply(self, body: bytes, asked: Asked) -> Reply:
        native: dict[str, msgspec.Raw] | None = None
        try:
            answer = _answer.decode(body)
            if asked.dialect == anthropic_native.DIALECT:
                body.decode()  # fields that nobody here reads must be UTF-8 too
                native = anthropic_native.reply(body, asked.model)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Malformed("The answer is no message in JSON.") from None
        if answer.type == "error":
            raise Malformed(f"An error came as an answer: {failure_told(answer.error).message}")
        if answer.content is None:
            raise Malformed("The answer has no content.")
        named = answer.id or asked.id
        message, text = _message(answer.content, named)
        usage = usage_of(read_counts(answer.usage))
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": FINISH.get(answer.stop_reason or "", STOP),
        }
        return Reply(
            fields={
                "id": named,
                "object": "chat.completion",
                "created": asked.created,
                "model": asked.model,
                "choices": [choice],
            },
            text=text,
            usage=usage,
            told=msgspec.Raw(msgspec.json.encode(usage_object(usage))) if usage else None,
            upstream_id=answer.id,
            native=native,
        )

    def stream(self, asked: Asked) -> Stream:
        return MessageStream(asked)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        try:
            error = _refusal.decode(body).error
        except (msgspec.DecodeError, UnicodeDecodeError):
            error = None
        return msgspec.structs.replace(failure_told(error, status), retry_after_s=retry_after(headers))


def _request(at: Candidate, body: bytes, headers: dict[str, str], lost: tuple[str, ...] = ()) -> HttpRequest:
    """`headers` are the dialect's own: its version, unless it is ours, and the previews that are wanted."""
    known = {"content-type": "application/json", "x-api-key": at.channel.secret, VERSION_HEADER: VERSION}
    base = (at.channel.base_url or BASE_URL).rstrip("/").removesuffix("/v1")
    return HttpRequest(f"{base}/v1/messages", tuple((known | headers).items()), body, lost=lost)


def _message(blocks: list[Block], id: str) -> tuple[dict[str, Any], str]:
    """The assistant's message, and all that was generated in it. What the API's own tools did is left out."""
    places = Positions()
    texts: list[str] = []
    thoughts: list[str] = []
    details: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for block in blocks:
        match block.type:
            case "text" if block.text:
                places.text(block.text)
                texts.append(block.text)
            case "thinking":
                thoughts.append(block.thinking or "")
                details.append(text_detail(thoughts[-1], block.signature, places.thought()))
            case "redacted_thinking" if block.data:
                details.append(encrypted_detail(block.data, places.thought()))
            case "tool_use":
                calls.append(_call(block, call_id(id, places.call())))
    content, reasoning = "".join(texts), "".join(thoughts)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": content if content or not calls else None,
        "refusal": None,
    }
    if calls:
        message["tool_calls"] = calls
    if reasoning:
        message["reasoning_content"] = reasoning
    if details:
        message["reasoning_details"] = details
    return message, "".join((reasoning, content, *(call["function"]["arguments"] for call in calls)))


def _call(block: Block, id: str) -> dict[str, Any]:
    given = bytes(block.input).decode() if block.input else "null"
    function = {"name": block.name or "", "arguments": "{}" if given == "null" else given}
    return {"id": block.id or id, "type": "function", "function": function}
