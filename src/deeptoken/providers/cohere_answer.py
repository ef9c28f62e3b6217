"""What Cohere's answers say, whole or streamed: their shapes, end, usage, probabilities and errors.

    COMPLETE, STOP_SEQUENCE    stop
    MAX_TOKENS                 length
    TOOL_CALL                  tool_calls
    ERROR, TIMEOUT             a failure: no answer that anybody should pay for as whole

Source: docs.cohere.com/reference/chat, .../reference/errors, .../docs/rate-limits and
.../docs/how-does-cohere-pricing-work, and the types of its own SDK (cohere 7.3.1); read 2026-11-25.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from deeptoken.providers import refusal
from deeptoken.providers.base import Failure
from deeptoken.wire.completion import COUNT_MAX, usage_object
from deeptoken.wire.usage import Usage

FINISH = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}
STOP = "stop"
"""For a reason that is not known yet."""
FAILED = ("ERROR", "TIMEOUT")

THOUGHT_FORMAT = "cohere-thinking-v2"
PLAN_FORMAT = "cohere-tool-plan-v2"
"""Mark reasoning details that are Cohere's."""
NO_ARGUMENTS = "{}"
NOTHING = msgspec.Raw()
"""A field that did not come."""

INVALID_TOKEN, CANCELLED = 498, 499
TOO_LONG = "too many tokens"
MONTHLY = "/ month"
"""A trial key's calls are counted by the month: the operator has to do something."""

Tokens = Annotated[float, msgspec.Meta(ge=0, le=COUNT_MAX)]
"""Whole numbers, which the API declares as numbers."""


class Units(msgspec.Struct, frozen=True):
    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None


class Counts(msgspec.Struct, frozen=True):
    """Usage as it is told. `cached_tokens` are of `tokens`."""

    billed_units: Units | None = None
    tokens: Units | None = None
    cached_tokens: Tokens | None = None


class Logprob(msgspec.Struct, frozen=True):
    """A piece of text, with the probability of each of its tokens."""

    text: str | None = None
    logprobs: list[float] | None = None


class Part(msgspec.Struct, gc=False):
    """A part of content, the first or a later piece of one in a stream."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None


class Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class Call(msgspec.Struct, gc=False):
    id: str | None = None
    function: Function | None = None


class Said(msgspec.Struct):
    """A whole message."""

    content: list[Part] | str | None = None
    tool_plan: str | None = None
    tool_calls: list[Call] | None = None
    citations: list[Any] | None = None

    @property
    def parts(self) -> Sequence[Part]:
        if isinstance(self.content, str):
            return (Part("text", self.content),)
        return self.content or ()


class Answer(msgspec.Struct):
    id: str | None = None
    message: Said | None = None
    finish_reason: str | None = None
    usage: msgspec.Raw = NOTHING
    logprobs: list[Logprob] | None = None
    error: str | None = None


_counts = msgspec.json.Decoder(Counts)


def finish_of(reason: str | None, *, called: bool) -> str:
    if not reason and called:
        return "tool_calls"
    return FINISH.get(reason or "", STOP)


def failed(reason: str | None, error: str | None) -> Failure | None:
    """What an answer that ended badly means; None: it did not."""
    if not error and reason not in FAILED:
        return None
    message = error or f"Cohere ended the answer with {reason}."
    return Failure(
        cause="slow" if reason == "TIMEOUT" else "outage", message=message[: refusal.MESSAGE_MAX], kind=reason
    )


def read_counts(raw: msgspec.Raw) -> Counts:
    """What was counted; nothing where it is nonsense, which nobody should pay."""
    try:
        return _counts.decode(raw) if raw else Counts()
    except msgspec.ValidationError:
        return Counts()


def usage_of(counts: Counts) -> Usage | None:
    """What is paid for; None where that is not told.

    `tokens` counts also what Cohere itself put into the prompt and the special tokens of the answer. Its
    customers do not pay for these ("tokens you don't have control over"), but for `billed_units`; so do ours.
    """
    whole = counts.tokens or Units()
    paid = counts.billed_units or whole
    if paid.input_tokens is None or paid.output_tokens is None:
        return None
    prompt = int(paid.input_tokens)
    # The cached ones are told of all tokens; at least so many of them are paid ones as the others cannot be.
    unpaid = max(0, int(whole.input_tokens or 0) - prompt)
    cached = min(max(0, int(counts.cached_tokens or 0) - unpaid), prompt)
    return Usage(prompt=prompt - cached, cached=cached, completion=int(paid.output_tokens))


def told_object(usage: Usage, counts: Counts) -> dict[str, Any]:
    """The usage in OpenAI's shape, with Cohere's own two counts beside it."""
    told = usage_object(usage)
    for name, units in (("billed_units", counts.billed_units), ("tokens", counts.tokens)):
        if units is not None:
            told[name] = {key: int(count) for key, count in msgspec.structs.asdict(units).items() if count}
    return told


def logprobs_of(told: list[Logprob] | None) -> dict[str, Any] | None:
    """OpenAI's shape, one entry a piece of text: it is as likely as all of its tokens together."""
    if not told:
        return None
    content = [
        {
            "token": piece.text or "",
            "logprob": sum(piece.logprobs or ()),
            "bytes": list((piece.text or "").encode()),
            "top_logprobs": [],
        }
        for piece in told
    ]
    return {"content": content, "refusal": None}


def thought_detail(text: str, index: int) -> dict[str, Any]:
    return {"type": "reasoning.text", "text": text, "format": THOUGHT_FORMAT, "index": index}


def plan_detail(text: str, index: int) -> dict[str, Any]:
    return {"type": "reasoning.text", "text": text, "format": PLAN_FORMAT, "index": index}


def failure_told(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """An answer that is none: ``{"message": "..."}``, read as other hosts' but for what is Cohere's own."""
    told = refusal.read(status, headers, body)
    words = told.message.lower()
    if status == INVALID_TOKEN or (status == 429 and MONTHLY in words):
        return msgspec.structs.replace(told, cause="credential")
    if status == CANCELLED:
        # Not we have cancelled it.
        return msgspec.structs.replace(told, cause="outage")
    if status == 400 and TOO_LONG in words:
        return msgspec.structs.replace(told, code="context_length_exceeded")
    return told
