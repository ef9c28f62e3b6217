"""Invitations: a link that makes whoever follows it a member, once, until it expires.

    open -> accepted | revoked | expired

The token is shown once; only its SHA-256 is kept. An invitation gives what its maker may still give when
it is accepted: who loses the right to invite leaves no open door behind.
"""

import re
from decimal import Decimal
from typing import Any

import msgspec

from deeptoken import clock, ids
from deeptoken.accounts import keys
from deeptoken.accounts.change import COMMAND_LINE, Actor, change
from deeptoken.accounts.members import Custom, ensure_role
from deeptoken.accounts.organizations import budget_shown
from deeptoken.accounts.permissions import ALL, MACHINE
from deeptoken.errors import BadRequest, Conflict, NotFound, Refused
from deeptoken.identity.roles import permissions_of
from deeptoken.ledger.postings import Edit
from deeptoken.store.queries.account_statements import (
    accept_invitation,
    add_invitation,
    add_member,
    revoke_invitation,
)
from deeptoken.store.queries.accounts import Invitation, Member, Organization, Seated
from deeptoken.store.queries.people import Key

ADDRESS = re.compile(r"[^\s@:/\x00-\x1f]{1,64}@[^\s@:/\x00-\x1f]{1,190}")
DAYS = 7
DAYS_MAX = 30
DAY_US = 86_400_000_000
GONE = "There is no such invitation, or it is not open any more. Ask for another."


class InvitationShown(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation as it is told to people: never its token. `budget` is credits in a month."""

    id: str
    email: str
    role: str
    budget: Decimal | None
    state: str
    """``open``, ``accepted``, ``revoked``, ``expired``."""
    invited_by: str
    accepted_by: str | None
    created_us: int
    expires_us: int
    accepted_us: int | None
    revoked_us: int | None


def shown(invitation: Invitation, names: dict[str, str]) -> InvitationShown:
    """`names` of the accounts in it, by their ids."""
    return InvitationShown(
        id=invitation.id,
        email=invitation.email,
        role=invitation.role,
        budget=budget_shown(invitation.budget),
        state=state(invitation),
        invited_by=names.get(invitation.invited_by, invitation.invited_by),
        accepted_by=None
        if invitation.accepted_by is None
        else names.get(invitation.accepted_by, invitation.accepted_by),
        created_us=invitation.created_us,
        expires_us=invitation.expires_us,
        accepted_us=invitation.accepted_us,
        revoked_us=invitation.revoked_us,
    )


def state(invitation: Invitation) -> str:
    if invitation.accepted_us is not None:
        return "accepted"
    if invitation.revoked_us is not None:
        return "revoked"
    return "expired" if invitation.expires_us <= clock.wall_us() else "open"


def new_invitation(
    actor: Actor, org: Organization, email: str, role: str, budget: int | None, days: int
) -> tuple[Invitation, str]:
    """With its token.

    Raises:
        BadRequest: that is no address.
    """
    if not ADDRESS.fullmatch(email):
        raise BadRequest("email: an e-mail address, such as bob@example.com.", param="email")
    token, now_us = ids.new_token(), clock.wall_us()
    made = Invitation(
        id=ids.new_id("inv"),
        org=org.id,
        email=email,
        role=role,
        budget=budget,
        sha256=ids.digest(token),
        invited_by=actor.user or actor.by or actor.name,
        expires_us=now_us + days * DAY_US,
        created_us=now_us,
    )
    return made, token


def create(
    actor: Actor, may: frozenset[str], org: Organization, invitation: Invitation, custom: Custom
) -> Edit:
    """Raises `BadRequest`: there is no such role. `PermissionDenied`: it has more than who gives it."""
    ensure_role(may, invitation.role, custom)
    return change(
        actor,
        "invitation.create",
        subject(org, invitation),
        add_invitation(invitation),
        tenant=org.id,
        after=_facts(invitation) | {"expires_us": invitation.expires_us},
    )


def accept(
    actor: Actor, org: Organization, invitation: Invitation, inviter: frozenset[str], custom: Custom
) -> Edit:
    """A seat for the actor. `inviter` is what who made the invitation may in the organization now.

    Raises:
        NotFound: it is not open, or is not good any more.
    """
    assert actor.user is not None
    if state(invitation) != "open" or "members.manage" not in inviter:
        raise NotFound(GONE)
    try:
        ensure_role(inviter, invitation.role, custom)
    except Refused:
        raise NotFound(GONE) from None
    now_us = clock.wall_us()
    seat = Member(
        org=org.id,
        user=actor.user,
        role=invitation.role,
        budget=invitation.budget,
        created_us=now_us,
    )
    return change(
        actor,
        "invitation.accept",
        subject(org, invitation),
        accept_invitation(invitation.id, actor.user, now_us),
        add_member(seat),
        tenant=org.id,
        after={"user": actor.name.removeprefix("user:")} | _facts(invitation),
    )


def inviter_may(
    invitation: Invitation, seat: Seated | None, key: Key | None, custom: Custom
) -> frozenset[str]:
    """What the maker of an invitation may now: by its seat, or as a key of the organization's own."""
    if invitation.invited_by == COMMAND_LINE.name:
        return ALL
    if key is not None:
        return MACHINE if key.owner == invitation.org and keys.state(key) == "active" else frozenset()
    if seat is None or seat.suspended:
        return frozenset()
    return permissions_of(seat.member.role, custom)


def revoke(actor: Actor, org: Organization, invitation: Invitation) -> Edit:
    """Raises `Conflict`: it is not open."""
    if state(invitation) not in ("open", "expired"):
        raise Conflict(f"This invitation is {state(invitation)} already.")
    return change(
        actor,
        "invitation.revoke",
        subject(org, invitation),
        revoke_invitation(invitation.id, org.id, clock.wall_us()),
        tenant=org.id,
        before=_facts(invitation),
    )


def subject(org: Organization, invitation: Invitation) -> str:
    """An invitation in the audit log."""
    return f"invitation:{org.slug}/{invitation.email} ({invitation.id})"


def _facts(invitation: Invitation) -> dict[str, Any]:
    return {"role": invitation.role, "budget": budget_shown(invitation.budget)}
