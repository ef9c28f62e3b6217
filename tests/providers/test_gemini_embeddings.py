"""Gemini's embeddings as OpenAI's."""

import json
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse
from tasks_asked import fields_of, replied, request, sent

from deeptoken.errors import BadRequest
from deeptoken.providers.base import Malformed
from deeptoken.wire.usage import Usage

EMBEDDED = {
    "embeddings": [{"values": [0.5, -0.25]}, {"values": [1, 0]}],
    "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4},
}


def test_each_text_is_a_request_of_its_own() -> None:
    made = request("gemini", "embeddings", dimensions=8, user="ann", taskType="CLUSTERING")

    base = "https://generativelanguage.googleapis.com/v1beta"
    assert made.url == f"{base}/models/one-2026:batchEmbedContents"
    assert ("x-goog-api-key", "key-1") in made.headers
    assert json.loads(made.body) == {
        "requests": [
            {
                "model": "models/one-2026",
                "content": {"parts": [{"text": text}]},
                "outputDimensionality": 8,
                "taskType": "CLUSTERING",
            }
            for text in ("one", "two")
        ]
    }


def test_a_model_may_have_its_whole_name() -> None:
    assert sent("gemini", "embeddings", model="tunedModels/x")["requests"][0]["model"] == "tunedModels/x"


@pytest.mark.parametrize(("form", "vector"), [(None, [0.5, -0.25]), ("base64", "AAAAPwAAgL4=")])
def test_an_embedding_comes_in_the_form_that_was_asked_for(form: str | None, vector: Any) -> None:
    reply = replied("gemini", "embeddings", EMBEDDED, encoding_format=form)

    fields = fields_of(reply)
    assert fields["data"][0] == {"object": "embedding", "index": 0, "embedding": vector}
    assert fields["model"] == "acme/one"
    assert reply.usage == Usage(prompt=4)
    if form is None:
        CreateEmbeddingResponse.model_validate({**fields, "usage": json.loads(bytes(reply.told or b""))})


def test_a_model_that_tells_no_tokens_tells_none() -> None:
    reply = replied("gemini", "embeddings", {"embeddings": EMBEDDED["embeddings"]})

    assert (reply.usage, reply.told) == (None, None)


@pytest.mark.parametrize("name", ["moderations", "images/generations", "audio/speech", "rerank"])
def test_what_gemini_has_not_is_said(name: str) -> None:
    with pytest.raises(BadRequest, match=f"Gemini has no {name}"):
        request("gemini", name)


def test_tokens_are_not_embedded() -> None:
    with pytest.raises(BadRequest) as refused:
        request("gemini", "embeddings", input=[1, 2])

    assert refused.value.param == "input"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"embeddings": [{"values": [1]}]}',
        b'{"embeddings": [{"values": [1]}, {}]}',
        b'{"embeddings": [{"values": "x"}, {"values": {}}]}',
        b'{"embeddings": [{"values": [1e39]}, {"values": [1]}]}',
        b'{"error": {"code": 400, "message": "no"}}',
        b'{"embeddings": [{"values": [1]}, {"values": [2]}], "x": "\xff"}',
    ],
)
def test_what_is_no_answer_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(Malformed):
        replied("gemini", "embeddings", body, encoding_format="base64")
