"""A request as it is sent: its head, and a body that comes in pieces.

    Heads          writes heads; what many have in common is written once
    send_upload    gives a connection the pieces of a body, no faster than the other side takes them

Of a body nothing is kept once it was handed over, and nothing is sent twice. One that ends before its time
(its source fails, the task is cancelled, the other side does not take it) ends with its connection: nobody
could take the part for the whole.
"""

import asyncio
import re
from typing import Protocol

from deeptoken.answer import Response, Stalled
from deeptoken.wire.http import HttpRequest, Unsendable, Upload

SLICE_BYTES = 256 * 1024
"""A larger piece of a body is handed over in slices, so that one answered early is not sent to its end."""
CACHED_MAX = 1024
"""How many sets of headers are remembered in the form in which they are sent."""
LAST_CHUNK = b"0\r\n\r\n"

_METHOD = re.compile(r"[A-Z]+")
_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OURS = frozenset({"connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"})
_BODILESS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS"})


class Heads:
    """Writes the heads of requests."""

    def __init__(self) -> None:
        self.known: dict[tuple[tuple[str, str], ...], tuple[str, bool]] = {}

    def write(self, request: HttpRequest, line: str, host: str) -> bytes:
        """The head of `request`; `line` is its first line after the method, `host` the field of that name.

        Raises:
            Unsendable: it cannot be sent as it stands.
        """
        fields, names_host = self.known.get(request.headers) or self._learn(request.headers)
        method = request.method
        if method != "POST" and not _METHOD.fullmatch(method):
            raise Unsendable("A method is one word in capitals.")
        return f"{method}{line}{'' if names_host else host}{fields}{_length(request)}\r\n".encode("latin-1")

    def _learn(self, headers: tuple[tuple[str, str], ...]) -> tuple[str, bool]:
        if len(self.known) >= CACHED_MAX:
            self.known.clear()
        written = self.known[headers] = _write_fields(headers)
        return written


def _length(request: HttpRequest) -> str:
    if request.upload is not None:
        size = request.upload.size
        return "transfer-encoding: chunked\r\n" if size is None else f"content-length: {size}\r\n"
    if not request.body and request.method in _BODILESS:
        return ""
    return f"content-length: {len(request.body)}\r\n"


def _write_fields(headers: tuple[tuple[str, str], ...]) -> tuple[str, bool]:
    """The headers of a request as they are sent, and whether ``host`` is among them.

    Raises:
        Unsendable: one cannot be sent as it stands, or is not the caller's to send.
    """
    for name, value in headers:
        if not _NAME.fullmatch(name) or name in _OURS:
            raise Unsendable(f"The header {name!r} cannot be sent: it is no lower-case name, or ours to set.")
        if _CONTROL.search(value):
            raise Unsendable(f"The value of the header {name!r} has control characters.")
    names = {name for name, _ in headers}
    text = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if "accept-encoding" not in names:
        text += "accept-encoding: gzip, deflate\r\n"
    try:
        text.encode("latin-1")
    except UnicodeError as error:
        raise Unsendable("The value of a header is beyond Latin-1.") from error
    return text, "host" in names


class Link(Protocol):
    """What sending needs of a connection."""

    sending: bool
    """The body of its request is not through yet."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def full(self) -> bool: ...
    def write(self, data: bytes | memoryview) -> None: ...
    async def room(self) -> None:
        """Wait until it is not full."""


async def send_upload(upload: Upload, link: Link, response: Response, stall_s: float) -> None:
    """Give `link` all of `upload`, or as much as is wanted: until an answer that does not wait for the rest.

    Bytes that are not taken in `stall_s` are an error of `response`. How long a piece may take to come is a
    matter of its source.

    Raises:
        Whatever the source raises.
        RuntimeError: it gave more or less than it had told.
    """
    link.sending = True
    sending = _Sending(upload, link, response, stall_s)
    try:
        await sending.run()
    except BaseException:
        response.close()
        raise
    finally:
        sending.over = True


class _Sending:
    """Writes pieces: as they are where the size is told, else in chunks. An answer interrupts it anywhere."""

    def __init__(self, upload: Upload, link: Link, response: Response, stall_s: float) -> None:
        self.over = False
        self._upload = upload
        self._size = upload.size
        self._sent = 0
        self._link = link
        self._response = response
        self._stall_s = stall_s
        self._limit = asyncio.timeout(None)

    async def run(self) -> None:
        response = self._response
        response.tell(self._changed)
        try:
            async with self._limit:
                while not response.decided and (piece := await self._upload.read()):
                    await self._send(piece)
                if not response.decided:
                    self._end()
        except TimeoutError:
            if not self._limit.expired():
                raise
            if not response.decided:
                response.fail(Stalled("The body of the request was not taken in time."))

    def _changed(self) -> None:
        if self.over:
            return
        if self._response.decided:
            self._limit.reschedule(self._link.loop.time())
        else:
            self._response.tell(self._changed)

    async def _send(self, piece: bytes) -> None:
        self._sent += len(piece)
        if self._size is not None and self._sent > self._size:
            raise RuntimeError("The body of a request is longer than was told.")
        link = self._link
        rest = memoryview(piece)
        while rest and not self._response.decided:
            part, rest = rest[:SLICE_BYTES], rest[SLICE_BYTES:]
            link.write(part if self._size is not None else b"%x\r\n%b\r\n" % (len(part), bytes(part)))
            if link.full:
                self._limit.reschedule(link.loop.time() + self._stall_s)
                await link.room()
                self._limit.reschedule(None)

    def _end(self) -> None:
        if self._size is None:
            self._link.write(LAST_CHUNK)
        elif self._sent < self._size:
            raise RuntimeError("The body of a request is shorter than was told.")
        self._link.sending = False
