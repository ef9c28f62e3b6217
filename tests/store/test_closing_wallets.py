"""An organization goes with an empty wallet: what is in one batch with that is seen, in either order."""

import asyncio
from pathlib import Path

import pytest
from store_scene import broken

from deeptoken.ledger.postings import Answer, Call, Done, Edit, Grant, Hold, OpenWallet, Posting, Rejected
from deeptoken.money import NanoUsd
from deeptoken.store.ledger import open_writer
from deeptoken.store.queries.account_statements import add_organization, delete_organization
from deeptoken.store.queries.accounts import Organization
from deeptoken.store.reads import Reader

ACME = Organization(id="org_1", slug="acme", name="Acme", created_us=1)
MADE = (Edit((add_organization(ACME),)), OpenWallet(wallet=ACME.id))
GRANT = Grant(wallet=ACME.id, lot="lot_1", amount=NanoUsd(5), source="grant", ref="one")
DELETED = Edit((delete_organization(ACME.id, 9),), closes=ACME.id)
FREE = Hold(
    Call("call_1", "call_1", "chat", "key_1", ACME.id, "m", 1, 1_000_000, stream=False),
    NanoUsd(0),
    NanoUsd(0),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deeptoken.db"


def posted(path: Path, *batches: tuple[Posting, ...]) -> list[list[Answer]]:
    async def post() -> list[list[Answer]]:
        async with open_writer(path) as ledger:
            return [
                await asyncio.gather(*(ledger.post(posting) for posting in postings)) for postings in batches
            ]

    return asyncio.run(post())


def deleted(path: Path) -> bool:
    with Reader(path) as reader:
        org = reader.organization(ACME.slug)
        return org is not None and org.deleted_us is not None


def balance(path: Path) -> int:
    with Reader(path) as reader:
        wallet = reader.wallet(ACME.id)
        return 0 if wallet is None else wallet.balance


def test_a_grant_before_it_in_the_same_batch_keeps_the_organization(path: Path) -> None:
    assert posted(path, MADE, (GRANT, DELETED))[-1] == [Done(changed=True), Done(changed=False)]

    assert (deleted(path), balance(path)) == (False, 5)
    assert not broken(path)


def test_a_grant_behind_it_in_the_same_batch_is_refused(path: Path) -> None:
    answers = posted(path, MADE, (DELETED, OpenWallet(wallet=ACME.id), GRANT))[-1]

    assert answers == [Done(changed=True), Done(changed=False), Rejected("There is no such wallet.")]
    assert (deleted(path), balance(path)) == (True, 0)
    assert not broken(path)


def test_a_call_in_flight_keeps_it(path: Path) -> None:
    held, kept = posted(path, MADE, (FREE, DELETED))[-1]

    assert not isinstance(held, Rejected)
    assert kept == Done(changed=False)
    assert not deleted(path)


def test_where_the_deletion_does_not_go_through_the_wallet_is_there_again(path: Path) -> None:
    twice = Edit((delete_organization(ACME.id, 9), delete_organization("org_2", 9)), closes=ACME.id)

    assert posted(path, MADE, (twice,), (GRANT,))[1:] == [[Done(changed=False)], [Done(changed=True)]]

    assert (deleted(path), balance(path)) == (False, 5)


def test_of_two_deletions_the_second_changes_nothing_and_brings_no_wallet_back(path: Path) -> None:
    once, twice = Done(changed=True), Done(changed=False)
    again = Edit((delete_organization(ACME.id, 10),), closes=ACME.id)

    answers = posted(path, MADE, (DELETED, again), (GRANT,))[1:]

    assert answers == [[once, twice], [Rejected("There is no such wallet.")]]
    assert (deleted(path), balance(path)) == (True, 0)
