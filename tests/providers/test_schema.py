"""What becomes of a JSON schema whose provider does not know all of it."""

from typing import Any

import pytest

from deeptoken.providers.schema import NODES_MAX, UNROLLED, Dialect, compiled
from deeptoken.providers.schema_union import Lost

PLAIN = Dialect(
    frozenset(("minItems", "maxItems", "minimum", "maximum", "prefixItems", "additionalProperties")),
    frozenset(("date-time", "date", "time")),
)
POOR = Dialect(frozenset())
RICH = Dialect(PLAIN.keywords | {"minLength", "maxLength", "pattern", "uniqueItems", "default"})
CLOSED = Dialect(frozenset(("additionalProperties",)), closed=True)

NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "value": {"type": "string"}}}


def made(schema: object, dialect: Dialect = PLAIN) -> Any:
    """The schema, where nothing of it may be lost."""
    result = compiled(schema, dialect)
    assert result.lost == ()
    return result.schema


def lost(schema: object, dialect: Dialect = PLAIN) -> list[tuple[str, str]]:
    return [(one.path, one.keyword) for one in compiled(schema, dialect).lost]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "string", "title": "T", "description": "D"}, None),
        ({"type": "string", "enum": ["a", "b"]}, None),
        ({"type": "integer", "minimum": 1, "maximum": 3}, None),
        ({"type": ["string", "null"]}, None),
        ({"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 2}, None),
        ({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "null"}}, None),
        ({"type": "object", "additionalProperties": {"type": "string"}}, None),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}, None),
        ({"type": "string", "format": "date-time"}, None),
        (True, {}),
        ({"$schema": "x", "$id": "y", "$comment": "z", "examples": [1], "readOnly": True}, {}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "integer", "exclusiveMinimum": 3}, {"type": "integer", "minimum": 4}),
        ({"type": "integer", "exclusiveMaximum": 3, "maximum": 9}, {"type": "integer", "maximum": 2}),
        ({"const": "x"}, {"type": "string", "enum": ["x"]}),
        ({"const": None}, {"type": "null"}),
        ({"enum": [1, 2.5]}, {"type": "number", "enum": [1, 2.5]}),
        ({"type": "integer", "enum": [1, "a", 2]}, {"type": "integer", "enum": [1, 2]}),
        ({"enum": [True, False]}, {"type": "boolean"}),
        (
            {"oneOf": [{"type": "string"}, {"type": "integer"}]},
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        ),
        ({"anyOf": [{"type": "string"}, False]}, {"type": "string"}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": ["string", "null"]}),
        ({"anyOf": [{"type": "string"}, {}], "title": "T"}, {"title": "T"}),
        ({"minLength": 0, "uniqueItems": False, "patternProperties": {}}, {}),
        ({"type": "array", "items": [{"type": "string"}], "additionalItems": False}, None),
        ({"type": "string", "default": "x"}, {"type": "string", "description": 'default: "x"'}),
    ],
)
def test_what_can_be_said_is_said(given: object, expected: object) -> None:
    if isinstance(given, dict) and "additionalItems" in given:
        expected = {"type": "array", "prefixItems": [{"type": "string"}], "maxItems": 1}

    assert made(given) == (given if expected is None else expected)


def test_types_that_are_several_become_branches_with_what_concerns_each() -> None:
    schema = {"type": ["string", "integer", "null"], "minimum": 1, "maxLength": 5, "title": "T"}

    result = compiled(schema, RICH)

    assert result.schema == {
        "title": "T",
        "anyOf": [
            {"type": "string", "maxLength": 5},
            {"type": "integer", "minimum": 1},
            {"type": "null"},
        ],
    }
    assert result.lost == ()


def test_what_stands_beside_a_union_goes_into_each_of_its_branches() -> None:
    schema = {
        "type": "object",
        "description": "One of them.",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
    }

    branches = made(schema)["anyOf"]

    assert [branch["required"] for branch in branches] == [["a"], ["b"]]
    assert all(branch["properties"] == schema["properties"] for branch in branches)
    assert made(schema)["description"] == "One of them."
    assert "type" not in made(schema)


def test_all_of_them_become_one() -> None:
    schema = {
        "allOf": [
            {"type": "object", "properties": {"n": {"type": "number", "minimum": 1}}, "required": ["n"]},
            {
                "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9}, "m": {}},
                "required": ["m"],
            },
        ]
    }

    assert made(schema) == {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 9}, "m": {}},
        "required": ["n", "m"],
    }


def test_a_reference_is_replaced_by_what_it_means() -> None:
    schema = {
        "type": "object",
        "properties": {
            "one": {"$ref": "#/$defs/a~1b", "description": "Ours."},
            "two": {"$ref": "#/definitions/c%20d"},
            "three": {"$ref": "#named"},
        },
        "$defs": {"a/b": {"type": "string", "description": "Theirs."}},
        "definitions": {"c d": {"type": "integer"}, "e": {"$anchor": "named", "type": "null"}},
    }

    assert made(schema) == {
        "type": "object",
        "properties": {
            "one": {"type": "string", "description": "Ours."},
            "two": {"type": "integer"},
            "three": {"type": "null"},
        },
    }


def test_a_reference_in_circles_is_cut_and_told() -> None:
    result = compiled({"$ref": "#/$defs/node", "$defs": {"node": NODE}}, PLAIN)

    inner = result.schema
    for _ in range(UNROLLED - 1):
        assert inner["properties"]["value"] == {"type": "string"}
        inner = inner["properties"]["next"]
    assert inner["properties"]["next"] == {"type": "object"}
    assert result.lost == (Lost("$" + ".properties.next" * UNROLLED, "$ref"),)


def test_a_reference_to_itself_alone_ends() -> None:
    result = compiled({"$ref": "#"}, PLAIN)

    assert result.schema == {}
    assert result.lost == (Lost("$", "$ref"),)


@pytest.mark.parametrize("reference", ["#/$defs/none", "https://example.com/s", "other.json#/a", "#none", 7])
def test_a_reference_that_leads_nowhere_accepts_everything_and_is_told(reference: object) -> None:
    result = compiled({"type": "object", "properties": {"a": {"$ref": reference}}}, PLAIN)

    assert result.schema == {"type": "object", "properties": {"a": {}}}
    assert result.lost == (Lost("$.properties.a", "$ref"),)


def test_references_that_double_with_every_step_stay_within_bounds() -> None:
    steps: dict[str, Any] = {
        f"s{n}": {
            "type": "object",
            "properties": {side: {"$ref": f"#/$defs/s{n + 1}"} for side in ("left", "right")},
        }
        for n in range(40)
    }

    result = compiled({"$ref": "#/$defs/s0", "$defs": steps}, PLAIN)

    assert count(result.schema) < 2 * NODES_MAX
    assert result.lost


def count(schema: Any) -> int:
    return 1 + sum(count(inner) for inner in schema.get("properties", {}).values())


@pytest.mark.parametrize(
    ("schema", "dialect", "expected"),
    [
        ({"type": "string", "minLength": 3}, PLAIN, [("$", "minLength")]),
        ({"type": "string", "minLength": 3}, RICH, []),
        ({"type": "string", "format": "email"}, PLAIN, [("$", "format")]),
        ({"type": "string", "format": ["email"]}, PLAIN, [("$", "format")]),
        ({"type": "number", "exclusiveMinimum": 1}, PLAIN, [("$", "exclusiveMinimum")]),
        ({"const": True}, PLAIN, [("$", "const")]),
        ({"enum": [[1], "a"]}, PLAIN, [("$", "enum")]),
        ({"not": {"type": "string"}}, PLAIN, [("$", "not")]),
        ({"if": {}, "then": {}}, PLAIN, [("$", "if")]),
        ({"type": "object", "required": ["a"]}, PLAIN, [("$", "required")]),
        ({"type": "object", "properties": {"a": False}}, PLAIN, [("$", "properties")]),
        ({"type": "object", "additionalProperties": False}, POOR, [("$", "additionalProperties")]),
        ({"type": "array", "prefixItems": [{}]}, POOR, [("$", "prefixItems")]),
        ({"type": "array", "items": False}, POOR, [("$", "maxItems")]),
        (False, PLAIN, [("$", "false")]),
        ("string", PLAIN, [("$", "schema")]),
        (
            {
                "type": "array",
                "items": {"anyOf": [{"type": "object", "properties": {"a": {"pattern": "x"}}}]},
            },
            PLAIN,
            [("$.items.anyOf[0].properties.a", "pattern")],
        ),
    ],
)
def test_what_could_not_be_kept_is_told_by_its_place(
    schema: object, dialect: Dialect, expected: list[tuple[str, str]]
) -> None:
    assert lost(schema, dialect) == expected


def test_what_is_lost_goes_on_as_words() -> None:
    schema = {"type": "string", "description": "A name.", "pattern": "^a", "minLength": 3}

    result = compiled(schema, PLAIN)

    assert result.schema == {"type": "string", "description": 'A name. (pattern: "^a", minLength: 3)'}


def test_once_patterns_are_lost_other_properties_are_let_in() -> None:
    result = compiled(
        {"type": "object", "patternProperties": {"^x-": {}}, "additionalProperties": False}, PLAIN
    )

    assert "additionalProperties" not in result.schema


def test_a_closed_dialect_closes_every_object_and_tells_which_was_open() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "object", "additionalProperties": {"type": "string"}},
            "b": {"type": "object"},
        },
    }

    result = compiled(schema, CLOSED)

    closed = {"type": "object", "additionalProperties": False}
    assert result.schema == {**closed, "properties": {"a": closed, "b": closed}}
    assert result.lost == (Lost("$.properties.a", "additionalProperties"),)
