"""The draw among equals: by weight and health, whoever is looked at."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_scene import Dice, Standing, Ward, channel, found, names, out, planned

from deeptoken.gateway.draw import FEW
from deeptoken.gateway.plan import ATTEMPTS_MAX

MANY = 4 * FEW
CALLS = 20_000


def shares(weights: dict[str, int], health: Ward | None = None, place: int = 0) -> dict[str, float]:
    """How often each channel stands at a place of the plan."""
    served = found(*(channel(name, weight=weight) for name, weight in weights.items()))
    dice = Dice()
    seen = Counter(names(planned(served, health=health, draw=dice))[place] for _ in range(CALLS))
    return {name: seen[name] / CALLS for name in weights}


@pytest.mark.parametrize(
    ("point", "first"), [(0.0, "light"), (0.24, "light"), (0.25, "heavy"), (0.5, "heavy"), (0.999, "heavy")]
)
def test_the_draw_falls_by_weight_in_the_order_of_names(point: float, first: str) -> None:
    served = found(channel("heavy", weight=3), channel("light", weight=1))
    renamed = found(channel("b-heavy", weight=3), channel("a-light", weight=1))

    drawn = names(planned(renamed, draw=lambda: point))

    assert drawn[0] == {"light": "a-light", "heavy": "b-heavy"}[first]
    assert names(planned(served, draw=lambda: point))[0] == ("heavy" if point < 0.75 else "light")


def test_a_channel_without_weight_is_only_drawn_when_no_other_is_left() -> None:
    served = found(channel("idle", weight=0), channel("busy"))

    assert names(planned(served, draw=lambda: 0.0)) == ["busy", "idle"]


def test_of_many_a_channel_without_weight_is_not_drawn_either() -> None:
    served = found(channel("a", weight=0), *(channel(f"c{number:02}") for number in range(MANY)))

    assert names(planned(served, draw=lambda: 0.0))[0] == "c00"


def test_few_are_drawn_by_weight() -> None:
    weights = {"a": 1, "b": 2, "c": 5}

    drawn = shares(weights)

    assert drawn == pytest.approx({"a": 1 / 8, "b": 2 / 8, "c": 5 / 8}, abs=0.015)


def test_many_are_drawn_by_weight() -> None:
    weights = {f"c{number:02}": 1 + number % 5 for number in range(MANY)}
    total = sum(weights.values())

    drawn = shares(weights)

    assert drawn == pytest.approx({name: weight / total for name, weight in weights.items()}, abs=0.01)


@pytest.mark.parametrize("more", [0, MANY])
def test_a_share_scales_the_weight_and_an_open_breaker_is_never_drawn(more: int) -> None:
    weights = {"a": 2, "b": 1, "c": 4} | {f"d{number:02}": 1 for number in range(more)}
    health = Ward({"a": Standing(share=0.25), "c": out()})
    total = 0.5 + 1 + more

    drawn = shares(weights, health)

    expected = dict.fromkeys(weights, 1 / total) | {"a": 0.5 / total, "c": 0.0}
    assert drawn == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize("count", [3, MANY])
def test_the_second_is_drawn_by_the_weights_of_those_that_are_left(count: int) -> None:
    weights = {f"c{number:02}": 1 for number in range(count - 1)} | {"z": count - 1}

    second = shares(weights, place=1)

    # The heavy one is first in half of the draws; else it is drawn among one fewer.
    assert second["z"] == pytest.approx(0.5 * (count - 1) / (2 * count - 3), abs=0.015)


def test_one_that_can_be_asked_among_many_that_cannot_is_found() -> None:
    served = found(*(channel(f"c{number:02}", weight=1_000) for number in range(MANY)), channel("well"))
    health = Ward({f"c{number:02}": out() for number in range(MANY)})

    assert {tuple(names(planned(served, health=health, draw=Dice(seed)))) for seed in range(50)} == {
        ("well",)
    }


def test_many_that_are_well_are_not_all_looked_at() -> None:
    served = found(*(channel(f"c{number:03}") for number in range(200)))
    health = Ward({"elsewhere": out()})

    for seed in range(50):
        planned(served, health=health, draw=Dice(seed))

    assert len(health.asked) / 50 < 2 * ATTEMPTS_MAX


@given(
    st.lists(st.integers(0, 1_000_000), min_size=1, max_size=3 * FEW),
    st.integers(0, 2**32),
    st.floats(0.1, 1),
)
def test_a_draw_repeats_nobody_and_fills_the_plan(weights: list[int], seed: int, share: float) -> None:
    served = found(*(channel(f"c{number}", weight=weight) for number, weight in enumerate(weights)))
    health = Ward({f"c{number}": Standing(share=share) for number in range(0, len(weights), 2)})

    drawn = names(planned(served, health=health, draw=Dice(seed)))

    assert len(drawn) == len(set(drawn)) == min(len(weights), ATTEMPTS_MAX)
    assert drawn == names(planned(served, health=health, draw=Dice(seed)))


def test_without_trouble_nobody_is_looked_at() -> None:
    health = Ward()

    planned(found(channel("a"), channel("b")), health=health)

    assert health.asked == []


def test_who_served_the_conversation_is_first_among_its_equals() -> None:
    served = found(channel("a"), channel("b", weight=99), channel("z", priority=-1))

    plans = [planned(served, served="a", draw=Dice(seed)) for seed in range(50)]

    assert {tuple(names(plan)) for plan in plans} == {("a", "b", "z")}
    assert plans[0].choices[0].reason == "served this conversation last"


def test_who_served_the_conversation_goes_before_none_of_higher_priority() -> None:
    served = found(channel("low"), channel("high", priority=1))

    assert names(planned(served, served="low")) == ["high", "low"]


def test_who_served_the_conversation_and_is_out_is_not_waited_for() -> None:
    served = found(channel("a"), channel("b"))

    assert names(planned(served, served="a", health=Ward({"a": out()}))) == ["b"]
    assert names(planned(served, served="gone"))[:1] != []


@pytest.mark.parametrize("more", [1, MANY])
def test_who_served_the_conversation_and_recovers_gets_its_share_of_it(more: int) -> None:
    served = found(channel("a"), *(channel(f"b{number:02}") for number in range(more)))
    health = Ward({"a": Standing(share=0.3)})
    dice = Dice()

    returned = sum(
        planned(served, served="a", health=health, draw=dice).choices[0].by == "served" for _ in range(5_000)
    )

    assert returned / 5_000 == pytest.approx(0.3, abs=0.02)
