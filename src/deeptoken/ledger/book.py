"""The law of the ledger: what a posting does to a wallet. No clock, no I/O, no SQL.

A wallet is two amounts: `balance` (credits that are there) and `held` (credits set aside for calls in
flight). What can be spent is ``balance - held``, and it is never below zero.

    Grant       balance += amount                 a new lot
    Hold        held    += amount                 not above what is available, nor above a key's limits
    Extend      held    += more                   as far as both reach
    Settle      held    -= its hold
                balance -= charge                 as far as the hold and what is available reach;
                loss    += the rest               the operator bears what nobody could cover
    Refund      balance += amount                 a new lot, of at most what the call was charged
    Fence       settles what a dead process held, at its checkpoints; what its owner still tells of such a
                call comes `late` and is booked beside it, once

Here is decided; the rows that follow (`take`) are its durable mirror. How a wallet drains and lapses is
`lots.py`, what a key may use is `ceilings.py`. ``tests/ledger/test_history.py`` plays random histories to
this and to a naive model of the same law, and compares every answer.

After TigerBeetle's two-phase transfers (its docs/coding/two-phase-transfers.md).
"""

from collections.abc import Iterable, Mapping

import msgspec

from deeptoken.ledger.admission import extension, granted, refusal, room
from deeptoken.ledger.ceilings import Ceilings, without_organizations
from deeptoken.ledger.changes import Changes, EntryRow, HoldRow, LotRow, WalletRow
from deeptoken.ledger.claims import Claims
from deeptoken.ledger.closing import SECOND, pay, write
from deeptoken.ledger.journal import Journal
from deeptoken.ledger.late import give_back, settle_late
from deeptoken.ledger.lots import OpenHold, Order, Wallet
from deeptoken.ledger.meters import ORGANIZATION, Meters, each, tightest
from deeptoken.ledger.past import Past, Recent
from deeptoken.ledger.payers import Payer, chosen, left, payers
from deeptoken.ledger.postings import (
    Answer,
    Checkpoint,
    Claim,
    Done,
    Extend,
    Fence,
    Grant,
    Held,
    Hold,
    Left,
    OpenWallet,
    Posting,
    Refund,
    Refused,
    Rejected,
    Room,
    Settle,
    Settled,
    Sweep,
)
from deeptoken.ledger.reopening import in_order, put, reopen, rows
from deeptoken.ledger.vault import Vault
from deeptoken.money import AMOUNT_MAX, NanoUsd

BOUGHT = ("pack", "subscription")
NEGATIVE = "An amount is below zero."
NO_ROOM = Room(balance=NanoUsd(0), available=NanoUsd(0))


class Book:
    """All wallets, lots and open holds. One posting at a time."""

    def __init__(self, past: Past, *, order: Order = "oldest_first") -> None:
        self._past = past
        self._journal = Journal()
        self._vault = Vault(self._journal, order)
        self.wallets = self._vault.by_id
        self.holds: dict[str, OpenHold] = {}
        self._recent = Recent(past)
        self._claims = Claims(past, self._journal)
        self._ceilings = Ceilings(past, self._journal, self.holds)

    def load(
        self,
        wallets: Iterable[WalletRow],
        lots: Iterable[LotRow],
        holds: Iterable[HoldRow],
        *,
        last_usage: str | None = None,
    ) -> None:
        """Start from rows; of the lots those with something left are enough.

        `last_usage` is the greatest id of a usage row (``""`` if there is none). Without it, every new hold
        asks the past whether its call has ended.
        """
        for wallet in wallets:
            self._vault.open(wallet.id)
        for lot in lots:
            self._vault.load(lot)
        for row in in_order(holds):
            put(row, self.holds, self.wallets).written = True
        if last_usage is not None:
            self._recent.starts_after(last_usage)

    def reopen(self, told: Iterable[HoldRow], claims: Mapping[str, Claim]) -> None:
        """Put what a process knows of its holds in the place of what was durable of them (`reopening.py`)."""
        reopen(told, claims, self.holds, self.wallets, self._recent, self._claims, self._journal)

    def rows(self, id: str) -> list[HoldRow]:
        """An open hold as rows: its own, and that of its second wallet."""
        return rows(self.holds.get(id))

    def post(self, posting: Posting, now_us: int, epoch: int = 0) -> Answer:
        """Apply one posting, for that process. The second time it changes nothing.

        The time is the ledger's: it is later with each posting, also after a restart.
        """
        if isinstance(posting, Hold):
            return self._hold(posting, now_us, epoch)
        if isinstance(posting, Settle):
            return self._settle(posting, now_us)
        if isinstance(posting, Extend):
            return self._extend(posting, now_us)
        if isinstance(posting, Checkpoint):
            return self._checkpoint(posting)
        return self._administer(posting, now_us)

    def take(self) -> Changes:
        """What changed since the last time; from now on the past answers for it."""
        self._recent.taken()
        self._vault.refs.clear()
        return self._journal.take()

    def close(self, wallet: str) -> bool:
        """A wallet goes with its owner; False: it has money, or calls in flight, or is gone already."""
        return self._vault.close(wallet)

    def keep(self, wallet: str) -> None:
        """It does not go after all."""
        self._vault.reopen(wallet)

    def room(self, wallet: str, now_us: int) -> Room | None:
        """What a wallet can pay; its `balance` is without credit that older calls alone may use."""
        owner = self._vault.find(wallet, now_us)
        return None if owner is None else room(owner, None)

    def left(self, hold: Hold, now_us: int) -> list[Left]:
        """What the wallet that would pay, and each limit that binds it, leave for a hold; nothing is held."""
        wallet = self._vault.find(hold.call.wallet, now_us)
        if wallet is None:
            return [Left("wallet", "wallet", None, 0, 0, True, None, hold.call.wallet)]
        second = None if hold.fallback is None else self._vault.find(hold.fallback, now_us)
        meters = self._ceilings.measured(hold.call.key, hold.subjects, hold.limits, now_us)
        return left(hold, payers(hold, wallet, second, meters, now_us), now_us)

    # A call.

    def _hold(self, hold: Hold, now_us: int, epoch: int) -> Answer:
        call = hold.call
        if hold.minimum < 0 or hold.wanted < 0 or hold.tokens < 0:
            return Rejected(NEGATIVE)
        known = self._known(hold, now_us)
        if known is not None:
            return known
        for limit in hold.limits:
            if limit.subject and limit.subject not in hold.subjects:
                return Rejected(f"A limit of {limit.subject} is told, and not that the call counts there.")
        wallet = self._vault.find(call.wallet, now_us)
        if wallet is None:
            return Refused("wallet_unknown", NO_ROOM)
        if hold.fallback is None:
            meters = self._ceilings.measured(call.key, hold.subjects, hold.limits, now_us)
            there = room(wallet, meters)
            refused = refusal(hold, wallet, meters, there, now_us)
            return refused or self._admit(hold, wallet, meters, there, now_us, epoch)
        second = self._vault.find(hold.fallback, now_us)
        meters = self._ceilings.measured(call.key, hold.subjects, hold.limits, now_us)
        payer = chosen(hold, payers(hold, wallet, second, meters, now_us))
        if not isinstance(payer, Payer):
            return payer
        return self._admit(hold, payer.wallet, payer.meters, payer.room, now_us, epoch)

    def _admit(
        self, hold: Hold, wallet: Wallet, meters: Meters | None, there: Room, now_us: int, epoch: int
    ) -> Held:
        """The hold is made, on the wallet that pays."""
        call, subjects = hold.call, hold.subjects
        other = ""
        if wallet.id != call.wallet:
            # What organizations allow is no matter of this wallet.
            call = msgspec.structs.replace(call, wallet=wallet.id)
            subjects, other = tuple(s for s in subjects if not s.startswith(ORGANIZATION)), wallet.id
        amount, tokens = granted(hold, meters, there)
        made = OpenHold(call, wallet, amount, 0, tokens, epoch, now_us, None, hold.claim)
        made.subjects, made.fallback = subjects, None if other else hold.fallback
        self._open(made)
        self._journal.hold(made)
        self._journal.wallets[wallet.id] = wallet
        if hold.claim is not None:
            self._claims.begin(call, hold.claim)
        if meters is None:
            made.answer = answer = Held(NanoUsd(amount), there, other)
            return answer
        for meter in each(meters):
            meter.admitted(made)
        rates, near = tightest(meters.rates(now_us)), meters.near()
        made.answer = answer = Held(NanoUsd(amount), there, other, rates, near)
        return answer

    def _known(self, hold: Hold, now_us: int) -> Answer | None:
        """The answer to a hold whose call, or whose idempotency key, is known."""
        call = hold.call
        made = self.holds.get(call.id)
        if made is not None:
            return made.answer or Held(NanoUsd(made.total), room(self._vault.due(made.wallet, now_us), None))
        if self._recent.ended(call.id):
            return Rejected("This call has ended.")
        if hold.claim is not None:
            return self._claims.repeat(call.key, hold.claim, now_us)
        return None

    def _extend(self, extend: Extend, now_us: int) -> Answer:
        hold = self.holds.get(extend.id)
        if hold is None:
            return Rejected("No such hold is open.")
        if extend.more < 0 or extend.tokens < 0:
            return Rejected(NEGATIVE)
        wallet = self._vault.due(hold.wallet, now_us)
        meters = self._ceilings.held(hold, now_us)
        there = room(wallet, meters)
        amount, tokens = extension(extend, meters, there)
        hold.amount += amount
        hold.tokens += tokens
        hold.used = max(hold.used, extend.used)
        wallet.held += amount
        for meter in each(meters):
            meter.grown(amount, tokens)
        self._journal.hold(hold)
        self._journal.wallets[wallet.id] = wallet
        if amount < extend.more and hold.fallback is not None:
            left = Extend(extend.id, NanoUsd(extend.more - amount), extend.used, extend.tokens - tokens)
            there = self._extend_rest(hold, left, now_us) or there
        return Held(NanoUsd(hold.total), there)

    def _extend_rest(self, hold: OpenHold, extend: Extend, now_us: int) -> Room | None:
        """What the wallet could not give, the second one does."""
        assert hold.fallback is not None
        wallet = self._vault.find(hold.fallback, now_us)
        if wallet is None:
            return None
        meters = without_organizations(self._ceilings.held(hold, now_us))
        there = room(wallet, meters)
        amount, tokens = extension(extend, meters, there)
        if not amount:
            return there
        rest = hold.rest
        if rest is None:
            call = msgspec.structs.replace(hold.call, id=hold.call.id + SECOND, wallet=wallet.id)
            rest = hold.rest = OpenHold(call, wallet, 0, 0, 0, hold.epoch, now_us)
            wallet.holds[call.id] = rest
        rest.amount += amount
        hold.tokens += tokens
        wallet.held += amount
        for meter in each(meters):
            meter.grown(amount, tokens)
        self._journal.hold(rest)
        self._journal.wallets[wallet.id] = wallet
        return there

    def _checkpoint(self, checkpoint: Checkpoint) -> Answer:
        hold = self.holds.get(checkpoint.id)
        if hold is None:
            return Rejected("No such hold is open.")
        if checkpoint.used <= hold.used:
            return Done(changed=False)
        hold.used = checkpoint.used
        self._journal.hold(hold)
        return Done(changed=True)

    def _settle(self, settle: Settle, now_us: int) -> Answer:
        if settle.cost < 0 or (settle.most is not None and settle.most < 0):
            return Rejected(NEGATIVE)
        hold = self.holds.get(settle.id)
        if hold is not None:
            return self._close(hold, settle, now_us)
        usage = self._recent.find(settle.id)
        if usage is None:
            return Rejected("No such hold was ever made.")
        if usage.outcome == "orphan" and not usage.late and settle.cost != usage.cost:
            usage = settle_late(self._vault, settle, usage, now_us)
            self._recent.put(settle.id, usage)
        return _settled(usage.cost, usage.charged)

    def _close(self, hold: OpenHold, settle: Settle, now_us: int) -> Settled:
        """The hold becomes a usage row."""
        call, rest = hold.call, hold.rest
        wallet = self._vault.due(hold.wallet, now_us)
        if rest is not None:
            self._journal.wallets[rest.wallet.id] = self._vault.due(rest.wallet, now_us)
            self._journal.end(rest)
        paid = pay(hold, settle)
        del self.holds[call.id]
        self._journal.end(hold)
        self._journal.wallets[wallet.id] = wallet
        self._recent.put(call.id, write(self._journal, hold, settle, paid, now_us))
        if self._ceilings.meters:
            tokens = settle.usage.prompt_tokens + settle.usage.completion_tokens
            self._ceilings.settled(hold, paid.charged, paid.rest, tokens, now_us)
        total = paid.charged + paid.rest
        if hold.claim is not None:
            self._claims.end(call, hold.claim, settle.reply, charged=total, now_us=now_us)
        if wallet.lapsed:
            self._vault.sweep(wallet, now_us)
        if rest is not None and rest.wallet.lapsed:
            self._vault.sweep(rest.wallet, now_us)
        return _settled(settle.cost, total)

    # All else.

    def _administer(self, posting: Posting, now_us: int) -> Answer:
        match posting:
            case OpenWallet():
                return self._open_wallet(posting)
            case Grant():
                return self._grant(posting, now_us)
            case Refund():
                return self._refund(posting, now_us)
            case Fence():
                return self._fence(posting, now_us)
            case Sweep():
                due = [wallet for wallet in self.wallets.values() if wallet.next_sweep_us <= now_us]
                lapsed = [self._vault.sweep(wallet, now_us) for wallet in due]
                return Done(changed=any(lapsed))
        return Rejected("This is not a matter of the book.")

    def _open_wallet(self, posting: OpenWallet) -> Answer:
        if posting.wallet in self.wallets or posting.wallet in self._vault.closed:
            return Done(changed=False)
        self._journal.wallets[posting.wallet] = self._vault.open(posting.wallet)
        return Done(changed=True)

    def _grant(self, grant: Grant, now_us: int) -> Answer:
        wallet = self._vault.find(grant.wallet, now_us)
        if wallet is None:
            return Rejected("There is no such wallet.")
        if self._used(grant.ref):
            return Done(changed=False)
        if not 0 < grant.amount <= AMOUNT_MAX - wallet.balance:
            return Rejected("A grant is more than nothing and not more than a wallet can have.")
        self._vault.add(wallet, grant, now_us)
        source = "cash" if grant.source in BOUGHT else "promo"
        self._journal.entries.append(
            EntryRow(grant.ref, "grant", 0, source, wallet.id, grant.amount, grant.lot, now_us)
        )
        self._vault.due(wallet, now_us)
        return Done(changed=True)

    def _refund(self, refund: Refund, now_us: int) -> Answer:
        if self._used(refund.ref):
            return Done(changed=False)
        usage = self._recent.find(refund.usage)
        if usage is None:
            return Rejected("There is no such usage row.")
        if not 0 < refund.amount <= usage.charged - usage.refunded:
            return Rejected("A refund is more than nothing and not more than is left of the charge.")
        self._recent.put(refund.usage, give_back(self._vault, refund, usage, now_us))
        return Done(changed=True)

    def _fence(self, fence: Fence, now_us: int) -> Answer:
        left = [hold for hold in self.holds.values() if hold.epoch == fence.epoch]
        for hold in left:
            end = Settle(
                hold.call.id,
                NanoUsd(hold.used),
                "orphan",
                estimated=True,
                status=500,
                code="internal_error",
                duration_ms=(now_us - hold.created_us) // 1_000,
            )
            self._close(hold, end, now_us)
        return Done(changed=bool(left))

    # What they share.

    def _open(self, hold: OpenHold) -> None:
        self.holds[hold.call.id] = hold
        hold.wallet.holds[hold.call.id] = hold
        hold.wallet.held += hold.amount

    def _used(self, ref: str) -> bool:
        return ref in self._vault.refs or self._past.granted(ref)


def _settled(cost: int, charged: int) -> Settled:
    return Settled(NanoUsd(charged), NanoUsd(cost - charged))
