"""Means that forget, and percentiles of the last values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeptoken.gateway.speed import DECAY_S, KEPT, Mean, Measured, Percentile

NOW = 1_000.0
steps = st.lists(st.tuples(st.floats(0, 500), st.floats(0, 100), st.floats(0.1, 10)), min_size=1, max_size=20)


@given(steps)
def test_a_mean_weighs_each_value_by_its_age(steps: list[tuple[float, float, float]]) -> None:
    mean, now, values = Mean(), NOW, []

    for passed, amount, weight in steps:
        now += passed
        mean.add(now, amount, weight)
        values.append((now, amount, weight))

    left = [(math.exp((at - now) / DECAY_S), amount, weight) for at, amount, weight in values]
    expected = sum(part * amount for part, amount, _ in left) / sum(part * weight for part, _, weight in left)
    assert mean.value == pytest.approx(expected)


def test_after_a_month_of_silence_the_next_value_is_the_mean() -> None:
    mean = Mean()
    mean.add(NOW, 9.0)

    mean.add(NOW + 30 * 86_400, 2.0)

    assert mean.value == pytest.approx(2.0)


@given(st.integers(1, 4 * KEPT), st.integers(1, 100))
def test_at_least_95_of_100_of_the_last_values_are_at_most_the_percentile(count: int, step: int) -> None:
    percentile, values = Percentile(), [number * step % 101 / 10 for number in range(count)]

    for value in values:
        percentile.add(value)

    last = sorted(values[-KEPT:])
    assert percentile.value == last[math.ceil(0.95 * len(last)) - 1]


def test_nothing_measured_is_no_speed() -> None:
    measured = Measured()
    measured.failed(NOW, succeeded=False)

    assert measured.speed() is None
    assert measured.error_share == 1


def test_streams_and_whole_answers_have_percentiles_of_their_own() -> None:
    measured = Measured()

    measured.first(NOW, 20.0, whole=True)
    before = measured.speed()
    measured.first(NOW, 0.5, whole=False)
    measured.generated(NOW, 60, 2.0)
    after = measured.speed()

    assert before is not None
    assert after is not None
    assert (before.ttft_s, before.ttft_p95_s, before.whole_p95_s, before.tokens_per_s) == (20, None, 20, 0)
    assert (after.ttft_s, after.ttft_p95_s, after.whole_p95_s, after.tokens_per_s) == (0.5, 0.5, 20, 30)


def test_a_call_that_succeeded_and_then_failed_is_one_call_that_failed() -> None:
    measured = Measured()
    for _ in range(2):
        measured.succeeded(NOW)

    measured.failed(NOW, succeeded=True)

    assert measured.error_share == 0.5
