"""Members of an organization: ``/api/orgs/{slug}/members``. A member has the user's name."""

from decimal import Decimal

import msgspec
from msgspec import UNSET, UnsetType

from deeptoken.accounts import members
from deeptoken.accounts.members import Custom, MemberShown, custom_roles
from deeptoken.accounts.organizations import budget_of
from deeptoken.api.management.organizations import ORG, organization_of
from deeptoken.api.management.route import Asked, Nothing, Page, Route, Slice, limit_of, one, sliced
from deeptoken.store.queries.accounts import Organization, Seated
from deeptoken.store.reads import Reader


class MemberSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is not there stays as it is. `budget_usd` is USD in a calendar month (UTC), null: no limit."""

    role: str | UnsetType = UNSET
    budget_usd: Decimal | UnsetType | None = UNSET


async def _found(asked: Asked) -> tuple[Organization, Seated, Custom]:
    user = asked.path["user"]

    def ask(reader: Reader) -> tuple[Organization, Seated | None, Custom]:
        org = organization_of(reader, asked)
        return org, reader.seated_named(org.id, user), custom_roles(reader.roles(org.id))

    org, seated, custom = await asked.world.read(ask)
    return org, one(seated, "member", user), custom


async def list_members(asked: Asked) -> Slice:
    limit, org = limit_of(asked.query), asked.org.id
    rows, roles = await asked.world.read(
        lambda reader: (reader.seated(org, after=asked.query.after, limit=limit + 1), reader.roles(org))
    )
    page = sliced(rows, limit, lambda row: str(row.member.user))
    custom = custom_roles(roles)
    return Slice([members.shown(row, custom) for row in page.data], page.next)


async def show_member(asked: Asked) -> MemberShown:
    _, seated, custom = await _found(asked)
    return members.shown(seated, custom)


async def change_member(asked: Asked) -> MemberShown:
    org, seated, custom = await _found(asked)
    before, body = seated.member, asked.body
    asked.matched(before.version)
    after = msgspec.structs.replace(
        before,
        role=before.role if body.role is UNSET else body.role,
        budget=before.budget if body.budget_usd is UNSET else budget_of(body.budget_usd),
    )
    wanted = Seated(after, seated.name, seated.suspended)
    done = members.edit(asked.actor, asked.may, org, seated, wanted, custom)
    if wanted == seated:
        return members.shown(seated, custom)
    await asked.change(done)
    counted = msgspec.structs.replace(after, version=before.version + 1)
    return members.shown(msgspec.structs.replace(wanted, member=counted), custom)


async def remove_member(asked: Asked) -> Nothing:
    org, seated, custom = await _found(asked)
    await asked.change(members.remove(asked.actor, asked.may, org, seated, custom))
    return Nothing()


ROUTES: list[Route] = [
    Route(method="GET", path=f"{ORG}/members", needs="members.read", handler=list_members, query=Page,
          answer=list[MemberShown], summary="The members"),
    Route(method="GET", path=f"{ORG}/members/{{user}}", needs="members.read", handler=show_member,
          answer=MemberShown, oneself=True, errors=(404,), summary="One member; each sees their own seat"),
    Route(method="PATCH", path=f"{ORG}/members/{{user}}", needs="members.manage", handler=change_member,
          body=MemberSettings, answer=MemberShown, matched=True, errors=(404, 409),
          summary="Change a member's role or budget"),
    Route(method="DELETE", path=f"{ORG}/members/{{user}}", needs="members.manage", handler=remove_member,
          status=204, oneself=True, errors=(404, 409, 412),
          summary="Remove a member; each may leave, but for the owner"),
]  # fmt: skip
