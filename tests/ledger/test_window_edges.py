"""Fifty calls at once under limits of a key, its parent, an organization, a member; at a window's edge."""

from hypothesis import given
from hypothesis import strategies as st

from deeptoken.ledger.book import Book
from deeptoken.ledger.postings import Call, Grant, Held, Hold, Limit, OpenWallet, Refused, Settle
from deeptoken.money import NanoUsd
from deeptoken.wire.usage import Usage
from reference_rows import Rows

NOW = 1_000_000_000
SUBJECTS = ("", "key_parent", "org_1", "org_1/usr_1")
WINDOWS = (
    ("usd", 500, "5h"),
    ("usd", 2_400, "1d"),
    ("usd", 16_800, "7d"),
    ("requests", 60, "rpm"),
    ("tokens", 60, "tpm"),
)
LIMITS = st.lists(
    st.builds(
        lambda which, subject, most: Limit(which[0], which[1], most, which[2], subject),
        st.sampled_from(WINDOWS),
        st.sampled_from(SUBJECTS),
        st.integers(1, 400),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda limit: (limit.name, limit.subject),
).map(tuple)
CALLS = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30)), min_size=50, max_size=50)


def book_of(rows: Rows) -> Book:
    book = Book(rows)
    book.post(OpenWallet("w"), NOW)
    book.post(Grant("w", "l", NanoUsd(10**9), "pack", "r"), NOW)
    return book


def hold(id: str, amount: int, tokens: int, limits: tuple[Limit, ...]) -> Hold:
    call = Call(id, "", "", "k", "w", "m", 1, 1_000_000, False)
    return Hold(
        call,
        NanoUsd(amount),
        NanoUsd(amount),
        tokens=tokens,
        tokens_minimum=tokens,
        limits=limits,
        subjects=SUBJECTS[1:],
    )


def counted(limit: Limit, amount: int, tokens: int) -> int:
    return {"usd": amount, "requests": 1, "tokens": tokens}[limit.kind]


def restarted(book: Book, rows: Rows) -> Book:
    rows.apply(book.take())
    again = Book(rows)
    again.load(rows.wallets.values(), rows.lots.values(), rows.holds.values())
    return again


@given(LIMITS, CALLS, st.integers(0, 120), st.booleans())
def test_no_limit_of_anyone_is_passed_and_a_refused_call_takes_nothing(
    limits: tuple[Limit, ...], calls: list[tuple[int, int]], gap: int, restart: bool
) -> None:
    rows = Rows()
    book, taken = book_of(rows), []
    for n, (amount, tokens) in enumerate(calls):
        at = NOW + 10 + (gap if n >= len(calls) // 2 else 0)
        wanted = hold(f"c{n}", amount, tokens, limits)
        before = book.left(wanted, at)
        answer = book.post(wanted, at, 1)
        if isinstance(answer, Held):
            taken.append((at, amount, tokens))
        else:
            assert isinstance(answer, Refused)
            assert book.left(wanted, at) == before
        if restart and n == len(calls) // 2:
            book = restarted(book, rows)
        for limit in limits:
            # Nothing has ended: money in flight counts whatever its age, calls and tokens as old as they are.
            inside = [
                counted(limit, amount, tokens)
                for began, amount, tokens in taken
                if limit.kind == "usd" or began > at - limit.window_us
            ]
            assert sum(inside) <= limit.most


@given(LIMITS, CALLS, st.booleans())
def test_the_time_that_is_told_is_the_first_at_which_the_call_passes(
    limits: tuple[Limit, ...], calls: list[tuple[int, int]], restart: bool
) -> None:
    rows = Rows()
    book = book_of(rows)
    for n, (amount, tokens) in enumerate(calls):
        at = NOW + 10 + n
        wanted = hold(f"c{n}", amount, tokens, limits)
        answer = book.post(wanted, at, 1)
        if isinstance(answer, Held):
            book.post(Settle(f"c{n}", NanoUsd(amount), "complete", Usage(completion=tokens)), at, 1)
            continue
        assert isinstance(answer, Refused)
        if answer.retry_after_us is None:
            assert any(counted(limit, amount, tokens) > limit.most for limit in limits)
            continue
        book = restarted(book, rows) if restart else book
        assert isinstance(book.post(wanted, at + answer.retry_after_us - 1, 1), Refused)
        assert isinstance(book.post(wanted, at + answer.retry_after_us, 1), Held)
        return
