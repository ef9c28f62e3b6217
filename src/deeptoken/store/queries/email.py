"""Addresses of people: what may be written of them, and how they are read."""

from collections.abc import Mapping
from types import MappingProxyType

import apsw
import msgspec

from deeptoken.ledger.postings import Statement
from deeptoken.store.queries.write import Write
from deeptoken.store.sqlite import numbered


class Reached(msgspec.Struct, frozen=True):
    """A user, and where mails reach them: `address` is verified, None if none is."""

    user: str
    name: str
    suspended: bool
    address: str | None


WRITES: Mapping[str, Write] = MappingProxyType(
    {
        "email_set": Write(
            """
            insert into email (user_id, address, verified_us) values ($1, $2, $3)
            on conflict (user_id) do update set address = excluded.address, verified_us = excluded.verified_us
            """,
            taken="Another user has that address.",
            notify=False,
        ),
        "email_link_set": Write(
            """
            insert into email_link (user_id, address, sha256, expires_us) values ($1, $2, $3, $4)
            on conflict (user_id) do update
            set address = excluded.address, sha256 = excluded.sha256, expires_us = excluded.expires_us
            """,
            notify=False,
        ),
        "email_link_use": Write(
            "delete from email_link where user_id = $1 and sha256 = $2 and expires_us > $3", notify=False
        ),
    }
)

REACHED = """
select "user".id, name, suspended_us is not null, address
from "user" left join email on user_id = "user".id
where name = $1 or lower(address) = lower($1)
order by name = $1 desc limit 1
"""
PENDING = "select address from email_link where user_id = $1 and expires_us > $2"
LINKED = """
select user_id, name, address from email_link join "user" on "user".id = user_id
where sha256 = $1 and expires_us > $2 and suspended_us is null
"""


def reached(connection: apsw.Connection, said: str) -> Reached | None:
    """The user of that name, else of that verified address."""
    row = connection.execute(REACHED, numbered(said)).fetchone()
    return None if row is None else Reached(row[0], row[1], bool(row[2]), row[3])


def pending(connection: apsw.Connection, user: str, now_us: int) -> str | None:
    """The address that waits to be confirmed."""
    row = connection.execute(PENDING, numbered(user, now_us)).fetchone()
    return None if row is None else row[0]


def linked(connection: apsw.Connection, sha256: bytes, now_us: int) -> tuple[str, str, str] | None:
    """Whose open link that is: the user's id and name, and the address."""
    return connection.execute(LINKED, numbered(sha256, now_us)).fetchone()


def set_address(user: str, address: str, at_us: int) -> Statement:
    return Statement(name="email_set", parameters=(user, address, at_us))


def set_link(user: str, address: str, sha256: bytes, expires_us: int) -> Statement:
    return Statement(name="email_link_set", parameters=(user, address, sha256, expires_us))


def use_link(user: str, sha256: bytes, now_us: int) -> Statement:
    """One that is open: once."""
    return Statement(name="email_link_use", parameters=(user, sha256, now_us))
