"""Organizations: ``/api/orgs``. What is under one, ``/api/orgs/{slug}/...``, has modules of its own."""

from decimal import Decimal
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from deeptoken.accounts import members, organizations
from deeptoken.accounts.keys import Webhook, checked_webhook
from deeptoken.accounts.organizations import OrganizationShown
from deeptoken.accounts.permissions import permissions_in
from deeptoken.api.management.keys import routes as key_routes
from deeptoken.api.management.route import Asked, Nothing, Page, Route, Slice, limit_of, one, sliced
from deeptoken.errors import OrganizationNotFound
from deeptoken.identity.organizations import Tenant
from deeptoken.identity.roles import OWNER, PERMISSIONS
from deeptoken.store.queries.accounts import Organization, Seated
from deeptoken.store.reads import Reader

Mode = Literal["strict", "fallback"]
ORG = "/api/orgs/{slug}"


class OrganizationListed(msgspec.Struct, frozen=True, kw_only=True):
    """An organization that one belongs to: as what."""

    slug: str
    role: str | None
    """An organization's own key has none."""
    permissions: tuple[str, ...]
    mode: str
    state: str
    """``active`` or ``suspended``."""


class NewOrganization(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An organization to be made; who makes it is its owner."""

    slug: str
    name: str | None = None
    mode: Mode = "strict"


class OrganizationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is not there stays as it is. `budget_usd` is USD in a calendar month (UTC), null: no limit."""

    name: str | UnsetType = UNSET
    mode: Mode | UnsetType = UNSET
    budget_usd: Decimal | UnsetType | None = UNSET
    webhook: Webhook | UnsetType | None = UNSET


class WalletSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an organization's money is spent; see `OrganizationSettings`."""

    mode: Mode | UnsetType = UNSET
    budget_usd: Decimal | UnsetType | None = UNSET


class Heir(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The member to whom an organization is handed over, by name."""

    user: str


def organization_of(reader: Reader, asked: Asked) -> Organization:
    """The row of the organization that the path names.

    Raises:
        OrganizationNotFound: it was deleted since the request came.
    """
    found = reader.organization(asked.org.slug)
    if found is None or found.deleted_us is not None:
        raise OrganizationNotFound(f"There is no organization {asked.org.slug!r} that you belong to.")
    return found


def listed(tenant: Tenant, asked: Asked) -> OrganizationListed:
    may = permissions_in(tenant, asked.actor)
    return OrganizationListed(
        slug=tenant.slug,
        role=role_in(tenant, asked),
        permissions=tuple(name for name in PERMISSIONS if name in may),
        mode="fallback" if tenant.fallback else "strict",
        state="suspended" if tenant.suspended else "active",
    )


def role_in(tenant: Tenant, asked: Asked) -> str | None:
    seat = tenant.seats.get(asked.actor.account or "")
    return None if seat is None else seat.role


def tenants_of(asked: Asked) -> list[Tenant]:
    """Those that the actor belongs to, by slug; of an organization's own key just that one."""
    known, actor = asked.world.snapshot.organizations, asked.actor
    if actor.user is not None:
        return [tenant for tenant, _ in known.of(actor.user)]
    own = known.find(actor.name.removeprefix("org:"))
    return [] if own is None else [own]


async def list_organizations(asked: Asked) -> Slice:
    limit = limit_of(asked.query)
    rows = [listed(tenant, asked) for tenant in tenants_of(asked) if tenant.slug > asked.query.after]
    return sliced(rows[: limit + 1], limit, lambda row: str(row.slug))


async def create_organization(asked: Asked) -> OrganizationShown:
    actor, body = asked.actor, asked.body
    assert actor.user is not None
    org = organizations.new_organization(body.slug, body.name, body.mode)
    organizations.ensure_free(org.slug, await asked.world.read(lambda reader: reader.organization(org.slug)))
    await asked.change(*organizations.create(actor, org, actor.user, actor.name.removeprefix("user:")))
    return organizations.shown(org, OWNER, frozenset(PERMISSIONS))


async def show_organization(asked: Asked) -> OrganizationShown:
    org = await asked.world.read(lambda reader: organization_of(reader, asked))
    return organizations.shown(org, role_in(asked.org, asked), asked.may)


async def change_organization(asked: Asked) -> OrganizationShown:
    org = await asked.world.read(lambda reader: organization_of(reader, asked))
    organizations.ensure_not_of_file(org)
    asked.matched(org.version)
    body = asked.body
    wanted = msgspec.structs.replace(
        org,
        mode=org.mode if body.mode is UNSET else body.mode,
        budget=org.budget if body.budget_usd is UNSET else organizations.budget_of(body.budget_usd),
    )
    if isinstance(body, OrganizationSettings):
        wanted = msgspec.structs.replace(
            wanted,
            name=org.name if body.name is UNSET else organizations.checked_name(body.name),
            webhook=org.webhook if body.webhook is UNSET else checked_webhook(body.webhook),
        )
    if wanted != org:
        await asked.change(organizations.edit(asked.actor, org, wanted))
        wanted = msgspec.structs.replace(wanted, version=org.version + 1)
    return organizations.shown(wanted, role_in(asked.org, asked), asked.may)


async def delete_organization(asked: Asked) -> Nothing:
    def ask(reader: Reader) -> tuple[Organization, list[str]]:
        org = organization_of(reader, asked)
        rows = reader.keys_of(org.id, "", 1_000_000)
        return org, [key.id for key in rows if key.revoked_us is None]

    org, working = await asked.world.read(ask)
    wallet = await asked.world.read(lambda reader: reader.wallet(org.id))
    await asked.change(organizations.delete(asked.actor, org, wallet, working))
    return Nothing()


async def transfer_organization(asked: Asked) -> OrganizationShown:
    heir = asked.body.user

    def ask(reader: Reader) -> tuple[Organization, Seated, Seated | None]:
        org = organization_of(reader, asked)
        owner = reader.seated_owner(org.id)
        assert owner is not None, "an organization has an owner"
        return org, owner, reader.seated_named(org.id, heir)

    org, old, new = await asked.world.read(ask)
    await asked.change(members.transfer(asked.actor, org, old, one(new, "member", heir)))
    return await show_organization(again(asked))


def again(asked: Asked) -> Asked:
    """The same request, about the organization as it is by now."""
    return msgspec.structs.replace(asked, tenant=asked.world.snapshot.organizations.find(asked.org.slug))


ROUTES: list[Route] = [
    Route(method="GET", path="/api/orgs", needs="account", handler=list_organizations, query=Page,
          answer=list[OrganizationListed], summary="The organizations that one belongs to, by slug"),
    Route(method="POST", path="/api/orgs", needs="person", handler=create_organization, body=NewOrganization,
          answer=OrganizationShown, status=201, errors=(409,),
          summary="A new organization with a wallet of its own; who makes it is its owner"),
    Route(method="GET", path=ORG, needs="org.read", handler=show_organization, answer=OrganizationShown,
          errors=(404,), summary="One organization"),
    Route(method="PATCH", path=ORG, needs="settings.manage", handler=change_organization,
          body=OrganizationSettings, answer=OrganizationShown, matched=True, errors=(404, 409),
          summary="Change its name, mode, budget or webhook"),
    Route(method="PATCH", path=f"{ORG}/wallet", needs="billing.manage", handler=change_organization,
          body=WalletSettings, answer=OrganizationShown, matched=True, errors=(404, 409),
          summary="Change its mode or budget"),
    Route(method="DELETE", path=ORG, needs="org.delete", handler=delete_organization, status=204,
          errors=(404, 409, 412), summary="End an organization without money, and its keys"),
    Route(method="POST", path=f"{ORG}/transfer", needs="org.transfer", handler=transfer_organization,
          body=Heir, answer=OrganizationShown, errors=(404, 409, 412),
          summary="Make another member the owner; the old one becomes an admin"),
    *key_routes(f"{ORG}/keys", "keys.read", "keys.manage", "The organization's"),
]  # fmt: skip
