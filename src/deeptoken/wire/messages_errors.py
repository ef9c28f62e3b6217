"""Errors as Anthropic's clients read them.

    {"type": "error", "error": {"type", "message", "details", "code", "param"}, "request_id"}

`type` is by the status; `code` and `param` are ours, and so is `deeptoken`, where there is more to say.
`details` has the code where these clients look for it. The message names the field, since they show
nothing else.

Source: platform.claude.com/docs/en/api/errors and the SDK's errors, read 2026-11-25: 4xx that it does not
list are `invalid_request_error`.
"""

from typing import Any

import msgspec

from deeptoken.errors import DeeptokenError

TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    431: "request_too_large",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
INVALID, FAILED = "invalid_request_error", "api_error"


def error_body(error: DeeptokenError, request_id: str | None = None) -> bytes:
    """The envelope; also the data of an `error` event."""
    said: dict[str, Any] = {
        "type": TYPES.get(error.status, INVALID if error.status < 500 else FAILED),
        "message": _naming(error),
        "details": {"error_code": error.code},
        "code": error.code,
        "param": error.param,
    }
    if extra := error.extra:
        said["deeptoken"] = extra
    return msgspec.json.encode({"type": "error", "error": said, "request_id": request_id})


def _naming(error: DeeptokenError) -> str:
    if error.param is None or error.param in error.message:
        return error.message
    return f"{error.param}: {error.message}"
