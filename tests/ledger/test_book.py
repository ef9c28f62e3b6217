"""The life of a call and of a wallet by example: what is answered, and which rows follow."""

import pytest

from deeptoken.ledger.book import Book
from deeptoken.ledger.postings import (
    Checkpoint,
    Done,
    Extend,
    Fence,
    Grant,
    Held,
    Hold,
    Limit,
    NotCheap,
    Posting,
    Refund,
    Refused,
    Rejected,
    Settle,
    Settled,
    Statement,
)
from deeptoken.money import AMOUNT_MAX, NanoUsd
from deeptoken.wire.usage import Usage
from one_wallet import NOW, Ledger, call, hold, room, settle
from reference_rows import Rows

# A hold.


def test_a_hold_is_as_much_as_there_is_but_not_less_than_its_minimum() -> None:
    ledger = Ledger(100)

    assert ledger.post(hold("a", 60)) == Held(NanoUsd(60), room(100, 100))
    assert ledger.post(hold("b", 60, 40)) == Held(NanoUsd(40), room(100, 40))
    assert ledger.post(hold("c", 60, 1)) == Refused("held_by_inflight", room(100, 0))
    assert ledger.post(hold("d", 101)) == Refused("insufficient_credit", room(100, 0))
    assert ledger.wallet == (100, 100)


def test_what_costs_nothing_needs_no_balance() -> None:
    ledger = Ledger(0)

    assert ledger.post(hold("a", 0)) == Held(NanoUsd(0), room(0, 0))
    assert ledger.post(hold("b", 0, share=10_000)) == Held(NanoUsd(0), room(0, 0))
    assert ledger.post(settle("a", 0)) == Settled(NanoUsd(0))


def test_a_hold_above_the_share_that_it_asks_for_is_not_given() -> None:
    ledger = Ledger(100)

    assert ledger.post(hold("a", 2, share=10_000)) == NotCheap(room(100, 100))
    assert ledger.post(hold("a", 1, share=10_000)) == Held(NanoUsd(1), room(100, 100))
    assert ledger.post(hold("b", 1000, share=10_000)) == NotCheap(room(100, 99))


def test_the_second_of_a_hold_gets_the_first_answer_and_changes_nothing() -> None:
    ledger = Ledger(100)
    first = ledger.post(hold("a", 60))
    ledger.post(hold("b", 10))

    assert ledger.post(hold("a", 99)) == first
    assert ledger.wallet == (100, 70)


def test_a_hold_whose_call_has_ended_is_rejected_also_after_a_restart() -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 60))
    ledger.post(settle("a", 10))

    at_once = ledger.post(hold("a", 60))
    ledger.restart()

    assert isinstance(at_once, Rejected)
    assert isinstance(ledger.post(hold("a", 60)), Rejected)


def test_an_id_above_all_that_have_ended_is_not_looked_up() -> None:
    ledger = Ledger(100)
    ledger.post(hold("b", 1))
    ledger.post(settle("b", 1))
    ledger.commit()
    book = Book(ledger.rows)
    book.load(ledger.rows.wallets.values(), ledger.rows.lots.values(), [], last_usage="b")

    asked = ledger.rows.asked["usage"]

    answers = [book.post(hold(id, 1), ledger.now + 9) for id in ("c", "b")]

    assert isinstance(answers[0], Held)
    assert isinstance(answers[1], Rejected)
    assert ledger.rows.asked["usage"] == asked + 1


def test_an_unknown_wallet_is_said_to_be_unknown() -> None:
    book = Book(Rows())

    assert book.post(hold("a", 1), NOW) == Refused("wallet_unknown", room(0, 0))
    assert isinstance(book.post(Grant("w", "l", NanoUsd(1), "grant", "r"), NOW), Rejected)


@pytest.mark.parametrize(
    "posting",
    [
        hold("b", -1),
        Extend("a", NanoUsd(-1), NanoUsd(0)),
        settle("a", -1),
        Extend("z", NanoUsd(1), NanoUsd(0)),
        Checkpoint("z", NanoUsd(1)),
        settle("z", 1),
        Refund("z", "lr", NanoUsd(1), "rr"),
        Refund("a", "lr", NanoUsd(1), "rr"),
        Grant("w", "l2", NanoUsd(0), "grant", "r2"),
        Grant("w", "l2", AMOUNT_MAX, "grant", "r2"),
        Statement("user_add", ()),
    ],
)
def test_what_cannot_be_is_rejected_and_changes_nothing(posting: Posting) -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 60))
    ledger.commit()

    assert isinstance(ledger.post(posting), Rejected)
    assert not ledger.book.take()
    assert ledger.wallet == (100, 60)


# Extensions and checkpoints.


def test_an_extension_takes_what_there_is_and_keeps_what_was_used() -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 60))
    ledger.post(hold("b", 10))

    assert ledger.post(Extend("a", NanoUsd(20), NanoUsd(50))) == Held(NanoUsd(80), room(100, 30))
    assert ledger.post(Extend("a", NanoUsd(20), NanoUsd(55))) == Held(NanoUsd(90), room(100, 10))
    assert ledger.post(Extend("a", NanoUsd(20), NanoUsd(60))) == Held(NanoUsd(90), room(100, 0))
    assert ledger.book.holds["a"].used == 60


def test_a_checkpoint_is_written_once_and_never_goes_back() -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 60))
    ledger.commit()

    answers = [ledger.post(Checkpoint("a", NanoUsd(used))) for used in (20, 20, 10)]

    assert answers == [Done(True), Done(False), Done(False)]
    assert ledger.book.take().holds["a"].used == 20


# Settlement.


def test_a_call_leaves_one_row_that_says_all_that_is_known_of_it() -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 60))
    ledger.post(settle("a", 25))

    changes = ledger.book.take()

    (row,) = changes.usage
    assert (row.call, row.usage, row.cost, row.charged, row.lot) == (call("a"), Usage(prompt=3), 25, 25, "l")
    assert (row.outcome, row.status, row.channel, row.duration_ms) == ("complete", 200, "c", 12)
    assert (row.created_us, row.settled_us) == (NOW + 3, NOW + 4)
    assert changes.wallets["w"].balance == 75
    assert changes.lots["l"].remaining == 75


def test_a_hold_that_ends_before_it_is_written_leaves_no_row() -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 10))
    ledger.post(hold("b", 10))
    ledger.post(settle("a", 10))
    first = ledger.book.take()
    ledger.post(settle("b", 10))
    second = ledger.book.take()

    assert (list(first.holds), first.ended) == (["b"], [])
    assert (list(second.holds), second.ended) == ([], ["b"])


@pytest.mark.parametrize(("cost", "charged"), [(60, 60), (61, 61), (90, 90), (91, 90), (1000, 90)])
def test_a_cost_above_the_hold_is_charged_as_far_as_the_wallet_reaches(cost: int, charged: int) -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 60))
    ledger.post(hold("b", 10))

    settled = ledger.post(settle("a", cost))

    assert settled == Settled(NanoUsd(charged), NanoUsd(cost - charged))
    losses = [(e.debit, e.credit, e.amount) for e in ledger.book.take().entries if e.kind == "loss"]
    assert losses == ([("operator_loss", "revenue", cost - charged)] if cost > charged else [])
    assert ledger.wallet == (100 - charged, 10)


def test_a_call_is_never_charged_more_than_the_caller_was_told() -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 60))

    answer = ledger.post(Settle("a", NanoUsd(50), "complete", most=NanoUsd(30)))

    assert answer == Settled(NanoUsd(30), NanoUsd(20))
    assert ledger.wallet == (70, 0)
    ledger.commit()


def test_the_second_settlement_gets_the_first_answer_and_changes_nothing_also_after_a_restart() -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 60))
    first = ledger.post(settle("a", 110))
    ledger.commit()

    at_once = ledger.post(settle("a", 20))
    ledger.restart()
    later = ledger.post(settle("a", 20))

    assert first == at_once == later == Settled(NanoUsd(100), NanoUsd(10))
    assert not ledger.book.take()


# What is left of a process that died.


def test_a_fence_settles_what_that_process_held_at_its_checkpoints() -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 60), epoch=1)
    ledger.post(hold("b", 10), epoch=2)
    ledger.post(Checkpoint("a", NanoUsd(20)), epoch=1)
    ledger.restart()

    assert ledger.post(Fence(1)) == Done(True)
    assert ledger.post(Fence(1)) == Done(False)

    (row,) = ledger.book.take().usage
    assert (row.call.id, row.outcome, row.cost, row.charged) == ("a", "orphan", 20, 20)
    assert ledger.wallet == (80, 10)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    ("cost", "answer", "balance"),
    [
        (20, Settled(NanoUsd(20)), 80),
        (50, Settled(NanoUsd(50)), 50),
        (120, Settled(NanoUsd(90), NanoUsd(30)), 10),
        (5, Settled(NanoUsd(5)), 95),
    ],
)
def test_a_late_settlement_of_an_orphan_books_the_difference_once(
    cost: int, answer: Settled, balance: int, restart: bool
) -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 60), epoch=1)
    ledger.post(hold("b", 10), epoch=2)
    ledger.post(Checkpoint("a", NanoUsd(20)), epoch=1)
    ledger.post(Fence(1))
    if restart:
        ledger.restart()

    first = ledger.post(settle("a", cost))
    ledger.restart() if restart else ledger.commit()
    second = [ledger.post(settle("a", again)) for again in (cost, 33 if cost != 20 else cost)]

    assert [first, *second] == [answer, answer, answer]
    assert ledger.wallet == (balance, 10)


def test_a_late_settlement_charges_no_more_than_the_caller_was_told() -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 60))
    ledger.post(Checkpoint("a", NanoUsd(20)))
    ledger.post(Fence(1))

    answer = ledger.post(Settle("a", NanoUsd(50), "complete", most=NanoUsd(30)))

    assert answer == Settled(NanoUsd(30), NanoUsd(20))
    ledger.commit()


def test_a_late_settlement_first_takes_back_what_the_operator_lost() -> None:
    ledger = Ledger(50)
    ledger.post(hold("a", 40))
    ledger.post(Checkpoint("a", NanoUsd(60)))
    ledger.post(Fence(1))

    assert ledger.post(settle("a", 45)) == Settled(NanoUsd(45), NanoUsd(0))
    ledger.commit()
    assert ledger.wallet == (5, 0)


# What is read.


def test_room_is_what_a_wallet_has_and_what_is_free_of_it() -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 30))

    assert ledger.book.room("w", ledger.now) == room(100, 70)
    assert ledger.book.room("nobody", ledger.now) is None


def test_a_refusal_by_the_wallet_comes_before_one_by_a_limit() -> None:
    ledger = Ledger(10)
    limits = (Limit("usd", 60, 5, "5h"), Limit("requests", 60, 0, "rpm"))
    both = Hold(call("a"), NanoUsd(20), NanoUsd(20), limits=limits)
    limited = Hold(call("a"), NanoUsd(8), NanoUsd(8), limits=limits)

    answers = [ledger.post(both), ledger.post(limited)]

    assert [answer.reason for answer in answers if isinstance(answer, Refused)] == [
        "insufficient_credit",
        "budget_exceeded",
    ]


def test_a_row_names_the_model_and_the_price_that_answered() -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 50))

    ledger.post(Settle("a", NanoUsd(20), "complete", by=("other", 9)))

    ledger.commit()
    (row,) = ledger.rows.rows.values()
    assert (row.call.model, row.call.price, row.charged) == ("other", 9, 20)
    assert row.call.id == "a"
