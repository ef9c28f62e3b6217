"""Two schemas made one that says both; the second half of `schema.py`.

Inside, `type` is a list, and a schema with `anyOf` has nothing beside it but words. `finished` writes types
as they are written, and takes away what says nothing.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

Schema = dict[str, Any]
Tell = Callable[[str, str], None]

NULL = "null"
TYPES = ("string", "number", "integer", "boolean", "object", "array", NULL)
ANNOTATIONS = ("title", "description", "default")
BRANCHES_MAX = 32
"""Of an anyOf that two of them become."""
OF_TYPE = {
    "properties": "object",
    "required": "object",
    "additionalProperties": "object",
    "propertyOrdering": "object",
    "patternProperties": "object",
    "propertyNames": "object",
    "minProperties": "object",
    "maxProperties": "object",
    "unevaluatedProperties": "object",
    "dependentRequired": "object",
    "dependentSchemas": "object",
    "dependencies": "object",
    "items": "array",
    "prefixItems": "array",
    "minItems": "array",
    "maxItems": "array",
    "uniqueItems": "array",
    "contains": "array",
    "minContains": "array",
    "maxContains": "array",
    "unevaluatedItems": "array",
    "minimum": "number",
    "maximum": "number",
    "exclusiveMinimum": "number",
    "exclusiveMaximum": "number",
    "multipleOf": "number",
    "minLength": "string",
    "maxLength": "string",
    "pattern": "string",
}
"""A keyword, and the one type whose values it looks at."""
TIGHTER: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    dict.fromkeys(("maximum", "maxItems", "maxLength", "maxProperties"), min)
    | dict.fromkeys(("minimum", "minItems", "minLength", "minProperties"), max)
)


class Lost(msgspec.Struct, frozen=True):
    """A keyword that could not be kept whole."""

    path: str
    keyword: str


def type_of(value: Any) -> str:
    """JSON's word for it."""
    match value:
        case None:
            return NULL
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def types_of(node: Schema) -> list[str]:
    """The types that it names; none: any."""
    told = node.get("type")
    types = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    types = [kind for kind in types if kind in TYPES]
    if types and node.get("nullable") is True:
        types.append(NULL)
    if "number" in types:
        types = [kind for kind in types if kind != "integer"]
    return list(dict.fromkeys(types))


def described(made: Schema, words: list[str]) -> None:
    """Put words behind the description."""
    if words:
        said = made.get("description")
        made["description"] = f"{said} ({', '.join(words)})" if said else ", ".join(words)


def both(one: Schema | None, other: Schema | None, path: str, tell: Tell) -> Schema | None:
    """A schema that accepts whatever both accept; None: nothing."""
    if one is None or other is None:
        return None
    if "anyOf" in one or "anyOf" in other:
        return _branches(one, other, path, tell)
    merged = {**other, **one}
    if "prefixItems" in one and "prefixItems" in other:
        # What stands behind one of the two is no rule for what is behind the other.
        tell(path, "prefixItems")
        merged.pop("items", None)
        merged.update((name, one[name]) for name in ("items",) if name in one)
        other = {name: value for name, value in other.items() if name not in ("prefixItems", "items")}
    for alone, with_first in ((one, other), (other, one)):
        if "items" in alone and "prefixItems" in with_first and "prefixItems" not in alone:
            tell(path, "items")
        strangers = with_first.get("properties", {}).keys() - alone.get("properties", {}).keys()
        if strangers and alone.get("additionalProperties", True) is not True:
            # Taken literally, a closed object could not be extended at all; nobody means that.
            tell(path, "additionalProperties")
    for name in one.keys() & other.keys() - frozenset(ANNOTATIONS):
        met = _met(name, one[name], other[name], path, tell)
        if met is None:
            return None
        merged[name] = met
    return merged


def _met(name: str, one: Any, other: Any, path: str, tell: Tell) -> Any:
    """What both say of a keyword; None: they leave nothing."""
    if name in TIGHTER:
        return TIGHTER[name](one, other)
    match name:
        case "type":
            return _types_met(one, other) or None
        case "enum":
            return [value for value in one if value in other] or None
        case "required":
            return list(dict.fromkeys((*one, *other)))
        case "properties":
            met = {key: both(one[key], other[key], path, tell) for key in one if key in other}
            return {key: value for key, value in {**one, **other, **met}.items() if value is not None}
        case "additionalProperties":
            return _others_met(one, other, path, tell)
        case "items":
            return both(one, other, path, tell) or one
    if one != other:
        tell(path, name)
    return one


def _others_met(one: Any, other: Any, path: str, tell: Tell) -> Any:
    if one is False or other is False:
        return False
    if one is True or other is True:
        return other if one is True else one
    met = both(one, other, path, tell)
    return False if met is None else met


def _types_met(one: list[str], other: list[str]) -> list[str]:
    met = []
    for kind in one:
        if kind in other or (kind == "integer" and "number" in other):
            met.append(kind)
        elif kind == "number" and "integer" in other:
            met.append("integer")
    return met


def _branches(one: Schema, other: Schema, path: str, tell: Tell) -> Schema | None:
    """Each way in which one is met, with each of the other's."""
    words = {name: value for name, value in {**other, **one}.items() if name in ANNOTATIONS}
    left, right = _ways(one), _ways(other)
    if len(left) * len(right) > BRANCHES_MAX and min(len(left), len(right)) > 1:
        tell(path, "anyOf")
        return {**words, "anyOf": left}
    met = [both(a, b, path, tell) for a in left for b in right]
    possible = [way for way in met if way is not None]
    if not possible:
        return None
    if len(possible) == 1:
        return {**possible[0], **words}
    return {**words, "anyOf": possible}


def _ways(schema: Schema) -> list[Schema]:
    if "anyOf" in schema:
        ways: list[Schema] = schema["anyOf"]
        return ways
    return [{name: value for name, value in schema.items() if name not in ANNOTATIONS}]


def finished(schema: Schema, path: str, tell: Tell, *, closed: bool) -> Schema:
    """As it is sent: a type by its name, several as branches, no keyword that its type does not have."""
    if "anyOf" in schema:
        return _finished_ways(schema, path, tell, closed=closed)
    types = schema.get("type", [])
    if len([kind for kind in types if kind != NULL]) > 1:
        words = {name: value for name, value in schema.items() if name in ANNOTATIONS}
        rest = {name: value for name, value in schema.items() if name not in ANNOTATIONS}
        ways = [{**rest, "type": [kind]} for kind in types]
        return _finished_ways({**words, "anyOf": ways}, path, tell, closed=closed)
    made = {name: value for name, value in schema.items() if _fits(name, types)}
    if types:
        made["type"] = types[0] if len(types) == 1 else types
    _finish_object(made, path, tell, closed=closed)
    if isinstance(made.get("items"), dict):
        made["items"] = finished(made["items"], f"{path}.items", tell, closed=closed)
    if "prefixItems" in made:
        made["prefixItems"] = [
            finished(inner, f"{path}.prefixItems[{at}]", tell, closed=closed)
            for at, inner in enumerate(made["prefixItems"])
        ]
    return made


def _finish_object(made: Schema, path: str, tell: Tell, *, closed: bool) -> None:
    if "properties" in made:
        made["properties"] = {
            name: finished(inner, f"{path}.properties.{name}", tell, closed=closed)
            for name, inner in made["properties"].items()
        }
    if "required" in made:
        _require(made, path, tell)
    others = made.get("additionalProperties")
    if closed and ("properties" in made or "object" in (made.get("type"), *_list(made.get("type")))):
        if others not in (None, False):
            tell(path, "additionalProperties")
        made["additionalProperties"] = False
    elif isinstance(others, dict):
        made["additionalProperties"] = finished(others, f"{path}.additionalProperties", tell, closed=closed)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _fits(name: str, types: list[str]) -> bool:
    needed = OF_TYPE.get(name)
    if needed is None or not types:
        return True
    return needed in types or (needed == "number" and "integer" in types)


def _require(made: Schema, path: str, tell: Tell) -> None:
    """A property that is not described cannot be required there."""
    known = [name for name in made["required"] if name in made.get("properties", ())]
    if len(known) < len(made["required"]):
        tell(path, "required")
    if known:
        made["required"] = known
    else:
        del made["required"]


def _finished_ways(schema: Schema, path: str, tell: Tell, *, closed: bool) -> Schema:
    words = {name: value for name, value in schema.items() if name in ANNOTATIONS}
    ways: list[Schema] = []
    for at, way in enumerate(schema["anyOf"]):
        made = finished(way, f"{path}.anyOf[{at}]", tell, closed=closed)
        # A way that is open in itself is one more of these.
        ways += made["anyOf"] if made.keys() == {"anyOf"} else [made]
    ways = [way for at, way in enumerate(ways) if way not in ways[:at]]
    if any(not way.keys() - frozenset(ANNOTATIONS) for way in ways):
        # One of them accepts everything.
        return words
    if len(ways) == 1:
        return {**ways[0], **words}
    plain = [way for way in ways if way != {"type": NULL}]
    if len(plain) == 1 and isinstance(plain[0].get("type"), str) and "enum" not in plain[0]:
        return {**plain[0], **words, "type": [plain[0]["type"], NULL]}
    return {**words, "anyOf": ways}
