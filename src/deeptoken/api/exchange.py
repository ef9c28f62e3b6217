"""One HTTP exchange on a hot route: its headers read once, its body read within limits, its answer written.

To its connection it is what uvicorn calls a cycle: it says whether an answer has begun and ended
(`response_started`, `response_complete`), and is told that something has come (`message_event.set()`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote

import msgspec

from deeptoken import clock, ids
from deeptoken.api import errors as envelope
from deeptoken.api.body import Body
from deeptoken.api.delivery import Events, Whole
from deeptoken.api.errors import Headers
from deeptoken.errors import DeeptokenError, RequestTimeout, RequestTooLarge, UnsupportedMedia
from deeptoken.gateway.inbound import Inbound
from deeptoken.gateway.serve import Flow
from deeptoken.outbox import Outbox
from deeptoken.settings import Server
from deeptoken.wire.chat import Chat

REQUEST_ID_MAX = 128
LINGER_S = 2.0
"""How long the rest of an unwanted body is read and thrown away."""
LAST_CHUNK = b"0\r\n\r\n"
CLOSING = b"connection: close\r\n\r\n"
BODILESS = (204, 304)
UNREAD = (RequestTimeout, RequestTooLarge, UnsupportedMedia)
"""What is said of a body that is not read to its end."""
EXPOSED = (
    b"x-deeptoken-id, x-request-id, x-deeptoken-channel, x-deeptoken-attempts, x-deeptoken-cost, "
    b"x-deeptoken-max-tokens, x-deeptoken-replay, x-gateway-error-category, x-should-retry, retry-after, "
    b"openai-processing-ms, request-id, x-deeptoken-upstream-id, x-deeptoken-schema-lost, "
    b"x-deeptoken-warning, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
    b"x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, "
    b"x-ratelimit-reset-tokens"
)
ANY_ORIGIN = (b"access-control-allow-origin", b"*")
EXPOSING = (b"access-control-expose-headers", EXPOSED)
CROSS_ORIGIN = (ANY_ORIGIN, EXPOSING)
"""What a browser wants of every answer."""
PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"*, authorization"),
    (b"access-control-max-age", b"86400"),
]

Read = TypeVar("Read")


class Shared(Protocol):
    """What uvicorn's server knows."""

    default_headers: list[tuple[bytes, bytes]]


class Carrier(Protocol):
    """The connection that an exchange is on."""

    left: bool
    refusal: DeeptokenError | None
    client: tuple[str, int] | None
    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    settings: Server
    outbox: Outbox

    @property
    def flow(self) -> Flow: ...
    @property
    def server_state(self) -> Shared: ...
    def read_on(self) -> None: ...
    def on_response_complete(self) -> None: ...


class Form(msgspec.Struct, frozen=True):
    """How a call is answered: the words of its dialect."""

    whole: Callable[["Exchange", Chat], Whole]
    events: Callable[["Exchange", Chat, float, asyncio.AbstractEventLoop], Events | Whole]
    error_body: Callable[[DeeptokenError, str], bytes]
    request_id: bytes | None = None
    """The header in which its clients look for the id of a request, where it is not `x-request-id`."""


OPENAI = Form(whole=Whole, events=Events, error_body=lambda error, _: envelope.body(error))


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "_carrier",
        "_chunked",
        "_waiting",
        "body",
        "call",
        "disconnected",
        "ended",
        "form",
        "headers",
        "keep_alive",
        "method",
        "outlet",
        "path",
        "query",
        "response_complete",
        "response_started",
        "serving",
    )

    def __init__(
        self,
        carrier: Carrier,
        *,
        method: str,
        url: bytes,
        headers: dict[bytes, bytes],
        keep_alive: bool,
        chunked: bool,
        expected: bool,
    ) -> None:
        self.serving: asyncio.Task[Any] | None = None
        """The task that answers it, once it has begun."""
        self.response_started = False
        """The head of the answer has left, or leaves at the end of this turn."""
        self.ended = False
        """The same of all of it."""
        self.response_complete = False
        """All of it has left."""
        self.disconnected = False
        """Its answer is not wanted any more: the client has left, or the connection gave another one."""
        self.keep_alive = keep_alive
        self.form = OPENAI
        """The dialect in which it is answered."""
        self.outlet: Events | Whole | None = None
        """Where the answer goes, once there is one."""
        self.method = method
        self.headers = headers
        raw, _, query = url.partition(b"?")
        path = raw.decode("latin-1")
        self.path = unquote(path) if "%" in path else path
        self.query = query.partition(b"#")[0].decode("latin-1")
        self._carrier = carrier
        self._chunked = chunked
        """An answer of unknown length comes in chunks; to HTTP/1.0 it ends with the connection."""
        self._waiting = b""
        """What leaves at the end of this turn."""
        self.body = Body(carrier, headers, carrier.settings.body_bytes_max, expected=expected)
        id, client = ids.uuid7(), carrier.client
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        self.call = Inbound(
            id=id,
            request_id=label(headers.get(b"x-request-id")) or id,
            endpoint=self.path,
            secret=authorization[7:].strip() if authorization[:7].lower() == "bearer " else None,
            address=client[0] if client else None,
            began=clock.monotonic(),
        )

    @property
    def refusal(self) -> DeeptokenError | None:
        """Why its connection stopped it, where it was not the client who left."""
        return self._carrier.refusal

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def read_options(self) -> None:
        """The headers that only a call has."""
        call, headers = self.call, self.headers
        if b"x-deeptoken-org" in headers:
            call.organization = self.header(b"x-deeptoken-org")
        if b"idempotency-key" in headers:
            call.idempotency_key = self.header(b"idempotency-key")
        if b"x-deeptoken-timeout" in headers:
            call.timeout = self.header(b"x-deeptoken-timeout")

    def outlet_for(self, chat: Chat) -> Events | Whole:
        form = self.form
        if chat.stream:
            self.outlet = form.events(
                self, chat, self._carrier.settings.heartbeat_seconds, self._carrier.loop
            )
        else:
            self.outlet = form.whole(self, chat)
        return self.outlet

    def let_go(self) -> None:
        """It is over. No circle is left: what it took is free at once, and not when it is collected."""
        if self.outlet is not None:
            self.outlet.close()
            self.outlet = None
        self.serving = None

    def left(self) -> bool:
        """Whether the client has gone away, as far as the server tells."""
        return self._carrier.left

    # Its body.

    @property
    def message_event(self) -> "Exchange":
        """See the module's words: what is told by `set` is told to the exchange itself."""
        return self

    def set(self) -> None:
        self.body.wake()

    def feed(self, data: bytes) -> int:
        """A part of the body came. Returns how many bytes nobody has asked for yet."""
        if self.response_started:
            # It was answered without.
            self.set()
            return 0
        return self.body.feed(data)

    def read_body(self) -> Awaitable[bytes]:
        """All of it, JSON by its type; see `Body.whole`, and `in_time`."""
        body = self.body
        return body.whole() if body.complete else self.in_time(body.whole)

    async def in_time(self, reading: Callable[[], Awaitable[Read]]) -> Read:
        """What `reading` makes of the body.

        Raises:
            RequestTimeout: it is not there when the call has to be over.
            BadRequest: nobody can say when that is.
        """
        left_s = self.call.deadline(self._carrier.settings.request_seconds) - clock.monotonic()
        try:
            async with asyncio.timeout(left_s):
                return await reading()
        except TimeoutError:
            raise RequestTimeout("The body did not arrive in time. Send it faster.") from None

    # Its answer.

    @property
    def flow(self) -> Flow:
        return self._carrier.flow

    def common_lines(self) -> bytes:
        """The headers that every answer has, as they are sent."""
        call = self.call
        label = call.request_id.encode()
        common = b"x-deeptoken-id: %b\r\nx-request-id: %b\r\n" % (call.id.encode(), label)
        if self.form.request_id is not None:
            common += b"%b: %b\r\n" % (self.form.request_id, label)
        if b"origin" in self.headers:
            common += envelope.lines(CROSS_ORIGIN)
        return common

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        """A whole answer in one write."""
        length = b"" if status in BODILESS else b"content-length: %d\r\n" % len(body)
        head = self._head(status, headers, length)
        self._send(head if self.method == "HEAD" else head + body, last=True)

    def begin(self, status: int, headers: bytes, data: bytes) -> None:
        """The head of an answer of unknown length, with its first bytes."""
        head = self._head(status, headers, b"transfer-encoding: chunked\r\n" if self._chunked else b"")
        self._send(head + self._chunk(data))

    def write(self, data: bytes) -> None:
        """More of it. What an event of a stream passes through is one function, not three."""
        first = not self._waiting
        self._waiting += b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data
        if first:
            carrier = self._carrier
            carrier.outbox.put(self, carrier.loop)

    def write_last(self, data: bytes) -> None:
        """The last bytes, and the end."""
        last = LAST_CHUNK if self._chunked else b""
        self._send(self._chunk(data) + last if data else last, last=True)

    def break_off(self) -> None:
        """No more comes, and what came is not all of it: the connection ends without the body's own end."""
        self.keep_alive = False
        self.end()

    def _chunk(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data

    def end(self) -> None:
        """No more comes: what there is leaves now."""
        self.ended = True
        self.depart()

    def _send(self, data: bytes, *, last: bool = False) -> None:
        self.ended = last
        first = not self._waiting
        self._waiting += data
        if first:
            self._carrier.outbox.put(self, self._carrier.loop)

    def depart(self) -> None:
        """See `Outbox`. Nothing is written to a client who has left, nor behind the connection's own answer.
        When all has been written, the connection goes on with the next request, or closes."""
        carrier = self._carrier
        data, self._waiting = self._waiting, b""
        if data and not carrier.left and not self.disconnected:
            carrier.transport.write(data)
        if self.ended and not self.response_complete:
            self.response_complete = True
            if self.disconnected:
                return
            if not self.keep_alive:
                carrier.transport.close()
            carrier.on_response_complete()

    def _head(self, status: int, headers: bytes, framing: bytes) -> bytes:
        self.response_started = True
        usual = envelope.lines(self._carrier.server_state.default_headers)
        end = b"\r\n" if self.keep_alive else CLOSING
        return b"%b%b%b%b%b" % (status_line(status), usual, headers, framing, end)

    def answer(self, status: int, body: bytes, headers: Headers) -> None:
        """A whole answer at once."""
        self.respond(status, self.common_lines() + envelope.lines(headers), body)

    async def fail(self, error: DeeptokenError) -> None:
        """An error instead of an answer; once it has begun, its last event. Nothing if nobody is there, or
        the connection has said it."""
        if self.left() or self.disconnected:
            return
        if self.response_started:
            if self.outlet is not None and not self.ended:
                self.outlet.fail(error)
            return
        body, headers = self.form.error_body(error, self.call.request_id), envelope.headers(error)
        if not isinstance(error, UNREAD):
            self.answer(error.status, body, headers)
            return
        # The rest of the body is not wanted and the connection ends. A client that still sends must be able
        # to read why: closed now, its bytes on the way would reset the connection and take the answer along.
        self.keep_alive = False
        length = b"content-length: %d\r\n" % len(body)
        head = self._head(error.status, self.common_lines() + envelope.lines(headers), length)
        self._send(head + body)
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await self.body.thrown()
        self.end()


def last_answer(error: DeeptokenError, *, cross_origin: bool) -> bytes:
    """To what could not be read as a request; the connection ends behind it."""
    body, id = envelope.body(error), ids.uuid7().encode()
    headers = [*envelope.headers(error), (b"x-deeptoken-id", id), (b"x-request-id", id)]
    headers += [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
    if cross_origin:
        headers += CROSS_ORIGIN
    return status_line(error.status) + envelope.lines(headers) + b"\r\n" + body


@lru_cache(maxsize=64)
def status_line(status: int) -> bytes:
    """``HTTP/1.1 200 OK``, with its line end."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


def label(value: bytes | None) -> str | None:
    """The caller's own label, if it is one."""
    if value is None or not 1 <= len(value) <= REQUEST_ID_MAX:
        return None
    text = value.decode("latin-1")
    return text if text.isascii() and text.isprintable() and " " not in text else None
