"""What was used: ``/api/usage``, and the same of an organization. Newest first; amounts are credits.

Of an organization, who has `usage.read` sees all that its wallet paid, who has only `usage.own` the calls of
their own keys.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from deeptoken import ids
from deeptoken.accounts.change import EPOCH
from deeptoken.accounts.keys import in_credits
from deeptoken.api.management.keys import owner_of
from deeptoken.api.management.organizations import ORG
from deeptoken.api.management.route import Asked, Needs, Page, Route, Slice, limit_of, one, sliced
from deeptoken.ledger.postings import Outcome
from deeptoken.store.queries.money import UsageFilter, UsageRecord
from deeptoken.store.reads import Reader
from deeptoken.store.shown import AMOUNTS, shown

NOBODY = ""
"""Whose no key is."""


class UsageShown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A usage row as it is told to people: that of `usage --json` and ``GET /v1/generation``."""

    id: str
    request_id: str
    endpoint: str
    model: str
    channel: str | None
    key: str
    owner: str | None
    """Whose key that is: ``user:bob``, ``org:acme``."""
    wallet: str
    stream: bool
    prompt_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    images: int
    characters: int
    seconds: int
    searches: int
    estimated: bool
    cost: Decimal
    charged: Decimal
    refunded: Decimal
    outcome: str
    status: int
    code: str | None
    upstream_id: str | None
    ttft_ms: int | None
    duration_ms: int
    created_us: int
    settled_us: int
    attempts: list[Any] | None = None
    """Of one row: each channel that was asked, in order."""


class UsageQuery(Page, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which rows: calls that came since, before `until`; of a key by its name or id, of a user by name."""

    since: datetime | None = None
    until: datetime | None = None
    model: str | None = None
    key: str | None = None
    user: str | None = None
    outcome: Outcome | None = None


def row(record: UsageRecord, owner: str | None, *, attempts: bool = False) -> UsageShown:
    told = shown(record, attempts=attempts) | {"owner": owner}
    told |= {name: in_credits(getattr(record, name)) for name in AMOUNTS}
    return UsageShown(**told)


def microseconds(moment: datetime) -> int:
    """A time without a zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1)


def _only(asked: Asked) -> str | None:
    """Whose keys' calls are all that the actor may see; None: everybody's."""
    return None if asked.tenant is None or "usage.read" in asked.may else asked.actor.account


async def list_usage(asked: Asked) -> Slice:
    query, limit = asked.query, limit_of(asked.query)
    which = UsageFilter(
        wallet=owner_of(asked).id,
        user=_only(asked),
        key_named=query.key,
        model=query.model,
        outcome=query.outcome,
        from_id=None if query.since is None else ids.since(microseconds(query.since)),
        before_id=None if query.until is None else ids.since(microseconds(query.until)),
        after=query.after or None,
    )

    def ask(reader: Reader) -> list[UsageShown]:
        wanted = which
        if query.user is not None:
            # Who may see only their own and asks for another's gets none, as of a user who is not there.
            id = reader.user_named(query.user) or NOBODY
            wanted = msgspec.structs.replace(which, user=id if which.user in (None, id) else NOBODY)
        return [row(record, reader.made_by(record.id)) for record in reader.usages(wanted, limit=limit + 1)]

    return sliced(await asked.world.read(ask), limit, lambda shown: str(shown.id))


async def show_usage(asked: Asked) -> UsageShown:
    """By its id, or by ``X-Request-Id``."""
    id, wallet, user = asked.path["id"], owner_of(asked).id, _only(asked)

    def ask(reader: Reader) -> UsageShown | None:
        record = reader.paid(id, wallet, user=user)
        return None if record is None else row(record, reader.made_by(record.id), attempts=True)

    return one(await asked.world.read(ask), "usage row", id)


def _routes(prefix: str, needs: Needs, whose: str) -> list[Route]:
    return [
        Route(method="GET", path=prefix, needs=needs, handler=list_usage, query=UsageQuery,
              answer=list[UsageShown], summary=f"What {whose} wallet paid, newest first"),
        Route(method="GET", path=f"{prefix}/{{id}}", needs=needs, handler=show_usage, answer=UsageShown,
              errors=(404,), summary="One usage row, with every attempt"),
    ]  # fmt: skip


ROUTES = [
    *_routes("/api/usage", "account", "one's own"),
    *_routes(f"{ORG}/usage", "usage.own", "the organization's"),
]
