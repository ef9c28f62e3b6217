"""A call that came in the dialect of Anthropic's Messages API, for a provider that speaks it: as it came.

    request   the caller's own fields, with the model that is asked for, the wallet's limit, and `stream`
    answer    the provider's own fields and events, with the canonical model

Source: platform.claude.com/docs/en/api/messages, .../build-with-claude/streaming and
.../build-with-claude/thinking; read 2026-11-25.
"""

from typing import Any

import msgspec
from msgspec import Raw

from deeptoken.catalog.model import Candidate
from deeptoken.wire.chat import Native

DIALECT = "messages"
BUDGET_MIN = 1024
BUDGET_SHARE = 80
"""Percent of a limit that thinking may have."""
TRUE = Raw(b"true")

_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


def body(native: Native, at: Candidate, *, stream: bool, limit: int | None) -> bytes:
    """`limit` is the wallet's."""
    fields = {"model": Raw(_encode(at.upstream_model)), **native.fields}
    fields.pop("stream", None)
    if stream:
        fields["stream"] = TRUE
    if limit is not None:
        fields["max_tokens"] = Raw(_encode(limit))
        if thinking := fields.pop("thinking", None):
            fitted = within(msgspec.json.decode(thinking), limit)
            if fitted is not None:
                fields["thinking"] = Raw(_encode(fitted))
    return _encode(fields)


def within(thinking: Any, limit: int) -> Any:
    """Thinking whose budget has room in a limit that the caller did not choose; None where there is none."""
    match thinking:
        case {"type": "enabled", "budget_tokens": int(budget)} if budget >= limit:
            room = limit * BUDGET_SHARE // 100
            return {**thinking, "budget_tokens": room} if room >= BUDGET_MIN else None
    return thinking


def reply(body: bytes, model: str) -> dict[str, Raw]:
    """A whole answer's own fields."""
    fields = _fields(body)
    fields["model"] = Raw(_encode(model))
    return fields


def event(data: bytes, kind: str, model: str) -> bytes:
    """An event's own data, on one line."""
    if not data.isascii():
        # What is no UTF-8 becomes U+FFFD, as in all events.
        data = data.decode("utf-8", "replace").encode()
    if kind == "message_start":
        fields = _fields(data)
        fields["message"] = Raw(_encode(reply(fields.get("message", Raw(b"{}")), model)))
        return _encode(fields)
    return data.replace(b"\n", b" ")
