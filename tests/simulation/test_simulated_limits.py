"""Channels with limits: what a 429 does, and who waits how long where all are full."""

from collections import Counter

import pytest

from deeptoken.errors import Overloaded, UpstreamRateLimited
from routing_scene import ENTERPRISE, FREE, Said, World, run
from scripted_channels import Bucket, by_model, channel, fails, well

SEEDS = [1, 2]
REFUSED = 10.0


@pytest.mark.parametrize("seed", SEEDS)
def test_told_to_wait_30_seconds_that_model_stays_off_that_channel_for_30_to_33(seed: int) -> None:
    async def story() -> World:
        once = fails("capacity", status=429, retry_after_s=30.0)
        script = [(0.0, well()), (REFUSED, by_model(m=once, n=well())), (REFUSED + 0.5, well())]
        world = World(
            {"limited": script, "other": well()},
            serves={"m": ["limited", "other"], "n": ["limited", "other"]},
            seed=seed,
        )
        await world.traffic(30, 45, lambda number: Said(("mn"[number % 2],)))
        return world

    world = run(story)

    refused = next(one for one in world.tries if one.cause == "capacity")
    later = [one for one in world.tries_at("limited", refused.ended + 0.001) if one.cause != "capacity"]
    back = next(one.began for one in later if one.model == "m") - refused.ended
    assert 30 <= back < 33
    assert sum(one.model == "n" and one.began < refused.ended + 30 for one in later) > 150
    assert all(call.answered for call in world.calls)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_later_shorter_wait_shortens_nothing(seed: int) -> None:
    async def story() -> World:
        script = [
            (0.0, well()),
            (REFUSED, fails("capacity", 0.3, status=429, retry_after_s=30.0)),
            (REFUSED + 0.2, fails("capacity", 0.6, status=429, retry_after_s=2.0)),
            (REFUSED + 1.0, well()),
        ]
        world = World({"limited": script, "other": well()}, seed=seed)
        await world.traffic(50, 45)
        return world

    world = run(story)

    refused = [one.ended for one in world.tries if one.cause == "capacity"]
    assert max(refused) > min(refused) + 0.3
    back = min(one.began for one in world.tries_at("limited", min(refused) + 0.001))
    assert 30 <= back - min(refused) < 33


@pytest.mark.parametrize("tells", [True, False])
def test_a_channel_that_is_refused_now_and_then_is_used_as_far_as_it_goes(tells: bool) -> None:
    async def story() -> World:
        limited = Bucket(per_s=10, most=5, tells=tells)
        first = channel("limited", priority=1)
        world = World({"limited": limited, "other": well()}, channels=[first], seed=3)
        await world.traffic(30, 60)
        return world

    world = run(story)

    served = Counter(call.channel for call in world.calls)
    refused = sum(one.cause == "capacity" for one in world.tries)
    assert served.total() == len(world.calls) == served["limited"] + served["other"]
    assert served["limited"] > (0.7 if tells else 0.2) * 10 * 60
    assert refused < 0.2 * len(world.calls) + 10 * 60


@pytest.mark.parametrize("seed", SEEDS)
def test_an_only_channel_at_its_rate_costs_429s_that_say_for_how_long_and_no_call_waits_long(
    seed: int,
) -> None:
    async def story() -> World:
        world = World({"limited": Bucket(per_s=10, most=5, tells=True)}, seed=seed)
        await world.traffic(15, 60)
        return world

    world = run(story)

    answered = sum(call.answered for call in world.calls)
    failed = [call.error for call in world.calls if call.error]
    assert answered > 0.7 * 10 * 60
    assert all(isinstance(error, UpstreamRateLimited) and error.retry_after_s for error in failed)
    assert max(call.took_s for call in world.calls) < 2.5 + 0.5


# Full channels.


def full(count: int, *, queue_s: float, seconds: float, seed: int) -> World:
    """Channels that take a call at once and 2 a second, and a quarter more calls than they all take."""

    async def story() -> World:
        names = [f"c{number}" for number in range(count)]
        world = World(
            {name: well(0.2, 0.3) for name in names},
            channels=[channel(name, max_concurrency=1) for name in names],
            queue_s=queue_s,
            seed=seed,
        )
        # Of ten calls six are of the heavier group.
        await world.traffic(
            2.5 * count, seconds, lambda number: Said(group=ENTERPRISE if number % 10 < 6 else FREE)
        )
        return world

    return run(story)


def waits(world: World, group: object, since: float, until: float) -> list[float]:
    calls = [call for call in world.calls if call.said.group is group and since <= call.began < until]
    return sorted(call.tries[0].began - call.began for call in calls if call.tries)


@pytest.mark.parametrize(("count", "seed"), [(1, 1), (4, 2), (9, 3)])
def test_where_all_are_full_the_heavier_group_waits_less_and_the_lighter_is_served_in_the_end(
    count: int, seed: int
) -> None:
    world = full(count, queue_s=600, seconds=60, seed=seed)

    heavy, light = (waits(world, group, 20, 60) for group in (ENTERPRISE, FREE))
    assert all(call.answered for call in world.calls)
    assert sum(heavy) / len(heavy) < 0.3 * sum(light) / len(light)
    assert heavy[len(heavy) * 9 // 10] < light[len(light) // 10]


@pytest.mark.parametrize(("count", "seed"), [(1, 1), (9, 3)])
def test_who_waits_longer_than_the_queue_lets_him_is_told_when_to_come_again(count: int, seed: int) -> None:
    world = full(count, queue_s=5, seconds=60, seed=seed)

    failed = [call for call in world.calls if call.error]
    assert {type(call.error) for call in failed} == {Overloaded}
    assert all(call.error and call.error.retry_after_s for call in failed)
    assert all(call.took_s < 5.001 for call in failed)
    assert {call.said.group for call in failed} == {FREE}
    served = [call for call in world.calls if call.answered]
    assert sum(call.said.group is FREE for call in served) > 0.1 * len(served)


@pytest.mark.parametrize(("count", "seed"), [(1, 4), (9, 5)])
def test_while_one_of_the_heavier_group_waits_hardly_anyone_of_the_lighter_begins(
    count: int, seed: int
) -> None:
    world = full(count, queue_s=600, seconds=40, seed=seed)

    heavy = [call for call in world.calls if call.said.group is ENTERPRISE]
    light = [call.tries[0].began for call in world.calls if call.said.group is FREE]
    passed = [
        moment
        for moment in light
        if 10 < moment < 40
        and any(call.began < moment and moment + 0.05 < call.tries[0].began for call in heavy)
    ]
    assert sum(10 < moment < 40 for moment in light) > 5 * count
    assert len(passed) <= 1 + len(heavy) // 100


def test_where_the_heavier_group_alone_is_too_much_the_lighter_one_still_gets_its_part() -> None:
    async def story() -> World:
        names = [f"c{number}" for number in range(9)]
        world = World(
            dict.fromkeys(names, well(0.1, 0.1)),
            channels=[channel(name, max_concurrency=1) for name in names],
            queue_s=600,
            seed=7,
        )
        # They take 45 calls a second, and 57 of the heavier group come.
        await world.traffic(60, 30, lambda number: Said(group=FREE if number % 20 == 0 else ENTERPRISE))
        return world

    world = run(story)

    began = [call.tries[0].began for call in world.calls if call.said.group is FREE]
    assert 5 <= sum(5 < moment < 30 for moment in began) <= 20
