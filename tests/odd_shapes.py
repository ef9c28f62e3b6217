"""Any JSON in the place of any field."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

Path = tuple[str | int, ...]

LEFT_OUT = object()
"""The value of a field that is not there."""


def anything(words: st.SearchStrategy[Any], names: list[str]) -> st.SearchStrategy[Any]:
    """JSON of few leaves; `words` are some of them, `names` those of fields."""
    return st.recursive(
        st.sampled_from([None, True, 0, -1, 1.5, 10**15, ""]) | words,
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(names), inner, max_size=2)
        ),
        max_leaves=4,
    )


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """To every field and every item in it."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(inner, (*path, key))


def replaced(whole: Any, path: Path, value: Any) -> Any:
    """A copy with `value` there."""
    made = deepcopy(whole)
    at = made
    for key in path[:-1]:
        at = at[key]
    if value is LEFT_OUT:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return made
