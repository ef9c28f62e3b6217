"""Amazon Bedrock: Converse, and ConverseStream with its binary events.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html,
.../API_runtime_ConverseStream.html, .../userguide/api-keys-use.html; read 2026-11-25. One dialect for the
models of all makers. Differs from chat in that the model stands in the path, content is blocks without a
type, and a stream is frames with checksums. A Bedrock API key is sent as it is; AWS's keys sign the whole
request (sigv4.py).

    bedrock_request.py    the body; bedrock_messages.py its turns, bedrock_parts.py what they are made of,
                          bedrock_tools.py its tools, bedrock_models.py what the makers' models differ in
    bedrock_answer.py     what answers say; bedrock_stream.py the streamed ones

Reasoning goes to the client as Anthropic's does, and comes back byte for byte.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from deeptoken.catalog.model import Candidate
from deeptoken.errors import BadRequest
from deeptoken.providers.anthropic_answer import Positions
from deeptoken.providers.anthropic_tools import unenforced
from deeptoken.providers.base import Asked, Failure, Malformed, Reply, Stream, unable
from deeptoken.providers.bedrock_answer import (
    NOTHING,
    SERVER_TOOL,
    Block,
    Reasoning,
    ToolUse,
    arguments_of,
    failure_told,
    finish_of,
    usage_of,
)
from deeptoken.providers.bedrock_models import encrypted_told, text_told, written_format
from deeptoken.providers.bedrock_request import body, held
from deeptoken.providers.bedrock_stream import ConverseStream
from deeptoken.providers.retry import retry_after
from deeptoken.wire.chat import Chat
from deeptoken.wire.choice import call_id
from deeptoken.wire.completion import usage_object
from deeptoken.wire.http import HttpRequest

BASE_URL = "https://bedrock-runtime.{region}.amazonaws.com"
"""Where a channel's option `region` leads that has no address of its own."""


class _Message(msgspec.Struct):
    content: list[Block] | None = None


class _Output(msgspec.Struct):
    message: _Message | None = None


class _Answer(msgspec.Struct, rename="camel"):
    output: _Output | None = None
    stop_reason: str | None = None
    usage: msgspec.Raw = NOTHING


class _Refusal(msgspec.Struct, rename={"kind": "__type", "other": "Message"}):
    message: str | None = None
    other: str | None = None
    kind: str | None = None


_answer = msgspec.json.Decoder(_Answer)
_refusal = msgspec.json.Decoder(_Refusal)


class Bedrock:
    name = "bedrock"

    def request(self, chat: Chat, at: Candidate, *, stream: bool, limit: int | None) -> HttpRequest:
        if chat.task is not None:
            raise unable("Bedrock", chat.task)
        try:
            written = msgspec.json.encode(body(chat, at, limit=limit))
            lost = unenforced(chat, strict=held(at))
        except RecursionError:
            raise BadRequest("A schema or message is nested too deeply.") from None
        headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
        secret = at.channel.secret
        if secret and ":" not in secret:
            headers += (("authorization", f"Bearer {secret}"),)
        base = at.channel.base_url or BASE_URL.format(region=at.channel.options.get("region"))
        model = quote(at.upstream_model, safe="")
        how = "converse-stream" if stream else "converse"
        return HttpRequest(f"{base.rstrip('/')}/model/{model}/{how}", headers, written, lost=lost)

    def reply(self, body: bytes, asked: Asked) -> Reply:
        try:
            answer = _answer.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Malformed("The answer is no message in JSON.") from None
        message = answer.output.message if answer.output else None
        if message is None or message.content is None:
            raise Malformed("The answer has no content.")
        said, text = _said(message.content, asked)
        usage = usage_of(answer.usage)
        choice = {
            "index": 0,
            "message": said,
            "logprobs": None,
            "finish_reason": finish_of(answer.stop_reason),
        }
        return Reply(
            fields={
                "id": asked.id,
                "object": "chat.completion",
                "created": asked.created,
                "model": asked.model,
                "choices": [choice],
            },
            text=text,
            usage=usage,
            told=msgspec.Raw(msgspec.json.encode(usage_object(usage))) if usage else None,
        )

    def stream(self, asked: Asked) -> Stream:
        return ConverseStream(asked)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        try:
            told = _refusal.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            told = _Refusal()
        kind = headers.get("x-amzn-errortype") or told.kind or ""
        failure = failure_told(kind, told.message or told.other or "", status)
        return msgspec.structs.replace(failure, retry_after_s=retry_after(headers))


def _said(blocks: list[Block], asked: Asked) -> tuple[dict[str, Any], str]:
    """The assistant's message, and all that was generated in it. What the model's server did is left out."""
    places, form = Positions(), written_format(asked.model)
    texts: list[str] = []
    thoughts: list[str] = []
    details: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for block in blocks:
        if said := block.said:
            places.text(said)
            texts.append(said)
        elif block.reasoning_content is not None:
            text, detail = _thought(block.reasoning_content, places, form)
            thoughts.append(text)
            details += detail
        elif block.tool_use is not None and block.tool_use.type != SERVER_TOOL:
            calls.append(_call(block.tool_use, call_id(asked.id, places.call())))
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


def _thought(part: Reasoning, places: Positions, form: str) -> tuple[str, list[dict[str, Any]]]:
    """The text of a block of reasoning, and its detail."""
    if part.redacted_content:
        return "", [encrypted_told(part.redacted_content, places.thought(), form)]
    told = part.reasoning_text
    if told is None or not (told.text or told.signature):
        return "", []
    return told.text or "", [text_told(told.text or "", told.signature, places.thought(), form)]


def _call(call: ToolUse, id: str) -> dict[str, Any]:
    function = {"name": call.name or "", "arguments": arguments_of(call)}
    return {"id": call.tool_use_id or id, "type": "function", "function": function}
