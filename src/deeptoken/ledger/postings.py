"""What the ledger is asked, and what it answers. Structs only; `book.py` is the law.

A call's life is ``Hold -> (Extend | Checkpoint)* -> Settle``; a release is a `Settle` of cost 0. Every
posting is idempotent by its id: the second time it changes nothing and gets the first answer.

Amounts are nano-USD, times are microseconds of the ledger's clock, windows are microseconds.
Wallets and keys are named by their ids in the database.
"""

from typing import Literal

import msgspec

from deeptoken.money import NanoUsd
from deeptoken.wire.usage import Usage

Outcome = Literal["complete", "failed", "cancelled", "cut", "dry", "orphan"]

MINUTE_US = 60_000_000
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
MONTH_US = -1
"""The calendar month, UTC."""
ALWAYS_US = -2
"""All there ever was."""
WINDOWS = {"5h": 5 * HOUR_US, "1d": DAY_US, "7d": 7 * DAY_US}


class Limit(msgspec.Struct, frozen=True, array_like=True):
    """A rolling limit of a subject: settled in the window + open + asked for <= most.

    `kind` says what is counted: ``usd`` in nano-USD, ``requests``, ``tokens``, or ``concurrent``
    (open holds; its window is 0).
    """

    kind: Literal["usd", "requests", "tokens", "concurrent"]
    window_us: int
    most: int
    name: str = ""
    """Its name: ``5h``, ``1d``, ``7d``, ``month``, ``total``, ``rpm``, ``tpm``, ``concurrency``."""
    subject: str = ""
    """Whose: the call's key, or one of the further subjects that its hold names."""


class Call(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a call when its hold is made; the usage row starts with it."""

    id: str
    request_id: str
    endpoint: str
    key: str
    wallet: str
    model: str
    price: int
    """The price version (`price.id`) that the call was admitted under."""
    ratio_ppm: int
    stream: bool


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """A caller's ``Idempotency-Key``; it is the key's own. `fingerprint` is the SHA-256 of the request."""

    name: str
    fingerprint: bytes


class StoredReply(msgspec.Struct, frozen=True, array_like=True):
    """What was delivered under an ``Idempotency-Key``. `body` None: too large to keep, or ended early."""

    status: int
    content_type: str
    body: bytes | None
    request_id: str
    cost: NanoUsd


# What is asked.


class Hold(msgspec.Struct, frozen=True, tag="hold"):
    """Set aside `wanted`, or as much of it as there is but not less than `minimum`.

    With `share_ppm` below one, admitted only if `wanted` is within that share of what is available
    (of the wallet, of every ``usd`` limit, and `tokens` of every ``tokens`` limit); else `NotCheap`, and
    nothing is held. `tokens` is held for the ``tokens`` limits in the proportion that was granted:
    all of it, or at least `tokens_minimum`.
    """

    call: Call
    minimum: NanoUsd
    wanted: NanoUsd
    share_ppm: int = 1_000_000
    tokens: int = 0
    tokens_minimum: int = 0
    limits: tuple[Limit, ...] = ()
    claim: Claim | None = None
    subjects: tuple[str, ...] = ()
    """At whose limits the call counts besides its key's. Organizations' count what the first wallet pays."""
    fallback: str | None = None
    """The wallet that pays where the first cannot, or cannot pay the rest."""
    full: NanoUsd = NanoUsd(0)
    """The most that the call could cost. A wallet that has that need not clamp: the first such one pays, else
    the first that can pay the minimum."""


class Extend(msgspec.Struct, frozen=True, tag="extend"):
    """Set aside up to `more` on top; the call used `used` so far, which is a durable checkpoint.

    What its wallet cannot give, its second wallet does, if it has one.
    """

    id: str
    more: NanoUsd
    used: NanoUsd
    tokens: int = 0


class Checkpoint(msgspec.Struct, frozen=True, tag="checkpoint"):
    """A call used `used` so far: what it is charged should this process die."""

    id: str
    used: NanoUsd


class Settle(msgspec.Struct, frozen=True, tag="settle"):
    """The end of a call: free its hold, charge `cost` as far as hold and wallet reach, write its row."""

    id: str
    cost: NanoUsd
    outcome: Outcome
    usage: Usage = Usage()
    estimated: bool = False
    status: int = 200
    code: str | None = None
    channel: str | None = None
    attempts: str | None = None
    """JSON: every attempt but a single one that went well."""
    upstream_id: str | None = None
    ttft_ms: int | None = None
    duration_ms: int = 0
    reply: StoredReply | None = None
    most: NanoUsd | None = None
    """Never charge more: what the caller was told, or what it allowed (``max_cost_usd``)."""
    by: tuple[str, int] | None = None
    """The model and the price version that answered, where they are not those of the hold."""


class OpenWallet(msgspec.Struct, frozen=True, tag="open_wallet"):
    """A wallet for an owner (a user's or organization's id); one that is there stays as it is."""

    wallet: str


class Grant(msgspec.Struct, frozen=True, tag="grant"):
    """Credits that come in together: a lot. The second grant with the same `ref` changes nothing."""

    wallet: str
    lot: str
    amount: NanoUsd
    source: Literal["grant", "pack", "subscription", "code", "refund"]
    ref: str
    expires_us: int | None = None


class Refund(msgspec.Struct, frozen=True, tag="refund"):
    """Give back part of a usage row's charge, as a new lot; never more than it was charged in all."""

    usage: str
    lot: str
    amount: NanoUsd
    ref: str


class Fence(msgspec.Struct, frozen=True, tag="fence"):
    """A process is gone: its open holds are settled at their checkpoints, outcome ``orphan``."""

    epoch: int


class Sweep(msgspec.Struct, frozen=True, tag="sweep"):
    """Book what lapsed in every wallet."""


class Statement(msgspec.Struct, frozen=True, tag="statement"):
    """A named statement of `store/queries` on people, keys, channels, prices: what is not money."""

    name: str
    parameters: tuple[str | int | bytes | None, ...]


class Edit(msgspec.Struct, frozen=True, tag="edit"):
    """Statements of which each must change something, else none does: a change, with its audit row."""

    steps: tuple[Statement, ...]
    closes: str | None = None
    """The wallet that goes with it: if it has money, or calls in flight, nothing is done."""


Posting = Hold | Extend | Checkpoint | Settle | OpenWallet | Grant | Refund | Fence | Sweep | Statement | Edit


# What is answered.


class Room(msgspec.Struct, frozen=True, array_like=True):
    """What there is to spend, the wallet and every ``usd`` limit considered: the smallest of each.

    `balance` counts what is settled only; `available` is what other calls' holds leave of it. `bound`
    names what binds: ``wallet`` or a limit's name, and `subject` whose limit it is (empty: the key's).
    """

    balance: NanoUsd
    available: NanoUsd
    bound: str = "wallet"
    subject: str = ""


class Rate(msgspec.Struct, frozen=True, array_like=True):
    """What a limit of requests or tokens leaves a key; all of it again in `reset_us`."""

    kind: Literal["requests", "tokens"]
    most: int
    left: int
    reset_us: int | None
    """None: it never comes back."""


class Near(msgspec.Struct, frozen=True, array_like=True):
    """A ``usd`` limit of which `used_ppm` is settled or held."""

    name: str
    subject: str
    used_ppm: int


class Held(msgspec.Struct, frozen=True, tag="held"):
    """The hold of this call is now `amount` in all."""

    amount: NanoUsd
    room: Room
    """Before this hold (for an extension: before it). Where a second wallet pays the rest, and the first one
    leaves less than all, its `balance` is what both leave."""
    wallet: str = ""
    """Who pays, where two may and it is not the first."""
    rates: tuple[Rate, ...] = ()
    """After it."""
    near: Near | None = None
    """The limit that is used the most, if nearly all of it is."""


class NotCheap(msgspec.Struct, frozen=True, tag="not_cheap"):
    """`wanted` is above the share that was asked for; nothing is held."""

    room: Room
    other: Room | None = None
    """That of the second wallet."""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Nothing is held and nothing is taken from any limit.

    `reason` is one of

        insufficient_credit   the wallet cannot pay the minimum, whatever else ends
        held_by_inflight      it could, if other calls' holds ended
        budget_exceeded       a ``usd`` limit is reached
        rate_limited          a ``requests``, ``tokens`` or ``concurrent`` limit is reached
        wallet_unknown        there is no such wallet

    Where neither of two wallets can pay, it is why that one cannot that will be able to first.
    """

    reason: Literal[
        "insufficient_credit", "held_by_inflight", "budget_exceeded", "rate_limited", "wallet_unknown"
    ]
    room: Room
    limit: str = ""
    retry_after_us: int | None = None
    """When the same call would pass, if time alone cures it."""
    subject: str = ""
    """Whose limit it is, where it is not the key's."""
    rates: tuple[Rate, ...] = ()


class Settled(msgspec.Struct, frozen=True, tag="settled"):
    """The call was charged `charged`; the operator bears `lost`."""

    charged: NanoUsd
    lost: NanoUsd = NanoUsd(0)


class Repeat(msgspec.Struct, frozen=True, tag="repeat"):
    """This ``Idempotency-Key`` is known. `state` ``running``, ``done`` or ``mismatch`` (another request)."""

    state: Literal["running", "done", "mismatch"]
    id: str
    reply: StoredReply | None = None


class Done(msgspec.Struct, frozen=True, tag="done"):
    """Applied. `changed` is false if it had been applied before (or met no row)."""

    changed: bool


class Rejected(msgspec.Struct, frozen=True, tag="rejected"):
    """A posting that cannot be: an unknown wallet, hold or usage row, a refund above the charge."""

    why: str


Answer = Held | NotCheap | Refused | Settled | Repeat | Done | Rejected


# What is told without a posting.


class Left(msgspec.Struct, frozen=True):
    """What the wallet or a limit leaves now: nano-USD, tokens or calls, by its `kind`."""

    name: str
    """``wallet``, or the limit's name."""
    kind: Literal["wallet", "usd", "tokens", "requests", "concurrent"]
    most: int | None
    """The limit; None of a wallet."""
    balance: int
    """What is left where only ended calls count."""
    available: int
    """What open ones leave of that."""
    refuses: bool
    """A hold of at least what was asked for would be refused because of it."""
    retry_after_us: int | None = None
    """When it would pass, if time alone cures it."""
    subject: str = ""
    """Whose limit it is (empty: the key's); of the wallet, its id."""
