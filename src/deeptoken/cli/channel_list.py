"""The channels of an installation: the file's, and those of the database that it does not name."""

from typing import Any

import msgspec

from deeptoken.catalog.model import Channel
from deeptoken.cli.books import reader
from deeptoken.settings import Settings
from deeptoken.store.queries.people import StoredChannel


class Listed(msgspec.Struct, frozen=True):
    """A channel with where it lives; `row` is None for one of the configuration file."""

    channel: Channel
    has_key: bool
    row: StoredChannel | None = None


def every(settings: Settings) -> list[Listed]:
    """The file's channels, and those of the database that it does not name."""
    owned = {channel.name for channel in settings.channels}
    with reader(settings) as books:
        rows = [row for row in books.channels() if row.name not in owned]
    declared = [Listed(channel, has_key=bool(channel.secret)) for channel in settings.channels]
    return [*declared, *map(listed, rows)]


def state(channel: Channel) -> str:
    return "enabled" if channel.enabled else "disabled"


def models_text(channel: Channel) -> str:
    """``gpt-4o, fast=gpt-4o-mini``; without models, what the price book knows."""
    pairs = (ours if ours == theirs else f"{ours}={theirs}" for ours, theirs in channel.models.items())
    return ", ".join(pairs) or "all in the price book"


def as_row(one: Listed) -> dict[str, Any]:
    """A channel as JSON, without its credential."""
    settings = msgspec.to_builtins(msgspec.structs.replace(one.channel, secret=""))
    del settings["secret"]
    row = one.row
    return {
        "id": row.id if row else None,
        **settings,
        "has_api_key": one.has_key,
        "source": "database" if row else "file",
        "created_us": row.created_us if row else None,
    }


def listed(row: StoredChannel) -> Listed:
    channel = msgspec.convert({**row.settings, "enabled": row.enabled}, Channel)
    return Listed(channel, has_key=row.secret is not None, row=row)


def source(one: Listed) -> str:
    return "" if one.row else "file"
