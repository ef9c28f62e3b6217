"""What is measured, and how: servers in turn, several rounds, medians of what the same round gave.

Rounds in which the machine was busy with something else, or an answer was wrong, are dropped and counted.
"""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from processes import LOAD_CORE, OTHERS_CORES_MAX, Server, Watch, pinned

from deeptoken import clock

CONNECTIONS = 64
RATE = 500
STREAMS = 100
RAMP_SHARE = 0.18
"""Of a measurement: all streams have begun before the load counts."""
OPEN_STREAMS = 1_000
EXPECTED = '"total_tokens":300'
"""What stands in each right answer; in a stream, `EXPECTED_OF_STREAM`."""
EXPECTED_OF_STREAM = '"total_tokens":298'
PEER_ROUNDS = 3
"""So many kept rounds have the peers too: a round with them takes twice as long."""
MORE_ROUNDS = 2
"""What is tried beyond the wanted, as long as there is time."""
SPARE_SECONDS = 20.0


class Length:
    """How long each part takes, and how often."""

    def __init__(self, *, quick: bool = False, busy: bool = False) -> None:
        self.busy = busy
        self.seconds = 2.5 if quick else 3.0
        self.open_seconds = 5.0
        self.stream_seconds = 4.0 if quick else 5.0
        self.rounds = 2 if quick else 5
        self.slow_rounds = 1 if quick else 3
        self.spare_s = SPARE_SECONDS
        """What all rounds together may take beyond those wanted, so that a run ends in its time."""


class Latency(msgspec.Struct, frozen=True):
    """Microseconds."""

    p50: int
    p90: int
    p99: int
    p999: int
    max: int


class Load(msgspec.Struct, frozen=True):
    """What `load` says, and what the server took for it."""

    seconds: float
    answers: int
    wrong: int
    broken: int
    unsent: int
    events: int
    latency: Latency
    first: Latency
    server_cores: float = 0.0
    server_mb: float = 0.0

    @property
    def right(self) -> bool:
        return self.clean and not self.unsent

    @property
    def clean(self) -> bool:
        """Nothing came back wrong; what stalled may have kept others from being sent."""
        return self.answers > 0 and not self.wrong and not self.broken

    @property
    def trouble(self) -> str:
        return f"{self.answers} answers, {self.wrong} wrong, {self.broken} broken off, {self.unsent} not sent"

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds

    @property
    def cpu_per_event_us(self) -> float:
        return self.server_cores / (self.events / self.seconds) * 1e6 if self.events else 0.0

    @property
    def cpu_per_answer_us(self) -> float:
        return self.server_cores / self.per_second * 1e6 if self.answers else 0.0


class Bench:
    """The folder with the load generator and the requests that it sends."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key

    def closed(self, server: Server, size: int, seconds: float) -> Load:
        request = self.request("bench", size, server.headers)
        return self._load(server, "closed", request, seconds, CONNECTIONS)

    def open(self, server: Server, seconds: float, *, rate: int = RATE) -> Load:
        return self._load(server, "open", self.request("bench", 1_000), seconds, CONNECTIONS, rate)

    def streams(self, server: Server, seconds: float) -> Load:
        request = self.request("bench-stream", 1_000)
        return self._load(server, "streams", request, seconds, STREAMS, int(seconds * 1e3 * RAMP_SHARE))

    def open_streams(self, server: Server, seconds: float) -> Load:
        request = self.request("bench-open", 1_000)
        return self._load(server, "streams", request, seconds, OPEN_STREAMS, int(seconds * 1e3 * RAMP_SHARE))

    def request(self, model: str, size: int, headers: tuple[str, ...] = ()) -> Path:
        """A request with a body of `size` bytes and the headers that OpenAI's client sends, and these."""
        path = self.folder / f"{model}-{size}.request"
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": "user", "content": ""}],
            "max_tokens": 256,
        }
        if model != "bench":
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        words = 'The quick brown fox jumps over the lazy dog, and "quotes" are rare. ' * (size // 60)
        body["messages"][0]["content"] = words[: size - len(msgspec.json.encode(body)) - 20]
        encoded = msgspec.json.encode(body)
        head = (
            "POST /v1/chat/completions HTTP/1.1",
            "host: 127.0.0.1",
            f"authorization: Bearer {self.key}",
            "content-type: application/json",
            "accept: application/json",
            "user-agent: OpenAI/Python 3.0.0",
            "x-stainless-lang: python",
            "x-stainless-package-version: 3.0.0",
            "x-stainless-os: Linux",
            "x-stainless-arch: x64",
            "x-stainless-runtime: CPython",
            "x-stainless-retry-count: 0",
            *headers,
            f"content-length: {len(encoded)}",
        )
        path.write_bytes("\r\n".join(head).encode() + b"\r\n\r\n" + encoded)
        return path

    def _load(
        self,
        server: Server,
        mode: str,
        request: Path,
        seconds: float,
        connections: int,
        extra: int | None = None,
    ) -> Load:
        expected = EXPECTED_OF_STREAM if mode == "streams" else EXPECTED
        command = [self.folder / "load", mode, server.port, request, expected, connections, seconds]
        arguments = [str(part) for part in (*command, *([] if extra is None else [extra]))]
        with pinned(LOAD_CORE):
            loading = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # The generator counts from its first fifth on; so does the CPU.
        time.sleep(seconds * 0.25)
        cpu, began = server.cpu_s(), time.perf_counter()
        time.sleep(seconds * 0.65)
        cores = (server.cpu_s() - cpu) / (time.perf_counter() - began)
        resident = server.resident_mb()
        output, errors = loading.communicate()
        if loading.returncode:
            raise RuntimeError(f"the load on {server.name} ended: {errors.decode()}")
        if errors:
            print(f"    {server.name}: {errors.decode().strip()[:400]}")
        load = msgspec.json.decode(output, type=Load)
        return msgspec.structs.replace(load, server_cores=cores, server_mb=resident)


class Rounds(msgspec.Struct):
    """Loads of several servers, in turn; a kept round has one of each, but of peers that answered wrong."""

    kept: list[dict[str, Load]]
    dropped: int = 0

    def has(self, name: str) -> bool:
        return any(name in loads for loads in self.kept)

    def ratio(self, value: Callable[[Load], float], over: str, under: str) -> float:
        both = [loads for loads in self.kept if over in loads and under in loads]
        return median(value(loads[over]) / value(loads[under]) for loads in both)

    def difference(self, value: Callable[[Load], float], of: str, to: str) -> float:
        return median(value(loads[of]) - value(loads[to]) for loads in self.kept)

    def median(self, value: Callable[[Load], float], of: str) -> float:
        return median(self._values(value, of))

    def spread(self, value: Callable[[Load], float], of: str) -> tuple[float, float]:
        values = self._values(value, of)
        return min(values), max(values)

    def _values(self, value: Callable[[Load], float], of: str) -> list[float]:
        return [value(loads[of]) for loads in self.kept if of in loads]


def rounds(
    what: str,
    servers: list[Server],
    measure: Callable[[Server], Load],
    wanted: int,
    length: Length,
    *,
    watched: Callable[[], Watch] = Watch,
) -> Rounds:
    """Rounds until `wanted` are kept, or there is no time left for more. The order turns round each time.

    A busy run keeps those in which others were busy, too.
    """
    done, took_s = Rounds([]), 0.0
    for attempt in range(wanted + MORE_ROUNDS):
        if len(done.kept) == wanted or (attempt >= wanted and length.spare_s < took_s):
            break
        began = clock.monotonic()
        loads: dict[str, Load] = {}
        present = [server for server in servers if not server.peer or len(done.kept) < PEER_ROUNDS]
        with watched() as watch:
            for server in present if attempt % 2 == 0 else reversed(present):
                loads[server.name] = measure(server)
        took_s = clock.monotonic() - began
        if attempt >= wanted:
            length.spare_s -= took_s
        wrong = {name for name, load in loads.items() if not load.right}
        peers = {server.name for server in servers if server.peer}
        for name in wrong & peers:
            print(f"  {what}: without {name}, {loads.pop(name).trouble}")
        if (watch.calm or length.busy) and not wrong - peers:
            done.kept.append(loads)
            shown = ", ".join(
                f"{name} {load.per_second:,.0f}/s p50 {load.latency.p50} us" for name, load in loads.items()
            )
            print(f"  {what}: {shown}")
        else:
            done.dropped += 1
            print(f"  {what}: a round dropped, {_why(wrong - peers, watch)}")
    return done


def _why(wrong: set[str], watch: Watch) -> str:
    if wrong:
        return f"wrong answers of {', '.join(sorted(wrong))}"
    if watch.others_cores > OTHERS_CORES_MAX:
        return f"others used {watch.others_cores:.2f} cores"
    return f"the machine was {watch.slowness:.2f} times slower than at its best"
