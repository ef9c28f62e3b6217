"""The price book that a new database starts with, and what a newer price-data package would change of one.

`prices.json` is made when the wheel is built (`hatch_prices.py`). Only `update` imports the package.
"""

from collections.abc import Iterable
from datetime import date
from importlib.resources import files

import msgspec

from deeptoken.catalog import pricedata
from deeptoken.catalog.entry import Entry
from deeptoken.catalog.model import Rates
from deeptoken.money import PicoUsd

SIM = Entry(
    id="sim/text",
    provider="sim",
    aliases=("sim/echo", "sim/slow", "sim/*"),
    name="Simulated",
    rates=Rates(prompt=PicoUsd(1_000_000), completion=PicoUsd(2_000_000)),
    owned_by="deeptoken",
)
FREE = Entry(
    id="omni-moderation-latest",
    provider="openai",
    aliases=("omni-moderation-*", "text-moderation-*"),
    name="Moderation",
    rates=Rates(prompt=PicoUsd(0), completion=PicoUsd(0)),
)
"""It costs nothing: developers.openai.com/api/docs/guides/moderation, read 2026-11-25."""


class SeedMissing(Exception):
    """The package was not built: it has no `prices.json`."""

    def __init__(self) -> None:
        super().__init__(
            "catalog/prices.json is missing. Install the package (pip install -e .), which makes it."
        )


class Difference(msgspec.Struct, frozen=True):
    """What an update would do to the price book."""

    added: tuple[Entry, ...] = ()
    changed: tuple[tuple[Entry, Entry], ...] = ()
    """Pairs: as it is, as it would be."""
    gone: tuple[Entry, ...] = ()
    """The package no longer knows them. They stay in the book, which is append-only."""


def load_seed() -> list[Entry]:
    """The packaged price book, what is free, and the provider ``sim``.

    Raises:
        SeedMissing: this is a source tree that was never installed.
    """
    try:
        said = files("deeptoken.catalog").joinpath("prices.json").read_bytes()
    except FileNotFoundError:
        raise SeedMissing from None
    return [*msgspec.json.decode(said, type=list[Entry]), FREE, SIM]


def update(current: Iterable[Entry], day: date) -> Difference:
    """What the price-data package says on this day, against the book as it is. Changes nothing."""
    newest = msgspec.convert(pricedata.rows(day), list[Entry])
    return difference(current, [*newest, FREE, SIM])


def difference(current: Iterable[Entry], newest: Iterable[Entry]) -> Difference:
    """Which rows are new, say something else, or are gone; by provider and id."""
    now = {(entry.provider, entry.id): entry for entry in current}
    then = {(entry.provider, entry.id): entry for entry in newest}
    return Difference(
        added=tuple(entry for key, entry in then.items() if key not in now),
        changed=tuple(
            (now[key], entry) for key, entry in then.items() if key in now and _differ(now[key], entry)
        ),
        gone=tuple(entry for key, entry in now.items() if key not in then),
    )


def _differ(now: Entry, then: Entry) -> bool:
    return msgspec.structs.replace(now, price_id=None) != msgspec.structs.replace(then, price_id=None)
