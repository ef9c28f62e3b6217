"""Every channel is out: every call is told soon, and when one is well again calls succeed again."""

import pytest

from deeptoken.catalog.model import Timeouts
from routing_scene import World, at_once, run
from scripted_channels import Does, channel, fails, hangs, well

HANG_S = 8.0
QUICK = Timeouts(first_byte=HANG_S)
BROKE, MENDED = 5.0, 40.0
WAYS: dict[str, tuple[Does, float]] = {
    "connect": (fails("connect"), 1.0),
    "outage": (fails("outage"), 1.0),
    "hang": (hangs, 2 * HANG_S + 3),
    "credential": (fails("credential", status=401), 1.0),
    "misconfigured": (fails("misconfigured", status=404), 1.0),
    "told to wait 15 s": (fails("capacity", status=429, retry_after_s=15.0), 16.0),
    "told to wait 1.5 s": (fails("capacity", status=429, retry_after_s=1.5), 3.0),
    "429, told nothing": (fails("capacity", status=429), 38.0),
}
"""What all of them do, and the most that it takes until it is known that they do, or no longer do."""


def outage(way: str, count: int, seed: int) -> World:
    broken, known_s = WAYS[way]

    async def story() -> World:
        script = [(0.0, well()), (BROKE, broken), (MENDED, well())]
        names = [f"c{number}" for number in range(count)]
        world = World(
            dict.fromkeys(names, script),
            channels=[channel(name, timeout=QUICK) for name in names],
            seed=seed,
        )
        await world.traffic(12, MENDED + known_s + 6)
        return world

    return run(story)


@pytest.mark.parametrize(("count", "seed"), [(1, 1), (3, 2)])
@pytest.mark.parametrize("way", WAYS)
def test_when_all_are_out_every_call_is_told_within_two_and_a_half_seconds(
    way: str, count: int, seed: int
) -> None:
    known_s = WAYS[way][1]

    world = outage(way, count, seed)

    during = [call for call in world.calls if BROKE + known_s < call.began < MENDED - 3]
    late = [call for call in during if call.took_s > 2.5]
    assert not any(call.answered for call in during)
    assert all(call.error is not None and call.error.retry_after_s is not None for call in during)
    assert all(call.tries for call in late)
    for name in {one.channel for one in world.tries}:
        assert at_once([one for call in late for one in call.tries if one.channel == name]) <= 1
    after = [call for call in world.calls if call.began > MENDED + known_s + 3]
    assert len(after) > 15
    assert all(call.answered for call in after)
