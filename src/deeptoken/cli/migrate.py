"""`deeptoken migrate`: the database's schema up to date."""

import contextlib
from pathlib import Path

import click

from deeptoken.cli.options import Trouble, load, with_config
from deeptoken.store.migrate import Migration, migrate, migrations, pending
from deeptoken.store.sqlite import locked, open_reader_connection, open_writer_connection


@click.command()
@click.option("--check", is_flag=True, help="Only say what would be applied; exit 1 if there is something.")
@with_config
def command(check: bool, file: Path | None) -> None:
    """Apply the migrations that the database does not have yet. Make a backup first."""
    path = load(file).database.path
    needed = _pending(path)
    if not needed:
        click.echo(f"{path} is up to date.")
        return
    if check:
        for migration in needed:
            click.echo(f"{migration.number:04d} {migration.name}")
        raise Trouble(f"{path} needs these migrations. Stop the gateway, then run `deeptoken migrate`.")
    with locked(path), contextlib.closing(open_writer_connection(path)) as connection:
        for migration in migrate(connection, migrations()):
            click.echo(f"Applied {migration.number:04d} {migration.name}.")


def _pending(path: Path) -> list[Migration]:
    known = migrations()
    with contextlib.closing(open_reader_connection(path)) as connection:
        needed = pending(connection, known)
    if len(needed) == len(known) and path.stat().st_size:
        raise Trouble(f"{path} is not a database of deeptoken's: name another in [database] url.")
    return needed
