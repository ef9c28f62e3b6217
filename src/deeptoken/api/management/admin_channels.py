"""Channels, as operators change and try them: ``/api/admin/channels``; the file's are changed in the file."""

from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from deeptoken.accounts import channels
from deeptoken.accounts.channels import ChannelShown
from deeptoken.accounts.prices import book
from deeptoken.api.management.admin import NAME
from deeptoken.api.management.route import Asked, Nothing, Page, Route, Slice, limit_of, one, sliced
from deeptoken.catalog.model import Channel
from deeptoken.config_fields import Wrong
from deeptoken.errors import BadRequest, Conflict
from deeptoken.gateway.trial import NoChoice, Trial, candidate, trial
from deeptoken.store.queries.people import StoredChannel

CHANNELS = "/api/admin/channels"
CHANNEL = f"{CHANNELS}/{{name}}"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a channel has, by the names of the configuration file. What is not there stays as it is; a new one
    has the file's defaults. Null takes a limit away, and the credential.
    """

    label: str | UnsetType = UNSET
    base_url: str | UnsetType = UNSET
    api_key: str | UnsetType | None = UNSET
    """The credential itself. It is stored sealed."""
    models: dict[str, str] | list[str] | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    weight: int | UnsetType = UNSET
    groups: list[str] | UnsetType = UNSET
    timeout: dict[str, Decimal] | UnsetType = UNSET
    """Seconds: `connect`, `first_byte`, `idle`, `total`."""
    max_concurrency: int | UnsetType | None = UNSET
    rpm: int | UnsetType | None = UNSET
    tpm: int | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    api_version: str | UnsetType = UNSET
    auth: str | UnsetType = UNSET
    location: str | UnsetType = UNSET
    project: str | UnsetType = UNSET
    region: str | UnsetType = UNSET
    responses: bool | UnsetType = UNSET
    sim: dict[str, Decimal] | UnsetType = UNSET


class NewChannel(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A channel to be made."""

    name: str
    provider: str


class NewTrial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to ask for: without a model, the channel's first or cheapest."""

    model: str | None = None


def said(body: Settings) -> dict[str, Any]:
    """By the names of the file; the credential is not among it."""
    told = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
    told.pop("api_key", None)
    return told


def refused(wrong: Wrong) -> BadRequest:
    """As the caller named it."""
    where = ".".join(str(part) for part in wrong.path)
    param = str(wrong.path[0]) if wrong.path else None
    return BadRequest(f"{where}: {wrong.message}" if where else wrong.message, param=param)


async def list_channels(asked: Asked) -> Slice:
    limit, after = limit_of(asked.query), asked.query.after
    rows = await asked.world.read(lambda reader: reader.channels())
    every = sorted(channels.every(asked.world.settings, rows), key=lambda one: one.channel.name)
    page = [channels.shown(found) for found in every if found.channel.name > after]
    return sliced(page[: limit + 1], limit, lambda channel: str(channel.name))


async def show_channel(asked: Asked) -> ChannelShown:
    name = asked.path["name"]
    rows = await asked.world.read(lambda reader: reader.channels())
    every = channels.every(asked.world.settings, rows)
    return channels.shown(
        one(next((row for row in every if row.channel.name == name), None), "channel", name)
    )


async def create_channel(asked: Asked) -> ChannelShown:
    body, settings = asked.body, asked.world.settings
    if not NAME.fullmatch(body.name):
        raise BadRequest("name: a channel's name here has no spaces, no colon and no slash.", param="name")
    raw = {name: value for name, value in said(body).items() if value is not None}
    try:
        channel = channels.new_channel(settings, raw)
        secret = channels.credential_of(body.api_key) if body.api_key else ""
    except Wrong as wrong:
        raise refused(wrong) from None
    if not secret and channels.needs_key(channel.provider, raw.get("base_url")):
        raise BadRequest(f"api_key: {channel.provider} answers nobody without a credential.", param="api_key")
    rows = await asked.world.read(lambda reader: reader.channels())
    if any(known.channel.name == channel.name for known in channels.every(settings, rows)):
        raise Conflict(f"There is a channel {channel.name!r} already.", param="name")
    channel = msgspec.structs.replace(channel, secret=secret)
    edit, row = channels.create(asked.actor, channel, asked.world.secrets)
    await asked.change(edit)
    return channels.shown(channels.listed(row))


async def change_channel(asked: Asked) -> ChannelShown:
    row, body = await _row(asked), asked.body
    asked.matched(row.version)
    raw = said(body)
    if not raw and body.api_key is UNSET:
        return channels.shown(channels.listed(row))
    try:
        channel = channels.changed_channel(asked.world.settings, channels.listed(row).channel, raw)
        credential = None if body.api_key is UNSET else channels.credential_of(body.api_key or "", none=True)
    except Wrong as wrong:
        raise refused(wrong) from None
    edit, changed = channels.edit(asked.actor, row, channel, asked.world.secrets, credential=credential)
    await asked.change(edit)
    return channels.shown(channels.listed(changed))


async def delete_channel(asked: Asked) -> Nothing:
    await asked.change(channels.delete(asked.actor, await _row(asked)))
    return Nothing()


async def test_channel(asked: Asked) -> Trial:
    """A real call, disabled or not; nobody pays for it here."""
    channel, settings = await _opened(asked), asked.world.settings
    known = await asked.world.read(book)
    try:
        at = candidate(channel, asked.body.model, settings.models, known, settings.groups, named="model")
    except NoChoice as problem:
        raise BadRequest(str(problem), param="model") from None
    return await trial(asked.world.upstream, at)


async def _opened(asked: Asked) -> Channel:
    """With its credential."""
    name = asked.path["name"]
    declared = _declared(asked.world.settings.channels, name)
    if declared is not None:
        return declared
    rows = await asked.world.read(lambda reader: reader.channels())
    return channels.opened(one(_named(rows, name), "channel", name), asked.world.secrets)


async def _row(asked: Asked) -> StoredChannel:
    """One that may be changed here."""
    name = asked.path["name"]
    if _declared(asked.world.settings.channels, name) is not None:
        raise Conflict(f"The configuration file declares the channel {name!r}: change it there.")
    rows = await asked.world.read(lambda reader: reader.channels())
    return one(_named(rows, name), "channel", name)


def _declared(declared: tuple[Channel, ...], name: str) -> Channel | None:
    return next((channel for channel in declared if channel.name == name), None)


def _named(rows: list[StoredChannel], name: str) -> StoredChannel | None:
    return next((row for row in rows if row.name == name), None)


def _route(method: Any, path: str, handler: Any, summary: str, answer: Any, **more: Any) -> Route:
    return Route(
        method=method, path=path, needs="operator", handler=handler, summary=summary, answer=answer, **more
    )


ROUTES = [
    _route("GET", CHANNELS, list_channels, "All channels, by name", list[ChannelShown], query=Page),
    _route(
        "POST",
        CHANNELS,
        create_channel,
        "A channel",
        ChannelShown,
        body=NewChannel,
        status=201,
        errors=(409,),
    ),
    _route("GET", CHANNEL, show_channel, "One channel", ChannelShown, errors=(404,)),
    _route(
        "PATCH",
        CHANNEL,
        change_channel,
        "Change what is named; the credential stays where it is not",
        ChannelShown,
        body=Settings,
        matched=True,
        errors=(404, 409),
    ),
    _route(
        "DELETE",
        CHANNEL,
        delete_channel,
        "Delete a channel with its credential; its usage stays",
        Nothing,
        status=204,
        errors=(404, 409),
    ),
    _route(
        "POST",
        f"{CHANNEL}/test",
        test_channel,
        "Call a channel for real: one word, at most 16 tokens, paid by no wallet",
        Trial,
        body=NewTrial,
        errors=(404,),
    ),
]
