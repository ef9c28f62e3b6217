"""Any JSON in the place of any field of an answer."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from deeptoken.wire import responses
from deeptoken.wire.responses_answer import facts

RESPONSE = responses.read(b'{"model":"acme/one","input":"hi"}')
FACTS = facts(RESPONSE, id="resp_1", created=1, model="acme/one")
DETAIL = {
    "type": "reasoning.text",
    "text": "x",
    "signature": "s",
    "format": "anthropic-claude-v1",
    "index": 0,
}
OTHER = {"type": "reasoning.summary", "summary": "x", "format": "google-gemini-v1", "index": 1}

Path = tuple[str | int, ...]

ANYTHING = st.recursive(
    st.sampled_from([None, True, 0, -1, 1.5, 10**15, "", "x", DETAIL, OTHER]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "text", "index", "data", "content"]), inner, max_size=2)
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
    made: Any = deepcopy(whole)
    at = made
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return made
