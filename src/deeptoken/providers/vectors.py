"""Vectors as lists of numbers, and as text: the bytes of their 4-byte floats, little end first, in base64.

Source: developers.openai.com/api/docs/api-reference/embeddings, read 2026-11-25. Not every host knows the
second form, and none is sent away for that: what came in the other form is made the one that was asked for.
"""

import base64
import struct
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from deeptoken.wire.choice import OBJECTS, encode

EMBEDDING = Raw(b'"embedding"')

numbers = msgspec.json.Decoder(list[float]).decode
_text = msgspec.json.Decoder(str)


def entries(vectors: Iterable[object]) -> list[dict[str, Any]]:
    """What OpenAI writes around vectors; each is one in the form that is wanted."""
    return [
        {"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)
    ]


def fitted(data: Raw, *, as_text: bool) -> Raw:
    """The list of embeddings with each vector in the form that is wanted; where all are, as it came.

    Raises:
        msgspec.DecodeError, ValueError, KeyError: these are no vectors.
    """
    told = OBJECTS.decode(data)
    same = True
    for index, entry in enumerate(told):
        raw = entry["embedding"]
        form = opening(raw)
        is_text = form == b'"'
        if not is_text and form != b"[":
            raise ValueError("an embedding is neither numbers nor text")
        if is_text != as_text:
            same = False
            entry["embedding"] = Raw(encode(packed(numbers(raw)) if as_text else unpacked(raw)))
        if "index" not in entry or entry.get("object") != EMBEDDING:
            same = False
            entry.setdefault("index", Raw(encode(index)))
            entry["object"] = EMBEDDING
    return data if same else Raw(encode(told))


def opening(raw: Raw) -> bytes:
    """The first byte of a value, which tells its kind; a long one is not copied for that."""
    return bytes(memoryview(raw)[:1])


def packed(vector: list[float]) -> str:
    """Raises:
    ValueError: a number is too large for four bytes.
    """
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except OverflowError as error:
        raise ValueError(str(error)) from None


def unpacked(raw: Raw) -> list[float]:
    """Raises:
    msgspec.DecodeError, ValueError: it is no vector.
    """
    data = base64.b64decode(_text.decode(raw), validate=True)
    if len(data) % 4:
        raise ValueError("a vector of floats has four bytes for each")
    return list(struct.unpack(f"<{len(data) // 4}f", data))
