"""What a failed attempt means: the one table.

    cause          the request goes on   when nobody is left it is
    connect        to the next           502 upstream_error
    outage         to the next           502 upstream_error; its 503 and 529: 503;
                                         a 2xx that is no answer: 502 upstream_invalid_response
    capacity       to the next           429 upstream_rate_limited
    slow           to the next           504 upstream_timeout
    credential     to the next           502 upstream_error; the provider's words are the operator's
    misconfigured  to the next           404 model_not_found
    caller         back to the caller    the provider's own status, message and code

Source: spec "what a failure means"; the last provider's answer decides.
"""

import re

from deeptoken import errors
from deeptoken.catalog.model import Candidate
from deeptoken.gateway.told import ID
from deeptoken.providers.base import Failure

INVALID_RESPONSE = "upstream_invalid_response"
UNSENDABLE = Failure("misconfigured", "The channel's credential or address cannot be sent.")
"""A credential or an address that no request can carry. Its text stays out of every message."""
MESSAGE_MAX = 2_000
BUSY = (503, 529)
OF_THE_MODEL = frozenset(
    {"context_length_exceeded", "content_filter", "content_policy_violation", "string_above_max_length"}
)
OF_THE_MODEL_WORDS = re.compile(
    r"context (?:length|window)|maximum context|too many tokens|prompt is too long|input is too long"
    r"|content.?(?:filter|policy)|moderation|flagged",
    re.IGNORECASE,
)
"""A context overflow or a content filter, in the words of OpenAI, Anthropic, Azure, Mistral and vLLM."""


def invalid(what: str) -> Failure:
    """A 2xx that is no answer."""
    return Failure(
        cause="outage", message=f"The provider's answer is not valid: {what}.", code=INVALID_RESPONSE
    )


def moves_on(failure: Failure) -> bool:
    """Whether another channel may do better."""
    return failure.cause != "caller"


def is_of_the_model(failure: Failure) -> bool:
    """Whether another model may take what this one refuses: its context is too short, its filter strict."""
    return failure.cause == "caller" and bool(
        failure.code in OF_THE_MODEL or OF_THE_MODEL_WORDS.search(failure.message)
    )


def final(failure: Failure, at: Candidate) -> errors.DeeptokenError:
    """The error that the caller gets when `failure`, at `at`, was the last one."""
    error = _final(failure, at)
    if failure.request_id is not None:
        error.fields.append((ID, failure.request_id.encode()))
    return error


def _final(failure: Failure, at: Candidate) -> errors.DeeptokenError:
    message = public_message(failure, at)
    match failure.cause:
        case "caller":
            return errors.UpstreamRefused(
                message, status=failure.status or 400, code=failure.code, param=failure.param
            )
        case "capacity":
            return errors.UpstreamRateLimited(message, retry_after_s=failure.retry_after_s or 1)
        case "slow":
            return errors.UpstreamTimeout(message)
        case "misconfigured":
            return errors.ModelNotFound(
                at.model.id, f"The provider that serves {at.model.id!r} here does not have it: {message}"
            )
    if failure.status in BUSY:
        return errors.UpstreamUnavailable(message, retry_after_s=failure.retry_after_s)
    if failure.code == INVALID_RESPONSE:
        return errors.UpstreamInvalid(message)
    return errors.UpstreamError(message, retry_after_s=failure.retry_after_s)


def words(failure: Failure, at: Candidate) -> str:
    """The provider's words as the operator may read them: the canonical id, no secret, no novel."""
    message = failure.message
    if at.channel.secret:
        message = message.replace(at.channel.secret, "[secret]")
    if at.upstream_model not in at.model.id:
        message = message.replace(at.upstream_model, at.model.id)
    return message[:MESSAGE_MAX]


def public_message(failure: Failure, at: Candidate) -> str:
    """The same as a caller may read it: nothing of the operator's account."""
    if failure.cause == "credential":
        return "The provider refused the gateway's account. The operator has to look at the channel."
    return words(failure, at) or "The provider failed without saying why. Try again."
