"""Gemini and Claude on Vertex AI (Gemini Enterprise Agent Platform): one address, two dialects.

    publishers/google       generateContent, streamGenerateContent: as Gemini's own API
    publishers/anthropic    rawPredict, streamRawPredict: Anthropic's Messages, the model in the address

Source: docs.cloud.google.com/gemini-enterprise-agent-platform/reference/rest, .../models/locations,
.../models/partner-models/claude/use-claude, .../models/start/express-mode and the libraries google-genai 3.6
and anthropic; read 2026-11-25. A model is Anthropic's if its name starts with `claude` or ``anthropic/``. The
secret is

    a service account's key    JSON; `gateway/credentials.py` makes tokens of it; it names the project too
    an API key                 ``AIza...``, ``AQ. ...``: Gemini alone; needs no project
    an access token            anything else

An answer is read as what it shows itself to be: the one who reads it does not know whom it was asked of.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from deeptoken.catalog.model import Candidate
from deeptoken.errors import BadRequest
from deeptoken.providers import gemini
from deeptoken.providers.anthropic import Anthropic
from deeptoken.providers.anthropic_request import body as messages_body
from deeptoken.providers.anthropic_tools import unenforced
from deeptoken.providers.base import Asked, Failure, Piece, Reply, Stream, unable
from deeptoken.providers.gemini_answer import failure
from deeptoken.providers.gemini_frames import BLANK
from deeptoken.providers.gemini_stream import ContentStream
from deeptoken.wire.chat import Chat
from deeptoken.wire.http import HttpRequest, Unsendable

GLOBAL = "global"
MULTI_REGIONS = ("us", "eu")
API_VERSION = re.compile(r"/v\d\w*$")
API_KEY = ("AIza", "AQ.")
CLAUDE_VERSION = "vertex-2023-10-16"
NOT_THERE = ("model", "service_tier")
"""Fields of Messages that Vertex refuses."""
CLAUDES = re.compile(rb'\s*\{\s*"type"')
"""How each event and each answer of Messages begins."""
HEAD_BYTES = 64
"""Enough of a stream's start to know it by."""


class _Shown(msgspec.Struct):
    type: str = ""


_shown = msgspec.json.Decoder(_Shown)


class Vertex:
    name = "vertex"

    def request(self, chat: Chat, at: Candidate, *, stream: bool, limit: int | None) -> HttpRequest:
        """Raises:
        BadRequest: the model cannot do what is asked; `param` names it.
        Unsendable: the channel has no project, and its credential names none.
        """
        if chat.task is not None:
            raise unable("Vertex", chat.task)
        publisher, _, model = at.upstream_model.rpartition("/")
        if publisher == "anthropic" or model.startswith("claude"):
            at = msgspec.structs.replace(at, upstream_model=model)
            return self._claude(chat, at, stream=stream, limit=limit)
        url = f"{_place(at, keyed=True)}/publishers/{publisher or 'google'}/models/{quote(model, safe='@')}"
        written, lost = gemini.written(chat, at, limit=limit, vertex=True)
        return HttpRequest(
            f"{url}:{gemini.method(stream=stream)}", _headers(at.channel.secret), written, lost=lost
        )

    def _claude(self, chat: Chat, at: Candidate, *, stream: bool, limit: int | None) -> HttpRequest:
        try:
            wanted = messages_body(chat, at, stream=stream, limit=limit)
            fields: dict[str, Any] = {"anthropic_version": CLAUDE_VERSION, **wanted.fields}
            for name in NOT_THERE:
                fields.pop(name, None)
            written = msgspec.json.encode(fields)
            lost = unenforced(chat)
        except RecursionError:
            raise BadRequest("A schema or message is nested too deeply.") from None
        headers = _headers(at.channel.secret)
        if wanted.betas:
            headers += (("anthropic-beta", ",".join(wanted.betas)),)
        url = f"{_place(at, keyed=False)}/publishers/anthropic/models/{quote(at.upstream_model, safe='@')}"
        return HttpRequest(
            f"{url}:{'streamRawPredict' if stream else 'rawPredict'}", headers, written, lost=lost
        )

    def reply(self, body: bytes, asked: Asked) -> Reply:
        return Anthropic().reply(body, asked) if _is_claudes(body) else gemini.reply(body, asked)

    def stream(self, asked: Asked) -> Stream:
        return PublisherStream(asked)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        if _is_claudes(body):
            return Anthropic().failure(status, headers, body)
        return failure(status, headers, body)


class PublisherStream:
    """One streamed answer, of whichever publisher it turns out to be."""

    __slots__ = ("_asked", "_head", "_inner", "upstream_id")

    def __init__(self, asked: Asked) -> None:
        self.upstream_id: str | None = None
        self._asked = asked
        self._head = b""
        self._inner: Stream | None = None

    @property
    def done(self) -> bool:
        return self._inner.done if self._inner else False

    def feed(self, data: bytes) -> Iterator[Piece]:
        if self._inner is None:
            self._head += data
            claudes = _begins_as_claude(self._head)
            if claudes is None and len(self._head) < HEAD_BYTES:
                return
            self._inner = self._read_as(claudes=bool(claudes))
            data = self._head
        yield from self._named(self._inner.feed(data))

    def end(self) -> Iterator[Piece]:
        if self._inner is None:
            self._inner = self._read_as(claudes=False)
            yield from self._named(self._inner.feed(self._head))
        yield from self._named(self._inner.end())

    def _named(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        for piece in pieces:
            self.upstream_id = self._inner.upstream_id if self._inner else None
            yield piece

    def _read_as(self, *, claudes: bool) -> Stream:
        return Anthropic().stream(self._asked) if claudes else ContentStream(self._asked)


def _begins_as_claude(head: bytes) -> bool | None:
    """Whether these are events of Messages; None: it does not show yet."""
    begun = head.lstrip(BLANK)
    while begun.startswith(b":"):
        begun = begun.partition(b"\n")[2].lstrip(BLANK)
    if begun.startswith(b"event:"):
        return True
    if begun[:1] == b"[":
        return False
    data = begun.removeprefix(b"data:")
    if len(data) < len(begun) or begun[:1] == b"{":
        shown = data.lstrip()
        if CLAUDES.match(shown):
            return True
        # The first key is there: it is another one.
        return False if re.match(rb'\{\s*"[^"]*"', shown) else None
    return None


def _is_claudes(body: bytes) -> bool:
    try:
        return _shown.decode(body).type in ("message", "error")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _headers(secret: str) -> tuple[tuple[str, str], ...]:
    """What the secret itself can say. A service account's key cannot: a token is made of it."""
    content: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    if not secret or secret.startswith("{"):
        return content
    if secret.startswith(API_KEY):
        return (*content, ("x-goog-api-key", secret))
    return (*content, ("authorization", f"Bearer {secret}"))


def _place(at: Candidate, *, keyed: bool) -> str:
    """The address up to the publisher. With an API key alone (`keyed`) it has no project."""
    channel = at.channel
    location = str(channel.options.get("location") or GLOBAL)
    base = channel.base_url.rstrip("/") or _host(location)
    if not API_VERSION.search(base):
        base += "/v1"
    project = str(channel.options.get("project") or "") or _project(channel.secret)
    if project:
        return f"{base}/projects/{quote(project, safe=':')}/locations/{quote(location)}"
    if keyed and channel.secret.startswith(API_KEY):
        return base
    raise Unsendable("The channel has no project.")


def _host(location: str) -> str:
    if location == GLOBAL:
        return "https://aiplatform.googleapis.com"
    if location in MULTI_REGIONS:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def _project(secret: str) -> str:
    """The project that a service account's key names."""
    if not secret.startswith("{"):
        return ""
    try:
        told = msgspec.json.decode(secret.encode())
    except msgspec.DecodeError:
        return ""
    return str(told.get("project_id") or "")
