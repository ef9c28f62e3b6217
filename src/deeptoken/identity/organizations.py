"""Organizations as the path of a call knows them: whose money a call may spend, and how much of it.

a key of the organization's own       its wallet
a personal key with X-DeepToken-Org   its wallet, for a member who may make calls;
                                      in the mode `fallback` then the member's own
"""

from collections.abc import Mapping

import msgspec

from deeptoken.catalog.model import Group
from deeptoken.errors import NotAMember, OrganizationMismatch, OrganizationNotFound, PermissionDenied
from deeptoken.identity.caller import Caller
from deeptoken.ledger.postings import MONTH_US, Limit


class Seat(msgspec.Struct, frozen=True):
    """A member: what it may, and how much of the organization's money in a month."""

    permissions: frozenset[str]
    limits: tuple[Limit, ...] = ()
    role: str = ""


class Tenant(msgspec.Struct, frozen=True):
    """An organization."""

    id: str
    slug: str
    group: Group
    fallback: bool
    limits: tuple[Limit, ...] = ()
    seats: Mapping[str, Seat] = {}
    """By the ids of users."""
    suspended: bool = False
    webhook: str | None = None
    """Who is told when a budget is nearly used."""

    @property
    def owner(self) -> str:
        return f"org:{self.slug}"


class Organizations:
    """All of them, by slug. A snapshot: a change makes a new one."""

    def __init__(self, tenants: Mapping[str, Tenant]) -> None:
        self._tenants = tenants

    def find(self, slug: str) -> Tenant | None:
        return self._tenants.get(slug)

    def of(self, user: str) -> list[tuple[Tenant, Seat]]:
        """Those that a user belongs to, by slug."""
        return [(tenant, tenant.seats[user]) for tenant in self._tenants.values() if user in tenant.seats]

    def charged(self, caller: Caller, slug: str) -> Caller:
        """The same caller on the account of this organization.

        Raises:
            OrganizationMismatch: the key belongs to another one.
            OrganizationNotFound, NotAMember: as it says.
            PermissionDenied: the member's role makes no calls.
        """
        if not caller.personal:
            if caller.owner == f"org:{slug}":
                return caller
            raise OrganizationMismatch(
                f"This API key belongs to {caller.owner} and cannot charge {slug!r}. "
                "Leave X-DeepToken-Org out."
            )
        tenant = self._tenants.get(slug)
        if tenant is None:
            raise OrganizationNotFound(
                f"There is no organization {slug!r}. X-DeepToken-Org takes a slug, such as acme."
            )
        seat = tenant.seats.get(caller.account)
        if seat is None:
            raise NotAMember(f"{caller.owner} is no member of {slug!r}. Ask one of its admins to invite you.")
        if "calls.make" not in seat.permissions:
            raise PermissionDenied(f"Your role in {slug!r} makes no calls. Ask its admins for another.")
        return msgspec.structs.replace(
            caller,
            owner=tenant.owner,
            wallet=tenant.id,
            group=tenant.group,
            limits=(*caller.limits, *tenant.limits, *seat.limits),
            subjects=(*caller.subjects, tenant.id, member_subject(tenant.id, caller.account)),
            fallback=caller.wallet if tenant.fallback else None,
            fallback_owner=caller.owner if tenant.fallback else "",
            suspended=caller.suspended or tenant.suspended,
            webhook=caller.webhook or tenant.webhook,
        )


def member_subject(org: str, user: str) -> str:
    """At whose limits a member's calls on the organization's account count."""
    return f"{org}/{user}"


def budget_limits(budget: int | None, subject: str) -> tuple[Limit, ...]:
    """A monthly budget as the ledger takes it."""
    return () if budget is None else (Limit("usd", MONTH_US, budget, "month", subject),)
