"""What `deeptoken doctor` looks at: each check is a function from the settings to what it found."""

import asyncio
import contextlib
import resource
import shutil
from collections.abc import Iterator
from typing import Literal

import msgspec

from deeptoken import clock
from deeptoken.accounts.channels import NEEDS_KEY
from deeptoken.catalog.patterns import is_pattern
from deeptoken.cli.channel_list import every
from deeptoken.cli.models import catalog_of
from deeptoken.cli.output import time
from deeptoken.config_fields import REGION
from deeptoken.errors import DeeptokenError
from deeptoken.providers.registry import BASE_URLS
from deeptoken.settings import Settings
from deeptoken.store.migrate import migrations, pending
from deeptoken.store.reads import Reader
from deeptoken.store.remote import connect
from deeptoken.store.secrets import key_file, load_secrets
from deeptoken.store.sqlite import SqliteError, StoreError, locked, open_reader_connection

AHEAD_US = 60_000_000
"""How far the ledger may be ahead of this machine's clock."""
FILES_BESIDE = 256
"""Open files beside connections: the database, the log, the libraries."""
FREE_LOW = 1024 * 1024 * 1024
FREE_LEAST = 128 * 1024 * 1024


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    status: Literal["ok", "warning", "failed"]
    detail: str


def database(settings: Settings) -> Check:
    """Is it there, is it ours, is its schema this program's?"""
    path = settings.database.path
    try:
        with contextlib.closing(open_reader_connection(path)) as connection:
            needed = pending(connection, migrations())
    except (StoreError, SqliteError) as error:
        return Check("database", "failed", str(error))
    if needed:
        return Check("database", "failed", f"{path} needs {len(needed)} migrations: run `deeptoken migrate`")
    return Check("database", "ok", f"{path}, its schema is this program's")


def writer(settings: Settings) -> Check:
    """Can something be written: through the gateway that runs, or alone?"""
    try:
        return Check("writer", "ok", asyncio.run(_reach_writer(settings)))
    except (DeeptokenError, OSError) as error:
        return Check("writer", "failed", str(error))


async def _reach_writer(settings: Settings) -> str:
    path = settings.database.path
    async with connect(path) as ledger:
        if ledger is not None:
            return "a gateway runs and takes what commands write"
    with locked(path):
        return "no gateway runs; commands write by themselves"


def clocks(settings: Settings) -> Check:
    """Is this machine's clock before the ledger's last time? Then the ledger would run ahead of it."""
    with Reader(settings.database.path) as reader:
        latest_us = reader.latest_us()
    now_us = clock.wall_us()
    if latest_us - now_us > AHEAD_US:
        detail = f"it is {time(now_us)} here and the ledger is at {time(latest_us)}: set this machine's clock"
        return Check("clock", "failed", detail)
    return Check("clock", "ok", f"{time(now_us)} UTC")


def sealed(settings: Settings) -> Check:
    """Does the secrets key open every credential in the database?"""
    path = settings.database.path
    with Reader(path) as reader:
        rows = [row for row in reader.channels() if row.secret is not None]
    if not rows:
        return Check("secrets key", "ok", "no credential is sealed in the database")
    if not key_file(path).exists():
        detail = f"{key_file(path)} is missing: restore it, or delete those channels and create them again"
        return Check("secrets key", "failed", detail)
    try:
        secrets = load_secrets(path)
        for row in rows:
            if row.secret is not None:
                secrets.open(row.secret, row.id)
    except StoreError as error:
        return Check("secrets key", "failed", str(error))
    return Check("secrets key", "ok", f"{key_file(path)} opens {len(rows)} credentials")


def models(settings: Settings) -> Check:
    """Is there anything to call?"""
    if not any(one.channel.enabled for one in every(settings)):
        return Check("models", "failed", "no channel is enabled: `deeptoken channels create` makes one")
    ids = catalog_of(settings).exact_ids("default")
    if not ids:
        return Check("models", "warning", "no model is listed: a model needs a channel and a price")
    return Check("models", "ok", f"{len(ids)} can be called")


def keyless(settings: Settings) -> Iterator[Check]:
    """Who calls a provider's own address without a credential, where nobody is answered without one."""
    for one in every(settings):
        channel = one.channel
        if one.has_key or not channel.enabled or channel.provider not in NEEDS_KEY:
            continue
        own = (BASE_URLS[channel.provider] or "").replace(REGION, str(channel.options.get("region", "")))
        if channel.base_url in ("", own):
            detail = f"it has no api_key, and {channel.provider} answers nobody without one"
            yield Check(f"key of {channel.name}", "warning", detail)


def served(settings: Settings) -> Iterator[Check]:
    """What each enabled channel serves that nobody can call, since it has no price."""
    catalog = catalog_of(settings)
    for channel in catalog.channels:
        if not channel.enabled:
            continue
        name = f"models of {channel.name}"
        if not channel.models:
            detail = f"the price book knows no model of {channel.provider}: name some in `models`"
            yield Check(name, "warning", f"this channel serves nothing: {detail}")
        unpriced = [
            id
            for id in channel.models
            if not is_pattern(id) and all(catalog.model(id, group) is None for group in channel.groups)
        ]
        if unpriced:
            detail = "no price, so a call is 404: give a price in [[models]]"
            yield Check(name, "warning", f"{', '.join(unpriced)}: {detail}")


def open_files(settings: Settings) -> Check:
    """May the process open as many files as it may have connections, and those upstream?"""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.server.connections_max + settings.server.in_flight_max + FILES_BESIDE
    if soft != resource.RLIM_INFINITY and soft < needed:
        detail = (
            f"{soft} may be open here, connections_max and in_flight_max need {needed}: raise `ulimit -n`"
        )
        return Check("open files", "warning", detail)
    return Check(
        "open files", "ok", f"{'any number' if soft == resource.RLIM_INFINITY else soft} may be open"
    )


def disk(settings: Settings) -> Check:
    """Is there room for the database to grow?"""
    folder = settings.database.path.parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Check("disk", "failed", f"{folder}: {error.strerror}")
    detail = f"{free // (1024 * 1024):,} MiB are free at {folder}"
    if free < FREE_LEAST:
        return Check("disk", "failed", f"{detail}: make room, or the ledger stops")
    return Check("disk", "warning" if free < FREE_LOW else "ok", detail)
