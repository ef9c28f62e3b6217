"""What a channel takes at once and in a minute is never more than its limits, and not much less."""

import math

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from deeptoken.gateway.pace import Pace

NOW = 1_000.0
MINUTE = 60


class Limited(msgspec.Struct, frozen=True):
    name: str = "c"
    max_concurrency: int | None = None
    rpm: int | None = None
    tpm: int | None = None


def test_a_channel_without_limits_is_never_full() -> None:
    pace, channel = Pace(), Limited()

    for _ in range(1_000):
        assert pace.full(channel, 10**9, NOW) is None
        pace.take(channel, 10**9, NOW)

    assert pace.busy("c") == 1_000


def test_with_as_many_calls_as_it_may_have_one_must_end_first() -> None:
    pace, channel = Pace(), Limited(max_concurrency=2)
    first = pace.take(channel, 1, NOW)
    pace.take(channel, 1, NOW)
    assert pace.full(channel, 1, NOW + 9_999) == math.inf

    pace.leave(first)
    pace.leave(first)

    assert pace.full(channel, 1, NOW) is None
    pace.take(channel, 1, NOW)
    assert pace.full(channel, 1, NOW) == math.inf


def test_the_requests_of_a_minute_leave_one_after_the_other() -> None:
    pace, channel = Pace(), Limited(rpm=2)
    for at in (0.5, 20.5):
        pace.take(channel, 1, NOW + at)

    assert pace.full(channel, 1, NOW + 30) == 31  # the first began in second 0, which counts until 61
    assert pace.full(channel, 1, NOW + 61) is None


def test_a_call_that_never_went_out_leaves_the_minute_as_it_was() -> None:
    pace, channel = Pace(), Limited(max_concurrency=1, rpm=1, tpm=100)
    taken = pace.take(channel, 90, NOW)
    assert pace.full(channel, 90, NOW) is not None

    pace.unused(taken)

    assert pace.full(channel, 90, NOW) is None
    pace.unused(taken)
    pace.used(taken, 90)
    pace.leave(taken)
    assert (pace.busy("c"), pace.full(channel, 100, NOW)) == (0, None)


def test_a_call_holds_the_tokens_that_it_may_use_until_it_is_known_what_it_used() -> None:
    pace, channel = Pace(), Limited(tpm=100)
    taken = pace.take(channel, 90, NOW)
    assert pace.full(channel, 11, NOW) == 61
    assert pace.full(channel, 10, NOW) is None

    pace.used(taken, 40)

    assert pace.full(channel, 60, NOW) is None
    assert pace.full(channel, 61, NOW) == 61
    pace.used(taken, 50)
    assert pace.full(channel, 51, NOW) == 61


def test_a_call_of_more_tokens_than_a_minute_has_goes_alone() -> None:
    pace, channel = Pace(), Limited(tpm=100)
    assert pace.full(channel, 1_000, NOW) is None
    pace.take(channel, 1, NOW)

    assert pace.full(channel, 1_000, NOW) == 61
    assert pace.full(channel, 1_000, NOW + 61) is None


def test_after_a_reload_only_calls_under_way_are_remembered_of_a_channel_that_is_gone() -> None:
    pace, channel = Pace(), Limited(max_concurrency=1, rpm=1)
    taken = pace.take(channel, 1, NOW)

    pace.kept(set())

    assert pace.full(channel, 1, NOW) == math.inf
    pace.leave(taken)
    assert pace.full(channel, 1, NOW) is None
    pace.kept(set())
    assert pace._busy == {}


@given(
    st.integers(1, 6),
    st.integers(1, 200),
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.25, 1.0, 7.5, 59.75, 60.0]), st.integers(1, 120)), max_size=60
    ),
)
def test_in_no_minute_there_is_more_than_the_limits_and_the_wait_is_what_was_said(
    rpm: int, tpm: int, history: list[tuple[float, int]]
) -> None:
    pace, channel, now = Pace(), Limited(rpm=rpm, tpm=tpm), NOW
    began: list[tuple[float, int]] = []

    for passed, tokens in history:
        now += passed
        wait_s = pace.full(channel, tokens, now)
        if wait_s is not None:
            assert 0 < wait_s <= 61
            assert pace.full(channel, tokens, now + wait_s - 0.25) is not None
            now += wait_s
            assert pace.full(channel, tokens, now) is None
        pace.take(channel, tokens, now)
        began.append((now, tokens))
        minute = [size for at, size in began if at > now - MINUTE]
        assert len(minute) <= rpm
        assert sum(minute) <= tpm or len(minute) == 1
