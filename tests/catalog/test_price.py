"""Prices: each class once, one rounding up, and a bound that holds."""

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeptoken.catalog.model import Price, Rates, Tier
from deeptoken.catalog.price import (
    TOKENS_MAX,
    affordable,
    bills,
    bound,
    charge,
    dearest,
    rates_for,
    ratios,
    version,
)
from deeptoken.money import NanoUsd, PicoUsd
from deeptoken.wire.usage import Usage

rates_of_any_size = st.integers(0, 100_000_000).map(PicoUsd)
perhaps = st.none() | rates_of_any_size
all_rates = st.builds(
    Rates,
    prompt=rates_of_any_size,
    completion=rates_of_any_size,
    cached=perhaps,
    cache_write=perhaps,
    cache_write_1h=perhaps,
    prompt_audio=perhaps,
    reasoning=perhaps,
    completion_audio=perhaps,
    request=rates_of_any_size,
    completion_image=perhaps,
    image=perhaps,
    character=perhaps,
    second=perhaps,
    search=perhaps,
)
all_tiers = st.lists(
    st.builds(Tier, above=st.integers(0, 300_000), rates=all_rates),
    max_size=3,
    unique_by=lambda tier: tier.above,
).map(tuple)
all_prices = st.builds(Price, id=st.just(1), model=st.just("m"), rates=all_rates, tiers=all_tiers)
counts = st.integers(0, 200_000)
all_usage = st.builds(
    Usage,
    prompt=counts,
    cached=counts,
    cache_write=counts,
    cache_write_1h=counts,
    prompt_audio=counts,
    completion=counts,
    reasoning=counts,
    completion_audio=counts,
    completion_image=counts,
    images=counts,
    characters=counts,
    seconds=counts,
    searches=counts,
)
UNITS = {"images": "image", "characters": "character", "seconds": "second", "searches": "search"}
all_ratios = st.integers(0, 5_000_000)

MINI = Rates(prompt=PicoUsd(150_000), completion=PicoUsd(600_000), cached=PicoUsd(75_000))
ONE = 1_000_000


def price(rates: Rates, *tiers: Tier) -> Price:
    return Price(id=1, model="m", rates=rates, tiers=tiers)


def exact(one: Price, usage: Usage, ratio_ppm: int) -> Fraction:
    """The law, written another way: USD as fractions, each class by name."""
    rates = rates_for(one, usage.prompt_tokens)
    base = {"cached": "prompt", "cache_write": "prompt", "cache_write_1h": "cache_write"}
    base |= {"prompt_audio": "prompt", "reasoning": "completion", "completion_audio": "completion"}
    base |= {"completion_image": "completion"}

    def rate(name: str) -> int:
        told: int | None = getattr(rates, name)
        return rate(base[name]) if told is None else told

    classes = ("prompt", "completion", *base)
    pico = rates.request + sum(getattr(usage, name) * rate(name) for name in classes)
    pico += sum(getattr(usage, units) * (getattr(rates, unit) or 0) for units, unit in UNITS.items())
    return Fraction(pico, 1_000) * Fraction(ratio_ppm, ONE)


def test_a_call_costs_its_tokens_at_the_price_of_their_class() -> None:
    usage = Usage(prompt=1_000, cached=500, completion=200)

    cost = charge(price(MINI), usage, ONE)

    assert cost == 150_000 + 37_500 + 120_000


def test_a_class_without_a_price_costs_what_its_base_costs() -> None:
    rates = Rates(prompt=PicoUsd(1_000), completion=PicoUsd(2_000), cache_write=PicoUsd(5_000))

    cost = charge(price(rates), Usage(cached=1, cache_write_1h=1, reasoning=1), ONE)

    assert cost == 1 + 5 + 2


def test_the_smallest_part_of_a_nano_dollar_is_rounded_up_once() -> None:
    rates = Rates(prompt=PicoUsd(1), completion=PicoUsd(1))

    cost = charge(price(rates), Usage(prompt=1, completion=1), ONE)

    assert cost == 1


@pytest.mark.parametrize(("prompt", "cost"), [(200_000, 200_000), (200_001, 400_002)])
def test_a_tier_holds_for_the_whole_call_and_only_above_its_start(prompt: int, cost: int) -> None:
    dear = Tier(above=200_000, rates=Rates(prompt=PicoUsd(2_000), completion=PicoUsd(0)))
    one = price(Rates(prompt=PicoUsd(1_000), completion=PicoUsd(0)), dear)

    charged = charge(one, Usage(prompt=prompt - 1, cached=1), ONE)

    assert charged == cost


@pytest.mark.parametrize(("prompt", "most"), [(200_000, 200_000), (200_001, 400_002)])
def test_a_bound_reaches_a_tier_where_a_charge_does(prompt: int, most: int) -> None:
    dear = Tier(above=200_000, rates=Rates(prompt=PicoUsd(2_000), completion=PicoUsd(0)))
    one = price(Rates(prompt=PicoUsd(1_000), completion=PicoUsd(0)), dear)

    assert bound(one, prompt, 0, ONE) == most
    assert affordable(one, prompt, NanoUsd(most), ONE) == TOKENS_MAX
    assert affordable(one, prompt, NanoUsd(most - 1), ONE) == -1


def test_the_highest_tier_that_is_reached_counts_in_whatever_order_they_stand() -> None:
    high = Tier(above=20, rates=Rates(prompt=PicoUsd(3), completion=PicoUsd(3)))
    low = Tier(above=10, rates=Rates(prompt=PicoUsd(2), completion=PicoUsd(2)))

    found = rates_for(price(Rates(prompt=PicoUsd(1), completion=PicoUsd(1)), high, low), 21)

    assert found is high.rates


@settings(deadline=None)
@given(all_prices, all_usage, all_ratios)
def test_a_charge_is_the_exact_cost_rounded_up(one: Price, usage: Usage, ratio: int) -> None:
    law = exact(one, usage, ratio)

    charged = charge(one, usage, ratio)

    assert law <= charged < law + 1


@settings(deadline=None)
@given(all_prices, all_usage, all_ratios, counts, counts)
def test_no_charge_is_above_the_bound_of_its_sizes(
    one: Price, usage: Usage, ratio: int, more_prompt: int, more_completion: int
) -> None:
    prompt = usage.prompt_tokens + more_prompt
    completion = usage.completion_tokens + more_completion

    most = bound(one, prompt, completion, ratio, usage)

    assert charge(one, usage, ratio) <= most


@settings(deadline=None)
@given(
    all_prices, st.integers(0, 1_000_000), st.integers(0, 10**13), all_ratios, st.just(Usage()) | all_usage
)
def test_what_is_affordable_is_the_longest_answer_within_the_amount(
    one: Price, prompt: int, amount: int, ratio: int, units: Usage
) -> None:
    tokens = affordable(one, prompt, NanoUsd(amount), ratio, units)

    assert tokens == -1 or bound(one, prompt, tokens, ratio, units) <= amount
    assert tokens == TOKENS_MAX or bound(one, prompt, tokens + 1, ratio, units) > amount


@settings(deadline=None)
@given(all_prices, all_usage, st.sampled_from([*UNITS]))
def test_a_unit_is_priced_once_whatever_else_was_used(one: Price, usage: Usage, units: str) -> None:
    rate = getattr(rates_for(one, usage.prompt_tokens), UNITS[units]) or 0
    without = msgspec.structs.replace(usage, **{units: 0})

    more = charge(one, usage, ONE) - charge(one, without, ONE)

    assert abs(more * 1_000 - getattr(usage, units) * rate) < 1_000


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (Usage(images=2), 80_000_000),
        (Usage(characters=100), 1_500_000),
        (Usage(seconds=60), 6_000_000),
        (Usage(searches=1), 2_000_000),
        (Usage(completion_image=100), 3_200),
        (Usage(completion_image=100, completion=100), 4_200),
    ],
)
def test_what_is_no_token_costs_its_own_price(usage: Usage, cost: int) -> None:
    rates = Rates(
        prompt=PicoUsd(5_000),
        completion=PicoUsd(10_000),
        completion_image=PicoUsd(32_000),
        image=PicoUsd(40_000_000_000),
        character=PicoUsd(15_000_000),
        second=PicoUsd(100_000_000),
        search=PicoUsd(2_000_000_000),
    )

    assert charge(price(rates), usage, ONE) == cost


def test_a_unit_without_a_price_costs_nothing_beside_what_is_priced() -> None:
    assert charge(price(MINI), Usage(prompt=1_000, images=3), ONE) == 150_000


@pytest.mark.parametrize(
    ("rates", "by_tokens"),
    [
        (MINI, True),
        (Rates(prompt=PicoUsd(0), completion=PicoUsd(0)), True),
        (Rates(prompt=PicoUsd(0), completion=PicoUsd(0), request=PicoUsd(7)), True),
        (Rates(prompt=PicoUsd(0), completion=PicoUsd(1), image=PicoUsd(1)), True),
        (Rates(prompt=PicoUsd(0), completion=PicoUsd(0), image=PicoUsd(1)), False),
        (Rates(prompt=PicoUsd(0), completion=PicoUsd(0), search=PicoUsd(0)), False),
    ],
)
def test_tokens_are_paid_unless_another_unit_alone_has_a_price(rates: Rates, by_tokens: bool) -> None:
    assert rates.by_tokens is by_tokens
    assert bills(rates, Usage(prompt=1)) is by_tokens


def test_a_price_bills_what_it_has_a_unit_of() -> None:
    spoken = Rates(prompt=PicoUsd(0), completion=PicoUsd(0), character=PicoUsd(0))

    assert bills(spoken, Usage(prompt=9, characters=9))
    assert not bills(spoken, Usage(prompt=9, images=9, seconds=9, searches=9))
    assert not bills(spoken, Usage())


def test_what_costs_nothing_is_affordable_to_anyone() -> None:
    free = price(Rates(prompt=PicoUsd(0), completion=PicoUsd(0)))

    assert affordable(free, 1_000, NanoUsd(0), ONE) == TOKENS_MAX


def test_a_free_model_with_a_tier_that_is_not_is_not_affordable_without_money() -> None:
    free = Rates(prompt=PicoUsd(0), completion=PicoUsd(0))

    tiered = price(free, Tier(above=100_000, rates=MINI))

    assert affordable(tiered, 100_001, NanoUsd(0), ONE) == -1


def test_the_same_price_has_the_same_id_and_any_change_another() -> None:
    dearer = Rates(prompt=PicoUsd(150_001), completion=PicoUsd(600_000), cached=PicoUsd(75_000))
    ids = [version("m", MINI), version("n", MINI), version("m", dearer), version("m", MINI, (Tier(1, MINI),))]

    assert version("m", MINI) == ids[0]
    assert len(set(ids)) == 4
    assert all(0 < id < 2**63 for id in ids)


def test_ratios_are_credits_a_token_and_multiples_of_them() -> None:
    assert ratios(price(MINI)) == {"base_model_ratio": "0.15", "completion_ratio": "4", "cached_ratio": "0.5"}


def test_the_ratios_of_other_units_are_multiples_of_the_same_base() -> None:
    rates = Rates(
        prompt=PicoUsd(5_000_000),
        completion=PicoUsd(10_000_000),
        request=PicoUsd(5_000_000_000),
        completion_image=PicoUsd(32_000_000),
        image=PicoUsd(40_000_000_000),
    )

    told = ratios(price(rates))

    assert told["completion_image_ratio"] == "6.4"
    assert (told["image_ratio"], told["request_ratio"]) == ("8000", "1000")
    assert "search_ratio" not in told


def test_a_free_prompt_has_no_ratios() -> None:
    rates = Rates(prompt=PicoUsd(0), completion=PicoUsd(1))

    assert ratios(price(rates)) == {"base_model_ratio": "0"}


@given(all_prices, counts, st.floats(0, 1))
def test_no_prompt_of_up_to_so_many_tokens_has_dearer_rates(price: Price, most: int, part: float) -> None:
    prompt, completion = dearest(price, most)

    rates = rates_for(price, round(part * most))

    assert rates.prompt <= prompt
    assert rates.completion <= completion
    assert prompt in {price.rates.prompt, *(tier.rates.prompt for tier in price.tiers if tier.above < most)}
