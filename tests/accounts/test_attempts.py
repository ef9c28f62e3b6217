"""How often a password may be tried, told by times that the test chooses; what a password is."""

import asyncio

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from deeptoken.accounts.attempts import (
    NAMES_MAX,
    SECOND_US,
    Attempts,
    Throttle,
    checked_password,
    place_of,
)
from deeptoken.errors import BadRequest, TooManyAttempts

NOW = 1_800_000_000 * SECOND_US
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@given(st.lists(st.integers(0, 200), max_size=60), st.integers(1, 5), st.integers(1, 50))
def test_never_more_than_the_burst_and_one_each_time_and_the_wait_that_is_told_is_enough(
    gaps: list[int], burst: int, every: int
) -> None:
    throttle, now, heard = Throttle(burst, every), NOW, []
    for gap in gaps:
        now += gap
        wait = throttle.wait_us("ann", now)
        if wait:
            assert throttle.wait_us("ann", now + wait - 1) == 1
            assert throttle.wait_us("ann", now + wait) == 0
        else:
            throttle.take("ann", now)
            heard.append(now)
    for n, first in enumerate(heard):
        for m in range(n, len(heard)):
            assert m - n + 1 <= burst + (heard[m] - first) // every


def test_an_account_and_an_address_are_counted_apart_and_a_refused_attempt_takes_nothing() -> None:
    attempts = Attempts(CHEAP)
    for _ in range(5):
        attempts.take("ann", "192.0.2.1", NOW)

    with pytest.raises(TooManyAttempts) as refused:
        attempts.take("ann", "192.0.2.2", NOW)
    assert refused.value.retry_after == "60"
    for n in range(15):
        attempts.take(f"user{n}", "192.0.2.1", NOW)
    with pytest.raises(TooManyAttempts) as tired:
        attempts.take("bob", "192.0.2.1", NOW)
    assert tired.value.retry_after == "6"
    attempts.take("bob", "192.0.2.2", NOW)
    attempts.take("ann", "192.0.2.1", NOW + 60 * SECOND_US)


def test_who_succeeds_gets_the_attempt_back() -> None:
    attempts = Attempts(CHEAP)
    for _ in range(50):
        attempts.take("ann", "192.0.2.1", NOW)
        attempts.give_back("ann", "192.0.2.1")


def test_names_that_nobody_has_do_not_fill_the_memory() -> None:
    throttle = Throttle(5, SECOND_US)
    for n in range(NAMES_MAX + 10):
        throttle.take(f"name{n}", NOW + n)

    assert len(throttle._free_us) <= NAMES_MAX
    assert throttle._free_us[f"name{NAMES_MAX + 9}"]


@pytest.mark.parametrize(
    ("address", "place"),
    [
        pytest.param(None, "", id="unknown"),
        pytest.param("192.0.2.1", "192.0.2.1", id="v4"),
        pytest.param("::ffff:192.0.2.1", "192.0.2.1", id="v4 within v6"),
        pytest.param("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", id="v6"),
    ],
)
def test_where_an_attempt_counts(address: str | None, place: str) -> None:
    assert place_of(address) == place


def test_a_password_is_known_again_however_it_was_composed_and_nobody_has_one() -> None:
    async def story() -> None:
        attempts = Attempts(CHEAP)
        hash = await attempts.hash("caf\u00e9 au lait")

        assert hash.startswith("$argon2id$")
        assert await attempts.right(hash, "cafe\u0301 au lait")
        assert not await attempts.right(hash, "cafe au lait")
        assert not await attempts.right(None, "cafe au lait")
        assert not await attempts.right("not a hash", "cafe au lait")

    asyncio.run(story())


@pytest.mark.parametrize(
    "password",
    [
        pytest.param("short", id="short"),
        pytest.param("x" * 257, id="long"),
        pytest.param("Ann@Example.com", id="the name"),
    ],
)
def test_what_is_no_password(password: str) -> None:
    with pytest.raises(BadRequest) as refused:
        checked_password(password, "ann@example.com")
    assert refused.value.param == "password"
