"""`deeptoken models`: what can be called, what it costs, and the price book."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from deeptoken import clock
from deeptoken.accounts.administration import change_price
from deeptoken.accounts.change import COMMAND_LINE
from deeptoken.accounts.prices import AS_IT_IS, BOOK, book, book_key, current, without_operators
from deeptoken.catalog.catalog import Catalog
from deeptoken.catalog.entry import Entry
from deeptoken.catalog.listing import entry as listed
from deeptoken.catalog.listing import prices
from deeptoken.catalog.model import Group, Model
from deeptoken.catalog.seed import Difference, update
from deeptoken.cli.books import reader, write
from deeptoken.cli.channel_list import every
from deeptoken.cli.model_price import price_model
from deeptoken.cli.names import unknown
from deeptoken.cli.options import Mistake, load, say, with_config, with_json
from deeptoken.cli.output import print_facts, print_json, print_table, time
from deeptoken.ledger.postings import Posting
from deeptoken.settings import Settings
from deeptoken.store.queries.statements import set_model

CLASSES = (
    "prompt",
    "cached",
    "cache_write",
    "cache_write_1h",
    "prompt_audio",
    "completion",
    "reasoning",
    "completion_audio",
    "completion_image",
    "image",
    "character",
    "second",
    "search",
    "request",
)


@click.group()
def command() -> None:
    """Models and their prices: USD per million tokens or characters; for one image, second or search."""


command.add_command(price_model)


with_group = click.option("--group", "name", default="default", help="As this group sees it and pays.")


@command.command("list")
@with_group
@with_config
@with_json
def list_models(name: str, file: Path | None, as_json: bool) -> None:
    """What can be called, by id. Families that a pattern serves are not listed one by one."""
    settings = load(file)
    group, catalog = find_group(settings, name), catalog_of(settings)
    models = [model for id in catalog.exact_ids(name) if (model := catalog.model(id, name)) is not None]
    if as_json:
        for model in models:
            print_json(as_row(catalog, model, group))
        return
    rows = []
    for model in models:
        costs = prices(model, group)
        channels = ", ".join(at.channel.name for at in catalog.candidates(model.id, name))
        rows.append(
            {
                "model": model.id,
                "context": str(model.context or ""),
                "prompt": costs["prompt"],
                "cached": costs.get("cached", ""),
                "completion": costs["completion"],
                "channels": channels,
            }
        )
    print_table(
        rows,
        right=("context", "prompt", "cached", "completion"),
        empty="No model can be called. `deeptoken channels list` shows whether a channel is enabled.",
    )


@command.command("show")
@click.argument("id")
@with_group
@with_config
@with_json
def show_model(id: str, name: str, file: Path | None, as_json: bool) -> None:
    """One model: prices, ratios, the channels that serve it."""
    settings = load(file)
    group, catalog = find_group(settings, name), catalog_of(settings)
    model = catalog.model(id, name)
    if model is None:
        cure = "no enabled channel of this group serves it, or it has no price"
        raise unknown("model", id, catalog.exact_ids(name), cure)
    if as_json:
        print_json(as_row(catalog, model, group))
        return
    costs = prices(model, group)
    candidates = catalog.candidates(id, name)
    print_facts(
        {
            "model": model.id,
            "owned by": model.owned_by,
            "context": str(model.context or ""),
            "longest answer": str(model.max_output or ""),
            "modalities": ", ".join(model.modalities),
            "price": _price_text(costs),
            **{f"above {tier['above']}": _price_text(tier) for tier in costs.get("tiers", ())},
            "ratios": ", ".join(f"{ratio} {value}" for ratio, value in costs["ratios"].items()),
            "channels": ", ".join(f"{at.channel.name} ({at.upstream_model})" for at in candidates),
        }
    )


@command.command("history")
@click.argument("id")
@with_config
@with_json
def history(id: str, file: Path | None, as_json: bool) -> None:
    """Every price that a model ever had, oldest first. A call is billed by the one it began under."""
    settings = load(file)
    model = catalog_of(settings).model(id, "default")
    ids = {id, model.price.model if model else id}
    with reader(settings) as books:
        versions = [
            version
            for version in books.price_history()
            if not ids.isdisjoint((version.price.model, version.price.model.partition(":")[2]))
        ]
    if not versions:
        raise Mistake(
            f"The price book does not know {id!r}; `deeptoken models list` shows what can be called."
        )
    rows = []
    for version in versions:
        costs = prices(Model(id=version.price.model, price=version.price), AS_IT_IS)
        del costs["ratios"]
        if as_json:
            told = {"number": version.price.id, "model": version.price.model, "prices": costs}
            print_json({**told, "from_us": version.from_us, "source": version.source})
        rows.append(
            {
                "from": time(version.from_us) if version.from_us else "the start",
                "price of": version.price.model,
                "USD": _price_text(costs),
                "source": version.source,
            }
        )
    if not as_json:
        print_table(rows, empty="")


@command.command("update")
@click.option("--apply", is_flag=True, help="Write the new prices to the price book.")
@with_config
@with_json
def update_models(apply: bool, file: Path | None, as_json: bool) -> None:
    """Show what the installed price-data package would change, and with --apply change it.

    Calls that have begun keep their price, and so does what the configuration file prices.
    """
    settings = load(file)
    now_us = clock.wall_us()
    with reader(settings) as books:
        found = update(book(books), datetime.fromtimestamp(now_us // 1_000_000, UTC).date())
        found, left = without_operators(found, current(books))
    if left:
        say(f"{left} prices that an operator set stay as they are.")
    rows = list(_differences(found))
    if as_json:
        for change, was, then in rows:
            print_json({"change": change, "provider": then.provider, "id": then.id, **_was(was, then)})
    else:
        print_table(
            [
                {"change": change, "model": book_key(then), "before": _told(was), "after": _told(then)}
                for change, was, then in rows
            ],
            empty="The price book is as the price-data package says.",
        )
    changes = _changes(found, now_us)
    if not changes:
        return
    if not apply:
        say("Nothing was changed. `deeptoken models update --apply` writes it to the price book.")
        return
    write(settings, *changes)
    say(f"Written: {len(found.added)} added, {len(found.changed)} changed. What is gone stays in the book.")


def as_row(catalog: Catalog, model: Model, group: Group) -> dict[str, Any]:
    """A model as JSON: what ``/v1/models`` says of it, and its channels."""
    candidates = catalog.candidates(model.id, group.name)
    channels = [{"channel": at.channel.name, "model": at.upstream_model} for at in candidates]
    return {**listed(model, group), "channels": channels}


def catalog_of(settings: Settings) -> Catalog:
    """As the gateway sees it, without credentials."""
    with reader(settings) as books:
        entries = book(books)
    channels = [one.channel for one in every(settings)]
    return Catalog.build(channels=channels, models=settings.models, book=entries, groups=settings.groups)


def find_group(settings: Settings, name: str) -> Group:
    groups = {group.name: group for group in settings.groups}
    if name not in groups:
        raise Mistake(f"--group: there is no group {name!r}; known: {', '.join(groups)}.")
    return groups[name]


def _differences(found: Difference) -> Iterator[tuple[str, Entry | None, Entry]]:
    yield from (("added", None, entry) for entry in found.added)
    yield from (("changed", was, entry) for was, entry in found.changed)
    yield from (("gone", entry, entry) for entry in found.gone)


def _changes(found: Difference, now_us: int) -> list[Posting]:
    postings: list[Posting] = []
    for was, entry in (*((None, entry) for entry in found.added), *found.changed):
        key = book_key(entry)
        postings.append(set_model(key, entry))
        if entry.rates is not None:
            before = None if was is None or was.rates is None else (was.rates, was.tiers)
            after = (entry.rates, entry.tiers)
            postings.append(change_price(COMMAND_LINE, key, before, after, from_us=now_us, source=BOOK))
    return postings


def _costs(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None or entry.price is None:
        return None
    costs = prices(Model(id=entry.id, price=entry.price), AS_IT_IS)
    del costs["ratios"]
    return costs


def _was(was: Entry | None, then: Entry) -> dict[str, Any]:
    return {"before": _costs(was), "after": _costs(then)}


def _told(entry: Entry | None) -> str:
    costs = _costs(entry)
    return _price_text(costs) if costs else ""


def _price_text(costs: dict[str, Any]) -> str:
    """``prompt 0.15, completion 0.6``, and from which size of a prompt on there is another price."""
    told = [f"{name} {costs[name]}" for name in CLASSES if name in costs]
    told += [f"above {tier['above']} tokens another" for tier in costs.get("tiers", ())]
    return ", ".join(told)
