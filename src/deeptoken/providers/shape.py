"""The shape of a stream: what all its chunks have in common.

    Shape    but for their choices
    Words    but for one text in their choices, as most chunks of most streams

Between the first chunk and the last, a host says the same around the choices each time. Once one chunk was
read with care, an event with the same bytes before and after its choices is the same object with other
choices: only these are read, and what was written around them is written again (measured: half of the time
of reading and writing all of it). Of choices that differ in their text alone, that is read (measured: half
of what is left). Whatever differs in a byte is read with care, as the first one was.
"""

import msgspec
from msgspec import Raw

from deeptoken.providers.base import Piece
from deeptoken.wire.choice import CHOICES, NULL, encode
from deeptoken.wire.mend import Chunks

NONE = Raw(b"[]")
KEYS = (b'"choices":', b'"choices": ')
"""The key as hosts write it. A text that held it would have its quotes escaped."""
TEXT_KEYS = (b'"content":', b'"content": ')


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


class Words(msgspec.Struct, frozen=True):
    """The same around the text of the only choice. Both sides have a quote of it, so that it has no spaces
    around it; a line end inside it would be no JSON."""

    before: bytes
    after: bytes
    head: bytes
    tail: bytes

    def piece(self, data: bytes) -> Piece | None:
        """The piece of an event that differs in its text alone, while its choice has not finished."""
        before, after = self.before, self.after
        if not data.endswith(after) or not data.startswith(before):
            return None
        raw = data[len(before) - 1 : 1 - len(after)]
        try:
            text = TEXT.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return Piece(self.head + raw + self.tail, text, True) if text else None


class _Delta(msgspec.Struct):
    content: Raw = NULL
    tool_calls: Raw = NULL


class _Choice(msgspec.Struct):
    delta: _Delta


TEXT = msgspec.json.Decoder(str)
CHOICE = msgspec.json.Decoder(tuple[_Choice])


def words(shape: Shape, data: bytes, piece: Piece) -> Words | None:
    """The shape of events like `data`, of which `shape` has made `piece`; None: it cannot be told surely."""
    raw = data[len(shape.before) : -len(shape.after)]
    (choice,) = CHOICE.decode(raw)
    text = bytes(choice.delta.content)
    told = choice.delta.tool_calls == NULL and text.startswith(b'"') and TEXT.decode(text) == piece.text
    if not told or not piece.text:
        return None
    for key in TEXT_KEYS:
        before, found, after = raw.partition(key + text)
        if found:
            # A key that stands twice, or in other letters, would be another text.
            if b"\\" in before + after or TEXT_KEYS[0][:-1] in before + after:
                return None
            return Words(
                shape.before + before + key + b'"',
                b'"' + after + shape.after,
                shape.head + before + key,
                after + shape.tail,
            )
    return None


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
