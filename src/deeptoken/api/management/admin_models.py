"""The price book, as operators read and write it: ``/api/admin/models``."""

from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from deeptoken.accounts import prices
from deeptoken.accounts.prices import PriceShown
from deeptoken.api.management.admin_channels import refused
from deeptoken.api.management.route import Asked, Page, Route, Slice, limit_of, sliced
from deeptoken.catalog.entry import Entry
from deeptoken.config_fields import Wrong
from deeptoken.store.queries.people import PriceVersion
from deeptoken.store.reads import Reader

MODELS = "/api/admin/models"


class ModelsQuery(Page, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of one provider, where it is named; ids in which `search` is."""

    provider: str = ""
    search: str = ""


class Priced(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """USD per million tokens or characters; for one of what is counted singly."""

    prompt: Decimal | UnsetType = UNSET
    completion: Decimal | UnsetType = UNSET
    cached_prompt: Decimal | UnsetType = UNSET
    cache_write: Decimal | UnsetType = UNSET
    cache_write_1h: Decimal | UnsetType = UNSET
    prompt_audio: Decimal | UnsetType = UNSET
    reasoning: Decimal | UnsetType = UNSET
    completion_audio: Decimal | UnsetType = UNSET
    completion_image: Decimal | UnsetType = UNSET
    character: Decimal | UnsetType = UNSET
    image: Decimal | UnsetType = UNSET
    second: Decimal | UnsetType = UNSET
    search: Decimal | UnsetType = UNSET
    request: Decimal | UnsetType = UNSET


class NewTier(Priced, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another price, for prompts of more tokens than that."""

    above: int


class NewPrice(Priced, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model of a provider, and what it costs from now on. Facts that are not there stay."""

    provider: str
    id: str
    """An id or a pattern, such as ``gpt-5*``."""
    tiers: list[NewTier] | UnsetType = UNSET
    name: str | UnsetType = UNSET
    context: int | UnsetType = UNSET
    max_output: int | UnsetType = UNSET
    owned_by: str | UnsetType = UNSET


def _said(body: Priced) -> dict[str, Any]:
    told = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
    if "tiers" in told:
        told["tiers"] = [_said(tier) for tier in told["tiers"]]
    return told


async def list_models(asked: Asked) -> Slice:
    query, limit = asked.query, limit_of(asked.query)

    def ask(reader: Reader) -> tuple[list[Entry], dict[str, PriceVersion]]:
        return reader.models(), prices.current(reader)

    known, current = await asked.world.read(ask)
    rows = [
        prices.shown(prices.priced(entry, current), current)
        for entry in sorted([*known, *asked.world.settings.models], key=prices.book_key)
        if prices.book_key(entry) > query.after
        and query.provider in ("", entry.provider)
        and query.search in entry.id
    ]
    return sliced(rows[: limit + 1], limit, lambda row: str(row.key))


async def set_price(asked: Asked) -> PriceShown:
    """The same price again changes nothing."""
    body = asked.body
    prices.ensure_of_book(asked.world.settings, body.provider, body.id)
    raw = _said(body)
    del raw["provider"]
    key = f"{body.provider}:{body.id}"

    def ask(reader: Reader) -> tuple[Entry | None, dict[str, PriceVersion]]:
        known = {prices.book_key(entry): entry for entry in reader.models()}
        return known.get(key), prices.current(reader)

    known, current = await asked.world.read(ask)
    before = None if known is None else prices.priced(known, current)
    try:
        after = prices.wanted(body.provider, raw, before)
    except Wrong as wrong:
        raise refused(wrong) from None
    await asked.world.post(*prices.set_price(asked.actor, before, after))
    known, current = await asked.world.read(ask)
    assert known is not None, "it was written"
    return prices.shown(prices.priced(known, current), current)


ROUTES = [
    Route(
        method="GET",
        path=MODELS,
        needs="operator",
        handler=list_models,
        summary="The price book, by provider and id, with the price that holds",
        answer=list[PriceShown],
        query=ModelsQuery,
    ),
    Route(
        method="PUT",
        path=MODELS,
        needs="operator",
        handler=set_price,
        summary="What a model of a provider costs from now on",
        answer=PriceShown,
        body=NewPrice,
        errors=(409,),
    ),
]
