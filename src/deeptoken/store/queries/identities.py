"""Whom issuers know people as: what may be written of it, and how it is read.

An identity is an issuer and a subject, never an address: that changes hands.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import apsw
import msgspec

from deeptoken.ledger.postings import Statement
from deeptoken.store.queries.accounts import INVITATIONS, Invitation
from deeptoken.store.queries.write import Write
from deeptoken.store.sqlite import numbered


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody as an issuer knows them. `email` is what it said when it was linked, for people to read."""

    id: str
    user: str
    issuer: str
    subject: str
    email: str | None
    created_us: int
    used_us: int | None = None


class Known(msgspec.Struct, frozen=True):
    """A user somebody turned out to be, and by which identity; None: by an address."""

    user: str
    name: str
    suspended: bool
    identity: str | None = None


WRITES: Mapping[str, Write] = MappingProxyType(
    {
        "identity_add": Write(
            """
            insert into identity (id, user_id, issuer, subject, email, created_us, used_us)
            values ($1, $2, $3, $4, $5, $6, $7)
            """,
            taken="That account of the issuer is linked to a user already.",
            notify=False,
        ),
        "identity_use": Write(
            "update identity set used_us = $3 where id = $1 and user_id = $2", notify=False
        ),
        "identity_remove": Write("delete from identity where id = $1 and user_id = $2", notify=False),
        "identity_remove_spare": Write(
            """
            delete from identity where id = $1 and user_id = $2 and (
                exists (select 1 from password where user_id = $2)
                or exists (
                    select 1 from identity as other where other.user_id = $2 and other.id <> $1
                    and other.issuer in (select value from json_each($3))
                )
            )
            """,
            notify=False,
        ),
        "sign_in_take": Write(
            "insert into sign_in_taken (sha256, expires_us) values ($1, $2) on conflict do nothing",
            notify=False,
        ),
        "sign_in_tidy": Write("delete from sign_in_taken where expires_us <= $1", notify=False),
    }
)

IDENTITIES = "select id, user_id, issuer, subject, email, created_us, used_us from identity"
IDENTITIES_OF = f"{IDENTITIES} where user_id = $1 and id > $2 order by id limit $3"
IDENTITY = f"{IDENTITIES} where id = $1 and user_id = $2"
KNOWN = """
select "user".id, name, suspended_us is not null, identity.id
from identity join "user" on "user".id = user_id where issuer = $1 and subject = $2
"""
REACHED = """
select "user".id, name, suspended_us is not null from email join "user" on "user".id = user_id
where lower(address) = lower($1)
"""
NAMED = 'select 1 from "user" where lower(name) = lower($1)'
INVITED = f"""
{INVITATIONS} where lower(email) = lower($1)
and accepted_us is null and revoked_us is null and expires_us > $2
"""


def identities_of(connection: apsw.Connection, user: str, after: str, limit: int) -> list[Identity]:
    rows = connection.execute(IDENTITIES_OF, numbered(user, after, limit))
    return [Identity(**dict(zip(Identity.__struct_fields__, row, strict=True))) for row in rows]


def identity(connection: apsw.Connection, id: str, user: str) -> Identity | None:
    row = connection.execute(IDENTITY, numbered(id, user)).fetchone()
    return None if row is None else Identity(**dict(zip(Identity.__struct_fields__, row, strict=True)))


def known(connection: apsw.Connection, issuer: str, subject: str) -> Known | None:
    row = connection.execute(KNOWN, numbered(issuer, subject)).fetchone()
    return None if row is None else Known(row[0], row[1], bool(row[2]), row[3])


def confirmed(connection: apsw.Connection, address: str) -> Known | None:
    """Who has confirmed that address."""
    row = connection.execute(REACHED, numbered(address)).fetchone()
    return None if row is None else Known(row[0], row[1], bool(row[2]))


def named(connection: apsw.Connection, name: str) -> bool:
    """Is there a user whose name differs from that at most in capitals?"""
    return connection.execute(NAMED, numbered(name)).fetchone() is not None


def invited(connection: apsw.Connection, address: str, now_us: int) -> list[Invitation]:
    """The open invitations of an address."""
    rows = connection.execute(INVITED, numbered(address, now_us))
    return [Invitation(**dict(zip(Invitation.__struct_fields__, row, strict=True))) for row in rows]


def add_identity(identity: Identity) -> Statement:
    return Statement(
        name="identity_add",
        parameters=(
            identity.id, identity.user, identity.issuer, identity.subject, identity.email,
            identity.created_us, identity.used_us,
        ),
    )  # fmt: skip


def use_identity(id: str, user: str, at_us: int) -> Statement:
    """If it is still there."""
    return Statement(name="identity_use", parameters=(id, user, at_us))


def remove_identity(id: str, user: str) -> Statement:
    return Statement(name="identity_remove", parameters=(id, user))


def remove_spare_identity(id: str, user: str, issuers: Sequence[str]) -> Statement:
    """If there is another way in: a password, or an identity of one of these issuers."""
    told = msgspec.json.encode(list(issuers)).decode()
    return Statement(name="identity_remove_spare", parameters=(id, user, told))


def take_sign_in(sha256: bytes, expires_us: int) -> Statement:
    """Once."""
    return Statement(name="sign_in_take", parameters=(sha256, expires_us))


def tidy_sign_ins(now_us: int) -> Statement:
    return Statement(name="sign_in_tidy", parameters=(now_us,))
