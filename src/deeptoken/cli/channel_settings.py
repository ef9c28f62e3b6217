"""A channel's settings as options of the command line. They are checked as the configuration file's are."""

import sys
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

import click

from deeptoken.accounts import channels
from deeptoken.accounts.channels import TIMEOUTS
from deeptoken.catalog.model import Channel
from deeptoken.cli.options import FILE, Mistake, sentence
from deeptoken.config_fields import Wrong
from deeptoken.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])


def timeout(text: str) -> tuple[str, Decimal]:
    """``idle=30``: seconds."""
    name, _, seconds = text.partition("=")
    try:
        return _known(name, text), Decimal(seconds)
    except InvalidOperation:
        raise click.BadParameter(_no_timeout(text)) from None


def _known(name: str, text: str) -> str:
    if name not in TIMEOUTS:
        raise click.BadParameter(_no_timeout(text))
    return name


def _no_timeout(text: str) -> str:
    return f"{text!r} is no time limit, such as idle=30 (limits: {', '.join(TIMEOUTS)})."


def with_settings(command: Command) -> Command:
    """The options of a channel. The command takes what they said as `told`."""
    options = [
        click.option("--label", help="What clients see; the provider's name without."),
        click.option("--base-url", help="Where the provider is; its own address without."),
        click.option(
            "--model",
            "models",
            multiple=True,
            metavar="ID[=NAME]",
            help="A model or pattern that it serves, and what the provider calls it; repeat.",
        ),
        click.option("--priority", type=int, help="Higher first; 0 without."),
        click.option("--weight", type=int, help="Its share among equals; 1 without."),
        click.option("--group", "groups", multiple=True, help="Who may use it; `default` without; repeat."),
        click.option(
            "--timeout", type=timeout, multiple=True, metavar="NAME=SECONDS", help="A time limit; repeat."
        ),
        click.option("--max-concurrency", type=int, help="Calls at once at most."),
        click.option("--rpm", type=int, help="Requests a minute at most."),
        click.option("--tpm", type=int, help="Tokens a minute at most."),
        click.option("--api-version", help="Azure's."),
        click.option(
            "--responses/--no-responses",
            default=None,
            help="Whether OpenAI's Responses are at its address too; what is known of the provider without.",
        ),
        click.option("--project", help="Vertex's; that of the service account without."),
        click.option("--location", help="Vertex's; global without."),
        click.option("--region", help="Bedrock's, such as us-east-1."),
        click.option("--auth", help="Azure's: `api-key`, or `bearer` for a token of Microsoft Entra."),
        click.option("--api-key-env", metavar="NAME", help="Take the credential from this variable."),
        click.option("--api-key-file", type=FILE, help="Take it from this file; -: from standard input."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def raw_settings(told: Mapping[str, Any]) -> dict[str, Any]:
    """What the options said, as the configuration file would have."""
    names = ("label", "base_url", "priority", "weight", "max_concurrency", "rpm", "tpm")
    options = ("api_version", "auth", "responses", "project", "location", "region")
    raw = {name: told[name] for name in (*names, *options)}
    raw["groups"] = list(told["groups"]) or None
    raw["timeout"] = dict(told["timeout"]) or None
    if told["models"]:
        pairs = [text.partition("=") for text in told["models"]]
        raw["models"] = {ours: theirs if equals else ours for ours, equals, theirs in pairs}
    return {name: value for name, value in raw.items() if value is not None}


def new_channel(settings: Settings, name: str, provider: str, raw: dict[str, Any]) -> Channel:
    """A channel from what was said.

    Raises:
        Mistake: a value cannot be.
    """
    try:
        return channels.new_channel(settings, {**raw, "name": name, "provider": provider})
    except Wrong as wrong:
        raise _mistake(wrong) from None


def changed_channel(settings: Settings, channel: Channel, raw: dict[str, Any]) -> Channel:
    """The channel with what was said; the rest stays.

    Raises:
        Mistake: a value cannot be.
    """
    try:
        return channels.changed_channel(settings, channel, raw)
    except Wrong as wrong:
        raise _mistake(wrong) from None


def credential(
    told: Mapping[str, Any], environ: Mapping[str, str], provider: str, *, ask: bool
) -> str | None:
    """The credential that the options name; with `ask`, from the person where the provider needs one.

    Raises:
        Mistake: there is none where they say.
    """
    variable, file = told["api_key_env"], told["api_key_file"]
    if variable is not None and file is not None:
        raise Mistake("--api-key-env and --api-key-file contradict each other: give one.")
    if variable is not None:
        return _told(environ.get(variable, ""), f"The environment variable {variable} is not set.")
    if file is not None:
        return _told(_read(file), f"{file} is empty.")
    if not ask or not channels.needs_key(provider, told["base_url"]):
        return None
    if not sys.stdin.isatty():
        raise Mistake(f"{provider} needs a credential: name it by --api-key-env or --api-key-file.")
    typed: str = click.prompt(f"API key of {provider}", hide_input=True, err=True)
    return _told(typed, "A credential is not empty.")


def _read(file: Path) -> str:
    try:
        if str(file) != "-":
            return file.read_text(encoding="utf-8")
        line = sys.stdin.readline()
        # The key of a service account is JSON, of many lines.
        return line + sys.stdin.read() if line.lstrip().startswith("{") else line
    except (OSError, UnicodeDecodeError) as error:
        raise Mistake(f"Cannot read {file}: {type(error).__name__}.") from None


def _told(text: str, otherwise: str) -> str:
    try:
        return channels.credential_of(text)
    except Wrong as wrong:
        raise Mistake(wrong.message if text.strip() else otherwise) from None


def _mistake(wrong: Wrong) -> Mistake:
    option = str(wrong.path[0]).replace("_", "-") if wrong.path else ""
    option = {"models": "model", "groups": "group"}.get(option, option)
    return Mistake(sentence(f"--{option}: {wrong.message}" if option else wrong.message))
