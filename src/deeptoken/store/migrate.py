"""Migrations: numbered SQL files, each one transaction, remembered with its SHA-256.

    number, name, sha256, applied_us      the table `migration`

A new database gets all of them. `open` refuses an older schema (``deeptoken migrate`` brings it up to date),
a newer one, and one whose migrations were changed after they were applied.
"""

import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files

import apsw
import msgspec

from deeptoken import clock
from deeptoken.store.sqlite import StoreError, numbered

NAME = re.compile(r"(\d{4})_(\w+)(\.sqlite|\.pg)?\.sql")

TABLE = """
create table if not exists migration (
    number integer primary key,
    name text not null,
    sha256 text not null,
    applied_us integer not null
) strict
"""
APPLIED = "select number, sha256 from migration order by number"
HAS_TABLE = "select count(*) from sqlite_schema where name = 'migration'"
REMEMBER = "insert into migration (number, name, sha256, applied_us) values ($1, $2, $3, $4)"


class Migration(msgspec.Struct, frozen=True):
    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Those that SQLite needs, in order."""
    found = []
    for file in files("deeptoken.store").joinpath("migrations").iterdir():
        match = NAME.fullmatch(file.name)
        if match is not None and match[3] != ".pg":
            found.append(Migration(number=int(match[1]), name=match[2], sql=file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.number)


def pending(connection: apsw.Connection, known: Sequence[Migration]) -> list[Migration]:
    """What the database still needs.

    Raises:
        StoreError: the database is newer than this program, or a migration was changed.
    """
    applied: dict[int, str] = {}
    if connection.execute(HAS_TABLE).get:
        applied = {int(number): str(sha256) for number, sha256 in connection.execute(APPLIED)}
    newest = known[-1].number if known else 0
    if applied and max(applied) > newest:
        raise StoreError(
            f"The database is at schema {max(applied)} and this program knows {newest}. "
            "Run the newer program."
        )
    for migration in known:
        if migration.number in applied and applied[migration.number] != migration.sha256:
            raise StoreError(
                f"Migration {migration.number:04d} ({migration.name}) is not what was applied to this "
                "database. A released migration is never edited: restore the file."
            )
    return [migration for migration in known if migration.number not in applied]


def migrate(connection: apsw.Connection, known: Sequence[Migration]) -> list[Migration]:
    """Apply what is pending and return it. What failed leaves no trace."""
    connection.execute(TABLE)
    needed = pending(connection, known)
    for migration in needed:
        connection.execute("begin exclusive")
        try:
            connection.execute(migration.sql)
            connection.execute(
                REMEMBER, numbered(migration.number, migration.name, migration.sha256, clock.wall_us())
            )
            connection.execute("commit")
        except BaseException:
            connection.execute("rollback")
            raise
    return needed


def ensure_current(connection: apsw.Connection, known: Sequence[Migration]) -> None:
    """Make a new database, accept a current one.

    Raises:
        StoreError: it is older or newer, or no database of deeptoken's.
    """
    empty = not connection.execute("select count(*) from sqlite_schema").get
    if empty:
        migrate(connection, known)
        return
    if not connection.execute(HAS_TABLE).get:
        raise StoreError("This file is not a database of deeptoken's.")
    needed = pending(connection, known)
    if needed:
        raise StoreError(
            f"The database is at an older schema ({len(needed)} migrations behind). "
            "Make a copy with `deeptoken backup`, then run `deeptoken migrate`."
        )
