"""AWS's binary event stream (application/vnd.amazon.eventstream): bytes in, frames out, and back.

    total length, headers length, CRC-32 of these two    4 bytes each, big endian
    headers                                              name, type, value, one after the other
    payload
    CRC-32 of all that stands before it                  4 bytes

Source: docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html, read 2026-11-25.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping

import msgspec

FRAME_BYTES_MAX = 8 * 1024 * 1024
PRELUDE = struct.Struct(">III")
CHECKSUM = struct.Struct(">I")
FRAME_BYTES_MIN = PRELUDE.size + CHECKSUM.size

Value = bool | int | bytes | str

BOOLEANS = {0: True, 1: False}
NUMBERS = {2: 1, 3: 2, 4: 4, 5: 8, 8: 8}
"""A type of header that is a signed number, and its bytes. The last one is milliseconds since 1970."""
BYTES, TEXT, UUID = 6, 7, 9
UUID_BYTES = 16


class Frame(msgspec.Struct, gc=False):
    headers: dict[str, Value]
    payload: bytes

    def text(self, name: str) -> str:
        """A header that is text; empty where it is missing or something else."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


class BrokenFrame(ValueError):
    """These bytes are no frame, or not as they were sent. The message says why."""


class Reader:
    """Reads frames however the bytes are cut. What came before a broken frame is read."""

    __slots__ = ("_kept", "_wanted")

    def __init__(self) -> None:
        self._kept = bytearray()
        self._wanted = PRELUDE.size
        """How many bytes there must be before anything more is known."""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with `data`.

        Raises:
            BrokenFrame: a checksum does not agree, a length cannot be, or a frame is larger than the limit.
        """
        self._kept += data
        while len(self._kept) >= self._wanted:
            total = _total(self._kept)
            if len(self._kept) < total:
                self._wanted = total
                return
            frame = bytes(self._kept[:total])
            del self._kept[:total]
            self._wanted = PRELUDE.size
            yield _frame(frame)

    def end(self) -> None:
        """Raises:
        BrokenFrame: the bytes ended inside a frame.
        """
        if self._kept:
            raise BrokenFrame("the stream ended inside a frame")


def written(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One frame, whose headers are text."""
    told = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    lengths = struct.pack(">II", FRAME_BYTES_MIN + len(told) + len(payload), len(told))
    begun = lengths + CHECKSUM.pack(zlib.crc32(lengths)) + told + payload
    return begun + CHECKSUM.pack(zlib.crc32(begun))


def _header(name: bytes, value: bytes) -> bytes:
    return bytes((len(name),)) + name + struct.pack(">BH", TEXT, len(value)) + value


def _total(kept: bytearray) -> int:
    """The length of the frame that begins here, once its prelude agrees with its checksum."""
    total, headers, checksum = PRELUDE.unpack_from(kept)
    if zlib.crc32(kept[: PRELUDE.size - CHECKSUM.size]) != checksum:
        raise BrokenFrame("what should begin a frame does not agree with its checksum")
    if total > FRAME_BYTES_MAX:
        raise BrokenFrame(f"a frame is larger than {FRAME_BYTES_MAX} bytes")
    if total < FRAME_BYTES_MIN + headers:
        raise BrokenFrame("a frame is shorter than its own headers")
    return int(total)


def _frame(data: bytes) -> Frame:
    (checksum,) = CHECKSUM.unpack_from(data, len(data) - CHECKSUM.size)
    if zlib.crc32(data[: -CHECKSUM.size]) != checksum:
        raise BrokenFrame("a frame does not agree with its checksum")
    ends = PRELUDE.size + PRELUDE.unpack_from(data)[1]
    return Frame(_headers(data[PRELUDE.size : ends]), data[ends : -CHECKSUM.size])


def _headers(data: bytes) -> dict[str, Value]:
    headers: dict[str, Value] = {}
    rest = _Rest(data)
    while rest.left:
        name = _decoded(rest.take(rest.number(1)))
        headers[name] = _value(rest.number(1), rest)
    return headers


def _value(kind: int, rest: "_Rest") -> Value:
    if kind in BOOLEANS:
        return BOOLEANS[kind]
    if kind in NUMBERS:
        return int.from_bytes(rest.take(NUMBERS[kind]), "big", signed=True)
    if kind == UUID:
        return rest.take(UUID_BYTES)
    if kind not in (BYTES, TEXT):
        raise BrokenFrame(f"a header is of type {kind}, which is not known")
    value = rest.take(rest.number(2))
    return _decoded(value) if kind == TEXT else value


class _Rest:
    """Bytes that are taken from the front."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise BrokenFrame("a header is longer than the headers are")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BrokenFrame("a header is no UTF-8") from None
