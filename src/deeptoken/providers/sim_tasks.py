"""Sim's answers to what is no chat, in OpenAI's dialect. Pure: the same request has the same answer.

    embeddings           a unit vector from the hash of each text, of the size that is asked for
    moderations          a category is flagged whose name the text has
    images/generations   a picture of one colour, from the hash of the prompt
    audio/speech         a WAV file that hums, a twentieth of a second a word
    rerank               by how many of the query's words a document has
    audio that is heard  a sentence that says how long it is

A word is a token, and so is each token of a text that was sent as tokens; a picture is 16, a second of audio
ten.
"""

import base64
import hashlib
import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

from deeptoken.providers import vectors
from deeptoken.wire import task_usage
from deeptoken.wire.embeddings import EmbeddingsRequest
from deeptoken.wire.images import ImagesRequest
from deeptoken.wire.moderations import ModerationsRequest
from deeptoken.wire.rerank import RerankRequest
from deeptoken.wire.speech import SpeechRequest
from deeptoken.wire.task import Task
from deeptoken.wire.transcriptions import HEARD_A_SECOND, TranscriptionRequest
from deeptoken.wire.usage import Usage

EMBEDDING_SIZE, EMBEDDING_SIZE_MAX = 256, 4_096
IMAGE_TOKENS = 16
IMAGE_SIDE = 8
SAMPLES_A_SECOND = 8_000
SAMPLES_A_WORD = SAMPLES_A_SECOND // 20
CATEGORIES = (
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent"),
    *("self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors"),
    *("violence", "violence/graphic"),
)
WAV = "audio/wav"
EVENTS = "text/event-stream"
JSON, PLAIN = "application/json", "text/plain; charset=utf-8"
CUES = {"srt": "00:{:02}:{:02},000", "vtt": "00:{:02}:{:02}.000"}


def refusal(task: Task) -> str | None:
    """Why it does not do that; None: it does."""
    request = task.request
    if isinstance(request, EmbeddingsRequest) and (request.dimensions or 0) > EMBEDDING_SIZE_MAX:
        return f"sim's embeddings have at most {EMBEDDING_SIZE_MAX} dimensions."
    return None


def whole(task: Task, model: str, id: str, created: int) -> tuple[str, bytes]:
    """The content type of a task that is answered whole, and its answer."""
    if task.upload is not None:
        return _heard(task.request, task.upload.likely_s)
    return JSON, msgspec.json.encode(_whole(task, model, id, created))


def streamed(task: Task, created: int) -> tuple[str, Iterator[bytes]]:
    """The content type of a task that is answered as it goes, and its pieces: a word each, or a picture."""
    match task.request:
        case SpeechRequest(stream_format="sse") as request:
            return EVENTS, _spoken_events(request)
        case SpeechRequest() as request:
            return WAV, _spoken(request.input)
        case ImagesRequest() as request:
            return EVENTS, _drawn_events(request, created)
    if task.upload is not None:
        return EVENTS, _heard_events(task.upload.likely_s)
    raise ValueError(f"sim does not stream {task.name}")


def embedding(text: str, size: int = EMBEDDING_SIZE) -> list[float]:
    """A vector of length one, a pure function of the text."""
    bits = hashlib.shake_256(text.encode()).digest(2 * size)
    # An odd number is never the middle, so that no vector is zero.
    numbers = [(int.from_bytes(bits[at : at + 2]) | 1) - 32_768 for at in range(0, 2 * size, 2)]
    length = math.hypot(*numbers)
    return [number / length for number in numbers]


def _whole(task: Task, model: str, id: str, created: int) -> dict[str, Any]:
    match task.request:
        case EmbeddingsRequest() as request:
            return _embedded(request, model)
        case ModerationsRequest() as request:
            return {"id": f"modr-{id}", "model": model, "results": _judged(request)}
        case ImagesRequest() as request:
            return _drawn(request, created)
        case RerankRequest() as request:
            return _ranked(request, model, id)
    raise ValueError(f"sim has no {task.name}")


def _embedded(request: EmbeddingsRequest, model: str) -> dict[str, Any]:
    texts = [one if isinstance(one, str) else " ".join(map(str, one)) for one in request.inputs]
    found = [embedding(text, request.dimensions or EMBEDDING_SIZE) for text in texts]
    told = [vectors.packed(vector) for vector in found] if request.base64 else found
    return {
        "object": "list",
        "data": vectors.entries(told),
        "model": model,
        "usage": task_usage.embeddings(Usage(prompt=sum(map(_words, texts)))),
    }


def _judged(request: ModerationsRequest) -> list[dict[str, Any]]:
    texts = request.texts if request.count > 1 else [" ".join(request.texts)]
    return [_verdict(text.lower()) for text in texts]


def _verdict(text: str) -> dict[str, Any]:
    found = {name: name.partition("/")[0] in text for name in CATEGORIES}
    return {
        "flagged": any(found.values()),
        "categories": found,
        "category_scores": {name: 0.9 if flagged else 0.0 for name, flagged in found.items()},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }


def _drawn(request: ImagesRequest, created: int) -> dict[str, Any]:
    pictures = [_picture(request, index) for index in range(request.n or 1)]
    if request.response_format == "url":
        data = [{"url": f"data:image/png;base64,{picture}"} for picture in pictures]
    else:
        data = [{"b64_json": picture} for picture in pictures]
    return {"created": created, "data": data, "usage": task_usage.images(_drawing(request))}


def _drawn_events(request: ImagesRequest, created: int) -> Iterator[bytes]:
    shared = {
        "created_at": created,
        "background": "opaque",
        "output_format": "png",
        "quality": "low",
        "size": f"{IMAGE_SIDE}x{IMAGE_SIDE}",
    }
    for index in range(request.partial_images or 0):
        told = {"b64_json": _picture(request, 0), "partial_image_index": index, **shared}
        yield _event("image_generation.partial_image", told)
    told = {"b64_json": _picture(request, 0), "usage": task_usage.images(_drawing(request)), **shared}
    yield _event("image_generation.completed", told)


def _drawing(request: ImagesRequest) -> Usage:
    return Usage(prompt=_words(request.prompt), completion_image=IMAGE_TOKENS * (request.n or 1))


def _picture(request: ImagesRequest, index: int) -> str:
    colour = hashlib.sha256(f"{index} {request.prompt}".encode()).digest()[:3]
    return base64.b64encode(png(colour)).decode()


def png(colour: bytes) -> bytes:
    """A square of one colour: three bytes, red, green and blue."""
    row = b"\0" + colour * IMAGE_SIDE
    head = struct.pack(">IIBBBBB", IMAGE_SIDE, IMAGE_SIDE, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(row * IMAGE_SIDE)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_part(name, data) for name, data in parts)


def _part(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _spoken(text: str) -> Iterator[bytes]:
    """The head, and what hums for each word; a sample is a byte."""
    words = text.split() or [text]
    size = SAMPLES_A_WORD * len(words)
    form = struct.pack("<IHHIIHH", 16, 1, 1, SAMPLES_A_SECOND, SAMPLES_A_SECOND, 1, 8)
    yield b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + form + b"data" + struct.pack("<I", size)
    for word in words:
        half = 10 + hashlib.sha256(word.encode()).digest()[0] % 20
        wave = b"\x90" * half + b"\x70" * half
        yield (wave * (SAMPLES_A_WORD // len(wave) + 1))[:SAMPLES_A_WORD]


def _spoken_events(request: SpeechRequest) -> Iterator[bytes]:
    for piece in _spoken(request.input):
        yield _event("speech.audio.delta", {"audio": base64.b64encode(piece).decode()})
    words = _words(request.input)
    usage = {"input_tokens": words, "output_tokens": words, "total_tokens": 2 * words}
    yield _event("speech.audio.done", {"usage": usage})


def _ranked(request: RerankRequest, model: str, id: str) -> dict[str, Any]:
    wanted = set(request.query.lower().split())
    texts = request.texts
    scores = [len(wanted & set(text.lower().split())) / len(wanted or {""}) for text in texts]
    order = sorted(range(len(texts)), key=lambda index: (-scores[index], index))[: request.top_n]
    results: list[dict[str, Any]] = []
    for index in order:
        document = {"document": {"text": texts[index]}} if request.return_documents else {}
        results.append({"index": index, "relevance_score": scores[index], **document})
    tokens = _words(request.query) * len(texts) + sum(map(_words, texts))
    return {
        "id": id,
        "model": model,
        "results": results,
        "usage": task_usage.rerank(Usage(prompt=tokens, searches=1)),
    }


def _heard(request: msgspec.Struct, seconds: int) -> tuple[str, bytes]:
    text = _sentence(seconds)
    form = request.response_format if isinstance(request, TranscriptionRequest) else "json"
    if form == "text":
        return PLAIN, f"{text}\n".encode()
    if form in CUES:
        start, end = (CUES[form].format(*divmod(second, 60)) for second in (0, seconds))
        cue = f"{start} --> {end}\n{text}\n"
        return PLAIN, (f"WEBVTT\n\n{cue}" if form == "vtt" else f"1\n{cue}").encode()
    told: dict[str, Any] = {"text": text, "usage": _hearing(seconds, text)}
    if form == "verbose_json":
        told = {"task": "transcribe", "language": "english", "duration": float(seconds), **told}
    return JSON, msgspec.json.encode(told)


def _heard_events(seconds: int) -> Iterator[bytes]:
    text = _sentence(seconds)
    for number, word in enumerate(text.split()):
        yield _event("transcript.text.delta", {"delta": f" {word}" if number else word})
    yield _event("transcript.text.done", {"text": text, "usage": _hearing(seconds, text)})


def _sentence(seconds: int) -> str:
    return f"This audio lasts {seconds} second{'' if seconds == 1 else 's'}."


def _hearing(seconds: int, text: str) -> dict[str, Any]:
    heard, written = HEARD_A_SECOND * seconds, _words(text)
    return {
        "type": "tokens",
        "input_tokens": heard,
        "input_token_details": {"audio_tokens": heard, "text_tokens": 0},
        "output_tokens": written,
        "total_tokens": heard + written,
    }


def _words(text: str) -> int:
    return len(text.split())


def _event(kind: str, fields: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **fields}))
