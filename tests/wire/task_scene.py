"""Requests of each task, as small as they can be."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from deeptoken.errors import BadRequest
from deeptoken.wire import embeddings, images, moderations, rerank, speech
from deeptoken.wire.chat import Chat
from deeptoken.wire.task import Task

Read = Callable[[bytes], Chat]

LEAST: dict[str, dict[str, Any]] = {
    embeddings.NAME: {"model": "m", "input": "a"},
    moderations.NAME: {"input": "a"},
    images.NAME: {"model": "m", "prompt": "a"},
    speech.NAME: {"model": "m", "input": "a", "voice": "alloy"},
    rerank.NAME: {"model": "m", "query": "a", "documents": ["b"]},
}
READS: dict[str, Read] = {
    embeddings.NAME: embeddings.read,
    moderations.NAME: moderations.read,
    images.NAME: images.read,
    speech.NAME: speech.read,
    rerank.NAME: rerank.read,
}


def body(name: str, **fields: Any) -> bytes:
    return json.dumps({**LEAST[name], **fields}).encode()


def chat(name: str, **fields: Any) -> Chat:
    return READS[name](body(name, **fields))


def task(name: str, **fields: Any) -> Task:
    made = chat(name, **fields).task
    assert made is not None
    return made


def refused(name: str, raw: bytes) -> BadRequest:
    with pytest.raises(BadRequest) as error:
        READS[name](raw)
    return error.value
