"""Passwords, second factors, sessions, links: what may be written of them, and how they are read.

An `Edit` of these statements is done whole or not at all: a code that was used meanwhile, or a link that has
ended, meets no row, and nothing is done.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import apsw
import msgspec

from deeptoken.ledger.postings import Statement
from deeptoken.store.queries.write import Write
from deeptoken.store.sqlite import numbered


class Factor(msgspec.Struct, frozen=True, kw_only=True):
    """A second factor: the sealed secret, the last time step a code was taken of, the recovery codes left."""

    secret: bytes
    step: int
    codes: tuple[str, ...]
    """Their SHA-256, as hexadecimal digits."""
    confirmed: bool


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to let a user in."""

    user: str
    name: str
    operator: bool
    suspended: bool
    hash: str | None = None
    factor: Factor | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is signed in somewhere; of the cookie's token only the SHA-256 is known."""

    id: str
    user: str
    sha256: bytes
    address: str | None
    agent: str
    created_us: int
    seen_us: int
    expires_us: int


class Visitor(msgspec.Struct, frozen=True):
    """A session, and whose it is."""

    session: Session
    name: str
    operator: bool
    suspended: bool


WRITES: Mapping[str, Write] = MappingProxyType(
    {
        # The generic cell rate algorithm: nothing is changed while none is free.
        "attempt_take": Write(
            """
            insert into attempt (name, free_us) values ($1, $2 + $3)
            on conflict (name) do update set free_us = max(free_us, $2) + $3 where free_us <= $2 + $4
            """,
            notify=False,
        ),
        "attempt_back": Write("update attempt set free_us = free_us - $2 where name = $1", notify=False),
        "attempts_tidy": Write("delete from attempt where free_us <= $1", notify=False),
        "password_set": Write(
            """
            insert into password (user_id, hash, changed_us) values ($1, $2, $3)
            on conflict (user_id) do update set hash = excluded.hash, changed_us = excluded.changed_us
            """,
            notify=False,
        ),
        "link_set": Write(
            """
            insert into password_link (user_id, sha256, expires_us) values ($1, $2, $3)
            on conflict (user_id) do update set sha256 = excluded.sha256, expires_us = excluded.expires_us
            """,
            notify=False,
        ),
        "link_use": Write(
            "delete from password_link where user_id = $1 and sha256 = $2 and expires_us > $3", notify=False
        ),
        "session_add": Write(
            """
            insert into session (id, user_id, sha256, address, agent, created_us, seen_us, expires_us)
            values ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            notify=False,
        ),
        "session_seen": Write("update session set seen_us = $2 where id = $1 and seen_us < $2", notify=False),
        "session_end": Write("delete from session where id = $1 and user_id = $2", notify=False),
        "sessions_tidy": Write("delete from session where expires_us <= $1 or seen_us <= $2", notify=False),
        "factor_begin": Write(
            """
            insert into second_factor (user_id, secret) values ($1, $2)
            on conflict (user_id) do update set secret = excluded.secret, step = 0 where confirmed_us is null
            """,
            notify=False,
        ),
        "factor_confirm": Write(
            """
            update second_factor set confirmed_us = $2, step = $3, codes = $4
            where user_id = $1 and confirmed_us is null and step < $3 and secret = $5
            """,
            notify=False,
        ),
        "factor_step": Write(
            "update second_factor set step = $2 where user_id = $1 and step < $2", notify=False
        ),
        "factor_codes": Write(
            "update second_factor set codes = $3 where user_id = $1 and codes = $2", notify=False
        ),
        "factor_renew": Write("update second_factor set codes = $2 where user_id = $1", notify=False),
        "factor_remove": Write(
            "delete from second_factor where user_id = $1 and confirmed_us is not null", notify=False
        ),
    }
)

LOGIN = """
select "user".id, name, operator, suspended_us is not null, hash, secret, step, codes,
    confirmed_us is not null
from "user"
left join password on password.user_id = "user".id
left join second_factor on second_factor.user_id = "user".id
where name = $1
"""
SESSION = "select id, user_id, sha256, address, agent, created_us, seen_us, expires_us from session"
SESSIONS_OF = f"{SESSION} where user_id = $1 and id > $2 order by id limit $3"
VISITOR = """
select session.id, user_id, sha256, address, agent, session.created_us, seen_us, expires_us, name, operator,
    suspended_us is not null
from session join "user" on "user".id = user_id
where sha256 = $1 and expires_us > $2 and seen_us > $3
"""
LINKED = """
select name from password_link join "user" on "user".id = user_id where sha256 = $1 and expires_us > $2
"""
SEALED = "select exists (select 1 from second_factor)"

_codes = msgspec.json.Decoder(tuple[str, ...])


def login(connection: apsw.Connection, name: str) -> Login | None:
    row = connection.execute(LOGIN, numbered(name)).fetchone()
    if row is None:
        return None
    user, name, operator, suspended, hash, secret, step, codes, confirmed = row
    factor = None
    if secret is not None:
        factor = Factor(secret=secret, step=step, codes=_codes.decode(codes), confirmed=bool(confirmed))
    return Login(
        user=user,
        name=name,
        operator=bool(operator),
        suspended=bool(suspended),
        hash=hash,
        factor=factor,
    )


def sessions_of(connection: apsw.Connection, user: str, after: str, limit: int) -> list[Session]:
    rows = connection.execute(SESSIONS_OF, numbered(user, after, limit))
    return [Session(**dict(zip(Session.__struct_fields__, row, strict=True))) for row in rows]


def visitor(connection: apsw.Connection, sha256: bytes, now_us: int, seen_after_us: int) -> Visitor | None:
    """Who has that session, if it has not ended."""
    row = connection.execute(VISITOR, numbered(sha256, now_us, seen_after_us)).fetchone()
    if row is None:
        return None
    *session, name, operator, suspended = row
    told = Session(**dict(zip(Session.__struct_fields__, session, strict=True)))
    return Visitor(told, name, bool(operator), bool(suspended))


def linked(connection: apsw.Connection, sha256: bytes, now_us: int) -> str | None:
    """The name of the user whose open link that is."""
    row = connection.execute(LINKED, numbered(sha256, now_us)).fetchone()
    return None if row is None else row[0]


def sealed(connection: apsw.Connection) -> bool:
    """Is there a second factor, whose secret is sealed?"""
    return bool(connection.execute(SEALED).get)


def set_password(user: str, hash: str, at_us: int) -> Statement:
    """Every session of the user ends with it."""
    return Statement(name="password_set", parameters=(user, hash, at_us))


def set_link(user: str, sha256: bytes, expires_us: int) -> Statement:
    return Statement(name="link_set", parameters=(user, sha256, expires_us))


def use_link(user: str, sha256: bytes, now_us: int) -> Statement:
    """One that is open: once."""
    return Statement(name="link_use", parameters=(user, sha256, now_us))


def add_session(session: Session) -> Statement:
    return Statement(
        name="session_add",
        parameters=(
            session.id, session.user, session.sha256, session.address, session.agent, session.created_us,
            session.seen_us, session.expires_us,
        ),
    )  # fmt: skip


def see_session(id: str, at_us: int) -> Statement:
    return Statement(name="session_seen", parameters=(id, at_us))


def end_session(id: str, user: str) -> Statement:
    return Statement(name="session_end", parameters=(id, user))


def tidy_sessions(now_us: int, seen_after_us: int) -> Statement:
    """Those that have ended go."""
    return Statement(name="sessions_tidy", parameters=(now_us, seen_after_us))


def begin_factor(user: str, secret: bytes) -> Statement:
    """Only where none is in use."""
    return Statement(name="factor_begin", parameters=(user, secret))


def confirm_factor(user: str, secret: bytes, step: int, codes: tuple[str, ...], at_us: int) -> Statement:
    """From now on it is asked for."""
    return Statement(name="factor_confirm", parameters=(user, at_us, step, _text(codes), secret))


def take_step(user: str, step: int) -> Statement:
    """A code of a time step, once."""
    return Statement(name="factor_step", parameters=(user, step))


def set_codes(user: str, before: tuple[str, ...], after: tuple[str, ...]) -> Statement:
    """If they are still the same."""
    return Statement(name="factor_codes", parameters=(user, _text(before), _text(after)))


def renew_codes(user: str, codes: tuple[str, ...]) -> Statement:
    """Others, whatever there was."""
    return Statement(name="factor_renew", parameters=(user, _text(codes)))


def remove_factor(user: str) -> Statement:
    return Statement(name="factor_remove", parameters=(user,))


def _text(codes: tuple[str, ...]) -> str:
    return msgspec.json.encode(codes).decode()


def take_attempt(name: bytes, now_us: int, every_us: int, slack_us: int) -> Statement:
    """Changes nothing if none is free."""
    return Statement(name="attempt_take", parameters=(name, now_us, every_us, slack_us))


def give_attempt_back(name: bytes, every_us: int) -> Statement:
    return Statement(name="attempt_back", parameters=(name, every_us))


def tidy_attempts(now_us: int) -> Statement:
    """Of names that have all their attempts free nothing need be known."""
    return Statement(name="attempts_tidy", parameters=(now_us,))


def attempts(connection: apsw.Connection, names: Sequence[bytes]) -> dict[bytes, int]:
    """When all attempts of these are free again."""
    found = {}
    for name in names:
        for (free_us,) in connection.execute("select free_us from attempt where name = $1", numbered(name)):
            found[name] = free_us
    return found
