"""`deeptoken models price`: what a model of a provider costs from now on."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

import click

from deeptoken.accounts import prices
from deeptoken.accounts.change import COMMAND_LINE
from deeptoken.cli.books import reader, write
from deeptoken.cli.options import Mistake, load, sentence, with_config, with_json
from deeptoken.cli.output import print_facts, print_json
from deeptoken.config_fields import Wrong
from deeptoken.config_sections import RATES

Command = TypeVar("Command", bound=Callable[..., Any])


def amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise click.BadParameter(f"{text!r} is no amount in US dollars.") from None


def with_rates(command: Command) -> Command:
    for name in reversed(RATES):
        option = click.option(f"--{name.replace('_', '-')}", name, type=amount, metavar="USD")
        command = option(command)
    return command


@click.command("price")
@click.argument("provider")
@click.argument("id")
@with_rates
@click.option("--context", type=int, help="Tokens that it takes at most.")
@click.option("--max-output", type=int, help="Tokens that it answers at most.")
@with_config
@with_json
def price_model(provider: str, id: str, file: Path | None, as_json: bool, **told: Any) -> None:
    """Set the price of a model: USD per million tokens or characters; for one image, second or search.

    Calls that have begun keep their price. An update of the book leaves this one alone.
    """
    settings = load(file)
    prices.ensure_of_book(settings, provider, id)
    key = f"{provider}:{id}"
    with reader(settings) as books:
        current = prices.current(books)
        known = next((entry for entry in books.models() if prices.book_key(entry) == key), None)
    before = None if known is None else prices.priced(known, current)
    raw = {"id": id, **{name: value for name, value in told.items() if value is not None}}
    try:
        after = prices.wanted(provider, raw, before)
    except Wrong as wrong:
        option = str(wrong.path[0]).replace("_", "-") if wrong.path else ""
        raise Mistake(sentence(f"--{option}: {wrong.message}" if option else wrong.message)) from None
    write(settings, *prices.set_price(COMMAND_LINE, before, after))
    with reader(settings) as books:
        shown = prices.shown(prices.priced(after, current := prices.current(books)), current)
    if as_json:
        print_json(shown)
        return
    costs = ", ".join(f"{name} {value}" for name, value in (shown.prices or {}).items() if name != "tiers")
    print_facts({"model": shown.key, "price": costs, "source": shown.source})
