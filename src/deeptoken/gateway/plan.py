"""The planner: which channels, in which order, and why. Pure: time, chance and health are given.

    models      as they were asked for, the channels of one behind those of the one before
    channels    that are enabled and in the caller's group: the catalog found them
    needs       what the request needs, against what its model is declared to do     400, naming the field
    wishes      the body's `provider`                                                400, naming the field
    health      an open breaker is out; all are open: the one closest to its probe, as last hope
    room        a full channel is out; all are full: `Plan.full`, the call waits
    order       priority, then a draw by weight and health; `order` and `sort` stand above both
    affinity    who served the conversation last is first among its equals, never before its betters

At most `ATTEMPTS_MAX` choices; each model has a place among them; no channel stands twice for a model. With
`explain` every candidate is a choice or left out, with its reason. Reasons become words when they are read.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec

from deeptoken.catalog.catalog import Found
from deeptoken.catalog.model import Candidate, Level
from deeptoken.catalog.patterns import Sort
from deeptoken.errors import BadRequest, ModelNotFound
from deeptoken.gateway.draw import By, Choice, Draw, Full, Health, Lots, View
from deeptoken.gateway.fit import Levels, costing, demands, named, nobody, parted, price_of, unfit
from deeptoken.gateway.needs import CHARACTERS_MIN, Need
from deeptoken.gateway.wishes import NO_WISHES, Wishes
from deeptoken.money import ONE_PPM
from deeptoken.wire.chat import Chat

ATTEMPTS_MAX = 4


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
    """All that could serve are full: the call waits for room, and plans again."""


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
        and not sought.needs
        and found.sort is None
        and not explain
        and (context is None or sought.chat.size <= CHARACTERS_MIN * context)
    ):
        lots = Lots(view, sought.served, draw)
        choices: list[Choice] = []
        for equals in found.levels:
            choices += lots.drawn(equals, ATTEMPTS_MAX - len(choices))
            if len(choices) == ATTEMPTS_MAX:
                break
        if choices:
            return Plan(tuple(choices))
    return _Search(sought, health, now, draw, full, explain=explain).plan()


class _Row(NamedTuple):
    """Equals, and what makes them so."""

    equals: Level
    by: By = "weight"
    number: float = 0.0


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
            plan = Plan(tuple(self._choices(chains, self._with_room)), full=True)
        if not plan.choices:
            plan = Plan(tuple(self._hope(chains)), last_hope=True)
        if not self._explain:
            return plan
        self._note_rest(chains, plan)
        return msgspec.structs.replace(plan, left_out=tuple(self._left_out))

    def _chains(self) -> list[tuple[Found, Levels]]:
        """Each model once, with those that meet what is asked; models that nobody may serve are passed over.

        Raises:
            BadRequest, ModelNotFound: nobody is left, and this is why for the first model.
        """
        chains: list[tuple[Found, Levels]] = []
        errors: list[BadRequest | ModelNotFound] = []
        once: dict[str, Found] = {}
        for found in self._sought.models:
            once.setdefault(found.model.id, found)
        for found in once.values():
            left = self._fitting(found)
            if isinstance(left, tuple):
                chains.append((found, left))
            else:
                errors.append(left)
        if not chains:
            raise errors[0]
        return chains

    def _fitting(self, found: Found) -> Levels | BadRequest | ModelNotFound:
        sought = self._sought
        if not found.levels:
            return ModelNotFound(found.model.id)
        error = unfit(found.model, sought.chat, sought.needs, sought.wishes, sought.ratio_ppm)
        if error is not None:
            self._note(found.levels, error.message)
            return error
        left = found.levels
        for demand in demands(sought.wishes):
            left, out = parted(left, demand.keep)
            self._note(out, demand.why)
            if not left:
                return nobody(demand, found.model, out, sought.wishes)
        return left

    def _choices(self, chains: list[tuple[Found, Levels]], lots: Lots) -> list[Choice]:
        """In the order of models; to each of those that follow a place is left."""
        wishes = self._sought.wishes
        choices: list[Choice] = []
        for number, (found, left) in enumerate(chains):
            room = ATTEMPTS_MAX - len(choices)
            if not room:
                break
            most = max(1, room - (len(chains) - number - 1))
            if not wishes.allow_fallbacks and not wishes.order:
                most = 1
            for equals, by, value in self._rows(found, left):
                some = lots.drawn(equals, most, by, value)
                choices += some
                most -= len(some)
                if not most:
                    break
        return choices

    def _rows(self, found: Found, left: Levels) -> Iterator[_Row]:
        sort = found.sort or self._sought.wishes.sort
        for place, name in enumerate(self._sought.wishes.order, start=1):
            first, left = parted(left, named(name))
            yield from self._sorted(first, sort, "order", place)
        yield from self._sorted(left, sort, "weight", 0)

    def _sorted(self, left: Levels, sort: Sort | None, otherwise: By, number: float) -> Iterator[_Row]:
        match sort:
            case None:
                for equals in left:
                    yield _Row(equals, otherwise, number)
            case "price":
                yield from self._by_price(left)
            case "throughput" | "latency":
                yield from self._by_speed(left, sort)

    def _by_price(self, left: Levels) -> Iterator[_Row]:
        """The cheapest first. Usually all are: a model has one price, whoever serves it."""
        costs = {sum(price_of(at.model)) for equals in left for at in equals.candidates}
        for cost in sorted(costs):
            cheap, left = parted(left, costing(cost)) if len(costs) > 1 else (left, ())
            for equals in cheap:
                yield _Row(equals, "price", self._sought.ratio_ppm)

    def _by_speed(self, left: Levels, sort: Literal["throughput", "latency"]) -> Iterator[_Row]:
        """The fastest first; then those of which nothing is known."""
        measured: list[tuple[float, Candidate]] = []
        for equals in left:
            for at in equals.candidates:
                speed = self._health.speed(at.channel.name, at.model.id)
                if speed is not None:
                    measured.append((speed.tokens_per_s if sort == "throughput" else speed.ttft_s, at))
        measured.sort(key=lambda one: one[0], reverse=sort == "throughput")
        for value, at in measured:
            yield _Row(Level((at,)), sort, value)
        known = {at.channel.name for _, at in measured}
        for equals in parted(left, lambda at: at.channel.name not in known)[0]:
            yield _Row(equals, sort, -1)

    def _hope(self, chains: list[tuple[Found, Levels]]) -> list[Choice]:
        """Those that are out, the one whose probe is due first at the front."""
        waits = []
        for _, left in chains:
            for equals in left:
                for at in equals.candidates:
                    until = self._health.standing(at.channel.name, at.model.id, self._now).until
                    waits.append((max(0.0, until - self._now), at, equals))
        waits.sort(key=lambda wait: wait[0])
        most = ATTEMPTS_MAX if self._sought.wishes.allow_fallbacks else 1
        return [Choice(at, "hope", equals, wait_s) for wait_s, at, equals in waits[:most]]

    def _note_rest(self, chains: list[tuple[Found, Levels]], plan: Plan) -> None:
        """Why those are no choices that met everything."""
        chosen = {(choice.candidate.channel.name, choice.candidate.model.id) for choice in plan.choices}
        behind = f"behind the {len(plan.choices)} that are tried"
        for _, left in chains:
            for equals in left:
                for at in equals.candidates:
                    if (at.channel.name, at.model.id) not in chosen:
                        self._note((Level((at,)),), self._view.why_not(at) or behind)

    def _note(self, levels: Levels, why: str) -> None:
        if self._explain:
            for equals in levels:
                for at in equals.candidates:
                    self._left_out.append(LeftOut(at.channel.name, at.model.id, why))
