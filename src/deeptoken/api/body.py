"""The body of a request as it comes: whole, or a part at a time, within limits.

whole     all of it, once it is there: JSON, by its type
part      what has come since the last one; its sender waits while nobody asks
thrown    the rest, which nobody wants
"""

import asyncio
from typing import Protocol

from deeptoken.errors import RequestTooLarge, UnsupportedMedia

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Sender(Protocol):
    """The connection that a body comes on."""

    left: bool
    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop

    def read_on(self) -> None:
        """More of the body is wanted."""


class Body:
    """The body of one request."""

    __slots__ = (
        "_expected",
        "_headers",
        "_most",
        "_parts",
        "_sender",
        "_size",
        "_unread",
        "_waiter",
        "_wanted",
        "complete",
    )

    def __init__(self, sender: Sender, headers: dict[bytes, bytes], most: int, *, expected: bool) -> None:
        """At most `most` bytes. `expected`: its sender waits to be told to go on."""
        self.complete = False
        """All of it has come."""
        self._sender = sender
        self._headers = headers
        self._most = most
        self._expected = expected
        self._parts: list[bytes] = []
        self._size = 0
        self._unread = 0
        self._wanted = False
        self._waiter: asyncio.Future[None] | None = None

    # Its sender.

    def feed(self, data: bytes) -> int:
        """A part of it came. Returns how many bytes nobody has asked for yet."""
        self._size += len(data)
        if self._size <= self._most:
            self._parts.append(data)
            self._unread += len(data)
        if self._waiter is not None:
            self.wake()
        return 0 if self._wanted else self._unread

    def fed(self) -> None:
        """That was all of it."""
        self.complete = True
        if self._waiter is not None:
            self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # Its reader.

    @property
    def told(self) -> int | None:
        """Its size, as its headers tell it; None: they do not."""
        told = self._headers.get(b"content-length")
        return None if told is None else int(told)

    async def whole(self) -> bytes:
        """All of it, JSON by its type.

        Raises:
            UnsupportedMedia, RequestTooLarge: told by its headers, before a byte of it is read.
        """
        kind = self._headers.get(b"content-type")
        if kind is not None and kind != b"application/json" and not _is_json(kind):
            raise UnsupportedMedia("Send JSON, with Content-Type: application/json.")
        self._plain()
        if not self.complete:
            self._wanted = True
            while not self.complete and self._size <= self._most:
                await self._next()
        return self._taken()

    async def part(self) -> bytes:
        """What has come since the last one; empty at the end.

        Raises:
            UnsupportedMedia, RequestTooLarge: as soon as it shows.
        """
        self._plain()
        while not self._parts and not self.complete and self._size <= self._most:
            await self._next()
        return self._taken()

    async def thrown(self) -> None:
        """Wait until all of it has come, and keep nothing."""
        self._parts.clear()
        while not self.complete:
            await self._next()

    def _plain(self) -> None:
        coding = self._headers.get(b"content-encoding")
        if coding is not None and coding.lower() != b"identity":
            raise UnsupportedMedia("Send the body as it is: compressed bodies are not accepted.")
        told = self._headers.get(b"content-length")
        if told is not None and int(told) > self._most:
            raise self._too_large()

    def _taken(self) -> bytes:
        if self._size > self._most:
            raise self._too_large()
        parts, self._parts = self._parts, []
        self._unread = 0
        if self.complete:
            # Nothing more of it comes; that its sender leaves must be seen all the same.
            self._sender.read_on()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _next(self) -> None:
        """Wait until more has come."""
        if self._sender.left:
            raise asyncio.CancelledError
        if self._expected:
            self._expected = False
            self._sender.transport.write(CONTINUE)
        self._sender.read_on()
        self._waiter = self._sender.loop.create_future()
        await self._waiter

    def _too_large(self) -> RequestTooLarge:
        return RequestTooLarge(
            f"The body is larger than {self._most} bytes. Shorten the prompt or its attachments."
        )


def _is_json(kind: bytes) -> bool:
    media = kind.partition(b";")[0].strip().lower()
    return media == b"application/json" or (media.startswith(b"application/") and media.endswith(b"+json"))
