"""Credits that come into a wallet, by example."""

import pytest

from deeptoken.ledger.postings import (
    DAY_US,
    Done,
    Grant,
    Held,
    OpenWallet,
    Refund,
    Refused,
)
from deeptoken.money import NanoUsd
from one_wallet import NOW, Ledger, hold, settle


@pytest.mark.parametrize(
    ("source", "debit"), [("pack", "cash"), ("subscription", "cash"), ("grant", "promo"), ("code", "promo")]
)
def test_a_grant_is_a_lot_and_an_entry_from_where_the_money_came(source: str, debit: str) -> None:
    ledger = Ledger(0)

    answer = ledger.post(Grant("w", "l", NanoUsd(5), source, "r", NOW + DAY_US))  # type: ignore[arg-type]  # one of the literals

    changes = ledger.book.take()
    (entry,) = changes.entries
    assert answer == Done(True)
    assert (entry.ref, entry.kind, entry.debit, entry.credit, entry.amount) == ("r", "grant", debit, "w", 5)
    assert (changes.lots["l"].remaining, changes.lots["l"].expires_us) == (5, NOW + DAY_US)


def test_a_grant_comes_once_by_its_ref_also_after_a_restart() -> None:
    ledger = Ledger(100)

    at_once = ledger.post(Grant("w", "other", NanoUsd(100), "pack", "r"))
    ledger.restart()
    later = ledger.post(Grant("w", "another", NanoUsd(100), "pack", "r"))

    assert at_once == later == Done(False)
    assert ledger.wallet == (100, 0)


def test_a_call_is_admitted_at_once_after_a_grant() -> None:
    ledger = Ledger(0)
    refused = ledger.post(hold("a", 10))

    ledger.post(Grant("w", "l", NanoUsd(10), "pack", "r"))

    assert isinstance(refused, Refused)
    assert isinstance(ledger.post(hold("a", 10)), Held)


def test_a_wallet_is_opened_once() -> None:
    ledger = Ledger(10)

    assert ledger.post(OpenWallet("w")) == Done(False)
    assert ledger.wallet == (10, 0)


@pytest.mark.parametrize("restart", [False, True])
def test_refunds_of_a_call_never_exceed_its_charge(restart: bool) -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 60))
    ledger.post(settle("a", 30))

    answers: list[object] = []
    for amount, ref in ((20, "r1"), (20, "r1"), (11, "r2"), (10, "r3"), (1, "r4"), (0, "r5")):
        if restart:
            ledger.restart()
        answers.append(ledger.post(Refund("a", f"l {ref} {amount}", NanoUsd(amount), ref)))

    changed = [answer.changed if isinstance(answer, Done) else None for answer in answers]
    assert changed == [True, False, None, True, None, None]
    assert ledger.wallet == (100, 0)
    ledger.commit()


@pytest.mark.parametrize(
    ("expires_in", "refund_in"), [(None, None), (DAY_US, 30 * DAY_US), (90 * DAY_US, 90 * DAY_US)]
)
def test_a_refund_lasts_30_days_at_least_and_as_long_as_what_paid(
    expires_in: int | None, refund_in: int | None
) -> None:
    ledger = Ledger(100, None if expires_in is None else NOW + expires_in)
    ledger.post(hold("a", 60))
    ledger.post(settle("a", 30))

    ledger.now = NOW
    ledger.post(Refund("a", "lr", NanoUsd(5), "rr"))

    lot = ledger.book.take().lots["lr"]
    assert lot.source == "refund"
    until = None if refund_in is None else NOW + refund_in + (refund_in == 30 * DAY_US)
    assert lot.expires_us == until
