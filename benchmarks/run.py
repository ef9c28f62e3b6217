"""The figures of the specification's page on speed and size, measured on this machine.

    python benchmarks/run.py            everything but the slope, under 5 minutes; writes RESULTS.md
    python benchmarks/run.py --quick    the ratios, under a minute; fails where one fell by more than 20 %
    python benchmarks/run.py --long     30 minutes of load: the slope of memory; adds it to RESULTS.md
    python benchmarks/run.py --busy     on a machine that has other work: keeps every round, writes nothing

The gateway and nginx have one core, the load and the upstreams the other.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from statistics import linear_regression, mean, median

import crowd
import results
import routing
from figures import Bench, Load, Rounds, rounds
from processes import NotReady, Server
from results import Run
from stage import Stage, missing, there

from deeptoken import clock

FOLDER = Path(__file__).parent / ".work"
REQUESTS_BEFORE_MEMORY = 50_000
STARTS = 3
LONG_SECONDS = 1_800
LONG_PART_SECONDS = 30
SETTLED_SHARE = 0.2
"""Of the long run: caches and pools fill, and do not count."""
NOT_MEASURED = (
    "LiteLLM and Portkey: no peer is started by this version; the study's numbers stand in its place.",
    "workers = 2 over workers = 1: it takes four free cores, two for the load and two for the gateway.",
    "The usage page at ten million rows.",
)


class Length:
    """How long each part takes, and how often."""

    def __init__(self, *, quick: bool, busy: bool) -> None:
        self.busy = busy
        self.seconds = 2.5 if quick else 3.5
        self.stream_seconds = 4.0 if quick else 6.0
        self.rounds = 2 if quick else 5
        self.slow_rounds = 1 if quick else 3


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--quick", action="store_true", help="the ratios, compared with RESULTS.md")
    kind.add_argument("--long", action="store_true", help="30 minutes of load")
    kind.add_argument("--busy", action="store_true", help="keep disturbed rounds, write nothing")
    asked = parser.parse_args()
    lacking = missing()
    print(*lacking.values(), sep="\n", file=sys.stderr)
    if (os.cpu_count() or 1) < 2:
        print("There is one core; the gateway and the load need one each.", file=sys.stderr)
    if "gcc" in lacking or (os.cpu_count() or 1) < 2:
        print("Nothing was measured.", file=sys.stderr)
        return 1
    with Stage(FOLDER) as stage:
        try:
            return _long(stage) if asked.long else _measure(stage, quick=asked.quick, busy=asked.busy)
        except NotReady as problem:
            print(problem, file=sys.stderr)
            return 1


def _measure(stage: Stage, *, quick: bool, busy: bool) -> int:
    run, bench = Run(skipped=list(NOT_MEASURED)), Bench(stage.folder, stage.key)
    length = Length(quick=quick, busy=busy)
    _decision(run)
    whole, streams = stage.upstreams()
    proxies: tuple[list[Server], list[Server]] = [], []
    if there("nginx"):
        proxy, proxied_streams = stage.proxy(whole, streams)
        proxies = [proxy], [proxied_streams]
    else:
        run.skipped.append("What is compared with nginx: it is not here.")
    if not quick:
        _start(stage, whole, streams, run)
    gateway = stage.gateway(whole, streams)
    if not quick:
        _memory_of_requests(bench, gateway, run)
    for name, size in (("whole_1k", 1_000), ("whole_30k", 30_000)):
        _throughput(bench, [*proxies[0], gateway], name, size, length, run)
    if not quick:
        _added(bench, [whole, *proxies[0], gateway], length, run)
    _streams(bench, [streams, *proxies[1], gateway], length, run)
    if not quick:
        _memory_of_streams(bench, gateway, run)
        _crowd(bench, stage, whole, streams, gateway, length, run)
    return _closing(run, quick=quick, busy=busy)


def _closing(run: Run, *, quick: bool, busy: bool) -> int:
    print(results.said(run, judged=not busy), *run.details, sep="\n")
    if busy:
        return 0
    if run.failed:
        print("This run counts for nothing:", *run.failed, sep="\n", file=sys.stderr)
        return 1
    if not quick:
        results.write(run, "python benchmarks/run.py")
        return 0
    if not results.last():
        print("There is no full run in RESULTS.md to compare with.", file=sys.stderr)
    lost = results.losses(run)
    print(*lost, sep="\n", file=sys.stderr)
    return 1 if lost else 0


def _decision(run: Run) -> None:
    took_us = run.figures["routing"] = routing.decision_us()
    run.details.append(f"a routing decision, median of {routing.ROUNDS:,}: {took_us:.1f} us")


def _start(stage: Stage, whole: Server, streams: Server, run: Run) -> None:
    seconds = []
    for number in range(STARTS):
        began = clock.monotonic()
        gateway = stage.gateway(whole, streams, folder=stage.folder / f"start-{number}")
        seconds.append(clock.monotonic() - began)
        gateway.stop()
    run.figures["start"] = median(seconds)
    run.details.append(f"start to ready: {', '.join(f'{one:.2f} s' for one in seconds)}")


def _crowd(
    bench: Bench,
    stage: Stage,
    whole: Server,
    streams: Server,
    gateway: Server,
    length: Length,
    run: Run,
) -> None:
    """Whether many accounts make a start or a call slower."""
    database = stage.folder / "crowd.db"
    crowd.fill(database)
    began = clock.monotonic()
    crowded = stage.gateway(whole, streams, folder=stage.folder / "crowded", database=database)
    run.figures["crowd_start"] = clock.monotonic() - began
    servers = [gateway, crowded.at(crowded.port, "crowded")]
    done = rounds(
        "crowd", servers, lambda server: bench.closed(server, 1_000, 3), length.rounds, busy=length.busy
    )
    if _enough(done, "crowd", run):
        run.figures["crowd"] = done.ratio(lambda load: load.per_second, "crowded", "gateway")
    run.details.append(
        f"{crowd.ORGANIZATIONS * crowd.KEYS_EACH:,} keys of {crowd.ORGANIZATIONS:,} organizations: "
        f"ready in {run.figures['crowd_start']:.2f} s, {crowded.resident_mb():.0f} MB"
    )


def _memory_of_requests(bench: Bench, gateway: Server, run: Run) -> None:
    answered = 0
    while answered < REQUESTS_BEFORE_MEMORY:
        load = bench.closed(gateway, 1_000, 5)
        if not load.right:
            run.failed.append(f"Memory after 50,000 requests: {load.trouble}.")
            return
        answered += load.answers
    run.figures["memory_requests"] = gateway.resident_mb()
    run.details.append(f"resident memory after {answered:,} requests: {gateway.resident_mb():.0f} MB")


def _throughput(bench: Bench, servers: list[Server], name: str, size: int, length: Length, run: Run) -> None:
    done = rounds(
        name,
        servers,
        lambda server: bench.closed(server, size, length.seconds),
        length.rounds,
        busy=length.busy,
    )
    if _enough(done, name, run) and len(servers) > 1:
        run.figures[name] = done.ratio(lambda load: load.per_second, "gateway", "nginx")
    for server in servers if done.kept else ():
        low, high = done.spread(lambda load: load.per_second, server.name)
        run.details.append(
            f"{size:,} bytes, {server.name}: {done.median(lambda load: load.per_second, server.name):,.0f} "
            f"[{low:,.0f} to {high:,.0f}] requests/s, p50 / p99 {_percentiles(done, server.name)}"
        )


def _added(bench: Bench, servers: list[Server], length: Length, run: Run) -> None:
    done = rounds(
        "open loop", servers, lambda server: bench.open(server, 6), length.slow_rounds, busy=length.busy
    )
    if _enough(done, "added latency", run):
        run.figures["added_p50"] = done.difference(lambda load: load.latency.p50 / 1e3, "gateway", "direct")
        run.figures["added_p99"] = done.difference(lambda load: load.latency.p99 / 1e3, "gateway", "direct")
    for server in servers if done.kept else ():
        run.details.append(f"500 requests/s, {server.name}: p50 / p99 {_percentiles(done, server.name)}")


def _streams(bench: Bench, servers: list[Server], length: Length, run: Run) -> None:
    done = rounds(
        "streams",
        servers,
        lambda server: bench.streams(server, length.stream_seconds),
        length.slow_rounds,
        busy=length.busy,
    )
    if _enough(done, "streams", run):
        if there("nginx"):
            run.figures["stream_cpu"] = done.ratio(lambda load: load.cpu_per_event_us, "gateway", "nginx")
        run.figures["first_event"] = done.difference(lambda load: load.first.p50 / 1e3, "gateway", "direct")
    for server in servers if done.kept else ():
        events = done.median(lambda load: load.events / load.seconds, server.name)
        cpu = done.median(lambda load: load.cpu_per_event_us, server.name)
        first = done.median(lambda load: load.first.p50, server.name)
        run.details.append(
            f"100 streams, {server.name}: {events:,.0f} events/s, {cpu:.1f} us of CPU an event, "
            f"first event p50 {first / 1e3:.2f} ms"
        )


def _memory_of_streams(bench: Bench, gateway: Server, run: Run) -> None:
    load = bench.open_streams(gateway, 20)
    if load.wrong or load.broken or load.events < 10_000:
        run.skipped.append(
            f"Memory with 1,000 open streams: {load.broken} broke off, {load.events} events came."
        )
        return
    run.figures["memory_streams"] = load.server_mb
    run.details.append(f"resident memory with 1,000 open streams: {load.server_mb:.0f} MB")


def _long(stage: Stage) -> int:
    """Requests and streams in turn; the line through resident memory, once it has settled."""
    bench, run = Bench(stage.folder, stage.key), Run(figures=results.last())
    whole, streams = stage.upstreams()
    gateway = stage.gateway(whole, streams)
    began = clock.monotonic()
    samples: list[tuple[float, float]] = []
    while (at := clock.monotonic() - began) < LONG_SECONDS:
        load = bench.streams(gateway, LONG_PART_SECONDS) if len(samples) % 2 else _requests(bench, gateway)
        if not load.right:
            print(f"The slope says nothing: {load.trouble}.", file=sys.stderr)
            return 1
        samples.append((at, gateway.resident_mb()))
        print(f"  {at:6.0f} s  {samples[-1][1]:.1f} MB  {load.per_second:,.0f}/s")
        time.sleep(0.1)
    settled = [sample for sample in samples if sample[0] > LONG_SECONDS * SETTLED_SHARE]
    line = linear_regression([at for at, _ in settled], [memory for _, memory in settled])
    grown = line.slope * (settled[-1][0] - settled[0][0]) / mean(memory for _, memory in settled) * 100
    run.figures["memory_slope"] = grown
    print(f"Memory grew by {grown:.2f} % in {settled[-1][0] - settled[0][0]:.0f} s.")
    results.keep(run.figures)
    return 0


def _requests(bench: Bench, gateway: Server) -> Load:
    return bench.open(gateway, LONG_PART_SECONDS)


def _enough(done: Rounds, what: str, run: Run) -> bool:
    if done.dropped:
        run.details.append(f"{what}: {done.dropped} rounds dropped, {len(done.kept)} kept")
    if not done.kept:
        run.failed.append(f"{what}: no round was undisturbed and right.")
    return bool(done.kept)


def _percentiles(done: Rounds, name: str) -> str:
    p50 = done.median(lambda load: load.latency.p50 / 1e3, name)
    p99 = done.median(lambda load: load.latency.p99 / 1e3, name)
    return f"{p50:.2f} / {p99:.2f} ms"


if __name__ == "__main__":
    sys.exit(main())
