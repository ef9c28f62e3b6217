"""Attempts at channels, and what became of them."""

from deeptoken.gateway.health import Entry, Health, State
from deeptoken.providers.base import Cause, Failure

NOW = 1_000.0
BLAMED: list[Cause] = ["connect", "outage", "slow"]
CAUSES: list[Cause] = [*BLAMED, "capacity", "credential", "misconfigured", "caller"]


def failure(cause: Cause, retry_after_s: float | None = None) -> Failure:
    return Failure(cause, "It failed.", retry_after_s=retry_after_s)


def entered(health: Health, channel: str, model: str, now: float = NOW, *, last_hope: bool = False) -> Entry:
    entry = health.enter(channel, model, now, last_hope=last_hope)
    assert entry is not None
    return entry


def fail(health: Health, cause: Cause, channel: str = "c", model: str = "m", now: float = NOW) -> None:
    health.failed(entered(health, channel, model, now), failure(cause), now, 0.0)


def succeed(health: Health, channel: str = "c", model: str = "m", now: float = NOW) -> None:
    health.succeeded(entered(health, channel, model, now), now)


def opened(cause: Cause = "outage", times: int = 5) -> Health:
    health = Health()
    for _ in range(times):
        fail(health, cause)
    return health


def state_of(health: Health, channel: str, model: str | None, now: float = NOW) -> State:
    return next(state for state in health.states(now) if (state.channel, state.model) == (channel, model))
