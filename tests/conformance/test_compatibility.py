"""What the page of compatibility claims is what the adapters do."""

from pathlib import Path

import pytest
from compatibility import COLUMNS, DROPPED, YES, asks, line, page, rows, sent
from features import DIALECTS, GROUPS, Feature

PAGE = Path(__file__).parent.parent.parent / "docs" / "compatibility.md"
CLAIMS = [(dialect, group, name) for dialect in DIALECTS for group, name, _ in rows(dialect)]
FEATURES = [
    (dialect, feature)
    for dialect in DIALECTS
    for features in GROUPS.values()
    for feature in features
    if feature.marks and dialect in feature.fields
]
EVERYWHERE = (
    *(
        "System prompt",
        "Image by data",
        "Tools",
        "Tool choice: auto",
        "Tool choice: none",
        "Tool choice: any",
    ),
    *("Tool choice: one by name", "Result of a tool", "JSON schema", "`max_tokens`", "Stop sequences"),
    *(
        "`temperature`",
        "`top_p`",
        "Reasoning effort",
        "Text",
        "Text, streamed",
        "Usage",
        "Tokens from the cache",
    ),
    *("Tool calls, several at once", "The same, streamed", "Reasons for the end"),
)


@pytest.mark.parametrize(("dialect", "group", "name"), CLAIMS, ids=lambda part: part.strip("`"))
def test_each_row_claims_what_is_so(dialect: str, group: str, name: str) -> None:
    (cell,) = [cell for in_group, named, cell in rows(dialect) if (in_group, named) == (group, name)]
    section = PAGE.read_text().split(f"## `{DIALECTS[dialect].path}`\n")[1].split("\n## ")[0]

    row = line(name, [cell(column) for column in COLUMNS])

    assert row in section.splitlines(), "run `make compatibility`, and look at what has changed"


def test_the_page_is_the_one_that_is_written() -> None:
    assert PAGE.read_text() == page(), "run `make compatibility`, and look at what has changed"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_every_program_needs_is_lost_and_refused_nowhere(dialect: str) -> None:
    found = {name: [cell(column) for column in COLUMNS] for _, name, cell in rows(dialect)}

    assert {name: found[name] for name in EVERYWHERE if set(found[name]) != {YES}} == {}


@pytest.mark.parametrize(("dialect", "feature"), FEATURES, ids=lambda part: getattr(part, "name", part))
def test_a_mark_proves_something_since_it_is_nowhere_else(dialect: str, feature: Feature) -> None:
    for column in COLUMNS:
        body = sent(dialect, column, feature.beside.get(dialect, {}))

        assert not any(mark in body for mark in feature.marks), body


def test_what_is_dropped_is_found_to_be() -> None:
    (anthropic,) = [column for column in COLUMNS if column.provider == "anthropic"]
    (seed,) = [feature for _, feature in FEATURES if feature.name == "`seed`"]

    assert asks("chat", seed, anthropic) == DROPPED
