"""How commands read and write an installation, whether its gateway runs or not."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from deeptoken.cli.options import Trouble
from deeptoken.ledger.postings import Answer, Done, Posting, Rejected
from deeptoken.settings import Settings
from deeptoken.store.ledger import open_ledger
from deeptoken.store.reads import Reader


def reader(settings: Settings) -> Reader:
    """What the database knows.

    Raises:
        StoreError: there is none.
    """
    return Reader(settings.database.path)


def write(settings: Settings, *postings: Posting) -> bool:
    """Post all of it, in this order; a few postings are one transaction. Whether anything changed.

    The database must be there: who writes has read before.

    Raises:
        Trouble: something of it was rejected.
    """
    answers = asyncio.run(_post(settings.database.path, postings))
    rejected = [answer.why for answer in answers if isinstance(answer, Rejected)]
    if rejected:
        raise Trouble(" ".join(rejected))
    return any(isinstance(answer, Done) and answer.changed for answer in answers)


async def _post(path: Path, postings: Sequence[Posting]) -> list[Answer]:
    async with open_ledger(path) as ledger:
        return await asyncio.gather(*(ledger.post(posting) for posting in postings))
