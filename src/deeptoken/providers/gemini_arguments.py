"""Arguments of a call that Vertex streams piece by piece, each piece with its place in the object.

    {"jsonPath": "$.items[0].name", "stringValue": "app", "willContinue": true}
    {"jsonPath": "$.items[0].name", "stringValue": "le"}
    {"jsonPath": "$.items[0].price", "numberValue": 0.5}

Source: RFC 9535 and docs.cloud.google.com/gemini-enterprise-agent-platform/models/tools/function-calling
(streaming function call arguments); read 2026-11-25. The gateway does not ask for it.
"""

import re
from itertools import pairwise
from typing import Any

import msgspec

from deeptoken.providers.gemini_answer import PartialArgument

STEP = re.compile(
    r"""\.(?P<name>[^.\[\]]+)|\[(?P<index>\d{1,5})\]|\['(?P<single>(?:[^'\\]|\\.)*)'\]|\["(?P<double>(?:[^"\\]|\\.)*)"\]"""
)
ESCAPED = re.compile(r"\\(.)")


class OutOfPlace(ValueError):
    """A piece whose path is none, or goes through something that is no object and no list."""


class Arguments:
    """An object that grows by its pieces. Pieces of the same text follow each other."""

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}

    def add(self, piece: PartialArgument) -> None:
        """Raises:
        OutOfPlace: the piece fits nowhere.
        """
        steps = _steps(piece.json_path)
        if not steps or not isinstance(steps[0], str):
            raise OutOfPlace(piece.json_path)
        where: Any = self._root
        for step, following in pairwise(steps):
            where = _inside(where, step, [] if isinstance(following, int) else {})
        _put(where, steps[-1], piece)

    def written(self) -> str:
        return msgspec.json.encode(self._root).decode()


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        found = STEP.match(path, at)
        if found is None:
            raise OutOfPlace(path)
        at = found.end()
        if found["index"] is not None:
            steps.append(int(found["index"]))
        else:
            quoted = found["single"] if found["name"] is None else found["name"]
            quoted = found["double"] if quoted is None else quoted
            steps.append(quoted if found["name"] is not None else ESCAPED.sub(r"\1", quoted))
    return steps


def _room(where: Any, step: str | int) -> Any:
    """`where`, with a place for `step`."""
    if isinstance(step, int) and isinstance(where, list):
        where += [None] * (step + 1 - len(where))
    elif not (isinstance(step, str) and isinstance(where, dict)):
        raise OutOfPlace(str(step))
    return where


def _inside(where: Any, step: str | int, empty: Any) -> Any:
    place = _room(where, step)
    if isinstance(step, int):
        place[step] = empty if place[step] is None else place[step]
    else:
        place.setdefault(step, empty)
    return place[step]


def _put(where: Any, step: str | int, piece: PartialArgument) -> None:
    place = _room(where, step)
    value: Any = piece.bool_value
    if piece.string_value is not None:
        before = place[step] if isinstance(step, int) else place.get(step)
        value = (before if isinstance(before, str) else "") + piece.string_value
    elif piece.number_value:
        value = piece.number_value
    place[step] = value
