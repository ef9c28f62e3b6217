"""A change of who may what: done whole, with its row in the audit log."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from deeptoken import clock
from deeptoken.ledger.postings import Edit, Statement
from deeptoken.store.queries.account_statements import add_audited

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who changes something, as whom: a person by a session, a key of scope `manage`, the command line."""

    name: str
    """``user:ops``, ``org:acme``; what has no account: ``command line``, ``file``."""
    account: str | None = None
    """The id of the user or organization: whose keys, usage and wallet are the actor's own."""
    by: str | None = None
    """The id of the user or of the key."""
    address: str | None = None
    operator: bool = False

    @property
    def user(self) -> str | None:
        """The person's id; None of an organization's key."""
        return self.account if self.account is not None and self.account.startswith("usr_") else None


COMMAND_LINE = Actor(name="command line", operator=True)
FILE = Actor(name="file", operator=True)

Action = Literal[
    "channel.change",
    "channel.create",
    "channel.delete",
    "identity.link",
    "identity.unlink",
    "invitation.accept",
    "invitation.create",
    "invitation.revoke",
    "key.change",
    "key.create",
    "key.delete",
    "key.revoke",
    "key.rotate",
    "member.add",
    "member.change",
    "member.remove",
    "org.change",
    "org.create",
    "org.delete",
    "org.transfer",
    "price.change",
    "role.change",
    "role.create",
    "role.delete",
    "user.change",
    "user.create",
    "user.email",
    "user.link",
    "user.password",
    "user.second-factor",
    "user.sign-in",
    "wallet.grant",
    "wallet.refund",
]


def audit(
    actor: Actor,
    action: Action,
    subject: str,
    *,
    tenant: str | None,
    before: object = None,
    after: object = None,
) -> Statement:
    """The row of the audit log: `subject` as people write it, before and after as they are told to people.

    `tenant` is the organization or user in whose log it stands besides the operator's.
    """
    return add_audited(
        at_us=clock.wall_us(),
        actor=actor.by,
        actor_name=actor.name,
        address=actor.address,
        action=action,
        tenant=tenant,
        subject=subject,
        before=before,
        after=after,
    )


def change(
    actor: Actor,
    action: Action,
    subject: str,
    *steps: Statement,
    tenant: str | None,
    before: object = None,
    after: object = None,
    closes: str | None = None,
) -> Edit:
    """Steps that are done together or not at all, and written down. `closes`: see `Edit`."""
    return Edit((*steps, audit(actor, action, subject, tenant=tenant, before=before, after=after)), closes)


def iso(at_us: int | None) -> str | None:
    """A moment as JSON has it: ``2026-11-26T17:20:30.000001Z``."""
    if at_us is None:
        return None
    return (EPOCH + timedelta(microseconds=at_us)).isoformat().replace("+00:00", "Z")
