"""Organizations that the file declares, as rows. What leaves the file stays, with its money."""

from collections.abc import Mapping

import msgspec

from deeptoken import clock, ids
from deeptoken.identity.roles import OWNER
from deeptoken.ledger.postings import Grant, OpenWallet, Posting
from deeptoken.settings import DeclaredOrganization
from deeptoken.store.queries.account_statements import (
    add_member,
    add_organization,
    remove_member,
    set_member,
    set_organization,
)
from deeptoken.store.queries.accounts import Member, Organization
from deeptoken.store.reads import Reader

FILE = "file"


def organization_rows(declared: tuple[DeclaredOrganization, ...], reader: Reader) -> list[Posting]:
    """What makes the database say what the file says of organizations. Nothing, if it does."""
    known = {org.slug: org for org in reader.organizations()}
    changes: list[Posting] = []
    for one in declared:
        row = known.get(one.slug)
        made = Organization(id=ids.new_id("org"), slug=one.slug, name=one.slug, created_us=clock.wall_us())
        wanted = msgspec.structs.replace(
            row or made,
            name=one.name or one.slug,
            mode=one.mode,
            tier=one.tier,
            budget=one.budget,
            from_file=True,
        )
        if row is None:
            changes.append(add_organization(wanted))
        elif wanted != row:
            changes.append(set_organization(wanted))
        changes.append(OpenWallet(wallet=wanted.id))
    named = {one.slug for one in declared}
    changes += [
        set_organization(msgspec.structs.replace(row, from_file=False))
        for row in known.values()
        if row.from_file and row.slug not in named
    ]
    return changes


def member_rows(
    declared: tuple[DeclaredOrganization, ...], reader: Reader, users: Mapping[str, str]
) -> list[Posting]:
    """The same of their members and grants, once they are there. `users` are ids by name."""
    orgs = {org.slug: org.id for org in reader.organizations()}
    known = {(member.org, member.user): member for member in reader.members()}
    changes: list[Posting] = []
    for one in declared:
        org = orgs[one.slug]
        seated = {user: member for (whose, user), member in known.items() if whose == org}
        owner = users[one.owner]
        wanted = {users[member.user]: (member.role, member.budget) for member in one.members}
        for user, member in seated.items():
            if member.role == OWNER and user not in wanted and user != owner:
                # There is one owner: the one before makes place.
                changes.append(set_member(msgspec.structs.replace(member, role="admin", from_file=False)))
        for user, (role, budget) in [*wanted.items(), (owner, (OWNER, None))]:
            changes += _seated(seated.get(user), org, user, role, budget)
        # Members that the file never named were invited; those that it no longer names leave.
        changes += [
            remove_member(org, user)
            for user, member in seated.items()
            if member.from_file and user not in wanted and user != owner and member.role != OWNER
        ]
        if one.grant:
            lot = ids.new_id("lot")
            changes.append(Grant(wallet=org, lot=lot, amount=one.grant, source="grant", ref=f"{FILE}:{org}"))
    return changes


def _seated(known: Member | None, org: str, user: str, role: str, budget: int | None) -> list[Posting]:
    if known is None:
        made = Member(
            org=org, user=user, role=role, budget=budget, from_file=True, created_us=clock.wall_us()
        )
        return [add_member(made)]
    wanted = msgspec.structs.replace(known, role=role, budget=budget, from_file=True)
    return [] if wanted == known else [set_member(wanted)]
