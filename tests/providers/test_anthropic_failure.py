"""What Anthropic's failures mean."""

import pytest
from anthropic_scene import refusal

from deeptoken.providers.anthropic import Anthropic


@pytest.mark.parametrize(
    ("status", "kind", "message", "cause", "code"),
    [
        (400, "invalid_request_error", "max_tokens: required", "caller", "invalid_request_error"),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 207310 tokens > 200000 maximum",
            "caller",
            "context_length_exceeded",
        ),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 1 + 2 > 2",
            "caller",
            "context_length_exceeded",
        ),
        (
            400,
            "invalid_request_error",
            "Output blocked by content filtering policy",
            "caller",
            "content_filter",
        ),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API.",
            "credential",
            "invalid_request_error",
        ),
        (
            400,
            "invalid_request_error",
            "You have reached your specified API usage limits. You will regain access on 2027-01-01.",
            "credential",
            "invalid_request_error",
        ),
        (401, "authentication_error", "invalid x-api-key", "credential", "authentication_error"),
        (402, "billing_error", "Pay.", "credential", "billing_error"),
        (403, "permission_error", "No.", "credential", "permission_error"),
        (404, "not_found_error", "model: claude-x", "misconfigured", "not_found_error"),
        (404, "not_found_error", "model: a-profile", "misconfigured", "not_found_error"),
        (404, "not_found_error", "Not found", "misconfigured", "not_found_error"),
        (404, "not_found_error", "Container x was not found", "caller", "not_found_error"),
        (408, "timeout_error", "Slow.", "slow", "timeout_error"),
        (413, "request_too_large", "Too large.", "caller", "request_too_large"),
        (429, "rate_limit_error", "Too many tokens a minute.", "capacity", "rate_limit_error"),
        (429, "rate_limit_error", "Your monthly spend limit is reached.", "credential", "rate_limit_error"),
        (500, "api_error", "Internal server error", "outage", "api_error"),
        (504, "timeout_error", "Timeout", "outage", "timeout_error"),
        (529, "overloaded_error", "Overloaded", "outage", "overloaded_error"),
        (302, "found", "Elsewhere", "outage", "found"),
    ],
)
def test_each_failure_has_its_cause(status: int, kind: str, message: str, cause: str, code: str) -> None:
    failure = Anthropic().failure(status, {}, refusal(kind, message))

    assert (failure.cause, failure.code, failure.kind) == (cause, code, kind)
    assert (failure.status, failure.message, failure.retry_after_s) == (status, message, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("Mon, 23 Nov 2026 10:00:00 GMT", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_retry_after_is_read_in_seconds_alone(value: str, expected: float | None) -> None:
    headers = {"retry-after": value, "anthropic-ratelimit-requests-reset": "2026-11-23T10:00:00Z"}

    failure = Anthropic().failure(429, headers, refusal("rate_limit_error", "Wait."))

    assert failure.retry_after_s == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502</html>",
        b"\xff",
        b"[1]",
        b'{"error": "x"}',
        refusal("api_error", "<HTML>x</HTML>"),
        refusal("api_error", "<!DOCTYPE x>"),
    ],
)
def test_a_failure_that_cannot_be_read_is_told_in_our_words(body: bytes) -> None:
    failure = Anthropic().failure(502, {}, body)

    assert failure.cause == "outage"
    assert failure.message == "Anthropic answered with status 502 and no message."


def test_a_long_message_is_cut() -> None:
    failure = Anthropic().failure(400, {}, refusal("invalid_request_error", "x" * 10_000))

    assert len(failure.message) == 2_000
