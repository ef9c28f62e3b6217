"""Several workers on one machine: `serve` opens the socket, starts a writer and the workers, and replaces
what dies. All are forks of it, so that what they have in common is in memory once.

    the writer dies   workers keep their streams; the next writer is told that they live
    a worker dies     its connection to the writer closes, which settles what it held
    serve dies        the end of its pipe tells the others: workers end at once, then the writer does
    SIGTERM, SIGINT   workers drain; when they have gone, the writer ends
    SIGHUP            the writer declares the file anew, and tells the workers

It has no event loop and no thread: a fork of either is not safe.
"""

import asyncio
import gc
import mmap
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from deeptoken import clock
from deeptoken.api.acceptor import GONE, Seat
from deeptoken.api.server import listen
from deeptoken.app import Orders, run_worker, run_writer
from deeptoken.errors import DeeptokenError
from deeptoken.observe.logs import timestamp
from deeptoken.settings import ConfigError, Settings

HEARD = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
SOON_S = 1.0
"""What lived no longer than that is not replaced before as much has passed."""
KILL_S = 15.0
"""How much longer than its time to drain a worker may take before it is killed."""
READY = b"+"
ERROR_BYTES = 4096
LOOK_S = 0.1
UNEXPECTED = 70
"""The exit code of a mistake of ours (sysexits: `EX_SOFTWARE`)."""
Run = Callable[[Coroutine[Any, Any, None]], None]


def check_system(count: int, file: Path | None) -> None:
    """Refuse several workers where a process cannot wait for signals and the clock at once.

    Raises:
        ConfigError: it cannot; `file` is where they were asked for.
    """
    if not hasattr(signal, "sigtimedwait"):
        raise ConfigError(
            f"workers = {count}: this system has no sigtimedwait (macOS is one), and serve needs it to look "
            "after several processes; set workers = 1, or serve on Linux",
            file=file,
        )


class Child(msgspec.Struct):
    """A process: the writer, or the worker of a place."""

    pid: int
    began: float
    place: int | None


class Supervisor:
    """`serve` with several workers. `run_loop` runs a coroutine on a new event loop; `explain` says what an
    error means to people, None if nobody foresaw it."""

    def __init__(
        self,
        settings: Settings,
        read_settings: Callable[[], Settings],
        listening: Callable[[str], None],
        run_loop: Run,
        explain: Callable[[Exception], str | None],
    ) -> None:
        self._settings = settings
        self._read_settings = read_settings
        self._listening = listening
        self._run_loop = run_loop
        self._explain = explain
        count = settings.server.workers
        self._taken = memoryview(mmap.mmap(-1, 8 * count)).cast("Q")
        """How many connections each worker has: the memory is shared."""
        self._alive, self._alive_here = os.pipe()
        """While the second end is open, `serve` lives; nobody writes to it."""
        self._children: dict[int, Child] = {}
        self._due: dict[int | None, float] = {}
        """When what died is replaced, by its place."""
        self._stopping = False
        self._kill_at = float("inf")

    def serve(self) -> None:
        """Until told to stop, and all have ended.

        Raises:
            ConfigError: the address is taken.
            DeeptokenError: the writer or a worker could not start.
        """
        self._door = listen(self._settings.server)
        with self._door, _signals_held():
            try:
                gc.collect()
                gc.freeze()
                places = range(self._settings.server.workers)
                told = [self._ready(self._fork(place)) for place in (None, *places)]
                self._listening(told[1])
                while self._children or not self._stopping:
                    self._turn()
            finally:
                self._end_all()

    # What happens.

    def _turn(self) -> None:
        due = min([*self._due.values(), self._kill_at])
        heard = signal.sigtimedwait(HEARD, min(3_600.0, max(0.0, due - clock.monotonic())))
        number = None if heard is None else heard.si_signo
        if number in (signal.SIGTERM, signal.SIGINT) and not self._stopping:
            self._stop()
        elif number == signal.SIGHUP:
            self._reload()
        self._reap()
        now = clock.monotonic()
        # The writer first: the others need it.
        for place in sorted((place for place, at in self._due.items() if at <= now), key=_order):
            self._replace(place)
        if now >= self._kill_at:
            self._kill_at = float("inf")
            for child in self._workers():
                os.kill(child.pid, signal.SIGKILL)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            child = self._children.pop(pid, None)
            if child is None:
                continue
            if child.place is not None:
                self._taken[child.place] = GONE
            if not self._stopping:
                now = clock.monotonic()
                self._due[child.place] = now if now - child.began > SOON_S else now + SOON_S
                _say("process_died", **_named(child), status=os.waitstatus_to_exitcode(status))
        if self._stopping and not self._workers() and self._alive_here >= 0:
            # Now the writer has nobody to wait for.
            os.close(self._alive_here)
            self._alive_here = -1

    def _replace(self, place: int | None) -> None:
        del self._due[place]
        # Nobody waits for it: meanwhile another one may die, on which it depends.
        os.close(self._fork(place, heirs=len(self._workers())))

    def _stop(self) -> None:
        self._stopping = True
        self._due.clear()
        self._door.close()
        server = self._settings.server
        self._kill_at = clock.monotonic() + server.notice_seconds + server.drain_seconds + KILL_S
        for child in self._workers():
            os.kill(child.pid, signal.SIGTERM)

    def _reload(self) -> None:
        with suppress(ConfigError):
            # For workers that are started from now on. What is wrong with the file the writer says.
            self._settings = self._read_settings()
        for child in self._children.values():
            if child.place is None:
                os.kill(child.pid, signal.SIGHUP)

    def _workers(self) -> list[Child]:
        return [child for child in self._children.values() if child.place is not None]

    def _end_all(self) -> None:
        """Nothing is left behind, whatever happened."""
        if self._alive_here >= 0:
            os.close(self._alive_here)
        for pid in self._children:
            os.waitpid(pid, 0)

    # The processes.

    def _fork(self, place: int | None, heirs: int = 0) -> int:
        """Start one; the pipe in which it says that it is ready, or why it is not."""
        told, telling = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(told)
            os.close(self._alive_here)
            self._become(place, heirs, telling)
        os.close(telling)
        self._children[pid] = Child(pid, clock.monotonic(), place)
        return told

    def _ready(self, told: int) -> str:
        """What it says when it is ready.

        Raises:
            DeeptokenError: it could not start, in its own words; or another one ended meanwhile.
        """
        with open(told, "rb", buffering=0) as words:
            while not select.select([words], [], [], LOOK_S)[0]:
                pid, _ = os.waitpid(-1, os.WNOHANG)
                if self._children.pop(pid, None) is not None:
                    raise DeeptokenError("A process of the gateway ended while it started.")
            said = words.read(ERROR_BYTES)
        if not said.startswith(READY):
            raise DeeptokenError(said.decode(errors="replace") or "A process ended while it started.")
        return said.removeprefix(READY).decode()

    def _become(self, place: int | None, heirs: int, telling: int) -> NoReturn:
        """In the fork: run, and never come back."""
        code = UNEXPECTED
        try:
            if place is None:
                self._door.close()
            # A terminal tells all its processes; they end when `serve` says so.
            ignored = (signal.SIGINT, signal.SIGTERM) if place is None else (signal.SIGHUP,)
            for number in ignored:
                signal.signal(number, signal.SIG_IGN)
            self._run_loop(self._work(place, heirs, telling))
            code = 0
        except Exception as error:  # Whatever ends a process is told to who started it, or to the log.
            why = self._explain(error)
            if why is None:
                traceback.print_exc()
            else:
                code = 1
                if not _tell(telling, why.encode()):
                    _say("process_failed", error=why)
        finally:
            sys.stderr.flush()
            os._exit(code)

    async def _work(self, place: int | None, heirs: int, telling: int) -> None:
        loop, orders = asyncio.get_running_loop(), Orders()
        if place is None:
            loop.add_signal_handler(signal.SIGHUP, orders.reload.set)
            loop.add_reader(self._alive, self._serve_ended, orders)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
            await run_writer(
                self._settings,
                orders,
                heirs=heirs,
                read_settings=self._read_settings,
                ready=lambda: _tell(telling, READY),
            )
            return
        loop.add_reader(self._alive, os._exit, 1)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, orders.stop.set)
        # What came before this was kept.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
        await run_worker(
            self._settings,
            orders,
            Seat(self._door, self._taken, place),
            read_settings=self._read_settings,
            listening=lambda address: _tell(telling, READY + address.encode()),
        )

    def _serve_ended(self, orders: Orders) -> None:
        asyncio.get_running_loop().remove_reader(self._alive)
        orders.stop.set()


@contextmanager
def _signals_held() -> Iterator[None]:
    """They wait until they are asked for."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _tell(pipe: int, words: bytes) -> bool:
    """Once; whether somebody listens."""
    try:
        os.write(pipe, words[:ERROR_BYTES])
        os.close(pipe)
    except OSError:
        return False
    return True


def _order(place: int | None) -> int:
    return -1 if place is None else place


def _named(child: Child) -> dict[str, Any]:
    return {"process": "writer" if child.place is None else f"worker {child.place + 1}", "pid": child.pid}


def _say(event: str, **facts: Any) -> None:
    """A line of the log, at once: there is no thread that would write it."""
    line = msgspec.json.encode({"time": timestamp(), "level": "warning", "event": event, **facts})
    os.write(2, line + b"\n")
