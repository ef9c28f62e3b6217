"""Frames of AWS's event stream, written."""

import json
import struct
import zlib
from typing import Any

Written = bool | int | bytes | str | tuple[int, bytes]
"""A header's value; a number is written in 4 bytes, and of a pair the first is its type."""


def frame(headers: dict[str, Written], payload: bytes = b"") -> bytes:
    return sealed(b"".join(header(name, value) for name, value in headers.items()), payload)


def sealed(headers: bytes, payload: bytes = b"") -> bytes:
    """Headers as they are, with lengths and checksums that agree."""
    lengths = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    begun = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + payload
    return begun + struct.pack(">I", zlib.crc32(begun))


def header(name: str, value: Written) -> bytes:
    match value:
        case bool():
            kind, data = (0 if value else 1), b""
        case int():
            kind, data = 4, struct.pack(">i", value)
        case bytes():
            kind, data = 6, struct.pack(">H", len(value)) + value
        case str():
            kind, data = 7, struct.pack(">H", len(value.encode())) + value.encode()
        case (kind, data):
            pass
    return bytes([len(name.encode())]) + name.encode() + bytes([kind]) + data


def event(kind: str, **payload: Any) -> bytes:
    """An event as a service of AWS sends one."""
    headers: dict[str, Written] = {
        ":event-type": kind,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return frame(headers, json.dumps(payload).encode())


def exception(kind: str, **payload: Any) -> bytes:
    headers: dict[str, Written] = {":exception-type": kind, ":message-type": "exception"}
    return frame(headers, json.dumps(payload).encode())


def error(code: str, message: str) -> bytes:
    return frame({":message-type": "error", ":error-code": code, ":error-message": message})
