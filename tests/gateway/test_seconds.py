"""A window of whole seconds says what a list of all that happened says."""

from hypothesis import given
from hypothesis import strategies as st

from deeptoken.gateway.seconds import Seconds

WIDTH = 5
events = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 4.5, 5.0, 100.0]), st.integers(0, 3), st.integers(-2, 9)
    ),
    max_size=30,
)


@given(events)
def test_the_sums_are_those_of_the_last_seconds(events: list[tuple[float, int, int]]) -> None:
    seconds, happened, now = Seconds(WIDTH), list[tuple[int, int, int]](), 1_000.0

    for passed, calls, amount in events:
        now += passed
        seconds.add(now, calls=calls, amount=amount)
        happened.append((int(now), calls, amount))

    left = [one for one in happened if one[0] > int(now) - WIDTH]
    assert seconds.calls == sum(calls for _, calls, _ in left)
    assert seconds.amount == sum(amount for _, _, amount in left)


@given(events, st.integers(1, 12), st.integers(1, 30))
def test_it_knows_the_first_second_at_which_so_much_has_left(
    events: list[tuple[float, int, int]], calls: int, amount: int
) -> None:
    seconds, now = Seconds(WIDTH), 1_000.0
    for passed, more, size in events:
        now += passed
        seconds.add(now, calls=more, amount=abs(size))
    before = (seconds.calls, seconds.amount)
    calls, amount = min(calls, before[0]), min(amount, before[1])

    gone = seconds.gone(calls=calls, amount=amount)

    seconds.advance(gone - 0.25)
    left_early = (before[0] - seconds.calls, before[1] - seconds.amount)
    seconds.advance(gone)
    assert (before[0] - seconds.calls, before[1] - seconds.amount) >= (calls, amount)
    assert before[0] - seconds.calls >= calls
    assert before[1] - seconds.amount >= amount
    if calls or amount:
        assert left_early[0] < calls or left_early[1] < amount


def test_a_correction_counts_in_its_second_and_leaves_with_it() -> None:
    seconds = Seconds(WIDTH)
    second = seconds.add(10.5, calls=1, amount=100)
    seconds.add(12.0, calls=1, amount=1)

    seconds.correct(second, amount=-60)

    assert (seconds.calls, seconds.amount) == (2, 41)
    seconds.advance(15.0)
    assert (seconds.calls, seconds.amount) == (1, 1)


def test_what_has_left_cannot_be_corrected() -> None:
    seconds = Seconds(WIDTH)
    second = seconds.add(10.5, calls=1, amount=100)
    seconds.add(15.0, calls=1, amount=1)

    seconds.correct(second, calls=-1, amount=-100)

    assert (seconds.calls, seconds.amount) == (1, 1)


def test_a_clock_that_steps_back_a_little_takes_nothing_away() -> None:
    seconds = Seconds(WIDTH)
    seconds.add(12.0, calls=1)

    seconds.add(11.75, calls=1)

    seconds.advance(16.0)
    assert seconds.calls == 2
    seconds.advance(17.0)
    assert seconds.calls == 0
