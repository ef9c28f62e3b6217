"""Addresses, and links that are sent there: ``/api/password/reset``, ``/api/me/email``, ``/api/email``."""

from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta

from deeptoken import clock, ids
from deeptoken.accounts import addresses, letters, sign_in
from deeptoken.accounts.change import Actor
from deeptoken.accounts.invitations import ADDRESS
from deeptoken.api.management.route import Asked, Nothing, Route, World
from deeptoken.api.management.session import (
    WRONG,
    Code,
    Password,
    own_name,
    proven,
    settled,
    signed_in,
)
from deeptoken.errors import BadRequest, SignInFailed
from deeptoken.mail import Letter
from deeptoken.store.queries.email import Reached
from deeptoken.store.reads import Reader

RESET_US = 3_600_000_000
NOBODY = "nobody"


class Forgotten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who cannot sign in: by name or confirmed address."""

    user: Annotated[str, Meta(min_length=1, max_length=254)]


class NewAddress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password, and the code where there is a second factor, show that it is you."""

    email: Annotated[str, Meta(max_length=254)]
    password: Password
    code: Code | None = None


class AddressToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    token: Annotated[str, Meta(max_length=200)]


class AddressShown(msgspec.Struct, frozen=True, kw_only=True):
    email: str | None
    """Confirmed."""
    pending: str | None
    """It waits to be."""


async def forgotten(asked: Asked) -> Nothing:
    """Whoever it is, the answer is the same and comes before anything is looked up."""
    said, address = asked.body.user, asked.actor.address
    await asked.world.attempts.take(f"reset {said.casefold()}", address, clock.wall_us())
    asked.world.mail.put(partial(_reset, asked.world, said, address))
    return Nothing()


async def _reset(world: World, said: str, address: str | None) -> Letter | None:
    found = await world.read(lambda reader: reader.reached(said))
    if found is None or found.suspended:
        return None
    to = place_of(found)
    if to is None and world.settings.email is not None:
        return None
    actor = Actor(name=NOBODY, address=address)
    edit, token, _ = sign_in.new_link(actor, found.user, found.name, lasts_us=RESET_US)
    await world.post(edit)
    return letters.reset(to or "", found.name, world.settings.server.public_url, token)


def place_of(found: Reached) -> str | None:
    """Where mails reach a user: at the confirmed address, else at one that is their name."""
    return found.address or (found.name if ADDRESS.fullmatch(found.name) else None)


async def show(asked: Asked) -> AddressShown:
    user, name = signed_in(asked).session.user, own_name(asked)

    def ask(reader: Reader) -> AddressShown:
        found = reader.reached(name)
        return AddressShown(
            email=None if found is None else found.address,
            pending=reader.pending_email(user, clock.wall_us()),
        )

    return await asked.world.read(ask)


async def ask_for(asked: Asked) -> Nothing:
    body, name, world = asked.body, own_name(asked), asked.world
    if not ADDRESS.fullmatch(body.email):
        raise BadRequest("email: an e-mail address, such as bob@example.com.", param="email")
    login, taken = await proven(asked, name, body.password, body.code)
    edit, token = addresses.ask(asked.actor, login.user, body.email, *taken)
    await settled(asked, name, edit)
    world.mail.put_letter(letters.verify(body.email, name, world.settings.server.public_url, token))
    return Nothing()


async def confirm(asked: Asked) -> Nothing:
    sha256 = ids.digest(asked.body.token)
    attempt = f"email {sha256.hex()}"
    await asked.world.attempts.take(attempt, asked.actor.address, clock.wall_us())
    found = await asked.world.read(lambda reader: reader.email_linked(sha256, clock.wall_us()))
    if found is None:
        raise SignInFailed
    user, name, address = found
    before = await asked.world.read(lambda reader: reader.reached(name))
    actor = Actor(name=f"user:{name}", account=user, by=user, address=asked.actor.address)
    await settled(asked, attempt, addresses.confirm(actor, user, address, sha256))
    if before is not None and before.address is not None:
        url = asked.world.settings.server.public_url
        asked.world.mail.put_letter(letters.changed(before.address, name, url, "The e-mail address"))
    return Nothing()


ROUTES = [
    Route(method="POST", path="/api/password/reset", needs="nobody", handler=forgotten, body=Forgotten,
          status=204, errors=WRONG, summary="Have a link sent that sets a password"),
    Route(method="GET", path="/api/me/email", needs="session", handler=show, answer=AddressShown,
          summary="One's e-mail address"),
    Route(method="PUT", path="/api/me/email", needs="session", handler=ask_for, body=NewAddress,
          status=204, errors=WRONG, summary="Another address: a link is sent there"),
    Route(method="PUT", path="/api/email", needs="nobody", handler=confirm, body=AddressToken,
          status=204, errors=(*WRONG, 409), summary="Confirm an address by the link that was sent there"),
]  # fmt: skip
