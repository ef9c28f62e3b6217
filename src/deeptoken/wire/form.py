"""A form with a file on its way through: what it asks for, and its bytes as they go on. Pure.

    feed    bytes in; `values` is what they say, as far as it has come
    known   enough has come to decide where it goes: the fields before the file, and the file's beginning
    take    the bytes that go on: the same parts in the same order, byte for byte, but for

            model       is the name that the upstream has for it
            ours        are left out: what is for the gateway alone (`wire/chat.py`)
            line ends   before the first boundary are left out

Where the model stands before the file, the form can go on as it comes, and no part may follow that would
have changed where it goes. In another order all of it must come first.
"""

from collections import deque
from hashlib import sha256

from deeptoken.errors import BadRequest, RequestTooLarge
from deeptoken.wire.chat import OURS
from deeptoken.wire.multipart import Begin, Data, End, Part, Reader

FILE, MODEL = "file", "model"
READ = (MODEL, "stream", "response_format", *OURS)
"""Fields whose values are understood."""
VALUE_BYTES_MAX = 64 * 1024
"""Of a field that is read."""
FIELD_BYTES_MAX = 1024 * 1024
"""Of any other. A sample of a speaker's voice is one: ten seconds of it, as a data URL."""
FILE_HEAD_BYTES = 4 * 1024
"""How much of the file's beginning is kept, to tell what it is."""
PIECE_BYTES = 64 * 1024
"""Smaller ones go on together."""


class Form:
    """One form."""

    def __init__(self, boundary: bytes) -> None:
        self.values: dict[str, str] = {}
        """By name; a field that stands twice counts the second time. Of a form that goes on as it comes those
        before the file: what stands behind it comes too late to change what becomes of it."""
        self.file: Part | None = None
        self.file_bytes = 0
        """How much of the file has come."""
        self.file_head = b""
        self._boundary = boundary
        self._reader = Reader(boundary)
        self._part: Part | None = None
        """The one that comes now."""
        self._size = 0
        """How much of it has come."""
        self._value: list[bytes] = []
        """Of a field that is read, as far as it has come."""
        self._file_whole = False
        self._flows = False
        """It goes on as it comes: the model stood before the file."""
        self._out: deque[bytes | None] = deque()
        """What can go on. None: the model."""
        self._passed = False
        """A part is among what goes on."""
        self._less = 0
        """Bytes that are left out or replaced."""
        self._model_leads = False
        self._said = sha256()

    @property
    def ended(self) -> bool:
        return self._reader.ended

    @property
    def known(self) -> bool:
        if not self._flows:
            return self.ended
        return self._file_whole or len(self.file_head) >= FILE_HEAD_BYTES

    @property
    def digest(self) -> bytes:
        """Stands for the form once it is known, however its bytes came: for the file's beginning and the
        fields, those before the file where it goes on as it comes."""
        said = self._said.copy()
        said.update(self.file_head)
        return said.digest()

    def feed(self, data: bytes) -> None:
        """The next bytes of the body.

        Raises:
            BadRequest, RequestTooLarge: it is no such form, or one that cannot go on.
        """
        for event in self._reader.feed(data):
            match event:
                case Begin():
                    self._complete()
                    self._begin(event)
                case Data():
                    self._add(event.raw)
                case End():
                    self._complete()
                    self._out.append(event.raw)

    def end(self) -> None:
        """That was all of the body.

        Raises:
            BadRequest: the form is cut short.
        """
        self._reader.end()

    def take(self, model: str) -> bytes:
        """The next bytes that go on, the model by this name; empty: nothing more has come."""
        pieces, size = [], 0
        while self._out and size < PIECE_BYTES:
            piece = self._out.popleft()
            pieces.append(self._model(model) if piece is None else piece)
            size += len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def size(self, told: int, model: str) -> int:
        """How large what goes on is, of a body of `told` bytes."""
        return told - self._less + len(self._model(model))

    def _begin(self, event: Begin) -> None:
        part = self._part = event.part
        self._size = 0
        if not self._flows:
            self._said.update(repr(part).encode())
        if part.name == MODEL or part.name in OURS:
            self._only_once(part)
            self._less += len(event.raw)
            if part.name == MODEL:
                self._model_leads = not self._passed
                self._passed = True
                self._out.append(None)
            return
        if part.name == FILE and self.file is None:
            self.file = part
            self._flows = MODEL in self.values
        raw = event.raw
        if not self._passed:
            self._passed = True
            raw = raw.lstrip(b"\r\n")
            self._less += len(event.raw) - len(raw)
        self._out.append(raw)

    def _only_once(self, part: Part) -> None:
        if part.filename is not None:
            raise BadRequest(f"{part.name}: expected a field, not a file.", param=part.name)
        if part.name in self.values:
            raise BadRequest(f"{part.name}: stands twice.", param=part.name)
        if self._flows:
            raise BadRequest(f"{part.name}: must stand before the file.", param=part.name)

    def _add(self, data: bytes) -> None:
        part = self._part
        assert part is not None
        self._size += len(data)
        if part.filename is None and part is not self.file and not self._flows:
            self._said.update(data)
        if part is self.file:
            self.file_bytes += len(data)
            if len(self.file_head) < FILE_HEAD_BYTES:
                self.file_head = (self.file_head + data)[:FILE_HEAD_BYTES]
        elif part.filename is None:
            most = VALUE_BYTES_MAX if part.name in READ else FIELD_BYTES_MAX
            if self._size > most:
                raise RequestTooLarge(f"The field {part.name[:64]!r} is larger than {most} bytes.")
            if part.name in READ and not self._flows:
                self._value.append(data)
        if part.name == MODEL or part.name in OURS:
            self._less += len(data)
        else:
            self._out.append(data)

    def _complete(self) -> None:
        """The part that came is complete."""
        part, self._part = self._part, None
        if part is None:
            return
        if part is self.file:
            self._file_whole = True
        elif part.filename is None and part.name in READ and not self._flows:
            value, self._value = b"".join(self._value), []
            try:
                self.values[part.name] = value.decode()
            except UnicodeDecodeError:
                raise BadRequest(f"{part.name}: expected text in UTF-8.", param=part.name) from None

    def _model(self, name: str) -> bytes:
        line = (b"--" if self._model_leads else b"\r\n--") + self._boundary
        return b'%b\r\nContent-Disposition: form-data; name="model"\r\n\r\n%b' % (line, name.encode())
