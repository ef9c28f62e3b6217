"""Rolling limits of a key, exact over any window.

    usd           charged in the window + held now + asked for <= most
    tokens        used in the window + held now + asked for <= most
    requests      admitted in the window + 1 <= most
    concurrent    open now + 1 <= most

A window is (now - width, now]. A charge enters it when its call is settled and leaves it at its own time, so
no burst at midnight is possible. Open holds always count, so that no window is ever above its limit.

Admissions (16 bytes each) are all kept: no more than the limit are in a window.

A key's limits are those that its latest hold brought; they bind the extensions of all its holds.
"""

from collections import deque
from collections.abc import Mapping
from typing import Literal

import msgspec

from deeptoken.ledger.journal import Journal
from deeptoken.ledger.lots import OpenHold
from deeptoken.ledger.past import Past
from deeptoken.ledger.postings import Left, Limit
from deeptoken.ledger.windows import CHARGED, KEPT_MAX, TOKENS, History, Window
from deeptoken.money import AMOUNT_MAX

SOON_US = 1_000_000
"""When to ask again where the end of another call decides."""

Counted = Literal["usd", "tokens", "requests"]


class Blocked(msgspec.Struct, frozen=True):
    """A limit that lets nothing more in; `retry_after_us` None: not by time alone."""

    budget: bool
    name: str
    retry_after_us: int | None


class Meter:
    """What a key holds and, in its windows, has used. `balance` and `tokens_left` are of `measure`."""

    __slots__ = (
        "balance",
        "bound",
        "concurrent",
        "held",
        "last_us",
        "limits",
        "open",
        "requests",
        "tokens",
        "tokens_held",
        "tokens_left",
        "usd",
        "windows",
    )

    def __init__(self) -> None:
        self.held = 0
        self.tokens_held = 0
        self.open = 0
        self.last_us = 0
        self.limits: tuple[Limit, ...] = ()
        self.windows: dict[tuple[str, int], Window] = {}
        self.usd: list[tuple[Limit, Window]] = []
        self.tokens: list[tuple[Limit, Window]] = []
        self.requests: list[tuple[Limit, Window]] = []
        self.concurrent: Limit | None = None
        self.balance: int = AMOUNT_MAX
        """What the ``usd`` limits leave, open holds not considered."""
        self.bound = ""
        """The limit that leaves the least."""
        self.tokens_left: int = AMOUNT_MAX
        """What the ``tokens`` limits leave beside open holds."""

    def measure(self, now_us: int) -> None:
        """Bring every window to now."""
        self.balance = AMOUNT_MAX
        for limit, window in self.usd:
            window.advance(now_us)
            left = limit.most - window.total
            if left < self.balance:
                self.balance = left
                self.bound = limit.name
        self.tokens_left = AMOUNT_MAX
        for limit, window in self.tokens:
            window.advance(now_us)
            self.tokens_left = min(self.tokens_left, max(0, limit.most - window.total - self.tokens_held))
        for _, window in self.requests:
            window.advance(now_us)

    def full(self) -> bool:
        """Is a limit of calls reached?"""
        if self.concurrent is not None and self.open >= self.concurrent.most:
            return True
        for limit, window in self.requests:  # noqa: SIM110  (a generator costs more than the loop)
            if window.total >= limit.most:
                return True
        return False

    def blocked(self, minimum: int, tokens_minimum: int, now_us: int) -> Blocked | None:
        """The limit that refuses a hold of at least that, budgets first, of several the slowest."""
        blocks = [
            Blocked(True, limit.name, self._cure(limit, window, self.held, minimum, now_us))
            for limit, window in self.usd
            if max(0, limit.most - window.total) < minimum
        ]
        blocks += [
            Blocked(False, limit.name, self._cure(limit, window, self.tokens_held, tokens_minimum, now_us))
            for limit, window in self.tokens
            if max(0, limit.most - window.total - self.tokens_held) < tokens_minimum
        ]
        blocks += [
            Blocked(False, limit.name, self._cure(limit, window, 0, 1, now_us))
            for limit, window in self.requests
            if window.total >= limit.most
        ]
        if self.concurrent is not None and self.open >= self.concurrent.most:
            blocks.append(Blocked(False, self.concurrent.name, SOON_US if self.concurrent.most > 0 else None))
        if not blocks:
            return None
        budgets = [block for block in blocks if block.budget]
        worst = max(budgets or blocks, key=_wait_us)
        return Blocked(worst.budget, worst.name, max(blocks, key=_wait_us).retry_after_us)

    def left(self, minimum: int, tokens_minimum: int, now_us: int) -> list[Left]:
        """What each limit leaves, and which of them refuse a hold of at least that."""
        found = (
            [_left(limit, window, self.held, minimum, now_us) for limit, window in self.usd]
            + [
                _left(limit, window, self.tokens_held, tokens_minimum, now_us)
                for limit, window in self.tokens
            ]
            + [_left(limit, window, 0, 1, now_us) for limit, window in self.requests]
        )
        if (limit := self.concurrent) is not None:
            free = max(0, limit.most - self.open)
            cure = SOON_US if not free and limit.most > 0 else None
            found.append(Left(limit.name, limit.kind, limit.most, limit.most, free, not free, cure))
        return found

    @staticmethod
    def _cure(limit: Limit, window: Window, held: int, need: int, now_us: int) -> int | None:
        """How long until `need` fits, beside what is held if it ever can."""
        if need > limit.most:
            return None
        if held + need > limit.most:
            if window.total + need <= limit.most:
                return SOON_US
            held = 0
        return window.leaves_us(window.total + held + need - limit.most) - now_us

    def admitted(self, hold: OpenHold) -> None:
        """A hold was made."""
        self.open += 1
        self.held += hold.amount
        self.tokens_held += hold.tokens
        self.last_us = hold.created_us
        for _, window in self.requests:
            window.add(hold.created_us, 1)

    def settled(self, hold: OpenHold, charged: int, tokens: int, now_us: int) -> None:
        """A hold ended."""
        self.open -= 1
        self.held -= hold.amount
        self.tokens_held -= hold.tokens
        self.last_us = now_us
        for (kind, _), window in self.windows.items():
            if kind == "usd":
                window.add(now_us, charged)
            elif kind == "tokens":
                window.add(now_us, tokens)


class Ceilings:
    """The meters of all keys that have limits."""

    def __init__(self, past: Past, journal: Journal, holds: Mapping[str, OpenHold]) -> None:
        self.meters: dict[str, Meter] = {}
        self._history = History(past, journal)
        self._holds = holds
        self._hand: deque[str] = deque()

    def meter(self, key: str, limits: tuple[Limit, ...], now_us: int) -> Meter | None:
        """The key's meter, measured by these limits; None: it has none."""
        meter = self.meters.get(key)
        if meter is None:
            if not limits:
                return None
            meter = self._new(key, now_us)
        if limits != meter.limits:
            self._limit(key, meter, limits, now_us)
        meter.measure(now_us)
        return meter

    def _new(self, key: str, now_us: int) -> Meter:
        self._forget(now_us)
        meter = self.meters[key] = Meter()
        self._hand.append(key)
        meter.last_us = now_us
        for hold in self._holds.values():
            if hold.call.key == key:
                meter.open += 1
                meter.held += hold.amount
                meter.tokens_held += hold.tokens
        return meter

    def _forget(self, now_us: int) -> None:
        """Look at two old meters for each new one: those whose windows have all passed go."""
        for _ in range(min(2, len(self._hand))):
            key = self._hand.popleft()
            meter = self.meters[key]
            longest_us = max((window.width_us for window in meter.windows.values()), default=0)
            if meter.open or meter.last_us + longest_us >= now_us:
                self._hand.append(key)
            else:
                del self.meters[key]

    def _limit(self, key: str, meter: Meter, limits: tuple[Limit, ...], now_us: int) -> None:
        """The key has other limits now."""
        meter.limits = limits
        meter.usd, meter.tokens, meter.requests, meter.concurrent = [], [], [], None
        known, meter.windows = meter.windows, {}
        for limit in limits:
            if limit.kind == "concurrent":
                if meter.concurrent is None or limit.most < meter.concurrent.most:
                    meter.concurrent = limit
                continue
            which = (limit.kind, limit.window_us)
            window = known.get(which) or meter.windows.get(which)
            if window is None:
                window = self._load(key, limit.kind, limit.window_us, now_us)
            meter.windows[which] = window
            measured = {"usd": meter.usd, "tokens": meter.tokens, "requests": meter.requests}
            measured[limit.kind].append((limit, window))

    def _load(self, key: str, kind: Counted, width_us: int, now_us: int) -> Window:
        if kind == "requests":
            return self._load_requests(key, width_us, now_us)
        window = Window(key, width_us, self._history, CHARGED if kind == "usd" else TOKENS)
        window.load(now_us)
        return window

    def _load_requests(self, key: str, width_us: int, now_us: int) -> Window:
        """Every admission since; a call that was admitted since has not ended before."""
        edge_us = now_us - width_us
        admitted = [hold.created_us for hold in self._holds.values() if hold.call.key == key]
        after_us, all_read = edge_us, False
        while not all_read:
            rows, all_read = self._history.page(key, after_us, KEPT_MAX)
            admitted += [row[0] for row in rows]
            after_us = rows[-1][1] if rows else after_us
        window = Window(key, width_us, self._history, 0)
        for created_us in sorted(admitted):
            if created_us > edge_us:
                window.add(created_us, 1)
        return window


def _left(limit: Limit, window: Window, held: int, need: int, now_us: int) -> Left:
    balance = max(0, limit.most - window.total)
    available = max(0, balance - held)
    refuses = available < need
    cure = Meter._cure(limit, window, held, need, now_us) if refuses else None
    return Left(limit.name, limit.kind, limit.most, balance, available, refuses, cure)


def _wait_us(block: Blocked) -> int:
    return AMOUNT_MAX if block.retry_after_us is None else block.retry_after_us
