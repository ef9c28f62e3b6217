"""The lists of the management API are read by an index: no table is walked, and nothing is sorted."""

import asyncio
from pathlib import Path

import pytest
from store_scene import plan

from deeptoken.store.ledger import open_writer
from deeptoken.store.queries import accounts, identities, money, people
from deeptoken.store.queries.money import UsageFilter

WALLET = "org_1"
FILTERS = {
    "all": UsageFilter(wallet=WALLET),
    "next page": UsageFilter(wallet=WALLET, after="x"),
    "since": UsageFilter(wallet=WALLET, from_id="x"),
    "until": UsageFilter(wallet=WALLET, before_id="x", after="y"),
    "what is complete": UsageFilter(wallet=WALLET, outcome="complete"),
}
LISTS = {
    "a row that was paid": money.PAID_BY_ID,
    "a row by its label": money.PAID_BY_LABEL,
    "who made a call": money.MADE_BY,
    "a user": people.USER_NAMED,
    "lots": money.WALLET_LOTS,
    "tier": people.TIER,
    "organization": accounts.ORGANIZATION_OF_SLUG,
    "members": accounts.SEATED_OF,
    "a member by name": accounts.SEATED_NAMED,
    "a member by id": accounts.SEATED_USER,
    "the owner": accounts.SEATED_OWNER,
    "roles": accounts.ROLES_OF,
    "invitations": accounts.INVITATIONS_OF,
    "an invitation": accounts.INVITATION_OF,
    "an invitation's token": accounts.INVITATION_BY_SECRET,
    "audit log": accounts.AUDIT_OF,
    "linked accounts": identities.IDENTITIES_OF,
    "a linked account": identities.IDENTITY,
    "whose account that is": identities.KNOWN,
    "whose address that is": identities.REACHED,
    "a name in other capitals": identities.NAMED,
    "invitations of an address": identities.INVITED,
    "an owner's name": accounts.OWNER,
    "keys": people.KEYS_OF,
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("plans") / "deeptoken.db"

    async def make() -> None:
        async with open_writer(file):
            pass

    asyncio.run(make())
    return file


def walks(steps: list[str]) -> list[str]:
    """Steps that touch every row of a table, or that sort."""
    return [step for step in steps if step.startswith("SCAN") or "TEMP B-TREE" in step]


@pytest.mark.parametrize("name", FILTERS)
def test_usage_is_read_by_its_wallets_index(path: Path, name: str) -> None:
    steps = plan(path, money.records_statement(FILTERS[name]))

    assert walks(steps) == []
    assert steps[0].startswith("SEARCH usage USING INDEX usage_wallet (wallet_id=?"), steps


@pytest.mark.parametrize("name", LISTS)
def test_each_list_is_read_by_an_index(path: Path, name: str) -> None:
    steps = plan(path, LISTS[name])

    assert walks(steps) == []
