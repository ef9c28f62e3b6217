"""What the naive ledger has, and what the limits of a call leave of it: everything is added up each time."""

import calendar
import time
from itertools import count

from deeptoken.ledger.postings import (
    ALWAYS_US,
    MONTH_US,
    Answer,
    Hold,
    Limit,
    NotCheap,
    Refused,
    Room,
)
from deeptoken.money import NanoUsd
from reference_events import Coins, Run

SECOND = 1_000_000
PLENTY = 2**62
Bounds = list[tuple[str, Limit]]
"""Subjects with their limits."""


def next_month(at: int) -> int:
    """The first microsecond of the month that follows."""
    year, month, *_ = time.gmtime(at // SECOND)
    return calendar.timegm((year + month // 12, month % 12 + 1, 1, 0, 0, 0)) * SECOND


def inside(limit: Limit, moment: int, at: int) -> bool:
    """Is a moment in the window of a limit, at a time?"""
    if limit.window_us == ALWAYS_US:
        return moment <= at
    if limit.window_us == MONTH_US:
        return moment <= at and next_month(moment) == next_month(at)
    return at - limit.window_us < moment <= at


class Limited:
    """Wallets, calls, and the limits that their subjects have now."""

    def __init__(self, *, expiring_first: bool = False) -> None:
        self.wallets: list[str] = []
        self.coins: list[Coins] = []
        self.runs: dict[str, Run] = {}
        self.limits: dict[str, tuple[Limit, ...]] = {}
        self.expiring_first = expiring_first
        self._places = count()

    # Sums.

    def lots(self, wallet: str) -> list[Coins]:
        mine = [coins for coins in self.coins if coins.wallet == wallet and coins.left]
        if self.expiring_first:
            return sorted(mine, key=lambda c: (PLENTY * 2 if c.expires is None else c.expires, c.place))
        return sorted(mine, key=lambda c: c.place)

    def balance(self, wallet: str) -> int:
        return sum(coins.left for coins in self.coins if coins.wallet == wallet)

    def open(self, *, subject: str | None = None) -> list[Run]:
        return [
            run
            for run in self.runs.values()
            if run.end is None and (subject is None or run.counts_at(subject))
        ]

    def holds(self, wallet: str) -> list[tuple[int, int]]:
        """Since when how much is held of a wallet."""
        held = [(run.at, run.first_amount) for run in self.open() if run.call.wallet == wallet]
        return held + [
            (run.rest_at, run.rest_amount) for run in self.open() if run.rest and run.fallback == wallet
        ]

    def held(self, wallet: str) -> int:
        return sum(amount for _, amount in self.holds(wallet))

    def free(self, wallet: str) -> int:
        return self.balance(wallet) - self.held(wallet)

    def valid(self, wallet: str, now: int) -> int:
        return sum(coins.left for coins in self.lots(wallet) if not coins.expired(now))

    def used(self, subject: str, limit: Limit, at: int) -> int:
        """What the window of a limit has at a time."""
        runs = [run for run in self.runs.values() if run.counts_at(subject)]
        if limit.kind == "requests":
            return sum(inside(limit, run.at, at) for run in runs)
        ends = [run.end for run in runs if run.end and inside(limit, run.end.at, at)]
        return sum(end.charged_for(subject) if limit.kind == "usd" else end.tokens for end in ends)

    def beside(self, subject: str, limit: Limit) -> int:
        """What open holds add to it."""
        if limit.kind == "requests":
            return 0
        runs = self.open(subject=subject)
        return sum(run.held_for(subject) if limit.kind == "usd" else run.tokens for run in runs)

    def room(self, wallet: str, bounds: Bounds, now: int) -> Room:
        valid = self.valid(wallet, now)
        left = [
            (limit.most - self.used(subject, limit, now), self.beside(subject, limit), limit)
            for subject, limit in bounds
            if limit.kind == "usd"
        ]
        free = [(self.free(wallet), "wallet", "")]
        free += [(most - beside, limit.name, limit.subject) for most, beside, limit in left]
        available, bound, whose = min(free, key=lambda each: each[0])
        balance = min([valid, *(most for most, _, _ in left)])
        return Room(NanoUsd(max(0, balance)), NanoUsd(max(0, available)), bound, whose)

    def tokens_left(self, bounds: Bounds, now: int) -> int:
        left = [
            limit.most - self.used(subject, limit, now) - self.beside(subject, limit)
            for subject, limit in bounds
            if limit.kind == "tokens"
        ]
        return max(0, min(left, default=PLENTY))

    def bounds(self, key: str, subjects: tuple[str, ...]) -> Bounds:
        """All limits of a call as they are, by subject."""
        return [(subject, limit) for subject in (key, *subjects) for limit in self.limits.get(subject, ())]

    def refuse(self, hold: Hold, wallet: str, bounds: Bounds, room: Room, now: int) -> Answer | None:
        least, least_tokens = min(hold.minimum, hold.wanted), min(hold.tokens_minimum, hold.tokens)
        calls = [each for each in bounds if each[1].kind in ("requests", "concurrent")]
        none = {"usd": 0, "tokens": 0, "requests": 1, "concurrent": 1}
        if hold.share_ppm < 1_000_000:
            if any(self.full(subject, limit, 1, now) for subject, limit in calls):
                return self.blocked(hold, bounds, none, room, now)
            share, tokens_left = hold.share_ppm, self.tokens_left(bounds, now)
            if hold.wanted * 10**6 > share * room.available or hold.tokens * 10**6 > share * tokens_left:
                return NotCheap(room)
        elif self.valid(wallet, now) < least:
            return Refused("insufficient_credit", room)
        needs = {"usd": least, "tokens": least_tokens, "requests": 1, "concurrent": 1}
        blocked = self.blocked(hold, bounds, needs, room, now)
        if blocked is not None:
            return blocked
        if room.available < least:
            limit = "" if room.bound == "wallet" else room.bound
            return Refused("held_by_inflight", room, limit, subject=room.subject)
        return None

    def full(self, subject: str, limit: Limit, need: int, now: int) -> bool:
        if limit.kind == "concurrent":
            return len(self.open(subject=subject)) + 1 > limit.most
        beside = self.beside(subject, limit) if limit.kind == "tokens" else 0
        return need > max(0, limit.most - self.used(subject, limit, now) - beside)

    def blocked(
        self, hold: Hold, bounds: Bounds, needs: dict[str, int], room: Room, now: int
    ) -> Refused | None:
        found = [
            (subject, limit, self.wait(subject, limit, needs[limit.kind], now))
            for subject, limit in bounds
            if self.full(subject, limit, needs[limit.kind], now)
        ]
        if not found:
            return None
        places = [hold.call.key, *hold.subjects]
        kinds = ("usd", "tokens", "requests", "concurrent")
        found.sort(key=lambda each: (places.index(each[0]), kinds.index(each[1].kind)))
        longest = max(wait for _, _, wait in found)
        budgets = [each for each in found if each[1].kind == "usd"]
        subject, limit, _ = max(budgets or found, key=lambda each: each[2])
        return Refused(
            "budget_exceeded" if budgets else "rate_limited",
            room,
            limit.name,
            None if longest >= PLENTY else longest,
            "" if subject == hold.call.key else subject,
        )

    def wait(self, subject: str, limit: Limit, need: int, now: int) -> int:
        """How long until it fits: try every moment at which something leaves."""
        if limit.kind == "concurrent":
            return SECOND if limit.most > 0 else PLENTY
        if need > limit.most:
            return PLENTY
        beside = self.beside(subject, limit)
        if beside + need > limit.most:
            if self.used(subject, limit, now) + need <= limit.most:
                return SECOND
            beside = 0
        if limit.window_us == ALWAYS_US:
            return PLENTY
        if limit.window_us == MONTH_US:
            return next_month(now) - now
        moments = {run.at for run in self.runs.values()} | {
            run.end.at for run in self.runs.values() if run.end
        }
        for moment in sorted(at + limit.window_us for at in moments if at + limit.window_us > now):
            if self.used(subject, limit, moment) + beside + need <= limit.most:
                return moment - now
        raise AssertionError("it never fits")
