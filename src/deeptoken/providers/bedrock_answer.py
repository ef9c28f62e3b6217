"""What Converse's answers say, whole or streamed: their shapes, end, usage and errors.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
.../API_runtime_TokenUsage.html, .../userguide/prompt-caching.html and
.../userguide/troubleshooting-api-error-codes.html, botocore's model of the service (1.44.8); read 2026-11-25.
Usage there: `inputTokens` is what neither came from the cache nor went to it; a write is kept for 5 minutes
or, as `cacheDetails` tells, for an hour; reasoning is part of `outputTokens` and not counted apart.
"""

import re
from typing import Annotated

import msgspec

from deeptoken.providers.base import Cause, Failure, Malformed
from deeptoken.wire.completion import COUNT_MAX
from deeptoken.wire.usage import Usage

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "content_filter",
}
STOP = "stop"
"""For a reason that is not known yet."""
BROKEN = ("malformed_model_output", "malformed_tool_use")
"""The model failed: no answer that anybody should pay for."""
SERVER_TOOL = "server_tool_use"

CAUSES: dict[str, tuple[Cause, int]] = {
    "throttling": ("capacity", 429),
    "toomanyrequests": ("capacity", 429),
    "servicequotaexceeded": ("capacity", 429),
    "modelnotready": ("capacity", 429),
    "accessdenied": ("credential", 403),
    "notauthorized": ("credential", 403),
    "unrecognizedclient": ("credential", 403),
    "invalidclienttokenid": ("credential", 403),
    "invalidsignature": ("credential", 403),
    "signaturedoesnotmatch": ("credential", 403),
    "incompletesignature": ("credential", 403),
    "missingauthenticationtoken": ("credential", 403),
    "expiredtoken": ("credential", 403),
    "requestexpired": ("credential", 403),
    "optinrequired": ("credential", 403),
    "resourcenotfound": ("misconfigured", 404),
    "unknownoperation": ("misconfigured", 404),
    "validation": ("caller", 400),
    "modeltimeout": ("slow", 408),
    "modelerror": ("outage", 424),
    "modelstreamerror": ("outage", 424),
    "internalserver": ("outage", 500),
    "internalfailure": ("outage", 500),
    "serviceunavailable": ("outage", 503),
}
"""An error's name without ``Exception``, in lower case: its cause, and its status inside a stream."""
NO_MODEL = re.compile(
    r"(?:the provided )?model identifier is invalid|you (?:don.t|do not) have access to the model"
    r"|invocation of model id \S+ with on-demand throughput (?:isn.t|is not) supported"
    r"|model use case details have not been submitted|this model version has reached the end of its life",
    re.IGNORECASE,
)
OUR_ACCOUNT = re.compile(r"operation not allowed\.?$", re.IGNORECASE)
"""How a 400 or 403 begins that is the operator's problem. A caller's words may follow, never stand first."""
TOO_LONG = re.compile(
    r"(?:input|prompt) is too long|exceed context limit|too many (?:input tokens|total text bytes)",
    re.IGNORECASE,
)
BLOCKED = re.compile(r"content filtering policy", re.IGNORECASE)
HTML = ("<html", "<!doctype")
MESSAGE_MAX = 2_000
NOTHING = msgspec.Raw()
"""A field that did not come."""

Tokens = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]


class Kept(msgspec.Struct, frozen=True, rename="camel"):
    """Tokens written to the cache, and how long they stay."""

    ttl: str = ""
    input_tokens: Tokens = 0


class Counts(msgspec.Struct, frozen=True, rename="camel"):
    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    cache_read_input_tokens: Tokens | None = None
    cache_write_input_tokens: Tokens | None = None
    cache_details: list[Kept] | None = None


class ReasoningText(msgspec.Struct, frozen=True):
    text: str | None = None
    signature: str | None = None


class Reasoning(ReasoningText, frozen=True, rename="camel"):
    """A block of reasoning, or a delta of one, whose parts stand at the top."""

    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None


class ToolUse(msgspec.Struct, frozen=True, rename="camel"):
    """A tool call; in a stream its beginning, or a delta, whose `input` is text."""

    tool_use_id: str | None = None
    name: str | None = None
    input: msgspec.Raw = NOTHING
    type: str | None = None


class Text(msgspec.Struct, frozen=True):
    text: str | None = None


class Cited(msgspec.Struct, frozen=True):
    content: list[Text] | None = None


class Block(msgspec.Struct, frozen=True, rename="camel"):
    """A block of content, or a delta of one: exactly one field is filled."""

    text: str | None = None
    tool_use: ToolUse | None = None
    reasoning_content: Reasoning | None = None
    citations_content: Cited | None = None

    @property
    def said(self) -> str:
        """Its text, also where it comes with what it cites."""
        cited = self.citations_content.content if self.citations_content else None
        return (self.text or "") + "".join(part.text or "" for part in cited or ())


_counts = msgspec.json.Decoder(Counts)


def usage_of(raw: msgspec.Raw) -> Usage | None:
    """The counts in disjoint classes; None where they do not tell both sides, or are nonsense."""
    try:
        counts = _counts.decode(raw) if raw else Counts()
    except msgspec.ValidationError:
        return None
    if counts.input_tokens is None or counts.output_tokens is None:
        return None
    hour = sum(kept.input_tokens for kept in counts.cache_details or () if kept.ttl == "1h")
    all_kept = sum(kept.input_tokens for kept in counts.cache_details or ())
    written = all_kept if counts.cache_write_input_tokens is None else counts.cache_write_input_tokens
    hour = min(hour, written)
    return Usage(
        prompt=counts.input_tokens,
        cached=counts.cache_read_input_tokens or 0,
        cache_write=written - hour,
        cache_write_1h=hour,
        completion=counts.output_tokens,
    )


def finish_of(reason: str | None) -> str:
    """Raises:
    Malformed: the model failed to write what it wanted to.
    """
    if reason in BROKEN:
        raise Malformed(f"The model failed: {reason}.")
    return FINISH.get(reason or "", STOP)


def arguments_of(call: ToolUse) -> str:
    """The arguments of a whole call, as they came."""
    given = bytes(call.input).decode() if call.input else "null"
    return "{}" if given == "null" else given


def failure_told(kind: str, message: str, status: int | None = None) -> Failure:
    """What an error means: by its name and words, else its status. Without a status it came in a stream."""
    name = kind.rpartition("#")[2].partition(":")[0]
    cause, usual = CAUSES.get(name.lower().removesuffix("exception"), (None, 500))
    if not message or any(mark in message.lower() for mark in HTML):
        message = f"Bedrock answered with {name or 'status ' + str(status)} and no message."
    told = status or usual
    return Failure(
        cause=_cause(cause or _by_status(told), message),
        message=message[:MESSAGE_MAX],
        status=told,
        code=_code(message) or name or None,
        kind=name or None,
    )


def _cause(cause: Cause, message: str) -> Cause:
    if cause in ("caller", "credential") and NO_MODEL.match(message):
        return "misconfigured"
    return "credential" if cause == "caller" and OUR_ACCOUNT.match(message) else cause


def _by_status(status: int) -> Cause:
    match status:
        case 401 | 402 | 403:
            return "credential"
        case 404:
            return "misconfigured"
        case 408:
            return "slow"
        case 429:
            return "capacity"
        case 424:
            return "outage"
    return "caller" if 400 <= status < 500 else "outage"


def _code(message: str) -> str | None:
    """OpenAI's word for what another model might take."""
    if TOO_LONG.search(message):
        return "context_length_exceeded"
    return "content_filter" if BLOCKED.search(message) else None
