"""`deeptoken serve`: the gateway."""

from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from deeptoken import config
from deeptoken.cli.options import explained, load, say, with_config
from deeptoken.settings import Settings


@click.command()
@with_config
@click.option("--host", help="Listen here instead of where the configuration says.")
@click.option("--port", type=click.IntRange(0, 65535), help="0: any that is free.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that serve; one more writes for them.")
@click.option("--check", is_flag=True, help="Only check the configuration.")
def command(file: Path | None, host: str | None, port: int | None, workers: int | None, check: bool) -> None:
    """Run the gateway until SIGTERM. SIGHUP reads the configuration again."""
    if check:
        settings = _placed(load(file, secrets=True), workers=workers)
        _check_system(settings, declared=workers is None)
        click.echo(f"{settings.file or 'The environment'}: the configuration is right.")
        return
    if config.find(file, config.environment()) is None:
        say(
            f"no {config.FILE} here and no --config: no channel, no key; there are just those that "
            "commands made. To try a gateway: `deeptoken demo`."
        )
    serve(
        lambda: load(file, secrets=True),
        host=host,
        port=port,
        workers=workers,
        listening=lambda address: click.echo(f"DeepToken serves {address}"),
    )


def serve(
    read: Callable[[], Settings],
    *,
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
    listening: Callable[[str], None],
) -> None:
    """Serve what `read` gives, at the address of the command line, if it gave one; SIGHUP reads again."""
    # Only here: the other commands start without the server's libraries.
    import uvloop

    from deeptoken import app
    from deeptoken.workers import Supervisor

    def placed() -> Settings:
        return _placed(read(), host=host, port=port, workers=workers)

    def told(error: Exception) -> str | None:
        mistake = explained(error)
        return None if mistake is None else mistake.message

    async def main() -> None:
        orders = app.Orders()
        orders.obey_signals()
        await app.run(settings, orders, read_settings=placed, listening=listening)

    settings = placed()
    if settings.server.workers == 1:
        uvloop.run(main())
    else:
        _check_system(settings, declared=workers is None)
        Supervisor(settings, placed, listening, uvloop.run, told).serve()


def _placed(
    settings: Settings, *, host: str | None = None, port: int | None = None, workers: int | None = None
) -> Settings:
    """With what the command line says instead of the configuration."""
    server = settings.server
    said = msgspec.structs.replace(
        server,
        host=server.host if host is None else host,
        port=server.port if port is None else port,
        workers=server.workers if workers is None else workers,
    )
    return msgspec.structs.replace(settings, server=said)


def _check_system(settings: Settings, *, declared: bool) -> None:
    """Raises `ConfigError` where so many workers cannot run; it names the file, if that asks for them."""
    if settings.server.workers > 1:
        # Only here: it brings the server's libraries.
        from deeptoken.workers import check_system

        check_system(settings.server.workers, settings.file if declared else None)
