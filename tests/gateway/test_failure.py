"""What a failure means, row by row of the specification's table."""

import pytest
from path_scene import sim
from test_plan import MODEL

from deeptoken.catalog.model import Candidate
from deeptoken.errors import DeeptokenError
from deeptoken.gateway.failure import INVALID_RESPONSE, final, moves_on
from deeptoken.providers.base import Cause, Failure

AT = Candidate(sim("c", {}, secret="sk-very-secret"), MODEL, "upstream-name")


@pytest.mark.parametrize(
    ("failure", "status", "code", "moves"),
    [
        (Failure("connect", "refused"), 502, "upstream_error", True),
        (Failure("outage", "broken", status=500), 502, "upstream_error", True),
        (Failure("outage", "broken", status=503), 503, "upstream_error", True),
        (Failure("outage", "overloaded", status=529), 503, "upstream_error", True),
        (
            Failure("outage", "html", status=200, code=INVALID_RESPONSE),
            502,
            "upstream_invalid_response",
            True,
        ),
        (Failure("capacity", "slow down", status=429, retry_after_s=7), 429, "upstream_rate_limited", True),
        (Failure("slow", "late"), 504, "upstream_timeout", True),
        (Failure("credential", "bad key", status=401), 502, "upstream_error", True),
        (Failure("misconfigured", "no such model", status=404), 404, "model_not_found", True),
        (
            Failure("caller", "too long", status=400, code="context_length_exceeded"),
            400,
            "context_length_exceeded",
            False,
        ),
        (Failure("caller", "no", status=422), 422, "invalid_request_error", False),
    ],
)
def test_the_last_failure_decides_what_the_caller_is_told(
    failure: Failure, status: int, code: str, moves: bool
) -> None:
    error = final(failure, AT)

    assert (error.status, error.code) == (status, code)
    assert moves_on(failure) is moves
    assert error.category == ("user" if failure.cause in ("caller", "misconfigured") else "upstream")
    assert error.retry_after_s == failure.retry_after_s


@pytest.mark.parametrize("cause", ["connect", "outage", "capacity", "credential", "caller"])
def test_no_secret_and_no_upstream_name_reaches_a_caller(cause: Cause) -> None:
    failure = Failure(cause, "key sk-very-secret cannot use upstream-name", status=400)

    error: DeeptokenError = final(failure, AT)

    assert "sk-very-secret" not in error.message
    assert "upstream-name" not in error.message


def test_a_novel_is_cut_short() -> None:
    assert len(final(Failure("outage", "x" * 100_000), AT).message) <= 2_000


@pytest.mark.parametrize("told", ["sk-very-secret", "upstream-name"])
def test_where_a_novel_is_cut_no_part_of_a_secret_or_a_name_is_left(told: str) -> None:
    message = final(Failure("outage", "x" * 1_990 + told), AT).message

    assert told[:8] not in message
