"""Does each provider answer? Asked as the gateway asks: same address, same credential, same proxies."""

import asyncio
import re
from contextlib import suppress
from urllib.parse import urlsplit

from deeptoken import clock, config
from deeptoken.accounts.channels import Listed, opened
from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.cli.channel_list import every
from deeptoken.cli.checks import Check
from deeptoken.gateway.credentials import Credentials, NoToken
from deeptoken.money import PicoUsd
from deeptoken.net import Client, NetError, Proxies, Response
from deeptoken.providers.openai import OpenAI
from deeptoken.providers.registry import PROVIDERS
from deeptoken.settings import Settings
from deeptoken.store.secrets import key_file, load_secrets
from deeptoken.store.sqlite import StoreError
from deeptoken.wire import embeddings
from deeptoken.wire.chat import read
from deeptoken.wire.http import HttpRequest, Unsendable

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
QUESTION = b'{"model": "any", "messages": [{"role": "user", "content": "Hello."}]}'
TEXT = b'{"model": "any", "input": "Hello."}'
"""What is asked where there are no chats."""
CALL = re.compile(r"/(?:chat/completions|embeddings|messages|models/[^/?]*)(?=\?|$)")
"""How the address of a call ends; in its place is the list of models."""


async def reach_channels(settings: Settings) -> list[Check]:
    """Every enabled channel, all at once."""
    channels = [_opened(settings, one) for one in every(settings) if one.channel.enabled]
    client = Client(proxies=Proxies.told(config.environment()))
    credentials = Credentials(client)
    try:
        return await asyncio.gather(*(_reach(client, credentials, channel) for channel in channels))
    finally:
        await client.close()


def models_request(channel: Channel) -> HttpRequest:
    """The provider's list of models: a call that costs nothing and shows whether the credential is right.

    Raises:
        Unsendable: no call can be made of the channel.
    """
    provider = PROVIDERS[channel.provider]
    speaks = not isinstance(provider, OpenAI) or provider.host.chats
    asked = read(QUESTION) if speaks else embeddings.read(TEXT)
    call = provider.request(asked, _any(channel), stream=False, limit=None)
    return HttpRequest(url=CALL.sub("/models", call.url), headers=call.headers, method="GET")


def _any(channel: Channel) -> Candidate:
    rates = Rates(prompt=PicoUsd(0), completion=PicoUsd(0))
    return Candidate(channel, Model(id="any", price=Price(id=0, model="any", rates=rates)), "any")


def _opened(settings: Settings, one: Listed) -> Channel:
    """With its credential, if the secrets key opens it; else without: that is another check's matter."""
    path = settings.database.path
    if one.row is None or one.row.secret is None or not key_file(path).exists():
        return one.channel
    try:
        return opened(one.row, load_secrets(path))
    except StoreError:
        return one.channel


async def _reach(client: Client, credentials: Credentials, channel: Channel) -> Check:
    name, where = f"channel {channel.name}", channel.base_url
    if channel.provider == "sim":
        return Check(name, "ok", "simulated")
    began = clock.monotonic()
    try:
        request = models_request(channel)
        where = where or "https://" + urlsplit(request.url).netloc
        request = await credentials.authorised(request, _any(channel))
        began = clock.monotonic()
        response = await client.send(request, connect_s=CONNECT_SECONDS, head_s=ANSWER_SECONDS)
    except NetError as error:
        return Check(name, "failed", f"{where} does not answer: {error}")
    except (Unsendable, NoToken) as error:
        return Check(name, "failed", f"{where}: {error}" if where else str(error))
    answered = f"{where} answers in {(clock.monotonic() - began) * 1_000:.0f} ms"
    if response.status in (401, 403) or await _refuses(channel, response):
        response.close()
        return Check(name, "failed", f"{answered}, and refuses the credential with {response.status}")
    response.close()
    if response.status >= 500:
        return Check(name, "warning", f"{answered}, with status {response.status}")
    return Check(name, "ok", answered)


async def _refuses(channel: Channel, response: Response) -> bool:
    """Whether a 400 is about the credential: Google's are."""
    if response.status != 400:
        return False
    body = b""
    with suppress(NetError):
        body = await response.whole(ANSWER_SECONDS)
    return PROVIDERS[channel.provider].failure(400, response.headers, body).cause == "credential"
