"""What sim answers to tasks: the same each time, and as OpenAI would say it."""

import base64
import io
import json
import math
import wave
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse, ImagesResponse, ModerationCreateResponse
from openai.types.image_gen_completed_event import ImageGenCompletedEvent
from openai.types.image_gen_partial_image_event import ImageGenPartialImageEvent
from tasks_asked import LEAST, chat

from deeptoken.providers import sim, sim_tasks
from deeptoken.providers.sim import Played

WHOLE = [name for name in LEAST if name != "audio/speech"]


def played(name: str, model: str = "text", options: Any = None, **fields: Any) -> Played:
    asked = chat(name, **fields)
    return sim.play(asked, model, stream=asked.stream, limit=None, options=options or {}, id="x1", created=77)


def said(name: str, **fields: Any) -> bytes:
    return b"".join(step.data for step in played(name, **fields).steps)


def answer(name: str, **fields: Any) -> Any:
    return json.loads(said(name, **fields))


@pytest.mark.parametrize("name", LEAST)
def test_the_same_is_said_to_the_same_request(name: str) -> None:
    assert said(name) == said(name)


@pytest.mark.parametrize("name", LEAST)
@pytest.mark.parametrize(("model", "status"), [("error-503", 503), ("error-429-30", 429), ("nothing", 404)])
def test_a_model_that_fails_fails_at_every_task(name: str, model: str, status: int) -> None:
    assert played(name, model).status == status


@pytest.mark.parametrize("name", LEAST)
def test_a_model_that_is_cut_breaks_off_at_every_task(name: str) -> None:
    cut = played(name, "cut", **({"input": "a b c d e f g"} if "input" in LEAST[name] else {}))

    assert cut.breaks
    assert len(b"".join(step.data for step in cut.steps)) < len(
        said(name, **({"input": "a b c d e f g"} if "input" in LEAST[name] else {}))
    )


@pytest.mark.parametrize("name", WHOLE)
def test_a_delay_is_waited_for(name: str) -> None:
    (step,) = played(name, options={"delay": 0.5}).steps

    assert step.wait_s == 0.5


def test_embeddings_are_unit_vectors_of_the_text_whatever_stands_beside_it() -> None:
    told = answer("embeddings", input=["one", "two words"], dimensions=8)

    CreateEmbeddingResponse.model_validate(told)
    one, two = (entry["embedding"] for entry in told["data"])
    assert one == sim_tasks.embedding("one", 8)
    assert one != two
    assert math.isclose(math.hypot(*one), 1)
    assert told["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


def test_embeddings_of_tokens_are_those_of_their_numbers_as_words() -> None:
    told = answer("embeddings", input=[[1, 2], [3]], dimensions=4)

    assert told["data"][0]["embedding"] == sim_tasks.embedding("1 2", 4)
    assert told["usage"]["prompt_tokens"] == 3


def test_embeddings_as_text_are_the_same_vectors() -> None:
    told = answer("embeddings", input="one", dimensions=2, encoding_format="base64")

    assert len(base64.b64decode(told["data"][0]["embedding"])) == 8


def test_embeddings_of_more_dimensions_than_sim_makes_are_refused() -> None:
    assert played("embeddings", dimensions=4_097).status == 400


def test_what_is_named_is_flagged() -> None:
    told = answer("moderations", input=["I love you", "Violence and hate"])

    ModerationCreateResponse.model_validate(told)
    assert [one["flagged"] for one in told["results"]] == [False, True]
    flagged = {name for name, yes in told["results"][1]["categories"].items() if yes}
    assert flagged == {"violence", "violence/graphic", "hate", "hate/threatening"}


def test_parts_are_judged_together() -> None:
    told = answer("moderations", input=[{"type": "text", "text": "a"}, {"type": "text", "text": "hate"}])

    assert [one["flagged"] for one in told["results"]] == [True]


def test_a_picture_is_a_png_of_one_colour() -> None:
    told = answer("images/generations", n=2)

    ImagesResponse.model_validate(told)
    first, second = (base64.b64decode(one["b64_json"]) for one in told["data"])
    assert first != second
    assert first.startswith(b"\x89PNG\r\n\x1a\n")
    at = first.index(b"IDAT")
    pixels = zlib.decompress(first[at + 4 :])
    assert len(pixels) == 8 * (1 + 3 * 8)
    assert zlib.crc32(b"IEND") == int.from_bytes(first[-4:])
    assert told["usage"]["output_tokens"] == 32


def test_a_picture_may_be_an_address() -> None:
    told = answer("images/generations", response_format="url")

    assert told["data"][0]["url"].startswith("data:image/png;base64,")


def test_pictures_are_shown_while_they_are_made() -> None:
    played_ = played("images/generations", stream=True, partial_images=2)

    events = [json.loads(step.data.split(b"data: ", 1)[1]) for step in played_.steps]
    assert played_.headers["content-type"] == "text/event-stream"
    for partial in events[:2]:
        ImageGenPartialImageEvent.model_validate(partial)
    ImageGenCompletedEvent.model_validate(events[2])
    assert len(events) == 3


def test_speech_is_a_wav_that_is_as_long_as_its_words() -> None:
    played_ = played("audio/speech", input="one two three", options={"pace": 20, "delay": 1})

    steps = list(played_.steps)
    assert [step.wait_s for step in steps] == [1, 0.05, 0.05, 0.05]
    with wave.open(io.BytesIO(b"".join(step.data for step in steps))) as sound:
        assert (sound.getnchannels(), sound.getframerate(), sound.getnframes()) == (1, 8_000, 3 * 400)


def test_speech_in_events_is_the_same_and_tells_its_usage() -> None:
    whole = said("audio/speech", input="one two", stream_format="sse")

    events = [json.loads(event.split(b"data: ", 1)[1]) for event in whole.split(b"\n\n") if event]
    audio = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert audio == said("audio/speech", input="one two")
    assert events[-1]["usage"] == {"input_tokens": 2, "output_tokens": 2, "total_tokens": 4}


def test_documents_are_ranked_by_the_words_they_share() -> None:
    told = answer(
        "rerank",
        query="big dog",
        documents=["a cat", "the big dog", {"text": "a dog"}],
        top_n=2,
        return_documents=True,
    )

    assert told["results"] == [
        {"index": 1, "relevance_score": 1.0, "document": {"text": "the big dog"}},
        {"index": 2, "relevance_score": 0.5, "document": {"text": "a dog"}},
    ]
    assert told["usage"] == {"prompt_tokens": 13, "total_tokens": 13, "search_units": 1}


@pytest.mark.parametrize("make", [sim_tasks.whole, sim_tasks.streamed])
def test_what_is_no_task_of_its_kind_is_a_mistake_of_ours(make: Callable[..., Any]) -> None:
    speech, embeddings = chat("audio/speech").task, chat("embeddings").task
    wrong = (speech, "m", "x", 1) if make is sim_tasks.whole else (embeddings, 1)

    with pytest.raises(ValueError, match="sim"):
        make(*wrong)
