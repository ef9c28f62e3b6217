"""Vectors as numbers and as text."""

import base64
import json
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeptoken.providers import vectors

floats = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=8)


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def entry(vector: Any, index: int = 0) -> dict[str, Any]:
    return {"object": "embedding", "index": index, "embedding": vector}


@given(st.lists(floats, min_size=1, max_size=3), st.booleans(), st.booleans())
def test_vectors_come_in_the_form_that_is_wanted_whichever_they_came_in(
    told: list[list[float]], packed: bool, as_text: bool
) -> None:
    came = [entry(vectors.packed(one) if packed else one, at) for at, one in enumerate(told)]

    found = json.loads(bytes(vectors.fitted(raw(came), as_text=as_text)))

    assert [one["index"] for one in found] == list(range(len(told)))
    for one, vector in zip(found, told, strict=True):
        assert isinstance(one["embedding"], str) is as_text
        assert (unpacked(one["embedding"]) if as_text else one["embedding"]) == vector


def unpacked(text: str) -> list[float]:
    data = base64.b64decode(text)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


@pytest.mark.parametrize(("vector", "as_text"), [([0.5, 1e-9], False), ("AAAAPw==", True)])
def test_vectors_that_have_the_form_already_go_on_as_they_came(vector: Any, as_text: bool) -> None:
    came = raw([entry(vector)])

    assert vectors.fitted(came, as_text=as_text) is came


def test_what_stands_around_a_vector_is_filled_in() -> None:
    came = raw([{"embedding": [1.0], "own": 1}, {"embedding": [2.0], "index": 1, "object": "vector"}])

    found = json.loads(bytes(vectors.fitted(came, as_text=False)))

    assert found == [{**entry([1.0]), "own": 1}, entry([2.0], 1)]


@pytest.mark.parametrize("told", ["AAAA", "AAAAPw==!", "AAAAP", 1, {}, ["x"], [1e39], None])
def test_what_is_no_vector_is_refused(told: Any) -> None:
    as_text = not isinstance(told, str)

    with pytest.raises((ValueError, msgspec.DecodeError)):
        vectors.fitted(raw([entry(told)]), as_text=as_text)


@pytest.mark.parametrize("told", [{}, [1], "x", [{"index": 0}]])
def test_what_are_no_vectors_is_refused(told: Any) -> None:
    with pytest.raises((KeyError, msgspec.DecodeError)):
        vectors.fitted(raw(told), as_text=False)
