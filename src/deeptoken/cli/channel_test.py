"""`deeptoken channels test`: a real call to a channel, as the gateway makes them; nobody pays for it here."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import click

from deeptoken import config
from deeptoken.accounts.channels import opened
from deeptoken.accounts.prices import book
from deeptoken.catalog.model import Candidate, Channel
from deeptoken.cli.books import reader
from deeptoken.cli.channel_list import every
from deeptoken.cli.names import find_channel
from deeptoken.cli.options import Mistake, Trouble, load, with_config, with_json
from deeptoken.cli.output import print_facts, print_json
from deeptoken.gateway.credentials import Credentials
from deeptoken.gateway.play import playing
from deeptoken.gateway.trial import NoChoice, Trial, candidate, trial
from deeptoken.gateway.upstream import Upstream
from deeptoken.net import Client, Proxies
from deeptoken.providers.registry import PROVIDERS
from deeptoken.settings import Settings
from deeptoken.store.secrets import load_secrets


@click.command("test")
@click.argument("name")
@click.option("--model", help="The model to ask for; the channel's first, else its cheapest, without.")
@with_config
@with_json
def test_channel(name: str, model: str | None, file: Path | None, as_json: bool) -> None:
    """Call a channel for real, with one word and an answer of at most 16 tokens, disabled or not.

    No wallet pays and no usage row is written; the provider may bill its account. Exit code 1 if it failed.
    """
    settings = load(file)
    channel = _channel(settings, file, name)
    tested = asyncio.run(_try(_candidate(settings, channel, model)))
    if as_json:
        print_json(tested)
    else:
        print_facts(dict(_facts(tested)))
    if not tested.ok:
        raise Trouble(f"The channel {channel.name} does not work ({tested.cause}).")


def _channel(settings: Settings, file: Path | None, name: str) -> Channel:
    """The channel with its credential."""
    if any(channel.name == name for channel in settings.channels):
        settings = load(file, secrets=True)
        return next(channel for channel in settings.channels if channel.name == name)
    known = every(settings)
    row = find_channel([one.row for one in known if one.row], name, [one.channel.name for one in known])
    return opened(row, load_secrets(settings.database.path))


def _candidate(settings: Settings, channel: Channel, model: str | None) -> Candidate:
    with reader(settings) as books:
        known = book(books)
    try:
        return candidate(channel, model, settings.models, known, settings.groups, named="--model")
    except NoChoice as problem:
        raise Mistake(str(problem)) from None


async def _try(at: Candidate) -> Trial:
    client = Client(proxies=Proxies.told(config.environment()))
    try:
        return await trial(Upstream(client, PROVIDERS, playing, Credentials(client)), at)
    finally:
        await client.close()


def _facts(tested: Trial) -> Iterator[tuple[str, str | None]]:
    yield "channel", f"{tested.channel} ({tested.provider})"
    yield "model", f"{tested.model} ({tested.upstream_model})"
    yield "result", "it answers" if tested.ok else f"failed, {tested.cause}"
    yield "status", None if tested.status is None else str(tested.status)
    yield "message", tested.message
    yield "answer", tested.answer and " ".join(tested.answer.split())
    yield "first content", None if tested.ttft_ms is None else f"{tested.ttft_ms} ms"
    yield "took", f"{tested.duration_ms} ms"
    if tested.prompt_tokens is not None:
        yield "tokens", f"{tested.prompt_tokens} + {tested.completion_tokens}"
    yield "billed", "nobody here; the provider may bill its account"
