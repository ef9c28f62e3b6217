"""A database with many accounts, through the ledger as anyone writes it."""

import asyncio
from pathlib import Path

from deeptoken import clock, ids
from deeptoken.accounts import keys, organizations
from deeptoken.accounts.administration import create_user, new_user
from deeptoken.accounts.change import COMMAND_LINE
from deeptoken.ledger.postings import Posting
from deeptoken.store.ledger import open_ledger
from deeptoken.store.queries.accounts import Organization

ORGANIZATIONS, KEYS_EACH = 1_000, 10
AT_ONCE = 500


def fill(database: Path) -> None:
    """1,000 organizations with ten keys each, of one owner."""
    asyncio.run(_fill(database))


async def _fill(database: Path) -> None:
    postings = _postings()
    async with open_ledger(database) as ledger:
        for first in range(0, len(postings), AT_ONCE):
            some = postings[first : first + AT_ONCE]
            await asyncio.gather(*(ledger.post(posting) for posting in some))


def _postings() -> list[Posting]:
    owner = new_user("crowd")
    postings: list[Posting] = [*create_user(COMMAND_LINE, owner)]
    for number in range(ORGANIZATIONS):
        slug = f"crowd-{number}"
        org = Organization(id=ids.new_id("org"), slug=slug, name=slug, created_us=clock.wall_us())
        postings += organizations.create(COMMAND_LINE, org, owner.id, owner.name)
        for place in range(KEYS_EACH):
            key, _ = keys.new_key(f"key-{place}", org.id)
            postings.append(keys.create(COMMAND_LINE, key, f"org:{slug}"))
    return postings
