"""Whether one target may be called. Time and chance are given.

    closed     5 failures in a row, or half of at least 20 calls of the last 30 s, open it
    open       for 5 s, doubling to 5 min; a step less for each 5 minutes that it was closed
    half-open  then one probe at a time goes: a failure opens it for the next pause, a success closes it
    closed     at a tenth of its share, which grows to all of it in 30 s

What no number of calls makes better (a credential, a missing model) trips it: open for 10 minutes, then
probes; each that fails, another 10. A pause is up to a twentieth longer by chance, so that processes that
failed together do not probe together.

A call that is let in has a `Ticket`. What began before the breaker last opened or closed says nothing any
more. A call counts once, by its last outcome: a stream that breaks after its success is a failure only.

Source: spec "Health".
"""

import math
from typing import Literal

import msgspec

from deeptoken.gateway.seconds import Seconds

FAILURES_IN_A_ROW = 5
WINDOW_S = 30
WINDOW_CALLS_MIN = 20
PAUSE_FIRST_S = 5.0
PAUSE_MAX_S = 300.0
STEPS_MAX = 6
"""Doublings until the pause is at its longest."""
STEP_BACK_S = 300.0
TRIPPED_S = 600.0
SPREAD = 0.05
"""A pause is longer by at most this part of it; a told wait too."""
SHARE_FIRST = 0.1
GROWTH_S = 30.0
VOID = -1

Why = Literal["", "breaker", "cooling", "credential", "misconfigured"]


class Ticket(msgspec.Struct):
    """A call that was let in, until it is known what became of it."""

    generation: int
    """Between two changes of the breaker it is the same; `VOID`: nothing more is expected of it."""
    probe: bool = False
    early: bool = False
    """A probe before its time: the last hope."""
    success: int = 0
    """The number of its success, counted from 1; 0: it has none."""
    second: int = 0
    """In which its success counts."""


class Breaker:
    """Of one target. `why` is empty while it is closed; `until` is when the next probe may go."""

    __slots__ = (
        "_calls",
        "_closed_at",
        "_generation",
        "_pause_s",
        "_row",
        "_steps",
        "_successes",
        "failures",
        "probing",
        "until",
        "why",
    )

    def __init__(self) -> None:
        self.why: Why = ""
        self.until = 0.0
        self.probing = False
        self.failures = 0
        """The last calls that failed, in a row; with the probes, while it is open."""
        self._generation = 0
        self._steps = 0
        self._pause_s = 0.0
        self._closed_at = -math.inf
        self._calls = Seconds(WINDOW_S)
        self._row = Row()
        self._successes = 0

    def share(self, now: float) -> float:
        """The part of its weight that it should get: 0.1 to 1."""
        if self.why:
            return SHARE_FIRST
        return min(1.0, SHARE_FIRST + (1 - SHARE_FIRST) * max(0.0, now - self._closed_at) / GROWTH_S)

    def admits(self, now: float, *, last_hope: bool = False) -> bool:
        """Whether a call may go: if it is open, as its only probe; the last hope goes before its time too."""
        return not self.why or (not self.probing and (last_hope or now >= self.until))

    def enter(self, now: float) -> Ticket:
        """Let in a call that it admits."""
        if not self.why:
            return Ticket(self._generation)
        self.probing = True
        return Ticket(self._generation, probe=True, early=now < self.until)

    def succeeded(self, ticket: Ticket, now: float) -> None:
        if ticket.generation != self._generation or ticket.success:
            return
        if ticket.probe:
            ticket.probe = False
            self._turn("")
            self._closed_at = now
            ticket.generation = self._generation
        self.failures = 0
        self._successes += 1
        ticket.success = self._successes
        ticket.second = self._calls.add(now, calls=1)
        self._row.succeeded()

    def failed(self, ticket: Ticket, now: float, chance: float) -> None:
        """`chance` is in [0, 1)."""
        generation, ticket.generation = ticket.generation, VOID
        if generation != self._generation:
            return
        if ticket.probe:
            self.failures += 1
            self._open(self.why, now, chance, again=ticket.early)
            return
        if ticket.success:
            self._row.take_back(ticket.success)
            self._calls.correct(ticket.second, calls=-1)
        self._row.failed(self._successes)
        self._calls.add(now, calls=1, amount=1)
        self.failures = self._row.length
        calls, failed = self._calls.calls, self._calls.amount
        if self.failures >= FAILURES_IN_A_ROW or (calls >= WINDOW_CALLS_MIN and 2 * failed >= calls):
            self._open("breaker", now, chance)

    def tripped(self, ticket: Ticket, why: Why, now: float, chance: float) -> None:
        """It failed in a way that opens the breaker at once."""
        generation, ticket.generation = ticket.generation, VOID
        if generation == self._generation:
            self.failures += 1
            self._open(why, now, chance)

    def released(self, ticket: Ticket) -> None:
        """What became of it says nothing of the target. If it was the probe, another may go."""
        generation, ticket.generation = ticket.generation, VOID
        if ticket.probe and generation == self._generation:
            self.probing = False

    def clear(self) -> None:
        """Somebody knows that it is well: closed, with all of its share. Calls under way say nothing."""
        self._turn("")
        self.failures = 0
        self._steps = 0
        self._closed_at = -math.inf

    def _open(self, why: Why, now: float, chance: float, *, again: bool = False) -> None:
        """`again`: for as long as the last time, which is not over."""
        if why != "breaker":
            self._pause_s = TRIPPED_S
        elif not again:
            if not self.why:
                self._steps -= int(min(self._steps, (now - self._closed_at) / STEP_BACK_S))
            self._pause_s = min(PAUSE_MAX_S, PAUSE_FIRST_S * 2**self._steps)
            self._steps = min(self._steps + 1, STEPS_MAX)
        ends = now + self._pause_s * (1 + SPREAD * chance)
        self.until = max(self.until, ends) if again else ends
        self._turn(why)

    def _turn(self, why: Why) -> None:
        self.why = why
        self.probing = False
        self._generation += 1
        self._calls.clear()
        self._row = Row()


class Row:
    """The failures in a row at the end of what happened, where a success may be taken back later.

    Of each of the last failures it knows how many successes came before it, in all and since the failure
    before. More than `FAILURES_IN_A_ROW` it does not know of.
    """

    __slots__ = ("_before", "_since", "_tail")

    def __init__(self) -> None:
        self._before: list[int] = []
        self._since: list[int] = []
        self._tail = 0

    @property
    def length(self) -> int:
        if self._tail or not self._since:
            return 0
        row = 1
        for since in reversed(self._since[1:]):
            if since:
                break
            row += 1
        return row

    def succeeded(self) -> None:
        self._tail += 1

    def failed(self, successes: int) -> None:
        """After so many successes in all."""
        self._before.append(successes)
        self._since.append(self._tail)
        self._tail = 0
        if len(self._before) > FAILURES_IN_A_ROW:
            del self._before[0], self._since[0]

    def take_back(self, success: int) -> None:
        """The success of that number was none."""
        for place, before in enumerate(self._before):
            if success <= before:
                self._since[place] -= 1
                return
        self._tail -= 1
