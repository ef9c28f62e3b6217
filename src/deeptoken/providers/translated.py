"""A chat that was made of another dialect, fit for a host of OpenAI's chat.

A client of chat chooses what it sends to a host. A client of another dialect does not know that there is a
chat: what its dialect has and every host of chat refuses must not reach one. What single hosts refuse is in
`host.py`.

    tools' pictures   a tool's message has text alone; the rest follows in a user's message

Source: platform.openai.com/docs/api-reference/chat/create, read 2026-11-25.
"""

from typing import Any

import msgspec
from msgspec import Raw

from deeptoken.wire.choice import FIELDS, OBJECTS, encode

TOOL = Raw(b'"tool"')
SHOWN_BELOW = "The output is shown in the next message."

_parts = msgspec.json.Decoder(list[dict[str, Any]]).decode


def translated(messages: Raw) -> Raw:
    """The messages as every host takes them."""
    if b'"tool"' not in bytes(messages):
        return messages
    told: list[dict[str, Raw]] = []
    shown: list[dict[str, Any]] = []
    for message in OBJECTS.decode(messages):
        if shown and message["role"] != TOOL:
            told.append(_user(shown))
            shown = []
        if message["role"] == TOOL and bytes(message["content"])[:1] == b"[":
            shown += _show(message)
        told.append(message)
    if shown:
        told.append(_user(shown))
    return Raw(encode(told))


def _show(message: dict[str, Raw]) -> list[dict[str, Any]]:
    """Leaves the text in a tool's message; what is left is to be shown elsewhere."""
    parts = _parts(message["content"])
    texts = [part for part in parts if part.get("type") == "text"]
    others = [part for part in parts if part.get("type") != "text"]
    if others:
        message["content"] = Raw(encode(texts or SHOWN_BELOW))
    return others


def _user(parts: list[dict[str, Any]]) -> dict[str, Raw]:
    return FIELDS.decode(encode({"role": "user", "content": parts}))
