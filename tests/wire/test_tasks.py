"""Requests of each task: what they mean, what they can cost at most, which mistakes are named."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_scene import body, chat, refused, task

from deeptoken.catalog.tokens import count_texts
from deeptoken.wire.embeddings import EmbeddingsRequest
from deeptoken.wire.images import ImagesRequest
from deeptoken.wire.moderations import ModerationsRequest
from deeptoken.wire.rerank import RerankRequest
from deeptoken.wire.speech import SpeechRequest
from deeptoken.wire.usage import Usage

PICTURE = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}


@pytest.mark.parametrize(
    ("told", "inputs", "texts", "tokens"),
    [
        ("one two", ["one two"], ("one two",), 0),
        (["a", "bé"], ["a", "bé"], ("a", "bé"), 0),
        ([1, 2, 3], [[1, 2, 3]], (), 3),
        ([[1, 2], [3]], [[1, 2], [3]], (), 3),
        (["", "a"], ["", "a"], ("", "a"), 0),
    ],
)
def test_what_is_embedded_is_a_text_or_tokens_or_a_list_of_either(
    told: Any, inputs: Any, texts: tuple[str, ...], tokens: int
) -> None:
    made = task("embeddings", input=told)

    assert isinstance(made.request, EmbeddingsRequest)
    assert made.request.inputs == inputs
    assert made.texts == tuple((text, 1) for text in texts)
    assert made.units == Usage(prompt=tokens)
    assert made.bound.prompt == tokens + sum(4 + len(text.encode()) for text in texts)


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_texts_have_no_more_tokens_than_their_bound(texts: list[str]) -> None:
    made = task("embeddings", input=texts)

    assert count_texts(made.texts, "text-embedding-3-small") <= made.bound.prompt


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": 1}, "input"),
        ({"input": None}, "input"),
        ({"input": ["a", 1]}, "input[1]"),
        ({"input": ["a", ["b"]]}, "input[1]"),
        ({"input": [1, "a"]}, "input[1]"),
        ({"input": [1.5]}, "input[0]"),
        ({"input": [True]}, "input[0]"),
        ({"input": [-1]}, "input[0]"),
        ({"input": [[1], []]}, "input[1]"),
        ({"input": [["a"]]}, "input[0]"),
        ({"input": [{}]}, "input[0]"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": "8"}, "dimensions"),
    ],
)
def test_a_mistake_in_what_is_embedded_is_named(fields: dict[str, Any], param: str) -> None:
    assert refused("embeddings", body("embeddings", **fields)).param == param


@pytest.mark.parametrize(("form", "base64"), [(None, False), ("float", False), ("base64", True)])
def test_vectors_are_asked_for_as_numbers_or_as_text(form: str | None, base64: bool) -> None:
    request = task("embeddings", encoding_format=form).request

    assert isinstance(request, EmbeddingsRequest)
    assert request.base64 is base64


@pytest.mark.parametrize(
    ("told", "texts", "count", "images"),
    [
        ("a", ["a"], 1, 0),
        (["a", "b"], ["a", "b"], 2, 0),
        ([{"type": "text", "text": "a"}, PICTURE], ["a", ""], 1, 1),
    ],
)
def test_texts_are_judged_apart_and_parts_together(
    told: Any, texts: list[str], count: int, images: int
) -> None:
    made = task("moderations", input=told)

    assert isinstance(made.request, ModerationsRequest)
    assert (made.request.texts, made.request.count) == (texts, count)
    assert made.units.prompt == 3_000 * images
    assert made.bound.prompt > made.units.prompt


@pytest.mark.parametrize(
    ("told", "param"),
    [
        ("", "input"),
        ([], "input"),
        (["a", PICTURE], "input[1]"),
        ([PICTURE, "a"], "input[1]"),
        ([{"type": "text"}], "input[0]"),
        ([{"type": "image_url", "image_url": "x"}], "input[0]"),
        ([1], "input[0]"),
        ([{"type": "audio"}], "input[0]"),
    ],
)
def test_a_mistake_in_what_is_judged_is_named(told: Any, param: str) -> None:
    assert refused("moderations", body("moderations", input=told)).param == param


@pytest.mark.parametrize(
    ("fields", "count", "least", "most"),
    [
        ({}, 1, 6_000, 13_000),
        ({"n": 3}, 3, 18_000, 39_000),
        ({"size": "1024x1024", "quality": "high"}, 1, 4_160, 8_400),
        ({"size": "1024x1024", "quality": "medium"}, 1, 1_040, 2_200),
        ({"size": "1024x1024", "quality": "low"}, 1, 250, 550),
        ({"size": "3840x2160", "quality": "max"}, 1, 33_000, 67_000),
        ({"size": "99999x99999"}, 1, 33_000, 67_000),
        ({"size": "auto"}, 1, 6_000, 13_000),
    ],
)
def test_pictures_are_counted_and_their_tokens_bounded_by_their_size(
    fields: dict[str, Any], count: int, least: int, most: int
) -> None:
    made = task("images/generations", **fields)

    assert (made.units.images, made.bound.images) == (count, count)
    assert least <= made.units.completion_image <= made.bound.completion_image <= most
    assert not made.stream


def test_pictures_that_are_shown_while_they_are_made_are_streamed_and_cost_more() -> None:
    plain = task("images/generations", size="1024x1024")
    shown = chat("images/generations", size="1024x1024", stream=True, partial_images=2)

    assert shown.stream
    assert shown.task is not None
    assert shown.task.bound.completion_image == plain.bound.completion_image + 200


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": ["a"]}, "prompt"),
        ({"n": 0}, "n"),
        ({"n": 11}, "n"),
        ({"n": 1.5}, "n"),
        ({"n": True}, "n"),
        ({"size": 5}, "size"),
        ({"quality": 1}, "quality"),
        ({"stream": "yes"}, "stream"),
        ({"partial_images": 4}, "partial_images"),
        ({"response_format": {}}, "response_format"),
    ],
)
def test_a_mistake_in_what_is_drawn_is_named(fields: dict[str, Any], param: str) -> None:
    assert refused("images/generations", body("images/generations", **fields)).param == param


@pytest.mark.parametrize(("size", "pixels"), [("7x9", (7, 9)), ("1x", None), ("0x1", None), ("1x2x3", None)])
def test_a_size_is_a_width_and_a_height(size: str, pixels: tuple[int, int] | None) -> None:
    request = task("images/generations", size=size).request

    assert isinstance(request, ImagesRequest)
    assert request.pixels == pixels


def test_speech_is_billed_by_its_characters_or_by_what_is_spoken() -> None:
    made = task("audio/speech", input="Grüß Gott", instructions="Slowly.")

    assert (made.units.characters, made.bound.characters) == (9, 9)
    assert made.bound.prompt == (4 + 11) + (4 + 7)
    assert 1 <= made.units.completion_audio <= made.bound.completion_audio
    assert made.texts == (("Grüß Gott", 1), ("Slowly.", 1))
    assert made.stream


def test_slow_speech_may_cost_more_and_fast_speech_no_less() -> None:
    slow, usual, fast = (
        task("audio/speech", input="a" * 1_000, speed=speed).bound.completion_audio for speed in (0.25, 1, 4)
    )

    assert slow > 3 * usual
    assert fast == usual


@pytest.mark.parametrize(
    ("form", "content_type"),
    [(None, "audio/mpeg"), ("wav", "audio/wav"), ("pcm", "audio/pcm"), ("new", "application/octet-stream")],
)
def test_the_form_of_speech_has_a_content_type(form: str | None, content_type: str) -> None:
    request = task("audio/speech", response_format=form).request

    assert isinstance(request, SpeechRequest)
    assert request.content_type == content_type


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": ["a"]}, "input"),
        ({"voice": 1}, "voice"),
        ({"voice": {}}, "voice.id"),
        ({"voice": {"id": 1}}, "voice.id"),
        ({"speed": 0.2}, "speed"),
        ({"speed": 4.1}, "speed"),
        ({"speed": "1"}, "speed"),
        ({"stream_format": "mp3"}, "stream_format"),
        ({"response_format": 1}, "response_format"),
        ({"instructions": 1}, "instructions"),
    ],
)
def test_a_mistake_in_what_is_spoken_is_named(fields: dict[str, Any], param: str) -> None:
    assert refused("audio/speech", body("audio/speech", **fields)).param == param


def test_a_voice_of_ones_own_is_an_object() -> None:
    assert task("audio/speech", voice={"id": "voice_1"}).name == "audio/speech"


@pytest.mark.parametrize(
    ("documents", "told", "most"),
    [
        (["a"], 1, 1),
        (["a"] * 100, 1, 1),
        (["a"] * 101, 2, 2),
        (["a" * 5_000] * 50, 1, 6),
        ([{"text": "a"}, {"title": "t"}], 1, 1),
    ],
)
def test_a_search_has_a_hundred_documents_and_a_long_one_may_count_as_more(
    documents: list[Any], told: int, most: int
) -> None:
    made = task("rerank", documents=documents)

    assert (made.units.searches, made.bound.searches) == (told, most)


def test_the_query_is_read_with_each_document() -> None:
    made = task("rerank", query="who", documents=["one", {"text": "two"}, {"name": "x"}])

    assert made.texts == (("who", 3), ("one", 1), ("two", 1), ('{"name":"x"}', 1))
    assert made.bound.prompt == 3 * (4 + 3) + (4 + 3) + (4 + 3) + (4 + 12)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"query": ""}, "query"),
        ({"query": 1}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": "a"}, "documents"),
        ({"documents": ["a", 1]}, "documents[1]"),
        ({"documents": [None]}, "documents[0]"),
        ({"top_n": 0}, "top_n"),
        ({"return_documents": 1}, "return_documents"),
    ],
)
def test_a_mistake_in_what_is_ranked_is_named(fields: dict[str, Any], param: str) -> None:
    assert refused("rerank", body("rerank", **fields)).param == param


def test_documents_are_their_texts() -> None:
    request = task("rerank", documents=["a", {"text": "b", "id": 1}]).request

    assert isinstance(request, RerankRequest)
    assert request.texts == ["a", "b"]
