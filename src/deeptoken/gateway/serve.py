"""The path of a call, top to bottom. Read this file first.

    authenticate   whose key is this, from where?                 401, 403
    admit          is there room for it?                          503
    read           is it a chat?                                  400, 413, 415
    authorise      may it call this model; what serves it?        403, 404
    plan           which channels, in which order                 503
    open a tab     rates, ceilings and money: all or none         402, 429
    attempt        the next one, until one begins to answer       502, 503, 504, 4xx
    relay          give the answer on as it comes
    close the tab  settle what was used, free the rest
    finish         the last bytes leave

Whatever fails, and whoever hangs up, the tab closes: once, and before the answer ends. So an answer
that was delivered whole has its row.
"""

from contextlib import closing
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Protocol

import msgspec

from deeptoken import clock, ids
from deeptoken.catalog.catalog import Found
from deeptoken.catalog.model import Candidate, Model
from deeptoken.errors import BadRequest, NoChannel, OrganizationNotFound, Overloaded
from deeptoken.gateway import failure
from deeptoken.gateway.draw import Unmeasured
from deeptoken.gateway.inbound import Inbound
from deeptoken.gateway.limits import Room
from deeptoken.gateway.plan import Sought, plan
from deeptoken.gateway.snapshot import Snapshot
from deeptoken.gateway.tab import Delivery, Ledger, Tab
from deeptoken.gateway.trace import Attempt
from deeptoken.gateway.upstream import Answer, Upstream, Wanted
from deeptoken.identity.caller import Caller
from deeptoken.ledger.postings import Claim
from deeptoken.money import NanoUsd, usd
from deeptoken.providers.base import Asked, Failure, Piece
from deeptoken.wire.chat import Chat, read

IDEMPOTENCY_KEY_MAX = 255
NOT_YET = ("models", "provider")
WORTHWHILE_S = 0.01
"""With less time left than that, no other channel is asked."""


class Outlet(Delivery, Protocol):
    """Where an answer goes, piece by piece; `finish` sends what `compose` wrote."""

    def take(self, answer: Answer) -> None: ...
    async def send(self, pieces: list[Piece]) -> None: ...
    async def finish(self) -> None: ...


class Peer(Protocol):
    """The caller's end of a call."""

    async def read_body(self) -> bytes: ...
    def outlet_for(self, chat: Chat) -> Outlet: ...
    def left(self) -> bool:
        """Whether the caller has gone away."""
        ...


class Deadlines(msgspec.Struct, frozen=True):
    """Seconds a whole answer and a stream may take at most."""

    request_s: float
    stream_s: float


class Gateway:
    """Answers calls. `snapshot` is replaced when keys or channels change."""

    def __init__(
        self, snapshot: Snapshot, ledger: Ledger, upstream: Upstream, room: Room, deadlines: Deadlines
    ) -> None:
        self.snapshot = snapshot
        self.room = room
        self._ledger = ledger
        self._upstream = upstream
        self._deadlines = deadlines

    async def answer(self, call: Inbound, peer: Peer) -> None:
        """Answer `call`, through an outlet of its peer.

        Raises the errors that this module's table names; `Cut` after the first content; `Replay`.
        """
        snapshot = self.snapshot
        caller = call.trace.caller = snapshot.keys.authenticate(call.secret, call.address, clock.wall_us())
        with self.room:
            chat = _read(call, await peer.read_body())
            found = _authorised(call, snapshot, caller, chat)
            model = found.model
            deadline = self._deadline(call, chat)
            order = self._order(found, chat)
            outlet = peer.outlet_for(chat)
            async with Tab(self._ledger, caller, model, chat, call, outlet, peer.left) as tab:
                wanted = tab.wanted(_asked(call, model), deadline)
                with closing(await self._first_answer(call, order, wanted)) as answer:
                    tab.begin(answer)
                    outlet.take(answer)
                    while pieces := await answer.next():
                        await outlet.send(await tab.take(pieces))
                        if tab.dry:
                            break
            await outlet.finish()

    def _order(self, found: Found, chat: Chat) -> tuple[Candidate, ...]:
        sought = Sought((found,), chat)
        planned = plan(sought, Unmeasured(), clock.monotonic(), ids.draw, full=self._upstream.full)
        if planned.full:
            raise Overloaded("Every channel that serves this model is full. Try again shortly.")
        return tuple(choice.candidate for choice in planned.choices)

    async def _first_answer(self, call: Inbound, order: tuple[Candidate, ...], wanted: Wanted) -> Answer:
        """Attempts in order, until one answers."""
        trace = call.trace
        last: tuple[Failure, Candidate] | None = None
        for at in order:
            began = clock.monotonic()
            if last is not None and began > wanted.deadline - WORTHWHILE_S:
                break
            trace.channel, trace.label = at.channel.name, at.channel.label
            outcome = await self._upstream.attempt(at, wanted)
            if isinstance(outcome, Answer):
                trace.limit = wanted.limit
                return outcome
            took = clock.monotonic() - began
            trace.waited += took
            trace.failures.append(_failed(at, outcome, took))
            trace.words.append(failure.words(outcome, at))
            last = outcome, at
            if not failure.moves_on(outcome):
                break
        if last is None:
            raise NoChannel("No channel serves this model now. Try again shortly.", retry_after_s=1)
        raise failure.final(*last)

    def _deadline(self, call: Inbound, chat: Chat) -> float:
        most = self._deadlines.stream_s if chat.stream else self._deadlines.request_s
        return call.began + (most if call.timeout is None else min(most, _seconds(call.timeout)))


def _authorised(call: Inbound, snapshot: Snapshot, caller: Caller, chat: Chat) -> Found:
    if call.organization is not None:
        raise OrganizationNotFound(
            f"There is no organization {call.organization!r}. Leave X-DeepToken-Org out."
        )
    found = snapshot.serving(caller, chat.request.model)
    call.trace.model = found.model.id
    call.trace.metrics_model = snapshot.catalog.label(found.model)
    return found


def _read(call: Inbound, body: bytes) -> Chat:
    """The chat, and what of it is for us."""
    chat = read(body)
    call.trace.stream = chat.stream
    for name in NOT_YET:
        if name in chat.ours:
            raise BadRequest(f"{name}: routing preferences are not supported yet; leave it out.", param=name)
    if "max_cost_usd" in chat.ours:
        call.cost_max = _cost_max(chat.ours["max_cost_usd"])
    if (key := call.idempotency_key) is not None:
        if not 1 <= len(key) <= IDEMPOTENCY_KEY_MAX:
            raise BadRequest(f"Idempotency-Key: at most {IDEMPOTENCY_KEY_MAX} characters, and one at least.")
        call.claim = Claim(name=key, fingerprint=sha256(call.endpoint.encode() + b"\n" + body).digest())
    return chat


def _seconds(timeout: str) -> float:
    try:
        seconds = float(timeout)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise BadRequest("X-DeepToken-Timeout: expected a number of seconds above 0.")
    return seconds


def _cost_max(raw: msgspec.Raw) -> NanoUsd:
    """The number as it was written; the budget below a nano-dollar is cut off."""
    try:
        dollars = Decimal(bytes(raw).decode())
        amount = usd(str(dollars.quantize(Decimal("1e-9"), rounding="ROUND_DOWN")))
    except (InvalidOperation, ValueError):
        amount = NanoUsd(0)
    if amount <= 0:
        raise BadRequest("max_cost_usd: expected a number of US dollars above 0.", param="max_cost_usd")
    return amount


def _asked(call: Inbound, model: Model) -> Asked:
    return Asked(model=model.id, id=f"chatcmpl-{call.id}", created=clock.wall_s())


def _failed(at: Candidate, outcome: Failure, took: float) -> Attempt:
    return Attempt(
        channel=at.channel.name,
        duration_ms=round(took * 1_000),
        cause=outcome.cause,
        status=outcome.status,
        message=failure.public_message(outcome, at),
    )
