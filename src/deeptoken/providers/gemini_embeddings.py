"""Gemini's embeddings: batchEmbedContents.

Source: ai.google.dev/api/embeddings and the types of its own SDK (google-genai 3.6.1), read 2026-11-25.
Differs from OpenAI in that each text is a request of its own with its own options; other fields of the caller
(`taskType`, `title`) stand in each of them. Vectors come as numbers; not every model tells its tokens.
"""

import msgspec

from deeptoken.errors import BadRequest
from deeptoken.providers import vectors
from deeptoken.providers.base import Asked, Malformed, Reply, unable
from deeptoken.providers.gemini_answer import NOTHING, ErrorBody, failure_told, usage_of
from deeptoken.wire import task_usage
from deeptoken.wire.chat import Chat
from deeptoken.wire.choice import encode
from deeptoken.wire.embeddings import EmbeddingsRequest
from deeptoken.wire.task import Task

METHOD = "batchEmbedContents"
OPENAIS = frozenset({"input", "encoding_format", "dimensions", "user"})


class _Vector(msgspec.Struct):
    values: msgspec.Raw


class _Answer(msgspec.Struct, rename="camel"):
    embeddings: list[_Vector] = []
    usage_metadata: msgspec.Raw = NOTHING
    error: ErrorBody | None = None


_answer = msgspec.json.Decoder(_Answer)


def body(chat: Chat, task: Task, model: str) -> bytes:
    """The body; `model` is its resource's name.

    Raises:
        BadRequest: what Gemini cannot do; `param` names it.
    """
    request = task.request
    if not isinstance(request, EmbeddingsRequest):
        raise unable("Gemini", task)
    if not isinstance(request.inputs[0], str):
        raise BadRequest("Gemini embeds texts, not tokens.", param="input")
    options: dict[str, object] = {name: raw for name, raw in chat.fields.items() if name not in OPENAIS}
    if request.dimensions is not None:
        options["outputDimensionality"] = request.dimensions
    requests = [
        {**options, "model": model, "content": {"parts": [{"text": text}]}} for text in request.inputs
    ]
    return encode({"requests": requests})


def reply(body: bytes, asked: Asked) -> Reply:
    """Raises:
    Malformed: it is no answer.
    """
    assert asked.task is not None
    request = asked.task.request
    try:
        body.decode()
        answer = _answer.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("The answer is no JSON, or none with embeddings.") from None
    if answer.error is not None:
        raise Malformed(f"An error came as an answer: {failure_told(answer.error).message}")
    if not isinstance(request, EmbeddingsRequest) or len(answer.embeddings) != len(request.inputs):
        raise Malformed("The answer has not as many embeddings as there are texts.")
    try:
        told = [
            vectors.packed(vectors.numbers(one.values)) if request.base64 else one.values
            for one in answer.embeddings
        ]
    except (msgspec.DecodeError, ValueError):
        raise Malformed("An embedding is no list of numbers.") from None
    usage = usage_of(answer.usage_metadata)
    return Reply(
        fields={"object": "list", "data": vectors.entries(told), "model": asked.model},
        usage=usage,
        told=None if usage is None else msgspec.Raw(encode(task_usage.embeddings(usage))),
    )
