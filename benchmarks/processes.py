"""Servers on their core, and what the kernel says of them: CPU, memory, and who else is busy."""

import math
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deeptoken import clock

SERVER_CORE = 0
LOAD_CORE = 1
READY_SECONDS = 20
STOP_SECONDS = 10
OTHERS_CORES_MAX = 0.3
"""A round in which others used more than this is not reported."""
SLOWNESS_MAX = 1.3
"""Nor one in which the machine was slower than that beside its best of this run."""
LAPS, LAP_LENGTH = 5, 50_000
TICKS = os.sysconf("SC_CLK_TCK")


class NotReady(Exception):
    """A server did not come up. The message ends with what it said."""


class Server:
    """A process on a port of 127.0.0.1, pinned to a core. Its children count as it does.

    `headers` are sent to it with each request. What a `peer` answers wrong costs the others no round.
    """

    def __init__(self, name: str, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.port = port
        self.process = process
        self.log = log
        self.headers: tuple[str, ...] = ()
        self.peer = False

    def at(self, port: int, name: str) -> "Server":
        """The same process at another of its ports."""
        return Server(name, port, self.process, self.log)

    @property
    def pids(self) -> list[int]:
        return [self.process.pid, *descendants(self.process.pid)]

    def cpu_s(self) -> float:
        """Seconds on a core since its start, to the nanosecond."""
        return sum(_thread_s(pid) for pid in self.pids)

    def resident_mb(self) -> float:
        return sum(_memory_kb(pid, "status", "VmRSS:") for pid in self.pids) / 1024

    def shared_out_mb(self) -> float:
        """The same with each page once that several of its processes share."""
        return sum(_memory_kb(pid, "smaps_rollup", "Pss:") for pid in self.pids) / 1024

    def stop(self) -> None:
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(
    name: str,
    command: list[str],
    *,
    port: int,
    cores: tuple[int, ...],
    folder: Path,
    path: str = "/",
    environment: dict[str, str] | None = None,
    seconds: float = READY_SECONDS,
) -> Server:
    """Start a server and wait until it answers `path` with 200, or at all where `path` is ``/``.

    Raises:
        NotReady: it ended, or was not ready within `seconds`.
    """
    log = folder / f"{name}.log"
    with pinned(*cores), log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment, cwd=folder
        )
    server = Server(name, port, process, log)
    deadline = clock.monotonic() + seconds
    while not answers(port, path):
        if process.poll() is not None or clock.monotonic() > deadline:
            server.stop()
            raise NotReady(f"{name} did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.005)
    return server


@contextmanager
def pinned(*cores: int) -> Iterator[None]:
    """What is started inside stays on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def answers(port: int, path: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            if path == "/":
                return True
            connection.sendall(f"GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n".encode())
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Pace:
    """How fast the machine itself is. Beside other guests of a host that changes from minute to minute, and
    nobody tells: so one loop is timed again and again, and the fastest lap of a run is what it can do."""

    def __init__(self, lap: Callable[[], float]) -> None:
        self._lap = lap
        self.best_s = math.inf

    def slowness(self) -> float:
        """Now, over the best so far; 1: it never was faster."""
        now_s = min(self._lap() for _ in range(LAPS))
        self.best_s = min(self.best_s, now_s)
        return now_s / self.best_s


def lap_s() -> float:
    """Seconds of a fixed piece of Python."""
    began, total = clock.monotonic(), 0
    for number in range(LAP_LENGTH):
        total += number
    return clock.monotonic() - began


PACE = Pace(lap_s)


class Watch:
    """How many cores others used while the block ran: all CPU but ours and our children's. And how slow the
    machine was, before it or behind."""

    def __init__(self, pace: Pace = PACE) -> None:
        self._pace = pace

    def __enter__(self) -> "Watch":
        self.slowness = self._pace.slowness()
        self.others_cores = 0.0
        self._begin = clock.monotonic()
        self._busy, self._own = _busy_s(), _own_s()
        return self

    def __exit__(self, *error: object) -> None:
        seconds = clock.monotonic() - self._begin
        self.others_cores = (_busy_s() - self._busy - (_own_s() - self._own)) / seconds
        self.slowness = max(self.slowness, self._pace.slowness())

    @property
    def calm(self) -> bool:
        return self.others_cores <= OTHERS_CORES_MAX and self.slowness <= SLOWNESS_MAX


def descendants(pid: int) -> list[int]:
    """Its children, theirs, and so on."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = list(children.get(pid, []))
    for child in found:
        found += children.get(child, [])
    return found


def _busy_s() -> float:
    """User, nice, system and stolen time of all cores. Interrupts are left out, loopback makes them."""
    user, nice, system, _, _, _, _, stolen, *_ = (
        int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    )
    return (user + nice + system + stolen) / TICKS


def _own_s() -> float:
    """This process, its children that have ended, and those that live."""
    own = os.times()
    living = sum(_stat_s(pid) for pid in descendants(os.getpid()))
    return own.user + own.system + own.children_user + own.children_system + living


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` from the state on; none if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _stat_s(pid: int) -> float:
    return sum(int(field) for field in _stat(pid)[11:15]) / TICKS


def _thread_s(pid: int) -> float:
    total = 0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    except OSError:
        return total / 1e9
    return total / 1e9


def _memory_kb(pid: int, file: str, row: str) -> int:
    try:
        told = Path(f"/proc/{pid}/{file}").read_text()
    except OSError:
        return 0
    lines = [line for line in told.splitlines() if line.startswith(row)]
    return int(lines[0].split()[1]) if lines else 0
