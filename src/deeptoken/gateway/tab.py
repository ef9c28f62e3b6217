"""What a call owes, from its hold to its settlement.

    open     hold what the call may cost at most, if that is cheap against the wallet: nothing is counted
             else count the prompt, see what the balance affords, and hold a first grant
    add      what was generated so far
    covers   grow the hold before it is used up; false when nothing is left: the answer ends there
    close    one settlement, whatever happened: the block's way out

Amounts are held before they are used, so a wallet is never overdrawn; what a provider sends beyond a hold
that cannot grow is the operator's loss, at most a margin of a quarter of the hold and what the provider
had on the way.
"""

from types import TracebackType
from typing import Protocol

import msgspec

from deeptoken import clock
from deeptoken.catalog import tokens
from deeptoken.catalog.model import Model
from deeptoken.catalog.price import affordable, bound, charge
from deeptoken.errors import (
    BadRequest,
    BudgetExceeded,
    DeeptokenError,
    IdempotencyCompleted,
    IdempotencyMismatch,
    IdempotencyRunning,
    RateLimited,
    WalletEmpty,
)
from deeptoken.gateway.inbound import Inbound
from deeptoken.gateway.trace import Bill
from deeptoken.gateway.upstream import Answer, Cut, Wanted
from deeptoken.identity.caller import Caller
from deeptoken.ledger.postings import (
    Answer as Posted,
)
from deeptoken.ledger.postings import (
    Call,
    Checkpoint,
    Extend,
    Held,
    Hold,
    NotCheap,
    Outcome,
    Posting,
    Refused,
    Repeat,
    Room,
    Settle,
    Settled,
    StoredReply,
)
from deeptoken.money import AMOUNT_MAX, ONE_PPM, NanoUsd, show, usd
from deeptoken.providers.base import Asked, Piece, Reply
from deeptoken.wire.chat import Chat
from deeptoken.wire.usage import Usage

CHEAP_PPM = 10_000
"""A hold within 1 % of what is available is made without counting anything."""
CHEAP = usd("0.02")
SMALL_SHARE, TINY_SHARE = 10, 200
"""Once counted: the most is held when it is at most $0.02 and a tenth of what is available, or a 200th."""
GRANT_MIN, GRANT_MAX = 512, 4096
FIRST_WORDS = 16
"""Tokens that an answer must be able to have; fewer if fewer are asked for."""
OUTPUT_UNKNOWN = 131_072
"""The most that a model generates when nobody told."""
EXTEND_AT = 3, 4
MARGIN_MIN = 32
GRANT_S = 10
CHECKPOINT_S = 10.0
SECOND_US = 1_000_000


class Ledger(Protocol):
    """The ledger's door: what is asked is decided, durable when the answer says that money moved."""

    async def post(self, posting: Posting) -> Posted: ...


class Delivery(Protocol):
    """Where an answer goes. `compose` writes what is left to deliver; it leaves once it is settled."""

    def compose(self, bill: Bill) -> None: ...
    def kept(self) -> StoredReply | None: ...


class Replay(Exception):
    """The first answer under this ``Idempotency-Key`` is kept: it is given again."""

    def __init__(self, id: str, reply: StoredReply) -> None:
        super().__init__(id)
        self.id = id
        self.reply = reply


class Tab:
    """One call's money. Use as ``async with``; see the module's words for its life."""

    def __init__(
        self, ledger: Ledger, caller: Caller, model: Model, chat: Chat, call: Inbound, delivery: Delivery
    ) -> None:
        self.limit: int | None = None
        """The most tokens a choice may have, if the money sets it."""
        self._ledger = ledger
        self._caller = caller
        self._model = model
        self._price = model.price
        self._ratio = caller.group.ratio_ppm
        self._chat = chat
        self._call = call
        self._delivery = delivery
        self._choices = chat.request.n or 1
        self._prompt = 0
        self._counted = False
        self._most = 0
        self._held = NanoUsd(0)
        self._covered = 0
        """Tokens of output that the hold pays."""
        self._ask_at = 0
        self._edge_tried = False
        self._generated = 0
        self._text: list[str] = []
        self._usage: Usage | None = None
        self._told: msgspec.Raw | None = None
        self._finished = False
        self._bound = "wallet"
        self._dry: str | None = None
        self._wanted_upstream: Wanted | None = None
        self._checkpoint_at = call.began + CHECKPOINT_S

    # The hold.

    @property
    def partly_held(self) -> bool:
        """The hold does not cover the most that may be generated: progress must be seen."""
        return self._covered < self._most

    async def __aenter__(self) -> "Tab":
        request = self._chat.request
        limits = [limit for limit in (request.limit, self._model.max_output) if limit]
        context = self._model.context
        each = min(limits) if limits else context or OUTPUT_UNKNOWN
        self._most = self._choices * each
        prompt = tokens.bound(self._chat)
        self._prompt = prompt if context is None else min(prompt, context)
        worst = self._price_of(self._most)
        cap = self._call.cost_max
        room = Room(balance=AMOUNT_MAX, available=AMOUNT_MAX)
        if cap is None or worst <= cap:
            answer = await self._ask(worst, worst, self._most, self._most, CHEAP_PPM)
            if isinstance(answer, Held):
                self._held = answer.amount
                self._covered = self._ask_at = self._most
                return self
            room = answer.room
        await self._hold_counted(each, room)
        return self

    async def _hold_counted(self, each: int, room: Room) -> None:
        """The prompt is counted; what the balance affords bounds the answer; a first grant is held."""
        self._prompt = tokens.count(self._chat, self._model.id)
        self._counted = True
        context = self._model.context
        if context is not None:
            each = max(1, min(each, context - self._prompt))
        first = self._choices * min(FIRST_WORDS, each)
        self._most = self._choices * each
        minimum = self._price_of(first)
        cap = self._call.cost_max
        if cap is not None and minimum > cap:
            raise BadRequest(f"max_cost_usd: this call costs {show(minimum)} at least.", param="max_cost_usd")
        wanted = self._wanted(max(first, min(self._most, self._affordable(_least(room.balance, cap)))), room)
        answer = await self._hold(minimum, self._price_of(wanted), wanted, first)
        most = self._affordable(_least(answer.room.balance, cap))
        if most < self._most:
            self.limit = most // self._choices
            self._most = self.limit * self._choices
            capped = cap is not None and cap <= answer.room.balance
            self._bound = "max_cost_usd" if capped else answer.room.bound
        self._held = answer.amount
        self._covered = min(self._most, self._affordable(self._held))
        self._ask_at = self._threshold()

    def _wanted(self, most: int, room: Room) -> int:
        """Tokens to hold at first: all when they are cheap, else a grant that grows with what is asked."""
        if self._price_of(most) <= max(
            min(CHEAP, room.available // SMALL_SHARE), room.available // TINY_SHARE
        ):
            return most
        return min(most, max(GRANT_MIN, min(GRANT_MAX, most // 8)))

    async def _hold(self, minimum: NanoUsd, wanted: NanoUsd, most: int, least: int) -> Held:
        answer = await self._ask(minimum, wanted, most, least, ONE_PPM)
        if isinstance(answer, NotCheap):
            raise DeeptokenError
        return answer

    async def _ask(
        self, minimum: NanoUsd, wanted: NanoUsd, most: int, least: int, share_ppm: int
    ) -> Held | NotCheap:
        caller, call = self._caller, self._call
        answer = await self._ledger.post(
            Hold(
                call=Call(
                    id=call.id,
                    request_id=call.request_id,
                    endpoint=call.endpoint,
                    key=caller.key,
                    wallet=caller.wallet,
                    model=self._model.id,
                    price=self._price.id,
                    ratio_ppm=self._ratio,
                    stream=self._chat.stream,
                ),
                minimum=minimum,
                wanted=wanted,
                share_ppm=share_ppm,
                tokens=self._prompt + most,
                tokens_minimum=self._prompt + least,
                limits=caller.limits,
                claim=call.claim,
            )
        )
        match answer:
            case Held() | NotCheap():
                return answer
            case Refused():
                raise self._refused(answer, minimum)
            case Repeat():
                raise _repeated(answer)
        raise DeeptokenError

    def _refused(self, refused: Refused, needed: NanoUsd) -> DeeptokenError:
        retry_after_s = None if refused.retry_after_us is None else refused.retry_after_us / SECOND_US
        match refused.reason:
            case "rate_limited":
                return RateLimited(
                    f"This key's limit {refused.limit} is reached. Try again later.",
                    retry_after_s=retry_after_s,
                )
            case "budget_exceeded":
                return BudgetExceeded(
                    f"This call needs {show(needed)} and the key's ceiling over {refused.limit} leaves "
                    f"{show(refused.room.balance)}. Wait, or ask for a higher ceiling.",
                    retry_after_s=retry_after_s,
                )
        return WalletEmpty(
            needed=needed,
            balance=refused.room.balance,
            available=refused.room.available,
            affordable=max(0, self._affordable(refused.room.available)) // self._choices,
            in_flight=refused.reason == "held_by_inflight",
            retry_after_s=retry_after_s,
        )

    # While the answer comes.

    def wanted(self, asked: Asked, deadline: float) -> Wanted:
        """What is wanted of an attempt. Where the hold has to grow, progress must be seen: streamed."""
        self._wanted_upstream = Wanted(
            chat=self._chat,
            asked=asked,
            stream=self._chat.stream or self.partly_held,
            limit=self.limit,
            deadline=deadline,
        )
        return self._wanted_upstream

    def begin(self, answer: Answer) -> None:
        """A provider answers."""
        trace = self._call.trace
        trace.answer = answer
        trace.ttft_ms = round((clock.monotonic() - self._call.began) * 1_000)
        if answer.reply is not None:
            self._take(answer.reply)

    def _take(self, reply: Reply) -> None:
        self._text.append(reply.text)
        self._usage, self._told = reply.usage, reply.told
        self._finished = True

    def add(self, pieces: list[Piece]) -> None:
        """What came, before it is passed on."""
        for piece in pieces:
            text = piece.text
            if text:
                self._text.append(text)
                # Biased upwards: a chunk is a token at least, and few texts have under 3 bytes a token.
                self._generated += 1 + len(text) // 3
            if piece.usage is not None:
                self._usage, self._told = piece.usage, piece.told
            if piece.finish:
                self._finished = True

    async def covers(self) -> bool:
        """Whether the hold pays for more. It is extended in time; false: it cannot be, the wallet is dry."""
        if self._generated >= self._ask_at and self.partly_held:
            return await self._extend()
        now = clock.monotonic()
        if now >= self._checkpoint_at:
            self._checkpoint_at = now + CHECKPOINT_S
            await self._ledger.post(Checkpoint(self._call.id, self._price_of(self._generated)))
        return True

    async def _extend(self) -> bool:
        counted = tokens.count_text("".join(self._text), self._model.id)
        self._generated = counted
        if counted < self._ask_at:
            return True
        elapsed = max(1.0, clock.monotonic() - self._call.began)
        grant = max(GRANT_MIN, GRANT_S * int(counted / elapsed))
        target = min(self._most, self._covered + grant)
        answer = await self._ledger.post(
            Extend(
                self._call.id,
                more=NanoUsd(max(0, self._price_of(target) - self._held)),
                used=self._price_of(counted),
                tokens=target - self._covered,
            )
        )
        if isinstance(answer, Held):
            self._held = answer.amount
            if answer.room.bound != "wallet":
                self._bound = answer.room.bound
        covered = min(self._most, self._affordable(self._held))
        grown, self._covered = covered > self._covered, covered
        if not self.partly_held:
            return True
        self._ask_at = self._threshold() if grown else covered - self._margin()
        if grown or counted < self._ask_at:
            return True
        self._dry = self._bound if self._bound == "max_cost_usd" else _dry_reason(self._bound)
        return False

    def _threshold(self) -> int:
        used, of = EXTEND_AT
        return self._covered * used // of

    def _margin(self) -> int:
        return min(MARGIN_MIN, self._covered // 4)

    # The way out.

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        trace = self._call.trace
        trace.outcome = self._outcome(error)
        bill = trace.bill = await self._reckon(trace.outcome)
        reply = None
        if error is None:
            self._delivery.compose(bill)
            if self._call.claim is not None:
                reply = self._delivery.kept()
        trace.status, trace.code = _status(error)
        settled = await self._ledger.post(
            Settle(
                id=self._call.id,
                cost=bill.cost,
                outcome=trace.outcome,
                usage=bill.usage,
                estimated=bill.estimated,
                status=trace.status,
                code=trace.code,
                channel=trace.channel,
                attempts=trace.attempts_json(),
                upstream_id=trace.answer.upstream_id if trace.answer else None,
                ttft_ms=trace.ttft_ms,
                duration_ms=round((clock.monotonic() - self._call.began) * 1_000),
                reply=reply,
            )
        )
        if not isinstance(settled, Settled) and error is None:
            raise DeeptokenError

    def _outcome(self, error: BaseException | None) -> Outcome:
        match error:
            case None:
                return "dry" if self._dry else "complete"
            case Cut():
                return "cut"
            case Exception():
                return "failed"
        return "cancelled"

    async def _reckon(self, outcome: Outcome) -> Bill:
        """The bill, with the hold grown to it as far as the wallet reaches."""
        usage, estimated = self._used(outcome)
        cost = NanoUsd(0) if usage is None else charge(self._price, usage, self._ratio)
        if cost > self._held:
            answer = await self._ledger.post(
                Extend(self._call.id, more=NanoUsd(cost - self._held), used=NanoUsd(self._held))
            )
            if isinstance(answer, Held):
                self._held = answer.amount
        told = self._told if outcome == "complete" and self._usage is not None else None
        return Bill(
            usage=usage or Usage(),
            told=told,
            estimated=estimated,
            cost=cost,
            charged=NanoUsd(min(cost, self._held)),
            price=self._price,
            ratio_ppm=self._ratio,
            dry=self._dry,
        )

    def _used(self, outcome: Outcome) -> tuple[Usage | None, bool]:
        """What is charged (spec: what happened, what is charged), and whether it is our own count."""
        if outcome == "complete" and self._usage is not None:
            return self._usage, False
        nothing = not self._text and not self._finished
        if outcome == "failed" or (nothing and not (outcome == "cancelled" and self._accepted)):
            return None, False
        if not self._counted:
            self._prompt = tokens.count(self._chat, self._model.id)
        generated = tokens.count_text("".join(self._text), self._model.id)
        told = self._usage or Usage()
        if not told.prompt_tokens:
            return Usage(prompt=self._prompt, completion=generated), True
        more = max(0, generated - told.completion_tokens)
        return msgspec.structs.replace(told, completion=told.completion + more), True

    @property
    def _accepted(self) -> bool:
        """A provider had begun to answer."""
        return self._wanted_upstream is not None and self._wanted_upstream.accepted

    # Arithmetic.

    def _price_of(self, completion: int) -> NanoUsd:
        return bound(self._price, self._prompt, completion, self._ratio)

    def _affordable(self, amount: NanoUsd) -> int:
        return affordable(self._price, self._prompt, amount, self._ratio)


def _least(balance: NanoUsd, cap: NanoUsd | None) -> NanoUsd:
    return balance if cap is None else min(balance, cap)


def _repeated(answer: Repeat) -> Exception:
    if answer.state == "running":
        return IdempotencyRunning()
    if answer.state == "mismatch":
        return IdempotencyMismatch()
    if answer.reply is not None and answer.reply.body is not None:
        return Replay(answer.id, answer.reply)
    return IdempotencyCompleted(id=answer.id, charged=answer.reply.cost if answer.reply else NanoUsd(0))


def _dry_reason(bound_by: str) -> str:
    return "wallet_empty" if bound_by == "wallet" else "budget_exceeded"


def _status(error: BaseException | None) -> tuple[int, str | None]:
    """The status and code of the usage row."""
    match error:
        case None:
            return 200, None
        case DeeptokenError():
            return error.status, error.code
        case Cut():
            return 502, "upstream_error"
        case Exception():
            return DeeptokenError.status, DeeptokenError.code
    return 499, "client_closed_request"
