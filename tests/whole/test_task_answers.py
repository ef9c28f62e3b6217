"""What is no chat, answered by sim: as OpenAI's client reads it, billed by its unit, repeated, refused."""

import base64
import io
import json
import math
import wave
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from provider_scene import Scene, nothing_is_held, problems, row_of
from task_calls import gateway, post, with_openai


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with gateway(tmp_path_factory.mktemp("tasks")) as scene:
        yield scene


@pytest.mark.parametrize("form", ["float", "base64", None])
def test_openais_client_gets_embeddings_in_every_form(form: Any, scene: Scene) -> None:
    told = {} if form is None else {"encoding_format": form}

    async def ask(client: openai.AsyncOpenAI) -> Any:
        return await client.embeddings.create(
            model="sim/text", input=["one", "two three"], dimensions=8, **told
        )

    found = with_openai(scene, ask, strict=form == "float") if form != "base64" else None
    reply = scene.run(lambda: post(scene, "embeddings", model="sim/text", input="one", dimensions=8, **told))

    if found is not None:
        assert [len(one.embedding) for one in found.data] == [8, 8]
        assert all(math.isclose(math.hypot(*one.embedding), 1, rel_tol=1e-6) for one in found.data)
        assert (found.usage.prompt_tokens, found.model) == (3, "sim/text")
    vector = reply.json["data"][0]["embedding"]
    assert len(base64.b64decode(vector) if form == "base64" else vector) == (32 if form == "base64" else 8)
    assert reply.headers["x-deeptoken-cost"] == "1"
    assert reply.headers["x-deeptoken-channel"] == "sim"


@pytest.mark.parametrize("tokens", [[1, 2, 3], [[1, 2], [3]]])
def test_openais_client_gets_embeddings_of_tokens(tokens: Any, scene: Scene) -> None:
    found = with_openai(
        scene, lambda client: client.embeddings.create(model="sim/text", input=tokens), strict=False
    )

    assert len(found.data) == (2 if isinstance(tokens[0], list) else 1)
    assert found.usage.total_tokens == 3


def test_openais_client_gets_moderations(scene: Scene) -> None:
    found = with_openai(scene, lambda client: client.moderations.create(input=["I love you", "violence"]))

    assert [one.flagged for one in found.results] == [False, True]
    assert found.model == "omni-moderation-latest"
    assert found.id.startswith("modr-")


def test_openais_client_gets_pictures_which_are_billed_by_the_piece(scene: Scene) -> None:
    async def ask(client: openai.AsyncOpenAI) -> Any:
        return await client.images.with_raw_response.generate(model="s/draws", prompt="a cat", n=2)

    raw = with_openai(scene, ask)

    found = raw.parse()
    assert [base64.b64decode(one.b64_json)[1:4] for one in found.data] == [b"PNG", b"PNG"]
    assert raw.headers["x-deeptoken-cost"] == "80000"
    row = scene.run(lambda: row_of(scene.gateway, raw.headers["x-deeptoken-id"]))
    assert (row.images, row.charged, row.estimated) == (2, 80_000_000, False)


def test_openais_client_sees_pictures_while_they_are_made(scene: Scene) -> None:
    async def ask(client: openai.AsyncOpenAI) -> list[Any]:
        stream = await client.images.generate(model="s/draws", prompt="a", stream=True, partial_images=2)
        return [event async for event in stream]

    events = with_openai(scene, ask)

    assert [event.type.rpartition(".")[2] for event in events] == [
        "partial_image",
        "partial_image",
        "completed",
    ]
    assert events[-1].usage.output_tokens == 16


def test_openais_client_hears_speech_as_it_comes(scene: Scene) -> None:
    async def ask(client: openai.AsyncOpenAI) -> tuple[Any, bytes]:
        async with client.audio.speech.with_streaming_response.create(
            model="s/voice", input="hello big world", voice="alloy", response_format="wav"
        ) as spoken:
            return spoken.headers, b"".join([part async for part in spoken.iter_bytes()])

    headers, whole = with_openai(scene, ask)

    with wave.open(io.BytesIO(whole)) as sound:
        assert sound.getnframes() == 3 * 400
    assert headers["content-type"] == "audio/wav"
    assert headers["x-deeptoken-channel"] == "sim"
    row = scene.run(lambda: row_of(scene.gateway, headers["x-deeptoken-id"]))
    assert (row.characters, row.charged, row.stream, row.outcome) == (15, 225_000, True, "complete")


def test_speech_in_events_is_events(scene: Scene) -> None:
    reply = scene.run(
        lambda: post(scene, "audio/speech", model="sim/text", input="a b", voice="x", stream_format="sse")
    )

    kinds = [
        json.loads(part.split("data: ")[1])["type"] for part in reply.body.decode().split("\n\n") if part
    ]
    assert kinds == ["speech.audio.delta"] * 3 + ["speech.audio.done"]
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["cache-control"] == "no-cache"
    row = scene.run(lambda: row_of(scene.gateway, reply.headers["x-deeptoken-id"]))
    assert (row.prompt_tokens, row.completion_tokens, row.estimated) == (2, 2, False)


def test_documents_are_ranked_and_a_search_is_billed(scene: Scene) -> None:
    documents = ["a cat", "a big dog"]

    reply = scene.run(
        lambda: post(
            scene, "rerank", model="s/ranks", query="big dog", documents=documents, return_documents=True
        )
    )

    assert reply.json["results"][0] == {"index": 1, "relevance_score": 1, "document": {"text": "a big dog"}}
    assert reply.json["usage"] == {"prompt_tokens": 9, "total_tokens": 9, "search_units": 1}
    assert reply.headers["x-deeptoken-cost"] == "2000"


@pytest.mark.parametrize(
    ("path", "fields", "usage"),
    [
        ("embeddings", {"model": "sim/text", "input": "a b"}, {"prompt_tokens": 2, "total_tokens": 2}),
        ("moderations", {"input": "a b"}, {"prompt_tokens": 2, "total_tokens": 2}),
        ("images/generations", {"model": "s/draws", "prompt": "a"}, {"input_tokens": 1, "output_tokens": 16}),
        ("rerank", {"model": "s/ranks", "query": "a", "documents": ["b"]}, {"search_units": 1}),
    ],
)
def test_the_cost_is_told_to_who_asks_for_it(
    path: str, fields: dict[str, Any], usage: dict[str, int], scene: Scene
) -> None:
    reply = scene.run(lambda: post(scene, path, **fields, usage={"include": True}))

    told = reply.json["usage"]
    assert told == {**told, **usage}
    assert str(told["cost"]) == reply.headers["x-deeptoken-cost"]
    assert set(told["cost_details"]) == {"prompt", "completion"}


def test_a_moderation_says_nothing_of_its_usage_to_who_does_not_ask(scene: Scene) -> None:
    assert "usage" not in scene.run(lambda: post(scene, "moderations", input="a")).json


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("embeddings", {"model": "sim/text", "input": "one two", "encoding_format": "base64"}),
        ("moderations", {"input": "one"}),
        ("images/generations", {"model": "s/draws", "prompt": "a cat"}),
        ("images/generations", {"model": "s/draws", "prompt": "a cat", "stream": True}),
        ("audio/speech", {"model": "s/voice", "input": "one two", "voice": "x"}),
        ("rerank", {"model": "s/ranks", "query": "a", "documents": ["b"]}),
    ],
)
def test_a_repeat_gets_the_same_bytes_and_is_not_charged(
    path: str, fields: dict[str, Any], scene: Scene
) -> None:
    async def main() -> None:
        key = {"idempotency_key": f"{path} {fields}"[:200].encode("ascii", "ignore").decode()}
        first = await post(scene, path, **fields, headers=key)
        before = await nothing_is_held(scene.gateway)
        again = await post(scene, path, **fields, headers=key)

        assert (first.status, again.status) == (200, 200)
        assert first.body
        if path != "moderations":
            assert again.body == first.body
            assert again.headers["content-type"] == first.headers["content-type"]
            assert again.headers["x-deeptoken-id"] == first.headers["x-deeptoken-id"]
            assert again.headers["x-deeptoken-replay"] == "true"
        assert await nothing_is_held(scene.gateway) == before

    scene.run(main)


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("embeddings", {"model": "sim/text"}, "input"),
        ("moderations", {"input": []}, "input"),
        ("images/generations", {"model": "s/draws", "prompt": "a", "n": 99}, "n"),
        ("audio/speech", {"model": "s/voice", "input": "a"}, "voice"),
        ("rerank", {"model": "s/ranks", "query": "a"}, "documents"),
        ("embeddings", {"model": "s/voice", "input": "a"}, "model"),
        ("embeddings", {"model": "nothing", "input": "a"}, "model"),
    ],
)
def test_a_mistake_is_named_in_the_envelope(
    path: str, fields: dict[str, Any], param: str, scene: Scene
) -> None:
    reply = scene.run(lambda: post(scene, path, **fields))

    assert reply.status == (404 if param == "model" else 400)
    assert (reply.error["param"], reply.error["type"]) == (param, "user")


@pytest.mark.parametrize(
    "path", ["embeddings", "moderations", "images/generations", "audio/speech", "rerank"]
)
def test_every_endpoint_takes_a_post_from_a_known_key_alone(path: str, scene: Scene) -> None:
    unknown = scene.run(lambda: scene.gateway.ask({}, path=f"/v1/{path}", authorization="Bearer x"))
    wrong = scene.run(lambda: scene.gateway.ask(path=f"/v1/{path}"))

    assert (unknown.status, wrong.status) == (401, 405)


def test_every_task_is_counted_where_operators_look(scene: Scene) -> None:
    async def main() -> str:
        await post(scene, "audio/speech", model="s/voice", input="one", voice="x")
        await post(scene, "rerank", model="s/ranks", query="a", documents=["b"])
        return (await scene.gateway.ask(path="/metrics")).body.decode()

    page = scene.run(main)

    assert 'deeptoken_tokens_total{class="characters",model="s/voice"}' in page
    assert 'deeptoken_tokens_total{class="searches",model="s/ranks"}' in page
    assert 'deeptoken_requests_total{channel="sim",model="s/ranks",status="200"}' in page


def test_after_all_of_it_every_bill_can_be_computed_again(scene: Scene) -> None:
    scene.run(lambda: nothing_is_held(scene.gateway))

    assert problems(scene.gateway) == []
