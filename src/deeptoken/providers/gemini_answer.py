"""What Gemini's answers say, whole or streamed: their shapes, end, usage and errors.

Source: ai.google.dev/api/generate-content (GenerateContentResponse, Candidate, UsageMetadata),
.../gemini-api/docs/troubleshooting, google.rpc's error_details and the types of google-genai 3.6; read
2026-11-25. Usage there: the prompt's count has what came from the cache, but not what the API's own tools
read; the candidates' count has no thoughts. A count that is zero is left out.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from deeptoken.providers.base import Cause, Failure
from deeptoken.providers.gemini_contents import FORMAT
from deeptoken.providers.retry import retry_after
from deeptoken.wire.completion import COUNT_MAX
from deeptoken.wire.usage import Usage

NOTHING = msgspec.Raw()
"""A field that did not come."""
STOP = "stop"
"""For a reason that is not known yet, and for one with which the model itself failed."""
FINISH = {
    "STOP": STOP,
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    **dict.fromkeys(
        (
            *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"),
            *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "ESCALATION"),
        ),
        "content_filter",
    ),
}
NUMBERED = ("", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "LANGUAGE", "BLOCKLIST", "SPII")
"""The same where enums come as numbers; what the two APIs count differently ends alike."""
AUDIO, IMAGE = ("AUDIO", 4), ("IMAGE", 2)

STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""The status that an error inside a stream would have had, if it does not say it."""
OUR_ACCOUNT = re.compile(
    r"api[ _]key (?:not valid|expired|not found|was reported)|api_key_invalid"
    r"|user location is not supported|enable billing|billing (?:account|to be enabled)"
    r"|credits are depleted|spend(?:ing)? (?:cap|limit)|has been suspended|has not been used in project",
    re.IGNORECASE,
)
"""Words of a 400 or 429 that is the operator's problem."""
TOO_LONG = re.compile(r"exceeds the maximum number of tokens|input token count|context length", re.IGNORECASE)
HTML = ("<html", "<!doctype")
MESSAGE_MAX = 2_000
PROJECT = re.compile(r"projects/[\w.:-]+/(?:locations/[\w-]+/)?")
"""The operator's project, which callers need not know."""
DELAY = re.compile(r"(\d+(?:\.\d+)?)s")

Tokens = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]


class Modality(msgspec.Struct, frozen=True, rename="camel"):
    modality: str | int | None = None
    token_count: Tokens | None = None


class Counts(msgspec.Struct, frozen=True, rename="camel"):
    """Usage as it is told. In a stream the last one counts."""

    prompt_token_count: Tokens | None = None
    cached_content_token_count: Tokens | None = None
    tool_use_prompt_token_count: Tokens | None = None
    candidates_token_count: Tokens | None = None
    thoughts_token_count: Tokens | None = None
    prompt_tokens_details: list[Modality] | None = None
    cache_tokens_details: list[Modality] | None = None
    candidates_tokens_details: list[Modality] | None = None


class PartialArgument(msgspec.Struct, frozen=True, rename="camel"):
    """A piece of one argument (Vertex, where arguments are streamed)."""

    json_path: str = "$"
    string_value: str | None = None
    number_value: msgspec.Raw = NOTHING
    bool_value: bool | None = None


class FunctionCall(msgspec.Struct, frozen=True, rename="camel"):
    id: str | None = None
    name: str | None = None
    args: msgspec.Raw = NOTHING
    partial_args: list[PartialArgument] | None = None
    will_continue: bool | None = None


class Blob(msgspec.Struct, frozen=True, rename="camel"):
    mime_type: str = ""
    data: str = ""


class Part(msgspec.Struct, frozen=True, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None


class Content(msgspec.Struct, frozen=True):
    parts: list[Part] | None = None


class Token(msgspec.Struct, frozen=True, rename="camel"):
    token: str | None = None
    log_probability: float | None = None


class Tops(msgspec.Struct, frozen=True):
    candidates: list[Token] | None = None


class Logprobs(msgspec.Struct, frozen=True, rename="camel"):
    chosen_candidates: list[Token] | None = None
    top_candidates: list[Tops] | None = None


class Candidate(msgspec.Struct, frozen=True, rename="camel"):
    index: int | None = None
    content: Content | None = None
    finish_reason: str | int | None = None
    logprobs_result: Logprobs | None = None

    @property
    def parts(self) -> list[Part]:
        return (self.content.parts if self.content else None) or []


class Feedback(msgspec.Struct, frozen=True, rename="camel"):
    block_reason: str | int | None = None


class ErrorBody(msgspec.Struct, frozen=True):
    code: int | str | None = None
    message: str | None = None
    status: str | None = None
    details: msgspec.Raw = NOTHING


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """A whole answer, and each piece of a streamed one."""

    candidates: list[Candidate] | None = None
    prompt_feedback: Feedback | None = None
    usage_metadata: msgspec.Raw = NOTHING
    response_id: str | None = None
    error: ErrorBody | None = None

    @property
    def blocked(self) -> bool:
        return self.prompt_feedback is not None and bool(self.prompt_feedback.block_reason)


class Refusal(msgspec.Struct, frozen=True):
    error: ErrorBody | str | None = None


_counts = msgspec.json.Decoder(Counts)
_refusal = msgspec.json.Decoder(Refusal | list[Refusal])
_details = msgspec.json.Decoder(list[dict[str, Any]])


def usage_of(raw: msgspec.Raw) -> Usage | None:
    """The counts in disjoint classes; None where they are not told, or nonsense, which nobody should pay."""
    try:
        counts = _counts.decode(raw) if raw else Counts()
    except msgspec.DecodeError:
        return None
    if counts.prompt_token_count is None:
        return None
    cached = min(counts.cached_content_token_count or 0, counts.prompt_token_count)
    fresh = counts.prompt_token_count - cached
    heard = max(
        0, _told_of(AUDIO, counts.prompt_tokens_details) - _told_of(AUDIO, counts.cache_tokens_details)
    )
    heard = min(heard, fresh)
    said = counts.candidates_token_count or 0
    spoken = min(_told_of(AUDIO, counts.candidates_tokens_details), said)
    drawn = min(_told_of(IMAGE, counts.candidates_tokens_details), said - spoken)
    return Usage(
        prompt=fresh - heard + (counts.tool_use_prompt_token_count or 0),
        cached=cached,
        prompt_audio=heard,
        completion=said - spoken - drawn,
        reasoning=counts.thoughts_token_count or 0,
        completion_audio=spoken,
        completion_image=drawn,
    )


def _told_of(kind: tuple[str, int], details: list[Modality] | None) -> int:
    return sum(one.token_count or 0 for one in details or () if one.modality in kind)


def finish_of(reason: str | int, *, called: bool) -> str:
    """The reason in OpenAI's words; a call of a function stops the model as any other end does."""
    if isinstance(reason, int):
        reason = NUMBERED[reason] if 0 <= reason < len(NUMBERED) else ""
    finish = FINISH.get(reason.upper(), STOP)
    return "tool_calls" if called and finish == STOP else finish


def logprobs_of(told: Logprobs | None) -> dict[str, Any] | None:
    if told is None or not told.chosen_candidates:
        return None
    tops = told.top_candidates or []
    content = []
    for at, chosen in enumerate(told.chosen_candidates):
        others = tops[at].candidates or [] if at < len(tops) else []
        content.append({**_logprob(chosen), "top_logprobs": [_logprob(one) for one in others]})
    return {"content": content, "refusal": None}


def _logprob(token: Token) -> dict[str, Any]:
    text = token.token or ""
    return {"token": text, "logprob": token.log_probability or 0.0, "bytes": list(text.encode())}


class Details:
    """Reasoning details as they come: each has its own number, but for the pieces of one thought."""

    __slots__ = ("_next", "_open")

    def __init__(self) -> None:
        self._next = 0
        self._open = False
        """The last one is a thought that may go on."""

    def thought(self, text: str, signature: str | None) -> dict[str, Any]:
        if not self._open:
            self._next += 1
        self._open = not signature
        detail: dict[str, Any] = {"type": "reasoning.text", "text": text}
        if signature:
            detail["signature"] = signature
        return {**detail, "format": FORMAT, "index": self._next - 1}

    def signature(self, data: str, call: str | None) -> dict[str, Any]:
        """Of a text, or of the call with this id."""
        self._open = False
        self._next += 1
        named = {"id": call} if call else {}
        return {
            "type": "reasoning.encrypted",
            "data": data,
            **named,
            "format": FORMAT,
            "index": self._next - 1,
        }


def picture(blob: Blob, number: int) -> dict[str, Any]:
    """A picture of the answer, in the shape that OpenRouter gives it."""
    url = f"data:{blob.mime_type};base64,{blob.data}"
    return {"type": "image_url", "image_url": {"url": url}, "index": number}


def arguments_of(raw: msgspec.Raw) -> str:
    """Arguments without the spaces between them; their numbers and text as they came."""
    return msgspec.json.format(bytes(raw), indent=-1).decode() if raw and raw != b"null" else "{}"


def failure(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """What any other status than 2xx means. Google's envelope may stand in a list."""
    try:
        told = _refusal.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = []
    first = (told[0] if told else None) if isinstance(told, list) else told
    error = first.error if first else None
    if isinstance(error, str):
        error = ErrorBody(message=error)
    meant = failure_told(error, status)
    if meant.retry_after_s is None:
        return msgspec.structs.replace(meant, retry_after_s=retry_after(headers))
    return meant


def failure_told(error: ErrorBody | None, status: int | None = None) -> Failure:
    """What an error means: by its HTTP status, or by its own where it came inside an answer."""
    error = error or ErrorBody()
    if status is None:
        code = error.code if isinstance(error.code, int) else None
        status = code if code is not None and 400 <= code < 600 else STATUS.get(error.status or "", 500)
    details = _read_details(error.details)
    message = PROJECT.sub("", error.message or "")
    if not message or any(mark in message.lower() for mark in HTML):
        message = f"Google answered with status {status} and no message."
    reasons = " ".join(str(detail.get("reason", "")) for detail in details)
    cause = _cause(status, f"{message} {reasons}")
    return Failure(
        cause=cause,
        message=message[:MESSAGE_MAX],
        status=status,
        code="context_length_exceeded" if cause == "caller" and TOO_LONG.search(message) else error.status,
        kind=error.status,
        retry_after_s=_delay(details),
    )


def _read_details(raw: msgspec.Raw) -> list[dict[str, Any]]:
    try:
        return _details.decode(raw) if raw else []
    except msgspec.DecodeError:
        return []


def _delay(details: list[dict[str, Any]]) -> float | None:
    """``RetryInfo.retryDelay``, such as ``"34.07s"``."""
    for detail in details:
        if told := DELAY.fullmatch(str(detail.get("retryDelay", ""))):
            return float(told[1])
    return None


def _cause(status: int, words: str) -> Cause:
    if status in (401, 402, 403) or (status in (400, 429) and OUR_ACCOUNT.search(words)):
        return "credential"
    if status == 404:
        return "misconfigured"
    if status == 408:
        return "slow"
    if status == 429:
        return "capacity"
    return "caller" if 400 <= status < 499 else "outage"
