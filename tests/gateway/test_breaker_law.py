"""The breaker against one that keeps every call and counts anew each time, whatever the history."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from deeptoken.gateway.breaker import SHARE_FIRST, Breaker, Ticket, Why

NOW = 1_000.0


class Plain:
    """The same, in the specification's words: a list of what happened since it last opened or closed."""

    def __init__(self) -> None:
        self.why: Why = ""
        self.until = 0.0
        self.pause_s = 0.0
        self.doublings = 0
        self.closed_at: float | None = None
        self.turns = 0
        self.probe: int | None = None
        self.early = False
        self.outcomes: list[tuple[int, float, bool]] = []
        """Call, time, success."""

    def bad(self, now: float) -> bool:
        recent = [good for _, at, good in self.outcomes if int(at) > int(now) - 30]
        return self.row() >= 5 or (len(recent) >= 20 and recent.count(False) >= len(recent) / 2)

    def row(self) -> int:
        row = 0
        for _, _, good in reversed(self.outcomes):
            if good:
                break
            row += 1
        return row

    def open(self, why: Why, now: float) -> None:
        if why == "breaker":
            if self.closed_at is not None and not self.why:
                self.doublings = max(0, self.doublings - int((now - self.closed_at) // 300))
            self.pause_s = min(300.0, 5.0 * 2**self.doublings)
            self.doublings = min(6, self.doublings + 1)
        else:
            self.pause_s = 600.0
        self.until = now + self.pause_s
        self.turn(why)

    def turn(self, why: Why) -> None:
        self.why = why
        self.turns += 1
        self.probe = None
        self.outcomes = []


class BreakerMachine(RuleBasedStateMachine):
    """Calls that overlap in any way, at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.breaker, self.plain = Breaker(), Plain()
        self.calls: list[tuple[Ticket, int]] = []
        """With the turn in which it was let in."""
        self.over: set[int] = set()

    @rule(passed=st.sampled_from([0.25, 1.0, 4.75, 5.0, 10.0, 29.5, 30.0, 300.0, 600.0]))
    def wait(self, passed: float) -> None:
        self.now += passed

    @rule(last_hope=st.booleans())
    def enter(self, last_hope: bool) -> None:
        plain = self.plain
        expected = not plain.why or (plain.probe is None and (last_hope or self.now >= plain.until))

        admitted = self.breaker.admits(self.now, last_hope=last_hope)

        assert admitted is expected
        if admitted:
            ticket = self.breaker.enter(self.now)
            assert ticket.probe is bool(plain.why)
            if plain.why:
                plain.probe, plain.early = len(self.calls), self.now < plain.until
            self.calls.append((ticket, plain.turns))

    @rule(good=st.booleans(), times=st.integers(2, 12))
    def burst(self, good: bool, times: int) -> None:
        for _ in range(times):
            if not self.plain.why:
                self.enter(last_hope=False)
                self.succeed(-1) if good else self.fail(-1)

    @precondition(lambda self: self.calls)
    @rule(place=st.integers(0, 40))
    def succeed(self, place: int) -> None:
        call, plain = self.place(place), self.plain
        ticket, turn = self.calls[call]

        self.breaker.succeeded(ticket, self.now)

        told = call in self.over or any(one == call for one, _, _ in plain.outcomes)
        if turn == plain.turns and not told:
            if plain.probe == call:
                plain.turn("")
                plain.closed_at = self.now
                self.calls[call] = ticket, plain.turns
            plain.outcomes.append((call, self.now, True))

    @precondition(lambda self: self.calls)
    @rule(place=st.integers(0, 40))
    def fail(self, place: int) -> None:
        call, plain = self.place(place), self.plain
        ticket, turn = self.calls[call]

        self.breaker.failed(ticket, self.now, 0.0)

        if turn == plain.turns and call not in self.over:
            if plain.probe == call:
                if plain.early:
                    plain.until = max(plain.until, self.now + plain.pause_s)
                    plain.turn(plain.why)
                else:
                    plain.open(plain.why, self.now)
            else:
                plain.outcomes = [one for one in plain.outcomes if one[0] != call]
                plain.outcomes.append((call, self.now, False))
                if plain.bad(self.now):
                    plain.open("breaker", self.now)
        self.over.add(call)

    @precondition(lambda self: self.calls)
    @rule(place=st.integers(0, 40))
    def trip(self, place: int) -> None:
        call, plain = self.place(place), self.plain
        ticket, turn = self.calls[call]

        self.breaker.tripped(ticket, "credential", self.now, 0.0)

        if turn == plain.turns and call not in self.over:
            plain.open("credential", self.now)
        self.over.add(call)

    @precondition(lambda self: self.calls)
    @rule(place=st.integers(0, 40))
    def release(self, place: int) -> None:
        call = self.place(place)

        self.breaker.released(self.calls[call][0])

        if self.plain.probe == call:
            self.plain.probe = None
        self.over.add(call)

    def place(self, place: int) -> int:
        """The latest calls are the likeliest."""
        return (len(self.calls) - 1 - place) % len(self.calls) if place >= 0 else len(self.calls) - 1

    @invariant()
    def both_say_the_same(self) -> None:
        breaker, plain = self.breaker, self.plain
        assert breaker.why == plain.why
        assert breaker.probing is (plain.probe is not None)
        if plain.why:
            assert breaker.until == plain.until
            assert breaker.share(self.now) == SHARE_FIRST
        else:
            assert breaker.failures == plain.row()

    @invariant()
    def while_it_is_open_there_is_one_probe_at_most(self) -> None:
        probes = [
            call
            for call, (ticket, turn) in enumerate(self.calls)
            if turn == self.plain.turns and call not in self.over and ticket.probe
        ]
        assert len(probes) <= 1


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
