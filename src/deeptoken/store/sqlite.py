"""The door to an SQLite file: connections, the lock of the one writer, a copy of the whole.

Only apsw opens the file: two SQLite libraries in one process break each other's locks. SQLite before
3.51.3 is refused, it can lose commits with two or more connections (https://sqlite.org/wal.html#walresetbug).
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from deeptoken.errors import DeeptokenError

OLDEST_SQLITE = 3_051_003
BUSY_MS = 5_000
CACHE_KIB = 4 * 1024
"""Of the connection that writes. What it writes to are the last pages of a few indexes; all else the kernel
keeps. A larger one is but filled, in a minute of load."""
CHECKPOINT_PAGES = 1_000
"""Pages of the WAL that one checkpoint writes back, in the middle of the commits: four times as many made one
call in a hundred wait for 40 ms, with 50,000 rows in the database."""
BACKUP_PAGES = 256
"""How much of a backup is copied at once; a reader or the writer waits that long at most."""

Value = str | int | bytes | None
Row = tuple[Value | float, ...]
SqliteError = apsw.Error
"""What SQLite itself refuses with."""


class StoreError(DeeptokenError):
    """The database cannot be used as it is. The message is for the operator."""


class WriterRuns(StoreError):
    """Another process writes this database."""


def numbered(*parameters: Value) -> dict[str, Value]:
    """Parameters for a statement that says ``$1``, ``$2``: SQLite takes these for names."""
    return {str(number): value for number, value in enumerate(parameters, 1)}


def open_writer_connection(path: Path) -> apsw.Connection:
    """The one connection that writes. It is used by one thread at a time."""
    _refuse_old_sqlite()
    new = not path.exists()
    connection = apsw.Connection(str(path))
    if new:
        path.chmod(0o600)
    connection.set_busy_timeout(BUSY_MS)
    for pragma in (
        "journal_mode = wal",
        "synchronous = full",
        f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
        f"cache_size = -{CACHE_KIB}",
        "foreign_keys = on",
    ):
        connection.execute(f"pragma {pragma}")
    return connection


def open_reader_connection(path: Path) -> apsw.Connection:
    """A connection that can only read; it sees what is committed.

    Raises:
        StoreError: there is no such file.
    """
    _refuse_old_sqlite()
    if not path.exists():
        raise StoreError(f"There is no database at {path}. `deeptoken serve` or `deeptoken init` makes one.")
    # Not SQLITE_OPEN_READONLY: a reader of a WAL file that nobody writes must be able to make its -shm.
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(BUSY_MS)
    connection.execute("pragma query_only = on")
    return connection


@contextmanager
def snapshot(connection: apsw.Connection) -> Iterator[None]:
    """Everything read inside is of one moment."""
    connection.execute("begin")
    try:
        yield
    finally:
        connection.execute("rollback")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Be the one writer of the database at `path`, from now until the end of the block.

    Raises:
        WriterRuns: another process is.
    """
    lock = path.with_name(path.name + ".lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
            raise WriterRuns(
                f"Another process (pid {holder}) writes {path}. One database has one writer: stop that "
                "process, or use another database."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_written(path: Path) -> bool:
    """Whether a process writes the database at `path` now, this one or another."""
    try:
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def backup(source: Path, target: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Copy the database at `source` to the new file `target`, consistently, while it may be written.

    `progress` is told pages done and pages in all.

    Raises:
        StoreError: there is no source, or the target is there already.
    """
    if target.exists():
        raise StoreError(f"{target} is there already. A backup never overwrites: name a new file.")
    reader = open_reader_connection(source)
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    # Made here, so that keys and balances are never readable by others, not even for a moment.
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    copy = apsw.Connection(str(part))
    try:
        # A read transaction holds the snapshot: else a busy writer would make the copy begin anew.
        with snapshot(reader):
            reader.execute("select count(*) from sqlite_schema").fetchall()
            _copy(reader, copy, progress)
        copy.execute("pragma journal_mode = delete")
    except BaseException:
        copy.close()
        part.unlink(missing_ok=True)
        raise
    else:
        copy.close()
        part.replace(target)
    finally:
        reader.close()


def _copy(
    reader: apsw.Connection, copy: apsw.Connection, progress: Callable[[int, int], None] | None
) -> None:
    with copy.backup("main", reader, "main") as copying:
        while not copying.done:
            copying.step(BACKUP_PAGES)
            if progress is not None:
                progress(copying.page_count - copying.remaining, copying.page_count)


def _refuse_old_sqlite() -> None:
    if apsw.SQLITE_VERSION_NUMBER < OLDEST_SQLITE:
        raise StoreError(
            f"SQLite {apsw.sqlite_lib_version()} can lose commits; 3.51.3 or newer is needed. "
            "Install apsw from its wheel."
        )
