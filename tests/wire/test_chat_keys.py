"""A key that stands twice is found, wherever it stands; what only looks like one costs nothing."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeptoken.wire.chat import once

tricky = st.text('ab":\\ \n,{}', max_size=6)
no_colons = st.text('ab"\\ \n,{}', max_size=6)


def values(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        texts | st.integers(0, 9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=8,
    )


def raw(value: Any, **how: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value, **how).encode())


@given(st.dictionaries(tricky, values(tricky), min_size=1, max_size=3), st.booleans(), st.data())
def test_a_key_that_stands_twice_is_never_missed(
    value: dict[str, Any], spaced: bool, data: st.DataObject
) -> None:
    separators = (" ,\n", " :\t") if spaced else (",", ":")
    twice = data.draw(st.sampled_from(sorted(value)))
    written = json.dumps({"x": value}, separators=separators)
    again = f"{{{json.dumps(twice)}{separators[1]}0{separators[0]}"

    doubled = written.replace("{", again, 2).replace(again, "{", 1)

    assert msgspec.json.decode(doubled) == {"x": value}, "the last one counts"
    assert not once(msgspec.Raw(doubled.encode()), {"x": value})


@given(values(no_colons))
def test_json_without_such_a_key_is_passed_on(value: Any) -> None:
    assert once(raw(value), value)


@pytest.mark.parametrize("text", ['{"x": 1}', 'print("a":)', '"', "\\", 'C:\\"x": 1'])
def test_code_in_a_text_keeps_no_body_from_being_passed_on(text: str) -> None:
    body = [{"role": "user", "content": text}]

    assert once(raw(body), body)
