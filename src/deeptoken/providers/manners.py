"""The messages of a chat as hosts of OpenAI's dialect take them, where one takes less than OpenAI writes.

    developer     OpenAI's name for the system; most hosts know the older one alone
    reasoning     what a host wrote under one name goes back under the same, or not at all; some must have it
    strict        hosts that refuse a message for a field that they do not know, be it null
    alternating   hosts that refuse two messages of one role in a row

Sources, read 2026-11-25: the message types of the SDKs of Groq (1.7.0), Cerebras (1.91.0), Mistral (3.7.0),
Fireworks (1.2), SambaNova and OpenRouter; docs.perplexity.ai/docs/sonar/openai-compatibility,
api-docs.deepseek.com/guides/thinking_mode. Where there is nothing to change the bytes stay as they came.
"""

import re
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import Raw

from deeptoken.wire.chat import Message
from deeptoken.wire.choice import NULL, OBJECTS, PARTS_FORMAT, encode

REASONING = "reasoning_content"
"""Where it stands between the gateway and its callers."""
PARTS = "parts"
NOWHERE = ""
REASONINGS = (REASONING, "reasoning", "reasoning_details")
KNOWN = frozenset(("role", "content", "tool_calls", "tool_call_id", "function_call"))
SYSTEM = Raw(b'"system"')
EMPTY = Raw(b'""')
MESSAGES = msgspec.json.Decoder(list[Message])
JOINED = ("user", "assistant", "system")
"""Roles whose neighbours are one message. A tool's results stay what they are: each answers its own call."""


class Manners(msgspec.Struct, frozen=True):
    """What a host takes of a message."""

    developer: bool = False
    """It knows the role `developer`."""
    reasoning: str = REASONING
    """Where it takes its own reasoning back: the name of a field, `PARTS` of the content, or `NOWHERE`."""
    reasoners: re.Pattern[str] | None = None
    """The models that take it, where others refuse it."""
    reasoned_calls: bool = False
    """A message that calls tools must have reasoning, be it empty: one of another provider's has none."""
    strict: bool = False
    alternating: bool = False


def fitted_plain(messages: Raw, manners: Manners, model: str) -> Raw:
    """The same for messages that were made of another dialect's.

    Its clients send all thinking back, whoever thought. Hosts get it that are known to read it.
    """
    if manners.reasoning == REASONING and not manners.reasoned_calls:
        manners = msgspec.structs.replace(manners, reasoning=NOWHERE)
    return fitted(messages, MESSAGES.decode(messages), manners, model)


def fitted(messages: Raw, given: list[Message], manners: Manners, model: str) -> Raw:
    """The messages as this host takes them for `model`, its own name of it; `given` are the same, decoded."""
    if manners.reasoners is not None and not manners.reasoners.search(model):
        manners = msgspec.structs.replace(manners, reasoning=NOWHERE, reasoners=None)
    if not _concerns(given, manners):
        return messages
    told = zip(OBJECTS.decode(messages), given, strict=True)
    fields = [_fields(fields, message, manners) for fields, message in told]
    return Raw(encode(_joined(fields, given) if manners.alternating else fields))


def _concerns(messages: list[Message], manners: Manners) -> bool:
    """Whether anything may have to be changed."""
    return (
        manners.strict
        or (not manners.developer and any(message.role == "developer" for message in messages))
        or (
            manners.reasoning != REASONING
            and any(message.reasoning_content or message.reasoning_details for message in messages)
        )
        or (manners.reasoned_calls and any(_unreasoned(message) for message in messages))
        or (manners.alternating and _neighbours(messages))
    )


def _unreasoned(message: Message) -> bool:
    return bool(message.tool_calls) and message.reasoning_content is None


def _fields(fields: dict[str, Raw], message: Message, manners: Manners) -> dict[str, Raw]:
    if message.role == "developer" and not manners.developer:
        fields["role"] = SYSTEM
    said = fields.get(REASONING, NULL)
    if manners.reasoning in (PARTS, NOWHERE):
        for name in REASONINGS:
            fields.pop(name, None)
    elif manners.reasoning != REASONING and said != NULL:
        del fields[REASONING]
        fields.setdefault(manners.reasoning, said)
    if manners.reasoned_calls and _unreasoned(message):
        fields[manners.reasoning] = EMPTY
    if manners.reasoning == PARTS and (thoughts := _thoughts(message)):
        fields["content"] = Raw(encode([*thoughts, *_parts(message)]))
    if not manners.strict:
        return fields
    kept = KNOWN | {manners.reasoning} | ({"name"} if message.role == "function" else set())
    return {name: value for name, value in fields.items() if name in kept}


def _thoughts(message: Message) -> list[dict[str, Any]]:
    """Mistral's thinking as it stood in the content; what other providers thought is not its own."""
    texts: dict[object, list[str]] = {}
    signatures: dict[object, str] = {}
    for detail in message.details:
        if detail.get("format") != PARTS_FORMAT:
            continue
        place = detail.get("index")
        texts.setdefault(place, []).append(str(detail.get("text") or ""))
        if signature := detail.get("signature"):
            signatures[place] = signature
    thoughts = []
    for place, pieces in texts.items():
        thought: dict[str, Any] = {
            "type": "thinking",
            "thinking": [{"type": "text", "text": "".join(pieces)}],
        }
        if place in signatures:
            thought["signature"] = signatures[place]
        thoughts.append(thought)
    return thoughts


def _parts(message: Message) -> list[dict[str, Any]]:
    """The content as parts."""
    if isinstance(message.content, str):
        return [{"type": "text", "text": message.content}] if message.content else []
    return message.content or []


def _neighbours(messages: list[Message]) -> bool:
    roles = [_role(message) for message in messages]
    return any(one == other and one in JOINED for one, other in pairwise(roles))


def _role(message: Message) -> str:
    return "system" if message.role == "developer" else message.role


def _joined(told: list[dict[str, Raw]], messages: list[Message]) -> list[dict[str, Raw]]:
    """Neighbours of one role made one message, unless one of them made tool calls."""
    joined: list[dict[str, Raw]] = []
    content: list[dict[str, Any]] = []
    before = ""
    for fields, message in zip(told, messages, strict=True):
        role = _role(message)
        if role == before and role in JOINED and "tool_calls" not in fields.keys() | joined[-1].keys():
            content = [*content, *_parts(message)]
            joined[-1] = {**joined[-1], "content": Raw(encode(_said(content)))}
            continue
        joined.append(fields)
        content, before = _parts(message), role
    return joined


def _said(parts: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Text alone is text: not every host takes parts from every role."""
    if all(part.get("type") == "text" for part in parts):
        return "\n\n".join(part["text"] for part in parts)
    return parts
