"""An answer: its head, its body as it comes, and what goes wrong.

    Response     what `net.Client.send` hands over
    NetError     a request that got no (whole) answer
    ├── Unreachable   no connection, or the proxy refused: the request never left
    ├── Lost          the connection broke off before or inside the answer
    ├── Stalled       nothing came in time
    ├── Garbled       what came is not HTTP, or not in the coding it announces
    └── TooLarge      the answer, or its head, is above the limit

The connection writes into the response what it parses; whoever reads waits here. Nothing is inflated before
it is read, and a connection whose bytes nobody reads is no longer read itself.
"""

import asyncio
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

from deeptoken.inflate import Inflater

BUFFER_BYTES_MAX = 256 * 1024
"""How much of an answer waits for its reader before its connection is paused."""


class NetError(Exception):
    """A request that got no (whole) answer. The message carries no secret."""


class Unreachable(NetError):
    """There was no connection: the request never left."""


class Lost(NetError):
    """The connection broke off. `head`: inside the answer's body rather than before it."""

    def __init__(self, message: str, *, head: bool) -> None:
        super().__init__(message)
        self.head = head


class Stalled(NetError):
    """Nothing came in time."""


class Garbled(NetError):
    """What came is no answer in HTTP/1.1, or not in the coding it announces."""


class TooLarge(NetError):
    """The answer, or its head, is above the limit."""


@lru_cache(maxsize=1024)
def field_name(field: bytes) -> str:
    """The name of a header, as an answer has it. Most answers have the same ones."""
    return field.decode("latin-1").lower()


class Source(Protocol):
    """What a response needs of the connection it comes from."""

    paused: bool

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    def watch(self, due: float) -> None: ...
    def resume(self) -> None: ...
    def drop(self) -> None: ...


class Response:
    """An answer whose head is there. One task reads it; anyone may close it."""

    __slots__ = (
        "_limit",
        "_loop",
        "_waiter",
        "chunks",
        "due",
        "ended",
        "error",
        "headed",
        "headers",
        "inflater",
        "size",
        "source",
        "status",
        "taker",
    )

    def __init__(self, source: Source, limit: int) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        """By lower-case name, as they came; repeated ones joined by a comma."""
        self.source: Source | None = source
        self._loop = source.loop
        self._limit = limit
        self.chunks: list[bytes] = []
        self.size = 0
        self.inflater: Inflater | None = None
        self._waiter: asyncio.Future[bool] | None = None
        self.taker: Callable[[bytes], float | None] | None = None
        """Is given what comes, as it comes; see `relay`."""
        self.due = math.inf
        """When what is waited for must have come, on the loop's clock."""
        self.error: NetError | None = None
        self.headed = False
        self.ended = False

    async def read(self, wait_s: float) -> bytes:
        """The body's next bytes, decoded: what is there, at once; empty at the end.

        Raises:
            NetError: no byte came in `wait_s`, or the answer broke off; what came before it was read.
        """
        piece = self._take()
        if piece or self._over():
            return piece
        return await self._next(self._loop.time() + wait_s)

    async def relay(self, take: Callable[[bytes], float | None], due: float) -> bool:
        """Give the body to `take` as it comes, decoded, within the call of the loop that brought it.

        `due` and then what `take` answers is when the next bytes must have come, on the loop's clock.
        True: it answered None, enough for now. False: that was the end.

        Raises:
            NetError: nothing came in time, or the answer broke off; what came before it was given.
            Whatever `take` raises.
        """
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._waiter = waiter
        self.taker, self.due = take, due
        try:
            self.pour()
            if self.source is not None:
                self.source.watch(self.due)
            return await waiter
        except BaseException:
            self.close()
            raise
        finally:
            self._waiter = self.taker = None
            self.due = math.inf

    def pour(self) -> None:
        """Give what is there to the taker; end its wait if that is enough, or all."""
        taker, waiter = self.taker, self._waiter
        if taker is None or waiter is None or waiter.done():
            return
        chunks = self.chunks
        plain = self.inflater is None
        try:
            while True:
                if plain and len(chunks) == 1 and self.size <= BUFFER_BYTES_MAX:
                    # One event that nobody had to wait for.
                    data = chunks.pop()
                    self.size = 0
                else:
                    data = self._take()
                if not data:
                    break
                due = taker(data)
                if due is None:
                    waiter.set_result(True)
                    return
                self.due = due
                if plain and not self.ended:
                    return
            if self._over():
                waiter.set_result(False)
        except Exception as error:  # Whatever the taker raises is its caller's, who waits.
            waiter.set_exception(error)

    async def whole(self, wait_s: float) -> bytes:
        """The rest of the body, decoded.

        Raises:
            NetError: it was not there in `wait_s`, broke off, or is above the client's limit.
        """
        if self.ended and self.inflater is None and self.error is None:
            if self.size > self._limit:
                raise self._too_large()
            return self._take()
        deadline = self._loop.time() + wait_s
        pieces: list[bytes] = []
        size = 0
        while piece := await self._next(deadline):
            size += len(piece)
            if size > self._limit:
                raise self._too_large()
            pieces.append(piece)
            if self.inflater is not None:
                await self._yield()
        return b"".join(pieces)

    def close(self) -> None:
        """Be done with it. An answer that has not come to its end takes its connection with it."""
        self.chunks.clear()
        self.inflater = None
        if not self.ended:
            self.fail(Lost("The answer was given up.", head=self.headed))

    def finish(self, wait_s: float) -> None:
        """Be done with an answer that has said all. If its end comes in `wait_s`, the connection is kept."""
        self.chunks.clear()
        self.inflater = None
        if not self.ended and self.error is None:
            self._loop.call_later(wait_s, self.close)

    async def _next(self, deadline: float) -> bytes:
        while True:
            piece = self._take()
            if piece or self._over():
                return piece
            await self.wait(deadline)

    async def wait(self, deadline: float) -> None:
        """Wait until something has changed: more bytes, the end, an error."""
        waiter = self._waiter = self._loop.create_future()
        self.due = deadline
        if self.source is not None:
            self.source.watch(deadline)
        try:
            await waiter
        except BaseException:
            self.close()
            raise
        finally:
            self._waiter = None
            self.due = math.inf

    async def _yield(self) -> None:
        """Let others run: a small answer may inflate to a large one without a wait."""
        try:
            await asyncio.sleep(0)
        except BaseException:
            self.close()
            raise

    @property
    def decided(self) -> bool:
        """Whether the answer waits for no more of the request: it refuses it, has ended, or never comes."""
        return self.ended or self.error is not None or (self.headed and self.status >= 300)

    def tell(self, then: Callable[[], None]) -> None:
        """Call `then` once, when something has changed. Only while nobody waits."""
        self._waiter = self._loop.create_future()
        self._waiter.add_done_callback(lambda _: then())

    def wake(self) -> None:
        if self.taker is not None:
            self.pour()
            return
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(True)

    def expire(self) -> None:
        """`due` has passed."""
        self.fail(Stalled("Nothing came in time." if self.headed else "No answer came in time."))

    def fail(self, error: NetError) -> None:
        """The end, by an error. An answer that is complete stays so."""
        if self.ended or self.error is not None:
            return
        self.error = error
        source, self.source = self.source, None
        if source is not None:
            source.drop()
        self.wake()

    def _over(self) -> bool:
        if self.error is not None:
            raise self.error
        if not self.ended:
            return False
        if self.inflater is not None and not self.inflater.whole:
            raise self._spoil(Garbled("The answer's compressed body is cut short."))
        return True

    def _take(self) -> bytes:
        """What is there, decoded; of a compressed body at most a buffer's worth."""
        chunks = self.chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self.size = 0
        if self.inflater is not None:
            try:
                data = self.inflater.inflate(data, BUFFER_BYTES_MAX)
            except ValueError as error:
                self._spoil(Garbled(str(error)))
                return b""
            self.size = len(self.inflater.pending)
        source = self.source
        if source is not None and source.paused and self.size <= BUFFER_BYTES_MAX:
            source.resume()
        return data

    def _spoil(self, error: NetError) -> NetError:
        """The end, by an error, of an answer that may have come completely."""
        self.ended = False
        self.inflater = None
        self.chunks.clear()
        self.fail(error)
        return error

    def _too_large(self) -> NetError:
        return self._spoil(TooLarge(f"The answer is larger than {self._limit} bytes."))


class Watch:
    """Looks at a connection's response when its wait is due.

    One timer serves many waits: whether the moment has moved is seen when it fires (measured: to set and
    cancel one for each wait took a fortieth of a call's time).
    """

    __slots__ = ("_looks_at", "_response", "_timer", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._response: Response | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = 0.0

    def watch(self, due: float) -> None:
        """Look at the response then."""
        if self._timer is not None:
            if self._looks_at <= due:
                return
            self._timer.cancel()
        self._look_at(due)

    def rest(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_at(self, due: float) -> None:
        self._looks_at = due
        self._timer = self.loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        response = self._response
        if response is None or response.due == math.inf:
            return
        if self.loop.time() < response.due:
            self._look_at(response.due)
        else:
            response.expire()
