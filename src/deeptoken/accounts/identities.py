"""Whom issuers know people as, and what becomes of somebody who comes by the word of one.

    linked already                      that user
    an address that the user confirmed  that user, and linked from now on      where `match_email` is set
    an address that is invited          a new user, named by the address
    a verified address                  a new user, named by the address       where `create_users` is set
    else                                nobody

It is the issuer and its subject that count. An address matters only the first time, and only a verified one.
"""

import msgspec

from deeptoken import clock, ids
from deeptoken.accounts.change import Actor, audit, change
from deeptoken.accounts.invitations import ADDRESS
from deeptoken.accounts.person import Person
from deeptoken.errors import Conflict, PermissionDenied
from deeptoken.ledger.postings import Edit, Statement
from deeptoken.settings import Oidc
from deeptoken.store.queries.email import set_address
from deeptoken.store.queries.identities import (
    Identity,
    add_identity,
    remove_identity,
    remove_spare_identity,
    use_identity,
)
from deeptoken.store.queries.people import User

NAME_MAX = 200
LAST = (
    "This is the only way that you can sign in. Set a password first (POST /api/password/reset has a link "
    "sent), or link another account."
)


class IdentityShown(msgspec.Struct, frozen=True, kw_only=True):
    """An account at an issuer that signs a user in. `email` is what it had when it was linked."""

    id: str
    provider: str | None
    """Its name here; None: the configuration has no such issuer any more."""
    issuer: str
    subject: str
    email: str | None
    created_us: int
    used_us: int | None


def shown(identity: Identity, providers: tuple[Oidc, ...]) -> IdentityShown:
    names = {one.issuer: one.name for one in providers}
    return IdentityShown(
        id=identity.id,
        provider=names.get(identity.issuer),
        issuer=identity.issuer,
        subject=identity.subject,
        email=identity.email,
        created_us=identity.created_us,
        used_us=identity.used_us,
    )


def ensure_welcome(at: Oidc, person: Person) -> None:
    """Raises `PermissionDenied`: only people of some domains may come, and this is none of theirs."""
    domain = "" if person.email is None else person.email.rpartition("@")[2].lower()
    if at.domains and domain not in at.domains:
        raise PermissionDenied(
            f"Only who has a verified address of {' or '.join(at.domains)} may come by {at.label}."
        )


def linked(actor: Actor, user: str, name: str, person: Person, *, used: bool) -> tuple[Statement, ...]:
    """What links them, with its row in the audit log; `used`: they sign in by it at once."""
    now_us = clock.wall_us()
    made = Identity(
        id=ids.new_id("idn"),
        user=user,
        issuer=person.issuer,
        subject=person.subject,
        email=person.email,
        created_us=now_us,
        used_us=now_us if used else None,
    )
    row = audit(actor, "identity.link", f"user:{name}", tenant=user, after=_facts(made))
    return add_identity(made), row


def link(actor: Actor, user: str, name: str, person: Person) -> Edit:
    return Edit(linked(actor, user, name, person, used=False))


def arrived(
    actor: Actor, user: str, name: str, person: Person, identity: str | None
) -> tuple[Statement, ...]:
    """What is written of an identity when somebody signs in by it: that it was used, or that it is linked."""
    if identity is not None:
        return (use_identity(identity, user, clock.wall_us()),)
    return linked(actor, user, name, person, used=True)


def unlink(actor: Actor, name: str, identity: Identity, providers: tuple[Oidc, ...]) -> Edit:
    """Nothing, if it is the last way in."""
    step = remove_spare_identity(identity.id, identity.user, [one.issuer for one in providers])
    return _unlinked(actor, name, identity, step)


def unlink_any(actor: Actor, name: str, identity: Identity) -> Edit:
    """The same by an operator, who can let the user in by a link."""
    return _unlinked(actor, name, identity, remove_identity(identity.id, identity.user))


def _unlinked(actor: Actor, name: str, identity: Identity, step: Statement) -> Edit:
    return change(
        actor, "identity.unlink", f"user:{name}", step, tenant=identity.user, before=_facts(identity)
    )


def name_of(at: Oidc, person: Person) -> str:
    """What somebody new is called: by the address, in small letters.

    Raises:
        PermissionDenied: the issuer has verified none that a user can be called by.
    """
    name = (person.email or "").lower()
    if not ADDRESS.fullmatch(name) or not name.isascii() or len(name) > NAME_MAX:
        raise PermissionDenied(
            f"{at.label} says of no e-mail address that it is verified to be yours, and it is what a new "
            "user is called by. Ask an operator for a user, sign in as that, and link your account to it."
        )
    return name


def confirmed(user: User, person: Person) -> Statement:
    """The address, which the issuer has verified, is theirs here too."""
    assert person.email is not None
    return set_address(user.id, person.email, clock.wall_us())


def unknown(at: Oidc) -> PermissionDenied:
    return PermissionDenied(
        f"No user here is linked to your account at {at.label}. Sign in another way and link it "
        "(POST /api/me/identities), or ask an operator."
    )


def taken(name: str) -> Conflict:
    return Conflict(
        f"There is a user {name!r} already. Sign in as that another way, and link your account to it "
        "(POST /api/me/identities)."
    )


def _facts(identity: Identity) -> dict[str, str | None]:
    return {
        "id": identity.id,
        "issuer": identity.issuer,
        "subject": identity.subject,
        "email": identity.email,
    }
