"""Random histories are played to the book and to a naive model of the same law: they must agree."""

from unittest.mock import patch

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from deeptoken.ledger import past, windows
from deeptoken.ledger.book import Book
from deeptoken.ledger.postings import Answer, Checkpoint, Extend, Held, Hold, Refused, Rejected
from reference_book import START_US, ReferenceBook, epoch_of, histories
from reference_histories import Step
from reference_rows import Rows

Pauses = list[str]
"""What happens after a step: nothing, the changes are written, they are and the process starts anew, or it
dies without, and is told by those who go on what they hold."""

IN_MEMORY = (Hold, Extend, Checkpoint)
pauses = st.lists(st.sampled_from(["", "write", "write", "restart"]), min_size=1, max_size=6)


deaths = st.lists(st.sampled_from(["", "", "write", "death"]), min_size=1, max_size=6)


def plain(answer: Answer, *, waits: bool = True) -> Answer:
    """What is compared of an answer: not the words of a rejection, and a wait only if it is exact."""
    if isinstance(answer, Rejected):
        return Rejected("")
    if isinstance(answer, Held):
        return msgspec.structs.replace(answer, rates=(), near=None)
    if isinstance(answer, Refused):
        answer = msgspec.structs.replace(answer, rates=())
        if not waits:
            return msgspec.structs.replace(answer, retry_after_us=None, limit="", subject="")
    return answer


def restarted(rows: Rows, *, order: str) -> Book:
    book = Book(rows, order="expiring_first" if order == "expiring_first" else "oldest_first")
    lots = [lot for lot in rows.lots.values() if lot.remaining]
    last = max(rows.rows, default="") if len(rows.rows) % 2 else None
    book.load(rows.wallets.values(), lots, rows.holds.values(), last_usage=last)
    return book


def assert_same_state(book: Book, model: ReferenceBook) -> None:
    for id, wallet in book.wallets.items():
        assert (wallet.balance, wallet.held) == (model.balance(id), model.held(id))
        assert [(lot.row.id, lot.remaining) for lot in wallet.lots] == [
            (c.id, c.left) for c in model.lots(id)
        ]
    assert {id: (hold.total, hold.tokens, hold.used) for id, hold in book.holds.items()} == {
        run.call.id: (run.amount, run.tokens, max(run.used)) for run in model.open()
    }


def play(
    history: list[Step],
    pauses: Pauses,
    *,
    order: str = "oldest_first",
    waits: bool = True,
    instantly: bool = False,
) -> Rows:
    """`instantly`: what is answered when it is durable only is written before the next step; what lapsed too,
    since what lapses again later is as right and not the same."""
    rows = Rows(expiring_first=order == "expiring_first")
    model = ReferenceBook(expiring_first=order == "expiring_first")
    book = restarted(rows, order=order)
    now, waiting = START_US, 0
    for number, (delta, posting) in enumerate(history):
        now += delta
        balances = [wallet.balance for wallet in book.wallets.values()]
        answer = book.post(posting, now, epoch_of(posting))
        expected = model.post(posting, now, epoch_of(posting))
        assert plain(answer, waits=waits) == plain(expected, waits=waits), (number, posting)
        assert_same_state(book, model)
        waiting += 1
        pause = pauses[number % len(pauses)]
        lapsed = balances != [wallet.balance for wallet in book.wallets.values()]
        if pause not in ("", "death") or (instantly and (lapsed or not isinstance(posting, IN_MEMORY))):
            changes = book.take()
            if waiting == 1:
                rows.check_draws(changes)
            rows.apply(changes)
            rows.check()
            waiting = 0
        if pause == "restart":
            book = restarted(rows, order=order)
            model.restart()
        if pause == "death":
            held = [row for id in book.holds for row in book.rows(id)]
            claims = {id: hold.claim for id, hold in book.holds.items() if hold.claim is not None}
            book = restarted(rows, order=order)
            book.reopen(held, claims)
            model.writer_died()
            assert_same_state(book, model)
    return rows


@given(history=histories, pauses=pauses)
@settings(max_examples=150, deadline=None)
def test_the_book_answers_as_the_model_does_and_its_rows_balance(history: list[Step], pauses: Pauses) -> None:
    play(history, pauses)


@given(history=histories, pauses=deaths)
@settings(max_examples=150, deadline=None)
def test_a_writer_that_dies_loses_nothing_that_processes_tell_the_next_one(
    history: list[Step], pauses: Pauses
) -> None:
    play(history, pauses, instantly=True)


@given(history=histories)
@settings(max_examples=70, deadline=None)
def test_lots_drain_in_order_and_none_after_its_expiry_but_for_an_older_hold(history: list[Step]) -> None:
    play(history, ["write"])


@given(history=histories, pauses=pauses)
@settings(max_examples=70, deadline=None)
def test_the_same_is_true_when_the_soonest_expiry_drains_first(history: list[Step], pauses: Pauses) -> None:
    play(history, pauses, order="expiring_first")


@given(history=histories, pauses=pauses)
@settings(max_examples=70, deadline=None)
def test_windows_and_ended_calls_are_the_same_whether_kept_or_read_again(
    history: list[Step], pauses: Pauses
) -> None:
    with patch.object(windows, "KEPT_MAX", 2), patch.object(past, "RECENT_MAX", 1):
        play(history, pauses, waits=False)
