"""What Anthropic's answers say, whole or streamed: their shapes, end, usage and errors.

Source: platform.claude.com/docs/en/api/messages, .../api/errors, .../build-with-claude/streaming,
.../build-with-claude/prompt-caching, .../build-with-claude/handling-stop-reasons,
.../build-with-claude/compaction; read 2026-11-23.
Usage there: `input_tokens` is what neither came from the cache nor went to it; a cache write is kept for
5 minutes or an hour; thinking is part of `output_tokens`; compaction is told in `iterations` alone.
"""

from typing import Annotated, Any

import msgspec

from deeptoken.providers.base import Cause, Failure
from deeptoken.wire.completion import COUNT_MAX
from deeptoken.wire.thoughts import FORMAT
from deeptoken.wire.usage import Usage

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
STOP = "stop"
"""For a reason that is not known yet."""

STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The status that an error inside a stream would have had."""
OUR_ACCOUNT = (
    *("credit balance is too low", "api usage limits", "spend limit", "spending limit"),
    "organization has been disabled",
)
"""Words of a 400 or 429 that is the operator's problem."""
CALLERS_OWN = ("container", "file", "skill")
"""What else may not be found."""
TOO_LONG = ("prompt is too long", "exceed context limit", "exceeds the context window")
HTML = ("<html", "<!doctype")
MESSAGE_MAX = 2_000
NOTHING = msgspec.Raw()
"""A field that did not come."""


Tokens = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]


class Written(msgspec.Struct, frozen=True):
    """Tokens written to the cache, by how long they stay."""

    ephemeral_5m_input_tokens: Tokens | None = None
    ephemeral_1h_input_tokens: Tokens | None = None


class OutputDetails(msgspec.Struct, frozen=True):
    thinking_tokens: Tokens | None = None


class Counts(msgspec.Struct, frozen=True):
    """Usage as it is told. In a stream each is cumulative, and one that is missing has not changed."""

    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    cache_read_input_tokens: Tokens | None = None
    cache_creation_input_tokens: Tokens | None = None
    cache_creation: Written | None = None
    output_tokens_details: OutputDetails | None = None
    iterations: "list[Iteration] | None" = None

    def then(self, later: "Counts") -> "Counts":
        """What is known when `later` was told."""
        told = {name: value for name in self.__struct_fields__ if (value := getattr(later, name)) is not None}
        return msgspec.structs.replace(self, **told)


class Iteration(Counts, frozen=True):
    type: str = ""


class ErrorBody(msgspec.Struct, frozen=True):
    type: str | None = None
    message: str | None = None


class Block(msgspec.Struct, frozen=True):
    """A block of content, and the first or a later part of one in a stream."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = NOTHING
    partial_json: str | None = None
    stop_reason: str | None = None


_counts = msgspec.json.Decoder(Counts)


def read_counts(raw: msgspec.Raw) -> Counts:
    """What was counted; nothing where it is nonsense, which nobody should pay."""
    try:
        return _counts.decode(raw) if raw else Counts()
    except msgspec.ValidationError:
        return Counts()


def usage_of(counts: Counts) -> Usage | None:
    """The counts in disjoint classes; None where they do not tell both sides."""
    if counts.input_tokens is None or counts.output_tokens is None:
        return None
    usage = _one(counts)
    for iteration in counts.iterations or ():
        if iteration.type == "compaction":
            usage = _sum(usage, _one(iteration))
    return usage


def _one(counts: Counts) -> Usage:
    split = counts.cache_creation or Written()
    hour = split.ephemeral_1h_input_tokens or 0
    written = counts.cache_creation_input_tokens
    if written is None:
        written = hour + (split.ephemeral_5m_input_tokens or 0)
    hour = min(hour, written)
    output = counts.output_tokens or 0
    details = counts.output_tokens_details
    thought = min(details.thinking_tokens or 0, output) if details else 0
    return Usage(
        prompt=counts.input_tokens or 0,
        cached=counts.cache_read_input_tokens or 0,
        cache_write=written - hour,
        cache_write_1h=hour,
        completion=output - thought,
        reasoning=thought,
    )


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(**{name: getattr(one, name) + getattr(other, name) for name in Usage.__struct_fields__})


class Positions:
    """Where the blocks of an answer stand once its text is one block: what a client gets and sends back."""

    __slots__ = ("calls", "spoken", "thoughts")

    def __init__(self) -> None:
        self.thoughts = 0
        self.spoken = False
        self.calls = 0

    def thought(self) -> int:
        place = self.thoughts + self.spoken + self.calls
        self.thoughts += 1
        return place

    def text(self, text: str) -> None:
        # Blank text does not go back.
        self.spoken = self.spoken or not text.isspace()

    def call(self) -> int:
        """The number of the tool call: 0-based, contiguous."""
        self.calls += 1
        return self.calls - 1


def text_detail(text: str, signature: str | None, index: int) -> dict[str, Any]:
    detail: dict[str, Any] = {"type": "reasoning.text", "text": text}
    if signature:
        detail["signature"] = signature
    return {**detail, "format": FORMAT, "index": index}


def encrypted_detail(data: str, index: int) -> dict[str, Any]:
    return {"type": "reasoning.encrypted", "data": data, "format": FORMAT, "index": index}


def failure_told(error: ErrorBody | None, status: int | None = None) -> Failure:
    """What an error means: by its HTTP status, or by its type where it came inside a stream."""
    kind = error.type if error else None
    message = (error.message if error else None) or ""
    if status is None:
        status = STATUS.get(kind or "", 500)
    if not message or any(mark in message.lower() for mark in HTML):
        message = f"Anthropic answered with status {status} and no message."
    return Failure(
        cause=_cause(status, message.lower()),
        message=message[:MESSAGE_MAX],
        status=status,
        code=_code(message.lower()) or kind,
        kind=kind,
    )


def _cause(status: int, message: str) -> Cause:
    if status in (401, 402, 403) or (status in (400, 429) and any(words in message for words in OUR_ACCOUNT)):
        return "credential"
    if status == 404:
        own = "model" not in message and any(word in message for word in CALLERS_OWN)
        return "caller" if own else "misconfigured"
    if status == 408:
        return "slow"
    if status == 429:
        return "capacity"
    return "caller" if 400 <= status < 500 else "outage"


def _code(message: str) -> str | None:
    """OpenAI's word for what another model might take."""
    if any(words in message for words in TOO_LONG):
        return "context_length_exceeded"
    return "content_filter" if "content filtering policy" in message else None
