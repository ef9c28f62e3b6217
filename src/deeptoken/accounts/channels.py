"""Channels of the database: made, changed and deleted by an operator. Those of the configuration file are not
changed here. What may be set is checked as the file is; a credential is stored sealed and never shown.
"""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from deeptoken import clock, ids
from deeptoken.accounts.change import Action, Actor, change
from deeptoken.catalog.model import Channel, Timeouts
from deeptoken.config_fields import Wrong, read_table, secret_of
from deeptoken.config_options import OPTIONS
from deeptoken.config_sections import Sources, channel_fields, read_channel
from deeptoken.ledger.postings import Edit, Statement
from deeptoken.providers.registry import BASE_URLS, KEY_VARIABLES
from deeptoken.settings import Settings
from deeptoken.store.queries.people import StoredChannel
from deeptoken.store.queries.statements import add_channel, remove_channel, set_channel
from deeptoken.store.secrets import Secrets

TIMEOUTS = ("connect", "first_byte", "idle", "total")
NEEDS_KEY = {*KEY_VARIABLES, "azure", "bedrock", "vertex"}
"""Providers that answer nobody without a credential."""
LIMITS = ("max_concurrency", "rpm", "tpm")
"""They may be taken away."""


class ChannelShown(msgspec.Struct, frozen=True, kw_only=True):
    """A channel; its credential is never shown."""

    id: str | None
    """Null for one of the configuration file."""
    name: str
    provider: str
    label: str
    base_url: str
    models: dict[str, str]
    """What it serves, and how the provider calls that; nothing: all that the price book knows."""
    priority: int
    weight: int
    groups: tuple[str, ...]
    timeout: Timeouts
    max_concurrency: int | None
    rpm: int | None
    tpm: int | None
    enabled: bool
    options: dict[str, Any]
    has_api_key: bool
    source: Literal["file", "database"]
    created_us: int | None
    version: int
    """0 for one of the configuration file."""


class Listed(msgspec.Struct, frozen=True):
    """A channel with where it lives; `row` is None for one of the configuration file."""

    channel: Channel
    has_key: bool
    row: StoredChannel | None = None


def listed(row: StoredChannel) -> Listed:
    """Without its credential."""
    channel = msgspec.convert({**row.settings, "enabled": row.enabled}, Channel)
    return Listed(channel, has_key=row.secret is not None, row=row)


def every(settings: Settings, rows: list[StoredChannel]) -> list[Listed]:
    """The file's channels, and those of the database that it does not name."""
    owned = {channel.name for channel in settings.channels}
    declared = [Listed(channel, has_key=bool(channel.secret)) for channel in settings.channels]
    return [*declared, *(listed(row) for row in rows if row.name not in owned)]


def shown(one: Listed) -> ChannelShown:
    channel, row = one.channel, one.row
    return ChannelShown(
        id=row.id if row else None,
        name=channel.name,
        provider=channel.provider,
        label=channel.label,
        base_url=channel.base_url,
        models=channel.models,
        priority=channel.priority,
        weight=channel.weight,
        groups=channel.groups,
        timeout=channel.timeout,
        max_concurrency=channel.max_concurrency,
        rpm=channel.rpm,
        tpm=channel.tpm,
        enabled=channel.enabled,
        options=channel.options,
        has_api_key=one.has_key,
        source="database" if row else "file",
        created_us=row.created_us if row else None,
        version=row.version if row else 0,
    )


def opened(row: StoredChannel, secrets: Secrets) -> Channel:
    """A stored channel with its credential in the clear."""
    channel = listed(row).channel
    if row.secret is None:
        return channel
    return msgspec.structs.replace(channel, secret=secrets.open(row.secret, row.id))


def stored(channel: Channel, secrets: Secrets, *, id: str) -> StoredChannel:
    """A channel as a row: its settings in the clear, its credential sealed to the row's `id`."""
    settings = msgspec.to_builtins(msgspec.structs.replace(channel, secret=""))
    return StoredChannel(
        id=id,
        name=channel.name,
        settings=settings,
        secret=secrets.seal(channel.secret, id) if channel.secret else None,
        enabled=channel.enabled,
        created_us=clock.wall_us(),
    )


def new_channel(settings: Settings, raw: Mapping[str, Any]) -> Channel:
    """A channel of what was said, by the names of the configuration file, without its credential.

    Raises:
        Wrong: a value cannot be.
    """
    return read_channel(dict(raw), (), _sources(), providers=BASE_URLS, groups=settings.groups)


def changed_channel(settings: Settings, channel: Channel, raw: Mapping[str, Any]) -> Channel:
    """The channel with what was said; the rest stays. A limit that is None goes.

    Raises:
        Wrong: a value cannot be.
    """
    options = OPTIONS.get(channel.provider, ())
    fields = channel_fields(_sources(), BASE_URLS, settings.groups, options)
    said = dict(raw)
    gone = {name: said.pop(name) for name in LIMITS if name in said and said[name] is None}
    if "timeout" in said:
        kept = {name: Decimal(str(getattr(channel.timeout, name))) for name in TIMEOUTS}
        said["timeout"] = {**kept, **said["timeout"]}
    values = read_table(said, (), {name: field._replace(needed=False) for name, field in fields.items()})
    told = {name: values.pop(name) for name in options if name in values}
    return msgspec.structs.replace(channel, options={**channel.options, **told}, **values, **gone)


def needs_key(provider: str, base_url: str | None) -> bool:
    """Whether it answers nobody without a credential; what is at an address of one's own may want none."""
    return provider in NEEDS_KEY and (base_url is None or BASE_URLS[provider] is None)


def credential_of(text: str, *, none: bool = False) -> str:
    """A credential as somebody typed it; with `none`, it may be empty.

    Raises:
        Wrong: it cannot be one.
    """
    try:
        said = secret_of(text, ("api_key",))
    except Wrong:
        raise Wrong(
            ("api_key",), "A credential is one line of printable ASCII without spaces, or JSON."
        ) from None
    if not said and not none:
        raise Wrong(("api_key",), "A credential is not empty.")
    return said


def create(actor: Actor, channel: Channel, secrets: Secrets) -> tuple[Edit, StoredChannel]:
    row = stored(channel, secrets, id=ids.new_id("channel"))
    return _written(actor, "channel.create", row.name, add_channel(row), after=row), row


def edit(
    actor: Actor, before: StoredChannel, channel: Channel, secrets: Secrets, *, credential: str | None
) -> tuple[Edit, StoredChannel]:
    """To this, with that credential: None leaves the one that it has, nothing takes it away.

    The change is none if somebody else has changed it since it was read.
    """
    made = stored(msgspec.structs.replace(channel, secret=credential or ""), secrets, id=before.id)
    secret = before.secret if credential is None else made.secret
    after = msgspec.structs.replace(made, secret=secret, version=before.version, created_us=before.created_us)
    step = set_channel(after)
    written = _written(actor, "channel.change", after.name, step, before=before, after=after)
    return written, msgspec.structs.replace(after, version=before.version + 1)


def switch(actor: Actor, before: StoredChannel, *, on: bool) -> Edit:
    """Use it, or do not."""
    after = msgspec.structs.replace(before, enabled=on)
    return _written(actor, "channel.change", after.name, set_channel(after), before=before, after=after)


def delete(actor: Actor, row: StoredChannel) -> Edit:
    """With its credential."""
    return _written(actor, "channel.delete", row.name, remove_channel(row.id), before=row)


def _sources() -> Sources:
    """Nobody's environment and files: a credential is not among what is read."""
    return Sources({}, Path(), [])


def _written(
    actor: Actor,
    action: Action,
    name: str,
    step: Statement,
    *,
    before: StoredChannel | None = None,
    after: StoredChannel | None = None,
) -> Edit:
    """With its row in the audit log; of its credential it only says whether there is one."""
    return change(
        actor, action, f"channel:{name}", step, tenant=None, before=_told(before), after=_told(after)
    )


def _told(row: StoredChannel | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {**row.settings, "enabled": row.enabled, "credential": row.secret is not None}
