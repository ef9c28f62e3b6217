"""What a call owes, whatever becomes of it."""

import asyncio

import pytest
from path_scene import Heard, Scene, chat, sim

from deeptoken.catalog.model import Channel, Rates
from deeptoken.errors import BadRequest, BudgetExceeded, RateLimited, UpstreamError, WalletEmpty
from deeptoken.gateway.upstream import Cut
from deeptoken.ledger.postings import DAY_US, MINUTE_US, Extend, Limit
from deeptoken.money import PicoUsd, usd
from upstreams import ScriptedServer

WORDS = " ".join(f"word{number}" for number in range(3000))


def test_a_cheap_call_is_held_once_and_settled_with_what_the_provider_counted() -> None:
    scene = Scene("100")

    heard = asyncio.run(scene.ask(chat("one two three")))

    assert heard.finished
    (row,) = scene.ledger.rows()
    assert (row.usage.prompt, row.usage.completion, row.outcome) == (3, 3, "complete")
    assert row.charged == row.cost == 3 * 1_000 + 3 * 2_000
    assert scene.ledger.balance == usd("100") - row.charged
    assert scene.ledger.held == 0
    assert [type(posting).__name__ for posting in scene.ledger.asked] == ["Hold", "Settle"]


def test_a_dear_call_counts_the_prompt_and_grows_its_hold_while_it_streams() -> None:
    scene = Scene("0.05")

    heard = asyncio.run(scene.ask(chat(WORDS, stream=True)))

    kinds = [type(posting).__name__ for posting in scene.ledger.asked]
    assert kinds[:2] == ["Hold", "Hold"]
    assert "Extend" in kinds
    assert heard.text == WORDS
    (row,) = scene.ledger.rows()
    assert row.outcome == "complete"
    assert row.charged == row.cost == 3000 * 1_000 + 3000 * 2_000
    assert scene.ledger.held == 0


def test_a_wallet_that_two_answers_empty_ends_one_of_them_within_its_hold() -> None:
    async def two_at_once() -> tuple[Scene, list[Heard]]:
        paced = sim("sim", {"m/echo": "echo"}, options={"sim": {"delay": 0.05, "pace": 20_000}})
        scene = Scene("0.0175", channels=(paced,))
        return scene, await asyncio.gather(*(scene.ask(chat(WORDS, stream=True)) for _ in range(2)))

    scene, heard = asyncio.run(two_at_once())

    rows = scene.ledger.rows()
    dry = next(row for row in rows if row.outcome == "dry")
    cut = next(one for one in heard if one.bill is not None and one.bill.dry)
    assert cut.bill is not None
    assert cut.bill.dry == "wallet_empty"
    assert cut.finished
    assert dry.estimated
    assert 0 < len(cut.text) < len(WORDS)
    assert dry.cost - dry.charged <= dry.cost // 4
    assert sum(row.charged for row in rows) + scene.ledger.balance == usd("0.0175")
    assert scene.ledger.balance >= 0
    assert scene.ledger.held == 0


def test_an_answer_that_a_limit_of_tokens_ends_says_that_it_was_the_rate() -> None:
    scene = Scene("100", limits=(Limit("tokens", MINUTE_US, 10_000, "tpm"),))

    heard = asyncio.run(scene.ask(chat(WORDS, stream=True)))

    assert heard.bill is not None
    assert heard.bill.dry == "rate_limit_exceeded"
    assert 0 < len(heard.text) < len(WORDS)


def test_what_the_balance_affords_is_the_limit_that_goes_upstream() -> None:
    scene = Scene("0.001")

    asyncio.run(scene.ask(chat("a b c", "m/text")))

    assert scene.call is not None
    assert scene.call.trace.limit is not None
    assert 16 <= scene.call.trace.limit <= 500


def test_a_wallet_that_cannot_pay_the_prompt_and_a_few_words_is_told_what_it_takes() -> None:
    scene = Scene("0.00001")

    with pytest.raises(WalletEmpty) as refused:
        asyncio.run(scene.ask(chat("a b c")))

    assert not refused.value.in_flight
    assert refused.value.needed > usd("0.00001")
    assert scene.ledger.held == 0
    assert scene.ledger.rows() == []


def test_money_that_other_calls_hold_is_a_refusal_that_passes() -> None:
    async def two_at_once() -> None:
        scene = Scene("0.0001", models={"m/slow": "slow", "m/echo": "echo"})
        first = asyncio.create_task(scene.ask(chat("a", "m/slow", max_tokens=40)))
        await scene.ledger.holding.wait()
        with pytest.raises(WalletEmpty) as refused:
            await scene.ask(chat("a b c"))
        assert refused.value.in_flight
        assert refused.value.retry_after_s is not None
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert scene.ledger.held == 0

    asyncio.run(two_at_once())


def test_what_costs_nothing_needs_no_balance() -> None:
    scene = Scene("0", rates=Rates(prompt=PicoUsd(0), completion=PicoUsd(0)))

    heard = asyncio.run(scene.ask(chat("free words")))

    assert heard.finished
    (row,) = scene.ledger.rows()
    assert row.charged == 0
    assert row.usage.completion == 2


def test_a_failed_call_is_charged_nothing_and_leaves_one_row() -> None:
    scene = Scene("1", models={"m/bad": "error-503"})

    with pytest.raises(UpstreamError):
        asyncio.run(scene.ask(chat("a", "m/bad")))

    (row,) = scene.ledger.rows()
    assert (row.outcome, row.charged, row.status) == ("failed", 0, 503)
    assert scene.ledger.balance == usd("1")
    assert scene.ledger.held == 0


def test_a_stream_that_breaks_is_charged_for_what_was_delivered() -> None:
    scene = Scene("1", models={"m/cut": "cut"})

    with pytest.raises(Cut):
        asyncio.run(scene.ask(chat("one two three", "m/cut", stream=True)))

    (row,) = scene.ledger.rows()
    assert row.outcome == "cut"
    assert row.estimated
    assert row.usage.prompt > 0
    assert row.usage.completion > 0
    assert row.charged == row.cost > 0


def test_a_caller_who_leaves_before_the_provider_accepted_pays_nothing() -> None:
    async def leave() -> Scene:
        scene = Scene("1", models={"m/stall": "stall"})
        task = asyncio.create_task(scene.ask(chat("a", "m/stall", stream=True)))
        await scene.ledger.holding.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return scene

    scene = asyncio.run(leave())

    (row,) = scene.ledger.rows()
    assert (row.outcome, row.charged, row.status) == ("cancelled", 0, 499)
    assert scene.ledger.held == 0


def test_a_caller_who_leaves_after_that_pays_the_prompt_and_what_was_generated() -> None:
    async def leave() -> Scene:
        scene = Scene(
            "1", channels=(sim("sim", {"m/slow": "slow"}, options={"sim": {"delay": 0.01, "pace": 5}}),)
        )
        task = asyncio.create_task(scene.ask(chat("one two three", "m/slow", stream=True)))
        await scene.answering.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return scene

    scene = asyncio.run(leave())

    (row,) = scene.ledger.rows()
    assert row.outcome == "cancelled"
    assert row.usage.prompt > 0
    assert 0 < row.charged < 100 * 2_000
    assert scene.ledger.held == 0


def test_a_whole_answer_that_needs_a_growing_hold_is_put_together_here() -> None:
    scene = Scene("0.05")

    heard = asyncio.run(scene.ask(chat(WORDS)))

    assert heard.begun is not None
    assert heard.begun.reply is None
    assert any(isinstance(posting, Extend) for posting in scene.ledger.asked)
    assert heard.text == WORDS
    (row,) = scene.ledger.rows()
    assert not row.call.stream


def test_a_ceiling_clamps_and_refuses_as_a_wallet_does() -> None:
    limits = (Limit("usd", DAY_US, usd("0.00002"), "1d"),)
    scene = Scene("100", limits=limits)

    with pytest.raises(BudgetExceeded) as refused:
        asyncio.run(scene.ask(chat("a b c d")))

    assert "1d" in refused.value.message
    assert scene.ledger.held == 0


def test_requests_over_the_minutes_limit_are_told_when_the_next_one_passes() -> None:
    scene = Scene("100", limits=(Limit("requests", MINUTE_US, 1, "rpm"),))
    asyncio.run(scene.ask(chat("a")))

    with pytest.raises(RateLimited) as refused:
        asyncio.run(scene.ask(chat("a")))

    assert refused.value.retry_after_s is not None
    assert 0 < refused.value.retry_after_s <= 60


def test_a_cap_on_the_bill_cuts_the_answer_and_says_so() -> None:
    scene = Scene("100")

    heard = asyncio.run(scene.ask(chat(WORDS, stream=True, max_cost_usd=0.012)))

    (row,) = scene.ledger.rows()
    assert row.charged <= usd("0.012")
    assert row.cost <= usd("0.012") * 5 // 4
    assert 0 < len(heard.text) < len(WORDS)


@pytest.mark.parametrize("cap", [0, -1, "1", 1e-12])
def test_a_cap_that_is_no_amount_is_refused(cap: object) -> None:
    with pytest.raises(BadRequest) as refused:
        asyncio.run(Scene("1").ask(chat("a", max_cost_usd=cap)))

    assert refused.value.param == "max_cost_usd"


def test_a_cap_below_the_prompt_is_refused_and_nothing_is_held() -> None:
    scene = Scene("1")

    with pytest.raises(BadRequest):
        asyncio.run(scene.ask(chat("a b c", max_cost_usd=0.000001)))

    assert scene.ledger.held == 0
    assert scene.ledger.rows() == []


def test_a_cap_holds_no_more_of_the_wallet_than_the_call_without_it_would() -> None:
    def first_hold(**fields: object) -> int:
        scene = Scene("1", models={"m/stall": "stall"})

        async def hold() -> int:
            task = asyncio.create_task(scene.ask(chat("a", "m/stall", max_tokens=1_000_000, **fields)))
            await scene.ledger.holding.wait()
            held = scene.ledger.held
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return held

        return asyncio.run(hold())

    assert first_hold(max_cost_usd=1.5) == first_hold() < usd("0.01")


def test_a_whole_answer_that_breaks_while_it_is_put_together_costs_nothing() -> None:
    scene = Scene("0.05", models={"m/cut": "cut"})

    with pytest.raises(Cut):
        asyncio.run(scene.ask(chat("one two three", "m/cut")))

    (row,) = scene.ledger.rows()
    assert (row.outcome, row.charged) == ("failed", 0)


def test_what_our_own_stop_cuts_short_is_the_operators() -> None:
    async def stop() -> Scene:
        paced = sim("sim", {"m/slow": "slow"}, options={"sim": {"delay": 0.01, "pace": 5}})
        scene = Scene("1", channels=(paced,))
        task = asyncio.create_task(scene.ask(chat("one", "m/slow", stream=True), left=False))
        await scene.answering.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return scene

    scene = asyncio.run(stop())

    (row,) = scene.ledger.rows()
    assert (row.outcome, row.charged, row.status, row.code) == ("orphan", 0, 503, "overloaded")
    assert scene.ledger.held == 0


def test_an_attempt_that_failed_before_another_does_not_count_as_begun() -> None:
    async def leave() -> Scene:
        async with ScriptedServer(head_and_gone) as server:
            first = Channel("a", "openai", "a", server.url("/v1"), {"m": "m"}, secret="sk", priority=1)
            scene = Scene("1", channels=(first, sim("b", {"m": "stall"})))
            task = asyncio.create_task(scene.ask(chat("a", "m", stream=True)))
            await scene.ledger.holding.wait()
            # Nothing tells of a failed attempt but its trace.
            while scene.call is None or not scene.call.trace.failures:  # noqa: ASYNC110
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return scene

    scene = asyncio.run(leave())

    (row,) = scene.ledger.rows()
    assert (row.outcome, row.charged) == ("cancelled", 0)


def test_a_ceiling_that_other_calls_hold_is_a_429_that_passes() -> None:
    limits = (Limit("usd", DAY_US, usd("0.00015"), "1d"),)

    async def two_at_once() -> None:
        scene = Scene("100", models={"m/stall": "stall", "m/echo": "echo"}, limits=limits)
        first = asyncio.create_task(scene.ask(chat("a", "m/stall", max_tokens=60)))
        await scene.ledger.holding.wait()
        with pytest.raises(BudgetExceeded) as refused:
            await scene.ask(chat("a b c", max_tokens=60))
        assert refused.value.retry_after_s == 1
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)

    asyncio.run(two_at_once())


async def head_and_gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
    await writer.drain()
