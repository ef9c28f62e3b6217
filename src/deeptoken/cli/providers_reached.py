"""Does each provider answer? Asked as the gateway asks: same address, same credential, same proxies."""

import asyncio

from deeptoken import clock, config
from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.cli.channel_list import Listed, every
from deeptoken.cli.checks import Check
from deeptoken.installation import opened
from deeptoken.money import PicoUsd
from deeptoken.net import Client, NetError, Proxies
from deeptoken.providers.registry import PROVIDERS
from deeptoken.settings import Settings
from deeptoken.store.secrets import key_file, load_secrets
from deeptoken.store.sqlite import StoreError
from deeptoken.wire.chat import read
from deeptoken.wire.http import HttpRequest

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
QUESTION = b'{"model": "any", "messages": [{"role": "user", "content": "Hello."}]}'
CALLS = ("/chat/completions", "/messages")
"""How the address of a call ends; beside it is the list of models."""


async def reach_channels(settings: Settings) -> list[Check]:
    """Every enabled channel, all at once."""
    channels = [_opened(settings, one) for one in every(settings) if one.channel.enabled]
    client = Client(proxies=Proxies.told(config.environment()))
    try:
        return await asyncio.gather(*(_reach(client, channel) for channel in channels))
    finally:
        await client.close()


def models_request(channel: Channel) -> HttpRequest:
    """The provider's list of models: a call that costs nothing and shows whether the credential is right."""
    rates = Rates(prompt=PicoUsd(0), completion=PicoUsd(0))
    at = Candidate(channel, Model(id="any", price=Price(id=0, model="any", rates=rates)), "any")
    call = PROVIDERS[channel.provider].request(read(QUESTION), at, stream=False, limit=None)
    url = call.url
    for ending in CALLS:
        url = url.replace(ending, "/models")
    return HttpRequest(url=url, headers=call.headers, method="GET")


def _opened(settings: Settings, one: Listed) -> Channel:
    """With its credential, if the secrets key opens it; else without: that is another check's matter."""
    path = settings.database.path
    if one.row is None or one.row.secret is None or not key_file(path).exists():
        return one.channel
    try:
        return opened(one.row, load_secrets(path))
    except StoreError:
        return one.channel


async def _reach(client: Client, channel: Channel) -> Check:
    name = f"channel {channel.name}"
    if channel.provider == "sim":
        return Check(name, "ok", "simulated")
    request = models_request(channel)
    began = clock.monotonic()
    try:
        response = await client.send(request, connect_s=CONNECT_SECONDS, head_s=ANSWER_SECONDS)
    except NetError as error:
        return Check(name, "failed", f"{channel.base_url} does not answer: {error}")
    except ValueError as error:
        return Check(name, "failed", f"{channel.base_url}: {error}")
    response.close()
    answered = f"{channel.base_url} answers in {(clock.monotonic() - began) * 1_000:.0f} ms"
    if response.status in (401, 403):
        return Check(name, "failed", f"{answered}, and refuses the credential with {response.status}")
    if response.status >= 500:
        return Check(name, "warning", f"{answered}, with status {response.status}")
    return Check(name, "ok", answered)
