"""All wallets: how lots come and lapse, with the rows of it."""

from deeptoken.ledger.changes import EntryRow, LotRow
from deeptoken.ledger.journal import Journal
from deeptoken.ledger.lots import Order, Wallet
from deeptoken.ledger.postings import Grant
from deeptoken.money import NanoUsd


class Vault:
    def __init__(self, journal: Journal, order: Order) -> None:
        self.journal = journal
        self.by_id: dict[str, Wallet] = {}
        self.refs: set[str] = set()
        """Of the lots that came since the book was last taken."""
        self.closed: dict[str, Wallet] = {}
        """Whose owners go, or have gone since the start."""
        self._order = order

    def load(self, row: LotRow) -> None:
        self.by_id[row.wallet].add(row, self._order)

    def open(self, id: str) -> Wallet:
        wallet = self.by_id[id] = Wallet(id=id)
        return wallet

    def close(self, id: str) -> bool:
        """Nobody finds an empty wallet any more; False: it is not empty, or is closed already."""
        wallet = self.by_id.get(id)
        if wallet is None:
            return id not in self.closed
        if wallet.balance or wallet.holds:
            return False
        self.closed[id] = self.by_id.pop(id)
        return True

    def reopen(self, id: str) -> None:
        """Its owner stays."""
        if id in self.closed:
            self.by_id[id] = self.closed.pop(id)

    def find(self, id: str, now_us: int) -> Wallet | None:
        """The wallet, without what has lapsed."""
        wallet = self.by_id.get(id)
        return None if wallet is None else self.due(wallet, now_us)

    def due(self, wallet: Wallet, now_us: int) -> Wallet:
        """The same wallet, without what has lapsed."""
        if now_us >= wallet.next_sweep_us:
            self.sweep(wallet, now_us)
        return wallet

    def sweep(self, wallet: Wallet, now_us: int) -> bool:
        """Book what has lapsed; is there any?"""
        lapsed = wallet.sweep(now_us)
        for lot, amount in lapsed:
            id = lot.row.id
            self.journal.wallets[wallet.id] = wallet
            self.journal.lots[id] = lot
            # A lot may lapse in parts. What is left only shrinks, so it numbers them.
            left = lot.remaining
            self.journal.entries.append(
                EntryRow(id, "lapse", left, wallet.id, "breakage", NanoUsd(amount), id, now_us)
            )
        return bool(lapsed)

    def add(self, wallet: Wallet, grant: Grant, now_us: int) -> None:
        """A new lot."""
        # The time is a rank that counts up even when earlier lots are no longer in memory.
        rank = max(now_us, wallet.last_rank + 1)
        row = LotRow(
            id=grant.lot,
            wallet=wallet.id,
            source=grant.source,
            rank=rank,
            granted=grant.amount,
            remaining=grant.amount,
            expires_us=grant.expires_us,
            ref=grant.ref,
            created_us=now_us,
        )
        self.journal.lots[grant.lot] = wallet.add(row, self._order)
        self.journal.wallets[wallet.id] = wallet
        self.refs.add(grant.ref)
