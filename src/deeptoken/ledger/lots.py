"""A wallet in memory: lots that drain in order, and the holds that are open on it.

    balance    what its lots have left
    held       what open holds set aside; never above the balance
    lapsed     the part of the balance that has expired and is kept for holds that are older

When a lot expires it keeps what holds made before then still need of it: what the lots before it in the
order cannot pay. The rest lapses at once, what was kept when those holds end. So for each lot that was kept,

    all lots up to it <= holds made before it expired

and thus ``balance - held`` is never expired credit, and no end of a hold can take the balance below what
the others hold.
"""

from bisect import insort
from typing import Literal

import msgspec

from deeptoken.ledger.changes import LotRow, WalletRow
from deeptoken.ledger.postings import Call, Claim, Held
from deeptoken.money import NanoUsd

NEVER_US = 2**63 - 1

Order = Literal["oldest_first", "expiring_first"]


class Lot(msgspec.Struct):
    """A lot with what is left of it; `until_us` is its expiry as a number that can be compared."""

    row: LotRow
    remaining: int
    until_us: int

    def now_row(self) -> LotRow:
        row = self.row
        return LotRow(
            row.id,
            row.wallet,
            row.source,
            row.rank,
            row.granted,
            NanoUsd(self.remaining),
            row.expires_us,
            row.ref,
            row.created_us,
        )


class OpenHold(msgspec.Struct):
    """A hold that is open. `answer` is what it was first given; `written`: its row was taken."""

    call: Call
    wallet: "Wallet"
    amount: int
    used: int
    tokens: int
    epoch: int
    created_us: int
    answer: Held | None = None
    claim: Claim | None = None
    written: bool = False
    subjects: tuple[str, ...] = ()
    fallback: str | None = None
    """The wallet that pays what this one cannot."""
    rest: "OpenHold | None" = None
    """What that one holds."""

    @property
    def total(self) -> int:
        return self.amount if self.rest is None else self.amount + self.rest.amount


class Wallet(msgspec.Struct):
    """One wallet. `next_sweep_us` is when its next lot expires."""

    id: str
    balance: int = 0
    held: int = 0
    lapsed: int = 0
    next_sweep_us: int = NEVER_US
    last_rank: int = 0
    lots: list[Lot] = []
    """Those with something left, in the order in which they drain."""
    holds: dict[str, OpenHold] = {}

    def row(self) -> WalletRow:
        return WalletRow(self.id, NanoUsd(self.balance), NanoUsd(self.held))

    def add(self, row: LotRow, order: Order) -> Lot:
        """Put a lot in its place."""
        until_us = NEVER_US if row.expires_us is None else row.expires_us
        lot = Lot(row=row, remaining=row.remaining, until_us=until_us)
        self.last_rank = max(self.last_rank, row.rank)
        if lot.remaining:
            if order == "oldest_first":
                insort(self.lots, lot, key=_rank)
            else:
                insort(self.lots, lot, key=_expiry)
            self.balance += lot.remaining
            self.next_sweep_us = min(self.next_sweep_us, until_us)
        return lot

    def draw(self, amount: int, made_us: int) -> list[tuple[Lot, int]]:
        """Take `amount` for a hold made at `made_us`, from lots that had not expired then."""
        if not amount:
            return []
        self.balance -= amount
        lot = self.lots[0]
        if lot.remaining > amount and lot.until_us > made_us:
            lot.remaining -= amount
            return [(lot, amount)]
        drawn: list[tuple[Lot, int]] = []
        for lot in self.lots:
            if lot.until_us > made_us:
                part = min(lot.remaining, amount)
                lot.remaining -= part
                amount -= part
                drawn.append((lot, part))
                if not amount:
                    break
        self.lots = [lot for lot in self.lots if lot.remaining]
        return drawn

    def sweep(self, now_us: int) -> list[tuple[Lot, int]]:
        """Let lapse what has expired, but for what older holds need; returns what lapsed of which lot."""
        before, kept, next_us = 0, 0, NEVER_US
        lapsing: list[tuple[Lot, int]] = []
        for lot in self.lots:
            if lot.until_us > now_us:
                next_us = min(next_us, lot.until_us)
            else:
                needed = self._held_before(lot.until_us) - before
                part = lot.remaining - min(lot.remaining, max(0, needed))
                if part:
                    lot.remaining -= part
                    lapsing.append((lot, part))
                kept += lot.remaining
            before += lot.remaining
        if lapsing:
            self.lots = [lot for lot in self.lots if lot.remaining]
        self.balance, self.lapsed, self.next_sweep_us = before, kept, next_us
        return lapsing

    def _held_before(self, us: int) -> int:
        return sum(hold.amount for hold in self.holds.values() if hold.created_us < us)


def _rank(lot: Lot) -> int:
    return lot.row.rank


def _expiry(lot: Lot) -> tuple[int, int]:
    return lot.until_us, lot.row.rank
