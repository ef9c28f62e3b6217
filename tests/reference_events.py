"""What `reference_book` keeps: lots, calls, and what happened to them."""

from dataclasses import dataclass, field

from deeptoken.ledger.postings import Answer, Call, Claim, Hold, StoredReply


@dataclass
class Coins:
    """A lot: what came in, and what left it."""

    id: str
    wallet: str
    amount: int
    expires: int | None
    ref: str
    place: int
    taken: list[int] = field(default_factory=list)

    @property
    def left(self) -> int:
        return self.amount - sum(self.taken)

    def expired(self, at: int) -> bool:
        return self.expires is not None and self.expires <= at


@dataclass
class End:
    at: int
    cost: int
    outcome: str
    tokens: int
    reply: StoredReply | None
    paid: list[tuple[Coins, int]]
    rest: int = 0
    """Of that the second wallet's part."""

    def charged_for(self, subject: str) -> int:
        return self.charged - self.rest if subject.startswith("org_") else self.charged

    @property
    def charged(self) -> int:
        return sum(amount for _, amount in self.paid)


@dataclass
class Run:
    """A call: what it was granted bit by bit, and its end."""

    call: Call
    epoch: int
    at: int
    claim: Claim | None
    first: Answer | None
    grants: list[tuple[int, int]]
    used: list[int] = field(default_factory=lambda: [0])
    end: End | None = None
    late: tuple[int, int] | None = None
    """What the late settlement changed: charge and cost."""
    late_paid: list[tuple[Coins, int]] = field(default_factory=list)
    refunds: list[int] = field(default_factory=list)
    subjects: tuple[str, ...] = ()
    fallback: str | None = None
    rest: list[tuple[int, int]] = field(default_factory=list)
    """What the second wallet was asked for."""
    rest_at: int = 0
    rest_back: int = 0
    """What a late settlement gave back to it."""

    @property
    def first_amount(self) -> int:
        """What the first wallet holds."""
        return sum(money for money, _ in self.grants)

    @property
    def rest_amount(self) -> int:
        return sum(money for money, _ in self.rest)

    @property
    def amount(self) -> int:
        return self.first_amount + self.rest_amount

    @property
    def tokens(self) -> int:
        return sum(tokens for _, tokens in [*self.grants, *self.rest])

    def counts_at(self, subject: str) -> bool:
        return subject == self.call.key or subject in self.subjects

    def held_for(self, subject: str) -> int:
        """Organizations count what the first wallet pays."""
        return self.first_amount if subject.startswith("org_") else self.amount

    def parts(self, amount: int) -> list[tuple[str, int]]:
        """Who gets that back: the second wallet first."""
        assert self.end is not None
        theirs = max(0, self.end.rest - self.rest_back - sum(self.refunds))
        second = min(amount, theirs) if self.fallback else 0
        return [(w, a) for w, a in ((self.fallback or "", second), (self.call.wallet, amount - second)) if a]

    @property
    def charged(self) -> int:
        return (self.end.charged if self.end else 0) + (self.late[0] if self.late else 0)

    @property
    def cost(self) -> int:
        return (self.end.cost if self.end else 0) + (self.late[1] if self.late else 0)

    @property
    def expires(self) -> int | None:
        expiries = [coins.expires for coins, _ in [*(self.end.paid if self.end else []), *self.late_paid]]
        known = [at for at in expiries if at is not None]
        return max(known) if known and len(known) == len(expiries) else None


def share_out(hold: Hold, available: int, tokens_left: int) -> tuple[int, int]:
    """The most money with the tokens that go with it, both on the line from the minima to what is wanted."""
    least, least_tokens = min(hold.minimum, hold.wanted), min(hold.tokens_minimum, hold.tokens)

    def goes_with(amount: int) -> int:
        if amount == hold.wanted:
            return min(hold.tokens, tokens_left) if hold.wanted == least else hold.tokens
        part = (amount - least) * (hold.tokens - least_tokens)
        return least_tokens + -(-part // (hold.wanted - least))

    for amount in range(min(hold.wanted, available), least - 1, -1):
        if goes_with(amount) <= tokens_left:
            return amount, goes_with(amount)
    raise AssertionError("the minimum does not fit")
