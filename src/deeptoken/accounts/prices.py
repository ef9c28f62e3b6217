"""The price book of an installation: what stands in it, and what an operator writes into it.

A price that an operator set is theirs: an update of the book leaves it alone.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from deeptoken import clock
from deeptoken.accounts.administration import change_price
from deeptoken.accounts.change import Actor
from deeptoken.catalog.entry import Entry
from deeptoken.catalog.listing import prices as told
from deeptoken.catalog.model import Group, Model
from deeptoken.catalog.seed import Difference
from deeptoken.config_fields import Wrong
from deeptoken.config_sections import read_model
from deeptoken.errors import BadRequest, Conflict
from deeptoken.ledger.postings import Posting
from deeptoken.providers.registry import BASE_URLS
from deeptoken.settings import Settings
from deeptoken.store.queries.people import PriceVersion
from deeptoken.store.queries.statements import set_model
from deeptoken.store.reads import Reader

FILE, BOOK, OPERATOR = "file", "book", "operator"
"""Where a price comes from."""
AS_IT_IS = Group("as it is")


class PriceShown(msgspec.Struct, frozen=True, kw_only=True):
    """A model of the price book. Prices are USD per million tokens or characters, and for one of what is
    counted singly, as text: they are exact.
    """

    key: str
    """Its provider and id, ``openai:gpt-4o``; the id alone where the configuration file prices it."""
    provider: str
    id: str
    name: str | None
    context: int | None
    max_output: int | None
    prices: dict[str, Any] | None
    """Null: it has none, and cannot be called."""
    from_us: int | None
    source: str | None
    """``book``, ``operator`` or ``file``."""


def book_key(entry: Entry) -> str:
    """What the price of an entry is filed under: ids are a provider's own, but for those of the file."""
    return f"{entry.provider}:{entry.id}" if entry.provider else entry.id


def current(reader: Reader) -> dict[str, PriceVersion]:
    """The prices that hold now, by their keys."""
    return {version.price.model: version for version in reader.prices(clock.wall_us())}


def priced(entry: Entry, prices: Mapping[str, PriceVersion]) -> Entry:
    """With the price that holds."""
    version = prices.get(book_key(entry))
    if version is None or (not entry.provider and entry.rates is None):
        return entry
    price = version.price
    return msgspec.structs.replace(entry, rates=price.rates, tiers=price.tiers, price_id=price.id)


def book(reader: Reader) -> list[Entry]:
    """The price book of the database, each entry with the price that holds now."""
    prices = current(reader)
    return [priced(entry, prices) for entry in reader.models()]


def shown(entry: Entry, prices: Mapping[str, PriceVersion]) -> PriceShown:
    """An entry with the price that holds."""
    version = prices.get(book_key(entry))
    costs = None if entry.price is None else told(Model(id=entry.id, price=entry.price), AS_IT_IS)
    if costs is not None:
        del costs["ratios"]
    return PriceShown(
        key=book_key(entry),
        provider=entry.provider,
        id=entry.id,
        name=entry.name,
        context=entry.context,
        max_output=entry.max_output,
        prices=costs,
        from_us=None if version is None else version.from_us,
        source=None if version is None else version.source,
    )


def ensure_of_book(settings: Settings, provider: str, id: str) -> None:
    """Raises `BadRequest`: there is no such provider. `Conflict`: the configuration file prices that id."""
    if provider not in BASE_URLS:
        raise BadRequest(f"provider: there is no provider {provider!r}.", param="provider")
    if any(entry.id == id and entry.rates is not None for entry in settings.models):
        raise Conflict(f"The configuration file prices {id!r}: change it there.", param="id")


def wanted(provider: str, raw: Mapping[str, Any], known: Entry | None) -> Entry:
    """An entry of the book with the price that was said, by the names of ``[[models]]``; what is known of the
    model and was not said stays.

    Raises:
        Wrong: a value cannot be.
    """
    said = read_model(dict(raw), ())
    if said.rates is None:
        raise Wrong(("prompt",), "A price is needed: prompt and completion, in USD per million tokens.")
    if known is None:
        return msgspec.structs.replace(said, provider=provider)
    facts = {
        name: value
        for name in ("name", "context", "max_output", "owned_by", "modalities", "capabilities")
        if (value := getattr(said, name)) is not None
    }
    return msgspec.structs.replace(known, rates=said.rates, tiers=said.tiers, price_id=None, **facts)


def set_price(actor: Actor, before: Entry | None, after: Entry) -> tuple[Posting, ...]:
    """Another price, from now on. Calls that have begun keep theirs; the same price again changes nothing."""
    assert after.rates is not None, "a price is there"
    key = book_key(after)
    was = None if before is None or before.rates is None else (before.rates, before.tiers)
    price = change_price(
        actor, key, was, (after.rates, after.tiers), from_us=clock.wall_us(), source=OPERATOR
    )
    return set_model(key, after), price


def without_operators(found: Difference, prices: Mapping[str, PriceVersion]) -> tuple[Difference, int]:
    """An update of the book without what would change an operator's prices; and how many those are."""
    changed = tuple(
        pair
        for pair in found.changed
        if (version := prices.get(book_key(pair[1]))) is None or version.source != OPERATOR
    )
    left = len(found.changed) - len(changed)
    return msgspec.structs.replace(found, changed=changed), left
