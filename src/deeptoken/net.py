"""The only outbound HTTP client: HTTP/1.1 on pooled connections, one request at a time on each.

    Client       sends a request and hands over the answer once its head is there
    Response     an answer: its head, and its body as it comes
    NetError     what went wrong, by class (see `answer.py`)

A redirect is an answer like any other. A request that finds its pooled connection dead is sent once more
on a new one, if no byte of an answer came; one with a body that comes in pieces (`request.py`) goes out once,
on a connection of its own. An answer read to its end leaves its connection to the next request; every other
way out (an error, a cancelled task, `Response.close`) drops the connection at once.
"""

import asyncio
import ssl

import httptools

from deeptoken.answer import (
    BUFFER_BYTES_MAX,
    Garbled,
    Lost,
    NetError,
    Response,
    Stalled,
    TooLarge,
    Unreachable,
    Watch,
    field_name,
)
from deeptoken.dial import Pool, Pools, Proxies, dial, read_proxy, verified_tls
from deeptoken.inflate import Inflater
from deeptoken.outbox import Outbox
from deeptoken.request import SLICE_BYTES, Heads, send_upload
from deeptoken.wire.http import HttpRequest

__all__ = [
    "Client",
    "Garbled",
    "Lost",
    "NetError",
    "Proxies",
    "Response",
    "Stalled",
    "TooLarge",
    "Unreachable",
]

CLOSE_TURNS = 100
"""Of the loop; an aborted connection takes some three to be gone."""

_DIRECT = Proxies()


class _Connection(Watch, asyncio.Protocol):
    """One connection and its parser. It is idle in its pool, or works for one response."""

    __slots__ = (
        "_fields",
        "_head_bytes_max",
        "_keep",
        "_method",
        "_outbox",
        "_overhead",
        "_parser",
        "_room",
        "_transport",
        "_unsent",
        "_until_close",
        "_waiting",
        "full",
        "gone",
        "idle_since",
        "paused",
        "pool",
        "sending",
    )

    def __init__(self, pool: "Pool[_Connection]", head_bytes_max: int, outbox: Outbox) -> None:
        super().__init__(asyncio.get_running_loop())
        self.pool = pool
        self._outbox = outbox
        self._waiting = b""
        """What leaves at the end of this turn."""
        self.idle_since = 0.0
        self.gone = self.paused = False
        self._head_bytes_max = head_bytes_max
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._method = ""
        self._fields: list[tuple[bytes, bytes]] = []
        self._overhead = 0
        self._unsent = memoryview(b"")
        self._room: asyncio.Future[None] | None = None
        self.full = self.sending = self._keep = self._until_close = False

    @property
    def silent(self) -> bool:
        """Before the head of an answer: no byte of it has come."""
        return self._overhead == 0

    def begin(self, head: bytes, request: HttpRequest, answer_bytes_max: int) -> Response:
        """Send a request. The response is still without its head."""
        transport = self._transport
        assert transport is not None
        response = self._response = Response(self, answer_bytes_max)
        self._method = request.method
        self._fields.clear()
        self._overhead = 0
        self.sending = self._keep = self._until_close = False
        body = request.body
        if request.upload is None and len(body) <= SLICE_BYTES:
            self._waiting = head + body
            self._outbox.put(self, self.loop)
        else:
            transport.write(head)
            self._unsent = memoryview(body)
            self._write_on()
        return response

    def depart(self) -> None:
        """See `Outbox`. Who has gone meanwhile sends nothing."""
        waiting, self._waiting = self._waiting, b""
        if waiting and self._transport is not None:
            self._transport.write(waiting)

    def write(self, data: bytes | memoryview) -> None:
        """A part of a body that comes in pieces."""
        if self._transport is not None and not self.gone:
            self._transport.write(data)

    async def room(self) -> None:
        """Wait until it is not full."""
        self._room = self.loop.create_future()
        await self._room

    def resume(self) -> None:
        self.paused = False
        if self._transport is not None:
            self._transport.resume_reading()

    def drop(self) -> None:
        """Close it now. What is not yet sent is not sent."""
        self._leave()
        if self._transport is not None:
            self._transport.abort()

    def give_up(self) -> None:
        if self._response is not None:
            self._response.close()
        self.drop()

    def _leave(self) -> None:
        self.gone = True
        self._response = None
        self._unsent = memoryview(b"")
        self._waiting = b""
        self.pool.idle.pop(self, None)
        self.rest()

    def _finish(self, response: Response) -> None:
        """The answer is complete: be idle, if the next one can be told from it."""
        response.source = self._response = None
        transport = self._transport
        unsent = self._waiting or self._unsent or transport is None or transport.get_write_buffer_size()
        if self._keep and not unsent and not self.paused and not self.sending:
            self.pool.park(self)
        else:
            self.drop()

    def _write_on(self) -> None:
        while self._unsent and not self.full and self._transport is not None:
            piece, self._unsent = self._unsent[:SLICE_BYTES], self._unsent[SLICE_BYTES:]
            self._transport.write(piece)

    def _broken_off(self, *, cleanly: bool) -> None:
        response = self._response
        self._leave()
        if response is None:
            return
        if cleanly and self._until_close:
            response.source = None
            response.ended = True
            response.wake()
        else:
            where = "inside its answer" if response.headed else "before its answer"
            response.fail(Lost(f"{self.pool.origin} broke off {where}.", head=response.headed))

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do all that an asyncio.Transport does, but are none by their class.
        self._transport = transport  # type: ignore[assignment]  # see above
        if self.gone:
            self.drop()

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None:
            # Nobody asked. Whatever it is, the next answer could not be told from it.
            self.drop()
            return
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._keep = False
            if not response.ended:
                reason = error.__context__ or error
                garbled = Garbled(f"{self.pool.origin} does not answer in HTTP/1.1: {reason}")
                garbled.__cause__ = reason
                response.fail(garbled)
                return
        if response.ended:
            self._finish(response)
        elif self._overhead > self._head_bytes_max:
            response.fail(self._head_too_large())
        elif response.size > BUFFER_BYTES_MAX and not self.paused and self._transport is not None:
            self.paused = True
            self._transport.pause_reading()
        if response.headed:
            if response.taker is not None:
                response.pour()
            else:
                response.wake()

    def eof_received(self) -> None:
        self._broken_off(cleanly=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._broken_off(cleanly=exc is None)
        self.pool.opened.discard(self)
        # The parser holds our methods: without it, this object goes when its last user goes.
        del self._parser

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._write_on()

    # What the parser calls. An exception stops it; what is complete by then counts.

    def on_message_begin(self) -> None:
        response = self._response
        if response is None or response.ended:
            raise httptools.HttpParserError("more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        response = self._response
        status = self._parser.get_status_code()
        if response is None or 100 <= status < 200:
            self._fields.clear()
            return
        # The exact sum is needed only if the packet with the head's end might have too much head.
        limit = self._head_bytes_max
        if self._overhead > limit and sum(len(name) + len(value) + 4 for name, value in self._fields) > limit:
            response.fail(self._head_too_large())
            raise httptools.HttpParserError("large head")
        headers = response.headers
        for field, value in self._fields:
            name, text = field_name(field), value.decode("latin-1")
            headers[name] = f"{headers[name]}, {text}" if name in headers else text
        self._fields.clear()
        transfer = headers.get("transfer-encoding")
        if transfer is not None and transfer.lower() != "chunked":
            raise httptools.HttpParserError(f"transfer-encoding {transfer!r}")
        self._until_close = transfer is None and "content-length" not in headers
        coding = headers.get("content-encoding", "identity").lower()
        if coding != "identity":
            response.inflater = Inflater(coding)
        response.status = status
        response.headed = True
        if self._method == "HEAD":
            response.ended = True
            raise httptools.HttpParserError("the parser would wait for a body")

    def on_body(self, data: bytes) -> None:
        response = self._response
        if response is not None:
            response.chunks.append(data)
            response.size += len(data)
            self._overhead = 0

    def on_message_complete(self) -> None:
        response = self._response
        if response is not None and response.headed:
            response.ended = True
            self._keep = self._parser.should_keep_alive()

    def _head_too_large(self) -> TooLarge:
        return TooLarge(f"The head of the answer is larger than {self._head_bytes_max} bytes.")


class Client:
    """Sends requests. It belongs to one event loop."""

    def __init__(
        self,
        *,
        idle_max: int = 256,
        keep_alive_s: float = 60,
        answer_bytes_max: int = 64 * 1024 * 1024,
        head_bytes_max: int = 64 * 1024,
        proxies: Proxies = _DIRECT,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`idle_max` connections are kept idle for each origin, each for `keep_alive_s`.

        Raises:
            Unsendable: a proxy's URL is none.
        """
        for url in (proxies.http, proxies.https):
            if url:
                read_proxy(url)
        self._answer_bytes_max = answer_bytes_max
        self._head_bytes_max = head_bytes_max
        self._tls = tls
        self._closed = False
        self._pools: Pools[_Connection] = Pools(proxies, idle_max=idle_max, keep_alive_s=keep_alive_s)
        self._heads = Heads()
        self._outbox = Outbox()

    async def send(self, request: HttpRequest, *, connect_s: float, head_s: float) -> Response:
        """Send `request` and wait for the head of its answer, at most `head_s`, connecting included.

        With an `upload` they count from its last byte, and again for each time that nothing of it is taken.

        Raises:
            NetError: there was none; its class says why.
            Unsendable: the request cannot be written as HTTP.
        """
        target = self._pools.find(request.url)
        head = self._heads.write(request, target.line, target.host)
        pool = target.pool
        upload = request.upload
        # What was read of an upload is gone: it is not sent on a connection that may be dead.
        reused = bool(pool.idle) and upload is None
        deadline = asyncio.get_running_loop().time() + head_s
        connection = pool.idle.popitem()[0] if reused else await self._dial(pool, connect_s)
        response = connection.begin(head, request, self._answer_bytes_max)
        if upload is not None:
            await send_upload(upload, connection, response, head_s)
            deadline = connection.loop.time() + head_s
        if not response.headed and response.error is None:
            await response.wait(deadline)
        error = response.error
        if reused and isinstance(error, Lost) and not error.head and connection.silent:
            # The other side had closed it while it was idle: nothing of the request was looked at.
            connection = await self._dial(pool, connect_s)
            response = connection.begin(head, request, self._answer_bytes_max)
            await response.wait(deadline)
            error = response.error
        if error is not None and not response.headed:
            raise error
        if response.status == 407 and pool.origin.proxy is not None and not pool.origin.secure:
            response.close()
            raise Unreachable(f"{pool.origin}: the proxy refuses the request with status 407.")
        return response

    async def close(self) -> None:
        """Drop every connection. Answers under way are lost, later requests find nobody."""
        self._closed = True
        for connection in self._pools.shut():
            connection.give_up()
        for _ in range(CLOSE_TURNS):
            if not self._pools.opened:
                return
            await asyncio.sleep(0)

    async def _dial(self, pool: Pool[_Connection], connect_s: float) -> _Connection:
        if self._closed:
            raise Unreachable("The client is closed.")
        connection, connected = _Connection(pool, self._head_bytes_max, self._outbox), False
        try:
            async with asyncio.timeout(connect_s):
                if self._tls is None and pool.origin.needs_tls:
                    self._tls = await asyncio.to_thread(verified_tls)
                await dial(pool.origin, connection, self._tls)
            connected = not connection.gone and not self._closed
        except TimeoutError as error:
            raise Unreachable(f"{pool.origin}: no connection in {connect_s:g} s.") from error
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"{pool.origin}: {error}") from error
        finally:
            if not connected:
                connection.drop()
        if not connected:
            raise Unreachable(f"{pool.origin}: the connection was closed at once.")
        pool.opened.add(connection)
        return connection
