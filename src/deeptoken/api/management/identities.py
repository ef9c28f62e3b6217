"""Accounts at issuers that sign one in: ``/api/me/identities``."""

from typing import Annotated

import msgspec
from msgspec import Meta

from deeptoken import clock
from deeptoken.accounts import identities
from deeptoken.accounts.identities import LAST, IdentityShown
from deeptoken.api.management.oidc import ASKED, WAYS, leave, local, provider
from deeptoken.api.management.route import Asked, Nothing, Page, Route, Slice, limit_of, one, sliced
from deeptoken.api.management.session import Code, Password, notify, own_name, proven, signed_in
from deeptoken.errors import BadRequest, Conflict, PermissionDenied, PreconditionFailed

FRESH_US = 600_000_000
"""Who has no password shows who they are by having signed in that short a time ago."""


class NewIdentity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which issuer to ask. The password, and the code where there is a second factor, show that it is you."""

    provider: Annotated[str, Meta(max_length=100)]
    next: str = "/"
    """The local path to go to at the end."""
    password: Password | None = None
    code: Code | None = None


class Onward(msgspec.Struct, frozen=True, kw_only=True):
    """Where the browser goes on, within ten minutes."""

    url: str


async def list_identities(asked: Asked) -> Slice:
    limit, after, user = limit_of(asked.query), asked.query.after, signed_in(asked).session.user
    rows = await asked.world.read(lambda reader: reader.identities_of(user, after=after, limit=limit + 1))
    providers = asked.world.settings.oidc
    return sliced([identities.shown(row, providers) for row in rows], limit, lambda row: str(row.id))


async def begin(asked: Asked) -> Onward:
    at, next = provider(asked, asked.body.provider), local(asked.body.next)
    await _prove(asked)
    asked.world.attempts.take_from(asked.actor.address, clock.wall_us())
    return Onward(url=await leave(asked, at, next, session=signed_in(asked).session.id))


async def _prove(asked: Asked) -> None:
    """That it is not only somebody who found the browser.

    Raises:
        BadRequest, SignInFailed, SecondFactorRequired: the password is missing or wrong, or the code is.
        PermissionDenied: there is no password, and they signed in long ago.
    """
    name, session, body = own_name(asked), signed_in(asked).session, asked.body
    login = await asked.world.read(lambda reader: reader.login(name))
    if login is not None and login.hash is None:
        if session.created_us < clock.wall_us() - FRESH_US:
            raise PermissionDenied("Sign in once more, and link the account within ten minutes.")
        return
    if body.password is None:
        raise BadRequest(
            "password: send it, so that nobody else links an account to yours.", param="password"
        )
    _, taken = await proven(asked, name, body.password, body.code)
    if taken:
        await asked.change(*taken)
    asked.world.attempts.give_back(name, asked.actor.address)


async def remove(asked: Asked) -> Nothing:
    id, user, name = asked.path["id"], signed_in(asked).session.user, own_name(asked)
    found = one(await asked.world.read(lambda reader: reader.identity(id, user)), "linked account", id)
    try:
        await asked.change(identities.unlink(asked.actor, name, found, asked.world.settings.oidc))
    except PreconditionFailed:
        raise Conflict(LAST) from None
    notify(asked.world, name, WAYS)
    return Nothing()


IDENTITIES = "/api/me/identities"
ROUTES = [
    Route(method="GET", path=IDENTITIES, needs="session", handler=list_identities, query=Page,
          answer=list[IdentityShown], summary="Accounts elsewhere that sign one in"),
    Route(method="POST", path=IDENTITIES, needs="session", handler=begin, body=NewIdentity, answer=Onward,
          errors=ASKED, summary="Link an account elsewhere: where to go on"),
    Route(method="DELETE", path=f"{IDENTITIES}/{{id}}", needs="session", handler=remove, status=204,
          errors=(404, 409), summary="Unlink one, if it is not the last way to sign in"),
]  # fmt: skip
