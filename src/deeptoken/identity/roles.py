"""What somebody may do in an organization: permissions, and the roles that are sets of them. Pure.

    owner     everything
    admin     all but to delete the organization or to hand it over
    billing   usage and money; no members, no keys
    member    calls, and what these came to
    viewer    what the pages show, and the audit log; no calls

A custom role is a set of the same permissions. Nobody gives what they do not have themselves.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, get_args

Permission = Literal[
    "org.read",
    "settings.manage",
    "org.transfer",
    "org.delete",
    "members.read",
    "members.manage",
    "roles.manage",
    "keys.read",
    "keys.manage",
    "calls.make",
    "usage.own",
    "usage.read",
    "billing.read",
    "billing.manage",
    "audit.read",
]
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)

OWNER = "owner"
OWNERS_ALONE: frozenset[Permission] = frozenset({"org.transfer", "org.delete"})
"""No role but the owner's has these."""

ROLES: Mapping[str, frozenset[Permission]] = MappingProxyType(
    {
        OWNER: frozenset(PERMISSIONS),
        "admin": frozenset(PERMISSIONS) - OWNERS_ALONE,
        "billing": frozenset({"org.read", "usage.own", "usage.read", "billing.read", "billing.manage"}),
        "member": frozenset({"org.read", "calls.make", "usage.own"}),
        "viewer": frozenset(
            {"org.read", "members.read", "usage.own", "usage.read", "billing.read", "audit.read"}
        ),
    }
)
"""Those that every organization has."""


def permissions_of(role: str, custom: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """What a role may; one that is not there (any more) may nothing."""
    if role in ROLES:
        return ROLES[role]
    return frozenset(custom.get(role, ())) - OWNERS_ALONE
