"""The long run: requests and streams in turn, and the line through resident memory; then usage pages."""

import sys
import time
from statistics import linear_regression, mean

import pages
import results
from figures import Bench, Load
from processes import Server
from results import Run
from stage import Stage

from deeptoken import clock

MINUTES = 30.0
PART_SECONDS = 5.0
"""Of requests, then of streams; a sample of memory is taken after both."""
CHAPTER = "The long run"
Sample = tuple[float, float]
"""Seconds since the start, and megabytes."""


def run(stage: Stage, *, minutes: float, rows: int, write: bool) -> int:
    """Print what was found; a run of full size goes into RESULTS.md. No minutes or no rows: without that."""
    found, whole = Run(parts={CHAPTER: []}), minutes >= MINUTES and rows >= pages.ROWS
    if minutes and not _memory(stage, minutes, found):
        return 1
    if rows:
        found.parts[CHAPTER] += pages.measure(stage, rows, found)
    print(results.said(found, judged=whole), *found.parts[CHAPTER], sep="\n")
    if not write or not whole:
        print("Nothing was written: that takes the full size, on a machine that has no other work.")
    elif not results.keep(found, "python benchmarks/run.py --long"):
        print("There is no RESULTS.md yet to add it to: `make bench` writes one.", file=sys.stderr)
    return 0


def _memory(stage: Stage, minutes: float, found: Run) -> bool:
    """The slope, and whether there is one: not where an answer was wrong."""
    bench = Bench(stage.folder, stage.key)
    whole, streams = stage.upstreams()
    gateway = stage.gateway(whole, streams)
    samples: list[Sample] = []
    began, answers, events = clock.monotonic(), 0, 0
    while (at := clock.monotonic() - began) < minutes * 60:
        for load in _parts(bench, gateway):
            # Half an hour may have a stall of the machine, which says nothing of memory.
            if not load.clean:
                print(f"The slope says nothing: {load.trouble}.", file=sys.stderr)
                return False
            answers, events = answers + load.answers, events + load.events
        samples.append((clock.monotonic() - began, gateway.resident_mb()))
        print(f"  {at:6.0f} s  {samples[-1][1]:.1f} MB")
        time.sleep(0.1)
    gateway.stop()
    grown = found.figures["memory_slope"] = slope(samples)
    found.parts[CHAPTER].append(
        f"memory over {minutes:g} minutes, {answers:,} answers and {events:,} events: {samples[0][1]:.1f} MB "
        f"at first, {samples[-1][1]:.1f} MB at last; the line through the second half rises by {grown:.2f} % "
        "in 30 minutes"
    )
    return True


def _parts(bench: Bench, gateway: Server) -> list[Load]:
    return [bench.open(gateway, PART_SECONDS), bench.streams(gateway, PART_SECONDS)]


def slope(samples: list[Sample]) -> float:
    """Percent of the mean per 30 minutes, of the line through the second half: caches and pools have filled.

    Raises:
        ValueError: fewer than two samples in it.
    """
    half = samples[-1][0] / 2
    second = [sample for sample in samples if sample[0] >= half]
    if len(second) < 2:
        raise ValueError("A slope takes two samples in the second half: more minutes.")
    line = linear_regression([at for at, _ in second], [memory for _, memory in second])
    return line.slope * MINUTES * 60 / mean(memory for _, memory in second) * 100
