"""What a task owes, whatever becomes of it."""

import asyncio
from typing import Any

import pytest
from path_scene import Scene, sim
from task_paths import BY_CHARACTER, BY_IMAGE, BY_SEARCH, FREE, WORDS, Silent, done, kinds, scene

from deeptoken.catalog.model import Channel, Rates
from deeptoken.errors import BadRequest, ModelNotFound, RateLimited, WalletEmpty
from deeptoken.ledger.postings import MINUTE_US, Hold, Limit
from deeptoken.money import PicoUsd, usd
from deeptoken.providers.registry import PROVIDERS, SIM
from deeptoken.wire.usage import Usage


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
