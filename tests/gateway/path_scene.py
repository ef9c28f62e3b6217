"""A gateway in memory: the real path and the real law of the ledger, with `sim` as its provider."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from deeptoken import clock, ids
from deeptoken.catalog.catalog import Catalog
from deeptoken.catalog.entry import Entry
from deeptoken.catalog.model import Channel, Group, Rates, Timeouts
from deeptoken.gateway.credentials import Credentials
from deeptoken.gateway.inbound import Inbound
from deeptoken.gateway.limits import Room
from deeptoken.gateway.pace import Pace
from deeptoken.gateway.play import playing
from deeptoken.gateway.queue import Queue
from deeptoken.gateway.route import Means
from deeptoken.gateway.router import Router
from deeptoken.gateway.serve import Deadlines, Gateway
from deeptoken.gateway.snapshot import Snapshot
from deeptoken.gateway.trace import Bill
from deeptoken.gateway.upstream import Answer as Begun
from deeptoken.gateway.upstream import Upstream
from deeptoken.identity.caller import Caller
from deeptoken.identity.keys import Keys
from deeptoken.ledger.book import Book
from deeptoken.ledger.changes import ClaimRow, UsageRow
from deeptoken.ledger.past import PastUsage, Spent
from deeptoken.ledger.postings import Answer, Grant, Held, Limit, OpenWallet, Posting, Settle, StoredReply
from deeptoken.ledger.postings import Room as Money
from deeptoken.money import NanoUsd, PicoUsd, usd
from deeptoken.net import Client
from deeptoken.providers.base import Piece, Provider
from deeptoken.providers.registry import PROVIDERS
from deeptoken.wire.chat import Chat

SECRET = ids.new_secret()
WALLET = "usr_1"


class NoPast:
    """A ledger that began today."""

    def history(self, key: str, after_us: int, limit: int) -> list[Spent]:
        return []

    def totals(self, key: str, after_us: int) -> tuple[int, int, int]:
        return 0, 0, 0

    def claim(self, key: str, name: str) -> ClaimRow | None:
        return None

    def usage(self, id: str) -> PastUsage | None:
        return None

    def granted(self, ref: str) -> bool:
        return False


class MemoryLedger:
    """The law, without a disk under it."""

    def __init__(self) -> None:
        self.book = Book(NoPast())
        self.book.post(OpenWallet(WALLET), 1)
        self.asked: list[Posting] = []
        self.holding = asyncio.Event()
        """A hold was given."""

    async def post(self, posting: Posting) -> Answer:
        self.asked.append(posting)
        answer = self.book.post(posting, clock.wall_us())
        if isinstance(answer, Held):
            self.holding.set()
        return answer

    def grant(self, amount: str) -> None:
        lot = ids.new_id("lot")
        self.book.post(Grant(WALLET, lot=lot, amount=usd(amount), source="grant", ref=lot), clock.wall_us())

    @property
    def balance(self) -> NanoUsd:
        return self._wallet().balance

    @property
    def held(self) -> NanoUsd:
        return NanoUsd(self._wallet().balance - self._wallet().available)

    def _wallet(self) -> Money:
        room = self.book.room(WALLET, clock.wall_us())
        assert room is not None
        return room

    def rows(self) -> list[UsageRow]:
        return self.book.take().usage

    def settled(self) -> Settle:
        return next(posting for posting in self.asked if isinstance(posting, Settle))


class Swift:
    """Nobody is slow here."""

    write_paused = False

    async def drain(self) -> None:
        """At once."""


class Heard:
    """An outlet that keeps what it is given."""

    def __init__(self, chat: Chat, answering: asyncio.Event) -> None:
        self.chat = chat
        self._answering = answering
        self.flow = Swift()
        self.pieces: list[Piece] = []
        self.bill: Bill | None = None
        self.begun: Begun | None = None
        self.finished = False

    def take(self, answer: Begun) -> None:
        self.begun = answer
        self._answering.set()

    def send(self, pieces: list[Piece]) -> None:
        self.pieces += pieces

    def compose(self, bill: Bill) -> None:
        self.bill = bill

    def kept(self) -> StoredReply | None:
        return None

    def finish(self) -> None:
        self.finished = True

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


class Scene:
    """A gateway with one wallet, one key and the channels that it is given."""

    def __init__(
        self,
        money: str,
        *,
        models: Mapping[str, str] | None = None,
        channels: tuple[Channel, ...] = (),
        limits: tuple[Limit, ...] = (),
        rates: Rates | None = None,
        max_output: int | None = None,
        context: int | None = None,
        allowed: tuple[str, ...] = (),
        providers: Mapping[str, Provider] = PROVIDERS,
    ) -> None:
        self.ledger = MemoryLedger()
        if usd(money):
            self.ledger.grant(money)
        channels = channels or (sim("sim", dict(models or {"m/text": "text", "m/echo": "echo"})),)
        price = rates or Rates(prompt=PicoUsd(1_000_000), completion=PicoUsd(2_000_000))
        entry = Entry(id="*", rates=price, max_output=max_output, context=context)
        group = Group("default")
        caller = Caller(
            key="key_1",
            key_name="ci",
            owner="user:ops",
            wallet=WALLET,
            group=group,
            limits=limits,
            models=allowed,
        )
        catalog = Catalog.build(channels, [entry], [], [group])
        client = Client()
        self.gateway = Gateway(
            Snapshot(Keys({ids.digest(SECRET): caller}), catalog),
            ledger=self.ledger,
            router=Router(
                Means(
                    Upstream(client, providers, playing, Credentials(client)),
                    Queue(Pace(), length_max=100, seconds=5),
                    clock.monotonic,
                    ids.draw,
                )
            ),
            room=Room(100),
            deadlines=Deadlines(request_s=20, stream_s=20),
            used_ppm=unused,
        )
        self.call: Inbound | None = None
        self.answering = asyncio.Event()
        """A provider has begun to answer."""

    async def ask(
        self,
        body: Mapping[str, Any] | bytes,
        *,
        left: bool = True,
        outlet: Callable[[Chat, asyncio.Event], Heard] = Heard,
        **call: Any,
    ) -> Heard:
        """The answer to one call, to the end.

        Raises:
            Whatever the path raises.
        """
        self.call = inbound(**call)
        peer = Listening(body, lambda chat: outlet(chat, self.answering), left=left)
        await self.gateway.answer(self.call, peer)
        assert peer.heard is not None
        return peer.heard


async def unused(caller: Caller) -> int:
    """Of no budget anything is used."""
    return 0


class Listening:
    """A caller in memory."""

    def __init__(
        self, body: Mapping[str, Any] | bytes, outlet: Callable[[Chat], Heard], *, left: bool
    ) -> None:
        self.heard: Heard | None = None
        self._body = body if isinstance(body, bytes) else msgspec.json.encode(body)
        self._outlet = outlet
        self._left = left

    async def read_body(self) -> bytes:
        return self._body

    def outlet_for(self, chat: Chat) -> Heard:
        self.heard = self._outlet(chat)
        return self.heard

    def left(self) -> bool:
        return self._left


def sim(name: str, models: dict[str, str], **settings: Any) -> Channel:
    """A channel of the provider `sim`; its timeouts are short."""
    timeout = Timeouts(connect=1, first_byte=settings.pop("first_byte", 5), idle=5, total=10)
    return Channel(
        name=name, provider="sim", label=name, base_url="", models=models, timeout=timeout, **settings
    )


def inbound(**call: Any) -> Inbound:
    number = ids.uuid7()
    return Inbound(
        **{
            "id": number,
            "request_id": number,
            "endpoint": "/v1/chat/completions",
            "secret": SECRET,
            "address": "127.0.0.1",
            "began": clock.monotonic(),
            **call,
        }
    )


def chat(text: str, model: str = "m/echo", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}
