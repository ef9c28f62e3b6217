"""What a task owes that ended before its time, and after many."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from path_scene import Scene, sim
from task_paths import BY_CHARACTER, ask, done, scene

from deeptoken import clock
from deeptoken.catalog.model import Rates
from deeptoken.errors import BadRequest, ModelNotFound, UpstreamError, WalletEmpty
from deeptoken.gateway.upstream import Cut
from deeptoken.ledger.postings import Checkpoint, Extend
from deeptoken.money import PicoUsd
from deeptoken.wire import speech
from deeptoken.wire.usage import Usage


@pytest.mark.parametrize("task", ["embeddings", "speech"])
def test_a_failed_task_is_charged_nothing_and_leaves_one_row(task: str) -> None:
    one = scene()

    with pytest.raises(UpstreamError):
        done(one, task, model="m/error-503", input="a", voice="x")

    (row,) = one.ledger.rows()
    assert (row.outcome, row.charged, row.status) == ("failed", 0, 503)
    assert one.ledger.held == 0


def test_an_answer_that_breaks_off_before_it_is_whole_is_charged_nothing() -> None:
    one = scene()

    with pytest.raises(UpstreamError):
        done(one, "embeddings", model="m/cut", input="a")

    (row,) = one.ledger.rows()
    assert (row.outcome, row.charged) == ("failed", 0)


def test_speech_that_breaks_off_is_charged_by_its_characters() -> None:
    one = scene(rates=BY_CHARACTER)

    with pytest.raises(Cut):
        done(one, "speech", model="m/cut", input="a b c d e f g", voice="x")

    (row,) = one.ledger.rows()
    assert (row.outcome, row.usage, row.estimated) == ("cut", Usage(characters=13), False)
    assert row.charged == 13 * 15_000


def test_of_speech_that_breaks_off_no_more_tokens_are_charged_than_could_be_heard() -> None:
    one = scene()

    done(one, "speech", input="a b c d e f g", voice="x")
    with pytest.raises(Cut):
        done(one, "speech", model="m/cut", input="a b c d e f g", voice="x")

    whole, cut = one.ledger.rows()
    assert (whole.outcome, cut.outcome) == ("complete", "cut")
    assert (whole.usage.completion_audio, cut.usage.completion_audio) == (20, 5)
    assert cut.usage.prompt == whole.usage.prompt
    assert cut.estimated


async def _left(one: Scene, task: str, model: str, when: str, **fields: Any) -> None:
    asking = asyncio.create_task(ask(one, task, model=model, **fields))
    await (one.ledger.holding if when == "held" else one.answering).wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


@pytest.mark.parametrize("task", ["embeddings", "speech"])
def test_a_caller_who_leaves_before_the_provider_accepted_pays_nothing(task: str) -> None:
    one = scene()

    asyncio.run(_left(one, task, "m/stall", "held", input="a", voice="x"))

    (row,) = one.ledger.rows()
    assert (row.outcome, row.charged, row.status) == ("cancelled", 0, 499)
    assert one.ledger.held == 0


def test_a_caller_who_leaves_while_it_is_spoken_pays_the_characters() -> None:
    slow = sim("sim", {"m/text": "text"}, options={"sim": {"pace": 5}})
    one = Scene("1", channels=(slow,), rates=BY_CHARACTER)

    asyncio.run(_left(one, "speech", "m/text", "answering", input="a b c", voice="x"))

    (row,) = one.ledger.rows()
    assert (row.outcome, row.usage) == ("cancelled", Usage(characters=5))
    assert row.charged == 5 * 15_000
    assert one.ledger.held == 0


def test_a_long_speech_is_checkpointed_at_what_it_costs() -> None:
    one = scene(rates=BY_CHARACTER)

    heard = asyncio.run(
        one.ask(
            {"model": "m/text", "input": "a b c", "voice": "x"},
            read=speech.read,
            began=clock.monotonic() - 15,
        )
    )

    assert [posting.used for posting in one.ledger.asked if isinstance(posting, Checkpoint)] == [75_000]
    assert not any(isinstance(posting, Extend) for posting in one.ledger.asked)
    assert heard.finished


texts = st.lists(st.text("ab é", min_size=1, max_size=40), min_size=1, max_size=4)
calls = st.lists(
    st.tuples(
        st.sampled_from(["text", "error-503", "cut"]),
        st.sampled_from(["embeddings", "images", "speech", "rerank"]),
        texts,
    ),
    min_size=1,
    max_size=6,
)
any_rate = st.none() | st.integers(0, 10**9).map(PicoUsd)
any_rates = st.builds(
    Rates,
    prompt=st.integers(0, 10**7).map(PicoUsd),
    completion=st.integers(0, 10**7).map(PicoUsd),
    completion_image=any_rate,
    image=any_rate,
    character=any_rate,
    search=any_rate,
)


@settings(deadline=None, max_examples=25)
@given(calls, any_rates, st.integers(0, 10**8))
def test_no_history_of_tasks_overspends_a_wallet_or_leaves_a_hold(
    history: list[tuple[str, str, list[str]]], rates: Rates, money: int
) -> None:
    one = scene(f"{money / 10**9:.9f}", rates=rates)

    asyncio.run(_history(one, history))

    rows = one.ledger.rows()
    assert one.ledger.held == 0
    assert one.ledger.balance >= 0
    assert sum(row.charged for row in rows) + one.ledger.balance == money
    assert all(row.charged <= row.cost for row in rows)
    assert all(row.charged == 0 for row in rows if row.outcome == "failed")


async def _history(one: Scene, history: list[tuple[str, str, list[str]]]) -> None:
    for model, task, told in history:
        fields: dict[str, dict[str, Any]] = {
            "embeddings": {"input": told},
            "images": {"prompt": told[0], "n": len(told)},
            "speech": {"input": " ".join(told), "voice": "x"},
            "rerank": {"query": told[0], "documents": told},
        }
        try:
            await ask(one, task, model=f"m/{model}", **fields[task])
        except (BadRequest, ModelNotFound, UpstreamError, WalletEmpty, Cut):
            continue
