"""The line is shared by weight, starves nobody, and loses no place, whatever happens."""

import asyncio
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from queue_scene import Limited, Scene

from virtual_loop import loop, run, settled


def test_the_heavier_group_waits_less_and_the_lighter_one_is_served_in_the_end() -> None:
    async def story() -> None:
        scene = Scene()
        place = scene.full()
        for number in range(300):
            scene.waits(f"free {number}")
            scene.waits(f"enterprise {number}", group="enterprise", weight=100)
        await settled()

        await scene.free(place)
        while scene.places:
            await scene.free()

        groups = [name.split()[0] for name in scene.served]
        assert Counter(groups[:303]) == {"enterprise": 300, "free": 3}
        assert groups[0] == "enterprise"
        assert len(groups) == 600

    run(story())


def test_a_group_is_served_by_its_weight_even_if_each_of_its_calls_gives_up() -> None:
    async def story() -> None:
        scene, tasks = Scene(seconds=5), []
        place = scene.full()

        for step in range(1_000):
            tasks.append(scene.waits("enterprise", group="enterprise", weight=100))
            if step % 10 == 0:
                tasks.append(scene.waits("free"))
            await asyncio.sleep(0.1)
            place.close()
            await settled()
            place = scene.places.pop()
        for task in tasks:
            task.cancel()
        await settled()

        served = Counter(scene.served)
        assert served["free"] >= 9
        assert served["enterprise"] >= 985
        assert sum(name == "free" for name, _ in scene.refused) > 80

    run(story())


def test_a_group_that_was_idle_has_saved_nothing_up() -> None:
    async def story() -> None:
        scene = Scene()
        place = scene.full()
        for number in range(20):
            scene.waits(f"a {number}", group="a")
        await settled()
        await scene.free(place)
        for _ in range(9):
            await scene.free()

        for number in range(20):
            scene.waits(f"b {number}", group="b")
        await settled()
        for _ in range(10):
            await scene.free()

        assert Counter(name[0] for name in scene.served[10:]) == {"a": 5, "b": 5}
        for _ in range(20):
            await scene.free()

    run(story())


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 100), min_size=2), st.integers(1, 120))
@settings(max_examples=50)
def test_while_all_groups_wait_none_is_more_than_a_call_ahead_of_its_weight(
    weights: dict[str, int], places: int
) -> None:
    async def story() -> None:
        scene = Scene(length_max=10_000)
        place = scene.full()
        for group, weight in weights.items():
            for _ in range(places):
                scene.waits(group, group=group, weight=weight)
        await settled()

        await scene.free(place)
        for _ in range(places - 1):
            await scene.free()

        served = Counter(scene.served)
        for one, weight in weights.items():
            for other, others_weight in weights.items():
                ahead = served[one] / weight - served[other] / others_weight
                assert ahead <= 1 / weight + 1e-9
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await settled()

    run(story())


def test_a_full_line_refuses_at_once() -> None:
    async def story() -> None:
        scene = Scene(length_max=2)
        scene.full()
        for name in "ab":
            scene.waits(name)
        await settled()

        scene.waits("c")
        await settled()

        assert scene.refused == [("c", 0)]
        assert scene.queue.length == 2

    run(story())


def test_a_group_that_fills_the_line_makes_way_for_another() -> None:
    async def story() -> None:
        scene = Scene(length_max=4)
        place = scene.full()
        for name in ("free 1", "free 2", "free 3", "free 4"):
            scene.waits(name)
        await settled()

        for number in range(1, 6):
            scene.waits(f"pro {number}", group="pro", weight=3)
        await settled()

        refused = [name for name, _ in scene.refused]
        assert sorted(refused) == ["free 2", "free 3", "free 4", "pro 4", "pro 5"]
        assert scene.queue.length == 4
        await scene.free(place)
        while scene.places:
            await scene.free()
        assert sorted(scene.served) == ["free 1", "pro 1", "pro 2", "pro 3"]

    run(story())


# Any history.

CHANNELS = (Limited("a", 1), Limited("b", 2), Limited("c", 2, rpm=4, tpm=100), Limited("d", None, tpm=50))
SECONDS = 40
numbers = st.integers(0, 9)
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("call"),
            st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=3, unique=True),
            st.sampled_from([("x", 1), ("y", 10)]),
            st.integers(1, 60),
        ),
        st.tuples(
            st.sampled_from(["close", "close at once", "unused", "cancel", "cancel at once", "used"]), numbers
        ),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.5, 5.0, 30.0])),
    ),
    max_size=40,
)


class History:
    """Calls that come, are served, end, and are cancelled."""

    def __init__(self) -> None:
        self.scene = Scene(length_max=6, seconds=SECONDS)
        self.calls: list[tuple[asyncio.Task[None], list[Limited], int, float]] = []

    async def play(self, step: tuple[object, ...]) -> None:
        """``at once``: the next step comes before anybody has noticed."""
        match step:
            case ("call", list(channels), (str(group), int(weight)), int(tokens)):
                task = self.scene.waits("", channels, group=group, weight=weight, tokens=tokens)
                self.calls.append((task, channels, tokens, loop().now + SECONDS))
            case ("wait", float(seconds)):
                await asyncio.sleep(seconds)
            case (str(what), int(number)):
                self.change(what.removesuffix(" at once"), number)
                if what.endswith(" at once"):
                    return
        await settled()
        self.check()

    def change(self, what: str, number: int) -> None:
        places = self.scene.places
        if what == "cancel" and self.calls:
            self.calls[-1 - number % len(self.calls)][0].cancel()
        elif what == "close" and places:
            places.pop(number % len(places)).close()
        elif what == "unused" and places:
            places.pop(number % len(places)).unused()
        elif what == "used" and places:
            places[number % len(places)].used(1)

    def check(self) -> None:
        """Nobody waits where there is room and nobody before it whose time will come; every place that is
        taken is somebody's."""
        pace, at = self.scene.pace, loop().now
        waiting = [call for call in self.calls if not call[0].done()]
        for name in {channel.name for _, channels, _, _ in waiting for channel in channels}:
            here = [
                (pace.full(channel, tokens, at), by)
                for _, channels, tokens, by in waiting
                for channel in channels
                if channel.name == name
            ]
            assert all(wait_s is not None for wait_s, _ in here) or any(
                wait_s is not None and at + wait_s < by for wait_s, by in here
            )
        assert self.scene.queue.length == len(waiting)
        busy = Counter({channel.name: pace.busy(channel.name) for channel in CHANNELS})
        assert +busy == Counter(place.channel for place in self.scene.places)

    async def end(self) -> None:
        """All places are closed, until nobody waits."""
        while any(not call[0].done() for call in self.calls) or self.scene.places:
            while self.scene.places:
                self.scene.places.pop().close()
                await settled()
            await asyncio.sleep(1)
        self.check()
        assert loop().timers == 0
        assert self.scene.queue._lines == {}
        assert self.scene.queue._groups == {}


@given(steps)
@settings(max_examples=200)
def test_whatever_happens_nobody_waits_where_there_is_room_and_no_place_is_lost(
    steps: list[tuple[object, ...]],
) -> None:
    async def story() -> None:
        history = History()
        for step in steps:
            await history.play(step)
        await history.end()

    run(story())
