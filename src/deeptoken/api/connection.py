"""One client's connection: uvicorn's protocol, with a shorter way for the hot routes, and within limits.

``/v1/*`` goes from the parser to its handler: an `Exchange` stands where uvicorn has its ASGI cycle, and is
read and written by method, not by message (measured: ASGI took a tenth of a call's time, and of a streamed
event's a fifth). Every other route is ASGI, as uvicorn does it.

a head that is too large                  431
a head or a body that is too slow         408
bytes that are not HTTP                   400, in the envelope
too many connections                      503
a client that goes away                   its call is cancelled, at once
a client that does not read               the same, after `stream_seconds`
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from deeptoken.api import errors as envelope
from deeptoken.api.exchange import Exchange, last_answer
from deeptoken.errors import BadRequest, DeeptokenError, Overloaded, RequestTimeout
from deeptoken.outbox import Outbox
from deeptoken.settings import Server as Settings

HOT = b"/v1/"
FIELDS_MAX = 100
OFFER = (b"upgrade", b"http2-settings")
NOT_HTTP = "This is not a valid HTTP/1.1 request. Check the client, and what stands between."
UNREAD_BYTES_MAX = 64 * 1024
"""Of a body that nobody has asked for yet; then the connection is not read."""
LINGER_S = 2.0
"""How long what still comes on a refused connection is thrown away."""

LATE_S = 0.01
"""A timer that fires so late tells of a process that stood still, and not of a slow sender."""

Hot = Callable[[Exchange], Coroutine[Any, Any, None]]


class Connection(HttpToolsProtocol):
    """Within the limits of `settings`; `hot` answers the hot routes, through `outbox`."""

    settings: Settings
    hot: Hot
    outbox: Outbox

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.left = False
        """The client has gone."""
        self.refusal: DeeptokenError | None = None
        """Why a call was stopped, where it was not the client who left."""
        self._answering: Exchange | None = None
        """The hot request that was begun last."""
        self._reading: Exchange | None = None
        """Whose body comes now."""
        self._held_back = False
        """More of a body came than was asked for: it is not read."""
        self._in_head = False
        self._in_body = False
        self._packet = self._head_packet = 0
        """How many bytes came last, and with the beginning of a head."""
        self._bare_bytes = 0
        """How many bytes have come since a head began or a body went on: of a head, of trailers, and of what
        chunks have beside their data. Those that came together with such a beginning do not count."""
        self._slow: asyncio.TimerHandle | None = None
        self._excused = False
        """It is waited for once more, since this process was late itself."""
        self._deaf: asyncio.TimerHandle | None = None
        self._idle_until = 0.0
        """When it is closed if no request begins; 0 while there is one."""
        self._unwanted_until = 0.0
        """Until when the rest of a body may come whose request has been answered."""
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        super().connection_made(transport)
        if len(self.connections) > self.settings.connections_max:
            self._refuse(Overloaded("The gateway has too many connections. Try again shortly."))
            return
        self._slow = self.loop.call_later(self.settings.header_seconds, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self.left = True
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        self._punctual()
        self._hears()
        self._stop()
        # An exchange knows its connection: no circle is left.
        self._answering = self._reading = None
        self.pipeline.clear()
        if isinstance(self.cycle, Exchange) or (self.cycle is not None and self.cycle.response_complete):
            self.cycle = None  # type: ignore[assignment] # as before the first request

    def _stop(self) -> None:
        """Whoever answers now is stopped, at once, wherever it waits."""
        if self._answering is not None and self._answering.serving is not None:
            self._answering.serving.cancel()

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
        self._packet = len(data)
        self._bare_bytes += self._packet
        self._feed(data)
        if self._refused:
            return
        if self._in_head or self._in_body:
            if self._bare_bytes > self.settings.header_bytes_max:
                self._refuse(envelope.head_too_large(self.settings.header_bytes_max, FIELDS_MAX))
            elif self._in_body or self._slow is None:
                self._wait_for_more()
        elif self._is_idle() and not self._idle_until:
            self._wait_for_next()

    def read_on(self) -> None:
        """More of the body is wanted: its sender has its time again, if it had to wait."""
        if self._held_back:
            self._held_back = False
            self.flow.resume_reading()
            if self._in_body:
                self._wait_for_more()

    def _feed(self, data: bytes) -> None:
        while not self._refused:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                if not self._in_head:
                    # CONNECT: it is answered, and what follows is of no protocol that we know.
                    return
                data = self._declined() + data[upgrade.args[0] :]
                self._packet = len(data)
            except httptools.HttpParserError:
                self._refuse(BadRequest(NOT_HTTP))
                return

    def _declined(self) -> bytes:
        """The head that has come, without its offer of another protocol (RFC 9110, section 7.8), for a new
        parser: the old one takes what follows for that protocol's, and not for a body."""
        old = self.parser
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        version = old.get_http_version().encode()
        lines = [b"%b %b HTTP/%b\r\n" % (old.get_method(), self.url, version)]
        lines += [b"%b: %b\r\n" % field for field in self.headers if field[0] not in OFFER]
        return b"".join(lines) + b"\r\n"

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_packet = self._packet
        self._bare_bytes = 0
        self._idle_until = 0.0
        self.url = b""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        # In one step: there are a dozen of them in a request.
        # Behind a body there may be more of them (RFC 9110, section 6.5): they are let go.
        if self._in_head:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._refused or (self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"):
            # An offer is declined, and the head comes once more.
            return
        came = self._head_packet + self._bare_bytes
        self._in_head = False
        self._bare_bytes = 0
        if self._slow is not None:
            self._punctual()
        most = self.settings.header_bytes_max
        # The exact sum is needed only if the packets with the head might have too much of it.
        if len(self.headers) > FIELDS_MAX or (came > most and self._head_size() > most):
            self._refuse(envelope.head_too_large(most, FIELDS_MAX))
            return
        if self.url.startswith(HOT) or (not self.url.startswith(b"/") and self._is_absolute()):
            self._hot()
        else:
            self._reading = None
            url, headers = self.url, self.headers
            super().on_message_begin()
            self.url, self.expect_100_continue = url, _expects(dict(headers))
            self.headers += headers
            super().on_headers_complete()
        self._in_body = True

    def _head_size(self) -> int:
        return len(self.url) + sum([len(name) + len(value) for name, value in self.headers])

    def _is_absolute(self) -> bool:
        """A hot route with the scheme and host before it (RFC 9112, section 3.2.2): they are cut off."""
        scheme, mark, rest = self.url.partition(b"://")
        _, slash, path = rest.partition(b"/")
        if not mark or not (slash + path).startswith(HOT):
            return False
        self.url = slash + path
        return scheme.lower() in (b"http", b"https")

    def _hot(self) -> None:
        """A request on a hot route: answered now, or when those before it on this connection are."""
        parser = self.parser
        old = parser.get_http_version() < "1.1"
        headers = dict(self.headers)
        exchange = Exchange(
            self,
            method=parser.get_method().decode("ascii"),
            url=self.url,
            headers=headers,
            keep_alive=not old and parser.should_keep_alive(),
            chunked=not old,
            expected=not old and _expects(headers),
        )
        self._reading = exchange
        # uvicorn asks of a cycle just what an exchange has; see there.
        if self._is_idle():
            self._start_asgi_task(exchange, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))  # type: ignore[arg-type] # see above

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if not isinstance(cycle, Exchange):
            super()._start_asgi_task(cycle, app)
            return
        self._answering = cycle
        self.cycle = cycle  # type: ignore[assignment] # what uvicorn asks of a cycle, an exchange has
        task: asyncio.Task[None] = self.loop.create_task(self.hot(cycle))
        cycle.serving = task
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def on_body(self, body: bytes) -> None:
        if self._refused:
            return
        self._bare_bytes = 0
        if self._reading is None:
            super().on_body(body)
        elif self._reading.feed(body) > UNREAD_BYTES_MAX:
            self._held_back = True
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        if self._refused or self._in_head:
            return
        self._in_body = False
        if self._slow is not None:
            self._punctual()
        if self._reading is None:
            super().on_message_complete()
        else:
            self._reading.body.fed()

    # Its end, and what is refused.

    def _is_idle(self) -> bool:
        """Nothing is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def on_response_complete(self) -> None:
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            if self._slow is not None:
                # It was not read while others were answered.
                self._wait_for_more()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        if self._in_body:
            self._unwanted_until = self.loop.time() + self.settings.request_seconds
        elif not self._in_head:
            self._wait_for_next()

    def _wait_for_next(self) -> None:
        """The connection waits for its next request. One timer serves many waits: it is set anew when it
        fires (measured: one for each request took a fortieth of a call's time)."""
        seconds = self.settings.keep_alive_seconds
        self._idle_until = self.loop.time() + seconds
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _unset_keepalive_if_required(self) -> None:
        """uvicorn's way, at all that comes. Ours is `_idle_until`, when a request begins."""

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if not self._idle_until:
            return
        left_s = self._idle_until - self.loop.time()
        if left_s > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _abandon(self, answering: Exchange, error: DeeptokenError) -> None:
        """The request that is being answered turned out to be broken: whoever answers it is stopped."""
        self.refusal = error
        answering.disconnected = True
        answering.message_event.set()
        self._stop()

    def _too_slow(self) -> None:
        late = self._slow is not None and self.loop.time() - self._slow.when() > LATE_S
        self._slow = None
        if self.flow.read_paused or (late and not self._excused):
            # It is us who do not read, or did not: what came meanwhile is read first.
            self._wait_for_more()
            self._excused = late
        elif self._in_head or self._in_body:
            self._refuse(RequestTimeout("The request did not arrive in time. Send it again."))
        else:
            self.transport.close()

    def _wait_for_more(self) -> None:
        """Of a request that has begun."""
        self._punctual()
        seconds = self.settings.header_seconds
        if self._in_body:
            seconds = self.settings.body_idle_seconds
            if self._is_idle():
                seconds = min(seconds, self._unwanted_until - self.loop.time())
        self._excused = False
        self._slow = self.loop.call_later(max(0.0, seconds), self._too_slow)

    def _punctual(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _refuse(self, error: DeeptokenError) -> None:
        """An answer without a task, and the end of the connection."""
        self._punctual()
        if self._answering is not None:
            self._answering.depart()
        if self._in_body and self._is_idle():
            # This request has had its answer.
            self.transport.close()
            return
        answering = self._answering
        if answering is None or answering.response_complete:
            answering = self.cycle  # type: ignore[assignment] # the two are alike, see `_hot`
        if answering is not None and not answering.response_complete:
            if answering.response_started:
                # An answer is on its way; these bytes came behind it.
                self.transport.close()
                return
            self._abandon(answering, error)
        self._refused = True
        self.pipeline.clear()
        self.transport.write(last_answer(error, cross_origin=b"origin" in dict(self.headers or ())))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        # Closed at once, bytes still on their way here would reset the connection and take the answer along.
        self._slow = self.loop.call_later(LINGER_S, self.transport.close)


def _expects(headers: dict[bytes, bytes]) -> bool:
    """Does its sender wait to be told to go on?"""
    return headers.get(b"expect", b"").lower() == b"100-continue"


def protocol(settings: Settings, hot: Hot) -> type[Connection]:
    """uvicorn makes a connection of it without a word of ours: what it needs stands in the class."""
    own = {"settings": settings, "hot": staticmethod(hot), "outbox": Outbox()}
    return type("Connection", (Connection,), own)
