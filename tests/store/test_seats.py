"""What the statements about organizations decide themselves: one owner, an invitation once, no role lost."""

import asyncio
import tempfile
from pathlib import Path

import hypothesis.strategies as some
import msgspec
from hypothesis import given, settings
from store_scene import broken

from deeptoken import ids
from deeptoken.ledger.postings import Answer, Done, Edit, Grant, OpenWallet, Posting, Statement
from deeptoken.money import usd
from deeptoken.store.ledger import open_writer
from deeptoken.store.queries.account_statements import (
    accept_invitation,
    add_invitation,
    add_member,
    add_organization,
    add_role,
    delete_organization,
    remove_member,
    remove_role,
    revoke_invitation,
    set_member,
)
from deeptoken.store.queries.accounts import Invitation, Member, Organization, Role
from deeptoken.store.queries.people import User
from deeptoken.store.queries.statements import add_user
from deeptoken.store.reads import Reader

ORG = Organization(id="org_1", slug="acme", name="Acme", created_us=1)
PEOPLE = ("usr_1", "usr_2", "usr_3", "usr_4")
BEGIN: tuple[Posting, ...] = (
    *(add_user(User(id=id, name=id, created_us=1)) for id in PEOPLE),
    add_organization(ORG),
    add_member(Member(org=ORG.id, user="usr_1", role="owner", created_us=1)),
    *(add_member(Member(org=ORG.id, user=id, role="member", created_us=1)) for id in PEOPLE[1:]),
)


def posted(path: Path, *postings: Posting) -> list[bool]:
    """Whether each changed something."""

    async def post() -> list[Answer]:
        async with open_writer(path) as ledger:
            return await asyncio.gather(*(ledger.post(posting) for posting in postings))

    return [isinstance(answer, Done) and answer.changed for answer in asyncio.run(post())]


def seats(path: Path) -> dict[str, Member]:
    with Reader(path) as reader:
        return {member.user: member for member in reader.members()}


def seat(user: str, role: str, version: int = 1) -> Statement:
    return set_member(Member(org=ORG.id, user=user, role=role, version=version, created_us=1))


VERSIONS = some.integers(1, 3)
CHANGES = some.one_of(
    some.builds(
        lambda old, new, versions: Edit((seat(old, "admin", versions[0]), seat(new, "owner", versions[1]))),
        some.sampled_from(PEOPLE),
        some.sampled_from(PEOPLE),
        some.tuples(VERSIONS, VERSIONS),
    ),
    some.builds(
        lambda user, role, version: Edit((seat(user, role, version),)),
        some.sampled_from(PEOPLE),
        some.sampled_from(["admin", "viewer"]),
        VERSIONS,
    ).filter(lambda edit: edit.steps[0].parameters[1] != "usr_1"),
    some.builds(lambda user: Edit((remove_member(ORG.id, user),)), some.sampled_from(PEOPLE)),
)


@settings(max_examples=60)
@given(some.lists(CHANGES, max_size=12))
def test_there_is_never_more_than_one_owner(changes: list[Edit]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deeptoken.db"

        posted(path, *BEGIN, *changes)

        owners = [member.user for member in seats(path).values() if member.role == "owner"]
        assert len(owners) <= 1
        assert broken(path) == []


def test_of_two_who_hand_over_at_once_one_does(tmp_path: Path) -> None:
    path = tmp_path / "deeptoken.db"
    transfers = [Edit((seat("usr_1", "admin"), seat(heir, "owner"))) for heir in PEOPLE[1:]]

    changed = posted(path, *BEGIN, *transfers)[len(BEGIN) :]

    assert changed == [True, False, False]
    assert {user: member.role for user, member in seats(path).items()} == {
        "usr_1": "admin",
        "usr_2": "owner",
        "usr_3": "member",
        "usr_4": "member",
    }


def test_the_owner_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "deeptoken.db"

    assert posted(path, *BEGIN, remove_member(ORG.id, "usr_1"), remove_member(ORG.id, "usr_2"))[-2:] == [
        False,
        True,
    ]


INVITATION = Invitation(
    id="inv_1",
    org=ORG.id,
    email="a@b",
    role="caller",
    sha256=ids.digest("token"),
    invited_by="usr_1",
    expires_us=100,
    created_us=1,
)


def test_an_invitation_is_taken_once_in_time_and_unless_revoked(tmp_path: Path) -> None:
    path = tmp_path / "deeptoken.db"
    more = [
        msgspec.structs.replace(INVITATION, id=f"inv_{n}", sha256=ids.digest(f"token {n}")) for n in (2, 3)
    ]

    changed = posted(
        path,
        *BEGIN,
        *(add_invitation(one) for one in (INVITATION, *more)),
        accept_invitation("inv_1", "usr_2", 99),
        accept_invitation("inv_1", "usr_3", 99),
        revoke_invitation("inv_1", ORG.id, 99),
        accept_invitation("inv_2", "usr_2", 100),
        revoke_invitation("inv_3", "org_2", 50),
        revoke_invitation("inv_3", ORG.id, 50),
        accept_invitation("inv_3", "usr_2", 60),
    )

    assert changed[-7:] == [True, False, False, False, False, True, False]


def test_a_role_goes_once_nobody_has_it_or_will_have_it(tmp_path: Path) -> None:
    path = tmp_path / "deeptoken.db"

    changed = posted(
        path,
        *BEGIN,
        add_role(Role(org=ORG.id, name="caller", permissions=("calls.make",), created_us=1)),
        seat("usr_2", "caller"),
        remove_role(ORG.id, "caller", 99),
        seat("usr_2", "member", 2),
        add_invitation(INVITATION),
        remove_role(ORG.id, "caller", 99),
        remove_role(ORG.id, "caller", 100),
    )

    assert changed[-7:] == [True, True, False, True, True, False, True]


def test_an_organization_with_money_is_not_deleted(tmp_path: Path) -> None:
    path = tmp_path / "deeptoken.db"
    lot = Grant(wallet=ORG.id, lot="lot_1", amount=usd("0.000000001"), source="grant", ref="r")
    posted(path, *BEGIN, OpenWallet(wallet=ORG.id), lot)

    assert posted(path, delete_organization(ORG.id, 9)) == [False]
