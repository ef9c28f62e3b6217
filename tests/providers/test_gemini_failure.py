"""What Gemini's failures mean."""

import json
from typing import Any

import pytest
from gemini_scene import refusal

from deeptoken.providers.gemini import Gemini

KEY_INVALID = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}


@pytest.mark.parametrize(
    ("status", "word", "message", "cause", "code"),
    [
        (400, "INVALID_ARGUMENT", "Invalid value at 'x'", "caller", "INVALID_ARGUMENT"),
        (
            400,
            "INVALID_ARGUMENT",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            "caller",
            "context_length_exceeded",
        ),
        (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", "credential", None),
        (400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.", "credential", None),
        (400, "FAILED_PRECONDITION", "User location is not supported for the API use.", "credential", None),
        (400, "FAILED_PRECONDITION", "Please enable billing on your project.", "credential", None),
        (401, "UNAUTHENTICATED", "No.", "credential", None),
        (403, "PERMISSION_DENIED", "Permission denied: Consumer has been suspended.", "credential", None),
        (404, "NOT_FOUND", "models/x is not found for API version v1beta", "misconfigured", None),
        (408, "CANCELLED", "Slow.", "slow", None),
        (
            429,
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota, please check your plan and billing details.",
            "capacity",
            None,
        ),
        (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).", "capacity", None),
        (429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.", "credential", None),
        (
            429,
            "RESOURCE_EXHAUSTED",
            "Your project has exceeded its monthly spending cap.",
            "credential",
            None,
        ),
        (499, "CANCELLED", "Cancelled.", "outage", None),
        (500, "INTERNAL", "Internal error.", "outage", None),
        (503, "UNAVAILABLE", "The model is overloaded.", "outage", None),
        (504, "DEADLINE_EXCEEDED", "Late.", "outage", None),
    ],
)
def test_each_failure_has_its_cause(
    status: int, word: str, message: str, cause: str, code: str | None
) -> None:
    failure = Gemini().failure(status, {}, refusal(word, message))

    assert (failure.cause, failure.code, failure.kind) == (cause, code or word, word)
    assert (failure.status, failure.message, failure.retry_after_s) == (status, message, None)


def test_a_key_that_is_refused_by_its_reason_alone_is_the_operators_matter() -> None:
    failure = Gemini().failure(400, {}, refusal("INVALID_ARGUMENT", "Request is wrong.", KEY_INVALID))

    assert failure.cause == "credential"


@pytest.mark.parametrize(
    ("details", "headers", "expected"),
    [
        ([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}], {}, 34.07),
        ([{"@type": "x"}, {"retryDelay": "7s"}], {"retry-after": "9"}, 7.0),
        ([{"retryDelay": "soon"}], {"retry-after": "9"}, 9.0),
        ([], {}, None),
    ],
)
def test_the_wait_is_what_google_tells_in_its_details(
    details: list[dict[str, Any]], headers: dict[str, str], expected: float | None
) -> None:
    failure = Gemini().failure(429, headers, refusal("RESOURCE_EXHAUSTED", "Wait.", *details))

    assert (failure.cause, failure.retry_after_s) == ("capacity", expected)


def test_an_error_in_a_list_is_read_too() -> None:
    body = b"[" + refusal("RESOURCE_EXHAUSTED", "Wait.", {"retryDelay": "3s"}) + b"]"

    failure = Gemini().failure(429, {}, body)

    assert (failure.cause, failure.message, failure.retry_after_s) == ("capacity", "Wait.", 3.0)


def test_the_operators_project_is_not_told() -> None:
    message = "Publisher Model `projects/our-secret-7/locations/eu/publishers/google/models/g` not found."

    failure = Gemini().failure(404, {}, refusal("NOT_FOUND", message))

    assert failure.message == "Publisher Model `publishers/google/models/g` not found."


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502</html>",
        b"\xff",
        b"[]",
        b"[1]",
        b'{"error": null}',
        refusal("INTERNAL", "<HTML>x</HTML>"),
    ],
)
def test_a_failure_that_cannot_be_read_is_told_in_our_words(body: bytes) -> None:
    failure = Gemini().failure(502, {}, body)

    assert failure.cause == "outage"
    assert failure.message == "Google answered with status 502 and no message."


def test_an_error_that_is_a_text_is_told() -> None:
    failure = Gemini().failure(401, {}, json.dumps({"error": "invalid_token"}).encode())

    assert (failure.cause, failure.message) == ("credential", "invalid_token")


def test_a_long_message_is_cut() -> None:
    failure = Gemini().failure(400, {}, refusal("INVALID_ARGUMENT", "x" * 10_000))

    assert len(failure.message) == 2_000
