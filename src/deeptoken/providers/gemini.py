"""Gemini's API: generateContent and streamGenerateContent.

Source: ai.google.dev/api/generate-content, .../gemini-api/docs/api-key; read 2026-11-25. Differs from chat in
that the system prompt is a field of its own, turns are parts, the model stands in the address, a function
is answered by its name, and thoughts are counted beside the answer.

    gemini_request.py    the body; gemini_contents.py its turns, schema.py its schemas
    gemini_stream.py     what answers say, whole or streamed; gemini_answer.py their shapes
    gemini_embeddings.py embeddings
    gemini_frames.py     the two framings of a stream; gemini_arguments.py calls that come in pieces

Thoughts go to the client as `reasoning_content`; what Gemini signed, as `reasoning_details` in the shape that
OpenRouter documents: a client that sends them back gives it each signature at its part, byte for byte.
"""

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from deeptoken.catalog.model import Candidate
from deeptoken.errors import BadRequest
from deeptoken.providers import gemini_embeddings
from deeptoken.providers.base import Asked, Failure, Malformed, Reply, Stream
from deeptoken.providers.gemini_answer import failure, failure_told
from deeptoken.providers.gemini_request import body
from deeptoken.providers.gemini_stream import ContentStream, read_answer
from deeptoken.wire.chat import Chat
from deeptoken.wire.completion import Assembler
from deeptoken.wire.http import HttpRequest

BASE_URL = "https://generativelanguage.googleapis.com/v1beta"
NAMED = ("models/", "tunedModels/")


class Gemini:
    name = "gemini"

    def request(self, chat: Chat, at: Candidate, *, stream: bool, limit: int | None) -> HttpRequest:
        base = (at.channel.base_url or BASE_URL).rstrip("/")
        model = at.upstream_model if at.upstream_model.startswith(NAMED) else f"models/{at.upstream_model}"
        lost: tuple[str, ...] = ()
        if chat.task is not None:
            named, asked = gemini_embeddings.METHOD, gemini_embeddings.body(chat, chat.task, model)
        else:
            named, (asked, lost) = method(stream=stream), written(chat, at, limit=limit)
        return HttpRequest(
            f"{base}/{quote(model)}:{named}",
            (("content-type", "application/json"), ("x-goog-api-key", at.channel.secret)),
            asked,
            lost=lost,
        )

    def reply(self, body: bytes, asked: Asked) -> Reply:
        return reply(body, asked) if asked.task is None else gemini_embeddings.reply(body, asked)

    def stream(self, asked: Asked) -> Stream:
        return ContentStream(asked)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return failure(status, headers, body)


def method(*, stream: bool) -> str:
    return "streamGenerateContent?alt=sse" if stream else "generateContent"


def written(
    chat: Chat, at: Candidate, *, limit: int | None, vertex: bool = False
) -> tuple[bytes, tuple[str, ...]]:
    """The body as JSON, and what of the schemas is not in it.

    Raises:
        BadRequest: what Gemini cannot do; `param` names it.
    """
    try:
        made = body(chat, at, limit=limit, vertex=vertex)
        return msgspec.json.encode(made.fields), tuple(f"{one.path} {one.keyword}" for one in made.lost)
    except RecursionError:
        raise BadRequest("A schema or message is nested too deeply.") from None


def reply(body: bytes, asked: Asked) -> Reply:
    """Raises:
    Malformed: it is no answer.
    """
    answer = read_answer(body)
    if answer.error is not None:
        raise Malformed(f"An error came as an answer: {failure_told(answer.error).message}")
    stream, whole = ContentStream(asked), Assembler()
    pieces = [*stream.read(answer), *stream.finish()]
    for piece in pieces:
        whole.add(piece.data)
    counted = next((piece for piece in pieces if piece.usage), None)
    return Reply(
        fields=whole.whole(),
        text="".join(piece.text for piece in pieces),
        usage=counted.usage if counted else None,
        told=counted.told if counted else None,
        upstream_id=stream.upstream_id,
    )
