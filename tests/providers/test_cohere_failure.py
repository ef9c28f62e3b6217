"""What Cohere's failures mean."""

import json

import pytest

from deeptoken.providers.cohere import Cohere

MONTH = (
    "You are using a Trial key, which is limited to 1000 API calls / month. You can continue to use it ..."
)
MINUTE = "You are using a Trial key, which is limited to 20 API calls / minute."
TOKENS = "trial token rate limit exceeded, limit is 100000 tokens per minute"
LONG = "too many tokens: size limit exceeded by 11326 tokens. Try using shorter or fewer inputs."


@pytest.mark.parametrize(
    ("status", "message", "cause", "code"),
    [
        (400, "invalid request: all elements in history must have a message.", "caller", None),
        (400, LONG, "caller", "context_length_exceeded"),
        (401, "invalid api token", "credential", None),
        (402, "Please add or update your payment method", "credential", None),
        (403, "forbidden", "credential", None),
        (404, "model 'command-x' not found, make sure the correct model ID was used", "misconfigured", None),
        (422, "unprocessable", "caller", None),
        (429, MINUTE, "capacity", None),
        (429, TOKENS, "capacity", None),
        (429, MONTH, "credential", None),
        (498, "invalid token", "credential", None),
        (499, "request cancelled", "outage", None),
        (500, "internal server error, this has been reported", "outage", None),
        (503, "service unavailable", "outage", None),
        (504, "gateway timeout", "outage", None),
    ],
)
def test_each_failure_has_its_cause(status: int, message: str, cause: str, code: str | None) -> None:
    body = json.dumps({"id": "f-1", "message": message}).encode()

    failure = Cohere().failure(status, {}, body)

    assert (failure.cause, failure.code, failure.status) == (cause, code, status)
    assert failure.message == message


def test_how_long_to_wait_is_told() -> None:
    assert Cohere().failure(429, {"retry-after": "7"}, b"").retry_after_s == 7


@pytest.mark.parametrize("body", [b"", b"<html>502</html>", b'{"data": null}'])
def test_a_failure_that_cannot_be_read_is_told_in_our_words(body: bytes) -> None:
    failure = Cohere().failure(502, {}, body)

    assert (failure.cause, failure.message) == ("outage", "The provider answered 502.")
