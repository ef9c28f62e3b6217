"""Whether a body is a chat of texts and nothing else, told without looking at each of its letters.

    bare       it is as long as what was read of it, written without a space
    counted    it has as many keys as were read of it

What is asked of is known already to have all its messages a role and a text. Then no key stands twice, and
nothing is in it that was not decoded; otherwise the body may be a chat all the same, and is read with care.
"""

import re

import msgspec
from msgspec import Raw

NESTED = ("stream_options", "tools", "tool_choice", "response_format")
"""Fields that may have others in them."""
PLAIN = (Raw(b"null"), *(Raw(b'{"include_usage":%b}' % flag) for flag in (b"true", b"false")))
"""What of them has nothing that was not read."""
OBJECTS = msgspec.json.Decoder(list[dict[str, Raw]]).decode
SPACED = re.compile(rb'"[ \t\r\n]+:')


def bare(body: bytes, fields: dict[str, Raw]) -> bool:
    """By its length: a key that stood twice, or a space, would make it longer (measured: a fifth of
    the time of counting)."""
    size = 4 * len(fields) + 1
    for name, raw in fields.items():
        size += len(name) + len(raw)
        if name in NESTED and raw not in PLAIN:
            return False
    if size != len(body):
        return False
    try:
        messages = OBJECTS(fields["messages"])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    size = len(messages) + 1
    for message in messages:
        if len(message) != 2:
            return False
        size += len(message["role"]) + len(message["content"]) + len('{"role":,"content":}')
    return size == len(fields["messages"])


def counted(body: bytes, keys: int) -> bool:
    """By its keys. Text may look like one, never the reverse."""
    return body.count(b'":') + len(SPACED.findall(body)) == keys
