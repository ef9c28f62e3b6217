"""A naive ledger: it keeps what happened and adds everything up again for each posting.

It states the law of `deeptoken.ledger.book` a second time, as simply as can be, and shares no code with it.
`histories` makes what is played to both: postings with the time between them.
"""

from itertools import count

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
    Limit,
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

SECOND = 1_000_000
DAY = 86_400 * SECOND
PLENTY = 2**62


class ReferenceBook:
    """Answers every posting as the book must."""

    def __init__(self, *, expiring_first: bool = False) -> None:
        self.wallets: list[str] = []
        self.coins: list[Coins] = []
        self.runs: dict[str, Run] = {}
        self.limits: dict[str, tuple[Limit, ...]] = {}
        self.expiring_first = expiring_first
        self._places = count()

    def restart(self) -> None:
        """The process died: keys of running calls, first answers and limits were in its memory only."""
        self.limits.clear()
        for run in self.runs.values():
            if run.end is None:
                run.claim = run.first = None

    # Sums.

    def lots(self, wallet: str) -> list[Coins]:
        mine = [coins for coins in self.coins if coins.wallet == wallet and coins.left]
        if self.expiring_first:
            return sorted(mine, key=lambda c: (PLENTY * 2 if c.expires is None else c.expires, c.place))
        return sorted(mine, key=lambda c: c.place)

    def balance(self, wallet: str) -> int:
        return sum(coins.left for coins in self.coins if coins.wallet == wallet)

    def open(self, *, wallet: str | None = None, key: str | None = None) -> list[Run]:
        return [
            run
            for run in self.runs.values()
            if run.end is None and wallet in (None, run.call.wallet) and key in (None, run.call.key)
        ]

    def held(self, wallet: str) -> int:
        return sum(run.amount for run in self.open(wallet=wallet))

    def free(self, wallet: str) -> int:
        return self.balance(wallet) - self.held(wallet)

    def used(self, key: str, limit: Limit, at: int) -> int:
        """What the window of a limit has at a time."""
        runs = [run for run in self.runs.values() if run.call.key == key]
        if limit.kind == "requests":
            return sum(at - limit.window_us < run.at <= at for run in runs)
        ends = [run.end for run in runs if run.end and at - limit.window_us < run.end.at <= at]
        return sum(end.charged if limit.kind == "usd" else end.tokens for end in ends)

    def beside(self, key: str, limit: Limit) -> int:
        """What open holds add to it."""
        if limit.kind == "requests":
            return 0
        return sum(run.amount if limit.kind == "usd" else run.tokens for run in self.open(key=key))

    # Lots.

    def lapse(self, wallet: str, now: int) -> bool:
        lapsed = False
        ahead = 0
        for coins in self.lots(wallet):
            if coins.expired(now):
                older = [run for run in self.open(wallet=wallet) if coins.expires and run.at < coins.expires]
                kept = min(coins.left, max(0, sum(run.amount for run in older) - ahead))
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

    def room(self, wallet: str, key: str, limits: tuple[Limit, ...], now: int) -> Room:
        valid = sum(coins.left for coins in self.lots(wallet) if not coins.expired(now))
        budgets = [limit for limit in limits if limit.kind == "usd"]
        left = [limit.most - self.used(key, limit, now) for limit in budgets]
        free = [(self.free(wallet), "wallet")]
        free += [
            (most - self.beside(key, limit), limit.name) for limit, most in zip(budgets, left, strict=True)
        ]
        available, bound = min(free, key=lambda each: each[0])
        return Room(NanoUsd(max(0, min([valid, *left]))), NanoUsd(max(0, available)), bound)

    def tokens_left(self, key: str, limits: tuple[Limit, ...], now: int) -> int:
        left = [
            limit.most - self.used(key, limit, now) - self.beside(key, limit)
            for limit in limits
            if limit.kind == "tokens"
        ]
        return max(0, min(left, default=PLENTY))

    def hold(self, hold: Hold, now: int, epoch: int) -> Answer:
        key, wallet = hold.call.key, hold.call.wallet
        known = self.runs.get(hold.call.id)
        if known is not None:
            if known.end is not None:
                return Rejected("")
            if known.first is not None:
                return known.first
            self.lapse(wallet, now)
            return Held(NanoUsd(known.amount), self.room(wallet, key, (), now))
        repeat = self.repeat(key, hold.claim, now) if hold.claim else None
        if repeat is not None:
            return repeat
        if wallet not in self.wallets:
            return Refused("wallet_unknown", Room(NanoUsd(0), NanoUsd(0)))
        self.lapse(wallet, now)
        self.limits[key] = hold.limits
        room = self.room(wallet, key, hold.limits, now)
        refused = self.refuse(hold, room, now)
        if refused is not None:
            return refused
        amount, tokens = share_out(hold, room.available, self.tokens_left(key, hold.limits, now))
        held = Held(NanoUsd(amount), room)
        self.runs[hold.call.id] = Run(hold.call, epoch, now, hold.claim, held, [(amount, tokens)])
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

    def refuse(self, hold: Hold, room: Room, now: int) -> Answer | None:
        key = hold.call.key
        least, least_tokens = min(hold.minimum, hold.wanted), min(hold.tokens_minimum, hold.tokens)
        calls = [limit for limit in hold.limits if limit.kind in ("requests", "concurrent")]
        if hold.share_ppm < 1_000_000:
            if any(self.full(key, limit, 1, now) for limit in calls):
                return self.blocked(key, [(limit, 1) for limit in calls], room, now)
            share = hold.share_ppm
            tokens_left = self.tokens_left(key, hold.limits, now)
            if hold.wanted * 10**6 > share * room.available or hold.tokens * 10**6 > share * tokens_left:
                return NotCheap(room)
        elif sum(c.left for c in self.lots(hold.call.wallet) if not c.expired(now)) < least:
            return Refused("insufficient_credit", room)
        needs = {"usd": least, "tokens": least_tokens, "requests": 1, "concurrent": 1}
        blocked = self.blocked(key, [(limit, needs[limit.kind]) for limit in hold.limits], room, now)
        if blocked is not None:
            return blocked
        if room.available < least:
            return Refused("held_by_inflight", room, "" if room.bound == "wallet" else room.bound)
        return None

    def full(self, key: str, limit: Limit, need: int, now: int) -> bool:
        if limit.kind == "concurrent":
            return len(self.open(key=key)) + 1 > limit.most
        beside = self.beside(key, limit) if limit.kind == "tokens" else 0
        return need > max(0, limit.most - self.used(key, limit, now) - beside)

    def blocked(self, key: str, needs: list[tuple[Limit, int]], room: Room, now: int) -> Refused | None:
        found = [
            (limit, self.wait(key, limit, need, now))
            for limit, need in needs
            if self.full(key, limit, need, now)
        ]
        if not found:
            return None
        found.sort(key=lambda each: ("usd", "tokens", "requests", "concurrent").index(each[0].kind))
        longest = max(wait for _, wait in found)
        budgets = [each for each in found if each[0].kind == "usd"]
        name = max(budgets or found, key=lambda each: each[1])[0].name
        reason = "budget_exceeded" if budgets else "rate_limited"
        return Refused(reason, room, name, None if longest >= PLENTY else longest)  # type: ignore[arg-type]  # one of two literals

    def wait(self, key: str, limit: Limit, need: int, now: int) -> int:
        """How long until it fits: try every moment at which something leaves."""
        if limit.kind == "concurrent":
            return SECOND if limit.most > 0 else PLENTY
        if need > limit.most:
            return PLENTY
        beside = self.beside(key, limit)
        if beside + need > limit.most:
            if self.used(key, limit, now) + need <= limit.most:
                return SECOND
            beside = 0
        moments = {run.at for run in self.runs.values()} | {
            run.end.at for run in self.runs.values() if run.end
        }
        for moment in sorted(at + limit.window_us for at in moments if at + limit.window_us > now):
            if self.used(key, limit, moment) + beside + need <= limit.most:
                return moment - now
        raise AssertionError("it never fits")

    def go_on(self, posting: Extend | Checkpoint, now: int) -> Answer:
        run = self.runs.get(posting.id)
        if run is None or run.end is not None:
            return Rejected("")
        more = posting.used > max(run.used)
        run.used.append(posting.used)
        if isinstance(posting, Checkpoint):
            return Done(more)
        key, wallet = run.call.key, run.call.wallet
        self.lapse(wallet, now)
        limits = self.limits.get(key, ())
        room = self.room(wallet, key, limits, now)
        whole = Hold(run.call, NanoUsd(0), posting.more, tokens=posting.tokens)
        run.grants.append(share_out(whole, room.available, self.tokens_left(key, limits, now)))
        return Held(NanoUsd(run.amount), room)

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
        wallet = run.call.wallet
        self.lapse(wallet, now)
        most = settle.cost if settle.most is None else settle.most
        paid = self.pay(wallet, min(settle.cost, most, run.amount + self.free(wallet)), run.at)
        usage = settle.usage
        tokens = usage.prompt_tokens + usage.completion_tokens
        run.end = End(now, settle.cost, settle.outcome, tokens, settle.reply, paid)
        self.lapse(wallet, now)

    def settle_late(self, run: Run, settle: Settle, difference: int, now: int) -> None:
        wallet = run.call.wallet
        self.lapse(wallet, now)
        if difference > 0:
            allowed = difference if settle.most is None else max(0, settle.most - run.charged)
            run.late_paid = self.pay(wallet, min(difference, allowed, self.free(wallet)), now)
            run.late = sum(amount for _, amount in run.late_paid), difference
        if difference < 0:
            lost = run.cost - run.charged
            back = min(max(0, -difference - lost), run.charged - sum(run.refunds))
            if back:
                expires = None if run.expires is None else max(run.expires, now + 30 * DAY)
                self.put(f"lot_{run.call.id}", wallet, back, expires, run.call.id)
            if back or lost:
                run.late = -back, -back - min(lost, -difference)

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
        if run is None or run.end is None or not 0 < refund.amount <= run.charged - sum(run.refunds):
            return Rejected("")
        self.lapse(run.call.wallet, now)
        run.refunds.append(refund.amount)
        expires = None if run.expires is None else max(run.expires, now + 30 * DAY)
        self.put(refund.lot, run.call.wallet, refund.amount, expires, refund.ref)
        return Done(True)
