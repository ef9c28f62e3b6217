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
MEMORY, PAGES = "Memory over half an hour", "Usage pages"
"""Chapters of RESULTS.md."""
Sample = tuple[float, float]
"""Seconds since the start, and megabytes."""


def run(stage: Stage, *, minutes: float, rows: int, write: bool) -> int:
    """Print what was found; what has its full size goes into RESULTS.md. No minutes, no rows: not that."""
    servers = stage.upstreams()
    if minutes:
        memory = _memory(stage, minutes, *servers)
        if memory is None:
            return 1
        _tell(memory, write=write, whole=minutes >= MINUTES)
    if rows:
        found = Run()
        found.parts[PAGES] = pages.measure(stage, rows, found, *servers)
        _tell(found, write=write, whole=rows >= pages.ROWS)
    return 0


def _tell(found: Run, *, write: bool, whole: bool) -> None:
    told = [sentence for part in found.parts.values() for sentence in part]
    print(results.said(found, judged=whole), *told, sep="\n")
    if not write or not whole:
        print("Nothing was written: that takes the full size, on a machine that has no other work.")
    elif not results.keep(found, "python benchmarks/run.py --long"):
        print("There is no RESULTS.md yet to add it to: `make bench` writes one.", file=sys.stderr)


def _memory(stage: Stage, minutes: float, whole: Server, streams: Server) -> Run | None:
    """The slope; None where an answer was wrong."""
    bench = Bench(stage.folder, stage.key)
    gateway = stage.gateway(whole, streams)
    samples: list[Sample] = []
    began = clock.monotonic()
    while (at := clock.monotonic() - began) < minutes * 60:
        for load in _parts(bench, gateway):
            # Half an hour may have a stall of the machine, which says nothing of memory.
            if not load.clean:
                print(f"The slope says nothing: {load.trouble}.", file=sys.stderr)
                return None
        samples.append((clock.monotonic() - began, gateway.resident_mb()))
        print(f"  {at:6.0f} s  {samples[-1][1]:.1f} MB")
        time.sleep(0.1)
    gateway.stop()
    return sloped(samples)


def sloped(samples: list[Sample]) -> Run:
    """What samples of memory come to."""
    grown = slope(samples)
    second = [memory for at, memory in samples if at >= samples[-1][0] / 2]
    told = (
        f"resident memory under 500 requests/s and 100 streams in turn, {samples[-1][0] / 60:.0f} minutes: "
        f"{samples[0][1]:.1f} MB at first, {min(second):.1f} to {max(second):.1f} MB in the second half, "
        f"whose line rises by {grown:.2f} % in 30 minutes"
    )
    return Run(figures={"memory_slope": grown}, parts={MEMORY: [told]})


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
