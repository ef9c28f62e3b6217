"""`deeptoken audit`: who changed what."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from deeptoken.accounts.change import iso
from deeptoken.cli.books import reader
from deeptoken.cli.names import find_owner
from deeptoken.cli.options import load, with_config, with_json
from deeptoken.cli.output import print_json, print_table, time
from deeptoken.store.queries.accounts import Audited
from deeptoken.store.reads import Reader

NEWEST = 2**62
PAGE = 1_000


@click.command()
@click.option("--of", "owner", metavar="OWNER", help="Just the log of this user, or of org:acme.")
@click.option("--limit", type=click.IntRange(min=1), default=100, help="The newest so many; 100 without.")
@click.option("--all", "every", is_flag=True, help="All of it.")
@with_config
@with_json
def command(owner: str | None, limit: int, every: bool, file: Path | None, as_json: bool) -> None:
    """Who changed what, when, from where: newest first. With --json before and after too, a line each."""
    with reader(load(file)) as books:
        tenant = find_owner(books, owner)[0] if owner else None
        rows = pages(books, tenant, None if every else limit)
        if as_json:
            for row in rows:
                print_json(as_row(row))
            return
        print_table(
            [
                {
                    "at": time(row.at_us),
                    "who": row.actor_name,
                    "from": row.address or "",
                    "what": row.action,
                    "of": row.subject,
                }
                for row in rows
            ],
            empty="Nothing was changed yet.",
        )


def pages(books: Reader, tenant: str | None, most: int | None) -> Iterator[Audited]:
    """The rows of a tenant's log, or of all, read a page at a time."""
    before = NEWEST
    while most is None or most > 0:
        rows = books.audited(tenant, before=before, limit=PAGE if most is None else min(PAGE, most))
        yield from rows
        if not rows:
            return
        before = rows[-1].seq
        most = None if most is None else most - len(rows)


def as_row(row: Audited) -> dict[str, Any]:
    """As ``/api/audit`` tells it."""
    return {
        "seq": row.seq,
        "at": iso(row.at_us),
        "actor": row.actor_name,
        "by": row.actor,
        "address": row.address,
        "action": row.action,
        "subject": row.subject,
        "before": None if row.before is None else msgspec.Raw(row.before.encode()),
        "after": None if row.after is None else msgspec.Raw(row.after.encode()),
    }
