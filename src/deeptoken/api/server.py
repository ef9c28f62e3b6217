"""The HTTP server: uvicorn, and what ASGI cannot see of a connection.

a head that is too large                  431
a head or a body that is too slow         408
bytes that are not HTTP                   400, in the envelope
too many connections                      503
a client that goes away                   its call is cancelled, at once
a client that does not read               the same, after `stream_seconds`
"""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from deeptoken import ids
from deeptoken.api import errors as envelope
from deeptoken.errors import BadRequest, DeeptokenError, HeadTooLarge, Overloaded, RequestTimeout
from deeptoken.settings import ConfigError
from deeptoken.settings import Server as Settings

FIELDS_MAX = 100
BACKLOG = 2048
LINGER_S = 2.0
"""How long what still comes on a refused connection is thrown away."""


class Together:
    """A transport on which the head of an answer waits for what follows it: one system call instead of two.

    An application says both in one go, so nothing waits for long (measured: a twentieth of a call's time).
    """

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = b""

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, None
        elif self._head is not None:
            self._head = data
            return
        self._transport.write(data)

    def close(self) -> None:
        if self._head:
            self._transport.write(self._head)
        self._transport.close()


class Connection(HttpToolsProtocol):
    """One client's connection, within the limits of `settings`."""

    settings: Settings

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.serving: asyncio.Task[Any] | None = None
        """The task that answers now, set by `api/v1.py`."""
        self.left = False
        """The client has gone."""
        self.refusal: DeeptokenError | None = None
        """Why that task was stopped, where it was not the client who left."""
        self._in_head = False
        self._in_body = False
        self._head_bytes = 0
        self._slow: asyncio.TimerHandle | None = None
        self._deaf: asyncio.TimerHandle | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        super().connection_made(transport)
        if len(self.connections) > self.settings.connections_max:
            self._refuse(Overloaded("The gateway has too many connections. Try again shortly."))
            return
        self._slow = self.loop.call_later(self.settings.header_seconds, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.left = True
        self._punctual()
        self._hears()
        if self.serving is not None:
            self.serving.cancel()

    def pause_writing(self) -> None:
        """The client does not read. It may for as long as a stream may last; then its call is cancelled."""
        super().pause_writing()
        self._deaf = self.loop.call_later(self.settings.stream_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._hears()

    def _hears(self) -> None:
        if self._deaf is not None:
            self._deaf.cancel()
            self._deaf = None

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        began_in_head = self._in_head
        super().data_received(data)
        if self._refused:
            return
        if self._in_body:
            self._punctual()
            self._slow = self.loop.call_later(self.settings.body_idle_seconds, self._too_slow)
        if not self._in_head:
            return
        # The head goes on past these bytes.
        self._head_bytes = self._head_bytes + len(data) if began_in_head else len(data)
        if self._head_bytes > self.settings.header_bytes_max:
            self._refuse(_head_too_large(self.settings.header_bytes_max))
        elif self._slow is None and self._head_bytes:
            self._slow = self.loop.call_later(self.settings.header_seconds, self._too_slow)

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()
        self.scope["deeptoken.connection"] = self  # type: ignore[typeddict-unknown-key] # ours, for api/v1.py

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._in_body = True
        self._head_bytes = 0
        self._punctual()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if len(self.headers) > FIELDS_MAX or size > self.settings.header_bytes_max:
            self._refuse(_head_too_large(self.settings.header_bytes_max))
            return
        super().on_headers_complete()
        if not self.expect_100_continue and self.scope["method"] != "HEAD":
            self.cycle.transport = Together(self.transport)  # type: ignore[assignment] # what a cycle needs of it

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._punctual()
        if not self._refused:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(
            BadRequest("This is not a valid HTTP/1.1 request. Check the client, and what stands between.")
        )

    def _abandon(self, error: DeeptokenError) -> None:
        """The request that is being answered turned out to be broken: whoever answers it is stopped."""
        self.refusal = error
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        if self.serving is not None:
            self.serving.cancel()

    def _too_slow(self) -> None:
        self._slow = None
        if self._head_bytes or self._in_body:
            self._refuse(RequestTimeout("The request did not arrive in time. Send it again."))
        else:
            self.transport.close()

    def _punctual(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _refuse(self, error: DeeptokenError) -> None:
        """An answer without a task, and the end of the connection."""
        self._punctual()
        if self.cycle is not None and not self.cycle.response_complete:
            if self.cycle.response_started:
                # An answer is on its way; these bytes came behind it.
                self.transport.close()
                return
            self._abandon(error)
        body = envelope.body(error)
        id = ids.uuid7().encode()
        headers = [
            *envelope.headers(error),
            (b"x-deeptoken-id", id),
            (b"x-request-id", id),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        self._refused = True
        self.transport.write(STATUS_LINE[error.status] + lines + b"\r\n" + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        # Closed at once, bytes still on their way here would reset the connection and take the answer along.
        self._slow = self.loop.call_later(LINGER_S, self.transport.close)


def protocol(settings: Settings) -> type[Connection]:
    """uvicorn makes a connection of it without a word of ours: the limits stand in the class."""
    return type("Connection", (Connection,), {"settings": settings})


def _head_too_large(most: int) -> HeadTooLarge:
    return HeadTooLarge(
        f"The request's head is larger than {most} bytes or {FIELDS_MAX} fields. Send fewer headers."
    )


class Server(uvicorn.Server):
    """uvicorn's server, without its signals: `app.py` decides when it ends."""

    listening: Callable[[str], None] | None = None
    """Told the address, once connections are taken there."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.listening is not None and self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            scheme = "https" if self.config.is_ssl else "http"
            self.listening(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}")


def listen(settings: Settings) -> socket.socket:
    """The listening socket.

    Raises:
        ConfigError: the address is taken, or not this machine's.
    """
    host, port = settings.host, settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}. "
            "Use another --host or --port, or stop what listens there"
        ) from None


def server(application: Callable[..., Any], settings: Settings) -> Server:
    """A server that is not started."""
    tls = settings.tls
    config = Config(
        application,
        http=protocol(settings),
        loop="none",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=int(settings.keep_alive_seconds),
        timeout_graceful_shutdown=max(1, int(settings.drain_seconds)),
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    return Server(config)
