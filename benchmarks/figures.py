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
from processes import LOAD_CORE, Server, Watch, pinned

CONNECTIONS = 64
RATE = 500
STREAMS = 100
RAMP_SHARE = 0.18
"""Of a measurement: all streams have begun before the load counts."""
OPEN_STREAMS = 1_000
MORE_ROUNDS = 2
"""What is tried beyond the wanted, so that a run ends in its time on a busy machine too."""


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
        return self.answers > 0 and not self.wrong and not self.broken and not self.unsent

    @property
    def trouble(self) -> str:
        return f"{self.answers} answers, {self.wrong} wrong, {self.broken} broken off, {self.unsent} not sent"

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds

    @property
    def cpu_per_event_us(self) -> float:
        return self.server_cores / (self.events / self.seconds) * 1e6 if self.events else 0.0


class Bench:
    """The folder with the load generator and the requests that it sends."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key

    def closed(self, server: Server, size: int, seconds: float) -> Load:
        request = self.request("bench", size)
        return self._load(server, "closed", request, seconds, CONNECTIONS)

    def open(self, server: Server, seconds: float, *, rate: int = RATE) -> Load:
        return self._load(server, "open", self.request("bench", 1_000), seconds, CONNECTIONS, rate)

    def streams(self, server: Server, seconds: float) -> Load:
        request = self.request("bench-stream", 1_000)
        return self._load(server, "streams", request, seconds, STREAMS, int(seconds * 1e3 * RAMP_SHARE))

    def open_streams(self, server: Server, seconds: float) -> Load:
        request = self.request("bench-open", 1_000)
        return self._load(server, "streams", request, seconds, OPEN_STREAMS, int(seconds * 1e3 * RAMP_SHARE))

    def request(self, model: str, size: int) -> Path:
        """A request with a body of `size` bytes and the headers that OpenAI's client sends."""
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
        command = [self.folder / "load", mode, server.port, request, '"total_tokens"', connections, seconds]
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
    """Loads of several servers, in turn; each kept round has one of each."""

    kept: list[dict[str, Load]]
    dropped: int = 0

    def ratio(self, value: Callable[[Load], float], over: str, under: str) -> float:
        return median(value(loads[over]) / value(loads[under]) for loads in self.kept)

    def difference(self, value: Callable[[Load], float], of: str, to: str) -> float:
        return median(value(loads[of]) - value(loads[to]) for loads in self.kept)

    def median(self, value: Callable[[Load], float], of: str) -> float:
        return median(value(loads[of]) for loads in self.kept)

    def spread(self, value: Callable[[Load], float], of: str) -> tuple[float, float]:
        values = [value(loads[of]) for loads in self.kept]
        return min(values), max(values)


def rounds(
    what: str, servers: list[Server], measure: Callable[[Server], Load], wanted: int, *, busy: bool = False
) -> Rounds:
    """Rounds until `wanted` are kept, or too many were tried. The order turns round each time.

    `busy` keeps those in which others were busy, too.
    """
    done = Rounds([])
    for attempt in range(wanted + MORE_ROUNDS):
        if len(done.kept) == wanted:
            break
        loads: dict[str, Load] = {}
        with Watch() as watch:
            for server in servers if attempt % 2 == 0 else reversed(servers):
                loads[server.name] = measure(server)
        wrong = [name for name, load in loads.items() if not load.right]
        if (watch.calm or busy) and not wrong:
            done.kept.append(loads)
            shown = ", ".join(
                f"{name} {load.per_second:,.0f}/s p50 {load.latency.p50} us" for name, load in loads.items()
            )
            print(f"  {what}: {shown}")
        else:
            done.dropped += 1
            why = (
                f"wrong answers of {', '.join(wrong)}"
                if wrong
                else f"others used {watch.others_cores:.2f} cores"
            )
            print(f"  {what}: a round dropped, {why}")
    return done
