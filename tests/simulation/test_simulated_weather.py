"""Ten thousand calls in bad weather: channels fail in every way, callers err and leave, and the laws hold.

Thirty channels in two priorities, and a second model to fall back on, at 200 calls a second. Each channel is
now well, now fails in one way or another, often or always. Every law is looked for in the same worlds.
"""

from collections import Counter
from functools import cache
from itertools import pairwise

import pytest

from deeptoken.catalog.model import Timeouts
from deeptoken.errors import UpstreamRefused
from deeptoken.gateway.plan import ATTEMPTS_MAX
from deeptoken.providers.base import Cause
from routing_scene import Call, Said, World, at_once, run
from scripted_channels import Chance, Does, Script, breaks, channel, fails, flaky, hangs, well

SEEDS = [1, 2]
PER_S, SECONDS = 205.0, 25.0
NAMES = [f"c{number}" for number in range(30)]
SERVES = {"m": NAMES[:24], "n": NAMES[20:]}
CONTEXT = "context_length_exceeded"


def weather(chance: Chance) -> Script:
    """Spells of some seconds."""
    spells: list[Does] = [
        well(),
        well(1.0, 2.0),
        flaky(chance, 0.4, fails("outage")),
        flaky(chance, 0.45, fails("outage")),
        flaky(chance, 0.5, fails("outage", 0.3)),
        flaky(chance, 0.45, fails("slow", 0.5)),
        flaky(chance, 0.4, fails("slow", 1.0)),
        flaky(chance, 0.3, fails("connect")),
        flaky(chance, 0.1, breaks()),
        flaky(chance, 0.2, fails("capacity", status=429)),
        flaky(chance, 0.2, fails("capacity", status=429, retry_after_s=1.0)),
        fails("outage"),
        fails("connect"),
        hangs,
    ]
    script: Script = []
    moment = 0.0
    while moment < SECONDS:
        script.append((moment, spells[int(chance() * len(spells))]))
        moment += 2 + chance.gap(5.0)
    return script


def says(chance: Chance) -> Said:
    """Of ten calls one leaves, one is wrong; three have a model to fall back on, two have little time."""
    kind = chance()
    return Said(
        models=("m", "n") if chance() < 0.3 else ("m",),
        leaves_s=chance() * 2 if kind < 0.1 else None,
        wrong=CONTEXT if 0.1 < kind < 0.15 else "invalid_value" if 0.15 < kind < 0.2 else None,
        deadline_s=60.0 if chance() < 0.8 else 0.1 + chance() * 3,
    )


@cache
def world(seed: int) -> World:
    async def story() -> World:
        chance = Chance(seed + 1_000)
        channels = [
            channel(name, priority=number % 2, timeout=Timeouts(first_byte=3.0))
            for number, name in enumerate(NAMES)
        ]
        scripts = {name: weather(chance) for name in NAMES}
        built = World(scripts, channels=channels, serves=SERVES, seed=seed)
        await built.traffic(PER_S, SECONDS, lambda number: says(chance))
        return built

    return run(story)


def retries(call: Call) -> int:
    """Attempts after one that reached a provider; what goes to another model for its own sake is none."""
    return sum(before.cause not in ("connect", "caller") for before, _ in pairwise(call.tries))


def poor(way: Cause, seconds: float) -> World:
    """Forty channels, each of which fails a third of its calls."""

    async def story() -> World:
        chance = Chance(7)
        world = World({name: flaky(chance, 0.35, fails(way)) for name in [*NAMES, *"abcdefghij"]}, seed=1)
        await world.traffic(PER_S, seconds)
        return world

    return run(story)


def test_of_ten_thousand_calls_a_fifth_and_ten_a_second_are_retries_at_most() -> None:
    seconds = 50.0

    world = poor("outage", seconds)

    made = sum(retries(call) for call in world.calls)
    most = 0.2 * len(world.calls) + 10 * seconds + 10
    assert len(world.calls) >= 10_000
    # There is a call for every retry that may be made.
    assert 0.95 * most < made <= most


def test_a_request_that_never_left_is_no_retry() -> None:
    seconds = 20.0

    world = poor("connect", seconds)

    again = sum(max(0, len(call.tries) - 1) for call in world.calls)
    assert again > 1.5 * (0.2 * len(world.calls) + 10 * seconds + 10)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_call_makes_more_than_four_attempts_or_two_at_one_channel(seed: int) -> None:
    calls = world(seed).calls

    again = Counter[str]()
    for call in calls:
        asked = [(one.channel, one.model) for one in call.tries]
        assert len(asked) <= ATTEMPTS_MAX
        if len(set(asked)) < len(asked):
            *before, last = call.tries
            again[before[-1].cause] += 1
            assert len(set(asked)) == len(asked) - 1
            assert asked[-1] in asked[:-1]
            # It waited for one that cooled down, or the only one there was broke down.
            assert before[-1].cause == "capacity" or len(asked) == 2
            assert last.began - before[-1].ended >= 0.1
    assert again.keys() <= {"capacity", "outage", "connect"}


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_wrong_with_a_call_is_told_its_caller_and_only_another_model_is_asked(seed: int) -> None:
    wrong = [call for call in world(seed).calls if any(one.cause == "caller" for one in call.tries)]

    moved = 0
    for call in wrong:
        first = next(place for place, one in enumerate(call.tries) if one.cause == "caller")
        later = call.tries[first + 1 :]
        if call.said.wrong != CONTEXT or len(call.said.models) == 1:
            assert later == []
            assert isinstance(call.error, UpstreamRefused)
        assert all(one.model == "n" for one in later)
        moved += bool(later)
    assert len(wrong) > 200
    assert moved > 5


@pytest.mark.parametrize("seed", SEEDS)
def test_every_attempt_has_what_is_left_of_the_deadline_and_no_call_outlives_it(seed: int) -> None:
    built = world(seed)

    for one in built.tries:
        assert one.deadline == pytest.approx(built.calls[one.call].deadline)
        assert one.began < one.deadline
        assert one.ended <= one.deadline + 0.001
    for call in built.calls:
        assert call.answered or call.error or call.left
        assert call.answered or call.ended <= call.deadline + 0.001


@pytest.mark.parametrize("seed", SEEDS)
def test_who_was_refused_is_not_asked_before_its_time(seed: int) -> None:
    built = world(seed)

    refused = [one for one in built.tries if one.cause == "capacity"]
    for one in refused:
        until = one.ended + (one.told_s or 1.0)
        early = [
            later
            for later in built.tries_at(one.channel, one.ended + 0.000_001, until)
            if later.model == one.model
        ]
        assert early == []
    assert len(refused) > 10


@pytest.mark.parametrize("seed", SEEDS)
def test_when_all_calls_have_ended_nothing_is_left_of_them(seed: int) -> None:
    built = world(seed)

    means = built.means
    assert sum(one.cause == "left" for one in built.tries) > 50
    assert not means.hoping
    assert means.queue.length == 0
    standings = [
        means.health.standing(name, id, 1_000_000.0) for id, names in SERVES.items() for name in names
    ]
    assert not any(standing.probing for standing in standings)
    assert any(standing.why for standing in standings)


def test_callers_who_err_or_leave_count_against_nobody() -> None:
    async def story() -> World:
        world = World({"a": well(), "b": well()}, seed=3)
        chance = Chance(4)

        def says(number: int) -> Said:
            if number % 3:
                return Said(wrong=("invalid_value", CONTEXT)[number % 2])
            return Said(leaves_s=chance() * 0.5)

        await world.traffic(100, 20, says)
        return world

    world = run(story)

    assert {one.cause for one in world.tries} == {"caller", "left", ""}
    assert all(len(call.tries) <= 1 for call in world.calls)
    assert not world.means.health.troubled
    for state in world.means.health.states(1_020.0):
        assert (state.state, state.failures, state.error_share, state.share) == ("closed", 0, 0.0, 1.0)


def test_no_probe_is_locked_by_callers_who_err_or_leave() -> None:
    broke, mended, patient = 4.0, 11.0, 40.0

    async def story() -> World:
        world = World({"a": [(0.0, well()), (broke, fails("outage")), (mended, well(0.5))]}, seed=5)
        await world.traffic(20, 8)
        await world.traffic(20, 32, lambda number: Said(wrong="no") if number % 2 else Said(leaves_s=0.3))
        await world.traffic(20, 10)
        return world

    world = run(story)

    probes = world.tries_at("a", mended, patient)
    assert at_once(probes) == 1
    assert {one.cause for one in probes} == {"left", "caller"}
    assert len(probes) > 40
    assert all(call.answered for call in world.calls if call.began > patient + 1)
