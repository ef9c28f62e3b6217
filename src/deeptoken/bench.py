"""Load on a running gateway, from one process: closed loop or open loop, whole answers or streams.

    closed   each of `connections` asks again as soon as its answer is there
    open     `rate` requests a second, whatever comes back; `connections` bounds those under way

In the open loop a latency counts from the time at which the request was due, so that a gateway that stalls
cannot slow the clock that measures it. Loops wake to the millisecond; for less, see `benchmarks/`.
"""

import asyncio
from array import array
from collections import Counter
from collections.abc import Callable
from itertools import count, takewhile

import msgspec

from deeptoken import clock
from deeptoken.net import Client, NetError, Response
from deeptoken.wire.http import HttpRequest

CONNECT_SECONDS = 5.0
PROGRESS_SECONDS = 0.1
SENTENCE = ("The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog")


class Plan(msgspec.Struct, frozen=True):
    """What to ask, how often and how long. It ends with `seconds` or with `requests`, whatever is first."""

    url: str
    """The gateway's, without a path: ``http://127.0.0.1:8080``."""
    key: str
    model: str
    connections: int = 64
    rate: float | None = None
    """Requests a second: open loop. None: closed loop."""
    seconds: float = 10.0
    requests: int | None = None
    stream: bool = False
    prompt_words: int = 100
    max_tokens: int = 64
    timeout_seconds: float = 60.0


class Percentiles(msgspec.Struct, frozen=True):
    """Milliseconds."""

    p50: float
    p90: float
    p99: float
    p999: float
    max: float


class Result(msgspec.Struct, frozen=True):
    seconds: float
    requests: int
    right: int
    per_second: float
    """Right answers."""
    events: int
    """Of streams, all together."""
    latency_ms: Percentiles | None
    first_byte_ms: Percentiles | None
    errors: dict[str, int]
    """How many by status (``429``) or by what the network did (``Lost``); ``incomplete``: a 200 cut short."""


class Progress(msgspec.Struct, frozen=True):
    seconds: float
    share: float
    """Of the plan, 0 to 1."""
    requests: int
    right: int


async def run(plan: Plan, progress: Callable[[Progress], None] | None = None) -> Result:
    """Do what `plan` says; `progress` is told ten times a second."""
    client = Client(idle_max=plan.connections)
    try:
        load = _Load(plan, client)
        async with asyncio.TaskGroup() as tasks:
            workers = [tasks.create_task(load.work()) for _ in range(plan.connections)]
            if progress is not None:
                tasks.create_task(_report(load, workers, progress))
        return load.result()
    finally:
        await client.close()


class _Load:
    """What all workers share."""

    def __init__(self, plan: Plan, client: Client) -> None:
        self.plan = plan
        self.client = client
        self.request = _request(plan)
        self.began = clock.monotonic()
        self.events = 0
        self.errors: Counter[str] = Counter()
        self.latencies = array("d")
        self.first_bytes = array("d")
        self.numbers = takewhile(self.wanted, count())

    def wanted(self, number: int) -> bool:
        """Is the request with this number, from 0, part of the plan?"""
        plan = self.plan
        if plan.requests is not None and number >= plan.requests:
            return False
        due_s = clock.monotonic() - self.began if plan.rate is None else number / plan.rate
        return due_s < plan.seconds

    async def work(self) -> None:
        for number in self.numbers:
            due = clock.monotonic()
            if self.plan.rate is not None:
                wait_s = self.began + number / self.plan.rate - due
                due += wait_s
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
            try:
                response = await self.client.send(
                    self.request, connect_s=CONNECT_SECONDS, head_s=self.plan.timeout_seconds
                )
                await self.read(response, due)
            except NetError as error:
                self.errors[type(error).__name__] += 1

    async def read(self, response: Response, due: float) -> None:
        wait_s = self.plan.timeout_seconds
        piece = await response.read(wait_s)
        first_byte = clock.monotonic() - due
        tail = b""
        while piece:
            if self.plan.stream:
                self.events += (tail[-1:] + piece).count(b"\n\n")
            tail = (tail + piece)[-16:]
            piece = await response.read(wait_s)
        if response.status != 200:
            self.errors[str(response.status)] += 1
        elif not tail.rstrip().endswith(b"[DONE]" if self.plan.stream else b"}"):
            self.errors["incomplete"] += 1
        else:
            self.latencies.append(clock.monotonic() - due)
            self.first_bytes.append(first_byte)

    def progress(self) -> Progress:
        seconds = clock.monotonic() - self.began
        requests = len(self.latencies) + self.errors.total()
        shares = [seconds / self.plan.seconds]
        if self.plan.requests is not None:
            shares.append(requests / self.plan.requests)
        return Progress(
            seconds=seconds, share=min(1.0, max(shares)), requests=requests, right=len(self.latencies)
        )

    def result(self) -> Result:
        seconds = clock.monotonic() - self.began
        return Result(
            seconds=seconds,
            requests=len(self.latencies) + self.errors.total(),
            right=len(self.latencies),
            per_second=len(self.latencies) / seconds,
            events=self.events,
            latency_ms=_percentiles(self.latencies),
            first_byte_ms=_percentiles(self.first_bytes),
            errors=dict(self.errors.most_common()),
        )


async def _report(
    load: _Load, workers: list[asyncio.Task[None]], progress: Callable[[Progress], None]
) -> None:
    while not all(worker.done() for worker in workers):
        progress(load.progress())
        await asyncio.wait(workers, timeout=PROGRESS_SECONDS)
    progress(msgspec.structs.replace(load.progress(), share=1.0))


def _request(plan: Plan) -> HttpRequest:
    words = (SENTENCE * (plan.prompt_words // len(SENTENCE) + 1))[: plan.prompt_words]
    body = {
        "model": plan.model,
        "messages": [{"role": "user", "content": " ".join(words)}],
        "max_tokens": plan.max_tokens,
    }
    if plan.stream:
        body["stream"] = True
    headers = (("authorization", f"Bearer {plan.key}"), ("content-type", "application/json"))
    return HttpRequest(
        url=f"{plan.url.rstrip('/')}/v1/chat/completions", headers=headers, body=msgspec.json.encode(body)
    )


def _percentiles(seconds: "array[float]") -> Percentiles | None:
    """Of the nearest rank; None without a value."""
    if not seconds:
        return None
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3

    return Percentiles(p50=at(0.5), p90=at(0.9), p99=at(0.99), p999=at(0.999), max=at(1.0))
