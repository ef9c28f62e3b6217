"""A JSON schema as a provider takes it: no references, no keyword that it does not know.

    $ref                its target, in its place; one that goes round in circles is cut after UNROLLED rounds
    allOf               one schema that says all of it
    anyOf, oneOf        anyOf; what stands beside it goes into each branch
    type: [a, b]        a branch each; "null" beside one other type stays; nullable: "null" joins the type
    const, enum         enum, of strings or numbers; other values become their type
    another keyword     words in the description, where the provider does not know it

What comes out accepts all that the given schema accepts. Where it accepts more, `lost` says so; what only
describes (title, default, examples) is no loss. A dialect that is `closed` narrows: its provider wants every
object without other properties.

Source: json-schema.org/draft/2020-12/json-schema-core and -validation; read 2026-11-25.
"""

from typing import Any
from urllib.parse import unquote

import msgspec

from deeptoken.providers.schema_union import (
    NULL,
    Lost,
    Schema,
    both,
    described,
    finished,
    type_of,
    types_of,
)

UNROLLED = 3
"""How often a reference is put in place inside itself."""
NODES_MAX = 2_000
"""From so many schemas on no reference is put in place: some double with every step."""
WORDS_MAX = 200
"""Characters of a keyword that is told in words."""

EXCLUSIVE = {"exclusiveMinimum": ("minimum", 1), "exclusiveMaximum": ("maximum", -1)}
COUNTS = frozenset(
    ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains")
)
NOTHING_SAID: dict[str, tuple[Any, ...]] = {
    "uniqueItems": (False,),
    "unevaluatedProperties": (True, {}),
    "unevaluatedItems": (True, {}),
    "propertyNames": (True, {}),
    "patternProperties": ({},),
    "dependentRequired": ({},),
    "dependentSchemas": ({},),
    "dependencies": ({},),
    "minLength": (0,),
    "minItems": (0,),
    "minProperties": (0,),
}
"""Values with which a keyword asks for nothing."""
CONSTRAINTS = COUNTS | frozenset(
    (
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "pattern", "format"),
        *("uniqueItems", "contains", "maxContains", "patternProperties", "propertyNames", "not", "if"),
        *("dependentRequired", "dependentSchemas", "dependencies", "$dynamicRef", "$recursiveRef"),
        *("unevaluatedProperties", "unevaluatedItems"),
    )
)
"""What is kept as it stands where the dialect knows it, and lost where it does not."""


class Dialect(msgspec.Struct, frozen=True):
    """What a provider knows beside `type`, `enum`, `properties`, `required`, `items` and `anyOf`."""

    keywords: frozenset[str]
    formats: frozenset[str] = frozenset()
    closed: bool = False
    """Every object says ``additionalProperties: false``."""


class Compiled(msgspec.Struct, frozen=True):
    schema: Schema
    lost: tuple[Lost, ...] = ()
    """Each place once, as a path in the schema: ``$.properties.when`` and the keyword."""


def compiled(schema: Any, dialect: Dialect) -> Compiled:
    """Raises:
    RecursionError: it is nested too deeply.
    """
    compiler = _Compiler(schema, dialect)
    made = compiler.schema(schema, "$")
    if made is None:
        compiler.tell("$", "false")
        made = {}
    made = finished(made, "$", compiler.tell, closed=dialect.closed)
    return Compiled(made, tuple(dict.fromkeys(compiler.lost)))


class _Compiler:
    """One compilation. A schema becomes None where nothing at all is accepted."""

    def __init__(self, root: Any, dialect: Dialect) -> None:
        self.lost: list[Lost] = []
        self._root = root
        self._dialect = dialect
        self._nodes = 0
        self._inside: dict[str, int] = {}
        """How often each reference is open."""

    def tell(self, path: str, keyword: str) -> None:
        self.lost.append(Lost(path, keyword))

    def schema(self, node: Any, path: str) -> Schema | None:
        if node is False:
            return None
        if not isinstance(node, dict):
            if node is not True:
                self.tell(path, "schema")
            return {}
        self._nodes += 1
        made = self._own(node, path)
        if "$ref" in node:
            made = both(made, self._target(node["$ref"], path), path, self.tell)
        for at, part in enumerate(_list(node.get("allOf"))):
            made = both(made, self.schema(part, f"{path}.allOf[{at}]"), path, self.tell)
        for name in ("anyOf", "oneOf"):
            if isinstance(node.get(name), list):
                made = both(made, self._any(node[name], f"{path}.{name}"), path, self.tell)
        return made

    def _any(self, branches: list[Any], path: str) -> Schema | None:
        made = [self.schema(branch, f"{path}[{at}]") for at, branch in enumerate(branches)]
        possible = [branch for branch in made if branch is not None]
        return {"anyOf": possible} if possible else None

    def _target(self, reference: Any, path: str) -> Schema | None:
        found = _find(self._root, reference) if isinstance(reference, str) else None
        if found is None:
            self.tell(path, "$ref")
            return {}
        rounds = self._inside.get(reference, 0)
        if rounds >= UNROLLED or self._nodes > NODES_MAX:
            self.tell(path, "$ref")
            return _outline(found)
        self._inside[reference] = rounds + 1
        try:
            return self.schema(found, path)
        finally:
            self._inside[reference] = rounds

    def _own(self, node: Schema, path: str) -> Schema | None:
        """What the schema says by itself, without those that it refers to."""
        made: Schema = {
            name: node[name] for name in ("title", "description") if isinstance(node.get(name), str)
        }
        if types := types_of(node):
            made["type"] = types
        self._object(made, node, path)
        self._array(made, node, path)
        self._constraints(made, node, path)
        values = [node["const"]] if "const" in node else node.get("enum")
        if isinstance(values, list):
            return both(
                made, self._enum(values, "const" if "const" in node else "enum", path), path, self.tell
            )
        return made

    def _object(self, made: Schema, node: Schema, path: str) -> None:
        if isinstance(node.get("properties"), dict):
            each = {
                name: self.schema(inner, f"{path}.properties.{name}")
                for name, inner in node["properties"].items()
            }
            made["properties"] = {name: inner for name, inner in each.items() if inner is not None}
            if len(made["properties"]) < len(each) and node.get("additionalProperties") is not False:
                self.tell(path, "properties")
        if isinstance(node.get("propertyOrdering"), list) and "propertyOrdering" in self._dialect.keywords:
            made["propertyOrdering"] = node["propertyOrdering"]
        if names := [name for name in _list(node.get("required")) if isinstance(name, str)]:
            made["required"] = names
        # Once the patterns are lost, what they let pass must not be shut out.
        if "additionalProperties" not in node or node.get("patternProperties"):
            return
        others = self.schema(node["additionalProperties"], f"{path}.additionalProperties")
        if "additionalProperties" in self._dialect.keywords:
            made["additionalProperties"] = False if others is None else others or True
        elif others != {}:
            self.tell(path, "additionalProperties")

    def _array(self, made: Schema, node: Schema, path: str) -> None:
        first, rest = node.get("prefixItems"), node.get("items", True)
        if isinstance(rest, list):
            first, rest = rest, node.get("additionalItems", True)
        if isinstance(first, list) and first:
            if "prefixItems" not in self._dialect.keywords:
                self.tell(path, "prefixItems")
                return
            each = [self.schema(inner, f"{path}.prefixItems[{at}]") for at, inner in enumerate(first)]
            if None in each:
                each, rest = each[: each.index(None)], False
            if each:
                made["prefixItems"] = each
        others = self.schema(rest, f"{path}.items")
        if others is None:
            self._keep_or_tell(made, "maxItems", len(made.get("prefixItems", ())), path)
        elif others:
            made["items"] = others

    def _constraints(self, made: Schema, node: Schema, path: str) -> None:
        words: list[str] = []
        for name, value in node.items():
            if name not in CONSTRAINTS or value in NOTHING_SAID.get(name, ()):
                continue
            if self._knows(name, value):
                self._keep(made, name, value)
                continue
            words.append(f"{name}: {_json(value)}")
            if name in EXCLUSIVE and isinstance(value, int | float) and not isinstance(value, bool):
                looser, step = EXCLUSIVE[name]
                whole = "integer" in types_of(node) and isinstance(value, int)
                self._keep_or_tell(made, looser, value + step if whole else value, path)
                if whole:
                    words.pop()
                    continue
            self.tell(path, name)
        if "default" in node:
            if "default" in self._dialect.keywords:
                made["default"] = node["default"]
            else:
                words.append(f"default: {_json(node['default'])}")
        described(made, [word for word in words if len(word) <= WORDS_MAX])

    def _knows(self, name: str, value: Any) -> bool:
        if name == "format":
            return isinstance(value, str) and value in self._dialect.formats
        if name in ("minimum", "maximum", *COUNTS) and (
            isinstance(value, bool) or not isinstance(value, int | float)
        ):
            return False
        return name in self._dialect.keywords

    def _keep_or_tell(self, made: Schema, name: str, value: Any, path: str) -> None:
        if self._knows(name, value):
            self._keep(made, name, value)
        else:
            self.tell(path, name)

    def _keep(self, made: Schema, name: str, value: Any) -> None:
        """A bound that is said twice counts where it is tighter."""
        if name in made and name.startswith(("min", "max")):
            value = max(made[name], value) if name.startswith("min") else min(made[name], value)
        made[name] = value

    def _enum(self, values: list[Any], keyword: str, path: str) -> Schema | None:
        kinds: dict[str, list[Any]] = {}
        for value in values:
            kind = type_of(value)
            kinds.setdefault("number" if kind == "integer" else kind, []).append(value)
        branches: list[Schema] = []
        for kind, same in kinds.items():
            if kind in ("string", "number"):
                whole = all(isinstance(value, int) for value in same)
                branches.append({"type": ["integer" if whole else kind], "enum": list(dict.fromkeys(same))})
                continue
            branches.append({"type": [kind]})
            if kind in ("object", "array") or (kind == "boolean" and len(set(same)) == 1):
                self.tell(path, keyword)
        return {"anyOf": branches} if branches else None


def _find(root: Any, reference: str) -> Any:
    """The schema that a reference inside the same document means; None: there is none."""
    where, _, inside = reference.partition("#")
    if where:
        return None
    if inside and not inside.startswith("/"):
        return _anchored(root, inside)
    found = root
    for step in unquote(inside).split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def _anchored(node: Any, name: str) -> Any:
    if isinstance(node, dict):
        if node.get("$anchor") == name:
            return node
        node = list(node.values())
    for inner in _list(node):
        if (found := _anchored(inner, name)) is not None:
            return found
    return None


def _outline(node: Any) -> Schema | None:
    """As much of a schema as can be said without going into it."""
    if node is False:
        return None
    types = types_of(node) if isinstance(node, dict) else []
    return {"type": types} if types and len(set(types) - {NULL}) == 1 else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
