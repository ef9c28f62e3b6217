"""A book with one wallet, for stories told posting by posting."""

from deeptoken.ledger.book import Book
from deeptoken.ledger.postings import Call, Claim, Grant, Hold, OpenWallet, Posting, Room, Settle, StoredReply
from deeptoken.money import NanoUsd
from deeptoken.wire.usage import Usage
from reference_rows import Rows

NOW = 1_000_000_000


class Ledger:
    """A book with one wallet, its rows, and a time that moves on."""

    def __init__(self, amount: int = 100, expires_us: int | None = None) -> None:
        self.rows = Rows()
        self.book = Book(self.rows)
        self.now = NOW
        self.post(OpenWallet("w"))
        if amount:
            self.post(Grant("w", "l", NanoUsd(amount), "pack", "r", expires_us))

    def post(self, posting: Posting, epoch: int = 1) -> object:
        self.now += 1
        return self.book.post(posting, self.now, epoch)

    def commit(self) -> None:
        self.rows.apply(self.book.take())
        self.rows.check()

    def restart(self) -> None:
        self.commit()
        self.book = Book(self.rows)
        self.book.load(self.rows.wallets.values(), self.rows.lots.values(), self.rows.holds.values())

    @property
    def wallet(self) -> tuple[int, int]:
        wallet = self.book.wallets["w"]
        return wallet.balance, wallet.held


def call(id: str, key: str = "k") -> Call:
    return Call(id, f"request {id}", "/v1/chat/completions", key, "w", "m", 7, 1_000_000, False)


def hold(
    id: str, wanted: int, minimum: int | None = None, *, claim: Claim | None = None, share: int = 10**6
) -> Hold:
    least = NanoUsd(wanted if minimum is None else minimum)
    return Hold(call(id), least, NanoUsd(wanted), share_ppm=share, claim=claim)


def settle(id: str, cost: int, *, reply: StoredReply | None = None) -> Settle:
    return Settle(id, NanoUsd(cost), "complete", Usage(prompt=3), channel="c", duration_ms=12, reply=reply)


def room(balance: int, available: int) -> Room:
    return Room(NanoUsd(balance), NanoUsd(available))
