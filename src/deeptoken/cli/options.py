"""What the commands share: their common options, values as people write them, and how a mistake is told.

Exit codes: 0 done, 1 it found something wrong, 2 the call was wrong.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from deeptoken import clock, config
from deeptoken.money import NanoUsd, usd
from deeptoken.settings import ConfigError, Settings

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(dir_okay=False, path_type=Path)
DURATION = re.compile(r"(\d{1,9})([smhdw])")
NUMBER = re.compile(r"[0-9]*\.?[0-9]+([eE][+-]?[0-9]{1,3})?")
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENT_US_MAX = 253_402_300_800_000_000
"""The year 10000, which no date can be written in."""


class Mistake(click.ClickException):
    """The call was wrong. One line says how to make it right."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        say(self.message)


class Trouble(Mistake):
    """The call was right, and something else is wrong."""

    exit_code = 1


def say(message: str) -> None:
    """Tell the person, not the program that reads the output."""
    click.echo(f"deeptoken: {' '.join(message.split())}", err=True)


def explained(error: Exception) -> Mistake | None:
    """What an error means to who typed the command; None if nobody foresaw it."""
    from deeptoken.errors import DeeptokenError
    from deeptoken.store.sqlite import SqliteError

    match error:
        case ConfigError():
            return Mistake(str(error))
        case DeeptokenError():
            return Trouble(error.message)
        case SqliteError():
            return Trouble(f"The database cannot be used: {error}. {_cure(type(error).__name__)}")
        case OSError(strerror=str(reason)):
            named = f"{error.filename}: " if error.filename else ""
            return Trouble(f"{named}{reason}.")
    return None


def _cure(kind: str) -> str:
    match kind:
        case "BusyError" | "LockedError":
            return "Another program holds it; try again when that has ended."
        case "SQLError":
            return "Is its schema older than this program? Run `deeptoken migrate --check`."
        case "NotADBError" | "CorruptError":
            return "Name another file in [database] url, or restore a backup."
        case "FullError" | "IOError":
            return "Is the disk full? Run `deeptoken doctor`."
    return "Run `deeptoken doctor`."


def with_config(command: Command) -> Command:
    """`--config`, else DEEPTOKEN_CONFIG, else ./deeptoken.toml."""
    return click.option("--config", "file", type=FILE, help="The configuration file.")(command)


def with_json(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, an object a line.")(command)


def load(file: Path | None, *, secrets: bool = False) -> Settings:
    """The settings; `secrets` for who calls providers or serves: the others need none in their environment.

    Raises:
        ConfigError: the first thing that is wrong with them.
    """
    # Only here: the adapters of all providers are behind it.
    from deeptoken.providers.registry import BASE_URLS

    environ = config.environment()
    settings = config.load(config.find(file, environ), environ, providers=BASE_URLS, secrets=secrets)
    folder = settings.database.path.parent
    if secrets and not folder.is_dir():
        raise ConfigError(
            f"database.url: there is no folder {folder}; make it, or name another", file=settings.file
        )
    return settings


def sentence(text: str) -> str:
    """With a full stop, unless it ends already: ``did you mean "openai"?``."""
    return text if text.endswith(("?", ".")) else f"{text}."


def whose_file(settings: Settings) -> str:
    """The configuration file, as it is named to people."""
    return str(settings.file or "the configuration")


# Types of options: what they raise, click tells with the option's name.


def dollars(text: str) -> NanoUsd:
    """US dollars, above zero: ``25``, ``0.50``, ``$1``."""
    told = text.removeprefix("$")
    try:
        amount = usd(told)
    except ValueError as error:
        if NUMBER.fullmatch(told):
            raise click.BadParameter(f"{error}.") from None
        amount = NanoUsd(0)
    if amount <= 0:
        raise click.BadParameter(f"{text!r} is no amount in USD above 0, such as 25 or 0.50.")
    return amount


def duration(text: str) -> int:
    """Microseconds, of ``30s``, ``10m``, ``24h``, ``7d`` or ``2w``."""
    told = DURATION.fullmatch(text)
    if told is None:
        raise click.BadParameter(f"{text!r} is no duration, such as 30s, 10m, 24h, 7d or 2w.")
    return int(told[1]) * SECONDS[told[2]] * 1_000_000


def past(text: str) -> int:
    """Microseconds since 1970, of a time or of how long ago it is."""
    return _moment(text, sign=-1)


def future(text: str) -> int:
    """Microseconds since 1970, of a time or of how long it is until then."""
    return _moment(text, sign=1)


def _moment(text: str, *, sign: int) -> int:
    """A date or a time is UTC unless it says otherwise."""
    if DURATION.fullmatch(text):
        us = clock.wall_us() + sign * duration(text)
    else:
        try:
            told = datetime.fromisoformat(text)
        except ValueError:
            raise click.BadParameter(
                f"{text!r} is no time, such as 2027-01-31, 2027-01-31T12:00:00Z or 7d."
            ) from None
        passed = (told if told.tzinfo else told.replace(tzinfo=UTC)) - EPOCH
        us = (passed.days * 86_400 + passed.seconds) * 1_000_000
    if not 0 <= us < MOMENT_US_MAX:
        raise click.BadParameter(f"{text!r} is too far away.")
    return us
