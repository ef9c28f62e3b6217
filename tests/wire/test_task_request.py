"""Requests of every task: what all of them have in common, and which mistakes are named."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_scene import LEAST, READS, body, chat, refused, task

from deeptoken.errors import BadRequest
from deeptoken.wire.task import Task
from deeptoken.wire.usage import NOTHING, Usage

NAMES = [*LEAST]
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=6,
)
KNOWN = st.sampled_from(
    (
        *(
            "model",
            "input",
            "user",
            "usage",
            "encoding_format",
            "dimensions",
            "prompt",
            "n",
            "size",
            "stream",
        ),
        *(
            "voice",
            "speed",
            "instructions",
            "response_format",
            "stream_format",
            "query",
            "documents",
            "top_n",
        ),
        *("return_documents", "partial_images", "quality", "unknown", "models", "max_cost_usd"),
    )
)


@pytest.mark.parametrize("name", NAMES)
def test_a_task_is_a_chat_without_messages_that_knows_its_model_and_its_meter(name: str) -> None:
    made = chat(name, user="ann", usage={"include": True})

    assert made.task is not None
    assert made.task.name == name
    assert made.request.messages == []
    assert made.request.model == LEAST[name].get("model", "omni-moderation-latest")
    assert made.request.user == "ann"
    assert made.request.usage is not None
    assert made.request.usage.include
    assert made.task.bound != NOTHING


@pytest.mark.parametrize("name", NAMES)
def test_what_is_ours_is_taken_out_and_the_rest_goes_on_as_it_came(name: str) -> None:
    ours = {"models": ["b"], "provider": {"only": ["x"]}, "max_cost_usd": 0.5, "usage": {"include": True}}
    raw = body(name, new_field={"a": [1.50, "é"]}, gone=None, **ours)

    made = READS[name](raw)

    assert set(made.ours) == set(ours)
    assert set(made.fields) == set(LEAST[name]) - {"model"} | {"new_field"}
    assert msgspec.json.decode(made.fields["new_field"]) == {"a": [1.5, "é"]}
    assert b'{"a": [1.5, ' in bytes(made.fields["new_field"])
    assert made.size == len(raw)


@pytest.mark.parametrize("name", NAMES)
def test_of_a_field_that_stands_twice_all_readers_see_the_last_one(name: str) -> None:
    least = json.dumps(LEAST[name])[:-1]
    raw = f'{least}, "more": 1, "more": {{"a": 1, "a": 2}}, "user": 7, "user": "ann"}}'.encode()

    made = READS[name](raw)

    assert bytes(made.fields["more"]) == b'{"a":2}'
    assert bytes(made.fields["user"]) == b'"ann"'
    assert made.request.user == "ann"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'"a"', b"\xff{}", b"[" * 100_000, b'{"a": \xff}'])
def test_what_is_no_object_in_json_is_refused(name: str, raw: bytes) -> None:
    assert "JSON" in refused(name, raw).message or "UTF-8" in refused(name, raw).message


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"model": 1}, "model"),
        ({"model": "m" * 257}, "model"),
        ({"user": 1}, "user"),
        ({"usage": True}, "usage"),
        ({"usage": {"include": 1}}, "usage.include"),
    ],
)
def test_a_mistake_that_every_task_may_have_is_named(name: str, fields: dict[str, Any], param: str) -> None:
    assert refused(name, body(name, **fields)).param == param


@pytest.mark.parametrize("name", NAMES)
def test_what_is_needed_and_missing_is_named(name: str) -> None:
    for field in LEAST[name]:
        least = {key: value for key, value in LEAST[name].items() if key != field}

        assert refused(name, json.dumps(least).encode()).param == field


@given(st.sampled_from(NAMES), st.dictionaries(KNOWN, anything, max_size=6))
def test_whatever_is_asked_is_a_task_with_a_meter_or_a_mistake_with_a_name(
    name: str, fields: dict[str, Any]
) -> None:
    made = read(name, body(name, **fields))

    if isinstance(made, BadRequest):
        assert made.param
        assert made.message
        return
    assert made.bound != NOTHING
    for unit in Usage.__struct_fields__:
        assert getattr(made.units, unit) <= getattr(made.bound, unit)


def read(name: str, raw: bytes) -> Task | BadRequest:
    try:
        made = READS[name](raw).task
    except BadRequest as error:
        return error
    assert made is not None
    return made


def test_a_task_without_a_meter_cannot_be_made() -> None:
    request = task("embeddings").request

    with pytest.raises(ValueError, match="no meter"):
        Task(name="dreams", request=request, bound=Usage())
