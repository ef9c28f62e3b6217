"""Idempotency keys by example."""

import pytest

from deeptoken.ledger.postings import (
    DAY_US,
    Claim,
    Held,
    Hold,
    Repeat,
    StoredReply,
)
from deeptoken.money import NanoUsd
from one_wallet import Ledger, call, hold, settle

REPLY = StoredReply(200, "application/json", b"{}", "a", NanoUsd(5))


def test_the_repeat_of_a_running_request_is_told_so() -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 10, claim=Claim("n", b"1")))

    assert ledger.post(hold("b", 10, claim=Claim("n", b"1"))) == Repeat("running", "a")
    assert ledger.post(hold("b", 10, claim=Claim("n", b"2"))) == Repeat("mismatch", "a")
    assert isinstance(ledger.post(hold("b", 10, claim=Claim("m", b"1"))), Held)


@pytest.mark.parametrize("restart", [False, True])
def test_the_repeat_of_a_charged_request_gets_its_reply_for_a_day(restart: bool) -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 10, claim=Claim("n", b"1")))
    ledger.post(settle("a", 5, reply=REPLY))
    settled = ledger.now
    if restart:
        ledger.restart()

    assert ledger.post(hold("b", 10, claim=Claim("n", b"1"))) == Repeat("done", "a", REPLY)
    assert ledger.post(hold("b", 10, claim=Claim("n", b"2"))) == Repeat("mismatch", "a")
    ledger.now = settled + DAY_US - 1
    assert isinstance(ledger.post(hold("b", 10, claim=Claim("n", b"1"))), Held)


def test_a_call_that_was_charged_nothing_frees_its_key() -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 10, claim=Claim("n", b"1")))
    ledger.post(settle("a", 0, reply=REPLY))

    assert isinstance(ledger.post(hold("b", 10, claim=Claim("n", b"2"))), Held)


def test_an_idempotency_key_is_the_keys_own() -> None:
    ledger = Ledger(100)
    ledger.post(hold("a", 10, claim=Claim("n", b"1")))
    other = Hold(call("b", key="other"), NanoUsd(1), NanoUsd(1), claim=Claim("n", b"2"))

    assert isinstance(ledger.post(other), Held)
