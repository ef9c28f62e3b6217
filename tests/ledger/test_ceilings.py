"""The limits of a key by example, and one window against a sum over all that ever happened."""

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeptoken.ledger import windows
from deeptoken.ledger.book import Book
from deeptoken.ledger.journal import Journal
from deeptoken.ledger.past import Spent
from deeptoken.ledger.postings import (
    Answer,
    Call,
    Extend,
    Grant,
    Held,
    Hold,
    Limit,
    NotCheap,
    OpenWallet,
    Refused,
    Room,
    Settle,
    Settled,
)
from deeptoken.ledger.windows import CHARGED, History, Window
from deeptoken.money import NanoUsd
from deeptoken.wire.usage import Usage
from reference_rows import Rows

NOW = 1_000_000_000
SHORT = Limit("usd", 100, 50, "5h")
LONG = Limit("usd", 1000, 80, "7d")


def rich_book(past: Rows | None = None) -> Book:
    book = Book(past or Rows())
    book.post(OpenWallet("w"), NOW)
    book.post(Grant("w", "l", NanoUsd(10_000), "pack", "r"), NOW)
    return book


def hold(
    id: str,
    wanted: int,
    *limits: Limit,
    minimum: int | None = None,
    tokens: tuple[int, int] = (0, 0),
    share: int = 10**6,
) -> Hold:
    return Hold(
        Call(id, "", "", "k", "w", "m", 1, 1_000_000, False),
        NanoUsd(wanted if minimum is None else minimum),
        NanoUsd(wanted),
        share_ppm=share,
        tokens=tokens[0],
        tokens_minimum=tokens[1],
        limits=limits,
    )


def spend(book: Book, id: str, cost: int, at: int, *limits: Limit, tokens: int = 0) -> None:
    assert isinstance(book.post(hold(id, cost, *limits), at), Held)
    book.post(Settle(id, NanoUsd(cost), "complete", Usage(completion=tokens)), at)


def refusal(answer: Answer) -> tuple[str, str, int | None]:
    assert isinstance(answer, Refused)
    return answer.reason, answer.limit, answer.retry_after_us


def test_a_charge_leaves_its_window_at_its_own_time_and_not_before() -> None:
    book = rich_book()
    spend(book, "a", 30, NOW, SHORT)
    spend(book, "b", 20, NOW + 40, SHORT)

    refused = book.post(hold("c", 25, SHORT), NOW + 50)
    early = book.post(hold("c", 25, SHORT), NOW + 99)
    admitted = book.post(hold("c", 25, SHORT), NOW + 100)

    assert refusal(refused) == ("budget_exceeded", "5h", 50)
    assert refusal(early) == ("budget_exceeded", "5h", 1)
    assert isinstance(admitted, Held)
    assert admitted.room == Room(NanoUsd(30), NanoUsd(30), "5h")


def test_of_two_budgets_that_refuse_the_slower_one_is_told() -> None:
    book = rich_book()
    spend(book, "a", 50, NOW, SHORT, LONG)
    spend(book, "b", 30, NOW + 200, SHORT, LONG)

    refused = book.post(hold("c", 40, SHORT, LONG), NOW + 210)

    assert refusal(refused) == ("budget_exceeded", "7d", 790)


def test_a_need_above_the_whole_budget_has_no_time_at_which_it_passes() -> None:
    refused = rich_book().post(hold("a", 60, SHORT), NOW)

    assert refusal(refused) == ("budget_exceeded", "5h", None)


def test_open_holds_bind_a_budget_but_are_not_its_end() -> None:
    book = rich_book()
    book.post(hold("a", 40, SHORT), NOW)

    refused = book.post(hold("b", 20, SHORT), NOW + 1)
    clamped = book.post(hold("c", 20, SHORT, minimum=5), NOW + 2)

    assert refusal(refused) == ("held_by_inflight", "5h", None)
    assert isinstance(clamped, Held)
    assert clamped.amount == 10
    assert clamped.room == Room(NanoUsd(50), NanoUsd(10), "5h")


def test_a_settlement_is_not_bound_by_a_budget() -> None:
    book = rich_book()
    book.post(hold("a", 40, SHORT), NOW)

    settled = book.post(Settle("a", NanoUsd(70), "complete"), NOW + 1)
    refused = book.post(hold("b", 1, SHORT), NOW + 2)
    free = book.post(hold("c", 0, SHORT), NOW + 2)

    assert settled == Settled(NanoUsd(70))
    assert refusal(refused) == ("budget_exceeded", "5h", 99)
    assert isinstance(free, Held)


def test_an_extension_grows_as_far_as_the_budget_and_is_not_refused() -> None:
    book = rich_book()
    book.post(hold("a", 40, SHORT), NOW)

    grown = book.post(Extend("a", NanoUsd(30), NanoUsd(20)), NOW + 1)
    still = book.post(Extend("a", NanoUsd(30), NanoUsd(45)), NOW + 2)

    assert grown == Held(NanoUsd(50), Room(NanoUsd(50), NanoUsd(10), "5h"))
    assert still == Held(NanoUsd(50), Room(NanoUsd(50), NanoUsd(0), "5h"))


def test_requests_count_when_they_are_admitted() -> None:
    book, rpm = rich_book(), Limit("requests", 60, 2, "rpm")
    book.post(hold("a", 1, rpm), NOW)
    book.post(hold("b", 1, rpm), NOW + 10)
    book.post(Settle("a", NanoUsd(1), "complete"), NOW + 50)

    refused = book.post(hold("c", 1, rpm), NOW + 59)

    assert refusal(refused) == ("rate_limited", "rpm", 1)
    assert isinstance(book.post(hold("c", 1, rpm), NOW + 60), Held)


def test_a_refused_hold_takes_nothing_from_any_limit() -> None:
    book, rpm = rich_book(), Limit("requests", 60, 2, "rpm")
    for n in range(5):
        book.post(hold(f"a{n}", 60, SHORT, rpm), NOW + n)
        book.post(hold(f"b{n}", 60, SHORT, rpm, share=1), NOW + n)

    admitted = [book.post(hold(f"c{n}", 25, SHORT, rpm), NOW + 10) for n in range(2)]

    assert all(isinstance(answer, Held) for answer in admitted)


def test_concurrent_calls_are_limited_until_one_ends() -> None:
    book, two = rich_book(), Limit("concurrent", 0, 2, "concurrency")
    book.post(hold("a", 1, two), NOW)
    book.post(hold("b", 1, two), NOW)

    refused = book.post(hold("c", 1, two), NOW)
    book.post(Settle("a", NanoUsd(0), "failed"), NOW)

    assert refusal(refused) == ("rate_limited", "concurrency", 1_000_000)
    assert isinstance(book.post(hold("c", 1, two), NOW), Held)


def test_tokens_are_held_with_the_hold_and_count_as_used_when_it_ends() -> None:
    book, tpm = rich_book(), Limit("tokens", 60, 100, "tpm")
    book.post(hold("a", 10, tpm, tokens=(70, 70)), NOW)

    beside = book.post(hold("b", 10, tpm, tokens=(40, 40)), NOW + 1)
    book.post(Settle("a", NanoUsd(10), "complete", Usage(prompt=30, completion=50)), NOW + 5)
    after = book.post(hold("b", 10, tpm, tokens=(40, 40)), NOW + 6)

    assert refusal(beside) == ("rate_limited", "tpm", 1_000_000)
    assert refusal(after) == ("rate_limited", "tpm", 59)
    assert isinstance(book.post(hold("b", 10, tpm, tokens=(40, 40)), NOW + 65), Held)


def test_a_limit_of_tokens_clamps_the_amount_in_proportion() -> None:
    book, tpm = rich_book(), Limit("tokens", 60, 60, "tpm")

    held = book.post(hold("a", 100, tpm, minimum=20, tokens=(100, 20)), NOW)

    assert isinstance(held, Held)
    assert held.amount == 60
    assert book.holds["a"].tokens == 60


def test_money_that_clamps_holds_fewer_tokens() -> None:
    book = Book(Rows())
    book.post(OpenWallet("w"), NOW)
    book.post(Grant("w", "l", NanoUsd(60), "pack", "r"), NOW)

    book.post(hold("a", 100, minimum=20, tokens=(100, 20)), NOW)

    assert (book.holds["a"].amount, book.holds["a"].tokens) == (60, 60)


@pytest.mark.parametrize(
    ("wanted", "tokens", "cheap"), [(5, 10, True), (6, 10, False), (5, 11, False), (0, 0, True)]
)
def test_a_share_is_of_the_tightest_budget_and_of_the_tokens_left(
    wanted: int, tokens: int, cheap: bool
) -> None:
    book, tpm = rich_book(), Limit("tokens", 60, 100, "tpm")

    answer = book.post(hold("a", wanted, SHORT, tpm, tokens=(tokens, tokens), share=100_000), NOW)

    assert isinstance(answer, Held if cheap else NotCheap)
    assert len(book.holds) == cheap


def test_a_new_limit_counts_what_the_key_did_before_it_had_one() -> None:
    rows = Rows()
    book = rich_book(rows)
    spend(book, "a", 20, NOW)
    rows.apply(book.take())
    spend(book, "b", 20, NOW + 1)
    book.post(hold("c", 5), NOW + 2)

    refused = book.post(hold("d", 10, SHORT), NOW + 3)
    rpm = Limit("requests", 60, 3, "rpm")
    many = book.post(hold("d", 1, rpm), NOW + 3)

    assert refusal(refused) == ("held_by_inflight", "5h", None)
    assert refusal(many) == ("rate_limited", "rpm", 57)


def test_keys_without_limits_ask_the_past_for_nothing() -> None:
    rows = Rows()
    book = Book(rows)
    book.load([], [], [], last_usage="")
    book.post(OpenWallet("w"), NOW)
    book.post(Grant("w", "l", NanoUsd(100), "pack", "r"), NOW)

    spend(book, "a", 20, NOW)
    rows.apply(book.take())
    spend(book, "b", 20, NOW)

    assert not rows.asked


def test_a_key_that_is_not_used_is_forgotten_and_its_windows_are_read_again() -> None:
    rows = Rows()
    book = rich_book(rows)
    spend(book, "a", 20, NOW, SHORT)
    rows.apply(book.take())
    reads = rows.asked["history"]

    for n in range(4):
        call = Call(f"b{n}", "", "", f"other{n}", "w", "m", 1, 1_000_000, False)
        book.post(Hold(call, NanoUsd(1), NanoUsd(1), limits=(SHORT,)), NOW + 200 + n)
    spend(book, "c", 20, NOW + 300, SHORT)

    assert rows.asked["history"] == reads + 5


class Told:
    """A past of which only one key's history is asked."""

    def __init__(self) -> None:
        self.spent: list[Spent] = []

    def history(self, key: str, after_us: int, limit: int) -> list[Spent]:
        return [row for row in self.spent if row[1] > after_us][:limit]

    def totals(self, key: str, after_us: int) -> tuple[int, int, int]:
        rows = [row for row in self.spent if row[1] > after_us]
        return sum(row[2] for row in rows), len(rows), sum(row[3] for row in rows)

    def claim(self, key: str, name: str) -> None:
        return None

    def usage(self, id: str) -> None:
        return None

    def granted(self, ref: str) -> bool:
        return False


@given(
    before=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=12),
    then=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.booleans()), min_size=20, max_size=40),
    kept=st.integers(1, 4),
)
@settings(max_examples=150, deadline=None)
def test_a_window_has_what_happened_in_it_however_little_is_kept(
    before: list[tuple[int, int]], then: list[tuple[int, int, bool]], kept: int
) -> None:
    past, now, width = Told(), 1000, 8
    for delta, amount in before:
        now += delta
        past.spent.append((now, now, amount, 0))
    window = Window("k", width, History(past, Journal()), CHARGED)
    with patch.object(windows, "KEPT_MAX", kept):
        window.load(now)
        for delta, amount, happens in then:
            now += delta
            if happens:
                past.spent.append((now, now, amount, 0))
                window.add(now, amount)
            else:
                window.advance(now)
                inside = [row for row in past.spent if now - width < row[1] <= now]
                assert window.total == sum(row[2] for row in inside)
                if window.total:
                    assert window.leaves_us(1) == next(row[1] for row in inside if row[2]) + width
