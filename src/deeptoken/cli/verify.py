"""`deeptoken verify`: walks the ledger, while it is in use, and says of each invariant whether it holds."""

from pathlib import Path

import click
import msgspec

from deeptoken.catalog.price import charge
from deeptoken.cli.options import Trouble, load, with_config, with_json
from deeptoken.cli.output import print_json
from deeptoken.cli.progress import bar
from deeptoken.store.verify import Finding, verify


@click.command()
@with_config
@with_json
def command(file: Path | None, as_json: bool) -> None:
    """Check every balance, every lot, every bill and the chain of batches. Changes nothing.

    Exit code 1 if something does not hold.
    """
    settings = load(file)
    broken = []
    with bar() as advance:
        for finding in verify(settings.database.path, charge, progress=advance):
            if finding.count:
                broken.append(finding.name)
            if as_json:
                print_json({"name": finding.name, "ok": not finding.count, **msgspec.to_builtins(finding)})
            else:
                _print(finding)
    if broken:
        raise Trouble(
            f"{', '.join(broken)}: this does not hold. Keep the database as it is, restore a backup."
        )


def _print(finding: Finding) -> None:
    click.echo(f"{'failed' if finding.count else 'ok':6}  {finding.name:5}  {finding.sentence}")
    for problem in finding.problems:
        click.echo(f"{'':15}{problem.subject}: {problem.detail}")
    more = finding.count - len(finding.problems)
    if more:
        click.echo(f"{'':15}and {more} more")
