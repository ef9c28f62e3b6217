"""The line before full channels: who gets a place, when, and that none is lost."""

import asyncio

import pytest
from queue_scene import ONE, Limited, Scene

from deeptoken.errors import Overloaded
from virtual_loop import loop, now, run, settled


def test_a_place_is_taken_on_the_first_channel_that_has_room() -> None:
    async def story() -> None:
        scene, channels = Scene(), [Limited("a"), Limited("b")]

        places = [scene.queue.take(channels, 1) for _ in range(3)]

        assert [place and place.channel for place in places] == ["a", "b", None]

    run(story())


def test_who_waits_where_there_is_room_does_not_wait() -> None:
    async def story() -> None:
        scene = Scene()

        await scene.call("first", group="free", weight=1)

        assert (scene.served, now()) == (["first"], 0)

    run(story())


def test_in_a_group_who_came_first_is_served_first_and_one_place_serves_one() -> None:
    async def story() -> None:
        scene = Scene()
        place = scene.full()
        for name in "abc":
            scene.waits(name)
        await settled()
        assert scene.queue.length == 3

        await scene.free(place)

        assert scene.served == ["a"]
        await scene.free()
        assert scene.served == ["a", "b"]
        assert scene.queue.length == 1
        await scene.free()

    run(story())


def test_a_place_that_is_closed_twice_serves_one() -> None:
    async def story() -> None:
        scene = Scene()
        place = scene.full()
        for name in "abc":
            scene.waits(name)
        await settled()

        await scene.free(place)
        await scene.free(place)

        assert scene.served == ["a"]
        await scene.free()
        await scene.free()

    run(story())


def test_nobody_passes_those_who_wait() -> None:
    async def story() -> None:
        scene = Scene()
        place = scene.full()
        scene.waits("first")
        await settled()

        place.close()

        assert scene.queue.take([ONE], 1) is None
        await settled()
        assert scene.served == ["first"]

    run(story())


def test_after_its_seconds_a_call_is_refused_and_told_when_to_come_again() -> None:
    async def story() -> None:
        scene = Scene(seconds=5)
        scene.full()

        with pytest.raises(Overloaded) as refused:
            await scene.queue.wait([ONE], 1, group="free", weight=1)

        assert now() == 5
        assert (refused.value.status, refused.value.code) == (503, "overloaded")
        assert refused.value.retry_after == "1"
        assert scene.queue.length == 0

    run(story())


def test_its_own_deadline_may_be_sooner() -> None:
    async def story() -> None:
        scene = Scene(seconds=5)
        scene.full()

        with pytest.raises(Overloaded):
            await scene.queue.wait([ONE], 1, group="free", weight=1, by=loop().now + 2)

        assert now() == 2

    run(story())


def test_where_a_minute_is_full_the_refusal_says_for_how_long() -> None:
    async def story() -> None:
        scene, channel = Scene(), Limited(max_concurrency=None, rpm=1)
        scene.full(channel)

        with pytest.raises(Overloaded) as refused:
            await scene.queue.wait([channel], 1, group="free", weight=1)

        assert refused.value.retry_after == "56"

    run(story())


# Channels.


def test_who_waits_for_two_channels_takes_what_comes_and_leaves_the_other_line() -> None:
    async def story() -> None:
        scene, a, b = Scene(), Limited("a"), Limited("b")
        at_a, at_b = scene.full(a), scene.full(b)
        scene.waits("both", [a, b])
        scene.waits("only a", [a])
        await settled()

        await scene.free(at_b)
        await scene.free(at_a)

        assert scene.served == ["both", "only a"]
        assert [place.channel for place in scene.places] == ["b", "a"]
        assert scene.queue.take([a], 1) is None
        await scene.free()
        assert scene.queue.take([b], 1) is not None

    run(story())


def test_when_a_minute_has_room_again_the_line_moves_by_itself() -> None:
    async def story() -> None:
        scene, channel = Scene(seconds=100), Limited(max_concurrency=None, rpm=1)
        scene.full(channel)

        await scene.call("first", [channel], group="free", weight=1)
        first = now()
        await scene.call("second", [channel], group="free", weight=1)

        assert (first, now()) == (61, 122)

    run(story())


def test_the_line_moves_for_the_first_whose_time_suffices() -> None:
    async def story() -> None:
        scene, channel = Scene(seconds=50), Limited(max_concurrency=None, rpm=2, tpm=100)
        scene.queue.take([channel], 1)
        await asyncio.sleep(20)
        scene.queue.take([channel], 90)

        large = scene.waits("large", [channel], tokens=60)
        await scene.waits("small", [channel], tokens=5)

        assert (scene.served, now()) == (["small"], 61)
        await large
        assert scene.refused == [("large", 70)]

    run(story())


def test_a_call_of_many_tokens_is_not_passed_for_ever() -> None:
    async def story() -> None:
        scene, channel = Scene(seconds=100), Limited(max_concurrency=None, tpm=600)
        large, others = None, []

        for second in range(300):
            others.append(scene.waits("small", [channel], tokens=20))
            if second == 120:
                large = scene.waits("large", [channel], group="pro", weight=10, tokens=300)
            await asyncio.sleep(1)
            if large is not None and large.done():
                break

        assert "large" in scene.served
        assert now() <= 120 + 100
        for one in others:
            one.cancel()

    run(story())


@pytest.mark.parametrize("how", ["cancelled", "served elsewhere", "makes way"])
def test_who_waited_for_a_call_that_is_no_more_goes_on_at_once(how: str) -> None:
    async def story() -> None:
        scene = Scene(seconds=80, length_max=2 if how == "makes way" else 10)
        channel, other = Limited("c", None, tpm=100), Limited("d")
        scene.queue.take([channel], 60)
        held = scene.full(other)
        large = scene.waits("large", [channel, other], tokens=50)
        await settled()
        scene.waits("small", [channel], group="other", tokens=40)
        await settled()
        assert scene.served == []

        if how == "cancelled":
            large.cancel()
        elif how == "served elsewhere":
            held.close()
        elif how == "makes way":
            scene.waits("heavy", [other], group="pro", weight=9)
            await settled()
        await asyncio.sleep(1)

        assert "small" in scene.served

    run(story())


def test_nobody_passes_those_who_wait_in_the_moment_in_which_a_minute_has_room() -> None:
    async def story() -> None:
        scene, channel = Scene(seconds=100), Limited(max_concurrency=None, rpm=1)
        scene.full(channel)
        first = scene.waits("first", [channel])
        await settled()

        loop().now += 61

        assert scene.queue.take([channel], 1) is None
        await first
        assert scene.served == ["first"]

    run(story())


def test_tokens_that_were_not_used_are_for_the_next() -> None:
    async def story() -> None:
        scene, channel = Scene(), Limited(max_concurrency=None, tpm=100)
        place = scene.queue.take([channel], 100)
        assert place is not None
        scene.waits("first", [channel], tokens=60)
        await settled()

        place.used(40)
        await settled()

        assert (scene.served, now()) == (["first"], 0)

    run(story())


def test_a_call_that_fits_passes_one_that_does_not() -> None:
    async def story() -> None:
        scene, channel = Scene(), Limited(max_concurrency=1, tpm=100)
        place = scene.queue.take([channel], 50)
        large = scene.waits("large", [channel], tokens=60)
        scene.waits("small", [channel], tokens=50)
        await settled()

        assert place is not None
        await scene.free(place)

        assert scene.served == ["small"]
        await large
        assert scene.refused == [("large", 5)]

    run(story())


# Calls that are cancelled.


def test_a_call_that_is_cancelled_as_it_wakes_hands_its_place_on() -> None:
    async def story() -> None:
        scene = Scene()
        place = scene.full()
        woken, _ = scene.waits("woken"), scene.waits("next")
        await settled()

        place.close()
        woken.cancel()
        await settled()

        assert scene.served == ["next"]
        assert scene.pace.busy("c") == 1

    run(story())


def test_a_call_that_was_cancelled_but_has_not_left_yet_is_passed_over() -> None:
    async def story() -> None:
        scene = Scene()
        place = scene.full()
        cancelled, _ = scene.waits("cancelled"), scene.waits("next")
        await settled()

        cancelled.cancel()
        place.close()
        await settled()

        assert scene.served == ["next"]
        assert (scene.queue.length, scene.pace.busy("c")) == (0, 1)

    run(story())


def test_a_call_that_is_cancelled_as_it_is_refused_takes_nothing_with_it() -> None:
    async def story() -> None:
        scene = Scene(length_max=1)
        place = scene.full()
        refused = scene.waits("refused", group="free")
        await settled()

        other = scene.waits("other", group="enterprise", weight=10)
        await asyncio.sleep(0)
        refused.cancel()
        await settled()
        await scene.free(place)

        assert scene.served == ["other"]
        assert other.done()
        assert scene.queue.length == 0

    run(story())
