"""The smallest value that fits a schema, judged by a validator that others wrote."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has none

from deeptoken.providers.smallest import ITEMS_MAX, KINDS, LENGTH_MAX, smallest, smallest_object

TREE = {
    "$ref": "#/$defs/tree",
    "$defs": {
        "tree": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 2},
                "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
                "parent": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]},
            },
            "required": ["name", "children", "parent"],
            "additionalProperties": False,
        }
    },
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (True, None),
        ({}, None),
        ({"type": "string"}, ""),
        ({"type": "string", "minLength": 3}, "aaa"),
        ({"type": "string", "format": "date"}, ""),
        ({"type": "integer"}, 0),
        ({"type": "integer", "minimum": 1.5}, 2),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "integer", "exclusiveMaximum": 0}, -1),
        ({"type": "integer", "minimum": 7, "multipleOf": 5}, 10),
        ({"type": "number", "minimum": 0.5}, 0.5),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, 0.5),
        ({"type": "number", "exclusiveMaximum": 0}, -1),
        ({"type": "boolean"}, False),
        ({"type": "null"}, None),
        ({"type": ["string", "null"]}, None),
        ({"type": ["integer", "string"]}, 0),
        ({"type": "string", "nullable": True}, None),
        ({"const": {"a": [1]}}, {"a": [1]}),
        ({"enum": ["red", "green"]}, "red"),
        ({"type": "array"}, []),
        ({"type": "array", "minItems": 2, "items": {"type": "integer", "minimum": 1}}, [1, 1]),
        ({"prefixItems": [{"type": "string"}, {"const": 4}], "minItems": 3, "items": {}}, ["", 4, None]),
        ({"properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]}, {"a": 0}),
        ({"type": "object", "required": ["x"], "additionalProperties": {"type": "string"}}, {"x": ""}),
        ({"anyOf": [{"type": "string", "minLength": 9}, {"type": "integer"}]}, 0),
        ({"oneOf": [{"type": "object"}, {"type": "null"}]}, None),
        ({"allOf": [{"type": "integer", "minimum": 2}, {"minimum": 4}, {"maximum": 9}]}, 4),
        ({"allOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]}, "b"),
        ({"allOf": [{"type": "number"}, {"type": ["integer", "string"]}]}, 0),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "string", "minLength": 1}}}, "a"),
        (TREE, {"name": "aa", "children": [], "parent": None}),
    ],
)
def test_the_value_is_the_smallest_and_a_validator_agrees(
    schema: dict[str, Any] | bool, value: object
) -> None:
    answer = smallest(schema)

    assert answer == value
    openapi = isinstance(schema, dict) and "nullable" in schema
    assert openapi or Draft202012Validator(schema).is_valid(answer)


def test_properties_that_two_schemas_describe_fit_both() -> None:
    one = {"properties": {"n": {"type": "integer", "minimum": 3}}, "required": ["n"]}
    other = {"properties": {"n": {"minimum": 5}, "m": {"const": 1}}, "required": ["m"]}

    answer = smallest({"allOf": [one, other]})

    assert answer == {"n": 5, "m": 1}


def test_arguments_are_an_object_even_where_the_schema_says_nothing() -> None:
    answers = [
        smallest_object(schema) for schema in (None, {}, {"anyOf": [{"type": "string"}]}, {"const": 1})
    ]

    assert answers == [{}, {}, {}, {}]


def test_a_schema_that_only_fits_the_endless_ends() -> None:
    endless = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    doubling = {"type": "array", "minItems": 2, "items": {"$ref": "#"}}
    circular = {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}

    answers = [smallest(schema) for schema in (endless, doubling, circular)]

    assert answers[0]["next"]["next"] is not None
    assert len(answers[1]) == 2
    assert answers[2] is None


def test_a_schema_cannot_ask_for_more_than_the_limits() -> None:
    text = smallest({"type": "string", "minLength": 10**12})
    items = smallest({"type": "array", "minItems": 10**12, "items": {"type": "integer"}})

    assert len(text) == LENGTH_MAX
    assert len(items) == ITEMS_MAX


# How fast a busy machine is, is not what these tests ask.
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NUMBERS = st.integers(-20, 20) | st.floats(-20, 20).map(lambda number: round(number, 2))
NUMERIC = st.fixed_dictionaries(
    {"type": st.sampled_from(["integer", "number"])},
    optional={
        "minimum": NUMBERS,
        "exclusiveMinimum": NUMBERS,
        "multipleOf": st.integers(1, 5),
    },
)
FITTING = st.recursive(
    NUMERIC
    | st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"const": "x"}, {"enum": [3, "y"]}])
    | st.builds(lambda length: {"type": "string", "minLength": length}, st.integers(0, 5)),
    lambda inner: (
        st.builds(
            lambda item, least: {"type": "array", "items": item, "minItems": least}, inner, st.integers(0, 3)
        )
        | st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(
            lambda properties, named: {
                "type": "object",
                "properties": properties,
                "required": [name for name in properties if name in named],
                "additionalProperties": False,
            },
            st.dictionaries(st.sampled_from("abcd"), inner),
            st.sets(st.sampled_from("abcd")),
        )
    ),
    max_leaves=8,
)
NAMES = st.text("ab$/#~", max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
WORDS = [*KINDS, "type", "enum", "const", "allOf", "anyOf", "oneOf", "$ref", "nullable"]


@RELAXED
@given(FITTING)
def test_what_can_be_fitted_is_fitted(schema: dict[str, Any]) -> None:
    answer = smallest(schema)

    assert Draft202012Validator(schema).is_valid(answer)


@RELAXED
@given(
    st.dictionaries(
        st.sampled_from(WORDS),
        JSON
        | st.sampled_from(["object", "array", "number", "#", "#/properties", ["integer"], [{"$ref": "#"}]]),
    )
)
def test_no_schema_whatever_it_is_raises(schema: dict[str, Any]) -> None:
    answer = smallest_object(schema)

    assert isinstance(answer, dict)
