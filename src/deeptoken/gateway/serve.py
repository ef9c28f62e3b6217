"""The path of a call, top to bottom. Read this file first.

    authenticate   whose key is this, from where?                 401, 403
    admit          is there room for it?                          503
    read           is it a chat, or another task?                 400, 413, 415
    charge to      whose money is it?                             403, 404
    authorise      may it call this model; what serves it?        403, 404
    route          which channels, in which order; a place        400, 429, 503
    open a tab     rates, ceilings and money: all or none         402, 429
    attempt        the next one, until one begins to answer       502, 503, 504, 4xx
    relay          give the answer on as it comes
    close the tab  settle what was used, free the rest
    finish         the last bytes leave

Whatever fails, and whoever hangs up, the tab closes: once, and before the answer ends. So an answer
that was delivered whole has its row.
"""

from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from functools import partial
from hashlib import sha256
from typing import Protocol

import msgspec

from deeptoken import clock
from deeptoken.errors import BadRequest
from deeptoken.gateway.doors import Delivery, Ledger
from deeptoken.gateway.inbound import Inbound
from deeptoken.gateway.limits import Room
from deeptoken.gateway.needs import needs
from deeptoken.gateway.plan import Sought
from deeptoken.gateway.router import Router
from deeptoken.gateway.snapshot import TOKENS, Snapshot
from deeptoken.gateway.tab import Tab
from deeptoken.gateway.task_tab import TaskTab
from deeptoken.gateway.upstream import Answer
from deeptoken.gateway.wishes import read as read_wishes
from deeptoken.identity.caller import Caller
from deeptoken.ledger.postings import Claim
from deeptoken.money import NanoUsd, usd
from deeptoken.providers.base import Asked, Piece
from deeptoken.wire.chat import Chat

IDEMPOTENCY_KEY_MAX = 255
NEARLY_PPM = 950_000
"""From this share of a budget on, a key's cheaper model answers, if it has one."""


class Flow(Protocol):
    """How full the caller's side is."""

    @property
    def write_paused(self) -> bool:
        """The caller does not read as fast as it is written to."""
        ...

    async def drain(self) -> None:
        """Wait until the caller has read."""


class Outlet(Delivery, Protocol):
    """Where an answer goes, piece by piece; `finish` sends what `compose` wrote."""

    @property
    def flow(self) -> Flow: ...
    def take(self, answer: Answer) -> None: ...
    def send(self, pieces: list[Piece]) -> None: ...
    def finish(self) -> None: ...


class Peer(Protocol):
    """The caller's end of a call."""

    def read_body(self) -> Awaitable[bytes]: ...
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
        self,
        snapshot: Snapshot,
        ledger: Ledger,
        router: Router,
        room: Room,
        deadlines: Deadlines,
        used_ppm: Callable[[Caller], Awaitable[int]],
    ) -> None:
        self.snapshot = snapshot
        self.room = room
        self._ledger = ledger
        self._used_ppm = used_ppm
        self.router = router
        self._deadlines = deadlines

    async def answer(self, call: Inbound, peer: Peer) -> None:
        """Answer `call`, through an outlet of its peer.

        Raises the errors that this module's table names; `Cut` after the first content; `Replay`.
        """
        snapshot = self.snapshot
        caller = call.trace.caller = snapshot.keys.authenticate(call.secret, call.address, clock.wall_us())
        with self.room:
            chat = await _read(call, peer)
            caller = snapshot.charged(call, caller)
            nearly = caller.cheaper_model is not None and await self._used_ppm(caller) >= NEARLY_PPM
            sought = self._authorised(call, snapshot, caller, chat, nearly=nearly)
            deadline = self._deadline(call, chat, caller)
            with await self.router.route(call, sought, caller, deadline) as route:
                outlet = peer.outlet_for(chat)
                opened = Tab if chat.task is None else TaskTab
                async with opened(self._ledger, caller, route.models, chat, call, outlet, peer.left) as tab:
                    wanted = tab.wanted(_asked(call, chat), deadline)
                    with await route.first_answer(wanted) as answer:
                        tab.begin(answer)
                        outlet.take(answer)
                        while await answer.relay(partial(_passed, tab, outlet)):
                            outlet.send(await tab.catch_up())
                            if tab.dry:
                                break
                            await outlet.flow.drain()
                outlet.finish()

    async def sought(self, call: Inbound, peer: Peer) -> tuple[Caller, Sought]:
        """What `call` would ask for: its path up to the route, for who wants to know before.

        Raises the errors of these steps.
        """
        snapshot = self.snapshot
        caller = call.trace.caller = snapshot.keys.authenticate(call.secret, call.address, clock.wall_us())
        with self.room:
            chat = await _read(call, peer)
            caller = snapshot.charged(call, caller)
            nearly = caller.cheaper_model is not None and await self._used_ppm(caller) >= NEARLY_PPM
            sought = self._authorised(call, snapshot, caller, chat, nearly=nearly)
            self._deadline(call, chat, caller)
            return caller, sought

    def _authorised(
        self, call: Inbound, snapshot: Snapshot, caller: Caller, chat: Chat, *, nearly: bool
    ) -> Sought:
        """What may be called, and what is wished of it. `nearly` used up is the caller's budget: the cheaper
        model answers."""
        wishes = read_wishes(chat)
        used = TOKENS if chat.task is None else chat.task.bound
        asked = chat.request.model
        if nearly:
            asked = snapshot.cheaper(caller, asked, used)
            call.trace.cheaper = asked != chat.request.model
        models = snapshot.chain(caller, asked, wishes.models, used)
        call.trace.asked = models[0].model
        return Sought(models, chat, needs=needs(chat), wishes=wishes, ratio_ppm=caller.group.ratio_ppm)

    def _deadline(self, call: Inbound, chat: Chat, caller: Caller) -> float:
        """The soonest of the server's, the key's and the caller's own."""
        most = self._deadlines.stream_s if chat.stream else self._deadlines.request_s
        if caller.timeout_s is not None:
            most = min(most, caller.timeout_s)
        return call.deadline(most)


def _passed(tab: Tab, outlet: Outlet, pieces: list[Piece]) -> bool:
    """Give on what came and is paid for; whether more may follow at once."""
    outlet.send(tab.take(pieces))
    return not (tab.behind or outlet.flow.write_paused)


async def _read(call: Inbound, peer: Peer) -> Chat:
    """The chat, and what of it is for us."""
    if call.receive is not None:
        chat, body = await call.receive()
    else:
        body = await peer.read_body()
        chat = call.read(body)
    call.trace.stream = chat.stream
    if "max_cost_usd" in chat.ours:
        call.cost_max = _cost_max(chat.ours["max_cost_usd"])
    if (key := call.idempotency_key) is not None:
        if not 1 <= len(key) <= IDEMPOTENCY_KEY_MAX:
            raise BadRequest(f"Idempotency-Key: at most {IDEMPOTENCY_KEY_MAX} characters, and one at least.")
        call.claim = Claim(name=key, fingerprint=sha256(call.endpoint.encode() + b"\n" + body).digest())
    return chat


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


def _asked(call: Inbound, chat: Chat) -> Asked:
    return Asked(
        model=call.trace.model or "",
        id=f"chatcmpl-{call.id}" if chat.task is None else call.id,
        created=clock.wall_s(),
        dialect=None if chat.native is None else chat.native.dialect,
        task=chat.task,
    )
