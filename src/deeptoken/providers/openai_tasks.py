"""Tasks of OpenAI's API, and of the hosts that have some of them; among them a ranking, which OpenAI has not.

Source: developers.openai.com/api/docs/api-reference, read 2026-11-25; the ways in which hosts differ are the
fields of `Taken`, and `compatible.py` has the rows.

A request's fields go on as they came but for the model and what the host takes otherwise; an answer's go back
but for the canonical model and its usage, and what a host leaves out is filled in.
"""

from typing import Any

import msgspec
from msgspec import Raw

from deeptoken.catalog.model import Candidate
from deeptoken.errors import BadRequest
from deeptoken.providers import openai_audio, raw, refusal, vectors
from deeptoken.providers.base import Asked, Malformed, Reply, unable
from deeptoken.providers.compatible_tasks import ANY, AS_IT_IS, Taken, taken
from deeptoken.providers.host import Host, headers, url
from deeptoken.wire import images, task_usage
from deeptoken.wire.chat import Chat
from deeptoken.wire.choice import FIELDS, NULL, OBJECTS, encode
from deeptoken.wire.embeddings import EmbeddingsRequest
from deeptoken.wire.http import HttpRequest
from deeptoken.wire.images import ImagesRequest
from deeptoken.wire.rerank import RerankRequest
from deeptoken.wire.speech import SpeechRequest
from deeptoken.wire.task import Task
from deeptoken.wire.usage import Usage

SSE = Raw(b'"sse"')
BASE64, B64_JSON = Raw(b'"base64"'), Raw(b'"b64_json"')
LIST, NO_LIST = Raw(b'"list"'), Raw(b"[]")
BROKEN = (msgspec.DecodeError, ValueError, LookupError, RecursionError)

_decode = msgspec.json.decode


def request(host: Host, chat: Chat, at: Candidate) -> HttpRequest:
    """Raises:
    BadRequest: this host cannot do what is asked.
    """
    task = chat.task
    assert task is not None
    way = _way(host, at, task)
    if task.upload is not None:
        return openai_audio.request(host, task, at, way.path or task.name)
    fields = {**chat.fields, "model": Raw(encode(at.upstream_model))}
    match task.request:
        case EmbeddingsRequest() as wanted if not way.tokens and not isinstance(wanted.inputs[0], str):
            raise BadRequest(f"{host.label} embeds texts, not tokens.", param="input")
        case ImagesRequest() as wanted:
            _draw(fields, wanted, host, way)
        case SpeechRequest() as wanted if way.events and at.model.price.rates.by_tokens:
            # It tells what it is paid for in events alone; the caller gets the audio in them.
            if wanted.stream_format != "sse" and not at.upstream_model.startswith(way.no_events):
                fields["stream_format"] = SSE
    for theirs, ours in way.renamed.items():
        if theirs in fields:
            fields.setdefault(ours, fields.pop(theirs))
    for name in way.dropped:
        fields.pop(name, None)
    return HttpRequest(url(host, at, way.path or task.name), headers(host, at), encode(fields))


def _way(host: Host, at: Candidate, task: Task) -> Taken:
    if host.stands_for_others and at.channel.base_url not in ("", host.base_url):
        return ANY[task.name]
    way = taken(host.name, task.name)
    if way is None:
        raise unable(host.label, task)
    return way


def _draw(fields: dict[str, Raw], wanted: ImagesRequest, host: Host, way: Taken) -> None:
    if wanted.stream and not way.streams:
        raise BadRequest(f"{host.label} does not stream images.", param="stream")
    if way.sized and "size" in fields:
        if wanted.pixels is None:
            raise BadRequest("size: expected a width and a height: 1024x1024.", param="size")
        del fields["size"]
        fields["width"], fields["height"] = (Raw(encode(length)) for length in wanted.pixels)
    if way.sized and fields.get("response_format") == B64_JSON:
        fields["response_format"] = BASE64


def reply(host: Host, body: bytes, asked: Asked) -> Reply:
    """Raises:
    Malformed: it is no answer.
    """
    task = asked.task
    assert task is not None
    if task.upload is not None:
        return openai_audio.reply(body, asked)
    try:
        body.decode()  # fields that nobody here reads must be UTF-8 too
        fields = FIELDS.decode(body)
        if fields.get("error", NULL) != NULL:
            raise Malformed(f"an error under a 200: {refusal.words_of(body).message}")
        return _reply(fields, task, asked, taken(host.name, task.name) or AS_IT_IS)
    except BROKEN as error:
        raise Malformed(_what(body, error)) from None


def _reply(fields: dict[str, Raw], task: Task, asked: Asked, way: Taken) -> Reply:
    usage, searches, told = task_usage.read(fields.pop("usage", NULL), drawn=task.name == images.NAME)
    units: Usage | None = None
    if "model" in fields or task.name != images.NAME:
        fields["model"] = Raw(encode(asked.model))
    own = _decode(fields.get("id", NULL))
    match task.request:
        case EmbeddingsRequest(base64=as_text):
            fields["object"] = LIST
            fields["data"] = vectors.fitted(_list(fields, "data"), as_text=as_text)
        case ImagesRequest():
            drawn = [
                one for one in OBJECTS.decode(_list(fields, "data")) if "b64_json" in one or "url" in one
            ]
            if not drawn:
                raise ValueError("an answer without images")
            units = Usage(images=len(drawn))
            if not isinstance(_decode(fields.get("created", NULL)), int):
                fields["created"] = Raw(encode(asked.created))
        case RerankRequest() as wanted:
            fields["id"] = Raw(encode(own or asked.id))
            fields["results"] = _ranked(_list(fields, way.results), wanted)
            if way.results != "results":
                del fields[way.results]
            searches = searches or _billed(fields.get("meta", NULL))
            units = Usage(searches=searches) if searches else None
        case _:
            fields["id"] = Raw(encode(own or f"modr-{asked.id}"))
            fields["results"] = _judged(_list(fields, "results"))
    return Reply(
        fields=fields,
        usage=usage,
        told=told,
        units=units,
        upstream_id=own if isinstance(own, str) else None,
    )


def stream(host: Host, asked: Asked) -> raw.RawStream:
    """Raises:
    Malformed: its head says that it is no answer.
    """
    if asked.task is not None and asked.task.upload is not None:
        return openai_audio.stream(asked)
    match asked.task:
        case Task(request=SpeechRequest(stream_format=form, content_type=content_type)):
            return raw.stream(asked, content_type, decoded=form != "sse")
    return raw.stream(asked)


def _list(fields: dict[str, Raw], name: str) -> Raw:
    told = fields.get(name, NULL)
    if vectors.opening(told) != b"[" or told == NO_LIST:
        raise ValueError(f"an answer without {name}")
    return told


def _ranked(results: Raw, wanted: RerankRequest) -> Raw:
    """The results, with the documents where they are asked for and without where they are not wanted."""
    told = OBJECTS.decode(results)
    texts = wanted.texts
    for result in told:
        index = _decode(result["index"], type=int)
        if not 0 <= index < len(texts):
            raise ValueError(f"there is no document {index}")
        if wanted.return_documents is False:
            result.pop("document", None)
        elif wanted.return_documents and vectors.opening(result.get("document", NULL)) != b"{":
            # A host may leave it out, or write the bare text.
            result["document"] = Raw(encode({"text": texts[index]}))
    return results if wanted.return_documents is None else Raw(encode(told))


def _billed(meta: Raw) -> int:
    """The searches that Cohere bills, where a host tells them as Cohere does."""
    match _decode(meta):
        case {"billed_units": {"search_units": int() | float() as searches}} if searches > 0:
            return int(searches)
    return 0


def _judged(results: Raw) -> Raw:
    """Each with its verdict: Mistral tells the categories alone."""
    told: list[dict[str, Any]] = _decode(results, type=list[dict[str, Any]])
    if all("flagged" in result for result in told):
        return results
    for result in told:
        result.setdefault("flagged", any((result.get("categories") or {}).values()))
    return Raw(encode(told))


def _what(body: bytes, error: Exception) -> str:
    start = body[:2_048].lstrip()
    if not start:
        return "an empty body"
    if start.startswith(b"<"):
        return "HTML instead of JSON"
    return f"JSON that is cut or no answer: {error}" if start.startswith(b"{") else "no JSON object"
