"""What holds for the health of channels whatever happens to their calls, and in which order."""

from health_scene import BLAMED, CAUSES, NOW, failure
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from deeptoken.gateway.health import HEALTHY, Entry, Health, Standing
from deeptoken.providers.base import Cause

CHANNELS = ("a", "b")
MODELS = ("m", "n")


class HealthMachine(RuleBasedStateMachine):
    """Attempts that overlap in any way and end in any way."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.health = Health()
        self.running: list[Entry] = []
        """`succeeded` ones too: they may fail yet."""
        self.told: dict[tuple[str, str], float] = {}
        """Until when somebody was told not to come."""
        self.probes: dict[int, tuple[str, str | None]] = {}
        """Who probes what: a channel, a model there."""

    def standings(self) -> dict[tuple[str, str], Standing]:
        return {
            (channel, model): self.health.standing(channel, model, self.now)
            for channel in CHANNELS
            for model in MODELS
        }

    @rule(passed=st.sampled_from([0.25, 1.0, 4.75, 5.0, 10.0, 30.0, 300.0, 600.0]))
    def wait(self, passed: float) -> None:
        self.now += passed

    @rule(channel=st.sampled_from(CHANNELS), model=st.sampled_from(MODELS), last_hope=st.booleans())
    def enter(self, channel: str, model: str, last_hope: bool) -> None:
        standing = self.health.standing(channel, model, self.now)
        hopeless = standing.probing or standing.why == "cooling"

        entry = self.health.enter(channel, model, self.now, last_hope=last_hope)

        assert (entry is None) is (standing.open and (hopeless or not last_hope))
        if entry is not None:
            assert self.now >= self.told.get((channel, model), 0.0)
            assert not {(channel, None), (channel, model)} & set(self.probes.values())
            if entry.reach_ticket.probe:
                self.probes[2 * id(entry)] = channel, None
            if entry.ticket.probe:
                self.probes[2 * id(entry) + 1] = channel, model
            assert entry.probe is (standing.why not in ("", "cooling"))
            self.running.append(entry)

    @precondition(lambda self: self.running)
    @rule(place=st.integers(0, 9))
    def succeed(self, place: int) -> None:
        entry = self.running[-1 - place % len(self.running)]

        self.health.succeeded(entry, self.now)

        self.ended(entry)

    @precondition(lambda self: self.running)
    @rule(place=st.integers(0, 9), cause=st.sampled_from(CAUSES), wait_s=st.sampled_from([None, 0.5, 30.0]))
    def fail(self, place: int, cause: Cause, wait_s: float | None) -> None:
        entry = self.running.pop(-1 - place % len(self.running))
        before = self.standings()

        self.health.failed(entry, failure(cause, wait_s), self.now, 0.0)

        self.ended(entry)
        at = (entry.channel, entry.model)
        if cause == "capacity" and wait_s:
            self.told[at] = max(self.told.get(at, 0.0), self.now + wait_s)
        after = self.standings()
        if cause in ("caller", "capacity"):
            assert opened_anew(before, after) <= ({at} if cause == "capacity" else set())
        if cause == "caller":
            assert settled(after) == settled(before)

    @rule(cause=st.sampled_from(BLAMED), channel=st.sampled_from(CHANNELS), model=st.sampled_from(MODELS))
    def break_down(self, cause: Cause, channel: str, model: str) -> None:
        for _ in range(5):
            if (entry := self.health.enter(channel, model, self.now)) is not None:
                self.health.failed(entry, failure(cause), self.now, 0.0)

        assert self.health.standing(channel, model, self.now).open

    @precondition(lambda self: self.running)
    @rule(place=st.integers(0, 9))
    def release(self, place: int) -> None:
        entry = self.running.pop(-1 - place % len(self.running))
        before = self.standings()

        self.health.released(entry)

        self.ended(entry)
        assert settled(self.standings()) == settled(before)

    @rule(channel=st.sampled_from(CHANNELS))
    def clear(self, channel: str) -> None:
        self.health.clear(channel)

        for model in MODELS:
            assert self.health.standing(channel, model, self.now) is HEALTHY
            self.told.pop((channel, model), None)
        self.probes = {entry: at for entry, at in self.probes.items() if at[0] != channel}

    def ended(self, entry: Entry) -> None:
        for probe in (2 * id(entry), 2 * id(entry) + 1):
            self.probes.pop(probe, None)

    @invariant()
    def nobody_is_ill_where_nothing_is_troubled(self) -> None:
        for model in MODELS:
            each = {channel: self.health.standing(channel, model, self.now) for channel in CHANNELS}
            ill = {channel: standing for channel, standing in each.items() if standing is not HEALTHY}
            assert self.health.troubled or not ill
            assert all(0.1 <= standing.share <= 1 for standing in each.values())


def opened_anew(
    before: dict[tuple[str, str], Standing], after: dict[tuple[str, str], Standing]
) -> set[tuple[str, str]]:
    return {at for at in after if after[at].why and not before[at].why}


def settled(standings: dict[tuple[str, str], Standing]) -> list[tuple[str, float, float]]:
    """All but whether a probe is under way."""
    return [(one.why, one.until, one.share) for one in standings.values()]


TestHealth = HealthMachine.TestCase
TestHealth.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
