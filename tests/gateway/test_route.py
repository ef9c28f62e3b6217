"""From a plan to an answer: who is asked after whom, who waits for what, and that all is given back."""

import asyncio

import pytest
from health_scene import fail

from deeptoken.errors import (
    BadRequest,
    ModelNotFound,
    NoChannel,
    Overloaded,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
)
from deeptoken.gateway.retries import FREE_MAX
from deeptoken.providers.base import Cause
from routing_scene import Call, Said, World, asked, break_down, run, together
from scripted_channels import Does, Script, breaks, channel, fails, hangs, unable, well
from virtual_loop import loop, now, settled

OUT = fails("outage")
LIMITED = fails("capacity", status=429, retry_after_s=1.0)
TWO = {"m": ["a", "b"], "n": ["b", "c"]}
BOTH = Said(("m", "n"))


def ordered(**scripts: Script | Does) -> World:
    """A world whose channels are asked in this order."""
    return World(scripts, channels=[channel(name, priority=-at) for at, name in enumerate(scripts)])


# After a failure.


def test_a_retry_goes_to_the_next_one_and_the_last_one_decides() -> None:
    async def story() -> Call:
        return await ordered(a=OUT, b=hangs, c=fails("misconfigured", status=404)).call()

    call = run(story)

    assert asked(call) == ["a", "b", "c"]
    assert isinstance(call.error, ModelNotFound)
    assert call.error.retry_after_s is None


def test_what_another_provider_cannot_do_the_next_one_may() -> None:
    async def story() -> tuple[Call, Call]:
        return await ordered(a=unable, b=well()).call(), await ordered(a=unable, b=unable).call()

    served, refused = run(story)

    assert (asked(served), served.channel) == (["a", "b"], "b")
    assert isinstance(refused.error, BadRequest)
    assert refused.error.param == "logprobs"


@pytest.mark.parametrize(("code", "models"), [("context_length_exceeded", "mn"), ("invalid_value", "m")])
def test_what_is_too_long_for_a_model_moves_on_to_the_next_and_nothing_else_does(
    code: str, models: str
) -> None:
    async def story() -> Call:
        said = Said(("m", "n"), wrong=code)
        return await World(dict.fromkeys("abc", well()), serves=TWO).call(said)

    call = run(story)

    assert [one.model for one in call.tries] == list(models)
    assert isinstance(call.error, UpstreamRefused)


def test_an_only_channel_that_broke_down_is_asked_once_more() -> None:
    async def story() -> Call:
        return await World({"a": [(0.0, OUT), (0.1, well())]}).call()

    call = run(story)

    assert asked(call) == ["a", "a"]
    assert call.answered
    pause_s = call.tries[1].began - call.tries[0].ended
    assert 0.1 <= pause_s <= 0.4


@pytest.mark.parametrize("cause", ["slow", "credential", "misconfigured", "caller"])
def test_what_asking_again_does_not_better_is_not_asked_again(cause: Cause) -> None:
    async def story() -> Call:
        return await World({"a": fails(cause)}).call()

    assert asked(run(story)) == ["a"]


def test_after_a_429_the_one_that_cools_down_is_asked_again_and_none_that_failed_otherwise() -> None:
    async def story() -> Call:
        return await ordered(a=OUT, b=LIMITED).call()

    call = run(story)

    assert asked(call) == ["a", "b", "b"]
    assert 1.0 <= call.tries[2].began - call.tries[1].ended <= 1.1
    assert isinstance(call.error, UpstreamRateLimited)


def test_one_that_cools_down_and_cannot_do_it_either_leaves_the_429_to_be_told() -> None:
    async def story() -> Call:
        world = ordered(a=fails("capacity", 0.5, status=429, retry_after_s=9.0), b=unable)
        call = asyncio.create_task(world.call())
        await asyncio.sleep(0.2)
        fail(world.means.health, "capacity", "b", now=loop().time())
        return await call

    call = run(story)

    assert asked(call) == ["a", "b"]
    assert isinstance(call.error, UpstreamRateLimited)
    assert call.error.retry_after_s == 9.0


@pytest.mark.parametrize("wait_s", [3.0, 60.0])
def test_a_longer_wait_than_two_seconds_is_told_not_waited(wait_s: float) -> None:
    async def story() -> Call:
        return await World({"a": fails("capacity", status=429, retry_after_s=wait_s)}).call()

    call = run(story)

    assert call.took_s < 0.1
    assert call.error is not None
    assert call.error.retry_after_s == wait_s


def test_a_call_waits_two_seconds_in_all() -> None:
    async def story() -> Call:
        world = World({"a": fails("capacity", status=429, retry_after_s=1.5)})
        await world.call(Said(leaves_s=0.1))
        return await world.call()

    call = run(story)

    assert len(call.tries) == 1
    assert 1.0 < call.took_s < 2.1


# What a retry costs.


def spent(world: World, model: str = "m") -> None:
    """No retry is left of the model."""
    while world.means.retries.may_retry(model, loop().time()):
        pass


def test_without_a_retry_left_the_first_failure_is_told() -> None:
    async def story() -> Call:
        world = ordered(a=OUT, b=well())
        spent(world)
        return await world.call()

    call = run(story)

    assert asked(call) == ["a"]
    assert isinstance(call.error, UpstreamError)


def test_a_request_that_never_left_is_no_retry() -> None:
    async def story() -> Call:
        world = ordered(a=fails("connect"), b=well())
        spent(world)
        return await world.call()

    assert run(story).channel == "b"


def test_a_retry_that_cannot_be_made_costs_none() -> None:
    async def story() -> World:
        world = ordered(a=fails("outage", 0.0), b=well(), c=well(), d=OUT)
        calls = [asyncio.create_task(world.call()) for _ in range(int(FREE_MAX))]
        await asyncio.sleep(0)
        break_down(world, "b", "c")
        await asyncio.gather(*calls)
        return world

    world = run(story)

    assert all(asked(call)[:2] == ["a", "d"] for call in world.calls)


def test_the_model_that_was_asked_for_pays_whoever_answers() -> None:
    async def story() -> tuple[Call, Call]:
        world = World({"a": OUT, "b": OUT, "c": well()}, serves=TWO, channels=[channel("b", priority=1)])
        break_down(world, "a", "b")
        spent(world, "n")
        served = await world.call(BOTH)
        spent(world, "m")
        return served, await world.call(BOTH)

    served, refused = run(story)

    assert (asked(served), served.channel) == (["b", "c"], "c")
    assert (asked(refused), refused.answered) == (["b"], False)


# Time.


@pytest.mark.parametrize(("open_", "waited_s"), [(False, 10.0), (True, 24.5)])
def test_patience_ends_only_where_another_can_be_asked(open_: bool, waited_s: float) -> None:
    async def story() -> Call:
        world = ordered(a=fails("outage", 0.5), b=hangs, c=well())
        world.means.health.measured("b", "m", ttft_s=0.2, now=loop().time(), whole=True)
        call = asyncio.create_task(world.call(Said(deadline_s=25.0)))
        await asyncio.sleep(0.2)
        if open_:
            break_down(world, "c")
        return await call

    call = run(story)

    assert call.tries[1].ended - call.tries[1].began == pytest.approx(waited_s)
    assert call.answered == (not open_)


def test_the_last_one_gets_all_that_is_left() -> None:
    async def story() -> Call:
        world = ordered(a=[(0.0, well()), (5.0, hangs)], b=[(0.0, well()), (5.0, well(first_s=25.0))])
        await world.call()
        break_down(world, "a")
        await world.call()
        await asyncio.sleep(10)
        world.means.health.clear("a")
        return await world.call(Said(deadline_s=40.0))

    call = run(story)

    assert [one.patience_s for one in call.tries] == [10.0, None]
    assert (call.channel, round(call.took_s - 0.3)) == ("b", 35)


def test_a_deadline_of_the_callers_own_counts_against_nobody_and_leaves_no_time_for_others() -> None:
    async def story() -> World:
        world = ordered(a=hangs, b=well())
        for _ in range(10):
            await world.call(Said(deadline_s=0.3))
        return world

    world = run(story)

    assert {tuple(asked(call)) for call in world.calls} == {("a",)}
    assert all(isinstance(call.error, UpstreamTimeout) and call.took_s < 0.31 for call in world.calls)
    assert not world.means.health.troubled


# Places.


def test_a_full_channel_is_passed_over_also_after_a_failure() -> None:
    async def story() -> Call:
        world = World(
            {"a": OUT, "b": well(rest_s=9.0), "c": well()},
            channels=[
                channel("a", priority=2),
                channel("b", priority=1, max_concurrency=1),
                channel("c"),
            ],
            serves={"m": ["a", "b", "c"], "n": ["b"]},
        )
        other = asyncio.create_task(world.call(Said(("n",))))
        await settled()
        call = await world.call()
        await other
        return call

    assert asked(run(story)) == ["a", "c"]


@pytest.mark.parametrize("does", [well(), OUT, hangs, unable, breaks(), fails("caller", status=400)])
@pytest.mark.parametrize("leaves_s", [None, 0.02])
def test_however_a_call_ends_its_place_is_free_and_its_probe_is_given_back(
    does: Does, leaves_s: float | None
) -> None:
    async def story() -> World:
        world = World({"a": does}, channels=[channel("a", max_concurrency=1)])
        break_down(world, "a")
        await world.call(Said(leaves_s=leaves_s, deadline_s=40.0))
        return world

    world = run(story)

    assert world.means.queue.pace.busy("a") == 0
    assert not world.means.health.standing("a", "m", 5_000.0).probing
    assert not world.means.hoping


def test_a_call_that_waits_goes_to_the_channel_whose_place_it_got() -> None:
    async def story() -> tuple[list[Call], float]:
        world = World(
            {"a": well(rest_s=60.0), "b": well(rest_s=1.0)},
            channels=[channel("a", priority=1, max_concurrency=1), channel("b", max_concurrency=1)],
        )
        calls = await together(world, [Said(), Said(), Said()])
        return calls, now()

    calls, _ = run(story)

    assert [call.channel for call in calls] == ["a", "b", "b"]
    assert calls[2].tries[0].began == pytest.approx(1.2)


def test_a_channel_that_breaks_down_while_a_call_waits_for_it_is_not_asked() -> None:
    async def story() -> World:
        world = World({"a": fails("outage", 1.0), "b": OUT}, channels=[channel("a", max_concurrency=5)])
        break_down(world, "b")
        await together(world, [Said()] * 9)
        return world

    world = run(story)

    waited = world.calls[5:]
    assert all(isinstance(call.error, NoChannel | UpstreamError | Overloaded) for call in waited)
    assert sum(bool(call.tries) for call in waited) <= 1


# The line.


def test_all_rounds_in_the_line_together_last_as_long_as_one_may() -> None:
    async def story() -> Call:
        both = [channel(name, max_concurrency=1) for name in "ab"]
        world = World({"a": hangs, "b": hangs}, channels=both, serves={"m": "ab", "n": "a", "o": "b"})
        for said in (Said(("n",), leaves_s=4.0), Said(("o",), leaves_s=60.0)):
            asyncio.create_task(world.call(said))  # noqa: RUF006  # they end with the loop
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(world.call())
        await asyncio.sleep(3.8)
        # A place on it comes, and it may not be asked.
        break_down(world, "a")
        return await waiting

    call = run(story)

    assert isinstance(call.error, Overloaded)
    assert call.took_s == pytest.approx(5.0)


# What a channel's minute counts.


@pytest.mark.parametrize(
    ("first", "counts"),
    [(fails("connect"), False), (unable, False), (OUT, True)],
    ids=["connect", "unable", "out"],
)
def test_only_what_reached_a_channel_counts_in_its_minute(first: Does, counts: bool) -> None:
    async def story() -> bool:
        limited = channel("a", rpm=1, tpm=10_000, priority=1)
        world = World({"a": first, "b": well()}, channels=[limited, channel("b")])
        assert (await world.call()).channel == "b"
        return world.means.queue.full(limited, 1, loop().time())

    assert run(story) is counts


def test_a_call_that_its_wallet_refuses_counts_in_no_minute() -> None:
    async def story() -> Call:
        world = World({"a": well()}, channels=[channel("a", rpm=1, tpm=1_000)])
        for _ in range(3):
            await world.refused()
        return await world.call()

    call = run(story)

    assert call.answered
    assert call.tries[0].began == 0
