"""`deeptoken usage`: what was called, by whom, through which channel, and what it cost."""

import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO, TypeVar, get_args

import click
import msgspec
from click.core import ParameterSource

from deeptoken.cli.books import reader
from deeptoken.cli.names import find_key, find_wallet
from deeptoken.cli.options import FILE, Mistake, load, past, say, with_config, with_json
from deeptoken.cli.output import print_facts, print_json, print_table, time, yes
from deeptoken.ledger.postings import Outcome
from deeptoken.money import show
from deeptoken.store.queries.money import UsageFilter, UsageRecord
from deeptoken.store.reads import Reader
from deeptoken.store.shown import AMOUNTS, shown

Command = TypeVar("Command", bound=Callable[..., Any])

LIMIT = 100
PAGE = 5_000
"""Rows read at once for an export."""
UNITS = ("images", "characters", "seconds", "searches")


def with_filters(command: Command) -> Command:
    """The options that say which rows."""
    options = [
        click.option("--key", help="Of this key: a name or an id."),
        click.option("--wallet", help="Paid by this wallet: user:ops."),
        click.option("--model", help="Of this model."),
        click.option("--channel", help="Through this channel."),
        click.option("--outcome", type=click.Choice(get_args(Outcome)), help="That ended so."),
        click.option("--since", type=past, metavar="TIME", help="From then on: a date, or 24h."),
        click.option("--until", type=past, metavar="TIME", help="Before then."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@with_filters
@click.option("--limit", type=click.IntRange(min=1), default=LIMIT, show_default=True, help="The newest.")
@with_config
@with_json
@click.pass_context
def command(context: click.Context, /, limit: int, file: Path | None, as_json: bool, **told: Any) -> None:
    """Usage rows, newest last. With a command: one row, or all of them as a file."""
    if context.invoked_subcommand is not None:
        _nothing_before(context)
        return
    settings = load(file)
    with reader(settings) as books:
        records = books.usages(_filter(books, told), limit=limit)[::-1]
    if as_json:
        for record in records:
            print_json(shown(record))
        return
    print_table(
        [_cells(record) for record in records],
        right=("prompt", "completion", "charged", "ms"),
        empty="There is no such usage. A call makes a row: `deeptoken chat` is one.",
    )


@command.command("show")
@click.argument("id")
@with_config
@with_json
def show_usage(id: str, file: Path | None, as_json: bool) -> None:
    """One row, by its id or by X-Request-Id, with every attempt."""
    with reader(load(file)) as books:
        record = books.usage(id)
    if record is None:
        raise Mistake(f"There is no usage row {id}; `deeptoken usage` lists them with their ids.")
    row = shown(record, attempts=True)
    if as_json:
        print_json(row)
        return
    print_facts(_facts(record))
    click.echo()
    print_table(
        [
            {
                "channel": str(attempt.get("channel") or ""),
                "status": str(attempt.get("status") or ""),
                "cause": str(attempt.get("cause") or ""),
                "ms": str(attempt.get("duration_ms") or ""),
                "what happened": str(attempt.get("message") or ""),
            }
            for attempt in row["attempts"]
        ],
        right=("ms",),
        empty="Whom it asked is not known: the gateway's process ended."
        if record.outcome == "orphan"
        else "No provider was asked.",
    )


@command.command("export")
@with_filters
@click.option("--csv", "target", type=FILE, required=True, metavar="FILE", help="-: standard output.")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@with_config
def export(target: Path, force: bool, file: Path | None, **told: Any) -> None:
    """Write every row that matches to a file, newest first. Amounts are credits, and their columns say so."""
    settings = load(file)
    with reader(settings) as books:
        rows = _all(books, _filter(books, told))
        if str(target) == "-":
            _write_rows(rows, sys.stdout)
            return
        if not target.parent.is_dir():
            raise Mistake(f"There is no folder {target.parent}: make it, or name another.")
        if target.exists() and not force:
            raise Mistake(f"{target} is there already: name another file, or replace it with --force.")
        part = target.with_name(target.name + ".part")
        with part.open("w", encoding="utf-8", newline="") as output:
            count = _write_rows(rows, output)
        part.replace(target)
    say(f"{target} has {count} rows.")


def _filter(books: Reader, told: dict[str, Any]) -> UsageFilter:
    wallet = told["wallet"]
    return UsageFilter(
        key=_key(books, told["key"]) if told["key"] is not None else None,
        wallet=find_wallet(books, wallet).id if wallet is not None else None,
        model=told["model"],
        channel=told["channel"],
        outcome=told["outcome"],
        since_us=told["since"],
        until_us=told["until"],
    )


def _key(books: Reader, said: str) -> str:
    """A key that is deleted is known by what was said: its rows are still there."""
    known = books.keys()
    named = [key for key in known if said in (key.id, key.name)]
    deleted = not named and books.usages(UsageFilter(key=said), limit=1)
    return said if len(named) == 1 or deleted else find_key(books, said).id


def _nothing_before(context: click.Context) -> None:
    """Options of the list do nothing to a command behind them; they are refused, not ignored."""
    for name in context.params:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            wanted = f"{context.command_path} {context.invoked_subcommand}"
            raise Mistake(f"Write the options behind the command: {wanted} ...")


def _all(books: Reader, which: UsageFilter) -> Iterator[UsageRecord]:
    while True:
        page = books.usages(which, limit=PAGE)
        yield from page
        if len(page) < PAGE:
            return
        which = msgspec.structs.replace(which, after=page[-1].id)


def _write_rows(records: Iterator[UsageRecord], output: TextIO) -> int:
    """A line of names, also where there is no row; amounts last."""
    names = [name for name in UsageRecord.__struct_fields__ if name not in ("attempts", "wallets", *AMOUNTS)]
    count = 0
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow([*names, *(f"{name}_credits" for name in AMOUNTS)])
    for record in records:
        count += 1
        row = shown(record)
        writer.writerow(_cell(row[name]) for name in (*names, *AMOUNTS))
    return count


def _cell(value: object) -> object:
    """Amounts are written as they stand in JSON, so that no float comes between."""
    return bytes(value).decode() if isinstance(value, msgspec.Raw) else value


def _cells(record: UsageRecord) -> dict[str, str]:
    return {
        "time": time(record.created_us),
        "id": record.id,
        "key": record.key,
        "model": record.model,
        "channel": record.channel or "",
        "prompt": str(record.prompt_tokens),
        "completion": str(record.completion_tokens),
        "charged": show(record.charged),
        "outcome": record.outcome,
        "ms": str(record.duration_ms),
    }


def _facts(record: UsageRecord) -> dict[str, str | None]:
    prompt = f"{record.prompt_tokens} ({record.cached_tokens} cached, {record.cache_write_tokens} written)"
    ended = f"{record.outcome}, {record.status}{f' {record.code}' if record.code else ''}"
    return {
        "id": record.id,
        "request id": record.request_id,
        "time": time(record.created_us),
        "endpoint": record.endpoint + (", streamed" if record.stream else ""),
        "key": record.key,
        "wallet": record.wallet,
        "model": record.model,
        "channel": record.channel,
        "prompt tokens": prompt,
        "completion tokens": f"{record.completion_tokens} ({record.reasoning_tokens} reasoning)",
        **{unit: str(count) for unit in UNITS if (count := getattr(record, unit))},
        "estimated": yes(record.estimated),
        "cost": show(record.cost),
        "charged": show(record.charged),
        "refunded": show(record.refunded) if record.refunded else None,
        "outcome": ended,
        "first token": f"{record.ttft_ms} ms" if record.ttft_ms is not None else None,
        "duration": f"{record.duration_ms} ms",
        "upstream id": record.upstream_id,
    }
