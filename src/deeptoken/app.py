"""The composition root: settings in, a gateway that runs out. What is built here is built once.

A start: lock and load the ledger, write what the file declares, read keys and catalog, listen.
A stop:  tell balancers, stop listening, finish what is in flight, settle, end.
"""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, closing, contextmanager
from typing import Any, TypeVar

import msgspec

from deeptoken import clock, ids
from deeptoken.accounts.attempts import Attempts
from deeptoken.api.children import Children
from deeptoken.api.management.serve import Management
from deeptoken.api.management.table import ROUTES
from deeptoken.api.public import Public
from deeptoken.api.server import Server, listen, server
from deeptoken.api.v1 import V1
from deeptoken.catalog.model import Channel
from deeptoken.config import environment
from deeptoken.gateway.condition import conditions, open_breakers
from deeptoken.gateway.credentials import Credentials
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
from deeptoken.identity.caller import Caller
from deeptoken.installation import declare, snapshot
from deeptoken.jobs import Jobs
from deeptoken.ledger.postings import Answer, Call, Hold, Left, Posting, Sweep
from deeptoken.ledger.postings import Room as Money
from deeptoken.money import ONE_PPM, NanoUsd
from deeptoken.net import Client, Proxies
from deeptoken.observe.logs import Forwarded, Log
from deeptoken.observe.metrics import Metrics
from deeptoken.providers.registry import PROVIDERS
from deeptoken.settings import ConfigError, Settings
from deeptoken.store.ledger import open_writer
from deeptoken.store.queries.statements import use_key
from deeptoken.store.reads import Reader, read
from deeptoken.store.secrets import Secrets, load_secrets
from deeptoken.store.shown import shown
from deeptoken.store.sqlite import StoreError
from deeptoken.store.writer import Writer

SWITCH_INTERVAL_S = 0.002
"""The ledger's thread must get the interpreter back soon after its disk has answered. Still sooner costs more
in turns than it gains (measured: half a millisecond is 5 % of a call's CPU, and betters no percentile)."""
SWEEP_S = 60.0
WAITING_MAX = 1_000
"""Calls in the line before full channels."""
NOTE_KEYS_S = 15.0
WEBHOOKS_S = 5.0
RETRY_S = 1.0
GARBAGE_AFTER = 20_000
"""Objects that came to stay, before the collector looks for circles; Python's own number is 700."""
Found = TypeVar("Found")
NOTHING = Money(balance=NanoUsd(0), available=NanoUsd(0))


class Books:
    """What the API reads of the ledger: balances from the writer's memory, rows from the database."""

    def __init__(self, writer: Writer, settings: Settings) -> None:
        self._writer = writer
        self._path = settings.database.path

    def room(self, wallet: str) -> Money:
        return self._writer.room(wallet) or NOTHING

    def left(self, caller: Caller, *, minimum: NanoUsd, tokens_minimum: int, full: NanoUsd) -> list[Left]:
        return self._writer.left(
            Hold(
                Call("", "", "", caller.key, caller.wallet, "", 0, 0, False),
                minimum,
                wanted=minimum,
                tokens=tokens_minimum,
                tokens_minimum=tokens_minimum,
                limits=caller.limits,
                subjects=caller.subjects,
                fallback=caller.fallback,
                full=full,
            )
        )

    def used_ppm(self, caller: Caller) -> int:
        """The share of the budget or ceiling that is used the most."""
        left = self.left(caller, minimum=NanoUsd(0), tokens_minimum=0, full=NanoUsd(0))
        budgets = [(one.available, one.most) for one in left if one.kind == "usd" and one.most]
        return max(((most - free) * ONE_PPM // most for free, most in budgets), default=0)

    async def recent_answers(self, wallet: str, model: str) -> list[int]:
        return await read(self._path, lambda reader: reader.recent_answers(wallet, model))

    async def generation(self, wallet: str, id: str) -> Mapping[str, Any] | None:
        record = await read(self._path, lambda reader: reader.usage(id, wallet))
        return None if record is None else shown(record, attempts=True)


class Stale:
    """Whether people, channels or prices were written that the calls do not see yet."""

    def __init__(self) -> None:
        self._changes = 0
        self._seen = 0
        self._told = asyncio.Condition()
        self._event = asyncio.Event()

    def set(self) -> None:
        """They were written."""
        self._changes += 1
        self._event.set()

    async def wait(self) -> int:
        """Which change is the last, once there is one that was not seen."""
        await self._event.wait()
        self._event.clear()
        return self._changes

    async def seen(self, change: int) -> None:
        """All up to this one are in use."""
        async with self._told:
            self._seen = max(self._seen, change)
            self._told.notify_all()

    async def fresh(self) -> None:
        """Until all that was written before is in use."""
        change = self._changes
        async with self._told:
            await self._told.wait_for(lambda: self._seen >= change)


class Running:
    """A gateway that is built, and its state."""

    def __init__(
        self,
        settings: Settings,
        read_settings: Callable[[], Settings],
        writer: Writer,
        log: Log,
        stale: Stale,
    ) -> None:
        self.settings = settings
        self.draining = False
        self._read_settings = read_settings
        self._writer = writer
        self._log = log
        self.attempts = Attempts()
        self.secrets: Secrets = load_secrets(settings.database.path)
        self._stale = stale
        self.gateway: Gateway
        self.v1: V1

    async def refresh(self) -> None:
        """Read keys and catalog anew, when people, channels or prices were written."""
        change = await self._stale.wait()
        before = _in_use(self.gateway.snapshot)
        try:
            self.gateway.snapshot = await self.read_snapshot()
            self.gateway.router.kept(self.gateway.snapshot.catalog.channels)
            for name in _in_use(self.gateway.snapshot) - before:
                # Who puts a channel into use again says that it is well.
                self.gateway.router.means.health.clear(name)
            await self._stale.seen(change)
        except StoreError as error:
            # A revocation must not be lost: it is read again until it can be.
            self._stale.set()
            self._log.event("refresh_failed", "error", error=str(error))
            await asyncio.sleep(RETRY_S)

    async def read_snapshot(self) -> Snapshot:
        settings, secrets = self.settings, self.secrets
        return await self.read(lambda reader: snapshot(settings, reader, secrets))

    # What the management API needs.

    @property
    def snapshot(self) -> Snapshot:
        return self.gateway.snapshot

    async def read(self, ask: Callable[[Reader], Found]) -> Found:
        return await read(self.settings.database.path, ask)

    async def post(self, *postings: Posting) -> list[Answer]:
        """Answered when it is durable and every call sees it."""
        answers = await asyncio.gather(*(self._writer.post(posting) for posting in postings))
        await self._stale.fresh()
        return answers

    async def note_keys(self) -> None:
        """Write down when keys were used last."""
        used, self.v1.used = self.v1.used, {}
        await asyncio.gather(*(self._writer.post(use_key(key, at_us)) for key, at_us in used.items()))

    async def reread_file(self, asked: asyncio.Event) -> None:
        """When asked: the file's channels, models, groups, users and keys, as they are now."""
        await asked.wait()
        asked.clear()
        try:
            settings = await asyncio.to_thread(self._read_settings)
            if settings.database != self.settings.database:
                raise ConfigError("database.url: another database needs a restart", file=settings.file)
            with Reader(self.settings.database.path) as reader:
                await declare(settings, self._writer, reader)
        except (ConfigError, StoreError) as error:
            self._log.event("reload_failed", "error", error=str(error))
            return
        file, started = str(settings.file), self.settings.server
        if settings.server == started:
            self._log.event("reloaded", file=file)
        else:
            ignored = "[server] has changed, which holds from a restart on"
            self._log.event("reloaded", "warning", file=file, ignored=ignored)
        self.settings = msgspec.structs.replace(settings, server=started)
        self._stale.set()

    def state(self) -> dict[str, Any]:
        """What `/readyz` says. The providers' health does not count, else their outage would be ours."""
        checks = {
            "database": not self._writer.failing,
            "channels": any(channel.enabled for channel in self.gateway.snapshot.catalog.channels),
            "shutting_down": self.draining,
        }
        ready = checks["database"] and checks["channels"] and not self.draining
        return {"ready": ready, **checks}

    def health(self) -> dict[str, Any]:
        """What it says of the channels, and whose they are, to operators."""
        means = self.gateway.router.means
        channels = self.gateway.snapshot.catalog.channels
        found, left_out = conditions(channels, means.health.states(means.now()))
        installation = self.settings.database.installation
        return {"installation": installation, "health": found, "health_left_out": left_out}


def _in_use(snapshot: Snapshot) -> set[str]:
    return {channel.name for channel in snapshot.catalog.channels if channel.enabled}


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
    """Serve until told to stop. `read_settings` reads the file again; `listening` is told the address.

    Raises:
        ConfigError: the address is taken.
        StoreError: the database cannot be used. `WriterRuns`: another gateway has it.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    async with AsyncExitStack() as stack:
        door = stack.enter_context(closing(listen(settings.server)))
        log = stack.enter_context(Log())
        stack.enter_context(_forwarding(log))
        metrics = Metrics()
        path = settings.database.path
        stale = Stale()
        writer = await stack.enter_async_context(
            open_writer(path, changed=stale.set, timed=metrics.committed)
        )
        running = Running(settings, read_settings, writer, log, stale)
        with Reader(path) as reader:
            await declare(settings, writer, reader)
        client = Client(proxies=Proxies.told(environment()))
        stack.push_async_callback(client.close)
        books = Books(writer, settings)
        running.gateway = _gateway(settings, await running.read_snapshot(), writer, client, books)
        running.gateway.router.kept(running.gateway.snapshot.catalog.channels)
        jobs = await stack.enter_async_context(Jobs(log))
        jobs.every(0.0, running.refresh)
        jobs.every(0.0, lambda: running.reread_file(orders.reload))
        jobs.every(NOTE_KEYS_S, running.note_keys)
        jobs.every(SWEEP_S, lambda: writer.post(Sweep()))
        webhooks = Webhooks(sending(client), is_public)
        jobs.every(WEBHOOKS_S, webhooks.deliver)
        running.v1 = V1(running.gateway, books, Children(running), webhooks, log, metrics, settings.server)
        _gauges(metrics, running.gateway, writer)
        public = Public(
            lambda: running.gateway.snapshot.catalog, running.state, running.health, metrics, settings.server
        )
        managed = Management(running, ROUTES).mounted()
        listener = server(public.application(managed), running.v1.serve, settings.server)
        listener.listening = listening
        await _serve(listener, door, running, orders)
        await running.note_keys()


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


def _gateway(settings: Settings, first: Snapshot, writer: Writer, client: Client, books: Books) -> Gateway:
    limits = settings.server
    return Gateway(
        first,
        ledger=writer,
        used_ppm=books.used_ppm,
        router=Router(_means(settings, client)),
        room=Room(limits.in_flight_max),
        deadlines=Deadlines(request_s=limits.request_seconds, stream_s=limits.stream_seconds),
    )


def _means(settings: Settings, client: Client) -> Means:
    limits = settings.server
    queue = Queue(Pace(), length_max=WAITING_MAX, seconds=limits.queue_seconds)
    return Means(Upstream(client, PROVIDERS, playing, Credentials(client)), queue, clock.monotonic, ids.draw)


def _gauges(metrics: Metrics, gateway: Gateway, writer: Writer) -> None:
    metrics.gauge("in_flight", "Calls in flight.", lambda: gateway.room.taken)
    means = gateway.router.means
    metrics.gauge("queue_length", "Calls that wait for room on a channel.", lambda: means.queue.length)
    metrics.gauges(
        "breaker_open",
        "1 where a breaker is open; without a model, the channel's own.",
        ("channel", "model"),
        lambda: _open_breakers(gateway),
    )
    metrics.gauge("holds_open", "Open holds.", lambda: writer.holds_open)
    metrics.gauge("ledger_queue", "Operations that wait for the ledger's disk.", lambda: writer.queue_length)


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
