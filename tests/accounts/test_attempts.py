"""How often a password may be tried, told by times that the test chooses; what a password is."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

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
from deeptoken.ledger.postings import Answer, Posting
from deeptoken.store.ledger import Ledger, open_writer
from deeptoken.store.queries.sign_in import tidy_attempts
from deeptoken.store.reads import Reader, read

Found = TypeVar("Found")

NOW = 1_800_000_000 * SECOND_US
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@given(st.lists(st.integers(0, 200), max_size=60), st.integers(1, 5), st.integers(1, 50))
def test_never_more_than_the_burst_and_one_each_time_and_the_wait_that_is_told_is_enough(
    gaps: list[int], burst: int, every: int
) -> None:
    throttle, now, heard = Throttle("account", burst, every), NOW, []
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


class Kept:
    """A database, as the gateway keeps attempts in it."""

    def __init__(self, ledger: Ledger, path: Path) -> None:
        self.ledger = ledger
        self.path = path
        self.posted = 0

    async def post(self, *postings: Posting) -> list[Answer]:
        self.posted += len(postings)
        return [await self.ledger.post(posting) for posting in postings]

    async def read(self, ask: Callable[[Reader], Found]) -> Found:
        return await read(self.path, ask)


def tell(path: Path, story: Callable[[Kept], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_writer(path) as writer:
            await story(Kept(writer, path))

    asyncio.run(main())


def test_an_account_and_an_address_are_counted_apart_and_a_refused_attempt_takes_nothing(
    tmp_path: Path,
) -> None:
    async def story(kept: Kept) -> None:
        attempts = Attempts(kept, CHEAP)
        for _ in range(5):
            await attempts.take("ann", "192.0.2.1", NOW)

        with pytest.raises(TooManyAttempts) as refused:
            await attempts.take("ann", "192.0.2.2", NOW)
        assert refused.value.retry_after == "60"
        for n in range(15):
            await attempts.take(f"user{n}", "192.0.2.1", NOW)
        with pytest.raises(TooManyAttempts) as tired:
            await attempts.take("bob", "192.0.2.1", NOW)
        assert tired.value.retry_after == "6"
        await attempts.take("bob", "192.0.2.2", NOW)
        await attempts.take("ann", "192.0.2.1", NOW + 60 * SECOND_US)

    tell(tmp_path / "deeptoken.db", story)


def test_who_succeeds_gets_the_attempt_back(tmp_path: Path) -> None:
    async def story(kept: Kept) -> None:
        attempts = Attempts(kept, CHEAP)
        for _ in range(50):
            await attempts.take("ann", "192.0.2.1", NOW)
            await attempts.give_back("ann", "192.0.2.1")

    tell(tmp_path / "deeptoken.db", story)


def test_another_process_and_a_restart_know_what_was_tried(tmp_path: Path) -> None:
    path = tmp_path / "deeptoken.db"

    async def before(kept: Kept) -> None:
        one, another = Attempts(kept, CHEAP), Attempts(kept, CHEAP)
        for attempts in (one, another, one, another, one):
            await attempts.take("ann", "192.0.2.1", NOW)
        with pytest.raises(TooManyAttempts) as refused:
            await another.take("ann", "192.0.2.1", NOW + 10 * SECOND_US)
        assert refused.value.retry_after == "50"

    async def after(kept: Kept) -> None:
        attempts = Attempts(kept, CHEAP)
        with pytest.raises(TooManyAttempts) as refused:
            await attempts.take("ann", "192.0.2.7", NOW + 20 * SECOND_US)
        assert refused.value.retry_after == "40"
        await attempts.take("bob", "192.0.2.7", NOW + 20 * SECOND_US)
        await attempts.take("ann", "192.0.2.7", NOW + 60 * SECOND_US)

    tell(path, before)
    tell(path, after)


def test_who_is_known_to_be_too_fast_makes_no_writes(tmp_path: Path) -> None:
    async def story(kept: Kept) -> None:
        attempts = Attempts(kept, CHEAP)
        refused = 0
        for _ in range(100):
            try:
                await attempts.take("ann", "192.0.2.1", NOW)
            except TooManyAttempts:
                refused += 1
        assert (refused, kept.posted) == (95, 5)

    tell(tmp_path / "deeptoken.db", story)


def test_no_more_are_heard_at_once_than_one_after_another(tmp_path: Path) -> None:
    async def story(kept: Kept) -> None:
        workers = [Attempts(kept, CHEAP) for _ in range(4)]
        heard = await asyncio.gather(
            *(workers[n % 4].take("ann", f"192.0.2.{n}", NOW) for n in range(40)), return_exceptions=True
        )
        assert sum(outcome is None for outcome in heard) == 5
        assert all(outcome is None or isinstance(outcome, TooManyAttempts) for outcome in heard)

    tell(tmp_path / "deeptoken.db", story)


def test_what_is_free_again_is_forgotten(tmp_path: Path) -> None:
    async def story(kept: Kept) -> None:
        attempts = Attempts(kept, CHEAP)
        await attempts.take("ann", "192.0.2.1", NOW)
        keys = [attempts.accounts.key("ann"), attempts.addresses.key("192.0.2.1")]

        await kept.post(tidy_attempts(NOW + 6 * SECOND_US))
        assert await kept.read(lambda reader: reader.attempts(keys)) == {keys[0]: NOW + 60 * SECOND_US}
        await kept.post(tidy_attempts(NOW + 60 * SECOND_US))
        assert await kept.read(lambda reader: reader.attempts(keys)) == {}

    tell(tmp_path / "deeptoken.db", story)


def test_names_that_nobody_has_do_not_fill_the_memory() -> None:
    throttle = Throttle("account", 5, SECOND_US)
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


def test_a_password_is_known_again_however_it_was_composed_and_nobody_has_one(tmp_path: Path) -> None:
    async def story(kept: Kept) -> None:
        attempts = Attempts(kept, CHEAP)
        hash = await attempts.hash("caf\u00e9 au lait")

        assert hash.startswith("$argon2id$")
        assert await attempts.right(hash, "cafe\u0301 au lait")
        assert not await attempts.right(hash, "cafe au lait")
        assert not await attempts.right(None, "cafe au lait")
        assert not await attempts.right("not a hash", "cafe au lait")

    tell(tmp_path / "deeptoken.db", story)


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
