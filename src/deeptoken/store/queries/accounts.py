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


ORGANIZATIONS = """
select id, slug, name, mode, tier, budget, webhook, from_file, suspended_us, deleted_us, version, created_us
from organization where deleted_us is null order by slug
"""
MEMBERS = "select org_id, user_id, role, budget, from_file, version, created_us from member"
ALL_MEMBERS = f"{MEMBERS} order by org_id, user_id"
ROLES = "select org_id, name, permissions, version, created_us from role order by org_id, name"
INVITATIONS = """
select id, org_id, email, role, budget, sha256, invited_by, expires_us, accepted_us, accepted_by, revoked_us,
    created_us
from invitation
"""
INVITATIONS_OF = f"{INVITATIONS} where org_id = $1 and id > $2 order by id limit $3"
INVITATION_BY_SECRET = f"{INVITATIONS} where sha256 = $1"
AUDIT_COLUMNS = "seq, at_us, actor, actor_name, address, action, tenant, subject, before, after"
AUDIT = f"""
select {AUDIT_COLUMNS} from audit where ($1 is null or tenant = $1) and seq < $2 order by seq desc limit $3
"""
OWNERS = "select id, name from owner"

_texts = msgspec.json.Decoder(tuple[str, ...])


def organizations(connection: apsw.Connection) -> list[Organization]:
    """All that are not deleted, by slug."""
    return [_made(Organization, row) for row in connection.execute(ORGANIZATIONS)]


def members(connection: apsw.Connection) -> list[Member]:
    return [_made(Member, row) for row in connection.execute(ALL_MEMBERS)]


def roles(connection: apsw.Connection) -> list[Role]:
    return [
        Role(org=org, name=name, permissions=_texts.decode(told), version=version, created_us=created_us)
        for org, name, told, version, created_us in connection.execute(ROLES)
    ]


def invitations(connection: apsw.Connection, org: str, after: str, limit: int) -> list[Invitation]:
    return [_made(Invitation, row) for row in connection.execute(INVITATIONS_OF, numbered(org, after, limit))]


def invitation(connection: apsw.Connection, sha256: bytes) -> Invitation | None:
    row = connection.execute(INVITATION_BY_SECRET, numbered(sha256)).fetchone()
    return None if row is None else _made(Invitation, row)


def audited(connection: apsw.Connection, tenant: str | None, before: int, limit: int) -> list[Audited]:
    """The newest rows below `before`, newest first; of a tenant, or all."""
    return [Audited(*row) for row in connection.execute(AUDIT, numbered(tenant, before, limit))]


def owners(connection: apsw.Connection) -> Mapping[str, str]:
    """Whose a wallet or a key is: an id, and ``user:ops`` or ``org:acme``."""
    return dict(connection.execute(OWNERS))


Made = TypeVar("Made", Organization, Member, Invitation)


def _made(kind: type[Made], row: tuple[Value, ...]) -> Made:
    return msgspec.convert(dict(zip(kind.__struct_fields__, row, strict=True)), kind, strict=False)
