"""The composition root: settings in, a gateway that runs out. What is built here is built once.

A start: lock and load the ledger, write what the file declares, read keys and catalog, listen.
A stop:  tell balancers, stop listening, finish what is in flight, settle, end.

Of several workers (`workers.py`) each is the same but for its ledger, which one more process writes.
"""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing, contextmanager, suppress
from typing import Any

import msgspec

from deeptoken import clock, ids
from deeptoken.accounts.children import tidied
from deeptoken.accounts.issuer import BYTES_MAX
from deeptoken.accounts.oidc import Issuers
from deeptoken.api.acceptor import Seat
from deeptoken.api.children import Children
from deeptoken.api.management.serve import Management
from deeptoken.api.management.table import ROUTES
from deeptoken.api.public import Public, Told
from deeptoken.api.server import Server, listen, server
from deeptoken.api.v1 import V1
from deeptoken.catalog.model import Channel
from deeptoken.config import environment
from deeptoken.gateway.condition import open_breakers
from deeptoken.gateway.credentials import Credentials
from deeptoken.gateway.health import State
from deeptoken.gateway.limits import Room
from deeptoken.gateway.pace import Pace
from deeptoken.gateway.play import playing
from deeptoken.gateway.queue import Queue
from deeptoken.gateway.route import Means
from deeptoken.gateway.router import Router
from deeptoken.gateway.serve import Deadlines, Gateway
from deeptoken.gateway.snapshot import Snapshot
from deeptoken.gateway.upstream import Upstream
from deeptoken.gateway.webhooks import Webhooks, is_public, sending
from deeptoken.installation import declare
from deeptoken.jobs import Jobs
from deeptoken.ledger.postings import Sweep
from deeptoken.net import Client, Proxies
from deeptoken.observe.logs import Forwarded, Log
from deeptoken.observe.metrics import Metrics, Numbers
from deeptoken.providers.registry import PROVIDERS
from deeptoken.running import Books, Redeclare, Running, Stale, reread
from deeptoken.settings import Settings
from deeptoken.store.ledger import Gateways, Ledger, open_writer
from deeptoken.store.link import Link
from deeptoken.store.reads import Reader
from deeptoken.store.secrets import load_secrets
from deeptoken.store.socket import Door

SWITCH_INTERVAL_S = 0.002
"""The ledger's thread must get the interpreter back soon after its disk has answered. Still sooner costs more
in turns than it gains (measured: half a millisecond is 5 % of a call's CPU, and betters no percentile)."""
SWEEP_S = 60.0
TIDY_S = 3_600.0
WAITING_MAX = 1_000
"""Calls in the line before full channels."""
NOTE_KEYS_S = 15.0
WEBHOOKS_S = 5.0
MAIL_S = 0.5
LEAVING_S = 10.0
"""How long a writer that stops waits for those who post through it."""
GARBAGE_AFTER = 20_000
"""Objects that came to stay, before the collector looks for circles; Python's own number is 700."""
LEDGER_QUEUE = "ledger_queue", "Operations that wait for the ledger's disk."


class Report(msgspec.Struct, frozen=True):
    """What one of several processes tells the others."""

    numbers: Numbers
    states: list[State]


encode = msgspec.msgpack.Encoder().encode
decode_report = msgspec.msgpack.Decoder(Report).decode


class Orders(msgspec.Struct):
    """What a running gateway is told from outside."""

    stop: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    reload: asyncio.Event = msgspec.field(default_factory=asyncio.Event)

    def obey_signals(self) -> None:
        """SIGTERM and SIGINT stop, SIGHUP reloads."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)


async def run(
    settings: Settings,
    orders: Orders,
    *,
    read_settings: Callable[[], Settings],
    listening: Callable[[str], None],
) -> None:
    """Serve until told to stop, as one process. `read_settings` reads the file again; `listening` is told the
    address.

    Raises:
        ConfigError: the address is taken.
        StoreError: the database cannot be used. `WriterRuns`: another gateway has it.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    async with AsyncExitStack() as stack:
        door = stack.enter_context(closing(listen(settings.server)))
        log = stack.enter_context(_logging())
        metrics, stale = Metrics(), Stale()
        path = settings.database.path
        writer = await stack.enter_async_context(
            open_writer(path, changed=stale.set, timed=metrics.committed)
        )
        running = Running(settings, read_settings, writer, log, stale)
        await redeclaring(writer)(settings)
        jobs = await stack.enter_async_context(Jobs(log))
        _keep_in_order(jobs, writer)
        jobs.every(0.0, lambda: running.reread_file(orders.reload, redeclaring(writer)))
        metrics.gauge(*LEDGER_QUEUE, lambda: writer.queue_length)
        listener = await _built(stack, running, writer, jobs, metrics, log, _alone(metrics, running))
        listener.listening = listening
        await _serve(listener, door, running, orders)


async def run_worker(
    settings: Settings,
    orders: Orders,
    seat: Seat,
    *,
    read_settings: Callable[[], Settings],
    listening: Callable[[str], object],
) -> None:
    """Serve until told to stop, as one of several processes, for which another one writes. That one says when
    the file is to be read again.

    Raises:
        StoreError: the writer's socket is somebody else's.
    """
    async with AsyncExitStack() as stack:
        log = stack.enter_context(_logging(shared=True))
        metrics, stale = Metrics(), Stale()
        told: list[Running] = []

        def report() -> bytes:
            return encode(Report(metrics.numbers(), told[0].states() if told else []))

        link = await stack.enter_async_context(
            Link(settings.database.path, changed=stale.set, reread=orders.reload.set, report=report)
        )
        running = Running(settings, read_settings, link, log, stale)
        jobs = await stack.enter_async_context(Jobs(log))
        jobs.every(0.0, lambda: running.reread_file(orders.reload, None))
        listener = await _built(
            stack,
            running,
            link,
            jobs,
            metrics,
            log,
            _together(metrics, running, link),
            settings.server.workers,
        )
        told.append(running)
        listener.seat, listener.listening = seat, listening
        await _serve(listener, seat.door, running, orders)


async def run_writer(
    settings: Settings,
    orders: Orders,
    *,
    heirs: int,
    read_settings: Callable[[], Settings],
    ready: Callable[[], object],
) -> None:
    """Write for workers until told to stop, and they have gone. `heirs` of them outlived the writer before.

    Raises:
        StoreError: the database cannot be used. `WriterRuns`: another gateway has it.
    """
    async with AsyncExitStack() as stack:
        log = stack.enter_context(_logging(shared=True))
        metrics, path = Metrics(), settings.database.path
        door = Door(lambda: encode(Report(metrics.numbers(), [])))
        writer = await stack.enter_async_context(
            open_writer(path, timed=metrics.committed, door=door, heirs=heirs)
        )
        metrics.gauge(*LEDGER_QUEUE, lambda: writer.queue_length)
        load_secrets(path)
        if not heirs:
            await redeclaring(writer)(settings)
        jobs = await stack.enter_async_context(Jobs(log))
        _keep_in_order(jobs, writer)

        async def reload() -> None:
            await orders.reload.wait()
            orders.reload.clear()
            if await reread(read_settings, settings, redeclaring(writer), log) is not None:
                door.reread()

        jobs.every(0.0, reload)
        ready()
        await orders.stop.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVING_S):
                await door.empty()


def redeclaring(ledger: Gateways) -> Redeclare:
    """What writes the file's declarations to that ledger."""

    async def redeclare(settings: Settings) -> None:
        with Reader(settings.database.path) as reader:
            await declare(settings, ledger, reader)

    return redeclare


def _keep_in_order(jobs: Jobs, writer: Ledger) -> None:
    """What the one that writes does by the clock."""

    async def tidy() -> None:
        for step in tidied():
            await writer.post(step)

    jobs.every(SWEEP_S, lambda: writer.post(Sweep()))
    jobs.every(TIDY_S, tidy)


async def _built(
    stack: AsyncExitStack,
    running: Running,
    ledger: Gateways,
    jobs: Jobs,
    metrics: Metrics,
    log: Log,
    told: Told,
    workers: int = 1,
) -> Server:
    """What serves, with all that is behind it."""
    settings = running.settings
    client = Client(proxies=Proxies.told(environment()))
    asking = Client(proxies=Proxies.told(environment()), answer_bytes_max=BYTES_MAX)
    running.issuers = Issuers(asking)
    for one in (client, asking):
        stack.push_async_callback(one.close)
    books = Books(ledger, settings)
    router = _router(settings, client, workers)
    running.gateway = _gateway(settings, await running.read_snapshot(), ledger, router, books)
    router.kept(running.gateway.snapshot.catalog.channels)
    jobs.every(0.0, running.refresh)
    jobs.every(NOTE_KEYS_S, running.note_keys)
    jobs.every(MAIL_S, running.mail.deliver)
    webhooks = Webhooks(sending(client), is_public)
    jobs.every(WEBHOOKS_S, webhooks.deliver)
    running.v1 = V1(
        running.gateway, books, Children(running), webhooks, log, metrics, settings.server, running.news
    )
    stack.push_async_callback(running.note_keys)
    _gauges(metrics, running.gateway, ledger)
    public = Public(lambda: running.gateway.snapshot.catalog, running.state, told, settings.server)
    managed = Management(running, ROUTES).mounted()
    return server(public.application(managed), running.v1.serve, settings.server)


def _alone(metrics: Metrics, running: Running) -> Told:
    async def page() -> bytes:
        return metrics.page()

    async def health() -> dict[str, Any]:
        return running.health(())

    return Told(page, health)


def _together(metrics: Metrics, running: Running, link: Link) -> Told:
    """The same, of all processes."""

    async def reports() -> list[Report]:
        return [decode_report(report) for report in await link.gather()]

    async def page() -> bytes:
        return metrics.page([report.numbers for report in await reports()])

    async def health() -> dict[str, Any]:
        return running.health([state for report in await reports() for state in report.states])

    return Told(page, health)


@contextmanager
def _logging(*, shared: bool = False) -> Iterator[Log]:
    with Log(shared=shared) as log, _forwarding(log):
        yield log


@contextmanager
def _forwarding(log: Log) -> Iterator[None]:
    """What libraries tell the standard library's logging stands among our lines."""
    handler = Forwarded(log)
    root, ours = logging.getLogger(), logging.getLogger("deeptoken")
    root.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)


def _gateway(settings: Settings, first: Snapshot, ledger: Gateways, router: Router, books: Books) -> Gateway:
    limits = settings.server
    return Gateway(
        first,
        ledger=ledger,
        used_ppm=books.used_ppm,
        router=router,
        room=Room(limits.in_flight_max),
        deadlines=Deadlines(request_s=limits.request_seconds, stream_s=limits.stream_seconds),
    )


def _router(settings: Settings, client: Client, workers: int) -> Router:
    limits = settings.server
    queue = Queue(Pace(workers), length_max=WAITING_MAX, seconds=limits.queue_seconds)
    return Router(
        Means(Upstream(client, PROVIDERS, playing, Credentials(client)), queue, clock.monotonic, ids.draw)
    )


def _gauges(metrics: Metrics, gateway: Gateway, ledger: Gateways) -> None:
    metrics.gauge("in_flight", "Calls in flight.", lambda: gateway.room.taken)
    means = gateway.router.means
    metrics.gauge("queue_length", "Calls that wait for room on a channel.", lambda: means.queue.length)
    metrics.gauges(
        "breaker_open",
        "1 where a breaker is open; without a model, the channel's own.",
        ("channel", "model"),
        lambda: _open_breakers(gateway),
        most=True,
    )
    metrics.gauge("holds_open", "Open holds.", lambda: ledger.holds_open)


def _open_breakers(gateway: Gateway) -> dict[tuple[str, ...], float]:
    catalog, means = gateway.snapshot.catalog, gateway.router.means

    def label(channel: Channel, id: str) -> str | None:
        models = (catalog.model(id, group) for group in channel.groups)
        return next((catalog.label(model) for model in models if model is not None), None)

    return open_breakers(catalog.channels, means.health.states(means.now()), label)


async def _serve(listener: Server, door: socket.socket, running: Running, orders: Orders) -> None:
    """Listen until told to stop, then drain."""
    # What is here now stays for good: the collector need not look at it again. A call leaves no circles,
    # so there is little to find; it looks seldom.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER)
    loop = asyncio.get_running_loop()
    serving = loop.create_task(listener.serve(sockets=[door]))
    stopping = loop.create_task(orders.stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    running.draining = running.v1.draining = True
    if not serving.done():
        await asyncio.sleep(running.settings.server.notice_seconds)
        listener.should_exit = True
    stopping.cancel()
    await serving
