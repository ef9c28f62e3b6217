"""Random histories of a ledger: two wallets and an unknown one, four keys, lots that expire, small windows.

Amounts and times are small, so that edges are met often: the end of a window, the expiry of a lot, the last
of a wallet. What is made out of a few whole numbers shrinks well.
"""

from itertools import chain

import msgspec
from hypothesis import strategies as st

from deeptoken.ledger.postings import (
    ALWAYS_US,
    MONTH_US,
    Call,
    Checkpoint,
    Claim,
    Extend,
    Fence,
    Grant,
    Hold,
    Limit,
    OpenWallet,
    Posting,
    Refund,
    Settle,
    StoredReply,
    Sweep,
)
from deeptoken.money import NanoUsd
from deeptoken.wire.usage import Usage

FEBRUARY_US = 31 * 24 * 3_600_000_000
START_US = FEBRUARY_US - 150
"""The ledger's time before the first step of a history: it is the end of January 1970."""

Step = tuple[int, Posting]
"""Microseconds since the step before, and what is posted then with the epoch `epoch_of` it."""
Dice = tuple[str, int, int, int, int]

SPEND = (Limit("usd", 50, 60, "short"), Limit("usd", 100, 80, "middle"), Limit("usd", 300, 100, "long"))
CALLS = (
    Limit("requests", 50, 2, "rpm"),
    Limit("tokens", 50, 60, "tpm"),
    Limit("concurrent", 0, 3, "concurrency"),
)
MONTHLY = Limit("usd", MONTH_US, 100, "month", "org_1")
SUBJECTS: dict[str, tuple[str, ...]] = {"child": ("parent", "org_1", "org_1/usr_1"), "parent": ("org_1",)}
"""At which further limits the calls of a key count."""
LIMITS: dict[str, tuple[tuple[Limit, ...], ...]] = {
    "free": ((), (), ()),
    "spender": (SPEND, SPEND, (Limit("usd", 100, 30, "middle"),)),
    "caller": (CALLS, CALLS, ()),
    "child": (
        (Limit("usd", ALWAYS_US, 150, "total"), Limit("usd", 100, 60, "middle", "parent"), MONTHLY),
        (Limit("usd", ALWAYS_US, 90, "total"), Limit("requests", 50, 4, "rpm", "parent")),
        (MONTHLY, msgspec.structs.replace(MONTHLY, most=40, subject="org_1/usr_1")),
    ),
    "parent": ((Limit("usd", 100, 60, "middle"), MONTHLY), (Limit("requests", 50, 4, "rpm"),), ()),
    "both": (
        SPEND + CALLS,
        SPEND[:1] + CALLS[1:],
        (Limit("usd", 50, 0, "short"), Limit("tokens", 100, 20, "tpm")),
    ),
}
"""What a key's limits are, mostly and sometimes."""

KINDS = ["hold"] * 8 + ["settle"] * 5 + ["extend"] * 3 + ["checkpoint"] * 2 + ["grant"] * 2
KINDS += ["refund"] * 3 + ["fence", "sweep", "again", "legs", "legs"]
DELTAS = [1, 4] + [5] * 9 + [10, 10, 15, 20, 50, 100]
"""Never nothing: the ledger's clock moves on between postings. Mostly fives, and windows and expiries are
tens, so that their very edges are met."""
WALLETS = ["w1"] * 6 + ["w2"] * 3 + ["w3"]
"""There is no w3."""


def epoch_of(posting: Posting) -> int:
    """The process that a posting comes from: one of two."""
    return 1 + int(posting.call.id[-1]) % 2 if isinstance(posting, Hold) else 1


class _Teller:
    """Makes postings out of dice, about calls that were asked for before."""

    def __init__(self) -> None:
        self.now = START_US
        self.calls: list[str] = []
        self.told: list[Posting] = []

    def steps(self, delta: int, dice: Dice) -> list[Step]:
        kind, a, b, c, d = dice
        return self.legs(delta, a, b, c, d) if kind == "legs" else [self.step(delta, dice)]

    def legs(self, delta: int, a: int, b: int, c: int, d: int) -> list[Step]:
        """A call that outgrows its wallet, from its hold to what is given back of it."""
        asked = self.hold(6 * (a % 5) + 3 * (a % 2), 1 + b, c, d)
        other = "w2" if asked.call.wallet == "w1" else "w1"
        hold = msgspec.structs.replace(asked, share_ppm=1_000_000, fallback=other, full=NanoUsd(0))
        id = hold.call.id
        self.calls.append(id)
        story: list[Posting] = [
            hold,
            Extend(id, NanoUsd(60 + c), NanoUsd(d), tokens=a % 9),
            Extend(id, NanoUsd(10 + d), NanoUsd(c), tokens=b % 9),
            Checkpoint(id, NanoUsd(40 + c + d)),
        ]
        if a % 2:
            story.pop()
        if c % 3:
            story.append(Fence(epoch_of(hold)))
        usage = Usage(prompt=d % 30, completion=c % 10)
        most = NanoUsd(60 + a) if d % 4 == 0 else None
        story.append(Settle(id, NanoUsd((a, 40 + 2 * b, c, 70 + a + b)[d % 4]), "complete", usage, most=most))
        for part in (c, 2 * d, d):
            number = 100 + len(self.told) + len(story)
            story.append(Refund(id, f"lr{number}", NanoUsd(part), f"rr{number}"))
        self.told += story
        steps = [(delta, story[0]), *((5, posting) for posting in story[1 : 3 + b % 7])]
        self.now += sum(delta for delta, _ in steps)
        return steps

    def step(self, delta: int, dice: Dice) -> Step:
        self.now += delta
        kind, a, b, c, d = dice
        posting = self.hold(a, b, c, d)
        match kind if self.calls else "hold":
            case "hold":
                self.calls.append(posting.call.id)
                self.told.append(posting)
                return delta, posting
            case "grant":
                return delta, self.tell(self.grant(a, b, c, d))
            case "fence":
                return delta, Fence(1 + a % 2)
            case "sweep":
                return delta, Sweep()
            case "again":
                return delta, self.told[-1 - a % len(self.told)]
        return delta, self.tell(self.about(kind, self.call(a), b, c, d))

    def tell(self, posting: Posting) -> Posting:
        self.told.append(posting)
        return posting

    def call(self, a: int) -> str:
        """One of the latest calls, sometimes none that was ever made."""
        return self.calls[-1 - a % min(5, len(self.calls))] if self.calls and a < 59 else "c9999"

    def hold(self, a: int, b: int, c: int, d: int) -> Hold:
        key = list(LIMITS)[a % len(LIMITS)]
        wallet = WALLETS[(a + b) % 10]
        wanted = (0, c, c, c, c + d)[b % 5]
        return Hold(
            Call(f"c{len(self.calls):04d}", "", "", key, wallet, "m", 1, 1_000_000, False),
            minimum=NanoUsd((wanted // 2, wanted // 4, wanted, 0, d)[d % 5]),
            wanted=NanoUsd(wanted),
            share_ppm=(500_000, 100_000)[c % 2] if a % 9 == 0 else 1_000_000,
            tokens=d,
            tokens_minimum=(d, d // 3, 0)[a % 3],
            limits=LIMITS[key][(a // len(LIMITS)) % 3],
            claim=Claim(f"n{b % 2}", b"a" if c % 4 else b"b") if d % 5 == 0 else None,
            subjects=SUBJECTS.get(key, ()),
            fallback=(None, {"w1": "w2", "w2": "w1"}.get(wallet, "w1"), "w3")[min(2, (b + d) % 5)],
            full=NanoUsd((0, wanted, 2 * wanted)[c % 3]),
        )

    def grant(self, a: int, b: int, c: int, d: int) -> Posting:
        if b % 13 == 0:
            return OpenWallet(WALLETS[a % 9])
        expires = (None, self.now + 10 * (d % 8), self.now + 10 * d, self.now + 300)[b % 4]
        number = a if a % 7 == 0 else 100 + len(self.told)
        return Grant(
            wallet=WALLETS[a % 10],
            lot=f"l{number}",
            amount=NanoUsd(c + d),
            source="pack" if a % 2 else "grant",
            ref=f"r{number}",
            expires_us=expires,
        )

    def about(self, kind: str, id: str, b: int, c: int, d: int) -> Posting:
        match kind:
            case "extend":
                return Extend(id, NanoUsd(c), NanoUsd(d), tokens=b % 20)
            case "checkpoint":
                return Checkpoint(id, NanoUsd(c))
            case "refund":
                number = b if b % 7 == 0 else 100 + len(self.told)
                return Refund(id, f"lr{number}", NanoUsd(c // 2), f"rr{number}")
        cost = NanoUsd((0, c, c, c + d)[b % 4])
        reply = StoredReply(200, "text/plain", b"!", id, cost) if d % 3 else None
        most = NanoUsd(c // 2) if b % 5 == 0 else None
        usage = Usage(prompt=d % 30, completion=c % 10)
        return Settle(id, cost, "complete", usage, reply=reply, most=most)


def _history(rolls: tuple[list[tuple[int, Dice]], ...], first: tuple[int, int]) -> list[Step]:
    teller = _Teller()
    steps: list[Step] = [(1, OpenWallet("w1")), (1, OpenWallet("w2"))]
    steps.append((1, Grant("w1", "l1", NanoUsd(90), "pack", "r1", expires_us=START_US + 10 * first[0])))
    steps.append((1, Grant("w1", "l2", NanoUsd(120), "grant", "r2", expires_us=START_US + 10 * first[1])))
    steps.append((1, Grant("w2", "l3", NanoUsd(60), "code", "r3")))
    teller.now += 5
    return steps + [step for delta, dice in chain.from_iterable(rolls) for step in teller.steps(delta, dice)]


_number = st.integers(0, 60)
_rolls = st.tuples(
    st.sampled_from(DELTAS), st.tuples(st.sampled_from(KINDS), _number, _number, _number, _number)
)

# Several short lists: longer than one list would be on average, and each can shrink to nothing.
histories: st.SearchStrategy[list[Step]] = st.builds(
    _history,
    st.tuples(*[st.lists(_rolls, max_size=12)] * 5),
    st.tuples(st.integers(1, 30), st.integers(5, 200)),
)
