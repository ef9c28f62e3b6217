"""How commands print: tables and facts for people, JSON for programs.

On a terminal a table is drawn by rich. Elsewhere it is plain text in columns, never cut, never wrapped.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click
import msgspec

from deeptoken.cli.options import say

GAP = "  "


def print_json(value: object) -> None:
    click.echo(msgspec.json.encode(value))


def print_table(rows: Sequence[Mapping[str, str]], *, right: Sequence[str] = (), empty: str) -> None:
    """The rows, cells by column, those of `right` flush right; without rows, what would make one."""
    if not rows:
        say(empty)
    elif sys.stdout.isatty():
        _draw(rows, right)
    else:
        for line in plain(rows, right):
            click.echo(line)


def print_facts(facts: Mapping[str, str | None]) -> None:
    """One fact a line; those that are empty or None are left out."""
    width = max(map(len, facts))
    for name, fact in facts.items():
        if fact:
            click.echo(f"{name:<{width}}{GAP}{fact}")


def plain(rows: Sequence[Mapping[str, str]], right: Sequence[str]) -> list[str]:
    """Lines of columns, their names first."""
    columns = list(rows[0])
    cells = [columns, *([row[column] for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        GAP.join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for cell, column, width in zip(line, columns, widths, strict=True)
        ).rstrip()
        for line in cells
    ]


def _draw(rows: Sequence[Mapping[str, str]], right: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in rows[0]:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        # As text: a name may have brackets, which rich would take for a style.
        table.add_row(*(Text(cell) for cell in row.values()))
    Console().print(table)


def time(us: int | None) -> str:
    """A time for people: UTC, to the second. Empty where there is none."""
    return "" if us is None else f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}"


def yes(value: object) -> str:
    return "yes" if value else ""
