"""Forms as clients write them, and bytes cut into pieces."""

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
