"""Days of traffic in seconds: the real routing on virtual time, over channels that do as their scripts say.

    World     channels and their scripts (`scripted_channels.py`), a router; what was tried, what came of it
    Said      a call: what is asked, by whom, and when its client leaves

Time is the virtual loop's and begins at 0.
"""

import asyncio
import math
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import closing
from typing import TypeVar

import msgspec

import virtual_loop
from deeptoken.catalog.catalog import Found
from deeptoken.catalog.model import Candidate, Channel, Group, Model, Price, Rates
from deeptoken.errors import BadRequest, DeeptokenError
from deeptoken.gateway.inbound import Inbound
from deeptoken.gateway.pace import Pace
from deeptoken.gateway.plan import Sought
from deeptoken.gateway.queue import Queue
from deeptoken.gateway.route import Means, Route
from deeptoken.gateway.router import Router
from deeptoken.gateway.upstream import Answer, Wanted
from deeptoken.identity.caller import Caller
from deeptoken.money import PicoUsd
from deeptoken.providers.base import Asked, Cause, Failure, Reply
from deeptoken.wire.chat import read
from scripted_channels import Chance, Does, Script, Told, channel
from virtual_loop import now

T = TypeVar("T")

DEFAULT = Group("default")
ENTERPRISE = Group("enterprise", weight=100)
FREE = Group("free", weight=1)
CHAT = read(b'{"model": "m", "messages": [{"role": "user", "content": "Hello!"}]}')
RATES = Rates(prompt=PicoUsd(1), completion=PicoUsd(1))
DEADLINE_S = 60.0
FOR_EVER = math.inf


class Said(msgspec.Struct, frozen=True):
    """A call to make."""

    models: tuple[str, ...] = ("m",)
    wallet: str = "w"
    conversation: str | None = None
    """None: one of its own."""
    group: Group = DEFAULT
    deadline_s: float = DEADLINE_S
    leaves_s: float | None = None
    """After so many seconds its client goes away."""
    wrong: str | None = None
    """What every provider says of it: the code of a 400."""
    stream: bool = False


HELLO = Said()


class Try(msgspec.Struct):
    """One attempt. `cause` is empty when it was answered, ``left`` when its call was cancelled,
    ``unable`` where the provider cannot do what is asked."""

    call: int
    channel: str
    model: str
    began: float
    deadline: float
    patience_s: float | None
    ended: float = FOR_EVER
    cause: str = ""
    told_s: float | None = None
    """To wait, by a 429."""


class Call(msgspec.Struct):
    """One call, and what became of it. Seconds since the world began."""

    number: int
    said: Said
    began: float
    deadline: float
    ended: float = FOR_EVER
    channel: str | None = None
    """Who answered."""
    error: DeeptokenError | None = None
    left: bool = False
    tries: list[Try] = []

    @property
    def took_s(self) -> float:
        return self.ended - self.began

    @property
    def answered(self) -> bool:
        return self.channel is not None


class Silence:
    """A response that nobody reads."""

    status = 200
    headers: Mapping[str, str] = {}

    async def read(self, wait_s: float) -> bytes:
        return b""

    async def whole(self, wait_s: float) -> bytes:
        return b""

    async def relay(self, take: Callable[[bytes], float | None], due: float) -> bool:
        return False

    def close(self) -> None:
        """Nothing was opened."""

    def finish(self, wait_s: float) -> None:
        """Nor is anything kept."""


class World:
    """`serves` says which channels serve which model; without it all serve ``m``."""

    def __init__(
        self,
        scripts: Mapping[str, Script | Does],
        *,
        channels: Iterable[Channel] = (),
        serves: Mapping[str, Iterable[str]] | None = None,
        seed: int = 1,
        queue_s: float = 5.0,
    ) -> None:
        self.chance = Chance(seed)
        self.calls: list[Call] = []
        self.tries: list[Try] = []
        self._scripts = {name: _script(does) for name, does in scripts.items()}
        known = {name: channel(name) for name in scripts} | {one.name: one for one in channels}
        self.found = {
            id: _found(id, [known[name] for name in names])
            for id, names in (serves or {"m": list(scripts)}).items()
        }
        queue = Queue(Pace(), length_max=10_000, seconds=queue_s)
        self.means = Means(self, queue, virtual_loop.loop().time, self.chance)
        self.router = Router(self.means)

    # A provider for all channels.

    async def attempt(self, at: Candidate, wanted: Wanted) -> Answer | Failure:
        call = self.calls[int(wanted.asked.id)]
        began = now()
        deadline = began + wanted.deadline - virtual_loop.loop().time()
        tried = Try(call.number, at.channel.name, at.model.id, began, deadline, wanted.patience_s)
        self.tries.append(tried)
        call.tries = [*call.tries, tried]
        try:
            told = await self._does(at, wanted, call.said)
        except BaseException as error:
            tried.ended, tried.cause = now(), "unable" if isinstance(error, BadRequest) else "left"
            raise
        tried.ended = now()
        if isinstance(told, Failure):
            tried.cause, tried.told_s = told.cause, told.retry_after_s
            return told
        answer = Answer(at, Silence(), wanted.deadline)
        answer.ttft_s = answer.waited = now() - began
        answer.reply = Reply(fields={"told": told})
        return answer

    async def _does(self, at: Candidate, wanted: Wanted, said: Said) -> Told | Failure:
        script = self._scripts[at.channel.name]
        place = bisect_right(script, now(), key=lambda part: part[0]) - 1
        patience_s = min(at.channel.timeout.first_byte, wanted.patience_s or FOR_EVER)
        by = min(virtual_loop.loop().time() + patience_s, wanted.deadline)
        try:
            async with asyncio.timeout_at(by):
                told = await script[place][1](at, wanted)
        except TimeoutError:
            return Failure("slow", "Its first content did not come in time.")
        if said.wrong is not None and isinstance(told, Told):
            return Failure("caller", "It is wrong.", status=400, code=said.wrong)
        return told

    # Callers.

    async def call(self, said: Said = HELLO) -> Call:
        """Make a call, to its end."""
        call = Call(len(self.calls), said, now(), now() + said.deadline_s)
        self.calls.append(call)
        task = asyncio.current_task()
        leaving = None
        if said.leaves_s is not None and task is not None:
            leaving = virtual_loop.loop().call_later(said.leaves_s, task.cancel)
        try:
            await self._answered(call)
        except DeeptokenError as error:
            call.error = error
        except asyncio.CancelledError:
            call.left = True
        finally:
            call.ended = now()
            if leaving is not None:
                leaving.cancel()
        return call

    async def refused(self) -> None:
        """Make a call that is let in, and that its wallet refuses then."""
        call = Call(len(self.calls), HELLO, now(), now() + DEADLINE_S)
        self.calls.append(call)
        route, _, _ = await self._routed(call)
        with route:
            pass

    async def _answered(self, call: Call) -> None:
        route, inbound, wanted = await self._routed(call)
        with route:
            await self._relayed(call, route, wanted)
            inbound.trace.outcome = "complete"

    async def _routed(self, call: Call) -> tuple[Route, Inbound, Wanted]:
        said, began = call.said, virtual_loop.loop().time()
        deadline = began + said.deadline_s
        conversation = said.conversation or f"call {call.number}"
        chat = msgspec.structs.replace(CHAT, extra={"prompt_cache_key": conversation})
        sought = Sought(tuple(self.found[id] for id in said.models), chat)
        caller = Caller("key", "key", said.wallet, said.wallet, said.group)
        number = str(call.number)
        inbound = Inbound(number, number, "/v1/chat/completions", None, None, began)
        route = await self.router.route(inbound, sought, caller, deadline)
        asked = Asked(model=said.models[0], id=number, created=0)
        return route, inbound, Wanted(chat, asked, said.stream, None, deadline)

    async def _relayed(self, call: Call, route: Route, wanted: Wanted) -> None:
        with closing(await route.first_answer(wanted)) as answer:
            call.channel = answer.at.channel.name
            assert answer.reply is not None
            told: Told = answer.reply.fields["told"]
            await asyncio.sleep(told.rest_s)
            answer.failure = told.breaks

    async def traffic(
        self, per_s: float, seconds: float, says: Callable[[int], Said] = lambda number: HELLO
    ) -> list[Call]:
        """Calls that come independently, until the last one has ended."""
        ends, tasks = now() + seconds, []
        while True:
            await asyncio.sleep(self.chance.gap(1 / per_s))
            if now() >= ends:
                break
            tasks.append(asyncio.create_task(self.call(says(len(self.calls)))))
        return [await task for task in tasks]

    # What was seen.

    def tries_at(self, name: str, since: float = 0.0, until: float = FOR_EVER) -> list[Try]:
        """Attempts at a channel that began in this time."""
        return [one for one in self.tries if one.channel == name and since <= one.began < until]


def run(story: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        return await story()

    return virtual_loop.run(main())


def at_once(tries: Iterable[Try]) -> int:
    """The most of them that were under way at the same time."""
    moments = sorted(moment for one in tries for moment in ((one.began, 1), (one.ended, -1)))
    most = here = 0
    for _, change in moments:
        here += change
        most = max(most, here)
    return most


def _script(does: Script | Does) -> Script:
    return does if isinstance(does, list) else [(0.0, does)]


def _found(id: str, channels: list[Channel]) -> Found:
    model = Model(id=id, price=Price(id=1, model=id, rates=RATES))
    return Found(model, tuple(Candidate(one, model, f"hidden-{id}") for one in channels))


def asked(call: Call) -> list[str]:
    """Which channels, in turn."""
    return [one.channel for one in call.tries]


def together(world: World, says: Iterable[Said]) -> "asyncio.Future[list[Call]]":
    return asyncio.gather(*(world.call(said) for said in says))


def break_down(world: World, *names: str, cause: Cause = "outage", model: str = "m") -> None:
    """Their breakers are open, for 5 s."""
    moment = virtual_loop.loop().time()
    for name in names:
        for _ in range(5):
            entry = world.means.health.enter(name, model, moment)
            assert entry is not None
            world.means.health.failed(entry, Failure(cause, "It failed."), moment, 0.0)
