"""One attempt at one channel: connect, send, read, time out. What comes back is chat, whatever the dialect.

attempt   -> `Answer` once the first content is there (the commit point), or `Failure`
Answer    its pieces as they come; after the commit point a failure is `Cut`
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Protocol

import msgspec

from deeptoken import clock
from deeptoken.catalog.model import Candidate, Model
from deeptoken.gateway.credentials import FRESH, Credentials, NoToken
from deeptoken.gateway.failure import UNSENDABLE, final, invalid
from deeptoken.gateway.told import id_of, told
from deeptoken.gateway.uploads import in_time
from deeptoken.gateway.wire_failure import failed
from deeptoken.net import Client, Lost, NetError, Stalled, Unreachable
from deeptoken.providers.base import Asked, Failure, Malformed, Piece, Provider, Reply, Stream
from deeptoken.providers.raw import Bytes
from deeptoken.providers.registry import speaking
from deeptoken.providers.retry import retry_after
from deeptoken.wire.chat import Chat
from deeptoken.wire.http import HttpRequest, Unsendable
from deeptoken.wire.task import Incoming

ERROR_BODY_S, ERROR_BODY_BYTES = 10.0, 256 * 1024
"""How long the body of an error answer is waited for, and about how much of it is read."""
SOME = 0.001
EARLY_S = 0.01
"""A timer of a loop may come a little before its time."""
LATE = "The provider did not answer within the call's own time: X-DeepToken-Timeout, or the gateway's limit."
END_S = 0.1


class Response(Protocol):
    """What `net.py` and `sim` answer with."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    async def read(self, wait_s: float) -> bytes: ...
    async def whole(self, wait_s: float) -> bytes: ...
    async def relay(self, take: Callable[[bytes], float | None], due: float) -> bool: ...
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
    patience_s: float | None = None
    """For the first content, where another channel is left; else the channel's own."""
    accepted: Model | None = None
    """Its provider has begun to answer: its head, a good one, was there."""
    lost: tuple[str, ...] = ()
    """What of the chat's schemas the request of the attempt does not have."""
    heard: list[Piece] = []
    """What it said of an answer that failed before its first content."""

    @property
    def upload(self) -> Incoming | None:
        """Its body, where that is not read whole."""
        return None if self.chat.task is None else self.chat.task.upload


class Cut(Exception):
    """A stream that failed. `error` is what the caller is told, after the first content."""

    def __init__(self, failure: Failure, at: Candidate) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.error = final(failure, at)


class Answer:
    """A provider's answer, begun: `reply` if it came whole, else `relay` gives its pieces on."""

    def __init__(self, at: Candidate, response: Response, deadline: float) -> None:
        self.at = at
        self.on_close: Callable[[], None] = _nothing
        """Told when it is done with."""
        self.failure: Failure | None = None
        """Why it broke off, after its first content."""
        self.ttft_s = 0.0
        """Seconds until its first content, or until all of it where it came whole."""
        self.reply: Reply | None = None
        self.stream: Stream | None = None
        self.waited = 0.0
        """Seconds spent waiting for the provider."""
        self.lost: tuple[str, ...] = ()
        self._response = response
        self._deadline = deadline
        self._ready: list[Piece] = []
        self._ended = False
        self._pass_on: Callable[[list[Piece]], bool] | None = None
        self._paused = False
        self._busy_s = 0.0
        """Of the time of a relay, what was not spent waiting."""
        self._by = 0.0

    @property
    def upstream_id(self) -> str | None:
        source = self.stream or self.reply
        return source.upstream_id if source else None

    @property
    def told(self) -> list[tuple[bytes, bytes]]:
        """What the caller is told of its head."""
        return told(self._response.headers, self.lost)

    @property
    def heard(self) -> list[Piece]:
        """What came and was not given on yet."""
        return self._ready

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Done with it. An answer that has not ended is cancelled upstream, at once."""
        if self.stream is not None and self.stream.done:
            # The connection's own end may come a moment after the stream's.
            self._response.finish(END_S)
        else:
            self._response.close()
        # Who is told knows this answer: no circle is left.
        told, self.on_close = self.on_close, _nothing
        told()

    async def relay(self, pass_on: Callable[[list[Piece]], bool]) -> bool:
        """Give the pieces to `pass_on` as they come. True: it wants a pause; False: the answer ended rightly.

        No task is woken for an event (measured: that took a third of the time of one).

        Raises:
            Cut: it did not end rightly.
        """
        if self._ready:
            pieces, self._ready = self._ready, []
            if not pass_on(pieces):
                return True
        if self.stream is None or self._ended:
            return False
        self._pass_on, self._busy_s, self._paused = pass_on, 0.0, False
        began = clock.monotonic()
        try:
            return await self._relayed(self.stream, began)
        except Cut as cut:
            self.failure = cut.failure
            raise
        finally:
            self.waited += clock.monotonic() - began - self._busy_s
            self._pass_on = None

    async def _relayed(self, stream: Stream, began: float) -> bool:
        try:
            self._by = min(began + self.at.channel.timeout.idle, self._deadline)
            if not await self._response.relay(self._arrived, self._by):
                self._give(list(stream.end()))
                self._ended = True
        except (NetError, Malformed) as error:
            self._give(self._rest(error))
            self._ended = True
        return self._paused

    def _arrived(self, data: bytes) -> float | None:
        """Bytes came. Until when the next ones must; None: these are enough for now."""
        stream, pass_on = self.stream, self._pass_on
        assert stream is not None
        assert pass_on is not None
        began = clock.monotonic()
        fed = stream.feed(data)
        pieces = fed if type(fed) is list else list(fed)
        if pieces:
            if pieces[-1].failure is not None:
                self._give(pieces)
            elif not pass_on(pieces):
                self._paused = True
            by = began + self.at.channel.timeout.idle
            self._by = by if by < self._deadline else self._deadline
        self._ended = stream.done
        self._busy_s += clock.monotonic() - began
        return None if self._paused or self._ended else self._by

    def _give(self, pieces: list[Piece]) -> None:
        """Pass on what came before a failure, if there is one.

        Raises:
            Cut: there is.
        """
        failed = pieces[-1].failure if pieces else None
        if failed is not None:
            # Nothing follows a failure.
            pieces = pieces[:-1]
        if pieces and self._pass_on is not None and not self._pass_on(pieces):
            self._paused = True
        if failed is not None:
            raise Cut(failed, self.at)

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
                raise Cut(failed(Stalled()), self.at)
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
        """What a stream that broke off still says: one that told its finish is complete; audio tells none.

        Raises:
            Cut: it is not.
        """
        if self.stream is not None and isinstance(error, Lost) and not isinstance(self.stream, Bytes):
            with suppress(Malformed):
                return list(self.stream.end())
        raise Cut(failed(error), self.at) from None


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

    async def attempt(self, at: Candidate, wanted: Wanted) -> Answer | Failure:
        """Ask `at`; an answer whose first content is there, or why not.

        Raises:
            BadRequest: this provider cannot do what is asked.
            RequestTimeout: the body did not come in time.
            Whatever is wrong with a body that is not read whole.
        """
        wanted.accepted, wanted.heard, wanted.lost = None, [], ()
        provider = self._providers[at.channel.provider]
        if wanted.chat.native is not None:
            provider = speaking(provider, wanted.chat, at)
        began = clock.monotonic()
        patience_s = at.channel.timeout.first_byte
        if wanted.patience_s is not None:
            patience_s = min(patience_s, wanted.patience_s)
        first_by = min(began + patience_s, wanted.deadline)
        try:
            sending = self._send(provider, at, wanted, first_by)
            upload = wanted.upload
            response = await (sending if upload is None else in_time(sending, upload, wanted.deadline))
        except NetError as error:
            # One that the caller's own deadline kept from connecting says nothing of the channel.
            over = clock.monotonic() >= wanted.deadline - EARLY_S
            return _told_late(
                failed(Stalled() if over and isinstance(error, Unreachable) else error), wanted.deadline
            )
        except NoToken as error:
            return error.failure
        except Unsendable:
            return UNSENDABLE
        if upload is not None:
            # How long its sender took is no matter of the provider.
            began = upload.given_at or clock.monotonic()
            first_by = min(began + patience_s, wanted.deadline)
        try:
            answer = Answer(at, response, wanted.deadline)
            answer.lost = wanted.lost
            failure = await self._begin(answer, response, provider, wanted, first_by)
        except BaseException:
            response.close()
            raise
        if failure is not None:
            wanted.heard = answer.heard
            response.close()
            return _told_late(failure, wanted.deadline)
        answer.waited = answer.ttft_s = clock.monotonic() - began
        return answer

    def _send(self, provider: Provider, at: Candidate, wanted: Wanted, by: float) -> Awaitable[Response]:
        if at.channel.provider == "sim":
            return self._play(at, wanted)
        request = provider.request(wanted.chat, at, stream=wanted.stream, limit=wanted.limit)
        wanted.lost = request.lost
        if at.channel.provider in FRESH:
            return self._authorised(request, at, wanted, by)
        return self._out(request, at, wanted, by)

    async def _authorised(self, request: HttpRequest, at: Candidate, wanted: Wanted, by: float) -> Response:
        return await self._out(await self._credentials.authorised(request, at), at, wanted, by)

    def _out(self, request: HttpRequest, at: Candidate, wanted: Wanted, by: float) -> Awaitable[Response]:
        now = clock.monotonic()
        connect_s = max(SOME, min(at.channel.timeout.connect, wanted.deadline - now))
        return self._client.send(request, connect_s=connect_s, head_s=max(SOME, by - now))

    async def _begin(
        self, answer: Answer, response: Response, provider: Provider, wanted: Wanted, first_by: float
    ) -> Failure | None:
        now = clock.monotonic()
        if not 200 <= response.status < 300:
            # An error status decides by itself, whatever becomes of its body.
            body = await _beginning(response, min(now + ERROR_BODY_S, wanted.deadline))
            return _told(provider, response, body)
        wanted.accepted = answer.at.model
        asked = wanted.asked
        if asked.model != answer.at.model.id:
            asked = msgspec.structs.replace(asked, model=answer.at.model.id)
        if asked.task is not None:
            asked = msgspec.structs.replace(asked, content_type=response.headers.get("content-type"))
        try:
            if wanted.stream:
                answer.stream = provider.stream(asked)
                return await answer.first(first_by)
            total = answer.at.channel.timeout.total
            body = await response.whole(max(SOME, min(total, wanted.deadline - now)))
            answer.reply = provider.reply(body, asked)
        except (NetError, Malformed) as error:
            return failed(error)
        return None


async def _beginning(response: Response, by: float) -> bytes:
    """Of the body of an error as much as an error needs, or what of it came in time."""
    parts: list[bytes] = []
    with suppress(NetError):
        while sum(map(len, parts)) < ERROR_BODY_BYTES:
            part = await response.read(max(SOME, by - clock.monotonic()))
            if not part:
                break
            parts.append(part)
    return b"".join(parts)


def _nothing() -> None:
    """Nobody wants to know."""


def _told(provider: Provider, response: Response, body: bytes) -> Failure:
    """What the provider says went wrong, and the wait that its headers tell; a date there needs our clock."""
    failure = provider.failure(response.status, response.headers, body)
    wait_s = failure.retry_after_s
    if wait_s is None:
        wait_s = retry_after(response.headers, clock.wall_s())
    return msgspec.structs.replace(failure, retry_after_s=wait_s, request_id=id_of(response.headers))


def _told_late(failure: Failure, deadline: float) -> Failure:
    """Whose time was over, if it was the call's own and not the channel's."""
    if failure.cause != "slow" or failure.status is not None or clock.monotonic() < deadline - EARLY_S:
        return failure
    return msgspec.structs.replace(failure, message=LATE)
