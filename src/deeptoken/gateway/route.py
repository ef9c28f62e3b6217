"""From a plan to an answer: the channels of a call in turn, until one begins to answer.

    begin          the first one is let in by its breakers and has a place; before the hold
    first_answer   attempts (`upstream.py`), until one answers, or channels, time or retries are used up
    the way out    gives back what was taken, and says what was measured

A channel that is full or that its breakers do not let in is passed over. When none is left, an only channel
that broke down is asked once more, and after a 429 the one that cools down first, if that is soon.
"""

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from operator import itemgetter
from types import TracebackType
from typing import Protocol

import msgspec

from deeptoken.catalog.model import Candidate, Model
from deeptoken.errors import BadRequest, DeeptokenError, NoChannel, UpstreamRateLimited
from deeptoken.gateway import failure
from deeptoken.gateway.affinity import Affinity
from deeptoken.gateway.draw import Choice
from deeptoken.gateway.health import Entry, Health, Standing
from deeptoken.gateway.inbound import Inbound
from deeptoken.gateway.plan import ATTEMPTS_MAX
from deeptoken.gateway.queue import Place, Queue
from deeptoken.gateway.retries import RetryBudget
from deeptoken.gateway.upstream import Answer, Wanted
from deeptoken.providers.base import Failure

AGAIN_MIN_S, AGAIN_MORE_S = 0.1, 0.3
"""Before an only channel is asked once more, and a random part of the second on top."""
SOON_S = 2.0
"""So long a call waits, in all, for channels that are out: to cool down, or for another's probe."""
WORTHWHILE_S = 0.01
"""With less time left than that, no other channel is asked."""
PATIENCE_S, PATIENCE_FACTOR = 10.0, 4
"""With another channel left, the first content is waited for 10 s, or 4 times what 19 of 20 took."""


class Attempts(Protocol):
    """Makes one attempt: an answer whose first content is there, or why not."""

    async def attempt(self, at: Candidate, wanted: Wanted) -> Answer | Failure: ...


class Means(msgspec.Struct):
    """What all calls of a process share."""

    upstream: Attempts
    queue: Queue
    now: Callable[[], float]
    draw: Callable[[], float]
    health: Health = msgspec.field(default_factory=Health)
    retries: RetryBudget = msgspec.field(default_factory=RetryBudget)
    affinity: Affinity = msgspec.field(default_factory=Affinity)
    hoping: dict[asyncio.Future[bool], None] = msgspec.field(default_factory=dict)
    """Calls that wait for the outcome of another's probe, and whether that says anything; in order."""

    def standing(self, at: Candidate, now: float) -> Standing:
        return self.health.standing(at.channel.name, at.model.id, now)

    def probing(self, choices: tuple[Choice, ...]) -> bool:
        """A probe of one of these is under way."""
        now = self.now()
        return any(self.standing(choice.candidate, now).probing for choice in choices)

    def nobody(self, choices: tuple[Choice, ...]) -> DeeptokenError:
        """Why none of these can be asked now, and when one can."""
        now, wait_s = self.now(), self.soonest_s(choices)
        standings = [self.standing(choice.candidate, now) for choice in choices]
        if all(standing.why == "cooling" for standing in standings):
            return UpstreamRateLimited(
                "Every channel that serves this model is rate limited. Try again later.", retry_after_s=wait_s
            )
        return NoChannel(
            "Every channel that serves this model is out. Try again shortly.", retry_after_s=wait_s
        )

    def soonest_s(self, choices: tuple[Choice, ...]) -> float:
        """Seconds until one of these can be asked again."""
        now = self.now()
        return max(1.0, min(self.standing(choice.candidate, now).until for choice in choices) - now)


class _Admitted(msgspec.Struct):
    """An attempt that may begin: its word to the breakers, its place on a channel with limits."""

    choice: Choice
    entry: Entry
    place: Place | None
    hoped_for: bool
    """It is a probe: others may wait for its outcome."""


class Route:
    """The way of one call. Use as ``with route:``."""

    def __init__(
        self,
        means: Means,
        call: Inbound,
        choices: tuple[Choice, ...],
        *,
        conversation: int | None,
        tokens: int,
        deadline: float,
        asked: str,
        soon_s: float = SOON_S,
        last_hope: bool = False,
    ) -> None:
        self._means = means
        self._call = call
        self._planned = self._choices = choices
        self._conversation = conversation
        self._tokens = tokens
        self._deadline = deadline
        self._asked = asked
        """The model that was asked for: its requests pay for retries, whoever answers."""
        self._soon_s = soon_s
        """What is left of `SOON_S`."""
        self._last_hope = last_hope
        self._probed = False
        """The last attempt was a probe."""
        self._first: _Admitted | None = None
        self._answered: _Admitted | None = None
        self._answer: Answer | None = None
        self._attempts = 0

    @property
    def models(self) -> tuple[Model, ...]:
        """Those that may answer, each once, the first one first."""
        if len(self._choices) == 1:
            return (self._choices[0].candidate.model,)
        return tuple({choice.candidate.model.id: choice.candidate.model for choice in self._choices}.values())

    def begin(self, place: Place | None = None) -> bool:
        """Let in the first choice, of a last hope the first that can be; with `place`, the one whose it is.

        False: none may go now, and the place was given back.
        """
        if place is not None:
            ordered = sorted(self._choices, key=lambda choice: not _is_at(choice, place))
            self._choices = tuple(ordered[:ATTEMPTS_MAX])
            self._first = self._admitted(self._choices[0], place)
        elif not self._last_hope:
            self._first = self._admitted(self._choices[0])
        elif not self._means.probing(self._choices):
            for choice in self._choices:
                self._first = self._admitted(choice)
                if self._first is not None:
                    self._choices = (choice,)
                    break
        return self._first is not None

    def __enter__(self) -> "Route":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._first is not None:
            self._released(self._first, sent=False)
        if self._answered is not None and self._answer is not None:
            self._measure(self._answered, self._answer)

    # Attempts.

    async def first_answer(self, wanted: Wanted) -> Answer:
        """The answer of the first channel that gives one.

        Raises:
            Why the last one did not; `BadRequest` if none can do what is asked.
        """
        last: tuple[Failure, Candidate] | None = None
        unable: BadRequest | None = None
        for number, choice in enumerate(self._choices, 1):
            if last is not None and not self._goes_on(*last, choice, wanted):
                continue
            admitted = self._admitted(choice)
            if admitted is None:
                continue
            if last is not None and not self._may_retry(last[0]):
                self._released(admitted, sent=False)
                break
            try:
                others = number < len(self._choices) and self._can_follow(number)
                outcome = await self._attempt(admitted, wanted, others=others)
            except BadRequest as error:
                if _taken(wanted):
                    raise
                # This provider cannot do what is asked; the next one may.
                unable = unable or error
                continue
            if isinstance(outcome, Answer):
                return outcome
            last = outcome, choice.candidate
        if last is not None:
            again = await self._once_more(last[0], wanted)
            if isinstance(again, Answer):
                return again
            raise self._final(*(again or last))
        raise unable or self._means.nobody(self._choices)

    def _goes_on(self, outcome: Failure, at: Candidate, choice: Choice, wanted: Wanted) -> bool:
        """Whether `choice` is asked after `outcome` at another."""
        if _taken(wanted) or self._means.now() > self._deadline - WORTHWHILE_S:
            return False
        if not failure.moves_on(outcome):
            # What is wrong with the request for one model may be right for another.
            return choice.candidate.model is not at.model and failure.is_of_the_model(outcome)
        return True

    def _may_retry(self, outcome: Failure) -> bool:
        """Take a retry. What never left is none, nor is what another model may take."""
        return outcome.cause in ("connect", "caller") or self._means.retries.may_retry(
            self._asked, self._means.now()
        )

    def _can_follow(self, number: int) -> bool:
        """One of the choices behind the first `number` can be asked."""
        means = self._means
        now = means.now()
        return any(not means.standing(one.candidate, now).open for one in self._choices[number:])

    async def _once_more(self, outcome: Failure, wanted: Wanted) -> Answer | tuple[Failure, Candidate] | None:
        """The one attempt at a channel that was asked before; None: there is none."""
        means = self._means
        now = means.now()
        if _taken(wanted):
            return None
        if outcome.cause == "capacity":
            # What else failed is not asked again.
            cooling = [(means.standing(one.candidate, now), one) for one in self._choices]
            until, choice = min(
                ((standing.until, one) for standing, one in cooling if standing.why == "cooling"),
                key=itemgetter(0),
                default=(math.inf, self._choices[0]),
            )
            wait_s = until - now
        elif outcome.cause in ("connect", "outage") and not outcome.lasting and len(self._planned) == 1:
            choice, wait_s = self._choices[0], AGAIN_MIN_S + AGAIN_MORE_S * means.draw()
        else:
            return None
        worthwhile = wait_s <= self._soon_s and now + wait_s <= self._deadline - WORTHWHILE_S
        if not worthwhile or self._attempts >= ATTEMPTS_MAX or not self._may_retry(outcome):
            return None
        await asyncio.sleep(max(0.0, wait_s))
        admitted = self._admitted(choice)
        if admitted is None:
            return None
        with suppress(BadRequest):
            again = await self._attempt(admitted, wanted, others=False)
            return again if isinstance(again, Answer) else (again, choice.candidate)
        return None

    def _admitted(self, choice: Choice, place: Place | None = None) -> _Admitted | None:
        if self._first is not None:
            # It was let in before the hold.
            first, self._first = self._first, None
            if first.choice is choice:
                return first
            self._released(first, sent=False)
        means, at = self._means, choice.candidate
        if place is None and at.channel.paced:
            place = means.queue.take((at.channel,), self._tokens)
            if place is None:
                return None
        entry = means.health.enter(at.channel.name, at.model.id, means.now(), last_hope=self._last_hope)
        if entry is None:
            if place is not None:
                place.unused()
            return None
        return _Admitted(choice, entry, place, entry.probe or self._last_hope)

    async def _attempt(self, admitted: _Admitted, wanted: Wanted, *, others: bool) -> Answer | Failure:
        means, trace, at = self._means, self._call.trace, admitted.choice.candidate
        trace.channel, trace.label = at.channel.name, at.channel.label
        # Where a body can be had but once, there is nobody to be impatient for.
        others = others and wanted.upload is None
        wanted.patience_s = self._patience(at, stream=wanted.stream) if others else None
        began = means.now()
        self._attempts += 1
        self._probed = admitted.hoped_for
        try:
            outcome = await means.upstream.attempt(at, wanted)
        except BaseException as error:
            self._released(admitted, sent=not isinstance(error, BadRequest))
            if isinstance(error, asyncio.CancelledError):
                trace.tried(at, wanted, None, began=began - self._call.began, took=means.now() - began)
            raise
        now = means.now()
        if isinstance(outcome, Answer):
            means.health.succeeded(admitted.entry, now)
            if admitted.hoped_for:
                self._heard(admitted, told=True)
            if self._conversation is not None:
                means.affinity.remember(self._conversation, at.channel.name, now)
            outcome.on_close = self._left
            trace.limit = wanted.limit
            trace.began_ms = round((began - self._call.began) * 1_000)
            self._answered, self._answer = admitted, outcome
            return outcome
        self._count(admitted, outcome, now)
        self._released(admitted, sent=outcome.cause != "connect")
        trace.tried(at, wanted, outcome, began=began - self._call.began, took=now - began)
        return outcome

    def _patience(self, at: Candidate, *, stream: bool) -> float | None:
        """None: nothing was measured yet, and a model that thinks long must not be cut off each time."""
        speed = self._means.health.speed(at.channel.name, at.model.id)
        p95 = None if speed is None else speed.ttft_p95_s if stream else speed.whole_p95_s
        return None if p95 is None else max(PATIENCE_S, PATIENCE_FACTOR * p95)

    def _final(self, outcome: Failure, at: Candidate) -> DeeptokenError:
        error = failure.final(outcome, at)
        if self._probed and outcome.cause != "caller" and error.retry_after_s is None:
            # Its channel was out before, and is so still.
            error.retry_after_s = self._means.soonest_s(self._planned)
        return error

    # Ends.

    def _left(self) -> None:
        """The answer is done with, however it ended."""
        admitted, answer = self._answered, self._answer
        if admitted is None or answer is None:
            return
        if answer.failure is not None:
            self._count(admitted, answer.failure, self._means.now())
        self._released(admitted)

    def _count(self, admitted: _Admitted, outcome: Failure, now: float) -> None:
        """Against the channel, unless it was the call's own deadline that passed."""
        own = outcome.cause == "slow" and outcome.status is None and now >= self._deadline - WORTHWHILE_S
        if not own:
            self._means.health.failed(admitted.entry, outcome, now, self._means.draw())
            if admitted.hoped_for:
                self._heard(admitted, told=outcome.cause != "caller")

    def _released(self, admitted: _Admitted, *, sent: bool = True) -> None:
        """Not `sent`: it never reached the channel."""
        self._means.health.released(admitted.entry)
        if admitted.hoped_for:
            self._heard(admitted, told=False)
        if admitted.place is not None and sent:
            admitted.place.close()
        elif admitted.place is not None:
            admitted.place.unused()

    def _heard(self, admitted: _Admitted, *, told: bool) -> None:
        admitted.hoped_for = False
        for outcome in self._means.hoping:
            if not outcome.done():
                outcome.set_result(told)

    def _measure(self, admitted: _Admitted, answer: Answer) -> None:
        """How fast it was, and what it came to."""
        bill = self._call.trace.bill
        usage = None if bill is None else bill.usage
        if admitted.place is not None and usage is not None:
            admitted.place.used(usage.prompt_tokens + usage.completion_tokens)
        if answer.failure is None and self._call.trace.outcome == "complete":
            at, now = admitted.choice.candidate, self._means.now()
            self._means.health.measured(
                at.channel.name,
                at.model.id,
                ttft_s=answer.ttft_s,
                now=now,
                tokens=0 if usage is None else usage.completion_tokens,
                seconds=answer.waited - answer.ttft_s,
                whole=answer.reply is not None,
            )


def _taken(wanted: Wanted) -> bool:
    """Whether the body went out to somebody, and is no more to be had."""
    return wanted.upload is not None and wanted.upload.taken


def _is_at(choice: Choice, place: Place) -> bool:
    return choice.candidate.channel.name == place.channel
