"""Keys and organizations from their rows, as the path of a call knows them."""

import ipaddress
from collections.abc import Iterable, Mapping

import msgspec

from deeptoken.catalog.model import Group
from deeptoken.identity.caller import Bounds, Caller, Network
from deeptoken.identity.keys import Keys
from deeptoken.identity.organizations import Organizations, Seat, Tenant, budget_limits, member_subject
from deeptoken.identity.roles import permissions_of
from deeptoken.ledger.postings import Limit
from deeptoken.store.queries.accounts import Member, Organization, Role
from deeptoken.store.queries.people import Key, User
from deeptoken.store.reads import Reader


class Owner(msgspec.Struct, frozen=True):
    """What a key has of its owner."""

    name: str
    group: Group
    suspended: bool
    subjects: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()
    webhook: str | None = None


def people(reader: Reader, groups: Mapping[str, Group]) -> tuple[Keys, Organizations, frozenset[str]]:
    """All keys and organizations as of now, and the ids of the operators."""
    organizations = tenants(reader.organizations(), reader.members(), reader.roles(), groups)
    users = reader.users()
    owners = _owners(users, organizations, groups)
    rows = reader.keys()
    in_use = {key.id: key for key in rows if key.revoked_us is None and key.out_of_file_us is None}
    callers: dict[bytes, Caller] = {}
    for key in in_use.values():
        parent = None if key.parent is None else in_use.get(key.parent)
        if key.owner in owners and (key.parent is None or parent is not None):
            callers[key.sha256] = caller_of(key, owners[key.owner], parent)
    revoked = {key.sha256 for key in rows if key.sha256 not in callers and key.out_of_file_us is None}
    operators = frozenset(user.id for user in users if user.operator and user.suspended_us is None)
    return Keys(callers, revoked), Organizations({org.slug: org for org in organizations}), operators


def caller_named(reader: Reader, key: Key, groups: Mapping[str, Group]) -> Caller:
    """One key's caller, also where the key is out of use."""
    organizations = tenants(reader.organizations(), reader.members(), reader.roles(), groups)
    rows = reader.keys()
    parent = next((row for row in rows if row.id == key.parent), None)
    owners = _owners(reader.users(), organizations, groups)
    gone = Owner(reader.owner(key.owner) or key.owner, tier_of(None, groups), suspended=True)
    return caller_of(key, owners.get(key.owner, gone), parent)


def _owners(
    users: Iterable[User], organizations: Iterable[Tenant], groups: Mapping[str, Group]
) -> dict[str, Owner]:
    owners = {user.id: _user_owner(user, groups) for user in users}
    return owners | {tenant.id: _tenant_owner(tenant) for tenant in organizations}


def _user_owner(user: User, groups: Mapping[str, Group]) -> Owner:
    return Owner(f"user:{user.name}", tier_of(user.tier, groups), user.suspended_us is not None)


def tier_of(tier: str | None, groups: Mapping[str, Group]) -> Group:
    """The group of that name; `default` where there is none (any more)."""
    return groups.get(tier or "default") or groups["default"]


def caller_of(key: Key, owner: Owner, parent: Key | None = None) -> Caller:
    """A key as the path of a call knows it, with what that needs of its owner and its parent."""
    limits, subjects = (*key.limits, *owner.limits), owner.subjects
    timeouts = [key.timeout_ms] if parent is None else [key.timeout_ms, parent.timeout_ms]
    ends = [key.expires_us] if parent is None else [key.expires_us, parent.expires_us]
    bounds = None
    if parent is not None:
        subjects = (parent.id, *subjects)
        limits += tuple(msgspec.structs.replace(limit, subject=parent.id) for limit in parent.limits)
        bounds = Bounds(parent.models, _networks(parent))
    timeout_ms = min((told for told in timeouts if told is not None), default=None)
    return Caller(
        key=key.id,
        key_name=key.name,
        owner=owner.name,
        wallet=key.owner,
        account=key.owner,
        group=owner.group,
        models=key.models,
        networks=_networks(key),
        limits=limits,
        timeout_s=None if timeout_ms is None else timeout_ms / 1_000,
        scope=key.scope,
        expires_us=min((end for end in ends if end is not None), default=None),
        suspended=owner.suspended,
        parent=bounds,
        cheaper_model=key.cheaper_model,
        webhook=key.webhook or owner.webhook,
        children=key.children,
        subjects=subjects,
    )


def _networks(key: Key) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in key.ips)


def tenants(
    organizations: Iterable[Organization],
    members: Iterable[Member],
    roles: Iterable[Role],
    groups: Mapping[str, Group],
) -> list[Tenant]:
    custom: dict[str, dict[str, tuple[str, ...]]] = {}
    for role in roles:
        custom.setdefault(role.org, {})[role.name] = role.permissions
    seats: dict[str, dict[str, Seat]] = {}
    for member in members:
        seats.setdefault(member.org, {})[member.user] = Seat(
            permissions_of(member.role, custom.get(member.org, {})),
            budget_limits(member.budget, member_subject(member.org, member.user)),
            member.role,
        )
    return [
        Tenant(
            id=org.id,
            slug=org.slug,
            group=tier_of(org.tier, groups),
            fallback=org.mode == "fallback",
            limits=budget_limits(org.budget, org.id),
            seats=seats.get(org.id, {}),
            suspended=org.suspended_us is not None,
            webhook=org.webhook,
        )
        for org in organizations
    ]


def _tenant_owner(tenant: Tenant) -> Owner:
    return Owner(tenant.owner, tenant.group, tenant.suspended, (tenant.id,), tenant.limits, tenant.webhook)
