"""Whatever the given schema accepts is accepted still, and where more is, it was told."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has none

from deeptoken.providers.schema import Dialect, compiled

POOR = Dialect(frozenset())
PLAIN = Dialect(
    frozenset(("minItems", "maxItems", "minimum", "maximum", "prefixItems", "additionalProperties"))
)
RICH = Dialect(PLAIN.keywords | {"minLength", "pattern", "uniqueItems"})

FRAGMENTS: list[dict[str, Any]] = [
    {"type": "integer"},
    {"type": ["number", "null"]},
    {"type": ["string", "array"]},
    {"minimum": 1, "maximum": 2},
    {"minimum": 0, "exclusiveMaximum": 2},
    {"type": "integer", "exclusiveMinimum": 0.5},
    {"enum": [1, "a", None, True]},
    {"const": [1]},
    {"minItems": 1, "maxItems": 2},
    {"minItems": 2, "maxItems": 3},
    {"items": {"type": "integer"}},
    {"prefixItems": [{"type": "string"}], "items": {"type": "integer"}},
    {"prefixItems": [{}, {"type": "string"}], "items": False},
    {"prefixItems": [{}, False]},
    {"prefixItems": [{"type": "integer"}]},
    {"prefixItems": [{}, {"type": "string"}], "items": {"type": "integer"}},
    {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
    {"properties": {"b": {"minimum": 1}}, "additionalProperties": False},
    {"additionalProperties": {"type": "string"}},
    {"patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": False},
    {"anyOf": [{"type": "string"}, {"required": ["b"]}]},
    {"oneOf": [{"type": "integer"}, {"minimum": 1}]},
]
INSTANCES: list[Any] = [
    *(None, True, False, 0, 1, 2, 3, 0.5, 1.5, "", "a", "b"),
    *(
        [],
        [1],
        [1, 2],
        [1, 2, 3],
        ["a"],
        ["a", 1],
        ["a", 1, 2],
        ["a", "a"],
        [1, "a"],
        [1, "a", "a"],
        [1, 2, "a"],
        [1, "a", 1],
    ),
    *(
        {},
        {"a": 1},
        {"a": "x"},
        {"b": 1},
        {"b": 0},
        {"b": "x"},
        {"a": 1, "b": 1},
        {"a": 1, "b": "x"},
        {"c": 1},
    ),
    *({"a": "x", "c": "x"}, {"a": 1, "c": "x"}),
]


@pytest.mark.parametrize("one", FRAGMENTS, ids=str)
def test_two_schemas_that_both_hold_accept_what_they_did(one: dict[str, Any]) -> None:
    for other in FRAGMENTS:
        for schema in ({"allOf": [one, other]}, {**one, "allOf": [other]}, {**one, "anyOf": [other, False]}):
            given = Draft202012Validator(schema)
            result = compiled(schema, RICH)
            ours = Draft202012Validator(result.schema)

            refused = [value for value in INSTANCES if given.is_valid(value) and not ours.is_valid(value)]
            let_in = [value for value in INSTANCES if ours.is_valid(value) and not given.is_valid(value)]

            assert refused == [], schema
            assert result.lost or "oneOf" in str(schema) or let_in == [], schema


names = st.sampled_from(("a", "b"))
small = st.integers(-1, 3)
leaves = (
    st.none() | st.booleans() | small | st.sampled_from((0.5, 2.0)) | st.sampled_from(("", "a", "bb", "x-1"))
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=2),
    max_leaves=5,
)
types = st.sampled_from(("string", "number", "integer", "boolean", "object", "array", "null"))


here = st.booleans() | st.builds(lambda kind: {"type": kind}, types)
inside = here | st.sampled_from(({"$ref": "#"}, {"$ref": "#/$defs/d"}))
"""A reference goes into a value only: one that stays where it is would go round for ever."""


def schemas() -> st.SearchStrategy[Any]:
    return st.recursive(here, _larger, max_leaves=6)


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    few = st.lists(inner, min_size=1, max_size=3)
    below = inner | inside
    return st.fixed_dictionaries(
        {},
        optional={
            "type": types | st.lists(types, min_size=1, max_size=3, unique=True),
            "properties": st.dictionaries(names, below, max_size=2),
            "required": st.lists(names, unique=True),
            "additionalProperties": below,
            "patternProperties": st.dictionaries(st.just("^a"), below),
            "items": below,
            "prefixItems": st.lists(below, min_size=1, max_size=3),
            "minItems": st.integers(0, 2),
            "maxItems": st.integers(0, 2),
            "uniqueItems": st.booleans(),
            "contains": inner,
            "minimum": small,
            "maximum": small,
            "exclusiveMinimum": small,
            "multipleOf": st.integers(1, 2),
            "minLength": st.integers(0, 2),
            "pattern": st.just("^a"),
            "enum": st.lists(values, min_size=1, max_size=3),
            "const": values,
            "not": inner,
            "anyOf": few,
            "oneOf": few,
            "allOf": few,
            "unevaluatedProperties": below,
        },
    )


@settings(max_examples=200)
@given(schema=schemas(), shared=schemas(), value=values)
@pytest.mark.parametrize("dialect", [PLAIN, POOR, RICH], ids=["plain", "poor", "rich"])
def test_whatever_the_given_schema_accepts_is_accepted_still(
    dialect: Dialect, schema: Any, shared: Any, value: Any
) -> None:
    root = {"$defs": {"d": shared}, "allOf": [schema]}

    result = compiled(root, dialect)

    accepted = Draft202012Validator(root).is_valid(value)
    ours = Draft202012Validator(result.schema).is_valid(value)
    assert ours or not accepted
    assert accepted or not ours or result.lost or "oneOf" in str(root)


@settings(max_examples=100)
@given(schema=schemas(), shared=schemas())
def test_nothing_is_left_that_the_dialect_does_not_know(schema: Any, shared: Any) -> None:
    known = {"type", "enum", "properties", "required", "items", "anyOf", "title", "description"}

    result = compiled({"$defs": {"d": shared}, **(schema if isinstance(schema, dict) else {})}, PLAIN).schema

    assert keywords(result) <= known | PLAIN.keywords


def keywords(schema: Any) -> set[str]:
    if not isinstance(schema, dict):
        return set()
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *schema.get("prefixItems", ())]
    inner += [schema.get("items"), schema.get("additionalProperties")]
    return set(schema).union(*(keywords(one) for one in inner))
