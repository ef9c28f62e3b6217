"""Organizations, members, roles, invitations, the audit log: how they are read."""

from collections.abc import Mapping
from typing import TypeVar

import apsw
import msgspec

from deeptoken.store.sqlite import Value, numbered


class Organization(msgspec.Struct, frozen=True, kw_only=True):
    """A billing tenant; its id is the id of its wallet too."""

    id: str
    slug: str
    name: str
    mode: str = "strict"
    tier: str | None = None
    budget: int | None = None
    """Nano-USD that it may spend in a calendar month (UTC)."""
    webhook: str | None = None
    from_file: bool = False
    suspended_us: int | None = None
    deleted_us: int | None = None
    version: int = 1
    created_us: int


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Who belongs to an organization, as what; `budget` is nano-USD of its money in a month (UTC)."""

    org: str
    user: str
    role: str
    budget: int | None = None
    from_file: bool = False
    version: int = 1
    created_us: int


class Seated(msgspec.Struct, frozen=True):
    """A member, and who that is."""

    member: Member
    name: str
    suspended: bool


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A role of an organization's own."""

    org: str
    name: str
    permissions: tuple[str, ...]
    version: int = 1
    created_us: int


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """A link that makes whoever has it a member, once; only its SHA-256 is known."""

    id: str
    org: str
    email: str
    role: str
    budget: int | None = None
    sha256: bytes
    invited_by: str
    expires_us: int
    accepted_us: int | None = None
    accepted_by: str | None = None
    revoked_us: int | None = None
    created_us: int


class Audited(msgspec.Struct, frozen=True, array_like=True):
    """A row of the audit log, as the hash chain covers it. `before` and `after` are JSON."""

    seq: int
    at_us: int
    actor: str | None
    """The id of a user or key; None where there is none: the file, the command line."""
    actor_name: str
    address: str | None
    action: str
    tenant: str | None
    """Whose log it is in: an organization's id, a user's id, or only the operator's."""
    subject: str
    before: str | None
    after: str | None


ORGANIZATION = """
select id, slug, name, mode, tier, budget, webhook, from_file, suspended_us, deleted_us, version, created_us
from organization
"""
ORGANIZATIONS = f"{ORGANIZATION} where deleted_us is null order by slug"
ORGANIZATION_OF_SLUG = f"{ORGANIZATION} where slug = $1"
MEMBERS = "select org_id, user_id, role, budget, from_file, version, created_us from member"
ALL_MEMBERS = f"{MEMBERS} order by org_id, user_id"
SEATED = """
select org_id, user_id, role, budget, member.from_file, member.version, member.created_us, "user".name,
    suspended_us is not null
from member join "user" on "user".id = user_id
"""
SEATED_OF = f"{SEATED} where org_id = $1 and user_id > $2 order by user_id limit $3"
SEATED_NAMED = f'{SEATED} where org_id = $1 and "user".name = $2'
SEATED_USER = f"{SEATED} where org_id = $1 and user_id = $2"
SEATED_OWNER = f"{SEATED} where org_id = $1 and role = 'owner'"
ROLES = "select org_id, name, permissions, version, created_us from role"
ALL_ROLES = f"{ROLES} order by org_id, name"
ROLES_OF = f"{ROLES} where org_id = $1 order by name"
INVITATIONS = """
select id, org_id, email, role, budget, sha256, invited_by, expires_us, accepted_us, accepted_by, revoked_us,
    created_us
from invitation
"""
INVITATIONS_OF = f"{INVITATIONS} where org_id = $1 and id > $2 order by id limit $3"
INVITATION_OF = f"{INVITATIONS} where id = $1 and org_id = $2"
INVITATION_BY_SECRET = f"{INVITATIONS} where sha256 = $1"
AUDIT_COLUMNS = "seq, at_us, actor, actor_name, address, action, tenant, subject, before, after"
AUDIT = f"select {AUDIT_COLUMNS} from audit where seq < $1 order by seq desc limit $2"
AUDIT_OF = f"""
select {AUDIT_COLUMNS} from audit where tenant = $3 and seq < $1 order by seq desc limit $2
"""
OWNERS = "select id, name from owner"
OWNER = "select name from owner where id = $1"

_texts = msgspec.json.Decoder(tuple[str, ...])


def organizations(connection: apsw.Connection) -> list[Organization]:
    """All that are not deleted, by slug."""
    return [_made(Organization, row) for row in connection.execute(ORGANIZATIONS)]


def organization(connection: apsw.Connection, slug: str) -> Organization | None:
    """The one that has, or had, that slug."""
    row = connection.execute(ORGANIZATION_OF_SLUG, numbered(slug)).fetchone()
    return None if row is None else _made(Organization, row)


def members(connection: apsw.Connection) -> list[Member]:
    return [_made(Member, row) for row in connection.execute(ALL_MEMBERS)]


def seated(connection: apsw.Connection, org: str, after: str, limit: int) -> list[Seated]:
    """An organization's members by their ids, from behind that one on."""
    return [_seated(row) for row in connection.execute(SEATED_OF, numbered(org, after, limit))]


def seated_named(connection: apsw.Connection, org: str, user: str) -> Seated | None:
    """By the user's name."""
    row = connection.execute(SEATED_NAMED, numbered(org, user)).fetchone()
    return None if row is None else _seated(row)


def seat(connection: apsw.Connection, org: str, user: str) -> Seated | None:
    """By the user's id."""
    row = connection.execute(SEATED_USER, numbered(org, user)).fetchone()
    return None if row is None else _seated(row)


def seated_owner(connection: apsw.Connection, org: str) -> Seated | None:
    row = connection.execute(SEATED_OWNER, numbered(org)).fetchone()
    return None if row is None else _seated(row)


def roles(connection: apsw.Connection, org: str | None = None) -> list[Role]:
    """Of an organization, or all."""
    rows = connection.execute(ALL_ROLES) if org is None else connection.execute(ROLES_OF, numbered(org))
    return [
        Role(org=org, name=name, permissions=_texts.decode(told), version=version, created_us=created_us)
        for org, name, told, version, created_us in rows
    ]


def invitations(connection: apsw.Connection, org: str, after: str, limit: int) -> list[Invitation]:
    return [_made(Invitation, row) for row in connection.execute(INVITATIONS_OF, numbered(org, after, limit))]


def invitation_of(connection: apsw.Connection, id: str, org: str) -> Invitation | None:
    row = connection.execute(INVITATION_OF, numbered(id, org)).fetchone()
    return None if row is None else _made(Invitation, row)


def invitation(connection: apsw.Connection, sha256: bytes) -> Invitation | None:
    row = connection.execute(INVITATION_BY_SECRET, numbered(sha256)).fetchone()
    return None if row is None else _made(Invitation, row)


def audited(connection: apsw.Connection, tenant: str | None, before: int, limit: int) -> list[Audited]:
    """The newest rows below `before`, newest first; of a tenant, or all."""
    if tenant is None:
        return [Audited(*row) for row in connection.execute(AUDIT, numbered(before, limit))]
    return [Audited(*row) for row in connection.execute(AUDIT_OF, numbered(before, limit, tenant))]


def owners(connection: apsw.Connection) -> Mapping[str, str]:
    """Whose a wallet or a key is: an id, and ``user:ops`` or ``org:acme``."""
    return dict(connection.execute(OWNERS))


def owner(connection: apsw.Connection, id: str) -> str | None:
    """The same of one."""
    row = connection.execute(OWNER, numbered(id)).fetchone()
    return None if row is None else str(row[0])


Made = TypeVar("Made", Organization, Member, Invitation)


def _made(kind: type[Made], row: tuple[Value, ...]) -> Made:
    return msgspec.convert(dict(zip(kind.__struct_fields__, row, strict=True)), kind, strict=False)


def _seated(row: tuple[Value, ...]) -> Seated:
    *member, name, suspended = row
    return Seated(_made(Member, tuple(member)), str(name), bool(suspended))
