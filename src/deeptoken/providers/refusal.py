"""What a host of OpenAI's dialect says when it does not answer: the words, and what they mean.

    401, 402, 403; a 400 or 429 that says that the account has no money or no valid key    credential
    404; a 400 that says that the model does not exist                                      misconfigured
    408                                                                                     slow
    429, 498 (Groq: no flex capacity)                                                       capacity
    3xx, 5xx                                                                                outage
    another 4xx; a 403 about what was asked                                                 caller

Sources: developers.openai.com/api/docs/guides/error-codes, openrouter.ai/docs/api/errors,
console.groq.com/docs/errors, api-docs.deepseek.com/quick_start/error_codes; read 2026-11-23.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from deeptoken.providers.base import Cause, Failure
from deeptoken.providers.retry import retry_after

MESSAGE_MAX = 2_000
PLAIN_TEXT_MAX = 300
DETAILS_MAX = 3
NO_MONEY = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "account_deactivated",
        "insufficient_balance",
        "insufficient_credits",
        "invalid_api_key",
    }
)
NO_MONEY_WORDS = re.compile(
    r"insufficient (?:account )?(?:balance|credit|funds)|credit balance is too low"
    r"|(?:out of|no|not enough) credits|billing hard limit|account is not active"
    r"|(?:incorrect|invalid) api key",
    re.IGNORECASE,
)
NO_MODEL = frozenset({"model_not_found", "invalid_model", "deploymentnotfound"})
NO_MODEL_WORDS = re.compile(r"^(?:the )?model (?:`[^`]*` )?(?:does )?not exist", re.IGNORECASE)
ABOUT_THE_REQUEST = re.compile(
    r"moderation|flagged|content.?(?:policy|filter)|usage guidelines", re.IGNORECASE
)
_JSON = msgspec.json.Decoder()


class Words(msgspec.Struct, frozen=True):
    """The provider's own words. `status` is the one inside the body, where it tells one."""

    message: str = ""
    code: str | None = None
    kind: str | None = None
    param: str | None = None
    status: int | None = None


def read(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """An answer that is none: `headers` by lower-case name."""
    words = words_of(body)
    return Failure(
        cause=_cause(status, words),
        message=words.message or f"The provider answered {status}.",
        status=status,
        code=words.code,
        param=words.param,
        kind=words.kind,
        retry_after_s=retry_after(headers),
    )


def inside(event: bytes) -> Failure:
    """An error inside a 200: what its own status means, if it tells one, else an outage."""
    words = words_of(event)
    status = words.status
    return Failure(
        cause="outage" if status is None else _cause(status, words),
        message=words.message or "The provider failed while it answered.",
        status=status,
        code=words.code,
        param=words.param,
        kind=words.kind,
    )


def words_of(body: bytes) -> Words:
    """The words of any error body that is known: JSON of several shapes, or short plain text; never HTML."""
    try:
        return _words(_JSON.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body[: PLAIN_TEXT_MAX * 4].decode("utf-8", "replace").strip()
    if not text or text[0] in "<{[" or "<html" in text.lower():
        return Words()
    return Words(message=" ".join(text.split())[:PLAIN_TEXT_MAX])


def _words(told: Any) -> Words:
    if isinstance(told, list) and told and isinstance(told[0], dict) and "error" in told[0]:
        told = told[0]
    if not isinstance(told, dict):
        return Words(message=_message(told)[:MESSAGE_MAX])
    error = told.get("error")
    inner = error if isinstance(error, dict) else told
    code = inner.get("code")
    status = _status(code) or _status(inner.get("status"))
    return Words(
        message=_message(error if error else told)[:MESSAGE_MAX],
        code=None if code is None or _status(code) is not None else str(code),
        kind=_text(inner.get("type")),
        param=_text(inner.get("param")),
        status=status,
    )


def _message(told: Any) -> str:
    match told:
        case str():
            return told
        case {"loc": list(path), "msg": str(what)}:
            return ".".join(str(step) for step in path) + ": " + what
        case dict():
            for name in ("message", "error", "detail", "msg", "error_description"):
                if told.get(name):
                    return _message(told[name])
        case list():
            return "; ".join(filter(None, (_message(one) for one in told[:DETAILS_MAX])))
    return ""


def _status(value: object) -> int | None:
    """An HTTP status where a code should be."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    return value if isinstance(value, int) and 400 <= value < 600 else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _cause(status: int, words: Words) -> Cause:
    codes = {text.lower() for text in (words.code, words.kind) if text}
    if status in (400, 429) and (codes & NO_MONEY or NO_MONEY_WORDS.search(words.message)):
        return "credential"
    if status == 403 and ABOUT_THE_REQUEST.search(words.message):
        return "caller"
    if status == 400 and (codes & NO_MODEL or NO_MODEL_WORDS.search(words.message)):
        return "misconfigured"
    match status:
        case 401 | 402 | 403:
            return "credential"
        case 404:
            return "misconfigured"
        case 408:
            return "slow"
        case 429 | 498:
            return "capacity"
    return "caller" if 400 <= status < 500 else "outage"
