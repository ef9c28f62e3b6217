"""`deeptoken doctor`: looks at an installation from outside and says what is wrong with it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from deeptoken import config
from deeptoken.cli import checks
from deeptoken.cli.checks import Check
from deeptoken.cli.mail_reached import reach_mail
from deeptoken.cli.options import Trouble, load, whose_file, with_config, with_json
from deeptoken.cli.output import print_json
from deeptoken.cli.providers_reached import reach_channels
from deeptoken.settings import ConfigError


@click.command()
@with_config
@with_json
def command(file: Path | None, as_json: bool) -> None:
    """Check configuration, database, writer, channels, mail server, clock, open files and disk.

    Exit code 1 if something failed. Each enabled channel is asked for its list of models.
    """
    failed = 0
    for check in _checked(file):
        failed += check.status == "failed"
        if as_json:
            print_json(msgspec.to_builtins(check))
        else:
            click.echo(f"{check.status:7}  {check.name}: {check.detail}")
    if failed:
        raise Trouble(f"{failed} of these checks failed.")


def _checked(file: Path | None) -> Iterator[Check]:
    try:
        settings = load(file, secrets=True)
    except ConfigError as error:
        yield Check("configuration", "failed", str(error))
        return
    yield Check("configuration", "ok", f"{whose_file(settings)} is right")
    for warning in config.warnings(settings):
        yield Check("secrets", "warning", warning)
    database = checks.database(settings)
    yield database
    if database.status != "failed":
        yield checks.writer(settings)
        yield checks.clocks(settings)
        yield checks.sealed(settings)
        yield checks.models(settings)
        yield from checks.keyless(settings)
        yield from checks.served(settings)
        yield from asyncio.run(reach_channels(settings))
    yield from reach_mail(settings.email)
    yield checks.open_files(settings)
    yield checks.disk(settings)
