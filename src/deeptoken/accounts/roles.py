"""Roles of an organization's own: sets of permissions, beside those that every organization has.

never in one     what only the owner may: org.delete, org.transfer
always with it   who reads all usage reads their own
"""

import re
from collections.abc import Iterable

import msgspec

from deeptoken import clock
from deeptoken.accounts.change import Actor, change
from deeptoken.accounts.invitations import state
from deeptoken.accounts.permissions import ensure_gives
from deeptoken.errors import BadRequest, Conflict
from deeptoken.identity.roles import OWNERS_ALONE, PERMISSIONS, ROLES
from deeptoken.ledger.postings import Edit
from deeptoken.store.queries.account_statements import add_role, remove_role, set_role
from deeptoken.store.queries.accounts import Invitation, Organization, Role, Seated

NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?")
ROLES_MAX = 100
"""Of one organization's own."""


class RoleShown(msgspec.Struct, frozen=True, kw_only=True):
    """A role as it is told to people."""

    name: str
    permissions: tuple[str, ...]
    builtin: bool
    """Every organization has it, and it cannot be changed."""
    created_us: int | None
    version: int | None


def shown(role: Role) -> RoleShown:
    return RoleShown(
        name=role.name,
        permissions=role.permissions,
        builtin=False,
        created_us=role.created_us,
        version=role.version,
    )


def builtin(name: str) -> RoleShown:
    permissions = tuple(one for one in PERMISSIONS if one in ROLES[name])
    return RoleShown(name=name, permissions=permissions, builtin=True, created_us=None, version=None)


def checked_name(name: str, others: Iterable[Role]) -> str:
    """Raises `BadRequest`: it is no name. `Conflict`: there is one of that name, or there are too many."""
    if not NAME.fullmatch(name):
        raise BadRequest(
            "name: at most 40 of a-z, 0-9, _ and -, with a letter or digit at either end.", param="name"
        )
    known = [role.name for role in others]
    if name in ROLES or name in known:
        raise Conflict(f"There is a role {name!r} already. Name it otherwise.", param="name")
    if len(known) >= ROLES_MAX:
        raise Conflict(f"An organization has at most {ROLES_MAX} roles of its own: delete one first.")
    return name


def checked_permissions(may: frozenset[str], wanted: Iterable[str]) -> tuple[str, ...]:
    """In their order, each once.

    Raises:
        BadRequest: one that is none, or that only the owner has.
        PermissionDenied: one that who gives it does not have.
    """
    told = frozenset(wanted)
    unknown = sorted(told - frozenset(PERMISSIONS))
    if unknown:
        raise BadRequest(
            f"permissions: there is none called {unknown[0]!r}. There are {', '.join(PERMISSIONS)}.",
            param="permissions",
        )
    alone = sorted(told & OWNERS_ALONE)
    if alone:
        raise BadRequest(f"permissions: only the owner has {alone[0]}.", param="permissions")
    if not told:
        raise BadRequest("permissions: a role has at least one.", param="permissions")
    if "usage.read" in told:
        told |= {"usage.own"}
    ensure_gives(may, told, "This role")
    return tuple(name for name in PERMISSIONS if name in told)


def create(actor: Actor, org: Organization, name: str, permissions: tuple[str, ...]) -> tuple[Edit, Role]:
    role = Role(org=org.id, name=name, permissions=permissions, created_us=clock.wall_us())
    after = {"permissions": permissions}
    return change(actor, "role.create", subject(org, role), add_role(role), tenant=org.id, after=after), role


def edit(
    actor: Actor, may: frozenset[str], org: Organization, role: Role, permissions: tuple[str, ...]
) -> Edit:
    """Raises `PermissionDenied`: the role has more than who would change it."""
    ensure_gives(may, role.permissions, f"The role {role.name!r}")
    wanted = msgspec.structs.replace(role, permissions=permissions)
    return change(
        actor,
        "role.change",
        subject(org, role),
        set_role(wanted),
        tenant=org.id,
        before={"permissions": role.permissions},
        after={"permissions": permissions},
    )


def delete(actor: Actor, may: frozenset[str], org: Organization, role: Role, *, given: bool) -> Edit:
    """`given`: a member has it, or an open invitation gives it.

    Raises:
        Conflict: it is given.
        PermissionDenied: the role has more than who would delete it.
    """
    ensure_gives(may, role.permissions, f"The role {role.name!r}")
    if given:
        raise Conflict(
            f"A member has the role {role.name!r}, or an open invitation gives it. Give them another, or "
            "revoke the invitation; then delete it."
        )
    return change(
        actor,
        "role.delete",
        subject(org, role),
        remove_role(org.id, role.name, clock.wall_us()),
        tenant=org.id,
        before={"permissions": role.permissions},
    )


def is_given(role: Role, seated: Iterable[Seated], invited: Iterable[Invitation]) -> bool:
    """Has a member the role, or does an open invitation give it?"""
    return any(row.member.role == role.name for row in seated) or any(
        row.role == role.name and state(row) == "open" for row in invited
    )


def subject(org: Organization, role: Role) -> str:
    """A role in the audit log."""
    return f"role:{org.slug}/{role.name}"
