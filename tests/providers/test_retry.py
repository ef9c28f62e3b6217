"""When a provider wants to be asked again."""

import pytest

from deeptoken.providers.retry import retry_after

NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "2s"}, 2.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, None),
        ({"retry-after": str(NOW + 9)}, None),
    ],
)
def test_durations_need_no_clock(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
        ("Fri, 15 Jan 2027 08:00:30 -0000", 30.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("Fri, 99 Jan 2027 07:00:00 GMT", None),
        (str(NOW + 9), 9.0),
        ("soon", None),
    ],
)
def test_dates_are_read_against_the_clock(told: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": told}, NOW) == seconds


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("12ms", 0.012),
        ("2m59.56s", 179.56),
        ("1h2m3s", 3723.0),
        ("1d", 86_400.0),
        ("11.38", 11.38),
        ("-1", None),
        ("0", None),
        ("0s", None),
        ("", None),
        ("tomorrow", None),
    ],
)
def test_the_reset_of_an_exhausted_limit_counts(reset: str, seconds: float | None) -> None:
    headers = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": reset}

    assert retry_after(headers) == pytest.approx(seconds)


def test_only_exhausted_limits_count_and_of_those_the_longest() -> None:
    headers = {
        "x-ratelimit-remaining-requests": "3",
        "x-ratelimit-reset-requests": "9h",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "5s",
        "x-ratelimit-remaining-requests-day": "0",
        "x-ratelimit-reset-requests-day": "40.5",
        "x-ratelimit-remaining-images": "-1",
        "x-ratelimit-reset-images": "9h",
    }

    assert retry_after(headers) == 40.5
    assert retry_after({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "9h"}) is None


def test_retry_after_counts_before_the_limits() -> None:
    headers = {
        "retry-after": "2",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "50s",
    }

    assert retry_after(headers) == 2
