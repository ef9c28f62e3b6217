"""The command line: every command by its name, loaded when it is called."""

import importlib
from typing import Any

import click

from deeptoken import __version__

COMMANDS = {
    "serve": "Run the gateway.",
    "demo": "Run it with a demo key and the built-in provider.",
}


class Commands(click.Group):
    """Each command is `command` in the module of its name."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: Any = importlib.import_module(f"deeptoken.cli.{name}").command
        assert isinstance(command, click.Command)
        return command


@click.command(cls=Commands)
@click.version_option(__version__, prog_name="deeptoken")
def main() -> None:
    """An open inference gateway with a real wallet."""
