"""A 429 keeps a model off a channel for as long as was told, to the second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeptoken.gateway.cooling import TOLD_MAX_S, Cooling

NOW = 1_000.0
waits = st.one_of(st.none(), st.integers(0, 400).map(lambda eighths: eighths / 8))


@given(st.floats(0, 1, exclude_max=True))
def test_told_to_wait_30_seconds_it_waits_30_to_33(chance: float) -> None:
    cooling = Cooling()

    cooling.refused(0, 30.0, NOW, chance)

    assert NOW + 30 <= cooling.until <= NOW + 33


def test_a_later_shorter_wait_does_not_shorten_it_and_a_longer_one_lengthens_it() -> None:
    cooling = Cooling()
    cooling.refused(cooling.wave, 30.0, NOW, 0.0)

    cooling.refused(cooling.wave, 2.0, NOW + 1, 0.0)
    cooling.refused(cooling.wave, None, NOW + 1, 0.0)

    assert cooling.until == NOW + 30
    cooling.refused(cooling.wave, 30.0, NOW + 1, 0.0)
    assert cooling.until == NOW + 31


def test_untold_it_waits_a_second_and_doubles_that_with_each_429_in_a_row() -> None:
    cooling, now, pauses = Cooling(), NOW, []

    for _ in range(9):
        cooling.refused(cooling.wave, None, now, 0.0)
        pauses.append(cooling.until - now)
        now = cooling.until

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize("told", [None, 0.0])
def test_a_success_ends_the_row(told: float | None) -> None:
    cooling = Cooling()
    cooling.refused(cooling.wave, told, NOW, 0.0)
    cooling.refused(cooling.wave, told, NOW + 10, 0.0)

    cooling.succeeded(cooling.wave)
    cooling.refused(cooling.wave, told, NOW + 20, 0.0)

    assert cooling.until == NOW + 21


def test_calls_that_overlap_are_one_wave_and_double_nothing() -> None:
    cooling = Cooling()
    wave = cooling.wave

    for number in range(50):
        cooling.refused(wave, None, NOW + number / 100, 0.0)

    assert cooling.until == NOW + 0.49 + 1


def test_a_success_of_a_call_that_began_before_the_429_does_not_end_the_row() -> None:
    cooling = Cooling()
    early = cooling.wave
    cooling.refused(cooling.wave, None, NOW, 0.0)

    cooling.succeeded(early)
    cooling.refused(cooling.wave, None, NOW + 5, 0.0)

    assert cooling.until == NOW + 7


def test_a_wait_of_a_year_is_a_day() -> None:
    cooling = Cooling()

    cooling.refused(0, 365 * TOLD_MAX_S, NOW, 0.0)

    assert cooling.until == NOW + TOLD_MAX_S


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.125, 1.0, 30.0]), waits, st.booleans()), max_size=30))
def test_it_is_off_until_the_latest_of_all_that_it_was_told(
    history: list[tuple[float, float | None, bool]],
) -> None:
    cooling, now, row, until = Cooling(), NOW, 0, 0.0

    for passed, told, succeeds in history:
        now += passed
        if succeeds:
            cooling.succeeded(cooling.wave)
            row = 0
        cooling.refused(cooling.wave, told, now, 0.0)
        row += 1
        until = max(until, now + (told or min(60.0, 2.0 ** (row - 1))))

        assert cooling.until == until
