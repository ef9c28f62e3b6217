"""Patterns, as a table."""

import pytest

from deeptoken.catalog.patterns import EXACT, Ranked, any_matches, is_valid, matches, remap, without_suffix


@pytest.mark.parametrize(
    ("pattern", "id", "covered"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o*", "gpt-4o", True),
        ("gpt-4o*", "gpt-4o-mini", True),
        ("acme/*", "acme/x/y", True),
        ("acme/*", "acme", False),
        ("acme/*", "ACME/x", False),
        ("*", "anything", True),
        ("gpt-[4]", "gpt-4", False),
    ],
)
def test_a_pattern_covers_what_starts_as_it_does(pattern: str, id: str, covered: bool) -> None:
    assert matches(pattern, id) is covered
    assert any_matches(["nothing", pattern], id) is covered


@pytest.mark.parametrize(
    ("text", "valid"),
    [("a", True), ("a*", True), ("*", True), ("", False), ("*a", False), ("a*b", False), ("a**", False)],
)
def test_a_pattern_has_its_only_star_at_its_end(text: str, valid: bool) -> None:
    assert is_valid(text) is valid


@pytest.mark.parametrize(
    ("pattern", "target", "id", "upstream"),
    [
        ("gpt-4o", "my-deployment", "gpt-4o", "my-deployment"),
        ("acme/*", "*", "acme/x", "x"),
        ("acme/*", "vendor/*", "acme/x", "vendor/x"),
        ("*", "*", "anything/at-all", "anything/at-all"),
        ("*", "acme/*", "x", "acme/x"),
        ("acme/*", "one-for-all", "acme/x", "one-for-all"),
    ],
)
def test_a_remap_carries_what_the_star_stands_for(pattern: str, target: str, id: str, upstream: str) -> None:
    assert remap(pattern, target, id) == upstream


@pytest.mark.parametrize(
    ("id", "cut"),
    [
        ("gpt-4o:floor", ("gpt-4o", "price")),
        ("gpt-4o:nitro", ("gpt-4o", "throughput")),
        ("a:b:floor", ("a:b", "price")),
        ("gpt-4o", None),
        ("gpt-4o:free", None),
        ("gpt-4o:Floor", None),
        (":floor", None),
    ],
)
def test_a_suffix_is_one_of_two(id: str, cut: tuple[str, str] | None) -> None:
    assert without_suffix(id) == cut


def test_an_exact_id_wins_over_patterns_and_the_longer_pattern_over_the_shorter() -> None:
    ranked = Ranked([("*", "all"), ("a*", "short"), ("ab*", "long"), ("abc", "exact"), ("a*", "second")])

    assert ranked.best("abc") == ("abc", "exact")
    assert ranked.best("abd") == ("ab*", "long")
    assert ranked.best("ax") == ("a*", "short")
    assert ranked.best("x") == ("*", "all")


def test_all_that_cover_an_id_come_by_rank() -> None:
    ranked = Ranked([("*", "all"), ("ab*", "long"), ("abc", "exact"), ("b", "other")])

    assert ranked.every("abc") == [(EXACT, "abc", "exact"), (-3, "ab*", "long"), (-1, "*", "all")]


def test_what_nothing_covers_is_not_found() -> None:
    assert Ranked([("a", 1), ("b*", 2)]).best("c") is None
