"""The command line: every command by its name, loaded when it is called."""

import importlib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from deeptoken import __version__
from deeptoken.cli.options import Mistake, Trouble, explained

COMMANDS = {
    "serve": "Run the gateway.",
    "demo": "Run it with a demo key and the built-in provider.",
    "init": "Make the database, the secrets key and an operator.",
    "keys": "API keys: list, create, edit, rotate, revoke.",
    "users": "Users: list, create, edit, suspend.",
    "orgs": "Organizations: settings, members, roles, invitations.",
    "channels": "Providers and their credentials.",
    "models": "What can be called, and what it costs.",
    "wallets": "Balances, grants and refunds.",
    "audit": "Who changed what.",
    "usage": "What was called, and what it cost.",
    "chat": "Talk to a model through the gateway.",
    "verify": "Check the ledger: every balance, every bill.",
    "doctor": "Check configuration, database, channels, clock and limits.",
    "backup": "Copy the database while it runs.",
    "migrate": "Bring the database's schema up to date.",
    "bench": "Put load on a running gateway.",
    "mock": "A provider that misbehaves on demand.",
}


class Commands(click.Group):
    """Each command is `command` in the module of its name. Whatever ends one badly is told in a line."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: Any = importlib.import_module(f"deeptoken.cli.{name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        with border():
            return super().parse_args(context, args)

    def invoke(self, context: click.Context) -> Any:
        with border():
            return super().invoke(context)


@contextmanager
def border() -> Iterator[None]:
    """Where a command ends: what click does not know becomes a line and an exit code."""
    try:
        yield
    except (click.exceptions.Exit, click.Abort, click.exceptions.NoArgsIsHelpError, BrokenPipeError):
        raise
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "deeptoken"
        raise Mistake(f"{error.format_message()} See `{path} --help`.") from None
    except click.ClickException:
        raise
    except Exception as error:
        cause = first_cause(error)
        raise explained(cause) or unforeseen(cause) from None


def first_cause(error: Exception) -> Exception:
    """Of a group of tasks, what ended it."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def unforeseen(error: Exception) -> Trouble:
    """A bug of ours: what and where, in a line."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    return Trouble(f"Something went wrong that should not: {type(error).__name__} at {where}: {error}")


@click.command(cls=Commands)
@click.version_option(__version__, prog_name="deeptoken")
def main() -> None:
    """An open inference gateway with a real wallet."""
