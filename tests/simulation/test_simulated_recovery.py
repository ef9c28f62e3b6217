"""A channel that broke sees only probes, and when it is well again its traffic comes back by and by."""

import pytest

from routing_scene import World, at_once, run
from scripted_channels import channel, fails, hangs, well

BROKE = 10.0
WAYS = {
    "connect": (fails("connect"), 1.0),
    "outage": (fails("outage"), 1.0),
    "slow": (fails("slow", 2.0), 4.0),
    "hang": (hangs, 12.0),
}
"""What it does, and in how many seconds that is surely known of five calls."""
PAUSES_S = (5.0, 10.0, 20.0, 40.0)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("way", WAYS)
def test_once_its_breaker_is_open_a_channel_sees_only_probes_and_one_at_a_time(way: str, seed: int) -> None:
    broken, known_s = WAYS[way]

    async def story() -> World:
        world = World({"ill": [(0, well()), (BROKE, broken)], "good": well()}, seed=seed)
        await world.traffic(20, 70)
        return world

    world = run(story)

    probes = world.tries_at("ill", BROKE + known_s)
    assert 2 <= len(probes) <= 3
    assert at_once(probes) == 1
    ended = [BROKE, *(one.ended for one in probes)]
    for before, probe, pause_s in zip(ended, probes, PAUSES_S, strict=False):
        assert probe.began - before >= pause_s
    assert all(call.answered for call in world.calls)


@pytest.mark.parametrize(
    ("priorities", "seed"),
    [((0, 0, 0), 1), ((0, 0, 0), 2), ((1, 0, 0), 3), ((1, 1, 0), 4)],
    ids=["one of equals", "another", "one above the others", "two above the others"],
)
def test_after_it_recovered_its_share_grows_from_a_tenth_to_all_in_thirty_seconds(
    priorities: tuple[int, int, int], seed: int
) -> None:
    ill, other, spare = (
        channel(name, priority=it) for name, it in zip(("ill", "other", "spare"), priorities, strict=True)
    )
    broken, mended = 15.0, 18.0

    async def story() -> World:
        script = [(0.0, well()), (broken, fails("outage")), (mended, well())]
        scripts = {"ill": script, "other": script if other.priority else well(), "spare": well()}
        world = World(scripts, channels=(ill, other, spare), seed=seed)
        await world.traffic(45, 65)
        return world

    world = run(story)

    its = ("ill", "other") if other.priority else ("ill",)
    closed = max(min(one.ended for one in world.tries_at(name, mended)) for name in its)

    def share(since: float, until: float) -> float:
        calls = [call for call in world.calls if since <= call.began < until]
        return sum(call.channel in its for call in calls) / len(calls)

    usual = share(0, broken)
    assert share(closed, closed + 4) < 0.4 * usual
    assert 0.3 * usual < share(closed + 11, closed + 19) < 0.95 * usual
    assert share(closed + 31, 65) > 0.75 * usual
