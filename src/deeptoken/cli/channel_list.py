"""The channels of an installation: the file's, and those of the database that it does not name."""

from typing import Any

import msgspec

from deeptoken.accounts import channels
from deeptoken.accounts.channels import Listed
from deeptoken.catalog.model import Channel
from deeptoken.cli.books import reader
from deeptoken.settings import Settings


def every(settings: Settings) -> list[Listed]:
    with reader(settings) as books:
        return channels.every(settings, books.channels())


def state(channel: Channel) -> str:
    return "enabled" if channel.enabled else "disabled"


def models_text(channel: Channel) -> str:
    """``gpt-4o, fast=gpt-4o-mini``; without models, what the price book knows."""
    pairs = (ours if ours == theirs else f"{ours}={theirs}" for ours, theirs in channel.models.items())
    return ", ".join(pairs) or "all in the price book"


def as_row(one: Listed) -> dict[str, Any]:
    """A channel as JSON, without its credential."""
    row: dict[str, Any] = msgspec.to_builtins(channels.shown(one))
    return row


def source(one: Listed) -> str:
    return "" if one.row else "file"
