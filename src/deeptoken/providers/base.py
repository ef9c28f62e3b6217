"""The contract of a provider: chat in, an HTTP request out; bytes in, chat out. Pure, all of it.

    request   the call as this provider wants it
    reply     a whole answer (status 2xx) as chat
    stream    a reader of a streamed answer (status 2xx): bytes in, pieces of chat out
    failure   what any other status means

A call that is no chat has its task in `Chat.task` and `Asked.task`; who cannot do it says `unable`.

An adapter knows no clock, no network, no settings and no retry. Fields it does not know travel untouched
where both sides speak the same dialect. What it delivers is OpenAI's dialect to the letter: canonical
model id, `choices` mended where a host breaks the rules, usage held apart for the one who settles.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol

import msgspec

from deeptoken.catalog.model import Candidate
from deeptoken.errors import BadRequest
from deeptoken.wire.chat import Chat
from deeptoken.wire.http import HttpRequest
from deeptoken.wire.task import Task
from deeptoken.wire.usage import Usage

Cause = Literal[
    "connect",  # never reached it: refused, DNS, TLS
    "outage",  # 5xx, 3xx, reset, a 2xx that is no answer
    "capacity",  # 429
    "slow",  # 408, no first byte in time, stalled
    "credential",  # 401, 402, 403 about our account, or it has no money
    "misconfigured",  # 404 for the model
    "caller",  # the request itself: any other 4xx
]


class Asked(msgspec.Struct, frozen=True):
    """What an answer must say that the provider does not know."""

    model: str
    """The canonical id."""
    id: str
    """For a provider that gives no id of its own."""
    created: int
    """Seconds since 1970, for a provider that tells no time."""
    dialect: str | None = None
    """The caller's own (`wire.chat.Native`): a provider that speaks it tells the answer in it too."""
    task: Task | None = None
    """Of a call that is no chat."""
    content_type: str | None = None
    """Of a task: what the head of the answer says of its body."""


class Failure(msgspec.Struct, frozen=True):
    """An attempt that failed, as a value. `message` is the provider's own words, or ours; never HTML."""

    cause: Cause
    message: str
    status: int | None = None
    code: str | None = None
    param: str | None = None
    kind: str | None = None
    """The provider's `type`."""
    retry_after_s: float | None = None
    request_id: str | None = None
    """The provider's own id of the request."""
    lasting: bool = False
    """Asked again there, the same would come of it."""


class Piece(msgspec.Struct):
    """A part of a streamed answer, as it comes. Each field may be empty.

    `data` is one ``chat.completion.chunk`` as JSON, without a ``usage`` key. `text` is what was generated
    in it (content, reasoning, refusal, tool arguments), for the meter. `content`: it commits the answer.
    `finish`: a finish reason was told. `usage` counts what the provider told up to here (the last one
    counts), `told` is the same as the provider wrote it, in OpenAI's shape, to be passed on. Of a task `raw`
    is the answer's own bytes, instead of `data`.
    """

    data: bytes = b""
    text: str = ""
    content: bool = False
    finish: bool = False
    usage: Usage | None = None
    told: msgspec.Raw | None = None
    failure: Failure | None = None
    """The stream said that it failed: an error event. Nothing follows it."""
    native: bytes = b""
    """One event's data in the caller's own dialect, as it came but for the model's name: where the provider
    speaks it too."""
    native_name: str = ""
    """That event's name, where `data` does not say it to whoever passes it on."""
    raw: bytes = b""
    units: Usage | None = None
    """Of a task: what was told that is no token."""


class Reply(msgspec.Struct):
    """A whole answer. `fields` are a ``chat.completion``'s or a task's, without ``usage``."""

    fields: dict[str, Any]
    text: str = ""
    usage: Usage | None = None
    told: msgspec.Raw | None = None
    upstream_id: str | None = None
    native: dict[str, msgspec.Raw] | None = None
    """The answer's own fields in the caller's own dialect, as a piece's."""
    units: Usage | None = None
    """Of a task: what was told that is no token."""
    body: bytes | None = None
    """Of a task whose answer goes on as it came: all of it, instead of `fields`."""
    content_type: str | None = None
    """Of such a body."""


class Malformed(Exception):
    """A 2xx whose body is no answer: HTML, empty, cut, not JSON, no choices. The message says which."""


def unable(label: str, task: Task) -> BadRequest:
    """For a provider that has no such task: the route goes on to the next one."""
    return BadRequest(f"{label} has no {task.name} here.")


class Stream(Protocol):
    """Reads one streamed answer. Bytes may be cut anywhere."""

    upstream_id: str | None
    """The provider's id of the answer, once told."""

    def feed(self, data: bytes) -> Iterable[Piece]:
        """The pieces that are complete with `data`.

        Raises:
            Malformed: these are no events of this dialect, or one is larger than the limit.
        """

    def end(self) -> Iterable[Piece]:
        """The last pieces, once the connection has ended. A stream that ended rightly has told a finish.

        Raises:
            Malformed: it was cut: neither a finish reason nor the dialect's own end was seen.
        """

    @property
    def done(self) -> bool:
        """The dialect's own end was seen: nothing more is to be waited for."""


class Provider(Protocol):
    """One wire format."""

    @property
    def name(self) -> str: ...

    def request(self, chat: Chat, at: Candidate, *, stream: bool, limit: int | None) -> HttpRequest:
        """`limit` is the most tokens to generate, if the wallet sets it; else the caller's own counts.

        Raises:
            errors.BadRequest: this provider cannot do what is asked; `param` names it.
        """

    def reply(self, body: bytes, asked: Asked) -> Reply:
        """Raises:
        Malformed: it is no answer.
        """

    def stream(self, asked: Asked) -> Stream: ...

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        """`headers` by lower-case name."""
