"""The planner: models in order, priority, health, room, reasons."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from plan_scene import (
    CHEAP,
    NOW,
    Dice,
    Speed,
    Standing,
    Ward,
    channel,
    chat,
    found,
    model,
    names,
    out,
    planned,
)

from deeptoken.catalog.catalog import Found
from deeptoken.catalog.model import Channel
from deeptoken.errors import BadRequest, ModelNotFound
from deeptoken.gateway.plan import ATTEMPTS_MAX, LINES_MAX, Plan

A, B, C, D = (channel(name) for name in "abcd")
MODEL = model()


def is_named(*those: str) -> Callable[[Channel], bool]:
    return lambda one: one.name in those


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=20), st.integers(0, 2**32))
def test_the_highest_priorities_are_tried_first(priorities: list[int], seed: int) -> None:
    served = found(*(channel(f"c{number}", priority=it) for number, it in enumerate(priorities)))

    plan = planned(served, draw=Dice(seed))

    drawn = [choice.candidate.channel.priority for choice in plan.choices]
    assert drawn == sorted(priorities, reverse=True)[:ATTEMPTS_MAX]


def test_a_plan_has_no_more_than_four_choices() -> None:
    assert len(planned(found(*(channel(f"c{number}") for number in range(9)))).choices) == 4


def test_the_channels_of_a_fallback_stand_behind_those_of_the_model() -> None:
    first, second = found(A, at=model("one")), found(channel("b", priority=9), A, at=model("two"))

    plan = planned(first, second)

    asked = [(choice.candidate.channel.name, choice.candidate.model.id) for choice in plan.choices]
    assert asked == [("a", "one"), ("b", "two"), ("a", "two")]


@pytest.mark.parametrize(
    ("counts", "places"),
    [
        ([9], [4]),
        ([9, 9], [3, 1]),
        ([9, 9, 9], [2, 1, 1]),
        ([9, 9, 9, 9, 9], [1, 1, 1, 1, 0]),
        ([1, 9], [1, 3]),
        ([2, 1, 9], [2, 1, 1]),
    ],
)
def test_every_model_has_a_place_so_that_a_fallback_is_reached(counts: list[int], places: list[int]) -> None:
    models = [
        found(*(channel(f"c{number}") for number in range(count)), at=model(f"m{place}"))
        for place, count in enumerate(counts)
    ]

    plan = planned(*models)

    asked = [choice.candidate.model.id for choice in plan.choices]
    assert [asked.count(f"m{place}") for place in range(len(counts))] == places


def test_a_model_that_is_named_twice_is_planned_once() -> None:
    speeds = {"a": Speed(tokens_per_s=10), "b": Speed(tokens_per_s=90)}
    first, again = found(channel("a", priority=1), B), found(A, B, sort="throughput")

    assert names(planned(first, first, again, health=Ward(speeds=speeds))) == ["a", "b"]


def test_a_model_whose_channels_are_all_out_leaves_its_places_to_the_next() -> None:
    first, second = found(A, B, C, at=model("one")), found(A, B, C, at=model("two"))
    health = Ward({f"{name}/one": out() for name in "abc"})

    plan = planned(first, second, health=health)

    assert [choice.candidate.model.id for choice in plan.choices] == ["two"] * 3
    assert not plan.last_hope


def test_a_fallback_that_is_out_takes_no_place_from_the_model() -> None:
    first, second = found(A, B, C, D, at=model("one")), found(A, at=model("two"))
    health = Ward({"a/two": out()})

    plan = planned(first, second, health=health)

    assert [choice.candidate.model.id for choice in plan.choices] == ["one"] * 4


def test_an_open_breaker_is_out() -> None:
    high = channel("a", priority=9)

    assert names(planned(found(high, B), health=Ward({"a": out()}))) == ["b"]
    assert names(planned(found(high, B), health=Ward({"a/other": out()}))) == ["a", "b"]


def test_when_all_are_out_the_one_closest_to_its_probe_is_the_last_hope() -> None:
    health = Ward({"a": out(30), "b": out(2.5), "c": out(-1)})

    plan = planned(found(A, B, at=model("one")), found(C, at=model("two")), health=health)

    assert plan.last_hope
    assert names(plan) == ["c", "b", "a"]
    assert [choice.reason for choice in plan.choices] == [
        "last hope: its probe is due",
        "last hope: its probe is due in 2.5 s",
        "last hope: its probe is due in 30 s",
    ]


def test_who_allows_no_fallbacks_has_one_hope_alone() -> None:
    health = Ward({"a": out(30), "b": out(2.5)})

    plan = planned(found(A, B), health=health, said=chat(provider={"allow_fallbacks": False}))

    assert names(plan) == ["b"]


def test_a_full_channel_is_passed_over() -> None:
    plan = planned(found(channel("a", priority=9), B), full=is_named("a"))

    assert names(plan) == ["b"]
    assert not plan.full


@pytest.mark.parametrize("health", [Ward(), Ward({"c": out()})])
def test_when_all_that_could_serve_are_full_the_call_waits(health: Ward) -> None:
    served = found(channel("a", priority=9), B, *([C] if health.troubled else []))

    plan = planned(served, health=health, full=is_named("a", "b"))

    assert plan.full
    assert not plan.last_hope
    assert names(plan) == ["a", "b"]


def test_a_model_that_nobody_serves_does_not_exist() -> None:
    with pytest.raises(ModelNotFound):
        planned(found())


def test_the_cheapest_goes_first_and_equal_prices_by_priority() -> None:
    dear, cheap = (
        found(channel("c", priority=9), channel("d", priority=8)),
        found(A, B, at=model(rates=CHEAP)),
    )
    both = Found(MODEL, (*dear.candidates, *cheap.candidates), "price")

    plan = planned(both)

    assert sorted(names(plan)[:2]) == ["a", "b"]
    assert names(plan)[2:] == ["c", "d"]
    assert plan.choices[2].reason == (
        "by price: $0.15 per 1M prompt tokens, $0.6 per 1M completion tokens, priority 9"
    )


@pytest.mark.parametrize("sort", ["throughput", "latency"])
def test_the_fastest_goes_first_and_those_of_which_nothing_is_known_last_by_priority(sort: str) -> None:
    unknown = (channel("x", priority=5), channel("y", priority=9))
    speeds = {
        "a": Speed(ttft_s=0.3, tokens_per_s=20),
        "b": Speed(ttft_s=0.9, tokens_per_s=90),
    }

    plan = planned(found(*unknown, A, B), health=Ward(speeds=speeds), said=chat(provider={"sort": sort}))

    assert names(plan) == (["b", "a", "y", "x"] if sort == "throughput" else ["a", "b", "y", "x"])


def test_a_suffix_sorts_its_model_alone_and_stands_above_the_body() -> None:
    speeds = {"a": Speed(ttft_s=0.1, tokens_per_s=10), "b": Speed(ttft_s=0.9, tokens_per_s=90)}
    fast, other = found(A, B, sort="throughput"), found(A, B, at=model("other"))

    plan = planned(fast, other, health=Ward(speeds=speeds), said=chat(provider={"sort": "latency"}))

    assert names(plan) == ["b", "a", "a", "b"]


def test_a_sort_does_not_ask_who_is_out() -> None:
    speeds = {"a": Speed(tokens_per_s=90), "b": Speed(tokens_per_s=10)}

    plan = planned(found(A, B, sort="throughput"), health=Ward({"a": out()}, speeds))

    assert names(plan) == ["b"]


REASONS = [
    ({}, {}, {}, "priority 10"),
    ({"b": {"priority": 10, "weight": 3}}, {}, {}, "priority 10, weight 1 of 4"),
    ({}, {"a": Standing(share=0.4)}, {}, "priority 10, recovering: 40% of it"),
    ({}, {}, {"order": ["b", "a"]}, "place 2 in provider.order, priority 10"),
    ({}, {}, {"sort": "throughput"}, "by throughput: 82.5 tokens a second"),
    ({}, {}, {"sort": "latency"}, "by latency: 0.42 s to the first token"),
]


@pytest.mark.parametrize(("others", "standings", "provider", "reason"), REASONS)
def test_a_choice_says_why_it_stands_there(
    others: dict[str, dict[str, int]],
    standings: dict[str, Standing],
    provider: dict[str, object],
    reason: str,
) -> None:
    first = channel("a", priority=10)
    served = found(first, *(channel(name, **settings) for name, settings in others.items()))
    health = Ward(standings, {"a": Speed(ttft_s=0.42, tokens_per_s=82.5)})

    plan = planned(served, health=health, said=chat(provider=provider), draw=lambda: 0.0)

    assert plan.choices[0].reason == reason


def test_what_was_not_measured_is_said_so() -> None:
    plan = planned(found(A, B, sort="latency"), draw=lambda: 0.0)

    assert plan.choices[0].reason == "by latency: not measured yet, priority 0, weight 1 of 2"


def test_an_explained_plan_says_of_each_that_is_left_out_why() -> None:
    served = found(*(channel(name) for name in ("closed", "full", "ignored")), *map(channel, "1234567"))
    blind = found(A, at=model("blind", capabilities={"tools": False}))
    tools = [{"type": "function", "function": {"name": "f"}}]
    said = chat(provider={"ignore": ["Ignored"]}, tools=tools)
    health = Ward({"closed": out(2)})

    plan = planned(served, blind, said=said, health=health, full=is_named("full"), explain=True)

    why = {(left.channel, left.model): left.reason for left in plan.left_out}
    tried = {(name, "m") for name in names(plan)}
    behind = {(name, "m") for name in "1234567"} - tried
    assert why == {
        ("closed", "m"): "5 failures in a row; its probe is due in 2 s",
        ("full", "m"): "it serves as many calls as it may",
        ("ignored", "m"): "provider.ignore names it",
        ("a", "blind"): "tools: 'blind' does not call tools.",
    } | dict.fromkeys(behind, "behind the 4 that are tried")


standings = st.one_of(
    st.just(Standing()), st.builds(out, st.floats(-5, 60)), st.builds(Standing, share=st.floats(0.1, 1))
)
NAMES = [f"c{number}" for number in range(12)]
channels = st.lists(
    st.tuples(st.integers(-1, 1), st.integers(0, 4), st.sampled_from(["openai", "azure", "groq"])),
    min_size=1,
    max_size=len(NAMES),
)
wishes = st.fixed_dictionaries(
    {},
    optional={
        "only": st.lists(st.sampled_from(["azure", "groq", *NAMES]), min_size=1, max_size=4),
        "ignore": st.lists(st.sampled_from(["openai", *NAMES]), max_size=3),
        "order": st.lists(st.sampled_from(["groq", *NAMES]), max_size=3),
        "sort": st.sampled_from(["price", "throughput", "latency"]),
        "allow_fallbacks": st.booleans(),
    },
)


def serving(id: str, places: list[tuple[int, int, str]]) -> Found:
    return found(
        *(
            channel(name, priority=priority, weight=weight, provider=maker)
            for name, (priority, weight, maker) in zip(NAMES, places, strict=False)
        ),
        at=model(id),
    )


def may_serve(one: Channel, provider: dict[str, object]) -> bool:
    """The wishes once more, a channel at a time."""
    called = {one.name, one.provider, one.label.lower()}
    listed = {name: called & set(told) for name, told in provider.items() if isinstance(told, list)}
    strict = provider.get("order") and provider.get("allow_fallbacks") is False
    return listed.get("only") != set() and not listed.get("ignore") and not (strict and not listed["order"])


@given(
    st.lists(channels, min_size=1, max_size=3),
    wishes,
    st.dictionaries(st.sampled_from(NAMES), standings),
    st.sets(st.sampled_from(NAMES)),
    st.none() | st.sampled_from(NAMES),
    st.integers(0, 2**32),
)
def test_every_choice_meets_all_wishes_and_every_candidate_is_accounted_for(
    served_by: list[list[tuple[int, int, str]]],
    provider: dict[str, object],
    standings: dict[str, Standing],
    full: set[str],
    served: str | None,
    seed: int,
) -> None:
    models = [serving(f"m{number}", places) for number, places in enumerate(served_by)]
    health = Ward(standings, {name: Speed(tokens_per_s=len(name)) for name in NAMES[::2]})
    able = [at for one in models for at in one.candidates if may_serve(at.channel, provider)]
    closed = {at.channel.name for at in able if health.standing(at.channel.name, at.model.id, NOW).open}

    def again() -> Plan:
        return planned(
            *models,
            said=chat(provider=provider),
            health=health,
            draw=Dice(seed),
            full=is_named(*full),
            served=served,
            explain=True,
        )

    if not able:
        with pytest.raises(BadRequest, match=r"^provider\.(only|ignore|order): it leaves no channel of 'm0'"):
            again()
        return
    plan = again()

    asked = [(choice.candidate.channel.name, choice.candidate.model.id) for choice in plan.choices]
    assert 1 <= len(asked) <= (LINES_MAX if plan.full else ATTEMPTS_MAX)
    assert all(choice.candidate in able for choice in plan.choices)
    able_names = {at.channel.name for at in able}
    assert plan.last_hope == (able_names <= closed)
    assert plan.full == (not plan.last_hope and able_names <= closed | full)
    if not plan.last_hope:
        assert not closed & {name for name, _ in asked}
        assert [id for _, id in asked] == sorted(id for _, id in asked)
        well = [one.candidate for one in plan.choices if one.share == 1]
        ranks = [(at.model.id, -at.channel.priority) for at in well]
        assert provider.get("sort") or provider.get("order") or ranks == sorted(ranks)
        assert plan.full or not full & {name for name, _ in asked}
    left_out = [(left.channel, left.model) for left in plan.left_out]
    every = [(at.channel.name, at.model.id) for one in models for at in one.candidates]
    assert sorted(asked + left_out) == sorted(every)
    assert plan == again()


@given(channels, st.none() | st.sampled_from(NAMES), st.integers(0, 2**32))
@example([(0, 1, "openai")], NAMES[0], 0)
def test_a_plain_call_is_planned_in_a_short_way_as_in_the_long_one(
    places: list[tuple[int, int, str]], served: str | None, seed: int
) -> None:
    one = serving("m0", places)

    short = planned(one, draw=Dice(seed), served=served)
    long = planned(one, draw=Dice(seed), served=served, explain=True)

    assert short.choices == long.choices
