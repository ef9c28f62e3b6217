"""What the limits of a subject leave, and those of all subjects of a call as one.

    usd           charged in the window + held now + asked for <= most
    tokens        used in the window + held now + asked for <= most
    requests      admitted in the window + 1 <= most
    concurrent    open now + 1 <= most

A call is admitted if every limit of every subject lets it, and then counts at all of them.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from deeptoken.ledger.lots import OpenHold
from deeptoken.ledger.postings import Left, Limit, Near, Rate
from deeptoken.ledger.windows import Window
from deeptoken.money import AMOUNT_MAX, ONE_PPM

SOON_US = 1_000_000
"""When to ask again where the end of another call decides."""
NEAR_PPM = 800_000
"""From this share of a ``usd`` limit on, callers are warned."""
ORGANIZATION = "org_"
"""How the subjects begin that count only what an organization's wallet pays."""

Counted = Literal["usd", "tokens", "requests"]


class Blocked(msgspec.Struct, frozen=True):
    """A limit that lets nothing more in; `retry_after_us` None: not by time alone."""

    budget: bool
    name: str
    retry_after_us: int | None
    subject: str = ""


class Meter:
    """What a subject holds and, in its windows, has used. What it leaves is of `measure`."""

    __slots__ = (
        "balance",
        "bound",
        "charged",
        "concurrent",
        "held",
        "last_us",
        "limits",
        "open",
        "requests",
        "spare",
        "subject",
        "tokens",
        "tokens_held",
        "tokens_left",
        "usd",
        "used",
        "whose",
        "windows",
    )

    def __init__(self, subject: str) -> None:
        self.subject = subject
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
        self.charged: list[Window] = []
        """Of `windows` those of money, and those of tokens."""
        self.used: list[Window] = []
        self.balance: int = AMOUNT_MAX
        """What the ``usd`` limits leave, open holds not considered."""
        self.spare: int = AMOUNT_MAX
        """The same beside open holds."""
        self.bound = ""
        """The limit that leaves the least, and whose it is."""
        self.whose = ""
        self.tokens_left: int = AMOUNT_MAX
        """What the ``tokens`` limits leave beside open holds."""

    def measure(self, now_us: int) -> None:
        """Bring every window to now."""
        self.balance = AMOUNT_MAX
        for limit, window in self.usd:
            if now_us >= window.due_us:
                window.advance(now_us)
            left = limit.most - window.total
            if left < self.balance:
                self.balance = left
                self.bound, self.whose = limit.name, limit.subject
        self.spare = self.balance - self.held
        self.tokens_left = AMOUNT_MAX
        for limit, window in self.tokens:
            if now_us >= window.due_us:
                window.advance(now_us)
            left = limit.most - window.total - self.tokens_held
            if left < self.tokens_left:
                self.tokens_left = left if left > 0 else 0
        for _, window in self.requests:
            if now_us >= window.due_us:
                window.advance(now_us)

    def full(self) -> bool:
        """Is a limit of calls reached?"""
        if self.concurrent is not None and self.open >= self.concurrent.most:
            return True
        for limit, window in self.requests:  # noqa: SIM110  (a generator costs more than the loop)
            if window.total >= limit.most:
                return True
        return False

    def blocks(self, minimum: int, tokens_minimum: int, now_us: int) -> list[Blocked]:
        """The limits that refuse a hold of at least that."""
        cure, subject = self._cure, self.subject
        blocks = [
            Blocked(True, limit.name, cure(limit, window, self.held, minimum, now_us), subject)
            for limit, window in self.usd
            if max(0, limit.most - window.total) < minimum
        ]
        blocks += [
            Blocked(False, limit.name, cure(limit, window, self.tokens_held, tokens_minimum, now_us), subject)
            for limit, window in self.tokens
            if max(0, limit.most - window.total - self.tokens_held) < tokens_minimum
        ]
        blocks += [
            Blocked(False, limit.name, cure(limit, window, 0, 1, now_us), subject)
            for limit, window in self.requests
            if window.total >= limit.most
        ]
        if self.concurrent is not None and self.open >= self.concurrent.most:
            soon = SOON_US if self.concurrent.most > 0 else None
            blocks.append(Blocked(False, self.concurrent.name, soon, subject))
        return blocks

    def rates(self, now_us: int) -> list[Rate]:
        """What the limits of requests and tokens leave."""
        found = [
            Rate("requests", limit.most, max(0, limit.most - window.total), window.whole_us(0, now_us))
            for limit, window in self.requests
        ]
        return found + [
            Rate(
                "tokens",
                limit.most,
                max(0, limit.most - window.total - self.tokens_held),
                window.whole_us(self.tokens_held, now_us),
            )
            for limit, window in self.tokens
        ]

    def near(self) -> Near | None:
        """The ``usd`` limit that is used the most, if nearly all of it is."""
        found: Near | None = None
        for limit, window in self.usd:
            used = window.total + self.held
            if used * ONE_PPM >= NEAR_PPM * limit.most and limit.most:
                used_ppm = used * ONE_PPM // limit.most
                if found is None or used_ppm > found.used_ppm:
                    found = Near(limit.name, self.subject, used_ppm)
        return found

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
            found.append(
                Left(limit.name, limit.kind, limit.most, limit.most, free, not free, cure, limit.subject)
            )
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
        leaves_us = window.leaves_us(window.total + held + need - limit.most)
        return None if leaves_us is None else leaves_us - now_us

    def grown(self, amount: int, tokens: int) -> None:
        """A hold has so much more."""
        self.held += amount
        self.tokens_held += tokens

    def admitted(self, hold: OpenHold) -> None:
        """A hold was made."""
        self.open += 1
        self.held += hold.amount
        self.tokens_held += hold.tokens
        self.last_us = hold.created_us
        for _, window in self.requests:
            window.add(hold.created_us, 1)

    def settled(self, held: int, tokens_held: int, charged: int, tokens: int, now_us: int) -> None:
        """A hold ended."""
        self.open -= 1
        self.held -= held
        self.tokens_held -= tokens_held
        self.last_us = now_us
        for window in self.charged:
            window.add(now_us, charged)
        for window in self.used:
            window.add(now_us, tokens)


class Several:
    """The meters of a call with several subjects."""

    __slots__ = ("balance", "bound", "meters", "spare", "tokens_left", "usd", "whose")

    def __init__(self, meters: Sequence[Meter]) -> None:
        self.meters = meters
        self.usd = any(meter.usd for meter in meters)
        self.balance = min(meter.balance for meter in meters)
        tightest = min(meters, key=lambda meter: meter.spare)
        self.spare, self.bound, self.whose = tightest.spare, tightest.bound, tightest.whose
        self.tokens_left = min(meter.tokens_left for meter in meters)

    def full(self) -> bool:
        """Is a limit of calls reached?"""
        return any(meter.full() for meter in self.meters)

    def blocks(self, minimum: int, tokens_minimum: int, now_us: int) -> list[Blocked]:
        """The limits that refuse a hold of at least that."""
        return [block for meter in self.meters for block in meter.blocks(minimum, tokens_minimum, now_us)]

    def rates(self, now_us: int) -> list[Rate]:
        """What the limits of requests and tokens leave."""
        return [rate for meter in self.meters for rate in meter.rates(now_us)]

    def near(self) -> Near | None:
        """The ``usd`` limit that is used the most, if nearly all of it is."""
        found = [near for meter in self.meters if (near := meter.near()) is not None]
        return max(found, key=lambda near: near.used_ppm, default=None)

    def left(self, minimum: int, tokens_minimum: int, now_us: int) -> list[Left]:
        """What each limit leaves."""
        return [left for meter in self.meters for left in meter.left(minimum, tokens_minimum, now_us)]


Meters = Meter | Several


def each(meters: Meters | None) -> Sequence[Meter]:
    match meters:
        case None:
            return ()
        case Meter():
            return (meters,)
    return meters.meters


def worst(blocks: Sequence[Blocked]) -> Blocked | None:
    """What a caller is told: budgets first, of several the slowest; and when all of them let it."""
    if not blocks:
        return None
    chosen = max([block for block in blocks if block.budget] or blocks, key=_wait_us)
    return Blocked(chosen.budget, chosen.name, max(blocks, key=_wait_us).retry_after_us, chosen.subject)


def tightest(rates: Sequence[Rate]) -> tuple[Rate, ...]:
    """Of each kind the one that leaves the least."""
    if len(rates) < 2 or (len(rates) == 2 and rates[0].kind != rates[1].kind):
        return tuple(rates)
    found: dict[str, Rate] = {}
    for rate in rates:
        if rate.kind not in found or rate.left < found[rate.kind].left:
            found[rate.kind] = rate
    return tuple(found.values())


def _left(limit: Limit, window: Window, held: int, need: int, now_us: int) -> Left:
    balance = max(0, limit.most - window.total)
    available = max(0, balance - held)
    refuses = available < need
    cure = Meter._cure(limit, window, held, need, now_us) if refuses else None
    return Left(limit.name, limit.kind, limit.most, balance, available, refuses, cure, limit.subject)


def _wait_us(block: Blocked) -> int:
    return AMOUNT_MAX if block.retry_after_us is None else block.retry_after_us
