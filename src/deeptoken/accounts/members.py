"""Members of an organization: their roles and budgets, how they leave, how its owner hands it over.

Nobody gives a role that has more than their own, nobody touches who has more than they have, and the owner's
seat changes only when the owner hands it over.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from deeptoken.accounts.change import Actor, change
from deeptoken.accounts.organizations import budget_shown, ensure_not_of_file
from deeptoken.accounts.permissions import ALL, ensure_gives
from deeptoken.errors import BadRequest, Conflict, PermissionDenied
from deeptoken.identity.roles import OWNER, PERMISSIONS, ROLES, permissions_of
from deeptoken.ledger.postings import Edit
from deeptoken.store.queries.account_statements import add_member, remove_member, set_member
from deeptoken.store.queries.accounts import Member, Organization, Role, Seated

Custom = Mapping[str, Iterable[str]]
"""The permissions of an organization's own roles, by name."""


class MemberShown(msgspec.Struct, frozen=True, kw_only=True):
    """A member as it is told to people. `budget` is credits of the organization's money in a month."""

    user: str
    role: str
    permissions: tuple[str, ...]
    budget: Decimal | None
    source: str
    """``file`` or ``database``."""
    created_us: int
    version: int


def custom_roles(roles: Iterable[Role]) -> Custom:
    return {role.name: role.permissions for role in roles}


def shown(seated: Seated, custom: Custom) -> MemberShown:
    member = seated.member
    may = permissions_of(member.role, custom)
    return MemberShown(
        user=seated.name,
        role=member.role,
        permissions=tuple(name for name in PERMISSIONS if name in may),
        budget=budget_shown(member.budget),
        source="file" if member.from_file else "database",
        created_us=member.created_us,
        version=member.version,
    )


def ensure_role(may: frozenset[str], role: str, custom: Custom) -> None:
    """That a role may be given by who has these permissions.

    Raises:
        BadRequest: there is none of that name, or it is the owner's.
        PermissionDenied: it has more.
    """
    if role == OWNER:
        raise BadRequest(
            "role: an organization has one owner, who hands it over by a transfer.", param="role"
        )
    if role not in ROLES and role not in custom:
        names = ", ".join([*(name for name in ROLES if name != OWNER), *custom])
        raise BadRequest(f"role: there is no role {role!r} here. There are {names}.", param="role")
    ensure_gives(may, permissions_of(role, custom), f"The role {role!r}")


def ensure_touches(may: frozenset[str], seated: Seated, custom: Custom) -> None:
    """That who has these permissions may change or remove a member.

    Raises:
        Conflict: it is the owner, or the file declares it.
        PermissionDenied: it has more.
    """
    if seated.member.role == OWNER:
        raise Conflict(
            f"{seated.name} is the owner: that changes only when the owner transfers the organization."
        )
    if seated.member.from_file:
        raise Conflict(f"The configuration file declares the member {seated.name}: change it there.")
    ensure_gives(may, permissions_of(seated.member.role, custom), seated.name)


def edit(
    actor: Actor, may: frozenset[str], org: Organization, before: Seated, after: Seated, custom: Custom
) -> Edit:
    """Role and budget, from what was read to what is wanted; nothing if it has changed since."""
    ensure_touches(may, before, custom)
    if after.member.role != before.member.role:
        ensure_role(may, after.member.role, custom)
    if after.member.budget != before.member.budget and actor.account == before.member.user:
        raise PermissionDenied("Nobody changes their own budget: ask another who manages the members.")
    return change(
        actor,
        "member.change",
        subject(org, before),
        set_member(after.member),
        tenant=org.id,
        before=_facts(before),
        after=_facts(after),
    )


def add(
    actor: Actor, may: frozenset[str], org: Organization, name: str, member: Member, custom: Custom
) -> Edit:
    """Without an invitation: at the command line. `name` is the user's."""
    ensure_role(may, member.role, custom)
    seated = Seated(member, name, suspended=False)
    return change(
        actor, "member.add", subject(org, seated), add_member(member), tenant=org.id, after=_facts(seated)
    )


def remove(actor: Actor, may: frozenset[str], org: Organization, seated: Seated, custom: Custom) -> Edit:
    """Also oneself.

    Raises:
        Conflict: the owner must hand the organization over first.
    """
    if actor.account == seated.member.user and seated.member.role == OWNER:
        raise Conflict("You are the owner: transfer the organization to another member, then leave.")
    ensure_touches(ALL if actor.account == seated.member.user else may, seated, custom)
    return change(
        actor,
        "member.remove",
        subject(org, seated),
        remove_member(org.id, seated.member.user),
        tenant=org.id,
        before=_facts(seated),
    )


def transfer(actor: Actor, org: Organization, old: Seated, new: Seated) -> Edit:
    """To another member; the old owner becomes an admin. Nothing if either has changed since.

    Raises:
        Conflict: it cannot be so.
        PermissionDenied: the actor is not the owner any more.
    """
    ensure_not_of_file(org, "its owner")
    if actor.account is not None and actor.account != old.member.user:
        raise PermissionDenied(f"{old.name} is the owner of {org.slug!r} now, and alone transfers it.")
    if new.member.user == old.member.user:
        raise Conflict(f"{new.name} is the owner already.")
    if new.suspended:
        raise Conflict(f"{new.name} is suspended: name another member.")
    # There is one owner at any time: the old one makes place first.
    admin = msgspec.structs.replace(old.member, role="admin", from_file=False)
    owner = msgspec.structs.replace(new.member, role=OWNER, budget=None, from_file=False)
    return change(
        actor,
        "org.transfer",
        f"org:{org.slug}",
        set_member(admin),
        set_member(owner),
        tenant=org.id,
        before={"owner": old.name},
        after={"owner": new.name},
    )


def subject(org: Organization, seated: Seated) -> str:
    """A member in the audit log."""
    return f"member:{org.slug}/{seated.name}"


def _facts(seated: Seated) -> dict[str, Any]:
    return {"role": seated.member.role, "budget": budget_shown(seated.member.budget)}
