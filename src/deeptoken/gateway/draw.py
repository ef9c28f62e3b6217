"""Who of equals is asked first: a draw by weight and health. Pure: time, chance and health are given.

Of many equals some are drawn by weight, and only those are looked at; one that recovers is then taken by its
share, as if it had been weighed less. So a plan among 200 channels costs as little as one among ten.
"""

from bisect import bisect_right
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from deeptoken.catalog.model import Candidate, Channel, Level
from deeptoken.gateway.fit import priced

FEW = 8
"""So many equals are weighed one by one. Of more some are drawn, and only those are looked at."""
DRAWS_MAX = 24
"""Draws that find nobody, before the rest of many is weighed one by one too."""

OUT = {
    "breaker": "it fails too often",
    "cooling": "it is rate limited",
    "credential": "it refuses the gateway's account",
    "misconfigured": "it does not have the model",
}
"""What is wrong with a channel, for people. It names nobody: callers read it too."""

By = Literal["weight", "order", "price", "throughput", "latency", "served", "hope"]
Draw = Callable[[], float]
"""Numbers in [0, 1)."""
Full = Callable[[Channel], bool]


class Standing(Protocol):
    """How a channel stands with a model."""

    @property
    def open(self) -> bool:
        """The breaker is open, or it cools down: no call goes there."""

    @property
    def why(self) -> str: ...
    @property
    def until(self) -> float:
        """When the next probe is due."""

    @property
    def share(self) -> float:
        """Of its weight, 0.1 to 1: it recovers by and by."""

    @property
    def probing(self) -> bool: ...


class Speed(Protocol):
    """What was measured of a channel with a model."""

    @property
    def ttft_s(self) -> float: ...
    @property
    def tokens_per_s(self) -> float: ...


class Health(Protocol):
    """What is known of channels. Names and canonical ids in; times are on the monotonic clock."""

    @property
    def troubled(self) -> bool:
        """False: all of them stand well, and nobody needs to look."""

    def standing(self, channel: str, model: str, now: float) -> Standing: ...
    def speed(self, channel: str, model: str) -> Speed | None: ...


class Unmeasured:
    """The health of channels of which nothing is known."""

    troubled = False

    def standing(self, channel: str, model: str, now: float) -> Standing:
        raise LookupError(channel)

    def speed(self, channel: str, model: str) -> Speed | None:
        return None


class Choice(msgspec.Struct, frozen=True):
    """A candidate, and why it stands where it stands."""

    candidate: Candidate
    by: By
    equals: Level
    """From which it was drawn."""
    number: float = 0.0
    """What `by` measures."""
    share: float = 1.0

    @property
    def reason(self) -> str:
        """For people."""
        channel = self.candidate.channel
        match self.by:
            case "served":
                return "served this conversation last"
            case "hope":
                due = f"due in {self.number:.3g} s" if self.number > 0 else "due"
                return f"last hope: its probe is {due}"
        words = f"priority {channel.priority}"
        if len(self.equals.candidates) > 1:
            words += f", weight {channel.weight} of {self.equals.sums[-1]}"
        if self.share < 1:
            words += f", recovering: {self.share:.0%} of it"
        match self.by:
            case "order":
                return f"place {self.number:.0f} in provider.order, {words}"
            case "price":
                return f"by price: {priced(self.candidate.model, round(self.number))}, {words}"
            case "throughput" | "latency" if self.number < 0:
                return f"by {self.by}: not measured yet, {words}"
            case "throughput":
                return f"by throughput: {self.number:.3g} tokens a second"
            case "latency":
                return f"by latency: {self.number:.3g} s to the first token"
        return words


class View:
    """Health and room at this moment. It is not asked for more candidates than need be."""

    def __init__(self, health: Health, full: Full | None, now: float) -> None:
        self._health = health if health.troubled else None
        self._full = full
        self._now = now

    def share(self, at: Candidate) -> float:
        """Of its weight; 0: it cannot be asked."""
        if self._full is not None and self._full(at.channel):
            return 0.0
        if self._health is None:
            return 1.0
        standing = self._health.standing(at.channel.name, at.model.id, self._now)
        return 0.0 if standing.open else standing.share

    def recovers(self, at: Candidate) -> bool:
        """It was out and takes a part of its weight; it does not wait for its probe."""
        if self._health is None:
            return False
        standing = self._health.standing(at.channel.name, at.model.id, self._now)
        return not standing.open and not standing.why and standing.share < 1

    def why_not(self, at: Candidate) -> str | None:
        if self._health is not None:
            standing = self._health.standing(at.channel.name, at.model.id, self._now)
            if standing.open:
                return f"{OUT.get(standing.why, standing.why)}; {self._back(standing)}"
        if self._full is not None and self._full(at.channel):
            return "it serves as many calls as it may"
        return None

    def _back(self, standing: Standing) -> str:
        if standing.probing:
            return "a probe is under way"
        what = "asked again" if standing.why == "cooling" else "its probe is due"
        return f"{what} in {max(0.0, standing.until - self._now):.3g} s"


class Lots:
    """Draws among equals. Without a view everybody can be asked."""

    __slots__ = ("_draw", "_served", "_view")

    def __init__(self, view: View | None, served: str | None, draw: Draw) -> None:
        self._view = view
        self._served = served
        self._draw = draw

    def drawn(self, equals: Level, most: int, by: By = "weight", number: float = 0.0) -> list[Choice]:
        """Up to `most` of equals, in an order drawn by their weights and shares."""
        candidates = equals.candidates
        if len(candidates) == 1:
            share = 1.0 if self._view is None else self._view.share(candidates[0])
            return [Choice(candidates[0], by, equals, number, share)] if share else []
        seen: set[int] = set()
        chosen = [] if self._served is None else self._returning(equals, self._served, seen)
        if len(candidates) > FEW:
            for at, share in self._sampled(equals, most - len(chosen), seen):
                chosen.append(Choice(at, by, equals, number, share))
        if len(chosen) < most:
            for at, share in self._weighed(equals, most - len(chosen), seen):
                chosen.append(Choice(at, by, equals, number, share))
        return chosen

    def spares(self, equals: Level, chosen: list[Choice]) -> bool:
        """Whether the ones below go first: all of `chosen` recover, no equal is well, and of such calls they
        take their share alone."""
        view = self._view
        return (
            view is not None
            and bool(chosen)
            and all(view.recovers(choice.candidate) for choice in chosen)
            and not any(view.share(at) == 1 for at in equals.candidates)
            and self._draw() >= chosen[0].share
        )

    def _returning(self, equals: Level, served: str, seen: set[int]) -> list[Choice]:
        """The one that served the conversation last, if it is among them."""
        place = equals.places.get(served)
        if place is not None:
            at = equals.candidates[place]
            share = 1.0 if self._view is None else self._view.share(at)
            # One that recovers gets its conversations back by and by, as it gets all else.
            if share == 1 or (share and self._draw() < share):
                seen.add(place)
                return [Choice(at, "served", equals, 0.0, share)]
        return []

    def _sampled(self, equals: Level, most: int, seen: set[int]) -> list[tuple[Candidate, float]]:
        """Up to `most` of many, fewer when the draws hit too few that can be asked."""
        candidates, sums, view, draw = equals.candidates, equals.sums, self._view, self._draw
        total, last = sums[-1], len(candidates) - 1
        chosen: list[tuple[Candidate, float]] = []
        for _ in range(DRAWS_MAX):
            if len(chosen) >= most:
                break
            place = min(bisect_right(sums, draw() * total), last)
            if place in seen:
                continue
            share = 1.0 if view is None else view.share(candidates[place])
            if 0 < share < 1 and draw() >= share:
                continue
            seen.add(place)
            if share:
                chosen.append((candidates[place], share))
        return chosen

    def _weighed(self, equals: Level, most: int, seen: set[int]) -> list[tuple[Candidate, float]]:
        """Up to `most` of those that were not seen, each looked at."""
        view = self._view
        left: list[tuple[Candidate, float]] = []
        weights: list[float] = []
        for place, at in enumerate(equals.candidates):
            if place not in seen:
                share = 1.0 if view is None else view.share(at)
                if share:
                    left.append((at, share))
                    weights.append(at.channel.weight * share)
        chosen: list[tuple[Candidate, float]] = []
        while left and len(chosen) < most:
            place = _place(weights, self._draw()) if len(left) > 1 else 0
            chosen.append(left.pop(place))
            del weights[place]
        return chosen


def _place(weights: list[float], point: float) -> int:
    """Where the draw falls; on a weight of 0 only when there is no other."""
    reached = point * sum(weights)
    for place, weight in enumerate(weights):
        reached -= weight
        if reached < 0:
            return place
    return len(weights) - 1
