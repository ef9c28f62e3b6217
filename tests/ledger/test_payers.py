"""Two wallets for a call, limits of several subjects, months and lives: by example."""

from datetime import UTC, datetime

import msgspec
import pytest

from deeptoken.ledger.book import Book
from deeptoken.ledger.calendar import edge_us, leaves_at_us
from deeptoken.ledger.postings import (
    ALWAYS_US,
    MONTH_US,
    Answer,
    Call,
    Extend,
    Fence,
    Grant,
    Held,
    Hold,
    Limit,
    NotCheap,
    OpenWallet,
    Rate,
    Refund,
    Refused,
    Settle,
    Settled,
)
from deeptoken.money import NanoUsd
from deeptoken.wire.usage import Usage
from reference_rows import Rows

ORG, MINE, MEMBER = "org_1", "usr_1", "org_1/usr_1"
NOW = 1_000_000_000_000
BUDGET = Limit("usd", MONTH_US, 100, "month", MEMBER)


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def book_with(org: int, mine: int) -> tuple[Book, Rows]:
    rows = Rows()
    book = Book(rows)
    for wallet, amount in ((ORG, org), (MINE, mine)):
        book.post(OpenWallet(wallet), NOW)
        if amount:
            book.post(Grant(wallet, f"lot_{wallet}", NanoUsd(amount), "pack", wallet), NOW)
    return book, rows


def hold(id: str, amount: int, *, minimum: int | None = None, full: int = 0, fallback: str | None = MINE,
         limits: tuple[Limit, ...] = (), share: int = 1_000_000) -> Hold:  # fmt: skip
    return Hold(
        Call(id, id, "chat", "key_1", ORG, "m", 1, 1_000_000, True),
        minimum=NanoUsd(amount if minimum is None else minimum),
        wanted=NanoUsd(amount),
        share_ppm=share,
        limits=limits,
        subjects=(ORG, MEMBER),
        fallback=fallback,
        full=NanoUsd(full),
    )


def settle(id: str, cost: int) -> Settle:
    return Settle(id, NanoUsd(cost), "complete", Usage(prompt=1, completion=1), most=NanoUsd(cost))


def balances(book: Book) -> tuple[int, int]:
    assert all(wallet.held == 0 for wallet in book.wallets.values())
    return book.wallets[ORG].balance, book.wallets[MINE].balance


def sound(book: Book, rows: Rows) -> None:
    rows.apply(book.take())
    rows.check()


@pytest.mark.parametrize(
    ("org", "mine", "full", "payer"),
    [(100, 100, 80, ""), (50, 100, 80, MINE), (50, 70, 80, ""), (10, 30, 80, MINE), (0, 90, 80, MINE)],
    ids=["first-need-not-clamp", "second-need-not", "both-clamp", "first-cannot", "first-is-empty"],
)
def test_the_first_wallet_that_need_not_clamp_pays_else_the_first_that_can(
    org: int, mine: int, full: int, payer: str
) -> None:
    book, rows = book_with(org, mine)

    answer = book.post(hold("a", 20, full=full), NOW)
    book.post(settle("a", 20), NOW + 1)

    assert isinstance(answer, Held)
    assert answer.wallet == payer
    assert balances(book) == ((org, mine - 20) if payer else (org - 20, mine))
    sound(book, rows)
    assert rows.rows["a"].call.wallet == (payer or ORG)


def test_strict_never_touches_the_second_wallet() -> None:
    book, _ = book_with(0, 100)

    refused = book.post(hold("a", 20, fallback=None), NOW)

    assert isinstance(refused, Refused)
    assert refused.reason == "insufficient_credit"


def test_a_hold_that_nobody_can_pay_says_what_waiting_would_cure() -> None:
    book, _ = book_with(0, 30)
    book.post(hold("a", 30), NOW)

    refused = book.post(hold("b", 20), NOW + 1)

    assert isinstance(refused, Refused)
    assert refused.reason == "held_by_inflight"


def test_what_is_not_cheap_tells_what_both_wallets_have() -> None:
    book, _ = book_with(10, 500)

    answer = book.post(hold("a", 50, share=10_000), NOW)

    assert isinstance(answer, NotCheap)
    assert answer.other is not None
    assert (answer.room.balance, answer.other.balance) == (10, 500)


def test_a_stream_goes_on_on_the_second_wallet_and_each_pays_its_part() -> None:
    book, rows = book_with(50, 100)
    book.post(hold("a", 40), NOW)

    grown = book.post(Extend("a", NanoUsd(40), NanoUsd(30)), NOW + 1)
    again = book.post(Extend("a", NanoUsd(30), NanoUsd(60)), NOW + 2)
    sound(book, rows)
    ended = book.post(settle("a", 95), NOW + 3)

    assert isinstance(grown, Held)
    assert isinstance(again, Held)
    assert (grown.amount, again.amount, ended) == (80, 110, Settled(NanoUsd(95)))
    assert balances(book) == (0, 55)
    sound(book, rows)
    assert [(spent.subject, spent.charged) for spent in rows.spent.values()] == [(ORG, 50), (MEMBER, 50)]


def test_a_refund_goes_first_to_the_wallet_that_paid_last() -> None:
    book, rows = book_with(50, 100)
    book.post(hold("a", 50), NOW)
    book.post(Extend("a", NanoUsd(40), NanoUsd(50)), NOW + 1)
    book.post(settle("a", 90), NOW + 2)
    sound(book, rows)

    for n, amount in enumerate((30, 30, 30)):
        book.post(Refund("a", f"back{n}", NanoUsd(amount), f"r{n}"), NOW + 3 + n)
        sound(book, rows)

    assert balances(book) == (50, 100)


def test_a_process_that_dies_leaves_nothing_held_on_either() -> None:
    book, rows = book_with(50, 100)
    book.post(hold("a", 50), NOW, 1)
    book.post(Extend("a", NanoUsd(40), NanoUsd(60)), NOW + 1, 1)
    rows.apply(book.take())
    again = Book(rows)
    lots = [lot for lot in rows.lots.values() if lot.remaining]
    again.load(rows.wallets.values(), lots, rows.holds.values())

    again.post(Fence(1), NOW + 2)

    assert balances(again) == (0, 90)
    sound(again, rows)


def test_a_members_budget_binds_the_organizations_money_alone() -> None:
    book, rows = book_with(500, 500)
    book.post(hold("a", 90, limits=(BUDGET,)), NOW)
    book.post(settle("a", 90), NOW + 1)

    over = book.post(hold("b", 20, limits=(BUDGET,)), NOW + 2)
    alone = book.post(hold("c", 20, limits=(BUDGET,), fallback=None), NOW + 3)

    assert isinstance(over, Held)
    assert over.wallet == MINE
    assert isinstance(alone, Refused)
    assert (alone.reason, alone.limit, alone.subject) == ("budget_exceeded", "month", MEMBER)
    book.post(settle("b", 20), NOW + 4)
    sound(book, rows)
    assert (MEMBER, "b") not in rows.spent


def test_a_month_ends_at_its_last_microsecond_and_says_when() -> None:
    book, _ = book_with(1_000, 0)
    last = at("2026-11-30T23:59:59") + 999_999
    book.post(hold("a", 100, limits=(BUDGET,), fallback=None), last - 5)
    book.post(settle("a", 100), last - 4)

    refused = book.post(hold("b", 100, limits=(BUDGET,), fallback=None), last)
    held = book.post(hold("c", 100, limits=(BUDGET,), fallback=None), last + 1)

    assert isinstance(refused, Refused)
    assert refused.retry_after_us == 1
    assert isinstance(held, Held)


@pytest.mark.parametrize("month", range(1, 13))
def test_a_window_of_a_month_begins_on_its_first_day(month: int) -> None:
    year, after = (2027, 1) if month == 12 else (2026, month + 1)
    first, following = at(f"2026-{month:02d}-01T00:00:00"), at(f"{year}-{after:02d}-01T00:00:00")

    for now in (first, first + 1, following - 1):
        assert edge_us(MONTH_US, now) == first - 1
        assert leaves_at_us(MONTH_US, now) == following


def test_what_a_child_may_spend_in_its_life_never_comes_back() -> None:
    life = Limit("usd", ALWAYS_US, 30, "total")
    book, rows = book_with(500, 0)
    book.post(hold("a", 30, limits=(life,), fallback=None), NOW)
    book.post(settle("a", 25), NOW + 1)
    sound(book, rows)

    refused = book.post(hold("b", 10, limits=(life,), fallback=None), NOW + 10**15)

    assert isinstance(refused, Refused)
    assert (refused.reason, refused.limit, refused.retry_after_us) == ("budget_exceeded", "total", None)


def test_a_refused_call_takes_nothing_from_any_limit() -> None:
    calls = Limit("requests", 60_000_000, 2, "rpm")
    tight = Limit("usd", 60_000_000, 5, "1d", "key_parent")
    book, _ = book_with(500, 0)
    refused = [
        book.post(
            msgspec.structs.replace(
                hold(f"r{n}", 50, limits=(calls, tight), fallback=None), subjects=("key_parent",)
            ),
            NOW + n,
        )
        for n in range(5)
    ]

    held = book.post(
        msgspec.structs.replace(hold("a", 5, limits=(calls, tight), fallback=None), subjects=("key_parent",)),
        NOW + 9,
    )

    assert all(isinstance(answer, Refused) and answer.subject == "key_parent" for answer in refused)
    assert rates(held) == (Rate("requests", 2, 1, 60_000_000),)


def test_a_budget_that_is_nearly_used_is_told() -> None:
    book, _ = book_with(500, 0)

    below = book.post(hold("a", 79, limits=(BUDGET,), fallback=None), NOW)
    above = book.post(hold("b", 1, limits=(BUDGET,), fallback=None), NOW + 1)

    assert isinstance(below, Held)
    assert below.near is None
    assert isinstance(above, Held)
    assert above.near is not None
    assert (above.near.name, above.near.subject, above.near.used_ppm) == ("month", MEMBER, 800_000)


def rates(answer: Answer) -> tuple[Rate, ...]:
    assert isinstance(answer, Held)
    return answer.rates


def test_what_came_late_is_given_back_once_to_each() -> None:
    book, rows = book_with(50, 100)
    book.post(hold("a", 50), NOW, 1)
    book.post(Extend("a", NanoUsd(40), NanoUsd(60)), NOW + 1, 1)
    book.post(Fence(1), NOW + 2)
    sound(book, rows)
    book.post(settle("a", 55), NOW + 3)

    book.post(Refund("a", "back", NanoUsd(55), "r"), NOW + 4)

    assert balances(book) == (50, 100)
    sound(book, rows)
