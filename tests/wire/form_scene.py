"""Forms as clients write them, the heads of audio files, and bytes cut into pieces."""

import struct
from collections.abc import Iterator

BOUNDARY = b"3f9c0a"


def part(name: str, value: bytes | str, *, filename: str | None = None, kind: str = "") -> bytes:
    """A part without the boundary before it."""
    told = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        told += f'; filename="{filename}"'
    if kind:
        told += f"\r\nContent-Type: {kind}"
    data = value.encode() if isinstance(value, str) else value
    return told.encode() + b"\r\n\r\n" + data


def form(*parts: bytes, boundary: bytes = BOUNDARY) -> bytes:
    """A body of these parts."""
    return b"".join(b"--%b\r\n%b\r\n" % (boundary, one) for one in parts) + b"--%b--\r\n" % boundary


def audio(data: bytes = b"RIFF....", *, filename: str = "a.wav") -> bytes:
    return part("file", data, filename=filename, kind="audio/wav")


def cut(body: bytes, size: int) -> Iterator[bytes]:
    """The body in pieces of `size`."""
    for at in range(0, len(body), size):
        yield body[at : at + size]


def wav(
    *,
    form: int = 1,
    channels: int = 1,
    samples: int = 16_000,
    bits: int = 16,
    before: bytes = b"",
    inner: int | None = None,
    riff: bytes = b"RIFF",
) -> bytes:
    """The head of a WAV file; `before` are chunks before its format, `inner` the format inside of another."""
    size = channels * bits // 8
    told = struct.pack("<HHIIHH", form, channels, samples, samples * size, size, bits)
    if inner is not None:
        told += struct.pack("<HHIH14s", 22, bits, 0, inner, b"\0" * 14)
    chunk = b"fmt " + struct.pack("<I", len(told)) + told
    return riff + struct.pack("<I4s", 0xFFFFFFFF, b"WAVE") + before + chunk + b"data\xff\xff\xff\xff"


def flac(rate: int, samples: int) -> bytes:
    told = (rate << 44 | 1 << 41 | 15 << 36 | samples).to_bytes(8, "big")
    return b"fLaC\x80\x00\x00\x22" + bytes(10) + told + bytes(16)
