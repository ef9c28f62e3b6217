"""`deeptoken backup`: a consistent copy of the database, while it runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from deeptoken.cli.options import FILE, Mistake, load, say, with_config
from deeptoken.cli.progress import bar
from deeptoken.store.secrets import key_file
from deeptoken.store.sqlite import backup


@click.command()
@click.argument("destination", type=FILE, metavar="DEST")
@click.option("--force", is_flag=True, help="Replace DEST if it is there.")
@with_config
def command(destination: Path, force: bool, file: Path | None) -> None:
    """Copy the database to the file DEST. The gateway may run. DEST is there when it is whole."""
    source = load(file).database.path
    if not destination.parent.is_dir():
        raise Mistake(f"There is no folder {destination.parent}: make it, or name another.")
    if destination.exists() and source.exists() and destination.samefile(source):
        raise Mistake(f"{destination} is the database itself: name another file.")
    if destination.exists() and not force:
        raise Mistake(f"{destination} is there already: name another file, or replace it with --force.")
    with _copying() as progress:
        if force:
            fresh = destination.with_name(destination.name + ".new")
            fresh.unlink(missing_ok=True)
            backup(source, fresh, progress)
            fresh.replace(destination)
        else:
            backup(source, destination, progress)
    click.echo(f"{destination} is a copy of {source}.")
    say(f"Keep the secrets key {key_file(source)} with it: without it no provider's credential can be read.")


@contextmanager
def _copying() -> Iterator[Callable[[int, int], None]]:
    with bar() as advance:
        yield lambda done, total: advance("pages", done, total)
