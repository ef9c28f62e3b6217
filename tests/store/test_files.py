"""The files beside a database: its schema, its copy, its key, its lock."""

import asyncio
import os
import stat
from pathlib import Path

import apsw
import pytest
from store_scene import WALLET, broken, fund, pay

from deeptoken.store import sqlite
from deeptoken.store.ledger import open_writer
from deeptoken.store.migrate import Migration, ensure_current, migrate, migrations
from deeptoken.store.reads import Reader
from deeptoken.store.secrets import key_file, load_secrets
from deeptoken.store.sqlite import (
    StoreError,
    WriterRuns,
    backup,
    locked,
    open_reader_connection,
    open_writer_connection,
)

FIRST = Migration(number=1, name="first", sql="create table a (x integer); create table b (x integer);")
SECOND = Migration(number=2, name="second", sql="alter table a add column y integer;")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deeptoken.db"


def made(path: Path) -> Path:
    async def story() -> None:
        async with open_writer(path) as ledger:
            await fund(ledger)
            await pay(ledger)

    asyncio.run(story())
    return path


def test_a_new_database_gets_every_migration_and_remembers_it(path: Path) -> None:
    connection = open_writer_connection(path)

    ensure_current(connection, migrations())

    applied = connection.execute("select number, name, sha256 from migration").fetchall()
    connection.close()
    assert applied == [(migration.number, migration.name, migration.sha256) for migration in migrations()]
    assert [migration.number for migration in migrations()] == list(range(1, len(applied) + 1))


def test_every_table_is_strict(path: Path) -> None:
    connection = open_writer_connection(path)
    ensure_current(connection, migrations())

    loose = connection.execute("select name from pragma_table_list where type = 'table' and not strict")

    assert [name for (name,) in loose if not name.startswith("sqlite_")] == []
    connection.close()


def test_an_older_schema_is_refused_until_it_is_migrated(path: Path) -> None:
    connection = open_writer_connection(path)
    ensure_current(connection, [FIRST])

    with pytest.raises(StoreError, match="deeptoken migrate"):
        ensure_current(connection, [FIRST, SECOND])
    assert migrate(connection, [FIRST, SECOND]) == [SECOND]
    ensure_current(connection, [FIRST, SECOND])
    connection.close()


def test_a_newer_schema_and_a_changed_migration_are_refused(path: Path) -> None:
    connection = open_writer_connection(path)
    ensure_current(connection, [FIRST, SECOND])

    with pytest.raises(StoreError, match="newer program"):
        ensure_current(connection, [FIRST])
    changed = Migration(number=2, name="second", sql=SECOND.sql + " ")
    with pytest.raises(StoreError, match="Migration 0002"):
        ensure_current(connection, [FIRST, changed])
    connection.close()


def test_a_migration_that_fails_leaves_no_trace(path: Path) -> None:
    connection = open_writer_connection(path)
    ensure_current(connection, [FIRST])
    bad = Migration(number=2, name="bad", sql="create table c (x integer); create table a (x integer);")

    with pytest.raises(apsw.SQLError):
        migrate(connection, [FIRST, bad])

    tables = {name for (name,) in connection.execute("select name from sqlite_schema")}
    assert "c" not in tables
    assert migrate(connection, [FIRST, SECOND]) == [SECOND]
    connection.close()


def test_a_file_of_somebody_else_is_refused(path: Path) -> None:
    connection = open_writer_connection(path)
    connection.execute("create table theirs (x integer)")

    with pytest.raises(StoreError, match="not a database of deeptoken's"):
        ensure_current(connection, migrations())
    connection.close()


def test_an_sqlite_that_can_lose_commits_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "OLDEST_SQLITE", 99_000_000)

    with pytest.raises(StoreError, match=r"3\.51\.3"):
        open_writer_connection(path)


def test_the_writer_commits_as_durably_as_the_design_says(path: Path) -> None:
    connection = open_writer_connection(path)

    pragmas = {
        name: connection.execute(f"pragma {name}").get
        for name in ("journal_mode", "synchronous", "wal_autocheckpoint", "foreign_keys", "busy_timeout")
    }

    connection.close()
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "wal_autocheckpoint": 1_000,
        "foreign_keys": 1,
        "busy_timeout": 5_000,
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_reader_cannot_write_and_makes_no_database(path: Path) -> None:
    with pytest.raises(StoreError, match="There is no database"):
        open_reader_connection(path)

    reader = open_reader_connection(made(path))
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("update wallet set balance = 0")
    reader.close()


def test_a_backup_is_a_whole_ledger_while_the_writer_writes(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    told: list[tuple[int, int]] = []

    async def story() -> None:
        async with open_writer(path) as ledger:
            await fund(ledger)
            paying = asyncio.gather(*(pay(ledger) for _ in range(200)))
            await pay(ledger)
            await asyncio.to_thread(backup, path, target, lambda done, total: told.append((done, total)))
            await paying

    asyncio.run(story())

    assert broken(target) == []
    assert told[-1][0] == told[-1][1] > 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with Reader(target) as reader:
        wallet = reader.wallet(WALLET)
    assert wallet is not None
    assert wallet.balance > 0
    assert not list(tmp_path.glob("copy.db?*"))


def test_a_backup_overwrites_nothing(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("precious")

    with pytest.raises(StoreError, match="never overwrites"):
        backup(made(path), target)

    assert target.read_text() == "precious"


def test_the_lock_names_who_has_it_and_is_free_after_the_block(path: Path) -> None:
    with locked(path), pytest.raises(WriterRuns, match=f"pid {os.getpid()}"), locked(path):
        pass
    with locked(path):
        pass


def test_a_secret_is_opened_by_its_own_row_and_the_same_key_only(path: Path, tmp_path: Path) -> None:
    secrets = load_secrets(path)
    sealed = secrets.seal("sk-1", "chn_1")

    assert b"sk-1" not in sealed
    assert load_secrets(path).open(sealed, "chn_1") == "sk-1"
    with pytest.raises(StoreError, match="chn_2"):
        secrets.open(sealed, "chn_2")
    with pytest.raises(StoreError, match="secrets key"):
        load_secrets(tmp_path / "other.db").open(sealed, "chn_1")


def test_the_secrets_key_is_private_and_stays(path: Path) -> None:
    load_secrets(path)
    key = key_file(path).read_bytes()
    load_secrets(path)

    assert stat.S_IMODE(key_file(path).stat().st_mode) == 0o600
    assert key_file(path).read_bytes() == key
    key_file(path).chmod(0o644)
    with pytest.raises(StoreError, match="chmod 600"):
        load_secrets(path)
