"""The body of a form with files, ``multipart/form-data``, read as it comes. Pure; bytes may be cut anywhere.

    boundary    what divides the parts, as the content type tells it; `content_type` tells it
    Reader      bytes in; out come `Begin` (a part, by its head), `Data` (of that part), `End`

Each of them has its bytes as they came (`raw`), and all of these one after the other are the body again. So
a form is written anew by leaving out or replacing some of them (`form.py`).

Source: RFC 7578 (forms), RFC 2046 section 5.1.1 (boundaries). Read strictly: whoever gets the body next must
see the same parts, and readers differ in what they take besides. Refused are: text before the first boundary
and behind the last, a boundary's line that goes on, folded or nameless fields, a part without exactly one
name, a name with quotes or escapes.

Its own reader, for python-multipart, the library for forms, does not tell what a form is written anew from:
it hands over names and values of the fields without what stood around them, drops boundaries and what it
passes over, and takes the end of the body for the end of the form.
"""

import re
from typing import Final

import msgspec

from deeptoken.errors import BadRequest, RequestTooLarge, UnsupportedMedia

HEAD_BYTES_MAX = 8 * 1024
"""Of one part."""
PARTS_MAX = 64
AROUND_BYTES_MAX = 64
"""Of line ends before the first boundary, and behind the last."""

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
QUOTED = r'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*"'
PARAMETER = re.compile(rf"[ \t]*;[ \t]*({TOKEN})=({TOKEN}|{QUOTED})")
FIELD = re.compile(rf"({TOKEN}):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
KIND, DISPOSITION = "multipart/form-data", "form-data"
ENDS = re.compile(rb"[\r\n \t]*")


class Part(msgspec.Struct, frozen=True):
    """What the head of a part says of it."""

    name: str
    filename: str | None = None
    """None: it is a field, no file."""
    kind: str = ""
    """Its content type, if told."""


class Begin(msgspec.Struct, frozen=True):
    """A part: the boundary before it, and its head."""

    raw: bytes
    part: Part


class Data(msgspec.Struct, frozen=True):
    """Some of what is in the part that began last."""

    raw: bytes


class End(msgspec.Struct, frozen=True):
    """The boundary behind the last part, or line ends that follow it."""

    raw: bytes


Event = Begin | Data | End


def boundary(content_type: str | None) -> bytes:
    """What divides the parts of a body of this type.

    Raises:
        UnsupportedMedia: it is no form with files.
        BadRequest: the type does not tell it, or tells it wrongly.
    """
    kind, semicolon, rest = (content_type or "").partition(";")
    if kind.strip().lower() != KIND:
        raise UnsupportedMedia(f"Send a form with a file, with Content-Type: {KIND}.")
    told = _parameters(semicolon + rest)
    found = None if told is None else told.get("boundary")
    if found is None or not BOUNDARY.fullmatch(found):
        raise BadRequest(f"The Content-Type must tell one boundary: {KIND}; boundary=...")
    return found.encode()


def content_type(boundary: bytes) -> str:
    """The type of a body whose parts this divides."""
    told = boundary.decode()
    return f"{KIND}; boundary={told}" if re.fullmatch(TOKEN, told) else f'{KIND}; boundary="{told}"'


class Reader:
    """Reads one body."""

    def __init__(self, boundary: bytes) -> None:
        self.ended = False
        """The boundary behind the last part was there."""
        self._line: Final = b"\r\n--" + boundary
        self._rest = b""
        """What came and cannot be told yet."""
        self._parts = 0
        self._behind_bytes = 0
        self._in_data = False

    def feed(self, data: bytes) -> list[Event]:
        """What is complete with `data`.

        Raises:
            BadRequest, RequestTooLarge: it is no such form; the message says what is wrong.
        """
        events: list[Event] = []
        self._rest += data
        while self._rest and self._step(events):
            pass
        return events

    def end(self) -> None:
        """That was all.

        Raises:
            BadRequest: the form is cut short.
        """
        if not self.ended:
            raise BadRequest("The form is cut short: it does not end with its boundary. Send it whole.")

    def _step(self, events: list[Event]) -> bool:
        """The next event; False when more bytes must come first."""
        if self.ended:
            return self._behind(events)
        return self._data(events) if self._in_data else self._boundary(events)

    def _data(self, events: list[Event]) -> bool:
        rest, line = self._rest, self._line
        found = rest.find(line)
        end = found if found >= 0 else _before(rest, line)
        if end:
            events.append(Data(rest[:end]))
            self._rest = rest[end:]
        self._in_data = found < 0
        return found >= 0

    def _boundary(self, events: list[Event]) -> bool:
        """A boundary's line, and what it begins: the head of a part, or the end."""
        rest = self._rest
        start = self._start()
        if start is None:
            return False
        behind = rest[start : start + 2]
        if len(behind) < 2 and (b"\r\n".startswith(behind) or b"--".startswith(behind)):
            return False
        if behind == b"--":
            self.ended = True
            events.append(End(rest[: start + 2]))
            self._rest = rest[start + 2 :]
            return True
        if behind != b"\r\n":
            raise BadRequest("The form is broken: a line begins with its boundary and goes on.")
        most = start + HEAD_BYTES_MAX + 4
        end = rest.find(b"\r\n\r\n", start, most)
        if end < 0:
            if len(rest) >= most:
                raise RequestTooLarge(f"The head of a part is larger than {HEAD_BYTES_MAX} bytes.")
            return False
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise RequestTooLarge(f"The form has more than {PARTS_MAX} parts.")
        events.append(Begin(rest[: end + 4], _part(rest[start + 2 : end])))
        self._rest = rest[end + 4 :]
        self._in_data = True
        return True

    def _start(self) -> int | None:
        """Where the line of the boundary ends that stands first; None: more must come to tell."""
        rest, line = self._rest, self._line
        leading = len(rest) - len(rest.lstrip(b"\r\n"))
        begins = rest[leading : leading + len(line) - 2]
        if leading > AROUND_BYTES_MAX or not line[2:].startswith(begins):
            raise BadRequest("The form does not begin with the boundary that its Content-Type tells.")
        return leading + len(begins) if len(begins) == len(line) - 2 else None

    def _behind(self, events: list[Event]) -> bool:
        self._behind_bytes += len(self._rest)
        if self._behind_bytes > AROUND_BYTES_MAX or not ENDS.fullmatch(self._rest):
            raise BadRequest("The form goes on behind its last boundary.")
        events.append(End(self._rest))
        self._rest = b""
        return False


def _before(data: bytes, line: bytes) -> int:
    """How much of `data` surely is before a `line` that may have begun at its end."""
    begun = data.rfind(b"\r", max(0, len(data) - len(line) + 1))
    return begun if begun >= 0 and line.startswith(data[begun:]) else len(data)


def _part(head: bytes) -> Part:
    try:
        text = head.decode()
    except UnicodeDecodeError:
        raise BadRequest("The head of a part is not valid UTF-8.") from None
    fields: dict[str, str] = {}
    for line in text.split("\r\n") if text else ():
        found = FIELD.fullmatch(line)
        if not found or found[1].lower() in fields:
            raise BadRequest(f"The head of a part has a line that is no field, or one twice: {line[:64]!r}.")
        fields[found[1].lower()] = found[2]
    disposition, semicolon, rest = fields.get("content-disposition", "").partition(";")
    told = _parameters(semicolon + rest)
    if disposition.strip().lower() != DISPOSITION or told is None or "name" not in told or "name*" in told:
        raise BadRequest('Each part needs one field Content-Disposition: form-data; name="...".')
    name = told["name"]
    if '"' in name or "\\" in name:
        raise BadRequest(f"The name of a part must have no quotes and no backslashes: {name[:64]!r}.")
    return Part(name, told.get("filename", told.get("filename*")), fields.get("content-type", ""))


def _parameters(text: str) -> dict[str, str] | None:
    """``; name=value; other="value"`` by name in small letters; None: they are not that, or one stands twice.

    A quoted value loses its quotes and keeps its backslashes.
    """
    told: dict[str, str] = {}
    at = 0
    text = text.rstrip(" \t;")
    while at < len(text):
        found = PARAMETER.match(text, at)
        if not found or found[1].lower() in told:
            return None
        value = found[2]
        told[found[1].lower()] = value[1:-1] if value.startswith('"') else value
        at = found.end()
    return told
