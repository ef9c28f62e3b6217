"""Cohere's Chat API, version 2.

Source: docs.cohere.com/reference/chat, .../reference/chat-stream and .../reference/errors, and the types of
its own SDK (cohere 7.3.1); read 2026-11-25. Differs from chat in that a plan goes before tool calls, content
is parts (text, thinking), most parameters have another name or range, and the tokens that are billed are
told beside those that were processed.

    cohere_request.py    the body; cohere_messages.py its messages, cohere_tools.py its tools
    cohere_answer.py     what answers say; cohere_stream.py the streamed ones
    cohere_tasks.py      embeddings and rankings

The plan and the thinking go to the client as `reasoning_content`, and as `reasoning_details`: a client that
sends them back gives Cohere each where it was. `citations` are a field of the message, as Cohere writes them.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from deeptoken.catalog.model import Candidate
from deeptoken.errors import BadRequest
from deeptoken.providers import cohere_tasks, refusal
from deeptoken.providers.base import Asked, Failure, Malformed, Reply, Stream
from deeptoken.providers.cohere_answer import (
    NO_ARGUMENTS,
    Answer,
    Call,
    Said,
    failed,
    failure_told,
    finish_of,
    logprobs_of,
    plan_detail,
    read_counts,
    thought_detail,
    told_object,
    usage_of,
)
from deeptoken.providers.cohere_request import body
from deeptoken.providers.cohere_stream import ChatStream
from deeptoken.wire.chat import Chat
from deeptoken.wire.choice import call_id
from deeptoken.wire.http import HttpRequest

BASE_URL = "https://api.cohere.com"

_answer = msgspec.json.Decoder(Answer)


class Cohere:
    name = "cohere"

    def request(self, chat: Chat, at: Candidate, *, stream: bool, limit: int | None) -> HttpRequest:
        path = "chat"
        try:
            if chat.task is not None:
                path, written = cohere_tasks.call(chat, at)
            else:
                written = msgspec.json.encode(body(chat, at, stream=stream, limit=limit))
        except RecursionError:
            raise BadRequest("A schema or message is nested too deeply.") from None
        headers = (
            ("content-type", "application/json"),
            ("authorization", f"Bearer {at.channel.secret}"),
        )
        base = (at.channel.base_url or BASE_URL).rstrip("/").removesuffix("/v1").removesuffix("/v2")
        return HttpRequest(f"{base}/v2/{path}", headers, written)

    def reply(self, body: bytes, asked: Asked) -> Reply:
        if asked.task is not None:
            return cohere_tasks.reply(body, asked)
        try:
            answer = _answer.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if why := refusal.words_of(body).message:
                raise Malformed(f"An error came as an answer: {why}") from None
            raise Malformed("The answer is no message in JSON.") from None
        if answer.message is None:
            raise Malformed("The answer has no message.")
        if failure := failed(answer.finish_reason, answer.error):
            raise Malformed(failure.message)
        named = answer.id or asked.id
        message, text = _message(answer.message, named)
        counts = read_counts(answer.usage)
        usage = usage_of(counts)
        choice = {
            "index": 0,
            "message": message,
            "logprobs": logprobs_of(answer.logprobs),
            "finish_reason": finish_of(answer.finish_reason, called="tool_calls" in message),
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
            told=msgspec.Raw(msgspec.json.encode(told_object(usage, counts))) if usage else None,
            upstream_id=answer.id,
        )

    def stream(self, asked: Asked) -> Stream:
        return ChatStream(asked)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return failure_told(status, headers, body)


def _message(said: Said, id: str) -> tuple[dict[str, Any], str]:
    """The assistant's message, and all that was generated in it."""
    texts: list[str] = []
    reasoning: list[str] = []
    details: list[dict[str, Any]] = []
    for part in said.parts:
        if part.thinking:
            reasoning.append(part.thinking)
            details.append(thought_detail(part.thinking, len(details)))
        elif part.text:
            texts.append(part.text)
    if said.tool_plan:
        reasoning.append(said.tool_plan)
        details.append(plan_detail(said.tool_plan, len(details)))
    made = enumerate(said.tool_calls or ())
    calls: list[dict[str, Any]] = [_call(call, call_id(id, number)) for number, call in made]
    content = "".join(texts)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": content if content or not calls else None,
        "refusal": None,
    }
    if calls:
        message["tool_calls"] = calls
    if reasoning:
        message["reasoning_content"] = "".join(reasoning)
        message["reasoning_details"] = details
    if said.citations:
        message["citations"] = said.citations
    arguments = (call["function"]["arguments"] for call in calls)
    return message, "".join((*reasoning, content, *arguments))


def _call(call: Call, id: str) -> dict[str, Any]:
    name = (call.function.name if call.function else None) or ""
    given = (call.function.arguments if call.function else None) or ""
    # A tool without parameters may be called with null.
    arguments = NO_ARGUMENTS if given.strip() in ("", "null") else given
    return {"id": call.id or id, "type": "function", "function": {"name": name, "arguments": arguments}}
