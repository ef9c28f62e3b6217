"""Organizations that the file declares, as rows. What leaves the file stays, with its money."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from deeptoken import clock, ids
from deeptoken.accounts.administration import grant
from deeptoken.accounts.change import FILE as BY_FILE
from deeptoken.accounts.change import change
from deeptoken.accounts.organizations import budget_shown, edit, facts
from deeptoken.identity.roles import OWNER
from deeptoken.ledger.postings import OpenWallet, Posting
from deeptoken.money import NanoUsd
from deeptoken.settings import DeclaredOrganization
from deeptoken.store.queries.account_statements import (
    add_member,
    add_organization,
    remove_member,
    set_member,
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
            changes.append(
                change(
                    BY_FILE,
                    "org.create",
                    f"org:{one.slug}",
                    add_organization(wanted),
                    tenant=wanted.id,
                    after=facts(wanted),
                )
            )
        elif wanted != row:
            changes.append(edit(BY_FILE, row, wanted))
        changes.append(OpenWallet(wallet=wanted.id))
    named = {one.slug for one in declared}
    changes += [
        edit(BY_FILE, row, msgspec.structs.replace(row, from_file=False))
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
    names = {id: name for name, id in users.items()}
    changes: list[Posting] = []
    for one in declared:
        org = orgs[one.slug]
        seated = {user: member for (whose, user), member in known.items() if whose == org}
        owner = users[one.owner]
        wanted = {users[member.user]: (member.role, member.budget) for member in one.members}
        for user, member in seated.items():
            if member.role == OWNER and user not in wanted and user != owner:
                # There is one owner: the one before makes place.
                stays = msgspec.structs.replace(member, role="admin", from_file=False)
                changes.append(_changed(one.slug, names[user], member, stays))
        for user, (role, budget) in [*wanted.items(), (owner, (OWNER, None))]:
            changes += _seated(seated.get(user), one.slug, names[user], org, user, role, budget)
        # Members that the file never named were invited; those that it no longer names leave.
        changes += [
            change(
                BY_FILE,
                "member.remove",
                f"member:{one.slug}/{names[user]}",
                remove_member(org, user),
                tenant=org,
                before=_facts(member),
            )
            for user, member in seated.items()
            if member.from_file and user not in wanted and user != owner and member.role != OWNER
        ]
        changes += granted_once(reader, org, f"org:{one.slug}", one.grant)
    return changes


def granted_once(reader: Reader, wallet: str, name: str, amount: NanoUsd) -> Sequence[Posting]:
    """What the file gives a wallet to begin with, unless it was given."""
    ref = f"{FILE}:{wallet}"
    if not amount or reader.granted(ref):
        return ()
    return grant(BY_FILE, wallet, name, amount, ref=ref)[0]


def _seated(
    known: Member | None, slug: str, name: str, org: str, user: str, role: str, budget: int | None
) -> list[Posting]:
    if known is not None:
        wanted = msgspec.structs.replace(known, role=role, budget=budget, from_file=True)
        return [] if wanted == known else [_changed(slug, name, known, wanted)]
    made = Member(org=org, user=user, role=role, budget=budget, from_file=True, created_us=clock.wall_us())
    where = f"member:{slug}/{name}"
    return [change(BY_FILE, "member.add", where, add_member(made), tenant=org, after=_facts(made))]


def _changed(slug: str, name: str, before: Member, after: Member) -> Posting:
    return change(
        BY_FILE,
        "member.change",
        f"member:{slug}/{name}",
        set_member(after),
        tenant=before.org,
        before=_facts(before),
        after=_facts(after),
    )


def _facts(member: Member) -> dict[str, Any]:
    return {"role": member.role, "budget": budget_shown(member.budget)}
