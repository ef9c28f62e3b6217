"""What a call owes, from its hold to its settlement.

    open     hold what the call may cost at most, if that is cheap against the wallet: nothing is counted
             else count the prompt, see what the balance affords, and hold a first grant
    take     what was generated; the hold grows before it is used up. When it cannot, the answer ends there
    close    one settlement, whatever happened: the block's way out

Amounts are held before they are used, so a wallet is never overdrawn; what a provider sends beyond a hold
that cannot grow is the operator's loss, at most a quarter of the hold and what was on its way.
"""

from collections.abc import Callable
from types import TracebackType

import msgspec

from deeptoken import clock
from deeptoken.catalog.model import Model
from deeptoken.catalog.price import charge
from deeptoken.errors import BadRequest, DeeptokenError
from deeptoken.gateway.doors import Delivery, Ledger
from deeptoken.gateway.inbound import Inbound
from deeptoken.gateway.refusal import charge_alone, legible, outcome_of, refusal, repeated, status_of
from deeptoken.gateway.tally import meter_of
from deeptoken.gateway.terms import FIRST_WORDS, GRANT_MIN, Terms, least, paying
from deeptoken.gateway.trace import Bill
from deeptoken.gateway.upstream import Answer, Cut, Wanted
from deeptoken.identity.caller import Caller
from deeptoken.ledger.postings import Answer as Posted
from deeptoken.ledger.postings import (
    Call,
    Checkpoint,
    Extend,
    Held,
    Hold,
    NotCheap,
    Outcome,
    Refused,
    Repeat,
    Settled,
    StoredReply,
)
from deeptoken.money import ONE_PPM, NanoUsd, show
from deeptoken.providers.base import Asked, Piece
from deeptoken.wire.chat import Chat
from deeptoken.wire.usage import Usage

CHEAP_PPM = 10_000
"""A hold within 1 % of what is available is made without counting anything."""
GRANT_S = 10
"""An extension lasts that long at the rate so far."""
MARGIN_MIN = 32
CHECKPOINT_S = 10.0
DRY_REASONS = {"wallet": "wallet_empty", "max_cost_usd": "max_cost_usd", "tpm": "rate_limit_exceeded"}
"""Why an answer ended early, by what binds; everything else that binds is a ceiling."""


class Tab:
    """One call's money. Use as ``async with``; see the module's words for its life."""

    def __init__(
        self,
        ledger: Ledger,
        caller: Caller,
        models: tuple[Model, ...],
        chat: Chat,
        call: Inbound,
        delivery: Delivery,
        left: Callable[[], bool],
    ) -> None:
        self._ledger = ledger
        self._caller = caller
        self._terms = Terms(models, caller.group.ratio_ppm, chat.task)
        self._model = models[0]
        """The one that answers; before one does, the first of those that may."""
        self._chat = chat
        self._stream = chat.stream
        self._call = call
        self._delivery = delivery
        self._left = left
        self._ratio = caller.group.ratio_ppm
        self._choices = chat.request.n or 1
        self._meter = meter_of(chat, self._model, self._terms)
        self._limit: int | None = None
        """The most tokens a choice may have, if the money sets it; and all choices together, anyhow."""
        self._most = 0
        self._held = NanoUsd(0)
        self._covered = 0
        """Tokens of output that the hold pays."""
        self._partly = False
        """They are not the most that may be generated: progress must be seen."""
        self._ask_at = 0
        self._bound = "wallet"
        self.behind = False
        """`catch_up` before more is given on: the hold has to grow, or a checkpoint is due."""
        self._rest: list[Piece] = []
        self._given: list[Piece] = []
        """What came after it had to grow, and waits for that; what was given on last."""
        self.dry: str | None = None
        """Why the answer ends here."""
        self._wanted: Wanted | None = None
        self._checkpoint_at = call.began + CHECKPOINT_S

    # The hold.

    async def __aenter__(self) -> "Tab":
        self._most = self._choices * self._terms.longest(self._chat.request)
        worst = self._price_of(self._most)
        cap = self._call.cost_max
        # Above the caller's own cap nothing is cheap: no share is asked for, and the answer tells the room.
        share_ppm = CHEAP_PPM if cap is None or worst <= cap else 0
        answer = await self._ask(worst, worst, self._most, self._most, share_ppm, worst)
        if isinstance(answer, Held):
            self._hold_is(answer.amount, self._most)
        else:
            await self._hold_counted(answer)
        return self

    async def _hold_counted(self, told: NotCheap) -> None:
        """The prompt is counted; what the balance affords bounds the answer; a first grant is held."""
        self._meter.count_prompt()
        each = self._terms.longest(self._chat.request, self._meter.prompt)
        first = self._choices * min(FIRST_WORDS, each)
        self._most = self._choices * each
        minimum = self._price_of(first)
        cap = self._call.cost_max
        if cap is not None and minimum > cap:
            raise BadRequest(f"max_cost_usd: this call costs {show(minimum)} at least.", param="max_cost_usd")
        full = least(self._price_of(self._most), cap)
        room = paying(told, full, minimum)
        most = max(first, min(self._most, self._affordable(least(room.balance, cap))))
        wanted = self._terms.first_grant(self._meter.prompt, most, room.available)
        answer = await self._ask(minimum, self._price_of(wanted), wanted, first, ONE_PPM, full)
        if isinstance(answer, NotCheap):
            raise DeeptokenError
        most = self._affordable(least(answer.room.balance, cap))
        if most < self._most:
            self._limit = most // self._choices
            self._most = self._limit * self._choices
            capped = cap is not None and cap <= answer.room.balance
            self._bound = "max_cost_usd" if capped else answer.room.bound
        self._hold_is(answer.amount, self._affordable(answer.amount))

    async def _ask(
        self, minimum: NanoUsd, wanted: NanoUsd, most: int, least: int, share_ppm: int, full: NanoUsd
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
                    price=self._model.price.id,
                    ratio_ppm=self._ratio,
                    stream=self._stream,
                ),
                minimum=minimum,
                wanted=wanted,
                share_ppm=share_ppm,
                tokens=self._meter.prompt + most,
                tokens_minimum=self._meter.prompt + least,
                limits=caller.limits,
                claim=call.claim,
                subjects=caller.subjects,
                fallback=caller.fallback,
                full=full,
            )
        )
        match answer:
            case Held():
                self._admitted(answer)
                return answer
            case NotCheap():
                return answer
            case Refused():
                raise refusal(answer, minimum, self._affordable(answer.room.available) // self._choices)
            case Repeat():
                raise repeated(answer)
        raise DeeptokenError

    def _admitted(self, held: Held) -> None:
        """What the caller is told of its limits, and who pays."""
        trace, caller = self._call.trace, self._caller
        trace.rates, trace.near = held.rates, held.near
        if held.wallet:
            trace.caller = self._caller = msgspec.structs.replace(
                caller, wallet=held.wallet, owner=caller.fallback_owner, fallback=None
            )

    def _hold_is(self, amount: NanoUsd, covered: int) -> None:
        """The hold is now `amount`, which pays `covered` tokens."""
        self._held = amount
        self._covered = min(self._most, covered)
        self._partly = self._covered < self._most
        if self._partly:
            self._ask_at = self._covered * 3 // 4
        else:
            # Held in full: looked at again only if the provider sends more than it may, by our rough count.
            self._ask_at = self._edge if self._limit is not None else 2 * self._edge

    @property
    def _edge(self) -> int:
        """Where an answer ends whose hold cannot grow: before the end of a part, and behind that of the
        whole, since a provider keeps the limit that it was given by its own count.
        """
        quarter = self._covered // 4
        if self._partly:
            return self._covered - min(MARGIN_MIN, quarter)
        return self._covered + quarter + MARGIN_MIN

    # While the answer comes.

    def wanted(self, asked: Asked, deadline: float) -> Wanted:
        """What is wanted of an attempt. Where the hold has to grow, progress must be seen: streamed."""
        self._wanted = Wanted(
            chat=self._chat,
            asked=asked,
            stream=self._stream or self._partly,
            limit=self._limit,
            deadline=deadline,
        )
        return self._wanted

    def begin(self, answer: Answer) -> None:
        """A provider answers."""
        trace = self._call.trace
        trace.answer = answer
        if answer.at.model is not self._model or len(self._terms.models) > 1:
            self._answered_by(answer.at.model)
        trace.ttft_ms = round((clock.monotonic() - self._call.began) * 1_000)
        if answer.reply is not None:
            self._meter.take(answer.reply)

    def _answered_by(self, model: Model) -> None:
        """Of several models this one answers: its price alone counts from here on."""
        self._call.trace.asked = model
        if model is not self._model:
            self._call.trace.by = (model.id, model.price.id)
        self._model = model
        self._meter.answered_by(model)
        self._terms = Terms((model,), self._ratio, self._chat.task)
        self._most = min(self._most, self._choices * self._terms.longest(self._chat.request))
        self._hold_is(self._held, self._affordable(self._held))

    def take(self, pieces: list[Piece]) -> list[Piece]:
        """What came and is paid for; where the hold has to grow first, the tab is `behind` with the rest."""
        meter = self._meter
        self._given = pieces
        for place, piece in enumerate(pieces, 1):
            meter.add(piece)
            if meter.generated >= self._ask_at and not (piece.finish and self._choices == 1):
                self.behind, self._rest = True, pieces[place:]
                self._given = pieces[:place]
                return self._given
        if clock.monotonic() >= self._checkpoint_at:
            self.behind = True
        return pieces

    async def catch_up(self) -> list[Piece]:
        """What the tab was behind with, once the hold has grown: all of it, until the wallet is dry."""
        paid: list[Piece] = []
        while self.behind:
            self.behind = False
            now = clock.monotonic()
            if now >= self._checkpoint_at:
                self._checkpoint_at = now + CHECKPOINT_S
                await self._ledger.post(Checkpoint(self._call.id, self._price_of(self._meter.generated)))
            if self._meter.generated >= self._ask_at and not await self._extend():
                break
            rest, self._rest = self._rest, []
            paid += self.take(rest)
        self._given = paid
        return paid

    async def _extend(self) -> bool:
        counted = self._meter.count()
        if counted < min(self._ask_at, self._edge):
            return True
        elapsed = max(1.0, clock.monotonic() - self._call.began)
        grant = max(GRANT_MIN, GRANT_S * int(counted / elapsed))
        target = min(self._most, self._covered + grant) if self._partly else self._covered + grant
        before = self._covered
        more = self._capped(NanoUsd(self._price_of(target) - self._held))
        answer = await self._ledger.post(
            Extend(
                self._call.id,
                more=more,
                used=self._price_of(counted),
                tokens=target - before,
            )
        )
        if isinstance(answer, Held):
            if self._bound != "max_cost_usd":
                # Money that was there and not given: a limit of tokens binds.
                self._bound = answer.room.bound if answer.room.available < more else "tpm"
            self._most = max(self._most, target)
            self._hold_is(answer.amount, self._affordable(answer.amount))
        if counted < self._edge:
            # Where it grew by little or nothing, the next look is half way to the edge, the last one there.
            self._ask_at = max(self._ask_at, (counted + self._edge + 1) // 2)
            return True
        self.dry = DRY_REASONS.get(self._bound, "budget_exceeded")
        return False

    def _capped(self, more: NanoUsd) -> NanoUsd:
        """Not above what the caller's ``max_cost_usd`` leaves."""
        cap = self._call.cost_max
        return NanoUsd(max(0, more if cap is None else min(more, cap - self._held)))

    # The way out.

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        left, end = self._left(), error
        if error is not None:
            end = legible(error, self._call.trace.answer)
            if isinstance(error, Exception) and not isinstance(error, Cut):
                self._meter.forget(self._given)
        bill: Bill | None = None
        try:
            bill = await self._reckon(self._outcome(end, left))
            reply = self._written(bill) if error is None else None
        except BaseException as problem:
            # A whole answer that cannot be written is none; of a stream all but its end was delivered.
            if bill is None or not self._stream:
                bill = self._bill(None, NanoUsd(0))
            await self._settle(bill, None, problem, left)
            raise
        settled = await self._settle(bill, reply, end, left)
        if end is not None and end is not error:
            raise end
        if not isinstance(settled, Settled) and error is None:
            raise DeeptokenError

    async def _settle(
        self, bill: Bill, reply: StoredReply | None, end: BaseException | None, left: bool
    ) -> Posted:
        """The call ended by `end`: its hold becomes its row."""
        trace, call = self._call.trace, self._call
        trace.bill, trace.outcome = bill, self._outcome(end, left)
        trace.status, trace.code = (200, None) if end is None else status_of(end, left=left)
        if end is not None and call.claim is not None:
            reply = charge_alone(call, bill.charged, trace.status)
        took_ms = round((clock.monotonic() - call.began) * 1_000)
        return await self._ledger.post(trace.settlement(call.id, bill, trace.outcome, took_ms, reply))

    def _written(self, bill: Bill) -> StoredReply | None:
        """What is left of the answer is written; what is kept of it for a repeat."""
        try:
            self._delivery.compose(bill)
        except msgspec.DecodeError as error:
            raise legible(error, self._call.trace.answer) from error
        return None if self._call.claim is None else self._delivery.kept()

    def _outcome(self, error: BaseException | None, left: bool) -> Outcome:
        begun = self._stream and (isinstance(error, Cut) or self._meter.heard)
        return outcome_of(error, dry=bool(self.dry), delivered=begun, left=left)

    async def _reckon(self, outcome: Outcome) -> Bill:
        """The bill, with the hold grown to it as far as the wallet reaches."""
        accepted = None if self._wanted is None else self._wanted.accepted
        if accepted is not None and self._call.trace.answer is None:
            # Its prompt may be charged, at its price.
            self._answered_by(accepted)
        usage, estimated = self._meter.used(outcome, accepted=accepted is not None)
        cost = NanoUsd(0) if usage is None else charge(self._model.price, usage, self._ratio)
        if cost > self._held:
            answer = await self._ledger.post(
                Extend(self._call.id, more=self._capped(NanoUsd(cost - self._held)), used=self._held)
            )
            if isinstance(answer, Held):
                self._held = answer.amount
        return self._bill(usage, cost, estimated=estimated)

    def _bill(self, usage: Usage | None, cost: NanoUsd, *, estimated: bool = False) -> Bill:
        return Bill(
            usage=usage or Usage(),
            told=None if estimated else self._meter.told,
            estimated=estimated,
            cost=cost,
            charged=NanoUsd(min(cost, self._held)),
            price=self._model.price,
            ratio_ppm=self._ratio,
            dry=self.dry,
        )

    # Arithmetic.

    def _price_of(self, completion: int) -> NanoUsd:
        return self._terms.price_of(self._meter.prompt, completion)

    def _affordable(self, amount: NanoUsd) -> int:
        return self._terms.affordable(self._meter.prompt, amount)
