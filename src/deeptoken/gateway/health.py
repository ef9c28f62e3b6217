"""What is known of the channels' health: who may be called now, how much, and how fast it is. Time is given.

    failure's cause   the channel                 the model on it
    connect           counts                      -
    outage, slow      it was reached              counts
    capacity          it was reached              cools: as long as told, else 1 s doubling to 60 s
    credential        open, a probe each 10 min   -
    misconfigured     it was reached              open, a probe each 10 min
    caller            -                           -

A breaker for each channel, one for each model on it, and a cool-down beside that (`cooling.py`). An attempt
is announced by `enter`, right before it, and ends with `succeeded`, `failed` (or both, in this order) or
`released`. The planner reads a `Standing`; what is not known to be ill is `HEALTHY`.

Source: spec "Health" and "What a failure means".
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from deeptoken.catalog.model import Channel
from deeptoken.gateway.breaker import Breaker, Ticket, Why
from deeptoken.gateway.cooling import Cooling
from deeptoken.gateway.speed import Measured, Speed
from deeptoken.providers.base import Failure

TARGETS_MAX = 16_384
"""Callers can make up ids that a pattern serves, so what is known is bounded."""
PASSED_OVER_MAX = 8

At = tuple[str, str]
"""A channel's name and a model's id."""


class Standing(msgspec.Struct, frozen=True):
    """How a model on a channel stands. Times are on the monotonic clock.

    When the probe of an open breaker is due and nobody makes it, it is not `open`: the next call may be the
    probe, and `enter` sees to it that there is one only.
    """

    open: bool = False
    """Nobody may go there now, but the last hope."""
    why: Why = ""
    """What is wrong with it, also when a probe is due. ``cooling``: not even the last hope may go."""
    until: float = 0.0
    """When the next probe is due, or when it has cooled and is as it was before."""
    share: float = 1.0
    """A factor for its weight, 0.1 to 1."""
    probing: bool = False
    """A probe is under way: not even the last hope may go until it has ended."""


HEALTHY = Standing()
UNKNOWN: Mapping[str, "_Target"] = {}


class State(msgspec.Struct, frozen=True):
    """The same for people. `model` is None for the channel as a whole."""

    channel: str
    model: str | None
    state: Literal["closed", "open", "half-open", "cooling"]
    why: Why
    wait_s: float
    """Until the next probe, or until it has cooled."""
    failures: int
    """In a row."""
    share: float
    error_share: float
    speed: Speed | None


class _Target:
    """A model on a channel."""

    __slots__ = ("breaker", "cooling", "measured")

    def __init__(self) -> None:
        self.breaker = Breaker()
        self.cooling = Cooling()
        self.measured = Measured()

    def well(self, now: float) -> bool:
        return now >= self.cooling.until and _well(self.breaker, now)

    def clear(self) -> None:
        self.breaker.clear()
        self.cooling.clear()


class Entry(msgspec.Struct):
    """An attempt that was let in, by the channel's breaker (`reach`) and by the model's on it."""

    channel: str
    model: str
    reach: Breaker
    target: _Target
    reach_ticket: Ticket
    ticket: Ticket
    wave: int
    """Of the cool-down when it began."""
    succeeded: bool = False
    ended: bool = False

    @property
    def probe(self) -> bool:
        """It probes one of them, and was not heard of yet."""
        return self.reach_ticket.probe or self.ticket.probe


class Health:
    """Of all channels of this process."""

    def __init__(self) -> None:
        self._channels: Mapping[str, Channel] = {}
        self._reach: dict[str, Breaker] = {}
        self._targets: OrderedDict[At, _Target] = OrderedDict()
        """The one that was entered least lately comes first."""
        self._ill_reach: dict[str, Breaker] = {}
        self._ill: dict[str, dict[str, _Target]] = {}
        """Model -> channel -> what was not well when it was last looked at."""

    @property
    def troubled(self) -> bool:
        """If not, every standing is `HEALTHY`."""
        return bool(self._ill or self._ill_reach)

    def standing(self, channel: str, model: str, now: float) -> Standing:
        target = self._ill.get(model, UNKNOWN).get(channel)
        reach = self._ill_reach.get(channel)
        if target is not None and target.well(now):
            target = None
            self._recovered(channel, model)
        if reach is not None and _well(reach, now):
            reach = None
            del self._ill_reach[channel]
        if target is None and reach is None:
            return HEALTHY
        return _standing(reach, target, now)

    def speed(self, channel: str, model: str) -> Speed | None:
        """None: nothing was measured yet."""
        target = self._targets.get((channel, model))
        return None if target is None else target.measured.speed()

    def enter(self, channel: str, model: str, now: float, *, last_hope: bool = False) -> Entry | None:
        """Announce an attempt, right before it; None: it may not go.

        Where a breaker is open it is the only probe until it ends, however it does. The last hope goes before
        a probe is due, but never while another runs nor before it has cooled.
        """
        reach = self._reach.get(channel)
        if reach is None:
            reach = self._reach[channel] = Breaker()
        target = self._target(channel, model, now)
        breaker, cooling = target.breaker, target.cooling
        if now < cooling.until:
            return None
        # Without a reason, a breaker is closed and admits everybody.
        if (reach.why and not reach.admits(now, last_hope=last_hope)) or (
            breaker.why and not breaker.admits(now, last_hope=last_hope)
        ):
            return None
        return Entry(channel, model, reach, target, reach.enter(now), breaker.enter(now), wave=cooling.wave)

    def succeeded(self, entry: Entry, now: float) -> None:
        """Its first content came, or its whole answer."""
        if entry.ended or entry.succeeded:
            return
        entry.succeeded = True
        entry.reach.succeeded(entry.reach_ticket, now)
        target = entry.target
        target.breaker.succeeded(entry.ticket, now)
        target.cooling.succeeded(entry.wave)
        target.measured.succeeded(now)

    def failed(self, entry: Entry, failure: Failure, now: float, chance: float) -> None:
        """It failed, maybe after it had succeeded. `chance` is in [0, 1)."""
        if entry.ended:
            return
        entry.ended = True
        reach, target = entry.reach, entry.target
        match failure.cause:
            case "connect":
                reach.failed(entry.reach_ticket, now, chance)
            case "credential":
                reach.tripped(entry.reach_ticket, "credential", now, chance)
            case "outage" | "slow":
                _reached(entry, now)
                target.breaker.failed(entry.ticket, now, chance)
            case "misconfigured":
                _reached(entry, now)
                target.breaker.tripped(entry.ticket, "misconfigured", now, chance)
            case "capacity":
                _reached(entry, now)
                target.cooling.refused(entry.wave, failure.retry_after_s, now, chance)
        if failure.cause in ("connect", "outage", "slow"):
            target.measured.failed(now, succeeded=entry.succeeded)
        _give_back(entry)
        self._note(entry, now)

    def released(self, entry: Entry) -> None:
        """It ended by no doing of the channel. After one of the others it changes nothing."""
        if not entry.ended:
            entry.ended = True
            _give_back(entry)

    def measured(
        self,
        channel: str,
        model: str,
        *,
        ttft_s: float,
        now: float,
        tokens: int = 0,
        seconds: float = 0.0,
        whole: bool = False,
    ) -> None:
        """It took `ttft_s` until the first content (of a whole answer: until its head), and from there
        `seconds` for `tokens`."""
        measured = self._target(channel, model, now).measured
        measured.first(now, ttft_s, whole=whole)
        if tokens > 0 and seconds > 0:
            measured.generated(now, tokens, seconds)

    def clear(self, channel: str, model: str | None = None) -> None:
        """An operator says that it is well: the model there, or the channel with all its models."""
        if model is None and channel in self._reach:
            self._reach[channel].clear()
        for at, target in self._targets.items():
            if at[0] == channel and model in (None, at[1]):
                target.clear()

    def kept(self, channels: Iterable[Channel]) -> None:
        """After a reload: forget what is gone. A channel with another address or credential starts anew; one
        that calls its models otherwise is asked again for those that it did not have."""
        before, self._channels = self._channels, {channel.name: channel for channel in channels}
        same = {
            name
            for name, channel in self._channels.items()
            if name not in before or _upstream(before[name]) == _upstream(channel)
        }
        for name in self._reach.keys() - same:
            del self._reach[name]
            self._ill_reach.pop(name, None)
        for channel, model in list(self._targets):
            if channel not in same:
                self._forget((channel, model))
            elif channel in before and before[channel].models != self._channels[channel].models:
                target = self._targets[channel, model]
                if target.breaker.why == "misconfigured":
                    target.breaker.clear()

    def states(self, now: float) -> list[State]:
        """Of every channel that was called and of each model there, by name."""
        found = [_state(channel, None, reach, None, now) for channel, reach in self._reach.items()]
        found += [
            _state(channel, model, target.breaker, target, now)
            for (channel, model), target in self._targets.items()
        ]
        return sorted(found, key=lambda state: (state.channel, state.model or ""))

    def _target(self, channel: str, model: str, now: float) -> _Target:
        at = (channel, model)
        target = self._targets.get(at)
        if target is not None:
            self._targets.move_to_end(at)
            return target
        if len(self._targets) >= TARGETS_MAX:
            self._forget(self._dispensable(now))
        target = self._targets[at] = _Target()
        return target

    def _dispensable(self, now: float) -> At:
        """The first whose loss hurts least: it is well, or has no such model."""
        for _ in range(PASSED_OVER_MAX):
            at = next(iter(self._targets))
            target = self._targets[at]
            if target.breaker.why != "breaker" and not target.breaker.probing and now >= target.cooling.until:
                break
            self._targets.move_to_end(at)
        return next(iter(self._targets))

    def _forget(self, at: At) -> None:
        del self._targets[at]
        channel, model = at
        if channel in self._ill.get(model, UNKNOWN):
            self._recovered(channel, model)

    def _recovered(self, channel: str, model: str) -> None:
        ill = self._ill[model]
        del ill[channel]
        if not ill:
            del self._ill[model]

    def _note(self, entry: Entry, now: float) -> None:
        """Remember who is not well now. What was forgotten meanwhile stays so."""
        channel, model = entry.channel, entry.model
        if not _well(entry.reach, now) and self._reach.get(channel) is entry.reach:
            self._ill_reach[channel] = entry.reach
        if not entry.target.well(now) and self._targets.get((channel, model)) is entry.target:
            self._ill.setdefault(model, {})[channel] = entry.target


def _well(breaker: Breaker, now: float) -> bool:
    return not breaker.why and breaker.share(now) >= 1


def _reached(entry: Entry, now: float) -> None:
    """The channel answered, if not well. Whether its credential is good that does not say."""
    if entry.reach.why != "credential":
        entry.reach.succeeded(entry.reach_ticket, now)


def _give_back(entry: Entry) -> None:
    entry.reach.released(entry.reach_ticket)
    entry.target.breaker.released(entry.ticket)


def _standing(reach: Breaker | None, target: _Target | None, now: float) -> Standing:
    """Of both together; None is well."""
    why: Why = ""
    until, share, probing = 0.0, 1.0, False
    for breaker in (reach, target.breaker if target else None):
        if breaker is None:
            continue
        share = min(share, breaker.share(now))
        probing = probing or breaker.probing
        if breaker.why:
            why, until = why or breaker.why, max(until, breaker.until)
    if target and now < target.cooling.until:
        why, until = "cooling", max(until, target.cooling.until)
    return Standing(open=probing or now < until, why=why, until=until, share=share, probing=probing)


def _state(channel: str, model: str | None, breaker: Breaker, target: _Target | None, now: float) -> State:
    standing = _standing(breaker, target, now)
    state: Literal["closed", "open", "half-open", "cooling"] = "closed"
    if standing.why == "cooling":
        state = "cooling"
    elif standing.why:
        state = "open" if now < standing.until and not standing.probing else "half-open"
    return State(
        channel=channel,
        model=model,
        state=state,
        why=standing.why,
        wait_s=max(0.0, standing.until - now),
        failures=breaker.failures,
        share=standing.share,
        error_share=target.measured.error_share if target else 0.0,
        speed=target.measured.speed() if target else None,
    )


def _upstream(channel: Channel) -> tuple[object, ...]:
    """What decides whom a channel calls, and as whom."""
    return channel.provider, channel.base_url, channel.secret, channel.options
