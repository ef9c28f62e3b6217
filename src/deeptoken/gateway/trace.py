"""What became of a call: filled on its path, read for its log line, its headers and its metrics."""

import msgspec

from deeptoken.catalog.model import Candidate, Model, Price
from deeptoken.gateway.failure import public_message, words
from deeptoken.gateway.tally import spent
from deeptoken.gateway.upstream import Answer, Wanted
from deeptoken.identity.caller import Caller
from deeptoken.ledger.postings import Near, Outcome, Rate, Settle, StoredReply
from deeptoken.money import NanoUsd, credits_json
from deeptoken.providers.base import Failure
from deeptoken.wire.usage import Usage

LEFT = "left"
"""The cause of an attempt that was under way when its call ended: nobody failed."""


class Bill(msgspec.Struct, frozen=True):
    """What a call is charged, and for what."""

    usage: Usage
    told: msgspec.Raw | None
    """The provider's own usage object, if it told one."""
    estimated: bool
    cost: NanoUsd
    charged: NanoUsd
    price: Price
    ratio_ppm: int
    dry: str | None = None
    """Why the answer ended early: ``wallet_empty``, ``budget_exceeded``, ``rate_limit_exceeded``,
    ``max_cost_usd``."""


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attempt, as `/v1/generation` shows it."""

    channel: str
    model: str
    began_ms: int
    """Since the call came."""
    duration_ms: int
    ttft_ms: int | None = None
    """Since the call came, to the first content."""
    cause: str | None = None
    status: int | None = None
    accepted: bool = False
    """The provider had begun to answer: it may bill the operator for it."""
    cost: msgspec.Raw | None = None
    """Of one that failed after that, about what the operator may owe for it, in credits."""
    message: str | None = None
    """As a caller may read it."""


class Trace(msgspec.Struct):
    """One call. What is None was not reached."""

    caller: Caller | None = None
    asked: Model | None = None
    """The model that answers; before one does, the first that was asked for."""
    stream: bool = False
    failures: list[Attempt] = []
    """Those that failed, and one that was under way when the call ended."""
    words: list[str] = []
    """What the provider said each time, for the operator."""
    lost: NanoUsd = NanoUsd(0)
    """What the operator may owe for attempts that failed."""
    channel: str | None = None
    """The last one that was asked."""
    label: str | None = None
    answer: Answer | None = None
    began_ms: int = 0
    """When the attempt that answers began, since the call came."""
    limit: int | None = None
    rates: tuple[Rate, ...] = ()
    """What the key's limits leave."""
    cheaper: bool = False
    """The key's cheaper model answers, since a budget is nearly used."""
    near: Near | None = None
    """A budget that is nearly used."""
    waited: float = 0.0
    """Seconds spent waiting for providers."""
    ttft_ms: int | None = None
    by: tuple[str, int] | None = None
    """The model that answers and its price, where the hold was made for another."""
    outcome: Outcome | None = None
    bill: Bill | None = None
    status: int = 200
    code: str | None = None

    @property
    def model(self) -> str | None:
        return None if self.asked is None else self.asked.id

    @property
    def attempts(self) -> int:
        return len(self.failures) + (self.answer is not None)

    def tried(
        self, at: Candidate, wanted: Wanted, outcome: Failure | None, *, began: float, took: float
    ) -> None:
        """An attempt has ended: it failed, or the call ended. In seconds; `began` since the call came."""
        accepted = wanted.accepted is not None
        lost = spent(wanted.chat, at.model, wanted.heard) if accepted and outcome is not None else None
        self.waited += took
        self.lost = NanoUsd(self.lost + (lost or 0))
        self.words.append("" if outcome is None else words(outcome, at))
        self.failures.append(
            Attempt(
                channel=at.channel.name,
                model=at.model.id,
                began_ms=round(began * 1_000),
                duration_ms=round(took * 1_000),
                cause=LEFT if outcome is None else outcome.cause,
                status=None if outcome is None else outcome.status,
                accepted=accepted,
                cost=None if lost is None else credits_json(lost),
                message=None if outcome is None else public_message(outcome, at),
            )
        )

    def settlement(
        self, id: str, bill: Bill, outcome: Outcome, took_ms: int, reply: StoredReply | None
    ) -> Settle:
        """The call's end, for the ledger."""
        return Settle(
            id=id,
            cost=bill.cost,
            most=bill.charged,
            outcome=outcome,
            usage=bill.usage,
            estimated=bill.estimated,
            status=self.status,
            code=self.code,
            channel=self.channel,
            attempts=self.attempts_json(took_ms),
            upstream_id=self.answer.upstream_id if self.answer else None,
            ttft_ms=self.ttft_ms,
            duration_ms=took_ms,
            reply=reply,
            by=self.by,
        )

    def attempts_json(self, now_ms: int) -> str | None:
        """Every attempt, for the usage row; None if there was but one, and it went well."""
        answer = self.answer
        if not self.failures and (answer is None or answer.failure is None):
            return None
        told = list(self.failures)
        if answer is not None:
            broke = answer.failure
            told.append(
                Attempt(
                    channel=answer.at.channel.name,
                    model=answer.at.model.id,
                    began_ms=self.began_ms,
                    duration_ms=now_ms - self.began_ms,
                    ttft_ms=self.ttft_ms,
                    cause=None if broke is None else broke.cause,
                    status=200,
                    accepted=True,
                    message=None if broke is None else public_message(broke, answer.at),
                )
            )
        return msgspec.json.encode(told).decode()
