"""The planner orders; it invents and repeats nothing."""

from hypothesis import given
from hypothesis import strategies as st
from path_scene import sim

from deeptoken.catalog.model import Candidate, Model, Price, Rates
from deeptoken.gateway.plan import ATTEMPTS_MAX, plan
from deeptoken.money import PicoUsd

MODEL = Model(id="m", price=Price(id=1, model="m", rates=Rates(PicoUsd(1), PicoUsd(1))))
places = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 5)), max_size=8)


def candidates(places: list[tuple[int, int]]) -> list[Candidate]:
    return [
        Candidate(sim(f"c{number}", {}, priority=priority, weight=weight), MODEL, "m")
        for number, (priority, weight) in enumerate(places)
    ]


@given(places, st.lists(st.floats(0, 1, exclude_max=True), min_size=8, max_size=8))
def test_a_plan_is_the_best_of_the_candidates_each_at_most_once_by_priority(
    places: list[tuple[int, int]], draws: list[float]
) -> None:
    given_ones = candidates(places)

    order = plan(given_ones, iter(draws).__next__)

    assert len(order) == min(len(places), ATTEMPTS_MAX)
    assert len({candidate.channel.name for candidate in order}) == len(order)
    priorities = [candidate.channel.priority for candidate in order]
    assert priorities == sorted((priority for priority, _ in places), reverse=True)[: len(order)]


def test_within_a_priority_the_draw_falls_by_weight() -> None:
    light, heavy = candidates([(0, 1), (0, 3)])

    first = [plan([light, heavy], lambda point=point: point)[0] for point in (0.0, 0.2, 0.25, 0.5, 0.99)]  # type: ignore[misc] # a lambda's default

    assert first == [light, light, heavy, heavy, heavy]


def test_a_channel_without_weight_is_only_drawn_when_no_other_is_left() -> None:
    idle, busy = candidates([(0, 0), (0, 1)])

    assert plan([idle, busy], lambda: 0.0) == (busy, idle)
