"""A progress bar on a terminal, on stderr; elsewhere nothing."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[str, float, float], None]
"""What is being done, how much of it is, and how much there is."""


@contextmanager
def bar(*, shown: bool = True) -> Iterator[Advance]:
    """A bar that goes away at the end."""
    if not shown or not sys.stderr.isatty():
        yield lambda name, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        # Where it goes elsewhere, what is printed must not be drawn above the bar.
        redirect_stdout=sys.stdout.isatty(),
    ) as progress:
        task = progress.add_task("", total=1)
        yield lambda name, done, total: progress.update(
            task, description=name, completed=done, total=total or 1
        )
