"""The smallest JSON value that fits a JSON schema, for `sim`'s tool calls and structured answers.

Source: json-schema.org/draft/2020-12, and `nullable` from OpenAPI 3.0; read 2026-11-23. The words understood:
type, enum, const, properties, required, additionalProperties, items, prefixItems, minItems, minLength,
minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, allOf, anyOf, oneOf, $ref. The others
(pattern, format, uniqueItems, not, ...) do not count. A schema is a stranger's: whatever it is, there is an
answer, soon.
"""

import math
from typing import Any

import msgspec

DEPTH_MAX = 64
VISITS_MAX = 2_000
"""Schemas looked at for one value; what references open beyond it is null."""
LENGTH_MAX = 4_096
ITEMS_MAX = 256
STEP_MIN = 1e-9
"""What is to be a multiple of less may be anything."""

KINDS = {
    "properties": "object",
    "required": "object",
    "additionalProperties": "object",
    "items": "array",
    "prefixItems": "array",
    "minItems": "array",
    "minLength": "string",
    "maxLength": "string",
    "pattern": "string",
    "format": "string",
    "minimum": "number",
    "maximum": "number",
    "exclusiveMinimum": "number",
    "exclusiveMaximum": "number",
    "multipleOf": "number",
}
"""What a schema without a type means to describe."""
LARGEST_COUNTS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
SMALLEST_COUNTS = ("maximum", "exclusiveMaximum")


def smallest(schema: object) -> Any:
    """The smallest value that `schema` allows, or null where it allows none that is finite."""
    return _Search(schema).value(schema, 0)


def smallest_object(schema: object) -> dict[str, Any]:
    """The same for the arguments of a tool, which are an object even where the schema does not say so."""
    value = smallest({"type": "object"} | _mapping(schema))
    return value if isinstance(value, dict) else {}


class _Search:
    """One schema document, which references point into, and what may still be spent on it."""

    def __init__(self, root: object) -> None:
        self.root = root
        self.visits_left = VISITS_MAX

    def value(self, schema: object, depth: int) -> Any:
        self.visits_left -= 1
        if depth > DEPTH_MAX or self.visits_left < 0:
            return None
        wanted = self.flat(schema, depth)
        if "const" in wanted:
            return wanted["const"]
        if choices := _sequence(wanted.get("enum")):
            return choices[0]
        if wanted.get("nullable") is True:
            return None
        options = _sequence(wanted.get("anyOf")) or _sequence(wanted.get("oneOf"))
        if options:
            rest = {word: wanted[word] for word in wanted if word not in ("anyOf", "oneOf")}
            return self.best(
                [_merged(rest, self.flat(option, depth)) for option in options[:ITEMS_MAX]], depth
            )
        return self.typed(wanted, depth)

    def flat(self, schema: object, depth: int) -> dict[str, Any]:
        """The schema with its references followed and its `allOf` folded in."""
        wanted = _mapping(schema)
        if "$ref" not in wanted and "allOf" not in wanted:
            return wanted
        self.visits_left -= 1
        if depth > DEPTH_MAX or self.visits_left < 0:
            return {}
        whole = {word: wanted[word] for word in wanted if word not in ("$ref", "allOf")}
        if isinstance(reference := wanted.get("$ref"), str):
            whole = _merged(self.flat(self.target(reference), depth + 1), whole)
        for part in _sequence(wanted.get("allOf")):
            whole = _merged(whole, self.flat(part, depth + 1))
        return whole

    def target(self, reference: str) -> object:
        """What a reference inside this document (``#/$defs/point``) points at; nothing outside is fetched."""
        here = self.root
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(here, list) and name.isdecimal() and int(name) < len(here):
                here = here[int(name)]
            else:
                here = _mapping(here).get(name)
        return here

    def best(self, options: list[dict[str, Any]], depth: int) -> Any:
        if any(option.get("type") == "null" for option in options):
            return None
        return min((self.value(option, depth + 1) for option in options), key=_size)

    def typed(self, wanted: dict[str, Any], depth: int) -> Any:
        kind = wanted.get("type")
        if isinstance(kind, list):
            kind = "null" if "null" in kind or not kind else kind[0]
        if kind is None:
            kind = next((KINDS[word] for word in wanted if word in KINDS), None)
        match kind:
            case "object":
                return self.object(wanted, depth)
            case "array":
                return self.array(wanted, depth)
            case "string":
                return "a" * min(_count(wanted.get("minLength")), LENGTH_MAX)
            case "integer" | "number":
                return _number(wanted, whole=kind == "integer")
            case "boolean":
                return False
        return None

    def object(self, wanted: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = _mapping(wanted.get("properties"))
        others = wanted.get("additionalProperties")
        names = [name for name in _sequence(wanted.get("required")) if isinstance(name, str)]
        return {name: self.value(properties.get(name, others), depth + 1) for name in names}

    def array(self, wanted: dict[str, Any], depth: int) -> list[Any]:
        first = _sequence(wanted.get("prefixItems"))
        length = min(_count(wanted.get("minItems")), ITEMS_MAX)
        items = [*first, *[wanted.get("items")] * length][:length]
        return [self.value(item, depth + 1) for item in items]


def _number(wanted: dict[str, Any], *, whole: bool) -> int | float:
    """Zero, or the number nearest to it that the bounds allow."""
    over, under = _bound(wanted, "exclusiveMinimum"), _bound(wanted, "exclusiveMaximum")
    low = max((n for n in (_bound(wanted, "minimum"), over) if n is not None), default=None)
    high = min((n for n in (_bound(wanted, "maximum"), under) if n is not None), default=None)
    step = _bound(wanted, "multipleOf") or (1 if whole else None)
    if step is not None and step > STEP_MIN:
        return _multiple(low, over, high, under, step)
    if low is not None and (low > 0 or low == over == 0):
        if low != over:
            return low
        return low + 1 if high is None or low + 1 < high else (low + high) / 2
    if high is not None and (high < 0 or high == under == 0):
        if high != under:
            return high
        return high - 1 if low is None or high - 1 > low else (low + high) / 2
    return 0


def _multiple(
    low: float | None, over: float | None, high: float | None, under: float | None, step: float
) -> int | float:
    times = 0
    if low is not None and low >= 0:
        times = math.ceil(low / step)
        times += times * step == over
    elif high is not None and high <= 0:
        times = math.floor(high / step)
        times -= times * step == under
    return times * step


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """A schema that asks for what both ask for."""
    both = one | other
    for word in one.keys() & other.keys():
        mine, theirs = one[word], other[word]
        if word == "properties":
            mine, theirs = _mapping(mine), _mapping(theirs)
            shared = {name: {"allOf": [mine[name], theirs[name]]} for name in mine.keys() & theirs.keys()}
            both[word] = mine | theirs | shared
        elif word == "required":
            both[word] = [*_sequence(mine), *_sequence(theirs)]
        elif word == "enum":
            both[word] = [
                choice for choice in _sequence(mine)[:ITEMS_MAX] if choice in _sequence(theirs)[:ITEMS_MAX]
            ]
        elif word == "type":
            both[word] = _type_of_both(mine, theirs)
        elif word in LARGEST_COUNTS and _is_number(mine) and _is_number(theirs):
            both[word] = max(mine, theirs)
        elif word in SMALLEST_COUNTS and _is_number(mine) and _is_number(theirs):
            both[word] = min(mine, theirs)
    return both


def _type_of_both(one: object, other: object) -> object:
    mine, theirs = (kind[:ITEMS_MAX] if isinstance(kind, list) else [kind] for kind in (one, other))
    if mine == ["number"] and "integer" in theirs:
        return "integer"
    shared = [kind for kind in mine if kind in theirs]
    return shared[0] if len(shared) == 1 else shared or one


def _size(value: object) -> int:
    return len(msgspec.json.encode(value))


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _sequence(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _bound(wanted: dict[str, Any], word: str) -> int | float | None:
    value = wanted.get(word)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    # Beyond a 64-bit float's whole numbers nobody means a bound, and arithmetic would overflow.
    return value if abs(value) < 2**53 else None


def _count(value: object) -> int:
    return int(value) if isinstance(value, (int, float)) and 0 < value < 2**53 else 0
