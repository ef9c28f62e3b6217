"""How the channels stand, for operators: `/readyz`, `deeptoken channels health`, Prometheus. Pure."""

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from deeptoken.catalog.model import Channel
from deeptoken.gateway.breaker import Why
from deeptoken.gateway.health import State
from deeptoken.gateway.speed import Speed

MODELS_MAX = 1_000
"""So many models are shown; a pattern serves ids without end. Those that are not well come first."""
WORSE = ("closed", "half-open", "cooling", "open")
BREAKERS = ("breaker", "credential", "misconfigured")


class Condition(msgspec.Struct, frozen=True):
    """A channel, or a model on it. Numbers that were not measured are None."""

    channel: str
    model: str | None
    """None: the channel as a whole."""
    enabled: bool
    state: Literal["closed", "open", "half-open", "cooling"] = "closed"
    why: Why = ""
    """What is wrong, where it is not well."""
    wait_s: float = 0.0
    """Until the next probe, or until it has cooled."""
    failures: int = 0
    """In a row."""
    share: float = 1.0
    """Of its weight: below one it recovers."""
    error_share: float = 0.0
    ttft_s: float | None = None
    ttft_p95_s: float | None = None
    tokens_per_s: float | None = None


def worst(states: Iterable[State]) -> list[State]:
    """Of what several processes say of the same channel and model, the worst."""
    found: dict[tuple[str, str | None], State] = {}
    for state in states:
        at = (state.channel, state.model)
        known = found.get(at)
        if known is None or _badness(state) > _badness(known):
            found[at] = state
    return list(found.values())


def _badness(state: State) -> tuple[int, float, float]:
    return WORSE.index(state.state), state.wait_s, -state.share


def conditions(channels: Iterable[Channel], states: Iterable[State]) -> tuple[list[Condition], int]:
    """Every channel, each with its models behind it, by name; and how many models are left out.

    Channels that are not configured any more are not shown, nor models that were not called.
    """
    enabled = {channel.name: channel.enabled for channel in channels}
    whole = {name: Condition(name, None, on) for name, on in enabled.items()}
    models: list[Condition] = []
    for state in states:
        if state.channel in enabled:
            shown = _shown(state, enabled[state.channel])
            if state.model is None:
                whole[state.channel] = shown
            else:
                models.append(shown)
    models.sort(key=lambda one: (not one.why, one.share >= 1, one.channel, one.model or ""))
    every = [*whole.values(), *models[:MODELS_MAX]]
    every.sort(key=lambda one: (one.channel, one.model or ""))
    return every, len(models[MODELS_MAX:])


def open_breakers(
    channels: Iterable[Channel], states: Iterable[State], label: Callable[[Channel, str], str | None]
) -> dict[tuple[str, ...], float]:
    """By channel and label: 1 where the breaker is open. Of every channel that is in use, and of the models
    on it whose breaker is open. `label` tells what metrics say of a model's id; None: there is none any more.
    """
    named = {channel.name: channel for channel in channels if channel.enabled}
    found: dict[tuple[str, ...], float] = {(name, ""): 0.0 for name in named}
    for state in states:
        channel = named.get(state.channel)
        if channel is None or state.why not in BREAKERS:
            continue
        told = "" if state.model is None else label(channel, state.model)
        if told is not None:
            found[state.channel, told] = 1.0
    return found


def _shown(state: State, enabled: bool) -> Condition:
    speed = state.speed
    return Condition(
        channel=state.channel,
        model=state.model,
        enabled=enabled,
        state=state.state,
        why=state.why,
        wait_s=round(state.wait_s, 1),
        failures=state.failures,
        share=round(state.share, 3),
        error_share=round(state.error_share, 3),
        **_measured(speed),
    )


def _measured(speed: Speed | None) -> dict[str, float | None]:
    if speed is None:
        return {}
    p95 = speed.ttft_p95_s
    return {
        "ttft_s": round(speed.ttft_s, 3),
        "ttft_p95_s": None if p95 is None else round(p95, 3),
        "tokens_per_s": round(speed.tokens_per_s, 1) or None,
    }
