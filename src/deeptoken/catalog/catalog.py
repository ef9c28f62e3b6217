"""What can be called, by whom, and where: one frozen snapshot of channels, models and groups.

    model        a public id and what is known of it, if someone of that group would be served
    candidates   the channels that can serve it, and what each calls it; their order is the planner's
    label        what metrics say of a model: a listed id, or the pattern that prices it

A price is the precondition: an id without one does not exist here. A reload builds a new snapshot.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TypeVar

import msgspec

from deeptoken.catalog.entry import Entry, PriceBook
from deeptoken.catalog.model import Candidate, Channel, Group, Level, Model, levels
from deeptoken.catalog.patterns import Ranked, Sort, any_matches, is_pattern, remap, without_suffix
from deeptoken.catalog.price import dearest

DEFAULT_GROUP = "default"
T = TypeVar("T")
CACHE_MAX = 4_096
"""Answers kept, beside those for listed ids. Patterns serve ids that callers make up, so it is emptied
when it is full."""


class Found(msgspec.Struct, frozen=True, dict=True):
    """What a model id stands for. `sort` is what its suffix asked for, if it had one that was cut off."""

    model: Model
    candidates: tuple[Candidate, ...]
    sort: Sort | None = None

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """The candidates by priority, ready to be drawn from."""
        return levels(self.candidates)

    @cached_property
    def channels(self) -> frozenset[str]:
        """The names of all that serve it."""
        return frozenset(at.channel.name for at in self.candidates)

    @cached_property
    def paced(self) -> bool:
        """One of them has a limit of its own."""
        return any(at.channel.paced for at in self.candidates)

    @cached_property
    def called(self) -> Mapping[str, frozenset[str]]:
        """The names of the channels by what a caller may call them."""
        found: dict[str, set[str]] = {}
        for at in self.candidates:
            for name in at.channel.names:
                found.setdefault(name, set()).add(at.channel.name)
        return {name: frozenset(channels) for name, channels in found.items()}

    @cached_property
    def costing(self) -> Mapping[int, frozenset[str]]:
        """The names of the channels by the price of a prompt and a completion token, the cheapest first.

        Usually it is one price: a model costs the same, whoever serves it.
        """
        found: dict[int, set[str]] = {}
        for at in self.candidates:
            found.setdefault(sum(dearest(at.model.price, 0)), set()).add(at.channel.name)
        return {cost: frozenset(found[cost]) for cost in sorted(found)}


class _Served(msgspec.Struct, frozen=True):
    """A channel with its models ready to be looked up."""

    channel: Channel
    models: Ranked[str]
    unlisted: set[str]


class Catalog:
    """A snapshot. Nothing in it changes but the memory of what was looked up."""

    def __init__(
        self,
        served: tuple[_Served, ...],
        declared: Ranked[Entry],
        book: PriceBook,
        groups: Mapping[str, Group],
    ) -> None:
        self._served = served
        self._declared = declared
        self._book = book
        self._groups = groups
        self._found: dict[tuple[str, str], Found | None] = {}
        self._exact: frozenset[str] = frozenset().union(
            *(one.models.exact_ids - one.unlisted for one in served)
        )
        self._own = {DEFAULT_GROUP}.union(*(one.channel.groups for one in served))
        self._kept_max = CACHE_MAX + len(self._exact) * len(self._own)

    @classmethod
    def build(
        cls,
        channels: Iterable[Channel],
        models: Iterable[Entry],
        book: Iterable[Entry],
        groups: Iterable[Group] = (),
    ) -> "Catalog":
        """A snapshot of the file's channels, models and groups over the price book.

        A channel without models serves all that the book knows of its provider. Where an id has a price
        from several providers, that of the channel with the highest priority counts.
        """
        rows = PriceBook(book)
        served: list[_Served] = []
        for channel in sorted(channels, key=lambda channel: -channel.priority):
            unlisted: set[str] = set()
            if not channel.models:
                names, unlisted = rows.shelf(channel.provider)
                channel = msgspec.structs.replace(channel, models=names)
            served.append(_Served(channel, Ranked(channel.models.items()), unlisted))
        by_name = {DEFAULT_GROUP: Group(DEFAULT_GROUP)} | {group.name: group for group in groups}
        return cls(tuple(served), Ranked((entry.id, entry) for entry in models), rows, by_name)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """By priority, the highest first."""
        return tuple(one.channel for one in self._served)

    def group(self, name: str) -> Group:
        """The group of this name, or `default` if there is none."""
        return self._groups.get(name) or self._groups[DEFAULT_GROUP]

    def find(self, id: str, group: str) -> Found | None:
        """The model that `id` stands for in a group, and who can serve it; None if none with a price.

        ``:floor`` and ``:nitro`` are cut off only if the id with them is unknown.
        """
        # Groups that no channel names see the same.
        key = (id, group if group in self._own else DEFAULT_GROUP)
        try:
            return self._found[key]
        except KeyError:
            pass
        found = self._look_up(id, group)
        if found is None:
            cut = without_suffix(id)
            base = self._look_up(cut[0], group) if cut else None
            if cut and base:
                found = Found(base.model, base.candidates, cut[1])
        if len(self._found) >= self._kept_max:
            self._found.clear()
        self._found[key] = found
        return found

    def model(self, id: str, group: str) -> Model | None:
        found = self.find(id, group)
        return None if found is None else found.model

    def candidates(self, id: str, group: str) -> tuple[Candidate, ...]:
        """The channels that serve this id in this group, by priority; empty if there is no such model."""
        found = self.find(id, group)
        return () if found is None else found.candidates

    def exact_ids(self, group: str, allowed: tuple[str, ...] = ()) -> list[str]:
        """The ids to list for a key, sorted: of channels, and those on its own list that a pattern serves."""
        listed: set[str] = set(self._exact)
        if allowed:
            listed = {name for name in listed if any_matches(allowed, name)}
            listed |= {name for name in allowed if not is_pattern(name)}
        models = (self.model(name, group) for name in sorted(listed))
        return [model.id for model in models if model is not None and model.id in listed]

    def label(self, model: Model) -> str:
        """What metrics say: a listed id, else what its price is for. Callers cannot make labels."""
        return model.id if model.id in self._exact else model.price.model

    def _look_up(self, id: str, group: str) -> Found | None:
        allowed = {group, DEFAULT_GROUP}
        reached: list[tuple[Channel, str]] = []
        providers: dict[str, str] = {}
        for one in self._served:
            best = one.models.best(id)
            if best is None:
                continue
            channel = one.channel
            providers.setdefault(channel.provider, channel.label)
            if channel.enabled and not allowed.isdisjoint(channel.groups):
                reached.append((channel, remap(*best, id)))
        if not reached:
            return None
        model = self._describe(id, providers)
        if model is None:
            return None
        return Found(model, tuple(Candidate(channel, model, name) for channel, name in reached))

    def _describe(self, id: str, providers: Mapping[str, str]) -> Model | None:
        """What is known of an id: each fact from the best row that tells it; at equal rank the file's."""
        rows = [(rank, entry) for rank, _, entry in self._declared.every(id)] + self._book.rows(providers, id)
        entries = [entry for _, entry in sorted(rows, key=lambda row: row[0])]
        price = _first([entry.price for entry in entries if entry.rates])
        if price is None:
            return None
        return Model(
            id=id,
            price=price,
            context=_first([entry.context for entry in entries]),
            max_output=_first([entry.max_output for entry in entries]),
            owned_by=_first([entry.owned_by or entry.provider or None for entry in entries])
            or next(iter(providers.values())),
            modalities=_first([entry.modalities for entry in entries]) or ("text",),
            capabilities=_first([entry.capabilities for entry in entries]) or {},
        )


def _first(told: list[T | None]) -> T | None:
    return next((fact for fact in told if fact is not None), None)
