"""What somebody may in an organization, and what they may give to others: never more than they have. Pure."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from deeptoken.accounts.change import Actor
from deeptoken.errors import PermissionDenied
from deeptoken.identity.organizations import Tenant
from deeptoken.identity.roles import OWNERS_ALONE, PERMISSIONS

ALL: frozenset[str] = frozenset(PERMISSIONS)
"""What the command line may."""
MACHINE: frozenset[str] = ALL - OWNERS_ALONE
"""What a key of an organization's own may in it."""
SCOPES: Mapping[str, frozenset[str]] = MappingProxyType(
    {"call": frozenset({"calls.make"}), "read": frozenset({"usage.read"}), "manage": MACHINE}
)
"""What a key of an organization can do, by its scope."""


def belongs(tenant: Tenant, actor: Actor) -> bool:
    """Is the actor a member, or a key of the organization's own?"""
    return actor.account is not None and (actor.account == tenant.id or actor.account in tenant.seats)


def permissions_in(tenant: Tenant, actor: Actor) -> frozenset[str]:
    """What somebody may in an organization; nothing, who does not belong to it."""
    if actor.account == tenant.id:
        return MACHINE
    seat = None if actor.account is None else tenant.seats.get(actor.account)
    return frozenset() if seat is None else seat.permissions


def ensure_gives(may: frozenset[str], given: Iterable[str], what: str) -> None:
    """Raises `PermissionDenied`: `what` would have a permission that who gives it does not have."""
    lacking = sorted(frozenset(given) - may)
    if lacking:
        raise PermissionDenied(
            f"{what} has permissions that your role does not have: {', '.join(lacking)}. "
            "Ask somebody who has them."
        )
