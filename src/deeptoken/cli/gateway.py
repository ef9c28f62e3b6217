"""Where the gateway answers, and with which key a command calls it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from deeptoken import config
from deeptoken.cli.options import Mistake, load
from deeptoken.settings import Server

Command = TypeVar("Command", bound=Callable[..., Any])

KEY_VARIABLE = "DEEPTOKEN_KEY"
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""What a gateway listens on, and where one finds it on the same machine."""


def with_url(command: Command) -> Command:
    """`--url`, where the gateway is not where the configuration says."""
    return click.option("--url", help="The gateway: http://127.0.0.1:8080. By default the configuration's.")(
        command
    )


def with_gateway(command: Command) -> Command:
    options = [
        with_url,
        click.option(
            "--key-env",
            default=KEY_VARIABLE,
            show_default=True,
            metavar="NAME",
            help="The variable with the API key.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def origin(url: str | None, file: Path | None) -> str:
    """The gateway's address, without a path.

    Raises:
        Mistake: neither the option nor the configuration says it.
    """
    if url is not None:
        bare = url.rstrip("/").removesuffix("/v1")
        if not bare.startswith(("http://", "https://")):
            raise Mistake("--url: expected an address such as http://127.0.0.1:8080.")
        return bare
    server = load(file).server
    if not server.port:
        raise Mistake("The configuration leaves the port open: say where the gateway is by --url.")
    return _address(server)


def api_key(variable: str) -> str:
    """The key to call with; never an option's value, which others could read.

    Raises:
        Mistake: the variable is not set.
    """
    key = config.environment().get(variable, "").strip()
    if not key:
        raise Mistake(
            f"The environment variable {variable} is not set: put an API key there. "
            "`deeptoken keys create` prints one."
        )
    return key


def _address(server: Server) -> str:
    host = EVERYWHERE.get(server.host, server.host)
    scheme = "http" if server.tls is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{server.port}"
