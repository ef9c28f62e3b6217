"""Who one is: ``/api/me``."""

import msgspec

from deeptoken.api.management.organizations import OrganizationListed, listed, tenants_of
from deeptoken.api.management.route import Asked, Route


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """The account that asks: a user, or an organization by a key of its own."""

    account: str
    """``user:ops``, ``org:acme``."""
    id: str
    tier: str
    operator: bool
    """Administers this installation."""
    organizations: list[OrganizationListed]


async def show_me(asked: Asked) -> Me:
    actor, tenants = asked.actor, tenants_of(asked)
    assert actor.account is not None
    if actor.user is None:
        told = tenants[0].group.name if tenants else None
    else:
        told = await asked.world.read(lambda reader: reader.tier(actor.account or ""))
    return Me(
        account=actor.name,
        id=actor.account,
        tier=told if told is not None and told in asked.groups else "default",
        operator=actor.operator,
        organizations=[listed(tenant, asked) for tenant in tenants],
    )


ROUTES = [
    Route(method="GET", path="/api/me", needs="account", handler=show_me, answer=Me,
          summary="The account that asks: its tier and its organizations"),
]  # fmt: skip
