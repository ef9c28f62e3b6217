"""What became of a call: filled on its path, read for its log line, its headers and its metrics."""

import msgspec

from deeptoken.catalog.model import Model, Price
from deeptoken.gateway.failure import public_message
from deeptoken.gateway.upstream import Answer
from deeptoken.identity.caller import Caller
from deeptoken.ledger.postings import Outcome
from deeptoken.money import NanoUsd
from deeptoken.wire.usage import Usage


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
    message: str | None = None
    """As a caller may read it."""


class Trace(msgspec.Struct):
    """One call. What is None was not reached."""

    caller: Caller | None = None
    asked: Model | None = None
    """The model that answers; before one does, the first that was asked for."""
    stream: bool = False
    failures: list[Attempt] = []
    words: list[str] = []
    """What the provider said each time, for the operator."""
    channel: str | None = None
    """The last one that was asked."""
    label: str | None = None
    answer: Answer | None = None
    began_ms: int = 0
    """When the attempt that answers began, since the call came."""
    limit: int | None = None
    waited: float = 0.0
    """Seconds spent waiting for providers."""
    ttft_ms: int | None = None
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
