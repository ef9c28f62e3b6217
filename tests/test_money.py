"""Money is whole numbers, read and shown without losing one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeptoken.money import NanoUsd, credits, credits_json, ppm, show, usd, usd_per_million

amounts = st.integers(-(2**62), 2**62).map(NanoUsd)


@given(amounts)
def test_what_is_shown_reads_back_as_the_same_amount(amount: NanoUsd) -> None:
    assert usd(show(amount).replace("$", "")) == amount


@given(amounts)
def test_credits_are_the_amount_with_at_most_three_decimals(amount: NanoUsd) -> None:
    whole, _, decimals = credits(amount).partition(".")

    assert len(decimals) <= 3
    assert abs(int(whole)) * 1000 + int(decimals.ljust(3, "0")) == abs(amount)
    assert bytes(credits_json(amount)).decode() == credits(amount)


@pytest.mark.parametrize(
    ("text", "nano"),
    [("1.25", 1_250_000_000), ("0.000000001", 1), ("-3", -3_000_000_000), ("1e-9", 1), ("0", 0)],
)
def test_dollars_are_read_exactly(text: str, nano: int) -> None:
    assert usd(text) == nano


@pytest.mark.parametrize("text", ["", "x", "NaN", "Infinity", "0.0000000001", "1e30", "1,5"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|decimals|at most"):
        usd(text)


def test_prices_and_ratios_are_read_in_their_own_units() -> None:
    assert usd_per_million("0.15") == 150_000
    assert ppm("1.2") == 1_200_000
    with pytest.raises(ValueError, match="six decimals"):
        usd_per_million("0.0000001")


@pytest.mark.parametrize(
    ("amount", "text"), [(1_010_000_000, "$1.01"), (75_000, "$0.000075"), (0, "$0.00"), (-5, "-$0.000000005")]
)
def test_amounts_are_shown_as_people_write_them(amount: int, text: str) -> None:
    assert show(NanoUsd(amount)) == text
