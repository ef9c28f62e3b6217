"""One HTTP exchange on a hot route: its headers read once, its body read within limits.

Plain ASGI: no framework stands between the socket and the path of a call.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from deeptoken import clock, ids
from deeptoken.api import errors as envelope
from deeptoken.api.delivery import Events, Whole
from deeptoken.api.errors import Headers
from deeptoken.errors import DeeptokenError, RequestTooLarge, UnsupportedMedia
from deeptoken.gateway.inbound import Inbound
from deeptoken.settings import Server
from deeptoken.wire.chat import Chat

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

REQUEST_ID_MAX = 128
LINGER_S = 2.0
"""How long the rest of an unwanted body is read and thrown away."""
EXPOSED = (
    b"x-deeptoken-id, x-request-id, x-deeptoken-channel, x-deeptoken-attempts, x-deeptoken-cost, "
    b"x-deeptoken-max-tokens, x-deeptoken-replay, x-gateway-error-category, x-should-retry, retry-after, "
    b"openai-processing-ms"
)
ANY_ORIGIN = (b"access-control-allow-origin", b"*")
EXPOSING = (b"access-control-expose-headers", EXPOSED)
PREFLIGHT = [
    ANY_ORIGIN,
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"*, authorization"),
    (b"access-control-max-age", b"86400"),
]


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "_draining",
        "_receive",
        "_send",
        "_server",
        "call",
        "ended",
        "headers",
        "outlet",
        "scope",
        "started",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, server: Server, draining: bool) -> None:
        self.scope = scope
        self.started = False
        """The head of the answer has left."""
        self.ended = False
        """So has all of it."""
        self.outlet: Events | Whole | None = None
        """Where the answer goes, once there is one."""
        self._send = send
        self._receive = receive
        self._server = server
        self._draining = draining
        headers: dict[bytes, bytes] = dict(scope["headers"])
        self.headers = headers
        id = ids.uuid7()
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        self.call = Inbound(
            id=id,
            request_id=label(headers.get(b"x-request-id")) or id,
            endpoint=scope["path"],
            secret=authorization[7:].strip() if authorization[:7].lower() == "bearer " else None,
            address=None,
            began=clock.monotonic(),
        )

    @property
    def peer(self) -> str | None:
        client = self.scope.get("client")
        return client[0] if client else None

    async def send(self, message: dict[str, Any]) -> None:
        self.started = True
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.ended = True
        await self._send(message)

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def read_options(self) -> None:
        """The headers that only a call has."""
        call = self.call
        call.organization = self.header(b"x-deeptoken-org")
        call.idempotency_key = self.header(b"idempotency-key")
        call.timeout = self.header(b"x-deeptoken-timeout")

    def outlet_for(self, chat: Chat) -> Events | Whole:
        self.outlet = Events(self, chat, self._server.heartbeat_seconds) if chat.stream else Whole(self, chat)
        return self.outlet

    def let_go(self) -> None:
        """It is over. No circle is left: what it took is free at once, and not when it is collected."""
        if self.outlet is not None:
            self.outlet.close()
            self.outlet = None

    def left(self) -> bool:
        """Whether the client has gone away, as far as the server tells."""
        connection = self.scope.get("deeptoken.connection")
        return connection is not None and bool(connection.left)

    def common_headers(self) -> Headers:
        """What every answer has."""
        call = self.call
        headers = [(b"x-deeptoken-id", call.id.encode()), (b"x-request-id", call.request_id.encode())]
        if b"origin" in self.headers:
            headers += (ANY_ORIGIN, EXPOSING)
        if self._draining:
            headers.append((b"connection", b"close"))
        return headers

    async def read_body(self) -> bytes:
        """The whole body, JSON by its type.

        Raises:
            UnsupportedMedia, RequestTooLarge: told by its headers, before a byte of it is read.
        """
        headers = self.headers
        kind = headers.get(b"content-type")
        if kind is not None and not _is_json(kind):
            raise UnsupportedMedia("Send JSON, with Content-Type: application/json.")
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise UnsupportedMedia("Send the body as it is: compressed bodies are not accepted.")
        most = self._server.body_bytes_max
        told = headers.get(b"content-length")
        if told is not None and int(told) > most:
            raise self._too_large()
        message = await self._next()
        if not message.get("more_body"):
            body: bytes = message.get("body", b"")
            return body
        parts: list[bytes] = []
        size = 0
        while True:
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > most:
                raise self._too_large()
            if not message.get("more_body"):
                return b"".join(parts)
            message = await self._next()

    async def _next(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError
        return message

    def _too_large(self) -> RequestTooLarge:
        most = self._server.body_bytes_max
        return RequestTooLarge(
            f"The body is larger than {most} bytes. Shorten the prompt or its attachments."
        )

    async def answer(self, status: int, body: bytes, headers: Headers) -> None:
        """A whole answer at once."""
        await self._begin(status, body, headers)
        await self.send({"type": "http.response.body", "body": body})

    async def fail(self, error: DeeptokenError) -> None:
        """An error instead of an answer; once it has begun, its last event. Nothing if nobody is there."""
        if self.left():
            return
        if self.started:
            if self.outlet is not None and not self.ended:
                await self.outlet.fail(error)
            return
        body, headers = envelope.body(error), envelope.headers(error)
        if not isinstance(error, RequestTooLarge | UnsupportedMedia):
            await self.answer(error.status, body, headers)
            return
        # The rest of the body is not wanted and the connection ends. A client that still sends must be able
        # to read why: closed now, its bytes on the way would reset the connection and take the answer along.
        await self._begin(error.status, body, [*headers, (b"connection", b"close")])
        await self.send({"type": "http.response.body", "body": body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while (await self._receive()).get("more_body"):
                    pass
        await self.send({"type": "http.response.body", "body": b""})

    async def _begin(self, status: int, body: bytes, headers: Headers) -> None:
        found = [*self.common_headers(), *headers, (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": found})


def label(value: bytes | None) -> str | None:
    """The caller's own label, if it is one."""
    if value is None or not 1 <= len(value) <= REQUEST_ID_MAX:
        return None
    return value.decode() if all(0x21 <= byte <= 0x7E for byte in value) else None


def _is_json(kind: bytes) -> bool:
    media = kind.partition(b";")[0].strip().lower()
    return media == b"application/json" or (media.startswith(b"application/") and media.endswith(b"+json"))
