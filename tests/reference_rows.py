"""The rows that a book hands over, kept as a store would: its past, and all that must be true of them."""

from collections import Counter, defaultdict

from deeptoken.ledger.changes import (
    Changes,
    ClaimRow,
    EntryRow,
    HoldRow,
    LotRow,
    SpentRow,
    UsageRow,
    WalletRow,
)
from deeptoken.ledger.past import PastUsage, Spent, recall

Draw = tuple[str, str, int, int]
"""A payment from a lot: wallet, lot, amount, and since when the lot must have been valid."""


class Rows:
    """Tables. `apply` is a commit."""

    def __init__(self, *, expiring_first: bool = False) -> None:
        self.wallets: dict[str, WalletRow] = {}
        self.lots: dict[str, LotRow] = {}
        self.holds: dict[str, HoldRow] = {}
        self.rows: dict[str, UsageRow] = {}
        self.entries: list[EntryRow] = []
        self.claims: dict[tuple[str, str], ClaimRow] = {}
        self.spent: dict[tuple[str, str], SpentRow] = {}
        self.asked: Counter[str] = Counter()
        self._expiring_first = expiring_first

    def apply(self, changes: Changes) -> None:
        """Write what was taken. The keys of append-only rows are unique, and so is what ends."""
        for row in changes.usage:
            assert row.call.id not in self.rows
            self.rows[row.call.id] = row
        for id in changes.ended:
            del self.holds[id]
        self.wallets |= changes.wallets
        self.lots |= changes.lots
        self.holds |= changes.holds
        self.entries += changes.entries
        for spent in changes.spent:
            assert (spent.subject, spent.request) not in self.spent
            self.spent[spent.subject, spent.request] = spent
        self.claims |= {(claim.key, claim.name): claim for claim in changes.claims}

    # The past.

    def history(self, key: str, after_us: int, limit: int) -> list[Spent]:
        self.asked["history"] += 1
        return self._spent(key, after_us)[:limit]

    def totals(self, key: str, after_us: int) -> tuple[int, int, int]:
        self.asked["totals"] += 1
        spent = self._spent(key, after_us)
        return sum(row[2] for row in spent), len(spent), sum(row[3] for row in spent)

    def claim(self, key: str, name: str) -> ClaimRow | None:
        return self.claims.get((key, name))

    def usage(self, id: str) -> PastUsage | None:
        self.asked["usage"] += 1
        row = self.rows.get(id)
        if row is None:
            return None
        entries = [entry for entry in self.entries if entry.ref == id]
        return recall(row, entries, {lot.id: lot.expires_us for lot in self.lots.values()})

    def granted(self, ref: str) -> bool:
        return any(lot.ref == ref for lot in self.lots.values())

    def _spent(self, key: str, after_us: int) -> list[Spent]:
        found: list[Spent] = [
            (
                row.created_us,
                row.settled_us,
                row.charged,
                row.usage.prompt_tokens + row.usage.completion_tokens,
            )
            for row in self.rows.values()
            if row.call.key == key
        ]
        found += [
            (row.created_us, row.settled_us, row.charged, row.tokens)
            for row in self.spent.values()
            if row.subject == key
        ]
        return sorted((row for row in found if row[1] > after_us), key=lambda spent: spent[1])

    # What must be true.

    def check(self) -> None:
        """I1 to I7 of the design, in one snapshot."""
        self._check_wallets()
        self._check_accounts()
        self._check_calls()
        self._check_lots()
        assert len({(entry.ref, entry.kind, entry.n) for entry in self.entries}) == len(self.entries)
        assert all(entry.amount > 0 for entry in self.entries)
        assert len({(lot.wallet, lot.rank) for lot in self.lots.values()}) == len(self.lots)
        assert len({lot.ref for lot in self.lots.values()}) == len(self.lots)

    def _check_wallets(self) -> None:
        for wallet in self.wallets.values():
            lots = [lot for lot in self.lots.values() if lot.wallet == wallet.id]
            holds = [hold for hold in self.holds.values() if hold.call.wallet == wallet.id]
            assert wallet.balance == sum(lot.remaining for lot in lots)
            assert wallet.held == sum(hold.amount for hold in holds)
            assert 0 <= wallet.held <= wallet.balance

    def _check_accounts(self) -> None:
        """Every movement is a debit and a credit; what an account has is their sum."""
        accounts: dict[str, int] = defaultdict(int)
        moves = [(entry.debit, entry.credit, int(entry.amount)) for entry in self.entries]
        moves += [(row.call.wallet, "revenue", row.charged) for row in self.rows.values() if not row.split]
        for debit, credit, amount in moves:
            accounts[debit] -= amount
            accounts[credit] += amount
        assert sum(accounts.values()) == 0
        system = {"cash", "promo", "revenue", "breakage", "operator_loss"}
        assert {name: amount for name, amount in accounts.items() if name not in system and amount} == {
            id: wallet.balance for id, wallet in self.wallets.items() if wallet.balance
        }

    def _check_calls(self) -> None:
        assert not self.holds.keys() & self.rows.keys()
        sums: dict[tuple[str, str], int] = defaultdict(int)
        for entry in self.entries:
            sums[entry.ref, entry.kind if entry.n == 0 or entry.kind != "loss" else "late loss"] += (
                entry.amount
            )
        for id, row in self.rows.items():
            assert 0 <= row.charged <= row.cost
            assert row.cost - row.charged == sums[id, "loss"]
            assert sums[id, "draw"] == (row.charged if row.split else 0)
            assert (row.lot is not None) == (row.charged > 0 and not row.split)
            assert (id, "late") not in sums or row.outcome == "orphan"
            late = recall(row, [e for e in self.entries if e.ref == id], defaultdict(lambda: None))
            assert 0 <= late.refunded <= late.charged <= late.cost

    def _check_lots(self) -> None:
        left: dict[str, int] = defaultdict(int)
        for row in self.rows.values():
            if row.lot is not None:
                left[row.lot] += row.charged
        for entry in self.entries:
            if entry.lot is not None and entry.debit in self.wallets:
                left[entry.lot] += entry.amount
        for lot in self.lots.values():
            assert lot.granted == lot.remaining + left[lot.id]

    def check_draws(self, changes: Changes) -> None:
        """I9 and I10, for the changes of one posting: only from valid lots, and from the first of them."""
        lapsing = {entry.lot for entry in changes.entries if entry.kind == "lapse"}
        before = {**{id: lot for id, lot in changes.lots.items() if id not in self.lots}, **self.lots}
        left = {id: int(lot.granted if id not in self.lots else lot.remaining) for id, lot in before.items()}
        for wallet, id, amount, since in self._draws(changes):
            for other in before.values():
                first = other.wallet == wallet and self._place(other) < self._place(before[id])
                valid = other.expires_us is None or other.expires_us > since
                assert not (first and valid and left[other.id] and other.id not in lapsing), (id, other.id)
            expires_us = before[id].expires_us
            assert expires_us is None or expires_us > since
            left[id] -= amount

    def _draws(self, changes: Changes) -> list[Draw]:
        draws: list[Draw] = []
        for row in changes.usage:
            if row.lot is not None:
                draws.append((row.call.wallet, row.lot, row.charged, row.created_us))
            for entry in changes.entries:
                if entry.kind == "draw" and entry.ref == row.call.id and entry.lot is not None:
                    rest = self.holds.get(f"{row.call.id}/2")
                    second = rest is not None and entry.debit == rest.call.wallet
                    since = rest.created_us if rest is not None and second else row.created_us
                    draws.append((entry.debit, entry.lot, entry.amount, since))
        for entry in changes.entries:
            if entry.kind == "late" and entry.debit in self.wallets and entry.lot is not None:
                draws.append((entry.debit, entry.lot, entry.amount, entry.created_us))
        return draws

    def _place(self, lot: LotRow) -> tuple[int, int]:
        return (2**63 if lot.expires_us is None else lot.expires_us) if self._expiring_first else 0, lot.rank
