"""`deeptoken serve`: the gateway."""

from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from deeptoken import config
from deeptoken.cli.options import load, say, with_config
from deeptoken.settings import ConfigError, Settings


@click.command()
@with_config
@click.option("--host", help="Listen here instead of where the configuration says.")
@click.option("--port", type=click.IntRange(0, 65535), help="0: any that is free.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes; this version runs one.")
@click.option("--check", is_flag=True, help="Only check the configuration.")
def command(file: Path | None, host: str | None, port: int | None, workers: int | None, check: bool) -> None:
    """Run the gateway until SIGTERM. SIGHUP reads the configuration again."""
    if check:
        click.echo(f"{load(file, secrets=True).file or 'The environment'}: the configuration is right.")
        return
    if workers is not None and workers > 1:
        raise ConfigError("--workers: this version runs one worker")
    if config.find(file, config.environment()) is None:
        say(
            f"no {config.FILE} here and no --config: no channel, no key; there are just those that "
            "commands made. To try a gateway: `deeptoken demo`."
        )
    serve(
        lambda: load(file, secrets=True),
        host=host,
        port=port,
        listening=lambda address: click.echo(f"DeepToken serves {address}"),
    )


def serve(
    read: Callable[[], Settings],
    *,
    host: str | None = None,
    port: int | None = None,
    listening: Callable[[str], None],
) -> None:
    """Serve what `read` gives, at the address of the command line, if it gave one; SIGHUP reads again."""
    # Only here: the other commands start without the server's libraries.
    import uvloop

    from deeptoken import app

    def placed() -> Settings:
        settings = read()
        server = msgspec.structs.replace(
            settings.server,
            host=settings.server.host if host is None else host,
            port=settings.server.port if port is None else port,
        )
        return msgspec.structs.replace(settings, server=server)

    async def main() -> None:
        orders = app.Orders()
        orders.obey_signals()
        await app.run(placed(), orders, read_settings=placed, listening=listening)

    uvloop.run(main())
