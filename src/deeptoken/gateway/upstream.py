"""One attempt at one channel: connect, send, read, time out. What comes back is chat, whatever the dialect.

attempt   -> `Answer` once the first content is there (the commit point), or `Failure`
Answer    its pieces as they come; after the commit point a failure is `Cut`
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Protocol

import msgspec

from deeptoken import clock
from deeptoken.catalog.model import Candidate, Channel
from deeptoken.gateway.credentials import Credentials, NoToken
from deeptoken.gateway.failure import INVALID_RESPONSE, final
from deeptoken.net import Client, Lost, NetError, Stalled, TooLarge, Unreachable
from deeptoken.providers.base import Asked, Failure, Malformed, Piece, Provider, Reply, Stream
from deeptoken.providers.retry import retry_after
from deeptoken.wire.chat import Chat

ERROR_BODY_S = 10.0
"""How long the body of an error answer is waited for."""
SOME = 0.001
END_S = 0.1


class Response(Protocol):
    """What `net.py` and `sim` answer with."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    async def read(self, wait_s: float) -> bytes: ...
    async def whole(self, wait_s: float) -> bytes: ...
    def close(self) -> None: ...
    def finish(self, wait_s: float) -> None: ...


class Wanted(msgspec.Struct):
    """What is wanted of an attempt. Times are on the monotonic clock."""

    chat: Chat
    asked: Asked
    stream: bool
    """Streamed upstream; the caller may still get it whole."""
    limit: int | None
    deadline: float
    accepted: bool = False
    """A provider has begun to answer: its head, a good one, was there."""


class Cut(Exception):
    """A stream that failed. `error` is what the caller is told, after the first content."""

    def __init__(self, failure: Failure, at: Candidate) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.error = final(failure, at)


class Answer:
    """A provider's answer, begun. `reply` if it came whole, else `next` gives its pieces."""

    def __init__(self, at: Candidate, response: Response, deadline: float, leave: Callable[[], None]) -> None:
        self.at = at
        self.reply: Reply | None = None
        self.stream: Stream | None = None
        self.waited = 0.0
        """Seconds spent waiting for the provider."""
        self._leave = leave
        self._response = response
        self._deadline = deadline
        self._ready: list[Piece] = []
        self._ended = False

    @property
    def upstream_id(self) -> str | None:
        source = self.stream or self.reply
        return source.upstream_id if source else None

    def close(self) -> None:
        """Done with it. An answer that has not ended is cancelled upstream, at once."""
        if self.stream is not None and self.stream.done:
            # The connection's own end may come a moment after the stream's.
            self._response.finish(END_S)
        else:
            self._response.close()
        self._leave()

    async def next(self) -> list[Piece]:
        """The pieces that came together; none: it ended rightly.

        Raises:
            Cut: it did not.
        """
        if self._ready:
            pieces, self._ready = self._ready, []
            return pieces
        idle = self.at.channel.timeout.idle
        return await self._more(clock.monotonic() + idle)

    async def first(self, by: float) -> Failure | None:
        """Read up to the first content, the commit point; None when it is there."""
        try:
            while not self._committed():
                pieces = await self._more(by)
                self._ready += pieces
                if not pieces:
                    return invalid("the stream ended without an answer")
        except Cut as cut:
            return cut.failure
        return None

    def _committed(self) -> bool:
        return any(piece.content or piece.finish for piece in self._ready)

    async def _more(self, by: float) -> list[Piece]:
        """The next pieces, an event at least; `by` then it must have come."""
        if self.stream is None:
            return []
        while not self._ended:
            began = clock.monotonic()
            left = min(by, self._deadline) - began
            if left <= 0:
                raise Cut(_failed(Stalled()), self.at)
            try:
                data = await self._response.read(left)
                pieces = list(self.stream.feed(data) if data else self.stream.end())
            except (NetError, Malformed) as error:
                data, pieces = b"", self._rest(error)
            finally:
                self.waited += clock.monotonic() - began
            self._ended = not data or self.stream.done
            for piece in pieces:
                if piece.failure is not None:
                    raise Cut(piece.failure, self.at)
            if pieces:
                return pieces
        return []

    def _rest(self, error: NetError | Malformed) -> list[Piece]:
        """What a stream that broke off still says: one that has told its finish is complete.

        Raises:
            Cut: it is not.
        """
        if self.stream is not None and isinstance(error, Lost):
            with suppress(Malformed):
                return list(self.stream.end())
        raise Cut(_failed(error), self.at) from None


class Upstream:
    """Makes attempts."""

    def __init__(
        self,
        client: Client,
        providers: Mapping[str, Provider],
        play: Callable[[Candidate, Wanted], Awaitable[Response]],
        credentials: Credentials,
    ) -> None:
        self._client = client
        self._providers = providers
        self._play = play
        self._credentials = credentials
        self._busy: dict[str, int] = {}

    def full(self, channel: Channel) -> bool:
        """Whether it serves as many calls as it may."""
        most = channel.max_concurrency
        return most is not None and self._busy.get(channel.name, 0) >= most

    async def attempt(self, at: Candidate, wanted: Wanted) -> Answer | Failure:
        """Ask `at`; an answer whose first content is there, or why not.

        Raises:
            BadRequest: this provider cannot do what is asked.
        """
        wanted.accepted = False
        if self.full(at.channel):
            return Failure(cause="capacity", message="The channel serves as many calls as it may.")
        leave = self._enter(at.channel)
        try:
            outcome = await self._asked(at, wanted, leave)
        except BaseException:
            leave()
            raise
        if isinstance(outcome, Failure):
            leave()
        return outcome

    async def _asked(self, at: Candidate, wanted: Wanted, leave: Callable[[], None]) -> Answer | Failure:
        provider = self._providers[at.channel.provider]
        began = clock.monotonic()
        first_by = min(began + at.channel.timeout.first_byte, wanted.deadline)
        try:
            response = await self._send(provider, at, wanted, first_by)
        except NetError as error:
            return _failed(error)
        except NoToken as error:
            return error.failure
        except ValueError:
            # A credential or an address that no request can carry. Its text stays out of every message.
            return Failure(
                cause="misconfigured", message="The channel's credential or address cannot be sent."
            )
        try:
            answer = Answer(at, response, wanted.deadline, leave)
            failure = await self._begin(answer, response, provider, wanted, first_by)
        except BaseException:
            response.close()
            raise
        if failure is not None:
            response.close()
            return failure
        answer.waited = clock.monotonic() - began
        return answer

    def _enter(self, channel: Channel) -> Callable[[], None]:
        """Count a call on a channel that has a limit; what is returned takes it back."""
        if channel.max_concurrency is None:
            return _nothing
        busy, name = self._busy, channel.name
        busy[name] = busy.get(name, 0) + 1

        def leave() -> None:
            busy[name] -= 1

        return leave

    async def _send(self, provider: Provider, at: Candidate, wanted: Wanted, by: float) -> Response:
        if at.channel.provider == "sim":
            return await self._play(at, wanted)
        request = provider.request(wanted.chat, at, stream=wanted.stream, limit=wanted.limit)
        request = await self._credentials.authorised(request, at)
        connect_s = at.channel.timeout.connect
        return await self._client.send(request, connect_s=connect_s, head_s=max(SOME, by - clock.monotonic()))

    async def _begin(
        self, answer: Answer, response: Response, provider: Provider, wanted: Wanted, first_by: float
    ) -> Failure | None:
        now = clock.monotonic()
        if not 200 <= response.status < 300:
            # An error status decides by itself, whatever becomes of its body.
            body = b""
            with suppress(NetError):
                body = await response.whole(max(SOME, min(ERROR_BODY_S, wanted.deadline - now)))
            return _told(provider, response, body)
        wanted.accepted = True
        try:
            if wanted.stream:
                answer.stream = provider.stream(wanted.asked)
                return await answer.first(first_by)
            total = answer.at.channel.timeout.total
            body = await response.whole(max(SOME, min(total, wanted.deadline - now)))
            answer.reply = provider.reply(body, wanted.asked)
        except (NetError, Malformed) as error:
            return _failed(error)
        return None


def _nothing() -> None:
    """A channel without a limit is not counted."""


def _told(provider: Provider, response: Response, body: bytes) -> Failure:
    """What the provider says went wrong, and the wait that its headers tell; a date there needs our clock."""
    failure = provider.failure(response.status, response.headers, body)
    if failure.retry_after_s is None:
        wait_s = retry_after(response.headers, clock.wall_s())
        return failure if wait_s is None else msgspec.structs.replace(failure, retry_after_s=wait_s)
    return failure


def invalid(what: str) -> Failure:
    """A 2xx that is no answer."""
    return Failure(
        cause="outage", message=f"The provider's answer is not valid: {what}.", code=INVALID_RESPONSE
    )


def _failed(error: NetError | Malformed) -> Failure:
    match error:
        case Unreachable():
            return Failure(cause="connect", message="The provider could not be reached.")
        case Stalled():
            return Failure(cause="slow", message="The provider did not answer in time.")
        case TooLarge():
            return invalid("it is larger than the limit")
        case Lost():
            return Failure(cause="outage", message="The connection to the provider broke.")
    return invalid(str(error) or "it is not HTTP")
