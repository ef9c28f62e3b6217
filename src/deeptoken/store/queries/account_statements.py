"""What may be written of organizations, members, roles and invitations, and the row of the audit log.

A change names the version that it was made from: where another was first, it meets no row.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from deeptoken.ledger.postings import Statement
from deeptoken.store.queries.accounts import Invitation, Member, Organization, Role
from deeptoken.store.queries.write import Write

WRITES: Mapping[str, Write] = MappingProxyType(
    {
        "org_add": Write(
            """
            insert into organization (id, slug, name, mode, tier, budget, webhook, from_file, created_us)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            """,
            taken="There is an organization of that slug already, or there was one: a slug is given once.",
        ),
        "org_set": Write(
            """
            update organization set name = $2, mode = $3, tier = $4, budget = $5, webhook = $6,
                from_file = $7, suspended_us = $8, version = version + 1
            where id = $1 and version = $9 and deleted_us is null
            """
        ),
        # Only one without money: what is left would belong to nobody.
        "org_delete": Write(
            """
            update organization set deleted_us = $2, version = version + 1
            where id = $1 and deleted_us is null and not exists (
                select 1 from wallet where wallet.id = $1 and (balance > 0 or held > 0)
            )
            """
        ),
        "org_keys_end": Write(
            """
            update key set revoked_us = $2, version = version + 1
            where owner = $1 and revoked_us is null and deleted_us is null
            """
        ),
        "member_add": Write(
            """
            insert into member (org_id, user_id, role, budget, from_file, created_us)
            values ($1, $2, $3, $4, $5, $6)
            """,
            taken="That user is a member already, or the organization has an owner.",
        ),
        "member_set": Write(
            """
            update member set role = $3, budget = $4, from_file = $5, version = version + 1
            where org_id = $1 and user_id = $2 and version = $6
            """,
            taken="The organization has an owner already.",
        ),
        "member_remove": Write("delete from member where org_id = $1 and user_id = $2 and role <> 'owner'"),
        "role_add": Write(
            "insert into role (org_id, name, permissions, created_us) values ($1, $2, $3, $4)",
            taken="The organization has a role of that name already.",
        ),
        "role_set": Write(
            """
            update role set permissions = $3, version = version + 1
            where org_id = $1 and name = $2 and version = $4
            """
        ),
        "role_remove": Write(
            """
            delete from role where org_id = $1 and name = $2
            and not exists (select 1 from member where member.org_id = $1 and member.role = $2)
            and not exists (
                select 1 from invitation where invitation.org_id = $1 and invitation.role = $2
                and accepted_us is null and revoked_us is null and expires_us > $3
            )
            """
        ),
        "invitation_add": Write(
            """
            insert into invitation (id, org_id, email, role, budget, sha256, invited_by, expires_us,
                created_us)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            """,
            notify=False,
        ),
        "invitation_accept": Write(
            """
            update invitation set accepted_us = $2, accepted_by = $3
            where id = $1 and accepted_us is null and revoked_us is null and expires_us > $2
            """
        ),
        "invitation_revoke": Write(
            """
            update invitation set revoked_us = $3
            where id = $1 and org_id = $2 and accepted_us is null and revoked_us is null
            """,
            notify=False,
        ),
        "audit_add": Write(
            """
            insert into audit (at_us, actor, actor_name, address, action, tenant, subject, before, after,
                epoch, batch_no, n)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            returning seq, at_us, actor, actor_name, address, action, tenant, subject, before, after
            """,
            notify=False,
            chained="audit",
        ),
    }
)

_json = msgspec.json.Encoder(decimal_format="number")


def add_organization(org: Organization) -> Statement:
    return Statement(
        name="org_add",
        parameters=(
            org.id, org.slug, org.name, org.mode, org.tier, org.budget, org.webhook, int(org.from_file),
            org.created_us,
        ),
    )  # fmt: skip


def set_organization(org: Organization) -> Statement:
    """All of it but id and slug, if it is still at its `version`."""
    return Statement(
        name="org_set",
        parameters=(
            org.id, org.name, org.mode, org.tier, org.budget, org.webhook, int(org.from_file),
            org.suspended_us, org.version,
        ),
    )  # fmt: skip


def delete_organization(id: str, at_us: int) -> Statement:
    """One whose wallet is empty."""
    return Statement(name="org_delete", parameters=(id, at_us))


def end_keys(org: str, at_us: int) -> Statement:
    """All that an organization has."""
    return Statement(name="org_keys_end", parameters=(org, at_us))


def add_member(member: Member) -> Statement:
    return Statement(
        name="member_add",
        parameters=(
            member.org, member.user, member.role, member.budget, int(member.from_file), member.created_us,
        ),
    )  # fmt: skip


def set_member(member: Member) -> Statement:
    """Role and budget, if it is still at its `version`."""
    return Statement(
        name="member_set",
        parameters=(
            member.org, member.user, member.role, member.budget, int(member.from_file), member.version,
        ),
    )  # fmt: skip


def remove_member(org: str, user: str) -> Statement:
    """Never the owner."""
    return Statement(name="member_remove", parameters=(org, user))


def add_role(role: Role) -> Statement:
    permissions = _json.encode(role.permissions).decode()
    return Statement(name="role_add", parameters=(role.org, role.name, permissions, role.created_us))


def set_role(role: Role) -> Statement:
    permissions = _json.encode(role.permissions).decode()
    return Statement(name="role_set", parameters=(role.org, role.name, permissions, role.version))


def remove_role(org: str, name: str, at_us: int) -> Statement:
    """One that no member has, and no open invitation gives."""
    return Statement(name="role_remove", parameters=(org, name, at_us))


def add_invitation(invitation: Invitation) -> Statement:
    return Statement(
        name="invitation_add",
        parameters=(
            invitation.id, invitation.org, invitation.email, invitation.role, invitation.budget,
            invitation.sha256, invitation.invited_by, invitation.expires_us, invitation.created_us,
        ),
    )  # fmt: skip


def accept_invitation(id: str, user: str, at_us: int) -> Statement:
    """One that is open: once."""
    return Statement(name="invitation_accept", parameters=(id, at_us, user))


def revoke_invitation(id: str, org: str, at_us: int) -> Statement:
    return Statement(name="invitation_revoke", parameters=(id, org, at_us))


def add_audited(
    *,
    at_us: int,
    actor: str | None,
    actor_name: str,
    address: str | None,
    action: str,
    tenant: str | None,
    subject: str,
    before: object,
    after: object,
) -> Statement:
    """`before` and `after` as they are told to people; None where there is none. Never a secret."""
    return Statement(
        name="audit_add",
        parameters=(at_us, actor, actor_name, address, action, tenant, subject, _text(before), _text(after)),
    )


def _text(value: object) -> str | None:
    return None if value is None else _json.encode(value).decode()
