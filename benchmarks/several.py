"""Two workers beside one: how many more calls they take, what a call costs them, how much memory they need.

Requests/s say something where the gateway has two cores to itself, and the load and the upstreams two others.
With fewer, both run on one core, and the CPU of a request tells how far two workers could get at most: two
cores have twice the time, and each request takes so many times as much of it.
"""

import os

from figures import Bench, Length, Rounds, rounds
from processes import SERVER_CORE, Server
from results import Run
from stage import Stage

ONE, TWO = "workers = 1", "workers = 2"
CORES = 4
SECOND_CORE = 2
SECONDS = 3.0
ROUNDS = 3


def compare(
    bench: Bench,
    stage: Stage,
    whole: Server,
    streams: Server,
    length: Length,
    run: Run,
    *,
    free: int | None = None,
) -> Rounds:
    """Both on new databases, in turn. `free`: how many cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if free is None else free
    apart = (SERVER_CORE, SECOND_CORE) if cores >= CORES else (SERVER_CORE,)
    servers = [
        _server(stage, whole, streams, ONE, 1, (SERVER_CORE,)),
        _server(stage, whole, streams, TWO, 2, apart),
    ]
    done = rounds("workers", servers, lambda server: bench.closed(server, 1_000, SECONDS), ROUNDS, length)
    if done.kept:
        told(done, {server.name: memory(server) for server in servers}, run, cores=cores)
    for server in servers:
        server.stop()
    return done


def _server(
    stage: Stage, whole: Server, streams: Server, name: str, workers: int, cores: tuple[int, ...]
) -> Server:
    folder = stage.folder / f"workers-{workers}"
    gateway = stage.gateway(whole, streams, folder=folder, workers=workers, cores=cores)
    return gateway.at(gateway.port, name)


def memory(server: Server) -> str:
    count = len(server.pids)
    return (
        f"{server.resident_mb():.0f} MB resident in {count} process{'es' if count > 1 else ''}, "
        f"{server.shared_out_mb():.0f} MB with shared pages counted once"
    )


def told(done: Rounds, memories: dict[str, str], run: Run, *, cores: int) -> None:
    """What the rounds say, as far as that many cores let them."""
    cpu = done.ratio(lambda load: load.cpu_per_answer_us, TWO, ONE)
    for name in (ONE, TWO):
        run.details.append(
            f"{name}: {done.median(lambda load: load.cpu_per_answer_us, name):.0f} us of CPU a request, "
            f"{done.median(lambda load: load.per_second, name):,.0f} requests/s; {memories[name]}"
        )
    if cores >= CORES:
        run.figures["workers"] = done.ratio(lambda load: load.per_second, TWO, ONE)
        return
    run.details.append(
        f"workers = 2 over workers = 1: {cpu:.2f}x the CPU a request, of all processes; so two cores would "
        f"give {2 / cpu:.2f}x the requests/s at most"
    )
    run.skipped.append(
        f"workers = 2 over workers = 1 in requests/s: it takes four free cores, two for the load and two "
        f"for the gateway; there are {cores}. "
        "The CPU of a request, both on one core, is above."
    )
