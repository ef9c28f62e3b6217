"""What was changed by whom, newest first: ``/api/audit`` of one's own account, and of an organization.

As JSON lines (``?format=jsonl``, or ``Accept: application/jsonl``) the next page is a ``Link`` in the head.
"""

from typing import Any, Literal
from urllib.parse import urlencode

import msgspec

from deeptoken.accounts.change import iso
from deeptoken.api.management.keys import owner_of
from deeptoken.api.management.organizations import ORG
from deeptoken.api.management.route import Asked, Lines, Needs, Page, Route, Slice, limit_of, sliced
from deeptoken.errors import BadRequest
from deeptoken.store.queries.accounts import Audited

NEWEST = 2**62
LINES = ("application/jsonl", "application/x-ndjson", "application/json-lines")


class AuditShown(msgspec.Struct, frozen=True, kw_only=True):
    """A change: who, when, from where, what, before and after."""

    seq: int
    """Its place in the log, which is hash-chained."""
    at: str | None
    actor: str
    """``user:ops``, ``org:acme``; also ``command line``, ``file``."""
    by: str | None
    """The id of the user or key."""
    address: str | None
    action: str
    subject: str
    before: Any
    after: Any


class AuditQuery(Page, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As one JSON object, or a line each."""

    format: Literal["json", "jsonl"] | None = None


def shown(row: Audited) -> AuditShown:
    return AuditShown(
        seq=row.seq,
        at=iso(row.at_us),
        actor=row.actor_name,
        by=row.actor,
        address=row.address,
        action=row.action,
        subject=row.subject,
        before=_told(row.before),
        after=_told(row.after),
    )


def _told(text: str | None) -> msgspec.Raw | None:
    """As it was written down: no number passes through a float."""
    return None if text is None else msgspec.Raw(text.encode())


async def list_audit(asked: Asked) -> Slice | Lines:
    return await page_of(asked, owner_of(asked).id)


async def page_of(asked: Asked, tenant: str | None) -> Slice | Lines:
    """Of a tenant's log, or of all of it."""
    limit, after = limit_of(asked.query), asked.query.after
    if after and not (after.isascii() and after.isdigit() and int(after) <= NEWEST):
        raise BadRequest("after: what `next` said, or nothing.", param="after")
    before = int(after or NEWEST)
    rows = await asked.world.read(lambda reader: reader.audited(tenant, before=before, limit=limit + 1))
    page = sliced([shown(row) for row in rows], limit, lambda row: str(row.seq))
    if not _wants_lines(asked):
        return page
    if page.next is not None:
        query = urlencode({"format": "jsonl", "limit": limit, "after": page.next})
        asked.answer_headers.append(("link", f'<?{query}>; rel="next"'))
    return Lines(page.data)


def _wants_lines(asked: Asked) -> bool:
    if asked.query.format is not None:
        return bool(asked.query.format == "jsonl")
    return asked.headers.get("accept", "").partition(";")[0].strip().lower() in LINES


def _route(path: str, needs: Needs, whose: str) -> Route:
    return Route(
        method="GET", path=path, needs=needs, handler=list_audit, query=AuditQuery, answer=list[AuditShown],
        summary=f"What was changed in {whose}, newest first; as JSON lines too",
    )  # fmt: skip


ROUTES = [
    _route("/api/audit", "account", "one's own account"),
    _route(f"{ORG}/audit", "audit.read", "the organization"),
]
