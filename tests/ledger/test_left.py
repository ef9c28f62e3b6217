"""What a wallet and a key's limits leave is told before a hold as it would be decided."""

from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given

from deeptoken.ledger import windows
from deeptoken.ledger.book import Book
from deeptoken.ledger.postings import Call, Grant, Held, Hold, Left, Limit, OpenWallet, Refused, Settle
from deeptoken.money import NanoUsd
from deeptoken.wire.usage import Usage
from reference_histories import START_US, Step, epoch_of, histories
from reference_rows import Rows

NOW = 1_000_000_000
HOUR, DAY = Limit("usd", 100, 50, "5h"), Limit("usd", 1_000, 80, "1d")
RPM, TPM = Limit("requests", 100, 2, "rpm"), Limit("tokens", 100, 1_000, "tpm")
AT_ONCE = Limit("concurrent", 0, 2, "concurrency")
LIMITS = (HOUR, DAY, TPM, RPM, AT_ONCE)


def book_with(amount: int) -> Book:
    book = Book(Rows())
    book.post(OpenWallet("w"), NOW)
    book.post(Grant("w", "l", NanoUsd(amount), "pack", "r"), NOW)
    return book


def hold(id: str, amount: int, tokens: int = 0, limits: tuple[Limit, ...] = LIMITS) -> Hold:
    call = Call(id, "", "", "k", "w", "m", 1, 1_000_000, False)
    return Hold(call, NanoUsd(amount), NanoUsd(amount), tokens=tokens, tokens_minimum=tokens, limits=limits)


def left(book: Book, minimum: int, tokens: int = 0, now: int = NOW) -> dict[str, Left]:
    return {one.name: one for one in book.left(hold("?", minimum, tokens), now)}


def test_ended_calls_count_in_the_balance_and_open_ones_in_what_is_available() -> None:
    book = book_with(1_000)
    book.post(hold("a", 30, tokens=300), NOW)
    book.post(Settle("a", NanoUsd(20), "complete", Usage(completion=200)), NOW + 1)
    book.post(hold("b", 7, tokens=70), NOW + 2)

    told = left(book, 1, now=NOW + 3)

    assert {name: (one.most, one.balance, one.available) for name, one in told.items()} == {
        "wallet": (None, 980, 973),
        "5h": (50, 30, 23),
        "1d": (80, 60, 53),
        "tpm": (1_000, 800, 730),
        "rpm": (2, 0, 0),
        "concurrency": (2, 2, 1),
    }


def test_a_limit_that_refuses_says_when_it_would_not() -> None:
    book = book_with(1_000)
    book.post(hold("a", 30, tokens=300), NOW)
    book.post(Settle("a", NanoUsd(30), "complete", Usage(completion=300)), NOW + 10)
    book.post(hold("b", 15, tokens=500), NOW + 20)

    told = left(book, 21, 800, now=NOW + 50)

    assert {name: one.retry_after_us for name, one in told.items() if one.refuses} == {
        "5h": 60,
        "tpm": 60,
        "rpm": 50,
    }
    assert left(book, 51, 1_001, now=NOW + 50)["5h"].retry_after_us is None


@pytest.mark.parametrize(("minimum", "refuses", "wait"), [(40, False, None), (41, True, 1_000_000)])
def test_what_other_calls_hold_of_a_wallet_passes_soon(minimum: int, refuses: bool, wait: int | None) -> None:
    book = book_with(100)
    book.post(hold("a", 60, limits=()), NOW)

    (told,) = book.left(hold("?", minimum, limits=()), NOW + 1)

    assert (told.refuses, told.retry_after_us) == (refuses, wait)


def test_a_limit_of_calls_at_once_refuses_as_soon_as_so_many_are_open() -> None:
    book = book_with(100)
    for id in ("a", "b"):
        before = left(book, 0)["concurrency"]
        book.post(hold(id, 0, limits=(AT_ONCE,)), NOW)

    (_, after) = book.left(hold("?", 0, limits=(AT_ONCE,)), NOW)

    assert (before.available, before.refuses) == (1, False)
    assert (after.available, after.refuses, after.retry_after_us) == (0, True, 1_000_000)


def test_a_wallet_that_is_not_there_has_nothing_and_refuses_what_is_free_too() -> None:
    strange = Call("?", "", "", "k", "x", "m", 1, 1_000_000, False)
    (told,) = book_with(1).left(Hold(strange, NanoUsd(0), NanoUsd(0)), NOW)

    assert (told.balance, told.available, told.refuses, told.retry_after_us) == (0, 0, True, None)


def test_asking_holds_nothing_and_writes_nothing() -> None:
    book = book_with(100)
    book.post(hold("a", 40), NOW)
    book.take()

    left(book, 41, 900)

    assert not book.take()
    assert (book.wallets["w"].balance, book.wallets["w"].held, len(book.holds)) == (100, 40, 1)


@given(histories)
def test_a_limit_refuses_if_and_only_if_the_hold_is_refused(history: list[Step]) -> None:
    book, now = Book(Rows()), START_US
    with patch.object(windows, "KEPT_MAX", 3):
        for delta, posting in history:
            now += delta
            if (
                not isinstance(posting, Hold)
                or posting.call.id in book.holds
                or posting.share_ppm < 1_000_000
            ):
                book.post(posting, now, epoch_of(posting))
                continue

            posting = msgspec.structs.replace(posting, fallback=None)
            told = asked(book, posting, now)
            again = asked(book, posting, now)
            answer = book.post(posting, now, epoch_of(posting))

            assert told == again
            refusing = {one.name for one in told if one.refuses}
            if isinstance(answer, Held):
                assert refusing == set()
            if isinstance(answer, Refused):
                assert (answer.limit or "wallet") in refusing


def asked(book: Book, hold: Hold, now: int) -> list[Left]:
    """As it is asked before: with what the hold needs at least."""
    least, tokens = min(hold.minimum, hold.wanted), min(hold.tokens_minimum, hold.tokens)
    return book.left(
        msgspec.structs.replace(hold, minimum=least, wanted=least, tokens=tokens, tokens_minimum=tokens), now
    )
