"""A chat that was made of another dialect, fit for a host of OpenAI's chat.

A client of chat chooses what it sends to a host. A client of another dialect does not know that there is a
chat: what its dialect always has and a strict host refuses must not reach it.

    thoughts        `reasoning_content`, `reasoning_details`: left out unless the host takes them back
    hints           where to cache, how long to talk, who asks: left out unless the host knows them
    developer       a system message where the hints are not known: that role came with them
    tools' pictures a tool's message has text alone; the rest follows in a user's message

Sources: platform.openai.com/docs/api-reference/chat, console.groq.com/docs/openai and the messages of Groq,
Cerebras, Mistral and DeepSeek for fields and roles that they do not know; read 2026-11-25.
"""

from typing import Any

import msgspec
from msgspec import Raw

from deeptoken.wire.choice import FIELDS, OBJECTS, encode

THOUGHTS = ("reasoning_content", "reasoning_details")
HINTS = (
    *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"),
    *("safety_identifier", "verbosity", "stream_options"),
)
DEVELOPER, SYSTEM, TOOL = Raw(b'"developer"'), Raw(b'"system"'), Raw(b'"tool"')
SHOWN_BELOW = "The output is shown in the next message."

_parts = msgspec.json.Decoder(list[dict[str, Any]]).decode


def fit(fields: dict[str, Raw], *, reasoning: bool, hints: bool) -> None:
    """Changes a request's fields. `reasoning`, `hints`: the host takes these."""
    if not hints:
        for name in HINTS:
            fields.pop(name, None)
    fields["messages"] = _messages(fields["messages"], reasoning=reasoning, hints=hints)


def _messages(raw: Raw, *, reasoning: bool, hints: bool) -> Raw:
    written = bytes(raw)
    thoughts = not reasoning and b'"reasoning_' in written
    roles = not hints and b'"developer"' in written
    if not thoughts and not roles and b'"tool"' not in written:
        return raw
    told: list[dict[str, Raw]] = []
    shown: list[dict[str, Any]] = []
    for message in OBJECTS.decode(raw):
        if shown and message["role"] != TOOL:
            told.append(_user(shown))
            shown = []
        if thoughts:
            message = {name: value for name, value in message.items() if name not in THOUGHTS}
        if roles and message["role"] == DEVELOPER:
            message["role"] = SYSTEM
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
