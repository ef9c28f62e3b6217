"""A Response object: a chat's answer in the words of OpenAI's Responses.

    stop, tool_calls   completed
    length             incomplete, max_output_tokens; so is an answer that money ended (`dry`)
    content_filter     incomplete, content_filter

Source: developers.openai.com/api/reference/resources/responses and openai-python's types, read 2026-11-25.
What the request left open is told as OpenAI's defaults.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from deeptoken.errors import DeeptokenError
from deeptoken.wire.chat import Chat
from deeptoken.wire.responses_items import Delta, Object, Output
from deeptoken.wire.usage import Usage

INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
SUMMARIES = ("auto", "concise", "detailed")
TEXTS = ("instructions", "prompt_cache_key", "safety_identifier", "user")
NOTHING: Mapping[str, Any] = {}

encode = msgspec.json.encode


class Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    logprobs: Any = None


class Chunk(msgspec.Struct, gc=False):
    """A chat's answer or a chunk of one: what a Response tells of it."""

    choices: list[Choice] = []
    service_tier: Any = None


read_chunk = msgspec.json.Decoder(Chunk).decode


class Facts(msgspec.Struct, frozen=True):
    """What a Response says that no provider tells. `created` in seconds since 1970."""

    id: str
    created: int
    model: str
    echo: Object
    """The fields that repeat the request."""
    summarized: bool = False
    """A summary of the reasoning was asked for."""

    @property
    def key(self) -> str:
        """What makes the ids of this response's items."""
        return self.id.removeprefix("resp_")


class End(msgspec.Struct, frozen=True):
    """How an answer ended, and what it used."""

    usage: Usage | None = None
    dry: str | None = None
    """Why the money ended it: ``wallet_empty``, ``budget_exceeded``, ``rate_limit_exceeded``,
    ``max_cost_usd``."""
    completed_at: int | None = None
    """Seconds since 1970."""
    more: Mapping[str, Any] = NOTHING
    """What else stands in `usage`: ours, such as `cost`."""


def facts(chat: Chat, *, id: str, created: int, model: str) -> Facts:
    """The facts of the answer to `chat`, which came in this dialect."""
    raws = chat.native.fields if chat.native is not None else {}
    asked = {name: msgspec.json.decode(raw) for name, raw in raws.items() if name != "input"}
    return Facts(id, created, model, _echo(asked), summarized=bool(_reasoning(asked)["summary"]))


def response(fields: Object, facts: Facts, end: End) -> Object:
    """The Response that says what `fields`, a whole ``chat.completion``, do."""
    chunk = read_chunk(encode(fields))
    choice = next((one for one in chunk.choices if one.index == 0), Choice())
    output = Output(facts.key, summarized=facts.summarized)
    for _ in output.add(choice.message or Delta(), choice.logprobs):
        pass
    why = incomplete(choice.finish_reason, end.dry)
    for _ in output.end(whole=why is None):
        pass
    return ended(facts, output.items(), why, end, chunk.service_tier)


def passed(native: Mapping[str, msgspec.Raw], more: Mapping[str, Any] = NOTHING) -> dict[str, Any]:
    """A Response that a provider told, with what else stands in `usage`; its values are raw JSON."""
    fields: dict[str, Any] = dict(native)
    if more:
        usage = msgspec.json.decode(native.get("usage", b"null"))
        fields["usage"] = {**(usage if isinstance(usage, dict) else {}), **more}
    return fields


def incomplete(finish: str | None, dry: str | None) -> str | None:
    """Why an answer is not complete, or None."""
    return INCOMPLETE.get(finish or "", INCOMPLETE["length"] if dry is not None else None)


def begun(facts: Facts) -> Object:
    """A Response in progress."""
    return _object(facts, "in_progress", [])


def ended(facts: Facts, output: list[Object], why: str | None, end: End, tier: object = None) -> Object:
    """A Response that is completed, or for `why` is not."""
    made = _object(facts, "completed" if why is None else "incomplete", output)
    if why is None:
        made["completed_at"] = end.completed_at
    else:
        made["incomplete_details"] = {"reason": why}
    if isinstance(tier, str):
        made["service_tier"] = tier
    if end.usage is not None:
        made["usage"] = {**usage_object(end.usage), **end.more}
    if end.dry is not None:
        made["deeptoken"] = {"reason": end.dry}
    return made


def failed(facts: Facts, output: list[Object], error: DeeptokenError) -> Object:
    """A Response that failed once it was in progress."""
    made = _object(facts, "failed", output)
    made["error"] = {"code": error_code(error), "message": error.message}
    return made


def error_code(error: DeeptokenError) -> str:
    """The dialect's own word: it has a closed list of them."""
    if error.status == 429:
        return "rate_limit_exceeded"
    return "invalid_prompt" if error.category == "user" else "server_error"


def usage_object(usage: Usage) -> Object:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def _object(facts: Facts, status: str, output: list[Object]) -> Object:
    return {
        "id": facts.id,
        "object": "response",
        "created_at": facts.created,
        "status": status,
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": facts.model,
        "output": output,
        "usage": None,
        **facts.echo,
    }


def _echo(asked: Object) -> Object:
    """The request's own words, where they have the right shape, else OpenAI's defaults."""
    text = asked.get("text") or {}
    return {
        **{name: asked[name] if isinstance(asked.get(name), str) else None for name in TEXTS},
        "max_output_tokens": asked.get("max_output_tokens"),
        "max_tool_calls": asked.get("max_tool_calls"),
        "metadata": asked.get("metadata") or {},
        "parallel_tool_calls": asked.get("parallel_tool_calls") is not False,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "previous_response_id": None,
        "reasoning": _reasoning(asked),
        "service_tier": "default",
        "store": False,
        "temperature": _or(asked.get("temperature"), 1.0),
        "text": {
            "format": text.get("format") or {"type": "text"},
            "verbosity": text.get("verbosity") or "medium",
        },
        "tool_choice": asked.get("tool_choice") or "auto",
        "tools": [_tool(tool) for tool in asked.get("tools") or ()],
        "top_logprobs": asked.get("top_logprobs") or 0,
        "top_p": _or(asked.get("top_p"), 1.0),
        "truncation": "disabled",
    }


def _reasoning(asked: Object) -> Object:
    told = asked.get("reasoning") or {}
    summary = told.get("summary") or told.get("generate_summary")
    return {"effort": told.get("effort"), "summary": summary if summary in SUMMARIES else None}


def _tool(tool: Object) -> Object:
    if tool["type"] != "function":
        return tool
    return {"description": None, "parameters": None, "strict": False, **tool}


def _or(value: object, default: float) -> object:
    return default if value is None else value
