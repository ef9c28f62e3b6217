"""All wallets: how lots come and lapse, with the rows of it."""

from deeptoken.ledger.changes import LotRow
from deeptoken.ledger.journal import Journal
from deeptoken.ledger.lots import Order, Wallet
from deeptoken.money import NanoUsd


class Vault:
    def __init__(self, journal: Journal, order: Order) -> None:
        self.by_id: dict[str, Wallet] = {}
        self.refs: set[str] = set()
        """Of the lots that came since the book was last taken."""
        self._journal = journal
        self._order = order

    def load(self, row: LotRow) -> None:
        self.by_id[row.wallet].add(row, self._order)

    def open(self, id: str) -> Wallet:
        wallet = self.by_id[id] = Wallet(id=id)
        return wallet

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
            self._journal.wallets[wallet.id] = wallet
            self._journal.lots[id] = lot
            # A lot may lapse in parts. What is left only shrinks, so it numbers them.
            self._journal.entry(id, "lapse", lot.remaining, (wallet.id, "breakage"), amount, id, now_us)
        return bool(lapsed)

    def add(
        self, wallet: Wallet, id: str, source: str, amount: int, expires_us: int | None, ref: str, now_us: int
    ) -> None:
        """A new lot."""
        # The time is a rank that counts up even when earlier lots are no longer in memory.
        rank = max(now_us, wallet.last_rank + 1)
        granted = NanoUsd(amount)
        row = LotRow(id, wallet.id, source, rank, granted, granted, expires_us, ref, now_us)
        lot = wallet.add(row, self._order)
        self._journal.lots[id] = lot
        self._journal.wallets[wallet.id] = wallet
        self.refs.add(ref)
