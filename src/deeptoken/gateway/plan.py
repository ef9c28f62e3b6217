"""The planner: which channels, in which order, and why. Pure: time, chance and health are given.

    models      as they were asked for, the channels of one behind those of the one before
    channels    that are enabled and in the caller's group: the catalog found them
    needs       what the request needs, against what its model is declared to do     400, naming the field
    wishes      the body's `provider`                                                400, naming the field
    health      an open breaker is out; all are open: the one closest to its probe, as last hope
    room        a full channel is out; all are full: `Plan.full`, the call waits
    order       priority, then a draw by weight and health; `order` and `sort` stand above both; what a
                priority that recovers does not take yet goes to the one below
    affinity    who served the conversation last is first among its equals, never before its betters

At most `ATTEMPTS_MAX` choices, or `LINES_MAX` to wait for; each model has a place among them; no channel
stands twice for a model. With `explain` every candidate is a choice or left out, with its reason. Reasons
become words when they are read.
"""

from collections.abc import Iterator
from operator import itemgetter
from typing import Literal, NamedTuple

import msgspec

from deeptoken.catalog.catalog import Found
from deeptoken.catalog.model import Candidate, Level
from deeptoken.catalog.patterns import Sort
from deeptoken.errors import BadRequest, ModelNotFound
from deeptoken.gateway.draw import By, Choice, Draw, Full, Health, Lots, View
from deeptoken.gateway.fit import Channels, called, demands, nobody, unfit
from deeptoken.gateway.needs import CHARACTERS_MIN, Need, lacking
from deeptoken.gateway.wishes import NO_WISHES, Wishes
from deeptoken.money import ONE_PPM
from deeptoken.wire.chat import Chat

ATTEMPTS_MAX = 4
LINES_MAX = 32
"""Where a call waits for one of a few, the others' room goes to those who came after it."""


class Sought(msgspec.Struct, frozen=True):
    """What is to be called."""

    models: tuple[Found, ...]
    """The model and its fallbacks, in order."""
    chat: Chat
    needs: tuple[Need, ...] = ()
    wishes: Wishes = NO_WISHES
    ratio_ppm: int = ONE_PPM
    """The price multiplier of the caller's group."""
    served: str | None = None
    """The channel that served this conversation last."""

    @property
    def several(self) -> bool:
        """There may be a choice."""
        return len(self.models) > 1 or len(self.models[0].candidates) > 1

    @property
    def paced(self) -> bool:
        """One of the channels has a limit of its own."""
        models = self.models
        return models[0].paced if len(models) == 1 else any(found.paced for found in models)


class LeftOut(msgspec.Struct, frozen=True):
    """A channel that is not asked, and why."""

    channel: str
    model: str
    reason: str


class Plan(msgspec.Struct, frozen=True):
    """`choices` in the order in which they are tried."""

    choices: tuple[Choice, ...]
    left_out: tuple[LeftOut, ...] = ()
    """Only of a plan that explains."""
    last_hope: bool = False
    """All breakers are open: only the first choice is to be asked, and by one call at a time."""
    full: bool = False
    """All that could serve are full: the call waits for room on any of the choices."""


def plan(
    sought: Sought, health: Health, now: float, draw: Draw, *, full: Full | None = None, explain: bool = False
) -> Plan:
    """Who is asked for what is sought; at least one choice.

    Raises:
        BadRequest: no channel meets a need or a wish; `param` names it.
    """
    view = View(health, full, now) if full is not None or health.troubled else None
    found = sought.models[0]
    context = found.model.context
    if (
        len(sought.models) == 1
        and sought.wishes is NO_WISHES
        and lacking(sought.needs, found.model) is None
        and found.sort is None
        and not explain
        and (context is None or sought.chat.size <= CHARACTERS_MIN * context)
    ):
        if view is None and len(found.candidates) == 1:
            return Plan((Choice(found.candidates[0], "weight", found.levels[0]),))
        lots = Lots(view, sought.served, draw)
        choices: list[Choice] = []
        spared: list[Choice] = []
        for equals in found.levels:
            some = lots.drawn(equals, ATTEMPTS_MAX - len(choices))
            if lots.spares(equals, some):
                spared += some
            else:
                choices += some
            if len(choices) == ATTEMPTS_MAX:
                break
        choices += spared[: ATTEMPTS_MAX - len(choices)]
        if choices:
            return Plan(tuple(choices))
    return _Search(sought, health, now, draw, full, explain=explain).plan()


class _Row(NamedTuple):
    """Equals, and what makes them so."""

    equals: Level
    by: By = "weight"
    number: float = 0.0


class _Chain(NamedTuple):
    """A model, and the channels of it that meet what is asked."""

    found: Found
    left: Channels

    def levels(self, channels: Channels) -> Iterator[Level]:
        """These channels by priority."""
        if len(channels) == len(self.found.channels):
            yield from self.found.levels
        elif channels:
            for equals in self.found.levels:
                some = equals.among(channels)
                if some.candidates:
                    yield some


class _Search:
    """The whole of planning: several models, wishes, trouble, reasons."""

    def __init__(
        self, sought: Sought, health: Health, now: float, draw: Draw, full: Full | None, *, explain: bool
    ) -> None:
        self._sought = sought
        self._health = health
        self._now = now
        self._view = View(health, full, now)
        self._lots = Lots(self._view, sought.served, draw)
        self._with_room = Lots(View(health, None, now), sought.served, draw)
        """As if nobody were full."""
        self._explain = explain
        self._left_out: list[LeftOut] = []

    def plan(self) -> Plan:
        chains = self._chains()
        plan = Plan(tuple(self._choices(chains, self._lots)))
        if not plan.choices:
            plan = Plan(tuple(self._choices(chains, self._with_room, LINES_MAX)), full=True)
        if not plan.choices:
            plan = Plan(tuple(self._hope(chains)), last_hope=True)
        if not self._explain:
            return plan
        self._note_rest(chains, plan)
        return msgspec.structs.replace(plan, left_out=tuple(self._left_out))

    def _chains(self) -> list[_Chain]:
        """Each model once; one that nobody may serve is passed over.

        Raises:
            BadRequest, ModelNotFound: nobody is left, and this is why for the first model.
        """
        chains: list[_Chain] = []
        errors: list[BadRequest | ModelNotFound] = []
        once: dict[str, Found] = {}
        for found in self._sought.models:
            once.setdefault(found.model.id, found)
        for found in once.values():
            left = self._fitting(found)
            if isinstance(left, frozenset):
                chains.append(_Chain(found, left))
            else:
                errors.append(left)
        if not chains:
            raise errors[0]
        return chains

    def _fitting(self, found: Found) -> Channels | BadRequest | ModelNotFound:
        sought, left = self._sought, found.channels
        if not left:
            return ModelNotFound(found.model.id)
        error = unfit(found.model, sought.chat, sought.needs, sought.wishes, sought.ratio_ppm)
        if error is not None:
            self._note(found, left, error.message)
            return error
        for demand in demands(sought.wishes, found):
            meeting = left & demand.those
            self._note(found, left - meeting, demand.why)
            if not meeting:
                return nobody(demand, found, left, sought.wishes)
            left = meeting
        return left

    def _choices(self, chains: list[_Chain], lots: Lots, places: int = ATTEMPTS_MAX) -> list[Choice]:
        """In the order of models. Each that somebody can serve has a place; the first ones have the rest."""
        wishes = self._sought.wishes
        most = places if wishes.allow_fallbacks or wishes.order else 1
        able = [some for chain in chains if (some := self._chain_choices(chain, most, lots))][:places]
        left = places - len(able)
        choices: list[Choice] = []
        for some in able:
            taken = some[: 1 + left]
            left -= len(taken) - 1
            choices += taken
        return choices

    def _chain_choices(self, chain: _Chain, most: int, lots: Lots) -> list[Choice]:
        choices: list[Choice] = []
        spared: list[Choice] = []
        for equals, by, value in self._rows(chain):
            some = lots.drawn(equals, most - len(choices), by, value)
            if by == "weight" and lots.spares(equals, some):
                spared += some
            else:
                choices += some
            if len(choices) == most:
                break
        return choices + spared[: most - len(choices)]

    def _rows(self, chain: _Chain) -> Iterator[_Row]:
        left = chain.left
        sort = chain.found.sort or self._sought.wishes.sort
        for place, name in enumerate(self._sought.wishes.order, start=1):
            first = left & called((name,), chain.found)
            left = left - first
            yield from self._sorted(chain, first, sort, "order", place)
        yield from self._sorted(chain, left, sort, "weight", 0)

    def _sorted(
        self, chain: _Chain, channels: Channels, sort: Sort | None, otherwise: By, number: float
    ) -> Iterator[_Row]:
        match sort:
            case None:
                for equals in chain.levels(channels):
                    yield _Row(equals, otherwise, number)
            case "price":
                for those in chain.found.costing.values():
                    for equals in chain.levels(channels & those):
                        yield _Row(equals, "price", self._sought.ratio_ppm)
            case "throughput" | "latency":
                yield from self._by_speed(chain, channels, sort)

    def _by_speed(
        self, chain: _Chain, channels: Channels, sort: Literal["throughput", "latency"]
    ) -> Iterator[_Row]:
        """The fastest first; then those of which nothing is known."""
        measured: list[tuple[float, Candidate]] = []
        speed_of = self._health.speed
        for equals in chain.levels(channels):
            for at in equals.candidates:
                speed = speed_of(at.channel.name, at.model.id)
                if speed is not None:
                    measured.append((speed.tokens_per_s if sort == "throughput" else speed.ttft_s, at))
        measured.sort(key=itemgetter(0), reverse=sort == "throughput")
        for value, at in measured:
            yield _Row(Level((at,)), sort, value)
        for equals in chain.levels(channels - {at.channel.name for _, at in measured}):
            yield _Row(equals, sort, -1)

    def _hope(self, chains: list[_Chain]) -> list[Choice]:
        """Those that are out, the one whose probe is due first at the front."""
        waits: list[tuple[tuple[bool, float], Candidate, Level]] = []
        for chain in chains:
            for equals in chain.levels(chain.left):
                for at in equals.candidates:
                    standing = self._health.standing(at.channel.name, at.model.id, self._now)
                    # One that cools down takes nobody, not even the last hope.
                    rank = standing.why == "cooling", max(0.0, standing.until - self._now)
                    waits.append((rank, at, equals))
        waits.sort(key=itemgetter(0))
        most = ATTEMPTS_MAX if self._sought.wishes.allow_fallbacks else 1
        return [Choice(at, "hope", equals, rank[1]) for rank, at, equals in waits[:most]]

    def _note_rest(self, chains: list[_Chain], plan: Plan) -> None:
        """Why those are no choices that met everything."""
        chosen = {(choice.candidate.channel.name, choice.candidate.model.id) for choice in plan.choices}
        behind = f"behind the {len(plan.choices)} that are tried"
        for chain in chains:
            for at in chain.found.candidates:
                name = at.channel.name
                if name in chain.left and (name, at.model.id) not in chosen:
                    self._left_out.append(LeftOut(name, at.model.id, self._view.why_not(at) or behind))

    def _note(self, found: Found, channels: Channels, why: str) -> None:
        if self._explain:
            for name in sorted(channels):
                self._left_out.append(LeftOut(name, found.model.id, why))
