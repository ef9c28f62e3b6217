"""Cohere's embeddings and rankings, as OpenAI's and everybody's."""

import json
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse
from tasks_asked import fields_of, replied, request, sent

from deeptoken.errors import BadRequest
from deeptoken.providers.base import Malformed
from deeptoken.wire.usage import Usage

EMBEDDED = {
    "id": "e1",
    "embeddings": {"float": [[0.5, -0.25], [1, 0]], "base64": ["AAAAPwAAgL4=", "AACAPwAAAAA="]},
    "texts": ["one", "two"],
    "meta": {"billed_units": {"input_tokens": 4.0}},
    "response_type": "embeddings_by_type",
}
RANKED = {
    "id": "r1",
    "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}],
    "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1.0}},
}


def test_texts_are_embedded_as_documents_unless_the_caller_says_otherwise() -> None:
    made = request("cohere", "embeddings", user="ann", dimensions=256, truncate="NONE")

    assert made.url == "https://api.cohere.com/v2/embed"
    assert json.loads(made.body) == {
        "model": "one-2026",
        "texts": ["one", "two"],
        "input_type": "search_document",
        "embedding_types": ["float"],
        "output_dimension": 256,
        "truncate": "NONE",
    }
    assert sent("cohere", "embeddings", input_type="search_query")["input_type"] == "search_query"


@pytest.mark.parametrize(("form", "vector"), [(None, [0.5, -0.25]), ("base64", "AAAAPwAAgL4=")])
def test_an_embedding_comes_in_the_form_that_was_asked_for(form: str | None, vector: Any) -> None:
    assert sent("cohere", "embeddings", encoding_format=form)["embedding_types"] == [form or "float"]

    reply = replied("cohere", "embeddings", EMBEDDED, encoding_format=form)

    fields = fields_of(reply)
    assert fields["data"][0] == {"object": "embedding", "index": 0, "embedding": vector}
    assert (fields["model"], reply.upstream_id) == ("acme/one", "e1")
    assert reply.usage == Usage(prompt=4)
    if form is None:
        CreateEmbeddingResponse.model_validate({**fields, "usage": json.loads(bytes(reply.told or b""))})


def test_numbers_go_on_as_they_were_written() -> None:
    body = b'{"id": "e", "embeddings": {"float": [[5.0e-1], [1]]}}'

    reply = replied("cohere", "embeddings", body)

    assert [bytes(one["embedding"]) for one in reply.fields["data"]] == [b"[5.0e-1]", b"[1]"]
    assert (reply.usage, reply.told) == (None, None)


def test_documents_are_ranked_by_their_texts() -> None:
    documents = ["one", {"text": "two", "id": 7}]

    made = request(
        "cohere", "rerank", documents=documents, top_n=1, return_documents=True, max_tokens_per_doc=512
    )

    assert made.url == "https://api.cohere.com/v2/rerank"
    assert json.loads(made.body) == {
        "model": "one-2026",
        "query": "who",
        "documents": ["one", "two"],
        "top_n": 1,
        "max_tokens_per_doc": 512,
    }


@pytest.mark.parametrize(("wanted", "document"), [(True, {"text": "two"}), (False, None), (None, None)])
def test_a_ranking_is_billed_by_the_search_and_has_its_documents_where_asked(
    wanted: bool | None, document: Any
) -> None:
    reply = replied("cohere", "rerank", RANKED, return_documents=wanted)

    fields = fields_of(reply)
    assert (fields["id"], fields["model"]) == ("r1", "acme/one")
    assert [one["index"] for one in fields["results"]] == [1, 0]
    assert fields["results"][0].get("document") == document
    assert (reply.usage, reply.units) == (None, Usage(searches=1))


def test_a_ranking_whose_searches_are_not_told_tells_none() -> None:
    assert replied("cohere", "rerank", {"results": RANKED["results"]}).units is None


@pytest.mark.parametrize("name", ["moderations", "images/generations", "audio/speech"])
def test_what_cohere_has_not_is_said(name: str) -> None:
    with pytest.raises(BadRequest, match=f"Cohere has no {name}"):
        request("cohere", name)


@pytest.mark.parametrize("told", [[1, 2], [[1], [2]]])
def test_tokens_are_not_embedded(told: Any) -> None:
    with pytest.raises(BadRequest) as refused:
        request("cohere", "embeddings", input=told)

    assert refused.value.param == "input"


@pytest.mark.parametrize("name", ["embeddings", "rerank"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"message": "no"}',
        b'{"embeddings": {}, "results": {}}',
        b'{"embeddings": {"float": [[1]]}, "results": [{"index": 5}]}',
        b'{"embeddings": {"base64": ["a", "b"]}, "results": [{}]}',
        b'{"embeddings": [[1], [2]], "results": [1]}',
        b'{"embeddings": {"float": 1}, "results": [{"index": -1}]}',
    ],
)
def test_what_is_no_answer_is_said_to_be_none(name: str, body: bytes) -> None:
    with pytest.raises(Malformed):
        replied("cohere", name, body)
