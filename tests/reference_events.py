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
    refunds: list[tuple[str, int]] = field(default_factory=list)
    """To which wallet how much."""
    back: list[tuple[str, int]] = field(default_factory=list)
    """What a late settlement gave back, to which wallet."""
    subjects: tuple[str, ...] = ()
    fallback: str | None = None
    rest: list[tuple[int, int]] = field(default_factory=list)
    """What the second wallet was asked for."""
    rest_at: int = 0

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

    @property
    def payers(self) -> list[str]:
        """The call's own wallet, and the other one if it paid anything when the call ended."""
        paid = [coins.wallet for coins, _ in self.end.paid] if self.end else []
        return list(dict.fromkeys([self.call.wallet, *paid]))

    def parts(self, amount: int) -> list[tuple[str, int]]:
        """Who gets that back, as far as it paid: the last one first."""
        given = []
        for wallet in reversed(self.payers):
            paid = sum(part for coins, part in self.all_paid if coins.wallet == wallet)
            gone = sum(part for name, part in [*self.back, *self.refunds] if name == wallet)
            part = min(amount, paid - gone)
            given += [(wallet, part)] if part else []
            amount -= part
        assert amount == 0
        return given

    @property
    def all_paid(self) -> list[tuple[Coins, int]]:
        return [*(self.end.paid if self.end else []), *self.late_paid]

    @property
    def refunded(self) -> int:
        return sum(part for _, part in self.refunds)

    @property
    def charged(self) -> int:
        return (self.end.charged if self.end else 0) + (self.late[0] if self.late else 0)

    @property
    def cost(self) -> int:
        return (self.end.cost if self.end else 0) + (self.late[1] if self.late else 0)

    def expires(self, wallet: str) -> int | None:
        expiries = [coins.expires for coins, _ in self.all_paid if coins.wallet == wallet]
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
