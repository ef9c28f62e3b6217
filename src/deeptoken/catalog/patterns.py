"""Patterns: text that ends in its only ``*``. ``acme/*`` is a family, ``*`` is everything.

An exact id wins over patterns, the longer pattern over the shorter.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Generic, Literal, TypeVar

T = TypeVar("T")
Sort = Literal["price", "throughput", "latency"]

SUFFIXES: Mapping[str, Sort] = {":floor": "price", ":nitro": "throughput"}
"""What a caller may put behind a model id, and the order of candidates that it asks for."""


def is_pattern(text: str) -> bool:
    return text.endswith("*")


def is_valid(text: str) -> bool:
    """Is this an id or a pattern: not empty, with no ``*`` but one at the end?"""
    return bool(text) and "*" not in text[:-1]


def matches(pattern: str, id: str) -> bool:
    """Does this pattern, or exact id, cover the id?"""
    if pattern[-1:] == "*":
        return id.startswith(pattern[:-1])
    return pattern == id


def any_matches(patterns: Iterable[str], id: str) -> bool:
    return any(matches(pattern, id) for pattern in patterns)


def remap(pattern: str, target: str, id: str) -> str:
    """What an upstream calls `id`, by one line of a channel's models.

    ``remap("acme/*", "*", "acme/x")`` is ``x``; a target without ``*`` stands for the whole family.
    """
    if target[-1:] == "*" and pattern[-1:] == "*":
        return target[:-1] + id[len(pattern) - 1 :]
    return target


def without_suffix(id: str) -> tuple[str, Sort] | None:
    """The id without ``:floor`` or ``:nitro`` and what that asks for; None if it has neither."""
    base, colon, last = id.rpartition(":")
    sort = SUFFIXES.get(colon + last)
    return (base, sort) if base and sort else None


class Ranked(Generic[T]):
    """Things by id or pattern, found by rank: the exact one, then patterns, the longest first."""

    def __init__(self, things: Iterable[tuple[str, T]]) -> None:
        self._exact: dict[str, T] = {}
        families: dict[str, T] = {}
        for key, thing in things:
            (families if is_pattern(key) else self._exact).setdefault(key, thing)
        self._families = sorted(families.items(), key=lambda family: -len(family[0]))

    @property
    def exact_ids(self) -> AbstractSet[str]:
        return self._exact.keys()

    def best(self, id: str) -> tuple[str, T] | None:
        """The key that wins for this id, and its thing."""
        thing = self._exact.get(id)
        if thing is not None:
            return id, thing
        for pattern, thing in self._families:
            if id.startswith(pattern[:-1]):
                return pattern, thing
        return None

    def every(self, id: str) -> list[tuple[int, str, T]]:
        """All that cover this id as (rank, key, thing), the best first; a lower rank is better."""
        found = [(-len(p), p, thing) for p, thing in self._families if id.startswith(p[:-1])]
        thing = self._exact.get(id)
        return found if thing is None else [(EXACT, id, thing), *found]


EXACT = -1_000_000
"""The rank of an exact id: before any pattern."""
