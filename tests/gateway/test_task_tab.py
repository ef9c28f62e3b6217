"""What a task owes, whatever becomes of it."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from path_scene import Heard, Scene, sim

from deeptoken import clock
from deeptoken.catalog.model import Channel, Rates
from deeptoken.errors import BadRequest, ModelNotFound, RateLimited, UpstreamError, WalletEmpty
from deeptoken.gateway.upstream import Cut
from deeptoken.ledger.postings import MINUTE_US, Checkpoint, Extend, Hold, Limit
from deeptoken.money import PicoUsd, usd
from deeptoken.providers.base import Asked, Reply
from deeptoken.providers.openai import OpenAI
from deeptoken.providers.registry import PROVIDERS, SIM
from deeptoken.wire import embeddings, images, moderations, rerank, speech
from deeptoken.wire.usage import Usage

FREE = {"prompt": PicoUsd(0), "completion": PicoUsd(0)}
BY_IMAGE = Rates(**FREE, image=PicoUsd(40_000_000_000))
BY_CHARACTER = Rates(**FREE, character=PicoUsd(15_000_000))
BY_SEARCH = Rates(**FREE, search=PicoUsd(2_000_000_000))
READS = {
    "embeddings": embeddings.read,
    "moderations": moderations.read,
    "images": images.read,
    "speech": speech.read,
    "rerank": rerank.read,
}
WORDS = " ".join(f"word{number}" for number in range(400))


class Silent(OpenAI):
    """A host that never tells what was used."""

    def reply(self, body: bytes, asked: Asked) -> Reply:
        return msgspec.structs.replace(super().reply(body, asked), usage=None, told=None, units=None)


def scene(money: str = "100", rates: Rates | None = None, **more: Any) -> Scene:
    models = {f"m/{name}": name for name in ("text", "error-503", "cut", "stall")}
    return Scene(money, models=models, rates=rates, **more)


async def ask(scene: Scene, task: str, /, model: str = "m/text", **fields: Any) -> Heard:
    return await scene.ask({"model": model, **fields}, read=READS[task], endpoint=f"/v1/{task}")


def done(scene: Scene, task: str, /, **fields: Any) -> Heard:
    return asyncio.run(ask(scene, task, **fields))


def kinds(scene: Scene) -> list[str]:
    return [type(posting).__name__ for posting in scene.ledger.asked]


def test_embeddings_are_held_at_the_bytes_of_their_texts_and_charged_by_what_the_provider_told() -> None:
    one = scene()

    heard = done(one, "embeddings", input=["one two", "three"])

    hold = one.ledger.asked[0]
    assert isinstance(hold, Hold)
    assert (hold.wanted, hold.minimum, hold.tokens) == (20_000, 20_000, 20)
    (row,) = one.ledger.rows()
    assert row.usage == Usage(prompt=3)
    assert row.charged == row.cost == 3_000
    assert not row.estimated
    assert kinds(one) == ["Hold", "Settle"]
    assert heard.finished
    assert one.ledger.held == 0


@pytest.mark.parametrize(
    ("rates", "task", "fields", "usage", "cost"),
    [
        (BY_IMAGE, "images", {"prompt": "a cat", "n": 3}, {"images": 3}, "0.12"),
        (BY_CHARACTER, "speech", {"input": "Grüße", "voice": "x"}, {"characters": 5}, "0.000075"),
        (BY_SEARCH, "rerank", {"query": "a", "documents": ["b"] * 150}, {"searches": 1}, "0.002"),
    ],
)
def test_what_is_no_token_is_charged_by_its_own_unit(
    rates: Rates, task: str, fields: dict[str, Any], usage: dict[str, int], cost: str
) -> None:
    one = scene(rates=rates)

    done(one, task, **fields)

    (row,) = one.ledger.rows()
    assert {name: getattr(row.usage, name) for name in usage} == usage
    assert row.charged == row.cost == usd(cost)
    assert not row.estimated
    assert one.ledger.balance == usd("100") - usd(cost)


def test_pictures_that_are_paid_by_their_tokens_are_charged_by_those_that_were_told() -> None:
    one = scene(
        rates=Rates(prompt=PicoUsd(5_000_000), completion=PicoUsd(0), completion_image=PicoUsd(10**7))
    )

    done(one, "images", prompt="a cat", n=2)

    (row,) = one.ledger.rows()
    assert row.usage == Usage(prompt=2, completion_image=32, images=2)
    assert row.charged == 2 * 5_000 + 32 * 10_000


def test_what_a_provider_does_not_tell_is_our_own_count_and_the_row_says_so() -> None:
    one = scene(providers={**PROVIDERS, "sim": Silent(SIM)})

    done(one, "embeddings", input=["one two three", "four"])

    (row,) = one.ledger.rows()
    assert row.usage == Usage(prompt=4)
    assert row.estimated


def test_units_that_the_request_tells_are_no_estimate() -> None:
    one = scene(rates=BY_SEARCH, providers={**PROVIDERS, "sim": Silent(SIM)})

    done(one, "rerank", query="a", documents=["b"] * 101)

    (row,) = one.ledger.rows()
    assert (row.usage, row.estimated) == (Usage(searches=2), False)


def test_tokens_that_were_sent_as_such_need_no_count() -> None:
    one = scene(providers={**PROVIDERS, "sim": Silent(SIM)})

    done(one, "embeddings", input=[[1, 2, 3], [4]])

    (row,) = one.ledger.rows()
    assert row.usage == Usage(prompt=4)


def test_speech_that_is_paid_by_tokens_nobody_tells_is_guessed_within_its_hold() -> None:
    one = scene()

    done(one, "speech", input="one two three four", voice="x")

    (row,) = one.ledger.rows()
    assert row.estimated
    assert row.usage.characters == 18
    assert 20 < row.usage.completion_audio < 40
    assert one.ledger.asked[0].wanted > row.cost  # type: ignore[union-attr]  # it is the hold


def test_speech_in_events_is_charged_by_the_usage_in_the_last_one() -> None:
    one = scene()

    heard = done(one, "speech", input="one two three", voice="x", stream_format="sse")

    (row,) = one.ledger.rows()
    assert row.usage == Usage(prompt=3, completion_audio=3, characters=13)
    assert not row.estimated
    assert heard.finished


def test_a_task_that_is_not_cheap_is_counted_and_held_once_more() -> None:
    one = scene("0.002")

    done(one, "embeddings", input=WORDS)

    first, second = (posting for posting in one.ledger.asked if isinstance(posting, Hold))
    assert first.share_ppm < second.share_ppm
    assert second.wanted == second.minimum < first.wanted
    (row,) = one.ledger.rows()
    assert row.charged == 400_000


def test_a_long_text_is_not_counted_for_its_hold() -> None:
    long = "word " * 60_000
    one = scene("0.31")

    done(one, "embeddings", input=long)

    second = [posting for posting in one.ledger.asked if isinstance(posting, Hold)][1]
    assert second.wanted == (len(long) + 4) * 1_000


@pytest.mark.parametrize(
    ("rates", "task", "fields"),
    [
        (None, "embeddings", {"input": WORDS}),
        (BY_IMAGE, "images", {"prompt": "a"}),
        (BY_CHARACTER, "speech", {"input": "a" * 100, "voice": "x"}),
        (BY_SEARCH, "rerank", {"query": "a", "documents": ["b"]}),
    ],
)
def test_what_the_wallet_cannot_pay_is_refused_and_nothing_is_held(
    rates: Rates | None, task: str, fields: dict[str, Any]
) -> None:
    one = scene("0.00005", rates=rates)

    with pytest.raises(WalletEmpty) as refused:
        done(one, task, **fields)

    assert refused.value.needed > usd("0.00005")
    assert refused.value.extra["affordable_max_tokens"] == 0
    assert (one.ledger.held, one.ledger.rows()) == (0, [])


def test_what_costs_nothing_needs_no_balance() -> None:
    one = scene("0", rates=Rates(**FREE))

    assert done(one, "moderations", input="a").finished
    (row,) = one.ledger.rows()
    assert row.charged == 0


def test_a_cap_that_a_task_may_pass_is_refused_by_its_name() -> None:
    one = scene(rates=BY_IMAGE)

    with pytest.raises(BadRequest) as refused:
        done(one, "images", prompt="a", n=2, max_cost_usd=0.05)

    assert refused.value.param == "max_cost_usd"
    assert one.ledger.held == 0
    assert done(one, "images", prompt="a", n=1, max_cost_usd=0.05).finished


def test_a_cap_counts_the_prompt_before_it_refuses() -> None:
    one = scene()

    done(one, "embeddings", input=WORDS, max_cost_usd=0.0015)

    (row,) = one.ledger.rows()
    assert row.charged == 400_000


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


@pytest.mark.parametrize(
    ("rates", "task", "fields"),
    [
        (BY_IMAGE, "embeddings", {"input": "a"}),
        (BY_CHARACTER, "rerank", {"query": "a", "documents": ["b"]}),
        (BY_SEARCH, "images", {"prompt": "a"}),
        (BY_SEARCH, "speech", {"input": "a", "voice": "x"}),
    ],
)
def test_a_model_without_a_price_for_the_unit_does_not_exist_there(
    rates: Rates, task: str, fields: dict[str, Any]
) -> None:
    one = scene(rates=rates)

    with pytest.raises(ModelNotFound) as refused:
        done(one, task, **fields)

    assert "no price" in refused.value.message
    assert one.ledger.asked == []


def test_a_model_that_is_paid_by_the_character_has_no_chats() -> None:
    one = scene(rates=BY_CHARACTER)

    with pytest.raises(ModelNotFound):
        asyncio.run(one.ask({"model": "m/text", "messages": [{"role": "user", "content": "a"}]}))


def test_a_fallback_without_a_price_for_the_unit_is_named() -> None:
    one = scene(rates=BY_IMAGE)

    with pytest.raises(ModelNotFound) as refused:
        done(one, "embeddings", input="a", models=["m/error-503"])

    assert refused.value.param == "model"


def test_tokens_of_a_minute_are_not_used_up_by_what_is_paid_by_the_character() -> None:
    limits = (Limit("tokens", MINUTE_US, 10, "tpm"),)
    one = scene(rates=BY_CHARACTER, limits=limits)

    assert done(one, "speech", input="a" * 1_000, voice="x").finished
    with pytest.raises(RateLimited):
        done(scene(limits=limits), "embeddings", input=WORDS)


def test_tasks_of_one_wallet_are_spread_over_its_channels() -> None:
    channels = tuple(sim(name, {"m/text": "text"}) for name in ("a", "b", "c"))
    one = Scene("100", channels=channels)

    for _ in range(40):
        done(one, "embeddings", input="a")

    assert {row.channel for row in one.ledger.rows()} == {"a", "b", "c"}


def test_a_channel_that_cannot_do_it_is_passed_over() -> None:
    deaf = Channel("deaf", "anthropic", "deaf", "http://127.0.0.1:1", {"m/text": "x"}, priority=9)
    one = Scene("1", channels=(deaf, sim("sim", {"m/text": "text"})))

    done(one, "embeddings", input="a")

    assert [row.channel for row in one.ledger.rows()] == ["sim"]


def test_where_nobody_can_do_it_that_is_said() -> None:
    deaf = Channel("deaf", "anthropic", "deaf", "http://127.0.0.1:1", {"m/text": "x"})
    one = Scene("1", channels=(deaf,))

    with pytest.raises(BadRequest, match="Anthropic has no embeddings"):
        done(one, "embeddings", input="a")

    assert one.ledger.held == 0


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
