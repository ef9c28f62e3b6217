"""What postings changed, as rows: the book collects them, the store makes them durable.

`usage`, `entries` and the batch over them are append-only. Wallets, lots and holds are the current state;
of each only the last value counts. A hold that begins and ends before the changes are taken leaves no row.

Accounts of an entry: a wallet's id, or one of ``cash`` (money came in), ``promo`` (the operator gave it),
``revenue``, ``breakage`` (credit that lapsed), ``operator_loss``.
"""

import msgspec

from deeptoken.ledger.postings import Call, Outcome, StoredReply
from deeptoken.money import NanoUsd
from deeptoken.wire.usage import Usage


class WalletRow(msgspec.Struct, frozen=True, array_like=True):
    """0 <= held <= balance = the sum of its lots' `remaining`."""

    id: str
    balance: NanoUsd
    held: NanoUsd


class LotRow(msgspec.Struct, frozen=True, array_like=True):
    """Credits that came in together. Lots drain in the order of `rank`, which counts up within a wallet."""

    id: str
    wallet: str
    source: str
    rank: int
    granted: NanoUsd
    remaining: NanoUsd
    expires_us: int | None
    ref: str
    created_us: int


class HoldRow(msgspec.Struct, frozen=True, array_like=True):
    """An open hold; `used` is its durable checkpoint, `epoch` the process that took it.

    What a second wallet holds for a call is a hold of its own, under the call's id and ``/2``.
    """

    call: Call
    amount: NanoUsd
    used: NanoUsd
    tokens: int
    epoch: int
    created_us: int
    subjects: tuple[str, ...] = ()
    fallback: str | None = None


class SpentRow(msgspec.Struct, frozen=True, array_like=True):
    """What a call came to for one of its further subjects, whose limits count it."""

    subject: str
    request: str
    created_us: int
    settled_us: int
    charged: NanoUsd
    tokens: int


class UsageRow(msgspec.Struct, frozen=True, array_like=True):
    """The one row of a call. ``charged <= cost``; the rest is an ``operator_loss`` entry.

    The draw is inline (from `lot`) unless `split`, then entries of kind ``draw`` have it.
    """

    call: Call
    usage: Usage
    estimated: bool
    cost: NanoUsd
    charged: NanoUsd
    lot: str | None
    split: bool
    outcome: Outcome
    status: int
    code: str | None
    channel: str | None
    attempts: str | None
    upstream_id: str | None
    ttft_ms: int | None
    duration_ms: int
    created_us: int
    settled_us: int


class EntryRow(msgspec.Struct, frozen=True, array_like=True):
    """A movement of money that is no plain usage row; unique by (`ref`, `kind`, `n`).

    Kinds: ``grant``, ``draw``, ``lapse``, ``loss``, ``refund``, ``late``.
    """

    ref: str
    kind: str
    n: int
    debit: str
    credit: str
    amount: NanoUsd
    lot: str | None
    created_us: int


class ClaimRow(msgspec.Struct, frozen=True, array_like=True):
    """An ``Idempotency-Key`` whose call has ended with a charge; kept for 24 h."""

    key: str
    name: str
    fingerprint: bytes
    request: str
    reply: StoredReply | None
    expires_us: int


class Changes(msgspec.Struct):
    """Since they were last taken. A hold in `ended` had been taken before (it has a row to be deleted)."""

    wallets: dict[str, WalletRow] = {}
    lots: dict[str, LotRow] = {}
    holds: dict[str, HoldRow] = {}
    ended: list[str] = []
    usage: list[UsageRow] = []
    entries: list[EntryRow] = []
    claims: list[ClaimRow] = []
    spent: list[SpentRow] = []

    def __bool__(self) -> bool:
        return bool(self.wallets or self.holds or self.ended or self.usage or self.entries)
