"""What the ledger answers to a hold, as an error for the caller; how the end of a call stands in its row."""

from math import ceil
from typing import TypeVar

import msgspec

from deeptoken.errors import (
    BudgetExceeded,
    DeeptokenError,
    IdempotencyCompleted,
    IdempotencyMismatch,
    IdempotencyRunning,
    Overloaded,
    RateLimited,
    WalletEmpty,
)
from deeptoken.gateway.failure import final, invalid
from deeptoken.gateway.inbound import Inbound
from deeptoken.gateway.rates import rate_headers
from deeptoken.gateway.upstream import Answer, Cut
from deeptoken.ledger.postings import Outcome, Refused, Repeat, StoredReply
from deeptoken.money import NanoUsd, show

SECOND_US = 1_000_000

Problem = TypeVar("Problem", bound=BaseException | None)


class Replay(Exception):
    """The first answer under this ``Idempotency-Key`` is kept: it is given again."""

    def __init__(self, id: str, reply: StoredReply) -> None:
        super().__init__(id)
        self.id = id
        self.reply = reply


def refusal(refused: Refused, needed: NanoUsd, affordable: int) -> DeeptokenError:
    """`needed` is the least that the call costs, `affordable` the tokens that what is free would pay."""
    error = _refusal(refused, needed, affordable)
    error.fields += rate_headers(refused.rates)
    return error


def _refusal(refused: Refused, needed: NanoUsd, affordable: int) -> DeeptokenError:
    retry_after_s = None if refused.retry_after_us is None else refused.retry_after_us / SECOND_US
    wait_s = max(1, ceil(retry_after_s or 1))
    limit = limited(refused.limit, refused.subject)
    match refused.reason:
        case "rate_limited":
            return RateLimited(f"{limit} is reached. Try again in {wait_s} s.", retry_after_s=retry_after_s)
        case "budget_exceeded":
            return BudgetExceeded(
                f"This call needs {show(needed)} and {limit} leaves {show(refused.room.balance)}. "
                + ("Ask for a higher one." if retry_after_s is None else f"It passes in {wait_s} s."),
                retry_after_s=retry_after_s,
            )
        case "held_by_inflight" if refused.limit:
            return BudgetExceeded(
                f"This call needs {show(needed)}; of {limit} "
                f"{show(refused.room.available)} is not held by calls in flight. "
                "Try again when they have ended.",
                retry_after_s=retry_after_s or 1,
            )
    return WalletEmpty(
        needed=needed,
        balance=refused.room.balance,
        available=refused.room.available,
        affordable=max(0, affordable),
        in_flight=refused.reason == "held_by_inflight",
        retry_after_s=retry_after_s,
    )


def limited(name: str, subject: str) -> str:
    """A limit in words: whose it is, and which."""
    if subject.startswith("org_"):
        return (
            "your budget of this month in the organization"
            if "/" in subject
            else ("the organization's budget of this month")
        )
    whose = "the limit of the key that made this one" if subject else "this key's limit"
    own = {"total": "the key's budget", "month": "the key's budget of this month"}
    if not subject and name in own:
        return own[name]
    return f"the key's ceiling over {name}" if not subject and name[:1].isdigit() else f"{whose} {name}"


def repeated(answer: Repeat) -> Exception:
    """An ``Idempotency-Key`` that is known."""
    if answer.state == "running":
        return IdempotencyRunning()
    if answer.state == "mismatch":
        return IdempotencyMismatch()
    if answer.reply is not None and answer.reply.body is not None:
        return Replay(answer.id, answer.reply)
    return IdempotencyCompleted(id=answer.id, charged=answer.reply.cost if answer.reply else NanoUsd(0))


def outcome_of(error: BaseException | None, *, dry: bool, delivered: bool, left: bool) -> Outcome:
    """How a call ended that left its block by `error`.

    `delivered`: the caller has got a part of the answer; `left`: it was the caller who went away.
    """
    match error:
        case None:
            return "dry" if dry else "complete"
        case Exception() if delivered:
            return "cut"
        case Exception():
            return "failed"
    return "cancelled" if left else "orphan"


def status_of(error: BaseException | None, *, left: bool) -> tuple[int, str | None]:
    """The status and the code of its usage row."""
    match error:
        case None:
            return 200, None
        case DeeptokenError():
            return error.status, error.code
        case Cut():
            return error.error.status, error.error.code
        case Exception():
            return DeeptokenError.status, DeeptokenError.code
    return (499, "client_closed_request") if left else (Overloaded.status, Overloaded.code)


def legible(error: Problem, answer: Answer | None) -> Problem | DeeptokenError:
    """Where nobody can read what an answer says, like a number beyond all numbers: that it is invalid."""
    if answer is None or not isinstance(error, msgspec.DecodeError):
        return error
    answer.failure = invalid(str(error))
    told = final(answer.failure, answer.at)
    told.__cause__ = error
    return told


def charge_alone(call: Inbound, charged: NanoUsd, status: int) -> StoredReply:
    """What a repeat is told of an answer that ended early: what it was charged."""
    return StoredReply(status=status, content_type="", body=None, request_id=call.request_id, cost=charged)
