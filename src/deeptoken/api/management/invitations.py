"""Invitations to an organization: ``/api/orgs/{slug}/invitations``, and how one is accepted."""

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from deeptoken import clock, ids
from deeptoken.accounts import invitations, letters
from deeptoken.accounts.invitations import DAYS, DAYS_MAX, GONE, InvitationShown
from deeptoken.accounts.members import Custom, custom_roles
from deeptoken.accounts.organizations import budget_of
from deeptoken.api.management.organizations import (
    ORG,
    OrganizationListed,
    listed,
    organization_of,
)
from deeptoken.api.management.route import Asked, Nothing, Page, Route, Slice, limit_of, one, sliced
from deeptoken.errors import Conflict, NotFound, PreconditionFailed
from deeptoken.store.queries.accounts import Invitation, Organization
from deeptoken.store.reads import Reader


class NewInvitation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to invite, as what, and for how many days the link works."""

    email: str
    role: str
    budget_usd: Decimal | None = None
    """What they may spend of the organization's money in a calendar month (UTC)."""
    days: Annotated[int, Meta(ge=1, le=DAYS_MAX)] = DAYS


class Invited(InvitationShown, frozen=True, kw_only=True):
    """An invitation with its token, which is shown this once."""

    token: str
    mailed: bool
    """It is sent to the address; else whoever made it passes the token on."""


class InvitationToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an invitation's link has."""

    token: Annotated[str, Meta(max_length=200)]


def _names(reader: Reader, rows: list[Invitation]) -> dict[str, str]:
    """Of the accounts in them."""
    named = {id for row in rows for id in (row.invited_by, row.accepted_by) if id is not None}
    return {id: name for id in named if (name := reader.owner(id)) is not None}


async def list_invitations(asked: Asked) -> Slice:
    limit, org = limit_of(asked.query), asked.org.id

    def ask(reader: Reader) -> tuple[list[Invitation], dict[str, str]]:
        rows = reader.invitations(org, after=asked.query.after, limit=limit + 1)
        return rows, _names(reader, rows)

    rows, names = await asked.world.read(ask)
    return sliced([invitations.shown(row, names) for row in rows], limit, lambda row: str(row.id))


async def create_invitation(asked: Asked) -> Invited:
    body = asked.body

    def ask(reader: Reader) -> tuple[Organization, Custom]:
        org = organization_of(reader, asked)
        return org, custom_roles(reader.roles(org.id))

    org, custom = await asked.world.read(ask)
    made, token = invitations.new_invitation(
        asked.actor, org, body.email, body.role, budget_of(body.budget_usd), body.days
    )
    await asked.change(invitations.create(asked.actor, asked.may, org, made, custom))
    shown = invitations.shown(made, {made.invited_by: asked.actor.name})
    settings = asked.world.settings
    if settings.email is not None:
        by, url = asked.actor.name, settings.server.public_url
        asked.world.mail.put_letter(letters.invitation(body.email, by, asked.path["slug"], url, token))
    mailed = settings.email is not None
    return Invited(**msgspec.structs.asdict(shown), token=token, mailed=mailed)


async def revoke_invitation(asked: Asked) -> Nothing:
    id = asked.path["id"]

    def ask(reader: Reader) -> tuple[Organization, Invitation | None]:
        org = organization_of(reader, asked)
        return org, reader.invitation_of(id, org.id)

    org, found = await asked.world.read(ask)
    await asked.change(invitations.revoke(asked.actor, org, one(found, "invitation", id)))
    return Nothing()


class Opened(msgspec.Struct, frozen=True):
    """An invitation that somebody has the token of, and what its maker may give by now."""

    invitation: Invitation
    org: Organization
    custom: Custom
    inviter: frozenset[str]


def is_invited(reader: Reader, address: str) -> bool:
    """Whether an open invitation of that address is still good."""
    found = [_opened(reader, one) for one in reader.invited(address, clock.wall_us())]
    return any(one is not None and "members.manage" in one.inviter for one in found)


def _opened(reader: Reader, found: Invitation | None) -> Opened | None:
    if found is None:
        return None
    org = reader.organization((reader.owner(found.org) or "").removeprefix("org:"))
    if org is None or org.deleted_us is not None:
        return None
    custom = custom_roles(reader.roles(org.id))
    seat, key = reader.seat(org.id, found.invited_by), reader.key(found.invited_by)
    return Opened(found, org, custom, invitations.inviter_may(found, seat, key, custom))


async def accept_invitation(asked: Asked) -> OrganizationListed:
    actor, sha256 = asked.actor, ids.digest(asked.body.token)
    assert actor.user is not None
    opened = await asked.world.read(lambda reader: _opened(reader, reader.invitation(sha256)))
    if opened is None:
        raise NotFound(GONE)
    org = opened.org
    if await asked.world.read(lambda reader: reader.seat(org.id, actor.user or "")) is not None:
        raise Conflict(f"You are a member of {org.slug!r} already.")
    try:
        await asked.change(invitations.accept(actor, org, opened.invitation, opened.inviter, opened.custom))
    except PreconditionFailed:
        # Somebody else followed the same link, or it was revoked, in the meantime.
        raise NotFound(GONE) from None
    tenant = asked.world.snapshot.organizations.find(org.slug)
    if tenant is None:
        raise NotFound(GONE)
    return listed(tenant, asked)


ROUTES: list[Route] = [
    Route(method="GET", path=f"{ORG}/invitations", needs="members.read", handler=list_invitations,
          query=Page, answer=list[InvitationShown], summary="The invitations, oldest first"),
    Route(method="POST", path=f"{ORG}/invitations", needs="members.manage", handler=create_invitation,
          body=NewInvitation, answer=Invited, status=201,
          summary="Invite somebody; the token of the link is shown this once"),
    Route(method="DELETE", path=f"{ORG}/invitations/{{id}}", needs="members.manage",
          handler=revoke_invitation, status=204, errors=(404, 409, 412), summary="Revoke an invitation"),
    Route(method="POST", path="/api/invitations/accept", needs="person", handler=accept_invitation,
          body=InvitationToken, answer=OrganizationListed, errors=(404, 409),
          summary="Become a member, by an invitation's token"),
]  # fmt: skip
