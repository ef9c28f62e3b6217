"""A naive ledger: it keeps what happened and adds everything up again for each posting.

It states the law of `deeptoken.ledger.book` a second time, as simply as can be, and shares no code with it.
`histories` makes what is played to both: postings with the time between them.
"""

import msgspec

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
    NotCheap,
    OpenWallet,
    Posting,
    Refund,
    Refused,
    Rejected,
    Repeat,
    Room,
    Settle,
    Settled,
    Sweep,
)
from deeptoken.money import NanoUsd
from reference_events import Coins, End, Run, share_out
from reference_histories import START_US as START_US
from reference_histories import epoch_of as epoch_of
from reference_histories import histories as histories
from reference_limits import PLENTY, SECOND, Bounds, Limited

DAY = 86_400 * SECOND


class ReferenceBook(Limited):
    """Answers every posting as the book must."""

    def restart(self) -> None:
        """The process died: keys of running calls, first answers and limits were in its memory only."""
        self.limits.clear()
        for run in self.runs.values():
            if run.end is None:
                run.claim = run.first = None

    def writer_died(self) -> None:
        """First answers and limits were in its memory only; what is held, others told."""
        self.limits.clear()
        for run in self.runs.values():
            if run.end is None:
                run.first = None

    # Lots.

    def lapse(self, wallet: str, now: int) -> bool:
        lapsed = False
        ahead = 0
        for coins in self.lots(wallet):
            if coins.expired(now):
                older = [amount for at, amount in self.holds(wallet) if coins.expires and at < coins.expires]
                kept = min(coins.left, max(0, sum(older) - ahead))
                if kept < coins.left:
                    coins.taken.append(coins.left - kept)
                    lapsed = True
            ahead += coins.left
        return lapsed

    def pay(self, wallet: str, amount: int, since: int) -> list[tuple[Coins, int]]:
        paid = []
        for coins in self.lots(wallet):
            part = 0 if coins.expired(since) else min(coins.left, amount)
            if part:
                coins.taken.append(part)
                paid.append((coins, part))
                amount -= part
        assert amount == 0
        return paid

    def put(self, id: str, wallet: str, amount: int, expires: int | None, ref: str) -> None:
        self.coins.append(Coins(id, wallet, amount, expires, ref, next(self._places)))

    # Postings.

    def post(self, posting: Posting, now: int, epoch: int = 0) -> Answer:
        """Decide and write down what happened."""
        match posting:
            case Hold():
                return self.hold(posting, now, epoch)
            case Extend() | Checkpoint():
                return self.go_on(posting, now)
            case Settle():
                return self.settle(posting, now)
            case OpenWallet():
                new = posting.wallet not in self.wallets
                self.wallets += [posting.wallet] if new else []
                return Done(new)
            case Grant():
                return self.grant(posting, now)
            case Refund():
                return self.refund(posting, now)
            case Fence():
                orphans = [run for run in self.open() if run.epoch == posting.epoch]
                for run in orphans:
                    self.finish(run, Settle(run.call.id, NanoUsd(max(run.used)), "orphan"), now)
                return Done(bool(orphans))
            case Sweep():
                return Done(any([self.lapse(wallet, now) for wallet in self.wallets]))  # noqa: C419  (all of them)
        raise AssertionError(posting)

    def hold(self, hold: Hold, now: int, epoch: int) -> Answer:
        key, wallet = hold.call.key, hold.call.wallet
        known = self.runs.get(hold.call.id)
        if known is not None:
            if known.end is not None:
                return Rejected("")
            if known.first is not None:
                return known.first
            self.lapse(known.call.wallet, now)
            return Held(NanoUsd(known.amount), self.room(known.call.wallet, [], now))
        repeat = self.repeat(key, hold.claim, now) if hold.claim else None
        if repeat is not None:
            return repeat
        if wallet not in self.wallets:
            return Refused("wallet_unknown", Room(NanoUsd(0), NanoUsd(0)))
        for subject in (key, *hold.subjects):
            whose = "" if subject == key else subject
            self.limits[subject] = tuple(limit for limit in hold.limits if limit.subject == whose)
        payers = [wallet] + [hold.fallback] * (hold.fallback in self.wallets)
        for payer in payers:
            self.lapse(payer or "", now)
        return self.choose(hold, [payer or "" for payer in payers], now, epoch)

    def choose(self, hold: Hold, payers: list[str], now: int, epoch: int) -> Answer:
        """The first that need not clamp, else the first that can pay at all."""
        every = self.bounds(hold.call.key, hold.subjects)
        own = [each for each in every if not each[0].startswith("org_")]
        rooms = [self.room(payers[0], every, now)] + [self.room(payer, own, now) for payer in payers[1:]]
        answers = [
            self.refuse(hold, payer, bounds, room, now)
            for payer, bounds, room in zip(payers, [every, own], rooms, strict=False)
        ]
        if isinstance(answers[0], NotCheap):
            return NotCheap(rooms[0], rooms[1] if len(rooms) > 1 else None)
        able = [n for n, answer in enumerate(answers) if answer is None]
        if not able:
            refused = [answer for answer in answers if isinstance(answer, Refused)]
            return min(refused, key=passes)
        paying = next((n for n in able if rooms[n].balance >= hold.full), able[0])
        room = rooms[paying]
        if not paying and len(payers) > 1 and room.balance < hold.full:
            room = self.both(room, payers, every, now)
        return self.begin(hold, payers[paying], own if paying else every, room, now, epoch)

    def both(self, room: Room, payers: list[str], every: Bounds, now: int) -> Room:
        """What the first leaves, with what the second has for the rest."""
        left = {True: [PLENTY], False: [PLENTY]}
        for subject, limit in every:
            if limit.kind == "usd":
                left[subject.startswith("org_")].append(limit.most - self.used(subject, limit, now))
        own, other = (self.valid(payer, now) for payer in payers)
        balance = max(0, min(*left[False], max(0, min(own, *left[True])) + other))
        return msgspec.structs.replace(room, balance=NanoUsd(balance))

    def begin(self, hold: Hold, payer: str, bounds: Bounds, room: Room, now: int, epoch: int) -> Held:
        grant = share_out(hold, room.available, self.tokens_left(bounds, now))
        other = payer != hold.call.wallet
        held = Held(NanoUsd(grant[0]), room, payer if other else "")
        run = Run(msgspec.structs.replace(hold.call, wallet=payer), epoch, now, hold.claim, held, [grant])
        run.subjects = tuple(s for s in hold.subjects if not (other and s.startswith("org_")))
        run.fallback = None if other else hold.fallback
        self.runs[hold.call.id] = run
        return held

    def repeat(self, key: str, claim: Claim, now: int) -> Repeat | None:
        for run in reversed(self.runs.values()):
            if run.call.key == key and run.claim is not None and run.claim.name == claim.name:
                same = run.claim.fingerprint == claim.fingerprint
                if run.end is None:
                    return Repeat("running" if same else "mismatch", run.call.id)
                if run.end.charged and now < run.end.at + DAY:
                    done = Repeat("done", run.call.id, run.end.reply)
                    return done if same else Repeat("mismatch", run.call.id)
        return None

    def go_on(self, posting: Extend | Checkpoint, now: int) -> Answer:
        run = self.runs.get(posting.id)
        if run is None or run.end is not None:
            return Rejected("")
        more = posting.used > max(run.used)
        run.used.append(posting.used)
        if isinstance(posting, Checkpoint):
            return Done(more)
        wallet, bounds = run.call.wallet, self.bounds(run.call.key, run.subjects)
        self.lapse(wallet, now)
        room = self.room(wallet, bounds, now)
        whole = Hold(run.call, NanoUsd(0), posting.more, tokens=posting.tokens)
        amount, tokens = share_out(whole, room.available, self.tokens_left(bounds, now))
        run.grants.append((amount, tokens))
        if amount < posting.more and run.fallback in self.wallets:
            left = NanoUsd(posting.more - amount)
            room = self.go_on_beside(
                run, Hold(run.call, NanoUsd(0), left, tokens=posting.tokens - tokens), now
            )
        return Held(NanoUsd(run.amount), room)

    def go_on_beside(self, run: Run, hold: Hold, now: int) -> Room:
        """The second wallet gives what the first one cannot."""
        second = run.fallback or ""
        own = [each for each in self.bounds(run.call.key, run.subjects) if not each[0].startswith("org_")]
        self.lapse(second, now)
        room = self.room(second, own, now)
        more = share_out(hold, room.available, self.tokens_left(own, now))
        if more[0]:
            run.rest_at = run.rest_at if run.rest else now
            run.rest.append(more)
        return room

    def settle(self, settle: Settle, now: int) -> Answer:
        run = self.runs.get(settle.id)
        if run is None:
            return Rejected("")
        if run.end is None:
            self.finish(run, settle, now)
        elif run.end.outcome == "orphan" and run.late is None and settle.cost != run.end.cost:
            self.settle_late(run, settle, settle.cost - run.end.cost, now)
        return Settled(NanoUsd(run.charged), NanoUsd(run.cost - run.charged))

    def finish(self, run: Run, settle: Settle, now: int) -> None:
        wallet, second = run.call.wallet, run.fallback if run.rest else None
        for each in (wallet, second):
            self.lapse(each or "", now)
        most = settle.cost if settle.most is None else min(settle.cost, settle.most)
        reach = run.amount if second else run.amount + self.free(wallet)
        first, rest = min(most, run.first_amount if second else reach), 0
        if second:
            rest = min(most - first, run.rest_amount + self.free(second))
        paid = self.pay(wallet, first, run.at)
        paid += self.pay(second, rest, run.rest_at) if second else []
        usage = settle.usage
        tokens = usage.prompt_tokens + usage.completion_tokens
        run.end = End(now, settle.cost, settle.outcome, tokens, settle.reply, paid, rest)
        for each in (wallet, second):
            self.lapse(each or "", now)

    def settle_late(self, run: Run, settle: Settle, difference: int, now: int) -> None:
        if difference > 0:
            left = difference if settle.most is None else min(difference, max(0, settle.most - run.charged))
            for wallet in run.payers:
                self.lapse(wallet, now)
                paid = self.pay(wallet, min(left, self.free(wallet)), now)
                run.late_paid += paid
                left -= sum(amount for _, amount in paid)
            run.late = sum(amount for _, amount in run.late_paid), difference
        if difference < 0:
            lost = run.cost - run.charged
            back = min(max(0, -difference - lost), run.charged - run.refunded)
            parts = self.give_back(run, back, f"lot_{run.call.id}", run.call.id, now)
            if back or lost:
                run.back, run.late = parts, (-back, -back - min(lost, -difference))

    def give_back(self, run: Run, amount: int, id: str, ref: str, now: int) -> list[tuple[str, int]]:
        parts = run.parts(amount)
        for n, (payer, part) in enumerate(parts):
            mark, expires = f"/{n + 1}" if n else "", run.expires(payer)
            self.lapse(payer, now)
            until = None if expires is None else max(expires, now + 30 * DAY)
            self.put(id + mark, payer, part, until, ref + mark)
        return parts

    def grant(self, grant: Grant, now: int) -> Answer:
        if grant.wallet not in self.wallets:
            return Rejected("")
        self.lapse(grant.wallet, now)
        if any(coins.ref == grant.ref for coins in self.coins):
            return Done(False)
        if grant.amount <= 0:
            return Rejected("")
        self.put(grant.lot, grant.wallet, grant.amount, grant.expires_us, grant.ref)
        self.lapse(grant.wallet, now)
        return Done(True)

    def refund(self, refund: Refund, now: int) -> Answer:
        if any(coins.ref == refund.ref for coins in self.coins):
            return Done(False)
        run = self.runs.get(refund.usage)
        if run is None or run.end is None or not 0 < refund.amount <= run.charged - run.refunded:
            return Rejected("")
        run.refunds += self.give_back(run, refund.amount, refund.lot, refund.ref, now)
        return Done(True)


def passes(refused: Refused) -> int:
    """How long until the same call passes, by time alone."""
    if refused.retry_after_us is not None:
        return refused.retry_after_us
    return SECOND if refused.reason == "held_by_inflight" else PLENTY
