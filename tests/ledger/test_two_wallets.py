"""Where two wallets pay a call: who is told what, who pays late, what goes back to whom."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_payers import MEMBER, MINE, NOW, ORG, book_with, hold

from deeptoken.ledger.book import Book
from deeptoken.ledger.calendar import month_us
from deeptoken.ledger.postings import (
    DAY_US,
    MINUTE_US,
    MONTH_US,
    Checkpoint,
    Done,
    Extend,
    Fence,
    Grant,
    Held,
    Limit,
    OpenWallet,
    Rate,
    Refund,
    Refused,
    Rejected,
    Settle,
    Settled,
)
from deeptoken.money import NanoUsd
from reference_rows import Rows

MONTH = Limit("usd", MONTH_US, 50, "month", ORG)


def restarted(book: Book, rows: Rows) -> Book:
    rows.apply(book.take())
    rows.check()
    again = Book(rows)
    again.load(rows.wallets.values(), rows.lots.values(), rows.holds.values())
    return again


def balances(book: Book) -> tuple[int, int]:
    return book.wallets[ORG].balance, book.wallets[MINE].balance


@pytest.mark.parametrize("restart", [False, True], ids=["in-memory", "after-a-restart"])
def test_what_a_dead_process_tells_late_is_charged_to_both_in_their_order(restart: bool) -> None:
    book, rows = book_with(30, 100)
    book.post(hold("a", 10), NOW + 1, 1)
    book.post(Extend("a", NanoUsd(50), NanoUsd(8)), NOW + 2, 1)
    book.post(Checkpoint("a", NanoUsd(45)), NOW + 3, 1)
    book = restarted(book, rows) if restart else book
    book.post(Fence(1), NOW + 4)
    book = restarted(book, rows) if restart else book

    late = book.post(Settle("a", NanoUsd(58), "complete"), NOW + 5)

    assert late == Settled(NanoUsd(58))
    assert balances(book) == (0, 72)


@pytest.mark.parametrize("restart", [False, True], ids=["in-memory", "after-a-restart"])
def test_refunds_one_after_the_other_go_back_to_each_as_far_as_it_paid(restart: bool) -> None:
    book, rows = book_with(30, 970)
    book.post(hold("a", 10), NOW + 1)
    book.post(Extend("a", NanoUsd(50), NanoUsd(8)), NOW + 2)
    book.post(Settle("a", NanoUsd(55), "complete"), NOW + 3)

    left = []
    for number, part in enumerate((20, 20, 15)):
        book = restarted(book, rows) if restart else book
        refund = Refund("a", f"back{number}", NanoUsd(part), f"back{number}")
        assert book.post(refund, NOW + 4 + number) == Done(changed=True)
        left.append(balances(book))

    assert left == [(0, 965), (15, 970), (30, 970)]
    assert isinstance(book.post(Refund("a", "more", NanoUsd(1), "more"), NOW + 9), Rejected)


def test_what_goes_back_expires_as_what_its_own_wallet_paid_with() -> None:
    book = Book(Rows())
    for wallet, amount, expires_us in ((ORG, 30, None), (MINE, 100, NOW + 100 * DAY_US)):
        book.post(OpenWallet(wallet), NOW)
        book.post(Grant(wallet, f"l{wallet}", NanoUsd(amount), "pack", wallet, expires_us), NOW)
    book.post(hold("a", 10), NOW + 1)
    book.post(Extend("a", NanoUsd(50), NanoUsd(8)), NOW + 2)
    book.post(Settle("a", NanoUsd(55), "complete"), NOW + 3)

    book.post(Refund("a", "back", NanoUsd(40), "back"), NOW + 4)

    lots = book.take().lots
    back = {(lots[id].wallet, lots[id].granted, lots[id].expires_us) for id in ("back", "back/2")}
    assert back == {(MINE, 25, NOW + 100 * DAY_US), (ORG, 15, None)}


@pytest.mark.parametrize("restart", [False, True], ids=["in-memory", "after-a-restart"])
def test_what_both_hold_counts_at_a_limit_that_the_key_gets_meanwhile(restart: bool) -> None:
    book, rows = book_with(30, 1_000)
    book.post(hold("a", 10), NOW + 1)
    book.post(Extend("a", NanoUsd(50), NanoUsd(8)), NOW + 2)
    book = restarted(book, rows) if restart else book

    day = Limit("usd", DAY_US, 65, "1d")
    refused = book.post(hold("b", 6, limits=(day,)), NOW + 3)
    given = book.post(hold("c", 5, limits=(day,)), NOW + 4)

    assert isinstance(refused, Refused)
    assert refused.reason == "held_by_inflight"
    assert isinstance(given, Held)
    assert (book.wallets[ORG].held, book.wallets[MINE].held) == (30, 35)


def test_an_organizations_budget_counts_what_its_own_wallet_paid_and_no_more() -> None:
    book, _ = book_with(1_000, 1_000)
    book.post(hold("a", 40, limits=(MONTH,)), NOW + 1)
    book.post(Extend("a", NanoUsd(50), NanoUsd(8)), NOW + 2)
    book.post(Settle("a", NanoUsd(45), "complete"), NOW + 3)

    rest = book.post(hold("b", 5, limits=(MONTH,), fallback=None), NOW + 4)
    none = book.post(hold("c", 1, limits=(MONTH,), fallback=None), NOW + 5)

    assert isinstance(rest, Held)
    assert isinstance(none, Refused)


def test_a_wallet_that_other_calls_hold_is_told_before_a_budget_that_comes_back_next_month() -> None:
    book, _ = book_with(1_000, 1_000)
    book.post(hold("a", 50, limits=(MONTH,), fallback=None), NOW + 1)
    book.post(Settle("a", NanoUsd(50), "complete"), NOW + 2)
    book.post(hold("b", 990, limits=(MONTH,)), NOW + 3)

    refused = book.post(hold("c", 15, limits=(MONTH,)), NOW + 4)

    assert isinstance(refused, Refused)
    assert refused.reason == "held_by_inflight"


def test_a_budget_that_calls_in_flight_hold_says_whose_it_is_and_what_the_rates_leave() -> None:
    book, _ = book_with(1_000, 1_000)
    limits = (MONTH, Limit("requests", MINUTE_US, 9, "rpm"))
    book.post(hold("a", 40, limits=limits, fallback=None), NOW + 1)

    refused = book.post(hold("b", 20, limits=limits, fallback=None), NOW + 2)

    assert isinstance(refused, Refused)
    assert (refused.reason, refused.limit, refused.subject) == ("held_by_inflight", "month", ORG)
    assert refused.rates == (Rate("requests", 9, 8, MINUTE_US - 1),)


def test_tokens_that_are_held_come_back_a_window_after_they_end_at_the_soonest() -> None:
    book, _ = book_with(1_000, 1_000)
    asked = hold("a", 10, limits=(Limit("tokens", MINUTE_US, 1_000, "tpm"),))

    held = book.post(msgspec.structs.replace(asked, tokens=100), NOW + 1)

    assert isinstance(held, Held)
    assert held.rates == (Rate("tokens", 1_000, 900, MINUTE_US),)


def test_a_limit_of_a_subject_at_which_the_call_does_not_count_is_rejected_and_not_ignored() -> None:
    book, _ = book_with(1_000, 1_000)
    stranger = Limit("usd", DAY_US, 5, "1d", "key_other")

    assert isinstance(book.post(hold("a", 40, limits=(stranger,)), NOW + 1), Rejected)


@pytest.mark.parametrize(
    ("limits", "both"),
    [((), 130), ((MONTH,), 80), ((Limit("usd", DAY_US, 45, "1d"),), 45)],
    ids=["wallets", "budget", "key"],
)
def test_a_first_wallet_that_must_clamp_is_told_what_both_leave(limits: tuple[Limit, ...], both: int) -> None:
    book, _ = book_with(100, 30)

    held = book.post(hold("a", 10, limits=limits, full=1_000), NOW + 1)

    assert isinstance(held, Held)
    assert (held.wallet, held.room.balance) == ("", both)


def test_a_quote_is_of_the_wallet_that_would_pay() -> None:
    book, _ = book_with(5, 1_000)

    (wallet, *_) = book.left(hold("?", 10, full=500), NOW + 1)
    (strict, *_) = book.left(hold("?", 10, full=500, fallback=None), NOW + 1)

    assert (wallet.subject, wallet.balance, wallet.refuses) == (MINE, 1_000, False)
    assert (strict.subject, strict.balance, strict.refuses) == (ORG, 5, True)


@given(st.integers(0, 2_000 * 366))
def test_a_month_has_its_day_and_the_next_begins_where_it_ends(day: int) -> None:
    begin, end = month_us(day)

    assert begin <= day * DAY_US < end
    assert month_us(end // DAY_US)[0] == end
    assert month_us(begin // DAY_US) == (begin, end)


def test_the_member_and_the_organization_are_told_apart() -> None:
    book, _ = book_with(1_000, 1_000)
    member = Limit("usd", MONTH_US, 10, "month", MEMBER)

    refused = book.post(hold("a", 20, limits=(MONTH, member), fallback=None), NOW + 1)

    assert isinstance(refused, Refused)
    assert refused.subject == MEMBER


@pytest.mark.parametrize(("org", "pays"), [(100, ""), (99, MINE)], ids=["just-all", "one-less"])
def test_a_wallet_that_has_just_all_that_a_call_could_cost_need_not_clamp(org: int, pays: str) -> None:
    book, _ = book_with(org, 100)

    held = book.post(hold("a", 10, full=100), NOW + 1)

    assert isinstance(held, Held)
    assert held.wallet == pays
