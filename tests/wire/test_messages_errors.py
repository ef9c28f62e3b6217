"""Errors in Anthropic's envelope."""

import json

import anthropic.types.shared
import pytest

from deeptoken import errors
from deeptoken.errors import DeeptokenError
from deeptoken.wire.messages_errors import error_body


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DeeptokenError(), "api_error"),
        (errors.BadRequest("x"), "invalid_request_error"),
        (errors.KeyInvalid("x"), "authentication_error"),
        (errors.ModelNotAllowed("x"), "permission_error"),
        (errors.ModelNotFound("m"), "not_found_error"),
        (errors.RequestTimeout("x"), "invalid_request_error"),
        (errors.IdempotencyRunning(), "conflict_error"),
        (errors.RequestTooLarge("x"), "request_too_large"),
        (errors.HeadTooLarge("x"), "request_too_large"),
        (errors.UnsupportedMedia("x"), "invalid_request_error"),
        (errors.IdempotencyMismatch(), "invalid_request_error"),
        (errors.UpstreamRefused("x", status=400, code=None, param=None), "invalid_request_error"),
        (errors.BudgetExceeded("x"), "rate_limit_error"),
        (errors.RateLimited("x"), "rate_limit_error"),
        (errors.UpstreamError("x"), "api_error"),
        (errors.UpstreamRateLimited("x"), "rate_limit_error"),
        (errors.NoChannel("x"), "overloaded_error"),
        (errors.Overloaded(), "overloaded_error"),
        (errors.UpstreamTimeout("x"), "timeout_error"),
    ],
)
def test_each_error_has_anthropics_type(error: DeeptokenError, kind: str) -> None:
    body = error_body(error, "req_1")

    told = json.loads(body)
    assert (told["type"], told["error"]["type"], told["request_id"]) == ("error", kind, "req_1")
    assert told["error"]["code"] == error.code
    if kind not in ("request_too_large", "conflict_error"):
        # The library has no types of its own for these two.
        anthropic.types.shared.ErrorResponse.model_validate_json(body, strict=True)


def test_the_message_names_the_field_once() -> None:
    named = error_body(errors.BadRequest("max_tokens is required.", param="max_tokens"))
    unnamed = error_body(errors.BadRequest("Send one JSON object.", param="stop"))

    assert json.loads(named)["error"]["message"] == "max_tokens is required."
    assert json.loads(unnamed)["error"]["message"] == "stop: Send one JSON object."
