"""All channels of a model are out: one call at a time is the last hope, the others wait for it, not long."""

import asyncio

import pytest

from deeptoken.errors import NoChannel, UpstreamError, UpstreamRateLimited, UpstreamRefused
from routing_scene import Call, Said, World, asked, break_down, run, together
from scripted_channels import fails, well

OUT = fails("outage")
LIMITED = fails("capacity", status=429, retry_after_s=1.0)


def test_one_call_at_a_time_is_the_last_hope_whoever_could_be_asked_and_the_others_wait() -> None:
    async def story() -> World:
        world = World(dict.fromkeys("abcd", well(first_s=1.0)))
        break_down(world, *"abcd")
        await together(world, [Said()] * 20)
        return world

    world = run(story)

    probe, *others = sorted(world.tries, key=lambda one: one.began)
    assert all(one.began >= probe.ended for one in others)
    assert all(call.answered for call in world.calls)


def test_the_others_go_as_soon_as_the_last_hope_begins_to_answer() -> None:
    async def story() -> World:
        world = World({"a": well(first_s=0.5, rest_s=30.0)})
        break_down(world, "a")
        await together(world, [Said()] * 5)
        return world

    world = run(story)

    assert [one.began for one in world.tries] == pytest.approx([0.0, 0.5, 0.5, 0.5, 0.5])


def test_when_the_last_hope_fails_all_are_told_at_once_and_when_to_come_again() -> None:
    async def story() -> World:
        world = World(dict.fromkeys("abcd", fails("outage", 0.5)))
        break_down(world, *"abcd")
        await together(world, [Said()] * 20)
        return world

    world = run(story)

    assert len(world.tries) == 1
    assert all(call.took_s == pytest.approx(0.5) for call in world.calls)
    refused = [call.error for call in world.calls if not call.tries]
    assert {type(error) for error in refused} == {NoChannel}
    assert all(call.error and (call.error.retry_after_s or 0) > 1 for call in world.calls)


def test_a_last_hope_that_takes_longer_is_waited_for_two_seconds() -> None:
    async def story() -> World:
        world = World({"a": well(first_s=9.0)})
        break_down(world, "a")
        await together(world, [Said()] * 5)
        return world

    first, *others = run(story).calls

    assert first.answered
    assert all(isinstance(call.error, NoChannel) for call in others)
    assert all(call.took_s == pytest.approx(2.0) for call in others)


@pytest.mark.parametrize("end", ["leaves", "errs", "is out of time"])
def test_who_waits_probes_next_when_the_last_hope_says_nothing(end: str) -> None:
    says = {
        "leaves": Said(leaves_s=0.4),
        "errs": Said(wrong="invalid_value"),
        "is out of time": Said(deadline_s=0.4),
    }

    async def story() -> World:
        world = World({"a": well(first_s=0.5)})
        break_down(world, "a")
        await together(world, [says[end], *[Said()] * 5])
        return world

    world = run(story)

    _, *others = world.calls
    assert all(call.answered for call in others)
    assert len(world.tries) == 6
    assert world.tries[2].began >= world.tries[1].ended >= 0.8


def test_who_waits_for_a_probe_waits_on_when_that_of_another_model_ends() -> None:
    async def story() -> World:
        scripts = {"a": well(first_s=1.5), "c": fails("outage", 0.2)}
        world = World(scripts, serves={"m": ["a"], "n": ["c"]})
        break_down(world, "a")
        break_down(world, "c", model="n")
        await together(world, [Said(), Said(), Said(("n",))])
        return world

    hope, waiting, other = run(story).calls

    assert isinstance(other.error, UpstreamError)
    assert hope.answered
    assert waiting.answered


def test_a_last_hope_is_asked_twice_only_where_there_is_no_other() -> None:
    async def story() -> tuple[Call, Call]:
        several, only = World({"a": OUT, "b": OUT}), World({"a": OUT})
        break_down(several, "a", "b")
        break_down(only, "a")
        return await several.call(), await only.call()

    several, only = run(story)

    assert len(several.tries) == 1
    assert asked(only) == ["a", "a"]


def test_a_probe_that_fails_says_when_to_come_again_also_where_it_was_due() -> None:
    async def story() -> tuple[Call, Call]:
        world, wrong = World({"a": OUT}), World({"a": well()})
        for one in (world, wrong):
            break_down(one, "a")
        await asyncio.sleep(6)
        return await world.call(), await wrong.call(Said(wrong="invalid_value"))

    failed, refused = run(story)

    assert failed.error is not None
    assert 9 < (failed.error.retry_after_s or 0) < 11
    assert isinstance(refused.error, UpstreamRefused)
    assert refused.error.retry_after_s is None


def test_when_all_cool_down_a_call_waits_for_the_first_if_that_is_soon() -> None:
    async def story() -> tuple[Call, Call]:
        soon = World({"a": [(0.0, LIMITED), (0.5, well())], "b": LIMITED})
        late = World({"a": fails("capacity", status=429, retry_after_s=20.0)})
        for world in (soon, late):
            await world.call(Said(leaves_s=0.5))
        return await soon.call(), await late.call()

    served, refused = run(story)

    assert served.answered
    assert 0.1 < served.tries[0].began - served.began < 2.0
    assert isinstance(refused.error, UpstreamRateLimited)
    assert refused.took_s == 0
    assert 15 < (refused.error.retry_after_s or 0) < 21
