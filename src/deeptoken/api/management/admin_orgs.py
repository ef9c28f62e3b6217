"""Organizations, as operators see them: ``/api/admin/orgs``."""

import msgspec
from msgspec import UNSET, UnsetType

from deeptoken import clock
from deeptoken.accounts import organizations
from deeptoken.accounts.organizations import OrganizationShown
from deeptoken.api.management.admin import known_tier
from deeptoken.api.management.route import Asked, Page, Route, Slice, limit_of, one, sliced
from deeptoken.store.queries.accounts import Organization

ORGS = "/api/admin/orgs"
NOTHING: frozenset[str] = frozenset()


class OrganizationRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is not there stays as it is. The calls of one that is suspended are refused."""

    tier: str | UnsetType | None = UNSET
    suspended: bool | UnsetType = UNSET


def _shown(org: Organization) -> OrganizationShown:
    return organizations.shown(org, None, NOTHING)


async def list_orgs(asked: Asked) -> Slice:
    limit, after = limit_of(asked.query), asked.query.after
    rows = await asked.world.read(lambda reader: reader.organizations())
    page = sorted((row for row in rows if row.slug > after), key=lambda row: row.slug)
    return sliced([_shown(org) for org in page[: limit + 1]], limit, lambda org: str(org.slug))


async def _org(asked: Asked) -> Organization:
    slug = asked.path["org"]
    found = await asked.world.read(lambda reader: reader.organization(slug))
    return one(None if found is None or found.deleted_us is not None else found, "organization", slug)


async def show_org(asked: Asked) -> OrganizationShown:
    return _shown(await _org(asked))


async def change_org(asked: Asked) -> OrganizationShown:
    org, body = await _org(asked), asked.body
    asked.matched(org.version)
    wanted = org
    if body.tier is not UNSET:
        organizations.ensure_not_of_file(org, "its tier")
        known_tier(asked, body.tier)
        wanted = msgspec.structs.replace(wanted, tier=body.tier)
    if body.suspended is not UNSET and body.suspended != (org.suspended_us is not None):
        at_us = clock.wall_us() if body.suspended else None
        wanted = msgspec.structs.replace(wanted, suspended_us=at_us)
    if wanted != org:
        await asked.change(organizations.edit(asked.actor, org, wanted))
    return await show_org(asked)


ROUTES = [
    Route(
        method="GET",
        path=ORGS,
        needs="operator",
        handler=list_orgs,
        summary="All organizations, by slug",
        answer=list[OrganizationShown],
        query=Page,
    ),
    Route(
        method="GET",
        path=f"{ORGS}/{{org}}",
        needs="operator",
        handler=show_org,
        summary="One organization",
        answer=OrganizationShown,
        errors=(404,),
    ),
    Route(
        method="PATCH",
        path=f"{ORGS}/{{org}}",
        needs="operator",
        handler=change_org,
        summary="Tier, and whether it is suspended",
        answer=OrganizationShown,
        body=OrganizationRule,
        matched=True,
        errors=(404, 409),
    ),
]
