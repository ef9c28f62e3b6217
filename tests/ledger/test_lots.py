"""A wallet by example: the order of its lots, what lapses, and what an older hold keeps."""

from typing import Literal

import pytest

from deeptoken.ledger.book import Book
from deeptoken.ledger.lots import NEVER_US
from deeptoken.ledger.postings import (
    Call,
    Grant,
    Held,
    Hold,
    OpenWallet,
    Refused,
    Room,
    Settle,
    Settled,
    Sweep,
)
from deeptoken.money import NanoUsd
from reference_rows import Rows

NOW = 1_000_000


def book_with(
    *lots: tuple[int, int | None], order: Literal["oldest_first", "expiring_first"] = "oldest_first"
) -> Book:
    """A wallet with lots of these amounts and expiries, named l0, l1, ..."""
    book = Book(Rows(), order=order)
    book.post(OpenWallet("w"), NOW)
    for n, (amount, expires_us) in enumerate(lots):
        book.post(Grant("w", f"l{n}", NanoUsd(amount), "pack", f"r{n}", expires_us), NOW)
    book.take()
    return book


def hold(id: str, wanted: int, minimum: int | None = None) -> Hold:
    call = Call(id, "", "", "k", "w", "m", 1, 1_000_000, False)
    return Hold(call, NanoUsd(wanted if minimum is None else minimum), NanoUsd(wanted))


def settle(id: str, cost: int) -> Settle:
    return Settle(id, NanoUsd(cost), "complete")


def left(book: Book) -> dict[str, int]:
    return {lot.row.id: lot.remaining for lot in book.wallets["w"].lots}


def lapsed(book: Book) -> list[tuple[str, int, int]]:
    return [(e.ref, e.n, e.amount) for e in book.take().entries if e.kind == "lapse"]


def test_the_oldest_lot_drains_first_even_if_another_expires_sooner() -> None:
    book = book_with((10, None), (10, NOW + 100))

    book.post(hold("a", 5), NOW + 1)
    book.post(settle("a", 5), NOW + 2)

    assert left(book) == {"l0": 5, "l1": 10}


def test_the_soonest_expiry_drains_first_if_so_configured() -> None:
    book = book_with((10, None), (10, NOW + 200), (10, NOW + 100), order="expiring_first")

    book.post(hold("a", 25), NOW + 1)
    book.post(settle("a", 25), NOW + 2)

    assert left(book) == {"l0": 5}


def test_one_lot_stands_in_the_usage_row_and_several_are_entries() -> None:
    book = book_with((10, None), (10, None))
    for id, cost in (("a", 4), ("b", 9), ("c", 0)):
        book.post(hold(id, cost), NOW + 1)
        book.post(settle(id, cost), NOW + 2)

    changes = book.take()

    assert [(row.lot, row.split, row.charged) for row in changes.usage] == [
        ("l0", False, 4),
        (None, True, 9),
        (None, False, 0),
    ]
    assert [(e.ref, e.kind, e.n, e.debit, e.credit, e.amount, e.lot) for e in changes.entries] == [
        ("b", "draw", 0, "w", "revenue", 6, "l0"),
        ("b", "draw", 1, "w", "revenue", 3, "l1"),
    ]


def test_a_lot_can_be_held_until_just_before_it_expires() -> None:
    book = book_with((10, NOW + 100))

    assert isinstance(book.post(hold("a", 4), NOW + 99), Held)
    refused = book.post(hold("b", 1), NOW + 100)

    assert refused == Refused("insufficient_credit", Room(NanoUsd(0), NanoUsd(0)))
    assert lapsed(book) == [("l0", 4, 6)]


def test_an_older_hold_is_paid_from_a_lot_that_has_expired_and_the_rest_lapses_when_it_ends() -> None:
    book = book_with((10, NOW + 100))
    book.post(hold("a", 6), NOW + 1)

    book.post(Sweep(), NOW + 100)
    kept = book.wallets["w"].row()
    settled = book.post(settle("a", 4), NOW + 200)

    assert (kept.balance, kept.held) == (6, 6)
    assert settled == Settled(NanoUsd(4))
    assert lapsed(book) == [("l0", 6, 4), ("l0", 0, 2)]
    assert book.wallets["w"].balance == 0


def test_expired_credit_is_kept_only_for_what_earlier_lots_cannot_pay() -> None:
    book = book_with((10, None), (10, NOW + 100))
    book.post(hold("a", 13), NOW + 1)

    book.post(Sweep(), NOW + 100)

    assert left(book) == {"l0": 10, "l1": 3}


def test_expired_credit_of_several_lots_is_kept_once() -> None:
    book = book_with((10, NOW + 50), (10, NOW + 100))
    book.post(hold("a", 12), NOW + 1)

    book.post(Sweep(), NOW + 100)

    assert left(book) == {"l0": 10, "l1": 2}


def test_what_an_older_hold_keeps_is_nobody_elses() -> None:
    book = book_with((10, NOW + 100))
    book.post(hold("a", 6), NOW + 1)

    refused = book.post(hold("b", 1), NOW + 150)
    late = book.post(settle("a", 9), NOW + 160)

    assert refused == Refused("insufficient_credit", Room(NanoUsd(0), NanoUsd(0)))
    assert late == Settled(NanoUsd(6), NanoUsd(3))


def test_a_hold_that_is_younger_than_an_expiry_leaves_the_expired_lot_to_the_older_one() -> None:
    book = book_with((10, NOW + 100), (10, None))
    book.post(hold("old", 10), NOW + 1)
    book.post(hold("young", 10), NOW + 150)

    book.post(settle("young", 10), NOW + 160)

    assert left(book) == {"l0": 10}
    assert book.post(settle("old", 10), NOW + 170) == Settled(NanoUsd(10))


@pytest.mark.parametrize("ended", [0, 3, 10])
def test_no_end_of_an_older_hold_takes_the_balance_below_what_a_younger_one_holds(ended: int) -> None:
    book = book_with((10, None), (10, NOW + 100), (10, None))
    book.post(hold("x", 10), NOW + 1)
    book.post(hold("y", 10), NOW + 1)
    book.post(hold("z", 10), NOW + 150)

    book.post(settle("x", ended), NOW + 160)

    wallet = book.wallets["w"]
    assert 0 <= wallet.held <= wallet.balance
    assert book.post(settle("z", 10), NOW + 170) == Settled(NanoUsd(10))
    assert book.post(settle("y", 10), NOW + 180) == Settled(NanoUsd(10))


def test_a_lot_that_had_expired_when_it_came_lapses_at_once() -> None:
    book = book_with((10, None))

    book.post(Grant("w", "late", NanoUsd(5), "subscription", "r", NOW - 1), NOW)

    assert lapsed(book) == [("late", 0, 5)]
    assert left(book) == {"l0": 10}


def test_ranks_count_up_when_earlier_lots_are_no_longer_in_memory() -> None:
    first = book_with((5, None), (5, None))
    wallet = first.wallets["w"].row()
    again = Book(Rows())
    again.load([wallet], [], [])

    again.post(Grant("w", "next", NanoUsd(1), "grant", "r"), NOW + 10)

    ranks = [lot.row.rank for lot in [*first.wallets["w"].lots, *again.wallets["w"].lots]]
    assert ranks == sorted(set(ranks))


def test_a_wallet_without_expiries_is_never_due() -> None:
    wallet = book_with((5, None)).wallets["w"]

    assert wallet.next_sweep_us == NEVER_US
