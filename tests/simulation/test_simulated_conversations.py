"""A conversation stays with the channel that has its prompt in its cache, as long as that is well."""

import asyncio

import pytest

from routing_scene import Call, Said, World, run
from scripted_channels import fails, well

CONVERSATIONS, TURNS = 60, 14
BROKE, MENDED = 20.0, 34.0
TURN_S = 5.0


@pytest.mark.parametrize("seed", [1, 2])
def test_a_conversation_stays_with_its_channel_moves_when_that_breaks_and_stays_there(seed: int) -> None:
    async def story() -> list[list[Call]]:
        world = World(
            {"a": well(), "b": well(), "c": [(0.0, well()), (BROKE, fails("outage")), (MENDED, well())]},
            seed=seed,
        )

        async def talk(number: int) -> list[Call]:
            await asyncio.sleep(number * TURN_S / CONVERSATIONS)
            calls = []
            for _ in range(TURNS):
                calls.append(await world.call(Said(conversation=f"talk {number}")))
                await asyncio.sleep(TURN_S - calls[-1].took_s)
            return calls

        return await asyncio.gather(*(talk(number) for number in range(CONVERSATIONS)))

    talks = run(story)

    assert all(call.answered for calls in talks for call in calls)
    first = [calls[0].channel for calls in talks]
    assert all(first.count(name) > 8 for name in "abc")
    for calls in talks:
        before = {call.channel for call in calls if call.began < BROKE - 1}
        after = {call.channel for call in calls if call.began > BROKE + TURN_S}
        assert len(before) == len(after) == 1
        assert after == before if before != {"c"} else after <= {"a", "b"}
