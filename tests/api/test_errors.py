"""What stands beside an error's envelope."""

import pytest

from deeptoken.api.errors import headers
from deeptoken.errors import (
    BadRequest,
    DeeptokenError,
    IdempotencyRunning,
    NoChannel,
    Overloaded,
    RateLimited,
    UpstreamRefused,
)


def refused(wait_s: float) -> UpstreamRefused:
    """A provider's own 400, after another channel had told to wait."""
    error = UpstreamRefused("no", status=400, code="context_length_exceeded", param=None)
    error.retry_after_s = wait_s
    return error


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (NoChannel("out", retry_after_s=600.5), b"601"),
        (RateLimited("full", retry_after_s=0.1), b"1"),
        (Overloaded(), b"1"),
        (IdempotencyRunning(), b"1"),
        (refused(600.5), None),
        (BadRequest("wrong", retry_after_s=3), None),
        (DeeptokenError(), None),
    ],
)
def test_only_who_has_nothing_to_mend_is_told_to_wait(error: DeeptokenError, wait: bytes | None) -> None:
    told = dict(headers(error))

    assert told.get(b"retry-after") == wait
