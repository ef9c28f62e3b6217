"""OpenAI's chat completions, and every host that speaks its dialect (`compatible.py` has the rows).

Source: platform.openai.com/docs/api-reference/chat and .../chat-streaming, read 2026-11-23; the ways in
which hosts differ are the fields of `Host`.

Both sides speak the same dialect: a request's fields go on as they came but for the model, the limit, the
usage that the gateway always asks for and what the host takes otherwise (`host.py`); an answer's go back
but for the canonical model and its usage, and what breaks the rules is mended (`wire/mend.py`).
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Raw

from deeptoken.catalog.model import Candidate
from deeptoken.errors import BadRequest
from deeptoken.providers import openai_tasks, refusal
from deeptoken.providers.base import Asked, Failure, Malformed, Piece, Reply, Stream
from deeptoken.providers.host import Host, fit, headers, set_limit, takes_stream_options, url
from deeptoken.providers.shape import Shape, Words, shape, words
from deeptoken.providers.translated import translated
from deeptoken.wire import mend
from deeptoken.wire.chat import Chat
from deeptoken.wire.choice import FIELDS, NULL, Broken, encode
from deeptoken.wire.completion import read_usage
from deeptoken.wire.http import HttpRequest
from deeptoken.wire.sse import Event, EventTooLarge, Reader
from deeptoken.wire.usage import Usage

TRUE = Raw(b"true")
COMPLETION = Raw(b'"chat.completion"')
CHUNK = Raw(b'"chat.completion.chunk"')
ERROR = Raw(b'"error"')
NO_CHOICES = Raw(b"[]")
BROKEN = (msgspec.DecodeError, ValueError, RecursionError)
"""What reading something else than an answer may raise; a number without end is a ValueError."""
NO_ID = (NULL, Raw(b'""'), None)
TIERS = tuple(
    Raw(tier) for tier in (b'"default"', b"null", b'"auto"', b'"flex"', b'"scale"', b'"priority"', b'"fast"')
)
SHAPES_MAX = 4
"""How often a stream's shape is learned: one that varies with each event has none."""
HEAD_BYTES = 2_048
"""How much of a stream without events is kept, to say what it was."""

_decode = msgspec.json.decode


class OpenAI:
    """One host of the dialect."""

    def __init__(self, host: Host) -> None:
        self.host = host

    @property
    def name(self) -> str:
        return self.host.name

    def request(self, chat: Chat, at: Candidate, *, stream: bool, limit: int | None) -> HttpRequest:
        host = self.host
        if chat.task is not None:
            return openai_tasks.request(host, chat, at)
        if not host.chats:
            raise BadRequest(f"{host.label} has no chats.")
        fields = chat.passing()
        fields["model"] = Raw(encode(at.upstream_model))
        fields.pop("stream", None)
        options = fields.pop("stream_options", None)
        if chat.native is not None:
            options = None
            fields["messages"] = translated(fields["messages"])
        if stream:
            fields["stream"] = TRUE
            if takes_stream_options(host, at):
                fields["stream_options"] = _with_usage(options)
        set_limit(fields, host, at, limit)
        fit(fields, chat, host, at)
        return HttpRequest(
            url=self.url(at, "chat/completions"), headers=self.headers(at), body=encode(fields)
        )

    def url(self, at: Candidate, path: str) -> str:
        """The address of `path` there, such as ``chat/completions``."""
        return url(self.host, at, path)

    def headers(self, at: Candidate) -> tuple[tuple[str, str], ...]:
        """The content type and the key, if there is one."""
        return headers(self.host, at)

    def reply(self, body: bytes, asked: Asked) -> Reply:
        if asked.task is not None:
            return openai_tasks.reply(self.host, body, asked)
        try:
            body.decode()  # fields that nobody here reads must be UTF-8 too
            return self._reply(FIELDS.decode(body), body, asked)
        except Broken as error:
            raise Malformed(str(error)) from None
        except BROKEN as error:
            raise Malformed(_what_it_is(body, error)) from None

    def _reply(self, fields: dict[str, Raw], body: bytes, asked: Asked) -> Reply:
        if _is_told(fields.get("error")) or fields.get("object") == ERROR:
            raise Malformed(f"an error under a 200: {refusal.words_of(body).message}")
        choices = fields.get("choices", NULL)
        if choices in (NULL, NO_CHOICES):
            raise Malformed("an answer without choices")
        own = _own_id(fields)
        answer_id = own or asked.id
        fields["choices"], text = mend.choices(choices, answer_id)
        usage, told = _usage(fields, self.host)
        _drop_own_tier(fields, self.host)
        fields["id"] = Raw(encode(answer_id))
        fields["object"] = COMPLETION
        fields["created"] = _created(fields, asked)
        fields["model"] = Raw(encode(asked.model))
        return Reply(fields=fields, text=text, usage=usage, told=told, upstream_id=own)

    def stream(self, asked: Asked) -> Stream:
        return ChunkStream(self.host, asked) if asked.task is None else openai_tasks.stream(self.host, asked)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return refusal.read(status, headers, body)


class ChunkStream:
    """A streamed answer: ``chat.completion.chunk`` events until ``[DONE]``."""

    __slots__ = (
        "_asked",
        "_begin",
        "_chunks",
        "_created",
        "_early",
        "_head",
        "_host",
        "_id",
        "_model",
        "_reader",
        "_shape",
        "_shapes",
        "_words",
        "done",
        "upstream_id",
    )

    def __init__(self, host: Host, asked: Asked) -> None:
        self._host = host
        self._asked = asked
        self._reader = Reader()
        self._chunks = mend.Chunks(asked.id)
        self._head: bytes | None = b""
        """The first bytes, until there is an event."""
        self._shape: Shape | None = None
        self._shapes = SHAPES_MAX
        self._words: Words | None = None
        """Of a choice that has not finished."""
        self._id: Raw | None = None
        self._created = NULL
        self._model = Raw(encode(asked.model))
        self._early: dict[str, Raw] = {}
        """What came before the id was known."""
        self.upstream_id: str | None = None
        self.done = False

    def feed(self, data: bytes) -> Iterable[Piece]:
        known, said = self._shape, self._words
        if known is not None and self._reader.idle:
            piece = None if said is None else said.piece(data)
            if piece is not None:
                return [piece]
            piece = known.piece(data, self._chunks)
            if piece is not None:
                if said is None and self._shapes:
                    self._shapes -= 1
                    self._words = words(known, data, piece)
                return [piece]
        return self._fed(data)

    def _fed(self, data: bytes) -> Iterator[Piece]:
        if self._head is not None and len(self._head) < HEAD_BYTES:
            self._head += data[:HEAD_BYTES]
        try:
            events = self._reader.feed(data)
        except EventTooLarge as error:
            raise Malformed(str(error)) from None
        for event in events:
            if self.done:
                return
            if event.data == b"[DONE]":
                yield from self._end()
                return
            try:
                piece = self._piece(event)
            except BROKEN as error:
                raise Malformed(f"an event is {_what_it_is(event.data, error)}") from None
            if piece is not None:
                if piece.finish:
                    self._words = None
                yield piece

    def end(self) -> Iterator[Piece]:
        for event in [] if self.done else self._reader.end():
            if event.data == b"[DONE]":
                yield from self._end()
                break
            try:
                piece = self._piece(event)
            except BROKEN:
                # The rest of an event that was cut. Once all is finished, nothing is missing.
                break
            if piece is not None:
                yield piece
        if self.done:
            return
        if self._head is not None:
            raise Malformed(no_events(self._head))
        if not self._chunks.finished:
            raise Malformed("the stream was cut: neither a finish reason nor [DONE]")
        self.done = True

    def _end(self) -> Iterator[Piece]:
        """[DONE] was seen: what has no finish reason stopped."""
        if not self._chunks.begun:
            raise Malformed("a stream without choices")
        self.done = True
        ends = self._chunks.finish()
        if ends:
            fields: dict[str, object] = {
                "id": self._id,
                "object": CHUNK,
                "created": self._created,
                "model": self._model,
                "choices": ends,
            }
            yield Piece(data=encode(fields), finish=True)

    def _piece(self, event: Event) -> Piece | None:
        data = _clean(event.data)
        if not data or data.isspace():
            return None
        self._head = None
        if event.name == "error":
            return self._failed(refusal.inside(data))
        fields = FIELDS.decode(data)
        if "error" in fields or "x_groq" in fields or "choices" not in fields:
            failure = _failure_of(fields, data)
            if failure is not None:
                return self._failed(failure)
            if "choices" not in fields:
                return None
        came = None if self._id is None else fields["choices"]
        usage, told = _usage(fields, self._host)
        if came is None and not self._begun(fields):
            return None if usage is None else Piece(usage=usage, told=told)
        try:
            mended = self._chunks.mend(fields["choices"])
        except Broken as error:
            return self._failed(Failure(cause="outage", message=str(error)))
        if mended.choices is None or (usage is not None and mended.choices == NO_CHOICES):
            return None if usage is None else Piece(usage=usage, told=told)
        _drop_own_tier(fields, self._host)
        fields["id"] = self._id or NULL
        fields["object"] = CHUNK
        fields["created"] = self._created
        fields["model"] = self._model
        fields["choices"] = mended.choices
        if mended.choices is came and usage is None:
            self._learn(data, fields, came)
        return Piece(encode(fields), mended.text, mended.content, mended.finish, usage, told)

    def _learn(self, data: bytes, fields: dict[str, Raw], choices: Raw) -> None:
        if self._shapes:
            self._shapes -= 1
            self._shape = shape(data, fields, choices)

    def _failed(self, failure: Failure) -> Piece:
        self.done = True
        return Piece(failure=failure)

    def _begun(self, fields: dict[str, Raw]) -> bool:
        """Settles the head of every chunk with the first one that has an id or a choice.

        Azure sends a chunk without either first (content filter results): it goes with the next one.
        """
        if fields["choices"] == NO_CHOICES and fields.get("id") in NO_ID:
            self._early.update(fields)
            return False
        for name, value in self._early.items():
            fields.setdefault(name, value)
        self.upstream_id = _own_id(fields)
        self._id = Raw(encode(self.upstream_id or self._asked.id))
        self._created = _created(fields, self._asked)
        return True


def _clean(data: bytes) -> bytes:
    """What is no UTF-8 becomes U+FFFD, as in all events; a line end between tokens becomes a space."""
    if data.isascii() and b"\n" not in data:
        return data
    return data.decode("utf-8", "replace").replace("\n", " ").encode()


def _usage(fields: dict[str, Raw], host: Host) -> tuple[Usage | None, Raw | None]:
    raw = fields.pop("usage", NULL)
    if raw == NULL:
        return None, None
    return read_usage(raw, reasoning_outside=host.reasoning_outside, counts_beside=host.counts_beside)


def _drop_own_tier(fields: dict[str, Raw], host: Host) -> None:
    if host.own_tiers and fields.get("service_tier", NULL) not in TIERS:
        del fields["service_tier"]


def _failure_of(fields: dict[str, Raw], data: bytes) -> Failure | None:
    """A chunk that says that the answer failed. Groq says it in `x_groq`, where its usage is too."""
    if _is_told(fields.get("error")) or fields.get("object") == ERROR:
        return refusal.inside(data)
    match _decode(fields.get("x_groq", NULL)):
        case {"error": str(why)} if why:
            return Failure(cause="outage", message=why)
        case {"usage": dict(usage)}:
            fields.setdefault("usage", Raw(encode(usage)))
    return None


def _with_usage(options: Raw | None) -> Raw:
    fields = {} if options is None or options == NULL else FIELDS.decode(options)
    fields["include_usage"] = TRUE
    return Raw(encode(fields))


def _what_it_is(body: bytes, error: Exception | None = None) -> str:
    start = body[:HEAD_BYTES].lstrip()
    if not start:
        return "an empty body"
    if start.startswith(b"<"):
        return "HTML instead of JSON"
    if not start.startswith(b"{"):
        return "no JSON object"
    return f"JSON that is cut or no answer: {error}"


def no_events(head: bytes) -> str:
    """What came instead of a stream."""
    if message := refusal.words_of(head).message:
        return f"no events, but: {message}"
    return f"no events, but {'JSON' if head.lstrip().startswith(b'{') else _what_it_is(head)}"


def _is_told(raw: Raw | None) -> bool:
    return raw is not None and raw != NULL


def _own_id(fields: dict[str, Raw]) -> str | None:
    told = _decode(fields.get("id", NULL))
    return told if isinstance(told, str) and told else None


def _created(fields: dict[str, Raw], asked: Asked) -> Raw:
    told = _decode(fields.get("created", NULL))
    if isinstance(told, int) and told > 0:
        return fields["created"]
    return Raw(encode(asked.created))
