"""How commands print: tables and facts for people, JSON for programs.

On a terminal a table is drawn by rich, elsewhere it is plain text; neither cuts what can be copied.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import click
import msgspec

from deeptoken.cli.options import say

GAP = "  "
CELL_WIDTH_MAX = 60
"""Of a drawn table: an id fits, a long list of models takes several lines."""
LINE_WIDTH_MAX = 2_000


_encode = msgspec.json.Encoder(decimal_format="number").encode


def print_json(value: object) -> None:
    click.echo(_encode(value))


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
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in rows[0]:
        side: Literal["left", "right"] = "right" if column in right else "left"
        table.add_column(column, justify=side, max_width=CELL_WIDTH_MAX, overflow="fold")
    for row in rows:
        # As text: a name may have brackets, which rich would take for a style.
        table.add_row(*(Text(cell) for cell in row.values()))
    console = Console()
    natural = Measurement.get(console, console.options.update(width=LINE_WIDTH_MAX), table).maximum
    # A line that is too long is the terminal's to wrap: cells cut to fit can be neither read nor copied.
    console.width = max(console.width, natural)
    console.print(table)


def time(us: int | None) -> str:
    """A time for people: UTC, to the second. Empty where there is none."""
    return "" if us is None else f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}"


def yes(value: object) -> str:
    return "yes" if value else ""
