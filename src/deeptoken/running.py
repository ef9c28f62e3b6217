"""A gateway that runs, and its state: what the API reads and changes of the installation."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from deeptoken.accounts.attempts import Attempts
from deeptoken.accounts.oidc import Issuers
from deeptoken.api.v1 import V1
from deeptoken.gateway.condition import conditions, worst
from deeptoken.gateway.health import State
from deeptoken.gateway.route import Attempts as Upstreams
from deeptoken.gateway.serve import Gateway
from deeptoken.gateway.snapshot import Snapshot
from deeptoken.identity.caller import Caller
from deeptoken.installation import snapshot
from deeptoken.ledger.postings import Answer, Call, Hold, Left, Posting
from deeptoken.ledger.postings import Room as Money
from deeptoken.mail import Mail
from deeptoken.money import ONE_PPM, NanoUsd
from deeptoken.observe.logs import Log
from deeptoken.settings import ConfigError, Settings
from deeptoken.store.ledger import Gateways
from deeptoken.store.queries.statements import use_key
from deeptoken.store.reads import Reader, read
from deeptoken.store.secrets import Secrets, load_secrets
from deeptoken.store.shown import shown
from deeptoken.store.sqlite import StoreError

NEWS_S = 2.0
"""A change holds within that time."""
RETRY_S = 1.0
NOTHING = Money(balance=NanoUsd(0), available=NanoUsd(0))
Found = TypeVar("Found")
Redeclare = Callable[[Settings], Awaitable[None]]
"""Writes what the file declares."""


class Books:
    """What the API reads of the ledger: balances from the writer's memory, rows from the database."""

    def __init__(self, ledger: Gateways, settings: Settings) -> None:
        self._ledger = ledger
        self._path = settings.database.path

    async def room(self, wallet: str) -> Money:
        return await self._ledger.room_of(wallet) or NOTHING

    async def left(
        self, caller: Caller, *, minimum: NanoUsd, tokens_minimum: int, full: NanoUsd
    ) -> list[Left]:
        return await self._ledger.left_for(
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

    async def used_ppm(self, caller: Caller) -> int:
        """The share of the budget or ceiling that is used the most."""
        left = await self.left(caller, minimum=NanoUsd(0), tokens_minimum=0, full=NanoUsd(0))
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

    async def news(self) -> bool:
        """Whether something was written that was not in use: it is now, unless it cannot be read."""
        if self._seen >= self._changes:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(NEWS_S):
                await self.fresh()
        return True


class Running:
    """A gateway that is built, and its state."""

    def __init__(
        self,
        settings: Settings,
        read_settings: Callable[[], Settings],
        ledger: Gateways,
        log: Log,
        stale: Stale,
    ) -> None:
        self.settings = settings
        self.draining = False
        self._read_settings = read_settings
        self._ledger = ledger
        self._log = log
        self.attempts = Attempts()
        self.mail = Mail(lambda: self.settings.email, log)
        self.secrets: Secrets = load_secrets(settings.database.path)
        self._stale = stale
        self.issuers: Issuers
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

    @property
    def upstream(self) -> Upstreams:
        return self.gateway.router.means.upstream

    async def read(self, ask: Callable[[Reader], Found]) -> Found:
        return await read(self.settings.database.path, ask)

    async def post(self, *postings: Posting) -> list[Answer]:
        """Answered when it is durable and every call sees it."""
        answers = await asyncio.gather(*(self._ledger.post(posting) for posting in postings))
        await self._stale.fresh()
        return answers

    async def news(self) -> bool:
        """See `Stale.news`."""
        return await self._stale.news()

    async def note_keys(self) -> None:
        """Write down when keys were used last."""
        used, self.v1.used = self.v1.used, {}
        await asyncio.gather(*(self._ledger.post(use_key(key, at_us)) for key, at_us in used.items()))

    async def reread_file(self, asked: asyncio.Event, redeclare: Redeclare | None) -> None:
        """When asked: the file's channels, models, groups, users and keys, as they are now. Without
        `redeclare`, another process has declared them."""
        await asked.wait()
        asked.clear()
        settings = await reread(self._read_settings, self.settings, redeclare, self._log)
        if settings is not None:
            self.settings = settings
            self._stale.set()

    def state(self) -> dict[str, Any]:
        """What `/readyz` says. The providers' health does not count, else their outage would be ours."""
        checks = {
            "database": not self._ledger.failing,
            "channels": any(channel.enabled for channel in self.gateway.snapshot.catalog.channels),
            "shutting_down": self.draining,
        }
        ready = checks["database"] and checks["channels"] and not self.draining
        return {"ready": ready, **checks}

    def states(self) -> list[State]:
        """How the channels stand here."""
        means = self.gateway.router.means
        return list(means.health.states(means.now()))

    def health(self, others: Iterable[State]) -> dict[str, Any]:
        """What it says of the channels, here and in other workers, and whose they are, to operators."""
        channels = self.gateway.snapshot.catalog.channels
        found, left_out = conditions(channels, worst([*self.states(), *others]))
        installation = self.settings.database.installation
        return {"installation": installation, "health": found, "health_left_out": left_out}


def _in_use(snapshot: Snapshot) -> set[str]:
    return {channel.name for channel in snapshot.catalog.channels if channel.enabled}


async def reread(
    read_settings: Callable[[], Settings], before: Settings, redeclare: Redeclare | None, log: Log
) -> Settings | None:
    """The settings as the file has them now; None: it is wrong, which is logged. Who declares says so."""
    try:
        settings = await asyncio.to_thread(read_settings)
        if settings.database != before.database:
            raise ConfigError("database.url: another database needs a restart", file=settings.file)
        if redeclare is not None:
            await redeclare(settings)
    except (ConfigError, StoreError) as error:
        log.event("reload_failed", "error", error=str(error))
        return None
    kept = msgspec.structs.replace(settings, server=before.server)
    if redeclare is None:
        return kept
    file = str(settings.file)
    if kept == settings:
        log.event("reloaded", file=file)
    else:
        ignored = "[server] has changed, which holds from a restart on"
        log.event("reloaded", "warning", file=file, ignored=ignored)
    return kept
