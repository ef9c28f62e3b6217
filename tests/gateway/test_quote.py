"""What a quote says: figures in their order, limits as the call itself would meet them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_scene import channel, chat, found, model
from quote_scene import PLENTY, RATES, limit, quoted, wallet

from deeptoken.catalog import tokens
from deeptoken.catalog.model import Rates, Tier
from deeptoken.catalog.price import charge
from deeptoken.gateway.quote import RECENT_MIN, TYPICAL, Costs
from deeptoken.ledger.postings import Left
from deeptoken.money import PicoUsd
from deeptoken.wire.usage import Usage

DEAR = Rates(prompt=PicoUsd(10_000_000), completion=PicoUsd(20_000_000))

# Figures.


def test_the_prompt_is_counted_and_the_figures_are_made_of_it() -> None:
    said = chat("one two three", max_tokens=100)
    prompt = tokens.count(said, "m")

    told = quoted(said=said)

    assert told["prompt_tokens"] == prompt
    assert told["max_completion_tokens"] == 100
    assert told["cost"] == {
        "minimum": prompt + 2,
        "expected": prompt + 200,
        "maximum": 1.25 * prompt + 200,
    }


def test_the_multiplier_of_the_group_is_in_every_figure() -> None:
    said = chat("one two three", max_tokens=100)

    told, half = quoted(said=said), quoted(said=said, ratio_ppm=500_000)

    assert {name: 2 * cost for name, cost in half["cost"].items()} == pytest.approx(told["cost"])
    assert half["candidates"][0]["prices"]["prompt"] == "0.5"
    assert half["candidates"][0]["prices"]["ratios"]["group_ratio"] == "0.5"
    assert half["candidates"][0]["prices"]["ratios"]["completion_ratio"] == "2"


@pytest.mark.parametrize(
    ("recent", "completion"),
    [
        ((), TYPICAL),
        ((40,) * (RECENT_MIN - 1), TYPICAL),
        ((40,) * RECENT_MIN, 40),
        ((9_000, 10, 20, 30, 40), 30),
        ((7,) * 32 + (5_000,) * 100, 7),
        ((0,) * 9, 1),
        ((90_000,) * 9, 2_000),
    ],
)
def test_an_expectation_is_the_median_of_enough_last_answers_within_what_the_call_may_have(
    recent: tuple[int, ...], completion: int
) -> None:
    served = found(channel("a"), at=model(rates=RATES, max_output=2_000))

    told = quoted(served, recent=recent)

    assert told["cost"]["expected"] == told["prompt_tokens"] + 2 * completion


def test_several_choices_cost_several_answers_and_one_prompt() -> None:
    told = quoted(said=chat(max_tokens=10, n=3))

    assert told["max_completion_tokens"] == 10
    assert told["cost"]["maximum"] == told["prompt_tokens"] * 1.25 + 3 * 10 * 2


@pytest.mark.parametrize(
    ("facts", "said", "longest"),
    [
        ({}, {}, 131_072),
        ({"max_output": 500}, {}, 500),
        ({"max_output": 500}, {"max_completion_tokens": 40, "max_tokens": 9}, 40),
        ({"max_output": 500}, {"max_tokens": 900}, 500),
        ({"context": 100}, {}, "the context"),
        ({"context": 5}, {}, 1),
    ],
)
def test_an_answer_is_as_long_as_caller_model_and_context_let_it(
    facts: dict[str, Any], said: dict[str, int], longest: int | str
) -> None:
    told = quoted(found(channel("a"), at=model(rates=RATES, **facts)), said=chat("Hello", **said))

    expected = 100 - told["prompt_tokens"] if longest == "the context" else longest
    assert told["max_completion_tokens"] == expected


def test_of_several_models_the_cheapest_is_the_minimum_the_first_is_expected_the_dearest_the_maximum() -> (
    None
):
    one, cheap, dear = (
        found(channel("a"), at=model("one", rates=RATES)),
        found(channel("a"), at=model("cheap", rates=Rates(prompt=PicoUsd(1_000), completion=PicoUsd(1_000)))),
        found(channel("a"), at=model("dear", rates=DEAR)),
    )

    told = quoted(one, cheap, dear, said=chat(max_tokens=10))

    prompt = told["prompt_tokens"]
    assert told["model"] == "one"
    assert told["cost"] == {
        "minimum": pytest.approx((prompt + 1) / 1_000),
        "expected": prompt + 20,
        "maximum": 10 * (prompt + 20),
    }


amounts = st.integers(0, 40_000)
rates = st.builds(
    Rates,
    prompt=amounts.map(PicoUsd),
    completion=amounts.map(PicoUsd),
    cached=st.none() | amounts.map(PicoUsd),
    cache_write=st.none() | amounts.map(PicoUsd),
    reasoning=st.none() | amounts.map(PicoUsd),
    request=st.sampled_from([0, 0, 10**9]).map(PicoUsd),
)
tiers = st.lists(st.builds(Tier, above=st.integers(0, 30), rates=rates), max_size=2)


@given(
    st.lists(st.tuples(rates, tiers, st.sampled_from([None, 20, 64, 4_096])), min_size=1, max_size=3),
    st.lists(st.integers(0, 10_000), max_size=8),
    st.sampled_from([None, 1, 17, 700]),
    st.sampled_from([None, 1, 3]),
    st.integers(0, 10**5) | st.integers(0, 10**8),
    st.sampled_from([None, 10**6, 10**9]),
    st.sampled_from([1_000_000, 333_333]),
)
def test_the_figures_stand_in_their_order_and_no_answer_within_the_limit_costs_more_than_the_maximum(
    models: list[tuple[Rates, list[Tier], int | None]],
    recent: list[int],
    most: int | None,
    choices: int | None,
    balance: int,
    cap: int | None,
    ratio_ppm: int,
) -> None:
    served = [
        model(f"m{number}", rates=rates, tiers=tuple(tiers), max_output=most, context=context)
        for number, (rates, tiers, context) in enumerate(models)
    ]
    said = chat(max_tokens=most, n=choices)
    short = balance < Costs(said, tuple(served), ratio_ppm).needed

    told = quoted(
        *(found(channel("a"), at=one) for one in served),
        said=said,
        recent=recent,
        left=[wallet(balance, refuses=short)],
        cap=cap,
        ratio_ppm=ratio_ppm,
    )

    cost, prompt = told["cost"], told["prompt_tokens"]
    longest = (choices or 1) * told["max_completion_tokens"]
    assert cost["minimum"] <= cost["expected"] <= cost["maximum"]
    for one in served:
        for usage in (Usage(prompt=prompt, completion=longest), Usage(cache_write=prompt, reasoning=longest)):
            assert charge(one.price, usage, ratio_ppm) <= round(cost["maximum"] * 1_000)
    for bound in told["limits"]:
        assert bound["effect"] == "refuses" or cost["maximum"] <= bound["available"]


# Limits.


def test_a_wallet_that_pays_all_of_it_does_nothing_and_is_shown() -> None:
    told = quoted(left=[wallet(5_000_000_000, 4_999_999_500)], said=chat(max_tokens=5))

    assert told["limits"] == [
        {
            "name": "wallet",
            "unit": "credits",
            "left": 5_000_000,
            "available": 4_999_999.5,
            "effect": "none",
        }
    ]


def test_a_wallet_that_pays_a_part_of_it_clamps_the_answer_and_the_maximum() -> None:
    said = chat(max_tokens=1_000)
    prompt = tokens.count(said, "m")
    afforded = int(1.25 * prompt * 1_000) + 1 + 40 * 2_000

    told = quoted(said=said, left=[wallet(afforded)], recent=[500] * 9)

    assert limit(told, "wallet")["effect"] == "clamps"
    assert limit(told, "wallet")["max_completion_tokens"] == told["max_completion_tokens"] == 40
    assert told["cost"]["maximum"] == 1.25 * prompt + 80
    assert told["cost"]["expected"] == prompt + 80


def test_what_other_calls_hold_clamps_nothing() -> None:
    told = quoted(said=chat(max_tokens=1_000), left=[wallet(PLENTY, 500_000)])

    assert (limit(told, "wallet")["effect"], told["max_completion_tokens"]) == ("none", 1_000)


def test_a_limit_that_refuses_says_with_which_code_and_for_how_long_and_changes_no_figure() -> None:
    said = chat(max_tokens=1_000)
    left = [
        wallet(10_000, refuses=True),
        Left("5h", "usd", 50_000, 1_500, 0, refuses=True, retry_after_us=1_200_000),
        Left("rpm", "requests", 2, 0, 0, refuses=True, retry_after_us=59_000_001),
        Left("concurrency", "concurrent", 4, 4, 0, refuses=True, retry_after_us=1),
    ]

    told, rich = quoted(said=said, left=left, cap=1_000), quoted(said=said)

    assert (told["cost"], told["max_completion_tokens"]) == (rich["cost"], 1_000)
    assert told["limits"] == [
        {
            "name": "wallet", "unit": "credits", "left": 10, "available": 10,
            "effect": "refuses", "code": "wallet_empty",
        },
        {
            "name": "5h", "unit": "credits", "limit": 50, "left": 1.5, "available": 0,
            "effect": "refuses", "code": "budget_exceeded", "retry_after": 2,
        },
        {
            "name": "rpm", "unit": "requests", "limit": 2, "left": 0, "available": 0,
            "effect": "refuses", "code": "rate_limit_exceeded", "retry_after": 60,
        },
        {
            "name": "concurrency", "unit": "calls", "limit": 4, "left": 4, "available": 0,
            "effect": "refuses", "code": "rate_limit_exceeded", "retry_after": 1,
        },
        {
            "name": "max_cost_usd", "unit": "credits", "limit": 1, "left": 1, "available": 1,
            "effect": "refuses", "code": "invalid_request_error",
        },
    ]  # fmt: skip


def test_a_limit_of_tokens_a_minute_clamps_for_now_and_so_changes_no_figure() -> None:
    said = chat(max_tokens=1_000)
    prompt = tokens.count(said, "m")
    left = Left("tpm", "tokens", 2_000, 1_500, prompt + 300, refuses=False)

    told = quoted(said=said, left=[wallet(PLENTY), left])

    assert limit(told, "tpm") == {
        "name": "tpm", "unit": "tokens", "limit": 2_000, "left": 1_500, "available": prompt + 300,
        "effect": "clamps", "max_completion_tokens": 300,
    }  # fmt: skip
    assert told["max_completion_tokens"] == 1_000


@pytest.mark.parametrize(
    ("cap", "effect", "longest"),
    [(1, "refuses", 1_000), (200_000, "clamps", None), (10**9, "none", 1_000)],
)
def test_the_caller_s_own_cap_is_a_limit(cap: int, effect: str, longest: int | None) -> None:
    told = quoted(said=chat(max_tokens=1_000), cap=cap)

    assert limit(told, "max_cost_usd")["effect"] == effect
    if longest is None:
        assert 16 <= told["max_completion_tokens"] < 1_000
        assert told["cost"]["maximum"] * 1_000 <= cap
    else:
        assert told["max_completion_tokens"] == longest


def test_what_costs_nothing_is_clamped_by_no_money() -> None:
    free = found(channel("a"), at=model(rates=Rates(prompt=PicoUsd(0), completion=PicoUsd(0))))

    told = quoted(free, left=[wallet(0)], said=chat(max_tokens=50))

    assert limit(told, "wallet")["effect"] == "none"
    assert told["cost"] == {"minimum": 0, "expected": 0, "maximum": 0}
