"""Cohere's Embed and Rerank, version 2.

Source: docs.cohere.com/reference/embed, .../reference/rerank and the types of its own SDK (cohere 7.3.1),
read 2026-11-25. Differs from OpenAI in that texts say what they are for (`input_type`: documents, unless the
caller says otherwise), that each form of a vector is a list of its own, and that a ranking is billed by the
search.
"""

from typing import Any

import msgspec
from msgspec import Raw

from deeptoken.catalog.model import Candidate
from deeptoken.errors import BadRequest
from deeptoken.providers import refusal, vectors
from deeptoken.providers.base import Asked, Malformed, Reply, unable
from deeptoken.wire import task_usage
from deeptoken.wire.chat import Chat
from deeptoken.wire.choice import encode
from deeptoken.wire.completion import COUNT_MAX
from deeptoken.wire.embeddings import EmbeddingsRequest
from deeptoken.wire.rerank import RerankRequest
from deeptoken.wire.usage import Usage

OPENAIS = frozenset({"input", "encoding_format", "dimensions", "user"})
RANKINGS = frozenset({"documents", "return_documents", "user"})
"""What is translated; all else goes on as it came."""
DOCUMENTS = Raw(b'"search_document"')


class _Billed(msgspec.Struct):
    input_tokens: float | None = None
    search_units: float | None = None


class _Meta(msgspec.Struct):
    billed_units: _Billed | None = None


class _Embedded(msgspec.Struct):
    embeddings: dict[str, list[Raw]]
    id: str | None = None
    meta: _Meta | None = None


class _Ranked(msgspec.Struct):
    results: list[dict[str, Any]]
    id: str | None = None
    meta: _Meta | None = None


_embedded = msgspec.json.Decoder(_Embedded)
_ranked = msgspec.json.Decoder(_Ranked)


def call(chat: Chat, at: Candidate) -> tuple[str, bytes]:
    """The path and the body of a task.

    Raises:
        BadRequest: what Cohere cannot do; `param` names it.
    """
    task = chat.task
    assert task is not None
    match task.request:
        case EmbeddingsRequest() as request:
            return "embed", encode(_embed(request, chat, at))
        case RerankRequest() as request:
            fields = {name: raw for name, raw in chat.fields.items() if name not in RANKINGS}
            return "rerank", encode({**fields, "model": at.upstream_model, "documents": request.texts})
    raise unable("Cohere", task)


def _embed(request: EmbeddingsRequest, chat: Chat, at: Candidate) -> dict[str, Any]:
    if not isinstance(request.inputs[0], str):
        raise BadRequest("Cohere embeds texts, not tokens.", param="input")
    fields: dict[str, Any] = {
        "input_type": DOCUMENTS,
        **{name: raw for name, raw in chat.fields.items() if name not in OPENAIS},
        "model": at.upstream_model,
        "texts": request.inputs,
        "embedding_types": ["base64" if request.base64 else "float"],
    }
    if request.dimensions is not None:
        fields["output_dimension"] = request.dimensions
    return fields


def reply(body: bytes, asked: Asked) -> Reply:
    """Raises:
    Malformed: it is no answer.
    """
    assert asked.task is not None
    try:
        match asked.task.request:
            case EmbeddingsRequest() as request:
                return _vectors(_embedded.decode(body), request, asked)
            case RerankRequest() as request:
                return _ranking(_ranked.decode(body), request, asked)
    except (msgspec.DecodeError, UnicodeDecodeError, LookupError, TypeError, RecursionError):
        if why := refusal.words_of(body).message:
            raise Malformed(f"An error came as an answer: {why}") from None
    raise Malformed("The answer is not what was asked for.")


def _vectors(answer: _Embedded, request: EmbeddingsRequest, asked: Asked) -> Reply:
    told = answer.embeddings["base64" if request.base64 else "float"]
    if len(told) != len(request.inputs):
        raise LookupError
    billed = _billed(answer.meta)
    tokens = _count(billed.input_tokens)
    usage = None if tokens is None else Usage(prompt=tokens)
    return Reply(
        fields={"object": "list", "data": vectors.entries(told), "model": asked.model},
        usage=usage,
        told=None if usage is None else Raw(encode(task_usage.embeddings(usage))),
        upstream_id=answer.id,
    )


def _ranking(answer: _Ranked, request: RerankRequest, asked: Asked) -> Reply:
    results = answer.results
    texts = request.texts
    for result in results:
        if result["index"] not in range(len(texts)):
            raise LookupError
        if request.return_documents:
            result["document"] = {"text": texts[result["index"]]}
    searches = _count(_billed(answer.meta).search_units)
    return Reply(
        fields={"id": answer.id or asked.id, "model": asked.model, "results": results},
        units=Usage(searches=searches) if searches else None,
        upstream_id=answer.id,
    )


def _billed(meta: _Meta | None) -> _Billed:
    return (meta and meta.billed_units) or _Billed()


def _count(told: float | None) -> int | None:
    return int(told) if told is not None and 0 <= told <= COUNT_MAX else None
