"""`deeptoken channels`: the providers that calls go to. Credentials are stored sealed and never shown."""

from pathlib import Path
from typing import Any

import click
import msgspec

from deeptoken import config
from deeptoken.accounts import channels
from deeptoken.accounts.change import COMMAND_LINE
from deeptoken.accounts.channels import Listed, listed
from deeptoken.cli.books import reader, write
from deeptoken.cli.channel_health import channels_health
from deeptoken.cli.channel_list import as_row, every, models_text, source, state
from deeptoken.cli.channel_plan import plan_channels
from deeptoken.cli.channel_settings import (
    changed_channel,
    credential,
    new_channel,
    raw_settings,
    with_settings,
)
from deeptoken.cli.channel_test import test_channel
from deeptoken.cli.names import find_channel
from deeptoken.cli.options import Mistake, load, say, whose_file, with_config, with_json
from deeptoken.cli.output import print_facts, print_json, print_table, time
from deeptoken.settings import Settings
from deeptoken.store.queries.people import StoredChannel
from deeptoken.store.secrets import load_secrets


@click.group()
def command() -> None:
    """Channels. One that the configuration file declares is changed there."""


for other in (channels_health, plan_channels, test_channel):
    command.add_command(other)


@command.command("list")
@with_config
@with_json
def list_channels(file: Path | None, as_json: bool) -> None:
    """All channels, the highest priority first."""
    settings = load(file)
    found = sorted(every(settings), key=lambda one: (-one.channel.priority, one.channel.name))
    if as_json:
        for one in found:
            print_json(as_row(one))
        return
    print_table(
        [
            {
                "name": one.channel.name,
                "provider": one.channel.provider,
                "state": state(one.channel),
                "priority": str(one.channel.priority),
                "weight": str(one.channel.weight),
                "groups": ", ".join(one.channel.groups),
                "models": models_text(one.channel),
                "declared in": source(one),
            }
            for one in found
        ],
        right=("priority", "weight"),
        empty="There are no channels. `deeptoken channels create NAME --provider PROVIDER` makes one.",
    )


@command.command("show")
@click.argument("name")
@with_config
@with_json
def show_channel(name: str, file: Path | None, as_json: bool) -> None:
    """One channel; of its credential, whether it has one."""
    settings = load(file)
    found = {one.channel.name: one for one in every(settings)}
    rows = [one.row for one in found.values() if one.row is not None]
    _print(found.get(name) or listed(find_channel(rows, name, found)), as_json)


@command.command("create")
@click.argument("name")
@click.option("--provider", required=True, help="openai, anthropic, groq, vllm, sim, ...")
@with_settings
@click.option("--disabled", is_flag=True, help="Make it, and do not use it yet.")
@with_config
@with_json
def create_channel(
    name: str, provider: str, disabled: bool, file: Path | None, as_json: bool, **told: Any
) -> None:
    """Make a channel. Its credential comes from a variable, a file, or is asked for."""
    settings = load(file)
    _not_of_file(settings, name)
    channel = new_channel(settings, name, provider, raw_settings(told))
    with reader(settings) as books:
        if any(known.name == name for known in books.channels()):
            raise Mistake(f"There is a channel {name} already; `deeptoken channels edit {name}` changes it.")
    secret = credential(told, config.environment(), provider, ask=True)
    channel = msgspec.structs.replace(channel, secret=secret or "", enabled=not disabled)
    edit, row = channels.create(COMMAND_LINE, channel, load_secrets(settings.database.path))
    write(settings, edit)
    _print(listed(row), as_json)


@command.command("edit")
@click.argument("name")
@with_settings
@with_config
@with_json
def edit_channel(name: str, file: Path | None, as_json: bool, **told: Any) -> None:
    """Change a channel. What no option names stays, the credential too."""
    settings = load(file)
    row = _find(settings, name)
    raw = raw_settings(told)
    secret = credential(told, config.environment(), row.settings["provider"], ask=False)
    if not raw and secret is None:
        raise Mistake("Say what to change; `deeptoken channels edit --help` lists what can be.")
    channel = changed_channel(settings, listed(row).channel, raw)
    secrets = load_secrets(settings.database.path)
    edit, wanted = channels.edit(COMMAND_LINE, row, channel, secrets, credential=secret)
    write(settings, edit)
    _print(listed(wanted), as_json)


@command.command("enable")
@click.argument("name")
@with_config
def enable(name: str, file: Path | None) -> None:
    """Use a channel again."""
    _switch(name, file, on=True)


@command.command("disable")
@click.argument("name")
@with_config
def disable(name: str, file: Path | None) -> None:
    """Send no call to a channel any more. Those under way go on."""
    _switch(name, file, on=False)


@command.command("delete")
@click.argument("name")
@with_config
def delete(name: str, file: Path | None) -> None:
    """Delete a channel with its credential. Its usage stays."""
    settings = load(file)
    row = _find(settings, name)
    write(settings, channels.delete(COMMAND_LINE, row))
    click.echo(f"The channel {row.name} is deleted.")


def _find(settings: Settings, name: str) -> StoredChannel:
    """A channel that the command line may change."""
    _not_of_file(settings, name)
    with reader(settings) as books:
        return find_channel(books.channels(), name, ())


def _not_of_file(settings: Settings, name: str) -> None:
    if any(channel.name == name for channel in settings.channels):
        raise Mistake(
            f"{whose_file(settings)} declares the channel {name}: change it there, then send SIGHUP."
        )


def _switch(name: str, file: Path | None, *, on: bool) -> None:
    settings = load(file)
    row = _find(settings, name)
    told = "enabled" if on else "disabled"
    if row.enabled == on:
        say(f"The channel {row.name} is {told} already: nothing was changed.")
        return
    write(settings, channels.switch(COMMAND_LINE, row, on=on))
    click.echo(f"The channel {row.name} is {told}.")


def _print(one: Listed, as_json: bool) -> None:
    if as_json:
        print_json(as_row(one))
        return
    channel = one.channel
    limits = msgspec.to_builtins(channel.timeout)
    print_facts(
        {
            "name": channel.name,
            "id": one.row.id if one.row else None,
            "provider": channel.provider,
            "label": channel.label,
            "base URL": channel.base_url,
            "credential": "yes" if one.has_key else "none",
            "state": state(channel),
            "models": models_text(channel),
            "priority": str(channel.priority),
            "weight": str(channel.weight),
            "groups": ", ".join(channel.groups),
            "timeouts": ", ".join(f"{name} {seconds:g} s" for name, seconds in limits.items()),
            "calls at once": str(channel.max_concurrency or ""),
            "requests a minute": str(channel.rpm or ""),
            "tokens a minute": str(channel.tpm or ""),
            "options": ", ".join(f"{name} {value}" for name, value in channel.options.items()),
            "declared in": source(one),
            "created": time(one.row.created_us) if one.row else None,
        }
    )
