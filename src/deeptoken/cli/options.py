"""What the commands share: the configuration that they are about, and how a mistake ends them.

Exit codes: 0 done, 1 it found something wrong, 2 the call was wrong.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from deeptoken import config
from deeptoken.providers.registry import BASE_URLS
from deeptoken.settings import ConfigError, Settings
from deeptoken.store.sqlite import StoreError

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(dir_okay=False, path_type=Path)


def with_config(command: Command) -> Command:
    """`--config`, else DEEPTOKEN_CONFIG, else ./deeptoken.toml."""
    return click.option("--config", "file", type=FILE, help="The configuration file.")(command)


def with_json(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def load(file: Path | None) -> Settings:
    """The settings; called inside `mistakes`."""
    environ = config.environment()
    return config.load(config.find(file, environ), environ, providers=BASE_URLS)


@contextmanager
def mistakes() -> Iterator[None]:
    """What is wrong with the call or the installation is said in a line, and ends the command."""
    try:
        yield
    except ConfigError as error:
        click.echo(f"deeptoken: {error}", err=True)
        sys.exit(2)
    except StoreError as error:
        click.echo(f"deeptoken: {error}", err=True)
        sys.exit(1)
