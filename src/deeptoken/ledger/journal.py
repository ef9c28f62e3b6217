"""What the book changed since it was last asked: rows to be written, and things whose last state counts."""

from deeptoken.ledger.changes import Changes, ClaimRow, EntryRow, HoldRow, SpentRow, UsageRow
from deeptoken.ledger.lots import Lot, OpenHold, Wallet
from deeptoken.money import NanoUsd


class Journal:
    """Collects; rows of what has a state are made when they are taken."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.wallets: dict[str, Wallet] = {}
        self.lots: dict[str, Lot] = {}
        self.usage: list[UsageRow] = []
        self.claims: list[ClaimRow] = []
        self.entries: list[EntryRow] = []
        self.spent: list[SpentRow] = []
        self._holds: dict[str, OpenHold] = {}
        self._ended: list[str] = []

    def hold(self, hold: OpenHold) -> None:
        """It was made or it changed."""
        self._holds[hold.call.id] = hold

    def end(self, hold: OpenHold) -> None:
        """It is no more. One that was never taken leaves no trace."""
        self._holds.pop(hold.call.id, None)
        if hold.written:
            self._ended.append(hold.call.id)

    def take(self) -> Changes:
        """All since the last time."""
        holds = {id: hold_row(hold) for id, hold in self._holds.items()}
        for hold in self._holds.values():
            hold.written = True
        changes = Changes(
            wallets={id: wallet.row() for id, wallet in self.wallets.items()},
            lots={id: lot.now_row() for id, lot in self.lots.items()},
            holds=holds,
            ended=self._ended,
            usage=self.usage,
            entries=self.entries,
            claims=self.claims,
            spent=self.spent,
        )
        self._clear()
        return changes


def hold_row(hold: OpenHold) -> HoldRow:
    """As it is now."""
    return HoldRow(
        hold.call,
        NanoUsd(hold.amount),
        NanoUsd(hold.used),
        hold.tokens,
        hold.epoch,
        hold.created_us,
        hold.subjects,
        hold.fallback,
    )
