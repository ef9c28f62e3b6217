"""The figures of the specification's page on speed and size, measured on this machine.

    python benchmarks/run.py            everything but the long run, under 5 minutes; writes RESULTS.md
    python benchmarks/run.py --quick    the ratios, under a minute; fails where one fell by more than 20 %
    python benchmarks/run.py --peers    over LiteLLM and Portkey, as installed; adds it to RESULTS.md
    python benchmarks/run.py --long     30 minutes of load; ten million usage rows; adds both to RESULTS.md
    python benchmarks/run.py --busy     on a machine that has other work: keeps every round, writes nothing

The gateway and nginx have one core, the load and the upstreams the other.
"""

import argparse
import math
import os
import sys
from pathlib import Path
from statistics import median

import crowd
import long
import pages
import peers
import results
import routing
import several
from figures import Bench, Length, Rounds, rounds
from peers import PEERS
from processes import LAP_LENGTH, PACE, NotReady, Server
from results import Run
from stage import Stage, missing, there

from deeptoken import clock

FOLDER = Path(__file__).parent / ".work"
REQUESTS_BEFORE_MEMORY = 50_000
STARTS = 3


def main() -> int:
    asked = _asked()
    lacking = missing()
    print(*lacking.values(), sep="\n", file=sys.stderr)
    if (os.cpu_count() or 1) < 2:
        print("There is one core; the gateway and the load need one each.", file=sys.stderr)
    if "gcc" in lacking or (os.cpu_count() or 1) < 2:
        print("Nothing was measured.", file=sys.stderr)
        return 1
    length = Length(quick=asked.quick, busy=asked.busy)
    with Stage(FOLDER) as stage:
        try:
            if asked.long:
                return long.run(stage, minutes=asked.minutes, rows=asked.rows, write=not asked.busy)
            if asked.peers:
                return _peers(stage, length)
            return _measure(stage, length, quick=asked.quick)
        except NotReady as problem:
            print(problem, file=sys.stderr)
            return 1


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--quick", action="store_true", help="the ratios, compared with RESULTS.md")
    kind.add_argument("--peers", action="store_true", help="the ratios to other gateways")
    kind.add_argument("--long", action="store_true", help="the slope of memory, and ten million usage rows")
    parser.add_argument("--busy", action="store_true", help="keep disturbed rounds, write nothing")
    parser.add_argument(
        "--minutes", type=float, default=long.MINUTES, help="of load in a long run; fewer write nothing"
    )
    parser.add_argument(
        "--rows", type=int, default=pages.ROWS, help="usage rows in a long run; fewer write nothing"
    )
    return parser.parse_args()


def _peers(stage: Stage, length: Length) -> int:
    """The 1 KB figure alone, with the others beside it."""
    run, bench = Run(), Bench(stage.folder, stage.key)
    whole, streams = stage.upstreams()
    proxies = [stage.proxy(whole, streams)[0]] if there("nginx") else []
    servers = [*proxies, stage.gateway(whole, streams)]
    _throughput(bench, [*servers, *peers.started(stage, bench, whole)], "whole_1k", 1_000, length, run)
    run.figures.pop("whole_1k", None)
    print(results.said(run, judged=not length.busy), *run.details, sep="\n")
    if run.failed or not run.parts:
        print("No other gateway was measured.", *run.failed, sep="\n", file=sys.stderr)
        return 1
    if not length.busy and not results.keep(run, "python benchmarks/run.py --peers"):
        print("There is no RESULTS.md yet to add it to: `make bench` writes one.", file=sys.stderr)
    return 0


def _measure(stage: Stage, length: Length, *, quick: bool) -> int:
    run, bench = Run(), Bench(stage.folder, stage.key)
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
    others = [] if quick else peers.started(stage, bench, whole)
    _throughput(bench, [*proxies[0], gateway, *others], "whole_1k", 1_000, length, run)
    absent = [peer.said for peer in PEERS if peer.name not in {other.name for other in others}]
    run.skipped += [f"{said}: it is not installed, or did not start." for said in absent if others]
    for other in others:
        other.stop()
    _throughput(bench, [*proxies[0], gateway], "whole_30k", 30_000, length, run)
    if not quick:
        _added(bench, [whole, *proxies[0], gateway], length, run)
    _streams(bench, [streams, *proxies[1], gateway], length, run)
    if not quick:
        _memory_of_streams(bench, gateway, run)
        _crowd(bench, stage, whole, streams, gateway, length, run)
        gateway.stop()
        _enough(several.compare(bench, stage, whole, streams, length, run), "workers", run)
    return _closing(run, quick=quick, busy=length.busy)


def _closing(run: Run, *, quick: bool, busy: bool) -> int:
    if PACE.best_s < math.inf:
        run.details.append(
            f"the machine: {LAP_LENGTH:,} additions in Python take {PACE.best_s * 1e3:.2f} ms at best"
        )
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
        "crowd", servers, lambda server: bench.closed(server, 1_000, 2.5), length.slow_rounds, length
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
        length,
    )
    if _enough(done, name, run) and len(servers) > 1:
        if there("nginx"):
            run.figures[name] = done.ratio(lambda load: load.per_second, "gateway", "nginx")
        _over_peers(done, servers, run)
    for server in servers:
        if done.has(server.name):
            low, high = done.spread(lambda load: load.per_second, server.name)
            run.details.append(
                f"{size:,} bytes, {server.name}: "
                f"{done.median(lambda load: load.per_second, server.name):,.0f} "
                f"[{low:,.0f} to {high:,.0f}] requests/s, p50 / p99 {_percentiles(done, server.name)}"
            )


def _over_peers(done: Rounds, servers: list[Server], run: Run) -> None:
    """How many times as much the gateway answers; of each the chapter says the version and the memory."""
    titles = {peer.name: peer.said for peer in PEERS}
    for server in servers:
        if not server.peer or not done.has(server.name):
            continue
        run.figures[server.name] = done.ratio(lambda load: load.per_second, "gateway", server.name)
        low, high = done.spread(lambda load: load.per_second, server.name)
        ours = done.median(lambda load: load.per_second, "gateway")
        run.parts.setdefault("Other gateways", []).append(
            f"{titles[server.name]}: {done.median(lambda load: load.per_second, server.name):,.0f} "
            f"[{low:,.0f} to {high:,.0f}] requests/s of 1,000 bytes, p50 / p99 "
            f"{_percentiles(done, server.name)}, {server.resident_mb():,.0f} MB; "
            f"the gateway in the same rounds: {ours:,.0f} requests/s"
        )


def _added(bench: Bench, servers: list[Server], length: Length, run: Run) -> None:
    done = rounds(
        "open loop",
        servers,
        lambda server: bench.open(server, length.open_seconds),
        length.slow_rounds,
        length,
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
        length,
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
    load = bench.open_streams(gateway, 16)
    if load.wrong or load.broken or load.events < 10_000:
        run.skipped.append(
            f"Memory with 1,000 open streams: {load.broken} broke off, {load.events} events came."
        )
        return
    run.figures["memory_streams"] = load.server_mb
    run.details.append(f"resident memory with 1,000 open streams: {load.server_mb:.0f} MB")


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
