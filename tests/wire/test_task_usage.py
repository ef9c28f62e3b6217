"""What hosts tell of a task's tokens, in whichever words, and what callers read of it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse
from openai.types.images_response import Usage as ImagesUsage

from deeptoken.wire import task_usage
from deeptoken.wire.usage import Usage

counts = st.none() | st.integers(-1, 40) | st.floats(0, 9) | st.just("7")
details = st.none() | st.dictionaries(
    st.sampled_from(["cached_tokens", "image_tokens", "audio_tokens"]), counts
)
tellings = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": counts,
        "input_tokens": counts,
        "completion_tokens": counts,
        "output_tokens": counts,
        "total_tokens": counts,
        "search_units": counts,
        "prompt_tokens_details": details,
        "output_tokens_details": details,
    },
)


def read(told: Any, **kind: bool) -> tuple[Usage | None, int, Any]:
    usage, searches, shown = task_usage.read(msgspec.Raw(json.dumps(told).encode()), **kind)
    return usage, searches, None if shown is None else json.loads(bytes(shown))


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"prompt_tokens": 8, "total_tokens": 8}, Usage(prompt=8)),
        ({"total_tokens": 8}, Usage(prompt=8)),
        ({"prompt_tokens": 8, "completion_tokens": 0, "total_tokens": 8}, Usage(prompt=8)),
        ({"input_tokens": 8, "output_tokens": 2, "total_tokens": 10}, Usage(prompt=8, completion=2)),
        ({"prompt_tokens": 8, "prompt_tokens_details": {"cached_tokens": 3}}, Usage(prompt=5, cached=3)),
        ({"prompt_tokens": 8, "prompt_tokens_details": {"cached_tokens": 30}}, Usage(cached=8)),
        ({"prompt_tokens": 8, "prompt_tokens_details": None}, Usage(prompt=8)),
        ({"prompt_tokens": 0, "total_tokens": 0}, Usage()),
        ({"completion_tokens": 4}, None),
        ({"prompt_tokens": -1}, None),
        ({"prompt_tokens": "8"}, None),
        ({"prompt_tokens": 10**12}, None),
        ({}, None),
        ([], None),
        (None, None),
        ("8", None),
    ],
)
def test_tokens_are_read_by_either_name_and_nonsense_is_paid_by_nobody(
    told: Any, usage: Usage | None
) -> None:
    assert read(told)[0] == usage


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"input_tokens": 8, "output_tokens": 20}, Usage(prompt=8, completion_image=20)),
        (
            {
                "input_tokens": 8,
                "output_tokens": 20,
                "output_tokens_details": {"image_tokens": 15, "text_tokens": 5},
            },
            Usage(prompt=8, completion=5, completion_image=15),
        ),
        (
            {
                "prompt_tokens": 8,
                "completion_tokens": 20,
                "completion_tokens_details": {"image_tokens": 90},
            },
            Usage(prompt=8, completion_image=20),
        ),
    ],
)
def test_what_is_drawn_is_counted_as_pictures_unless_the_host_tells_them_apart(
    told: dict[str, Any], usage: Usage
) -> None:
    assert read(told, drawn=True)[0] == usage


def test_what_is_spoken_is_counted_as_audio() -> None:
    assert read({"input_tokens": 3, "output_tokens": 9}, spoken=True)[0] == Usage(
        prompt=3, completion_audio=9
    )


def test_searches_are_read_beside_tokens_and_without_them() -> None:
    assert read({"search_units": 2})[:2] == (None, 2)
    assert read({"search_units": 2, "total_tokens": 5})[:2] == (Usage(prompt=5), 2)


def test_a_caller_reads_what_the_host_told_but_for_what_it_charges_the_operator() -> None:
    told = {"prompt_tokens": 8, "total_tokens": 8, "cost": 0.1, "cost_details": {}, "own": [1]}

    assert read(told)[2] == {"prompt_tokens": 8, "total_tokens": 8, "own": [1]}


@given(tellings, st.booleans(), st.booleans())
def test_whatever_is_told_no_class_is_negative_and_all_add_up(
    told: dict[str, Any], drawn: bool, spoken: bool
) -> None:
    usage, searches, _ = read(told, drawn=drawn, spoken=spoken)

    assert searches >= 0
    if usage is not None:
        assert min(msgspec.structs.astuple(usage)) >= 0
        if type(told.get("prompt_tokens")) is int:
            assert usage.prompt_tokens == told["prompt_tokens"]


def test_what_a_caller_reads_is_openais() -> None:
    usage = Usage(prompt=5, cached=2, completion=1, completion_image=9, searches=3)

    drawn = ImagesUsage.model_validate(task_usage.images(usage))
    embedded = CreateEmbeddingResponse.model_validate(
        {"object": "list", "data": [], "model": "m", "usage": task_usage.embeddings(usage)}
    )

    assert (drawn.input_tokens, drawn.output_tokens, drawn.total_tokens) == (7, 10, 17)
    assert drawn.output_tokens_details is not None
    assert (drawn.output_tokens_details.image_tokens, drawn.output_tokens_details.text_tokens) == (9, 1)
    assert embedded.usage.total_tokens == 7
    assert task_usage.rerank(usage) == {"prompt_tokens": 7, "total_tokens": 7, "search_units": 3}
