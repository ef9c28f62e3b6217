"""What a model thought, as it goes to a client of the Responses API and comes back on the next turn.

A chat has it as `reasoning_content` (text) and `reasoning_details` (what the provider needs back: signatures,
encrypted thoughts; the shape is OpenRouter's). Here it is an item whose `encrypted_content` a client sends
back unread. Ours is `OURS` and the details as JSON in base64, byte for byte what came; any other is a
host's own, which no other host can read.

Source: openrouter.ai/docs/use-cases/reasoning-tokens and developers.openai.com/api/docs/guides/reasoning,
read 2026-11-25.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgspec

from deeptoken.wire.chat import wrong

OURS = "deeptoken-1-"
FORMAT = "openai-responses-v1"
"""Marks details that are of this dialect; the name is OpenRouter's."""

Object = dict[str, Any]

encode = msgspec.json.encode
_details = msgspec.json.Decoder(list[Object])
_items = msgspec.json.Decoder(list[msgspec.Raw])


class _Sealed(msgspec.Struct):
    type: Any = None
    encrypted_content: Any = None


_sealed = msgspec.json.Decoder(_Sealed)


def seal(details: list[Object]) -> str:
    """The `encrypted_content` of an item of ours."""
    return OURS + urlsafe_b64encode(encode(details)).decode() if details else OURS


def told(item: Object, path: str) -> tuple[str, list[Object]]:
    """The text and the details of a reasoning item.

    Raises:
        BadRequest: a part of it has a wrong type; `param` names it.
    """
    content = "".join(_texts(item, "content", path))
    summary = _texts(item, "summary", path)
    sealed = item.get("encrypted_content")
    if not isinstance(sealed, str | None):
        raise wrong(f"{path}.encrypted_content", "expected a string")
    details: list[Object] = []
    if sealed is not None and (opened := _opened(sealed)) is not None:
        details = opened
    elif sealed:
        details = [{"type": "reasoning.encrypted", "data": sealed, "format": FORMAT}]
        if isinstance(item.get("id"), str):
            details[0]["id"] = item["id"]
    return content or "\n\n".join(summary), details


def without_ours(given: msgspec.Raw) -> msgspec.Raw:
    """A request's `input` without our own reasoning items, for a host that reads just its own."""
    if OURS.encode() not in bytes(given) or not bytes(given).lstrip().startswith(b"["):
        return given
    kept = [item for item in _items.decode(given) if not _is_ours(item)]
    return msgspec.Raw(encode(kept))


def _is_ours(item: msgspec.Raw) -> bool:
    try:
        read = _sealed.decode(item)
    except msgspec.ValidationError:
        return False
    sealed = read.encrypted_content
    return read.type == "reasoning" and isinstance(sealed, str) and sealed.startswith(OURS)


def _opened(sealed: str) -> list[Object] | None:
    """Our details; None: it is not ours, or was changed on its way."""
    if not sealed.startswith(OURS):
        return None
    if sealed == OURS:
        return []
    try:
        return _details.decode(urlsafe_b64decode(sealed[len(OURS) :]))
    except (binascii.Error, ValueError, RecursionError):
        return None


def _texts(item: Object, name: str, path: str) -> list[str]:
    given = item.get(name)
    if given is None:
        return []
    if not isinstance(given, list):
        raise wrong(f"{path}.{name}", "expected a list")
    texts = []
    for at, part in enumerate(given):
        match part:
            case {"text": str(text)}:
                texts.append(text)
            case _:
                raise wrong(f"{path}.{name}[{at}].text", "expected a string")
    return texts
