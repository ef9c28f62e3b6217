"""The shape of a stream: what all its chunks have in common but for their choices.

Between the first chunk and the last, a host says the same around the choices each time. Once one chunk was
read with care, an event with the same bytes before and after its choices is the same object with other
choices: only these are read, and what was written around them is written again (measured: half of the time of
reading and writing all of it). Whatever differs in a byte is read with care, as the first one was.
"""

import msgspec
from msgspec import Raw

from deeptoken.providers.base import Piece
from deeptoken.wire.choice import CHOICES, encode
from deeptoken.wire.mend import Chunks

NONE = Raw(b"[]")
KEYS = (b'"choices":', b'"choices": ')
"""The key as hosts write it. A text that held it would have its quotes escaped."""


class Shape(msgspec.Struct, frozen=True):
    """Bytes of an event before and after the choices, and of the chunk that is made of it."""

    before: bytes
    after: bytes
    head: bytes
    tail: bytes

    def piece(self, data: bytes, chunks: Chunks) -> Piece | None:
        """The piece of an event of this shape whose choices need no mending; None: read it with care."""
        if not data.endswith(self.after) or not data.startswith(self.before):
            return None
        raw = data[len(self.before) : -len(self.after)]
        if b"\n" in raw or b"\r" in raw:
            return None
        try:
            if not raw.isascii():
                raw.decode()
            views = CHOICES.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        kept = chunks.kept(views)
        if kept is None:
            return None
        text, content = kept
        return Piece(self.head + raw + self.tail, text, content)


def shape(data: bytes, fields: dict[str, Raw], choices: Raw) -> Shape | None:
    """The shape of an event with that `data`, of which `fields` were made; None: it cannot be told surely."""
    raw = bytes(choices)
    for key in KEYS:
        if data.count(key + raw) == 1:
            before, _, after = data.partition(key + raw)
            written = encode({**fields, "choices": NONE})
            if written.count(KEYS[0] + NONE) != 1:
                return None
            head, _, tail = written.partition(KEYS[0] + NONE)
            return Shape(b"data: " + before + key, after + b"\n\n", head + KEYS[0], tail)
    return None
