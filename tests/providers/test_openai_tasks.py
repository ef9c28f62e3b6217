"""Tasks of OpenAI's API and of the hosts that have some of them."""

import json
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse, ImagesResponse, ModerationCreateResponse
from tasks_asked import BY_CHARACTERS, LEAST, fields_of, replied, request, sent
from test_compatible import candidate, chat

from deeptoken.errors import BadRequest
from deeptoken.providers.base import Malformed
from deeptoken.providers.compatible import ALL, PROVIDERS
from deeptoken.providers.compatible_tasks import HEARD, TASKS
from deeptoken.providers.sim_tasks import CATEGORIES
from deeptoken.wire.usage import Usage

JUDGED = {
    "flagged": False,
    "categories": dict.fromkeys(CATEGORIES, False),
    "category_scores": dict.fromkeys(CATEGORIES, 0.0),
    "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
}
EMBEDDED = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
    "model": "one-2026",
    "usage": {"prompt_tokens": 3, "total_tokens": 3},
}
RANKED = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]


def test_every_row_is_of_a_host_that_there_is() -> None:
    assert set(TASKS) <= {host.name for host in ALL}
    assert all(set(row) <= {*LEAST, *HEARD} for row in TASKS.values())


@pytest.mark.parametrize("name", LEAST)
def test_openai_gets_a_task_as_the_caller_wrote_it_but_for_the_model(name: str) -> None:
    if name == "rerank":
        with pytest.raises(BadRequest, match="OpenAI has no rerank here"):
            request("openai", name)
        return

    made = request("openai", name, rates=BY_CHARACTERS, user="ann", own={"a": 1})

    assert made.url == f"https://api.openai.com/v1/{name}"
    assert ("authorization", "Bearer key-1") in made.headers
    assert json.loads(made.body) == {**LEAST[name], "model": "one-2026", "user": "ann", "own": {"a": 1}}


@pytest.mark.parametrize("name", LEAST)
def test_a_host_that_nobody_knows_is_given_every_task(name: str) -> None:
    made = request("openai", name, base_url="http://models.test/v1", stream_format=None)

    assert made.url == f"http://models.test/v1/{name}"
    assert json.loads(made.body) == {**LEAST[name], "model": "one-2026"}


@pytest.mark.parametrize("provider", ["anthropic", "bedrock", "vertex", "deepseek", "moonshot", "perplexity"])
@pytest.mark.parametrize("name", LEAST)
def test_who_has_no_such_task_says_so(provider: str, name: str) -> None:
    with pytest.raises(BadRequest, match=f"has no {name} here"):
        request(provider, name)


@pytest.mark.parametrize("provider", ["jina", "voyage"])
def test_who_has_no_chats_says_so(provider: str) -> None:
    with pytest.raises(BadRequest, match="has no chats"):
        PROVIDERS[provider].request(chat(), candidate(), stream=False, limit=None)


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({}, "https://r.test/openai/v1/embeddings"),
        (
            {"api_version": "2024-10-21"},
            "https://r.test/openai/deployments/one-2026/embeddings?api-version=2024-10-21",
        ),
    ],
)
def test_azure_has_tasks_where_it_has_chats(options: dict[str, Any], url: str) -> None:
    made = request("azure", "embeddings", base_url="https://r.test", options=options)

    assert made.url == url
    assert ("api-key", "key-1") in made.headers


@pytest.mark.parametrize(
    ("provider", "name", "fields", "wanted"),
    [
        ("mistral", "embeddings", {"dimensions": 8, "user": "ann"}, {"output_dimension": 8}),
        ("mistral", "moderations", {"user": "ann"}, {}),
        ("together", "embeddings", {"encoding_format": "base64", "user": "ann"}, {}),
        (
            "together",
            "images/generations",
            {"size": "512x256", "n": 2},
            {"width": 512, "height": 256, "n": 2},
        ),
        ("together", "images/generations", {"response_format": "b64_json"}, {"response_format": "base64"}),
        ("together", "images/generations", {"response_format": "url"}, {"response_format": "url"}),
        ("together", "rerank", {"top_n": 1}, {"top_n": 1}),
        ("voyage", "embeddings", {"dimensions": 8, "encoding_format": "float"}, {"output_dimension": 8}),
        ("voyage", "rerank", {"top_n": 1, "return_documents": True}, {"top_k": 1, "return_documents": True}),
        ("jina", "embeddings", {"encoding_format": "base64", "task": "x"}, {"task": "x"}),
        ("fireworks", "embeddings", {"dimensions": 8}, {"dimensions": 8}),
        (
            "sambanova",
            "embeddings",
            {"user": "ann", "encoding_format": "float"},
            {"encoding_format": "float"},
        ),
        ("nvidia", "embeddings", {"input_type": "query"}, {"input_type": "query"}),
    ],
)
def test_a_host_gets_what_it_takes(
    provider: str, name: str, fields: dict[str, Any], wanted: dict[str, Any]
) -> None:
    assert sent(provider, name, **fields) == {**LEAST[name], "model": "one-2026", **wanted}


def test_openrouter_draws_at_an_address_of_its_own() -> None:
    assert request("openrouter", "images/generations").url == "https://openrouter.ai/api/v1/images"


@pytest.mark.parametrize(
    ("provider", "name", "fields", "param"),
    [
        ("mistral", "embeddings", {"input": [1, 2]}, "input"),
        ("voyage", "embeddings", {"input": [[1], [2]]}, "input"),
        ("together", "images/generations", {"size": "auto"}, "size"),
        ("xai", "images/generations", {"stream": True}, "stream"),
    ],
)
def test_what_a_host_cannot_do_is_said_by_its_name(
    provider: str, name: str, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        request(provider, name, **fields)

    assert refused.value.param == param


@pytest.mark.parametrize("told", [[1, 2], [[1, 2], [3]]])
@pytest.mark.parametrize("provider", ["openai", "azure", "vllm"])
def test_tokens_are_embedded_by_who_can(provider: str, told: Any) -> None:
    assert sent(provider, "embeddings", base_url="http://h.test", input=told)["input"] == told


@pytest.mark.parametrize(
    ("model", "fields", "form"),
    [
        ("gpt-4o-mini-tts", {}, "sse"),
        ("gpt-4o-mini-tts", {"stream_format": "audio"}, "sse"),
        ("gpt-4o-mini-tts", {"stream_format": "sse"}, "sse"),
        ("gpt-4o-mini-tts", {"rates": BY_CHARACTERS}, None),
        ("tts-1-hd", {}, None),
        ("tts-1", {"stream_format": "audio"}, "audio"),
    ],
)
def test_speech_that_is_paid_by_tokens_is_asked_for_in_events_which_tell_them(
    model: str, fields: dict[str, Any], form: str | None
) -> None:
    assert sent("openai", "audio/speech", model=model, **fields).get("stream_format") == form


def test_embeddings_go_back_as_they_came_with_the_canonical_model() -> None:
    body = json.dumps(EMBEDDED).replace("0.5", "5.0e-1").encode()

    reply = replied("openai", "embeddings", body)

    assert bytes(reply.fields["data"]) in body
    whole = {**fields_of(reply), "usage": json.loads(bytes(reply.told or b""))}
    assert whole == {**EMBEDDED, "model": "acme/one"}
    CreateEmbeddingResponse.model_validate(whole, strict=True)
    assert reply.usage == Usage(prompt=3)


def test_a_host_that_tells_numbers_gives_text_to_who_asked_for_it() -> None:
    reply = replied("together", "embeddings", EMBEDDED, encoding_format="base64")

    assert fields_of(reply)["data"][0]["embedding"] == "AAAAPwAAgL4="


@pytest.mark.parametrize(
    ("provider", "name", "answer", "usage", "units"),
    [
        ("jina", "embeddings", {**EMBEDDED, "usage": {"total_tokens": 3}}, Usage(prompt=3), None),
        ("together", "embeddings", {**EMBEDDED, "usage": None}, None, None),
        ("together", "rerank", {"results": RANKED, "usage": {"total_tokens": 9}}, Usage(prompt=9), None),
        ("fireworks", "rerank", {"data": RANKED, "usage": {"prompt_tokens": 9}}, Usage(prompt=9), None),
        ("openrouter", "rerank", {"results": RANKED, "usage": {"search_units": 2}}, None, Usage(searches=2)),
        (
            "vllm",
            "rerank",
            {"results": RANKED, "meta": {"billed_units": {"search_units": 3.0}}},
            None,
            Usage(searches=3),
        ),
        (
            "openai",
            "images/generations",
            {"created": 1, "data": [{"url": "a"}, {"b64_json": ""}]},
            None,
            Usage(images=2),
        ),
        (
            "openai",
            "images/generations",
            {"created": 1, "data": [{"url": "a"}], "usage": {"input_tokens": 5, "output_tokens": 90}},
            Usage(prompt=5, completion_image=90),
            Usage(images=1),
        ),
        ("openai", "moderations", {"id": "modr-1", "results": [JUDGED]}, None, None),
    ],
)
def test_what_was_used_is_what_the_host_told(
    provider: str, name: str, answer: Any, usage: Usage | None, units: Usage | None
) -> None:
    reply = replied(provider, name, answer)

    assert (reply.usage, reply.units) == (usage, units)


def test_what_a_reseller_charges_the_operator_is_told_to_nobody() -> None:
    reply = replied("openrouter", "embeddings", {**EMBEDDED, "usage": {"prompt_tokens": 3, "cost": 0.1}})

    assert json.loads(bytes(reply.told or b"")) == {"prompt_tokens": 3}


@pytest.mark.parametrize("provider", ["voyage", "fireworks", "jina", "together"])
def test_a_ranking_stands_in_results_whoever_made_it(provider: str) -> None:
    answer = {("data" if provider in ("voyage", "fireworks") else "results"): RANKED, "model": "x", "own": 1}

    reply = replied(provider, "rerank", answer)

    assert fields_of(reply) == {"id": "ours", "model": "acme/one", "results": RANKED, "own": 1}


@pytest.mark.parametrize(
    ("told", "wanted", "document"),
    [
        (None, True, {"text": "two"}),
        ("two", True, {"text": "two"}),
        ({"text": "TWO"}, True, {"text": "TWO"}),
        ({"text": "two"}, False, None),
        ({"text": "two"}, None, {"text": "two"}),
        (None, None, None),
    ],
)
def test_documents_stand_in_a_ranking_where_they_are_asked_for(
    told: Any, wanted: bool | None, document: Any
) -> None:
    result = {"index": 1, "relevance_score": 0.5}
    answer = {"results": [result if told is None else {**result, "document": told}]}

    reply = replied("jina", "rerank", answer, return_documents=wanted)

    assert fields_of(reply)["results"][0].get("document") == document


def test_a_moderation_is_openais_and_has_a_verdict_whoever_made_it() -> None:
    told = {name: JUDGED[name] for name in ("categories", "category_scores", "category_applied_input_types")}
    answer = {"id": "m1", "model": "x", "results": [told, {**told, "categories": {"violence": True}}]}

    reply = replied("mistral", "moderations", answer, input=["a", "b"])

    fields = fields_of(reply)
    assert [result["flagged"] for result in fields["results"]] == [False, True]
    assert (fields["id"], fields["model"], reply.upstream_id) == ("m1", "acme/one", "m1")
    ModerationCreateResponse.model_validate({**fields, "results": fields["results"][:1]})


def test_a_moderation_without_an_id_gets_one() -> None:
    assert fields_of(replied("openai", "moderations", {"results": [JUDGED]}))["id"] == "modr-ours"


def test_pictures_are_openais_whoever_drew_them() -> None:
    answer = {"id": "p1", "model": "x", "object": "list", "data": [{"b64_json": "QQ==", "index": 0}]}

    reply = replied("together", "images/generations", answer)

    fields = fields_of(reply)
    assert (fields["created"], fields["model"]) == (77, "acme/one")
    ImagesResponse.model_validate(fields)


def test_pictures_of_openai_tell_no_model() -> None:
    assert "model" not in fields_of(
        replied("openai", "images/generations", {"created": 1, "data": [{"url": "a"}]})
    )


@pytest.mark.parametrize("name", ["embeddings", "moderations", "images/generations", "rerank"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>no</html>",
        b"[]",
        b'{"data": [',
        b'{"error": {"message": "no"}}',
        b'{"data": [], "results": []}',
        b'{"data": {}, "results": {}}',
        b'{"data": [1], "results": [1]}',
        b'{"data": "x", "results": "x"}',
        b'{"data": [{"embedding": {}}], "results": 5}',
        b'{"data": [{}], "results": [{}], "x": "\xff"}',
        b'{"model": "x"}',
        b"[" * 10_000,
    ],
)
def test_what_is_no_answer_is_said_to_be_none(name: str, body: bytes) -> None:
    with pytest.raises(Malformed):
        replied("openai", name, body)


@pytest.mark.parametrize("index", [7, -9, "x", None])
def test_a_ranking_of_documents_that_were_not_sent_is_no_answer(index: Any) -> None:
    with pytest.raises(Malformed):
        replied("jina", "rerank", {"results": [{"index": index}]}, return_documents=True)
