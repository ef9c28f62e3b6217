"""Ids sort as they were made; a key tells a typo by itself."""

import uuid  # noqa: TID251 # to check with, not to draw
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from deeptoken import clock, ids


def test_a_request_id_is_a_uuid_of_version_7_of_now() -> None:
    before = clock.wall_us() // 1_000
    made = uuid.UUID(ids.uuid7())
    after = clock.wall_us() // 1_000

    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert before <= made.int >> 80 <= after


def test_a_later_microsecond_makes_a_greater_id() -> None:
    made = []
    for _ in range(50):
        made.append(ids.uuid7())
        now = clock.wall_us()
        while clock.wall_us() <= now:
            pass

    assert made == sorted(made)


def test_a_new_key_is_well_formed_and_unlike_the_next() -> None:
    first, second = ids.new_secret(), ids.new_secret()

    assert first != second
    assert ids.well_formed(first)
    assert len(first) == ids.KEY_LENGTH == 50
    assert len(ids.digest(first)) == 32


@given(st.integers(0, ids.KEY_LENGTH - 1), st.sampled_from(ids.ALPHABET))
def test_one_wrong_character_is_seen_without_a_look_up(place: int, character: str) -> None:
    secret = ids.new_secret()
    mistyped = secret[:place] + character + secret[place + 1 :]

    assert ids.well_formed(mistyped) is (mistyped == secret)


@given(st.text(max_size=60))
def test_any_text_is_judged_without_an_error(text: str) -> None:
    assert not ids.well_formed(text)


def test_the_ledgers_time_strictly_increases_from_where_it_left_off() -> None:
    far = clock.wall_us() + 10_000_000
    ledger = clock.LedgerClock(not_before_us=far)

    times = [ledger.now_us() for _ in range(1_000)]

    assert times[0] > far
    assert all(earlier < later for earlier, later in pairwise(times))
