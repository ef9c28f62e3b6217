"""What sim says, over HTTP: a provider that misbehaves on demand, for tests and demos.

    POST /v1/chat/completions, /v1/embeddings,       OpenAI's dialect
         /v1/moderations, /v1/images/generations,
         /v1/audio/speech, /v1/rerank,
         /v1/audio/transcriptions, .../translations
    POST /v1/messages, /v1/messages/count_tokens     Anthropic's
    POST /v1/responses                               OpenAI's Responses
    POST /v1beta/models/{id}:generateContent,        Gemini's, and below any other folder Vertex's
         :streamGenerateContent, :countTokens
    POST /v2/chat                                    Cohere's
    POST /model/{id}/converse, .../converse-stream   Bedrock's
    GET  /v1/models, /v1/models/{id}

The model's name decides (`providers/sim.py`); any key will do.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from deeptoken import clock, ids
from deeptoken.api import server as api
from deeptoken.errors import Refused
from deeptoken.providers import (
    sim,
    sim_anthropic,
    sim_bedrock,
    sim_cohere,
    sim_dialect,
    sim_gemini,
    sim_responses,
)
from deeptoken.providers.sim import Played, Step
from deeptoken.providers.sim_dialect import Dialect
from deeptoken.settings import Server
from deeptoken.wire import embeddings, images, moderations, multipart, rerank, sound, speech, transcriptions
from deeptoken.wire.chat import Chat, read
from deeptoken.wire.form import Form
from deeptoken.wire.http import Upload
from deeptoken.wire.transcriptions import TRANSCRIPTIONS, TRANSLATIONS

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

BODY_BYTES_MAX = 64 * 1024 * 1024
SHUTDOWN_SECONDS = 1
DIALECTS = (
    sim_anthropic.DIALECT,
    sim_gemini.DIALECT,
    sim_responses.DIALECT,
    sim_cohere.DIALECT,
    sim_bedrock.DIALECT,
)
"""Beside OpenAI's own."""
COUNTERS: Mapping[re.Pattern[str], Callable[[bytes], dict[str, Any]]] = {
    sim_anthropic.COUNT_TOKENS: sim_anthropic.counted,
    sim_gemini.COUNT_TOKENS: sim_gemini.counted,
}
"""Where tokens are only counted."""
NAMES = ("text", "echo", "slow", "error-503", "error-429-30", "empty", "stall", "cut")


class Mock:
    """The ASGI application. `options` are sim's: ``delay`` in seconds, ``pace`` in words a second."""

    def __init__(self, options: Mapping[str, float] | None = None) -> None:
        self.options = options or {}

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"The mock speaks HTTP only, not {scope['type']}.")
        body = await _body(receive)
        kind = dict(scope.get("headers", ())).get(b"content-type", b"").decode("latin-1")
        await _perform(self.answer(scope["method"], scope["path"], body, kind), scope, receive, send)

    def answer(self, method: str, path: str, body: bytes, kind: str = "") -> Played:
        """`kind` is the type of the body."""
        if len(body) > BODY_BYTES_MAX:
            return _error(path, 413, f"The body has more than {BODY_BYTES_MAX} bytes.")
        try:
            answer = self._posted(path, body, kind) if method == "POST" else None
        except Refused as refused:
            return _error(path, refused.status, refused.message, param=refused.param)
        except msgspec.DecodeError as error:
            return _error(path, 400, f"{error}.")
        if method == "GET":
            answer = _models(path)
        return answer or _error(path, 404, f"The mock has no {method} {path}.")

    def _posted(self, path: str, body: bytes, kind: str) -> Played | None:
        if path == "/v1/chat/completions":
            return self.play(read(body), f"chatcmpl-{ids.uuid7()}")
        if path in TASKS:
            return self.play(TASKS[path](body, kind), ids.uuid7())
        for where, counted in COUNTERS.items():
            if where.fullmatch(path):
                return _whole(counted(body))
        found = _dialect(path)
        return None if found is None else self._translated(body, *found)

    def _translated(self, body: bytes, dialect: Dialect, path: re.Match[str]) -> Played:
        chat = dialect.read(body, path)
        return sim_dialect.translated(self.play(chat, f"{dialect.id}{ids.uuid7()}"), chat, dialect)

    def play(self, chat: Chat, id: str) -> Played:
        return sim.play(
            chat,
            chat.request.model,
            stream=chat.stream,
            limit=None,
            options=self.options,
            id=id,
            created=clock.wall_s(),
        )


class _Whole:
    """A form that has come whole and goes to nobody."""

    taken = False
    awaited = False
    given_at: float | None = None
    content_type = ""

    def __init__(self, form: Form) -> None:
        self.likely_s = sound.read(form.file_head).likely_s(form.file_bytes)

    def named(self, model: str) -> Upload:
        raise NotImplementedError


def _json(read: Callable[[bytes], Chat]) -> Callable[[bytes, str], Chat]:
    return lambda body, _: read(body)


def _heard(name: str, body: bytes, kind: str) -> Chat:
    form = Form(multipart.boundary(kind))
    form.feed(body)
    form.end()
    return transcriptions.read(name, form, len(body), _Whole(form))


TASKS: Mapping[str, Callable[[bytes, str], Chat]] = {
    **{f"/v1/{kind.NAME}": _json(kind.read) for kind in (embeddings, images, moderations, rerank, speech)},
    **{f"/v1/{name}": partial(_heard, name) for name in (TRANSCRIPTIONS, TRANSLATIONS)},
}
"""What reads a body, and its type, of what is no chat."""


class BreakableProtocol(HttpToolsProtocol):
    """ASGI has no word for breaking a connection; this gives the application one."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["break"] = self.transport.close


async def serve(host: str, port: int, *, options: Mapping[str, float] | None = None) -> None:
    """Answer until the process is told to stop."""
    with listen(host, port) as listener:
        await _server(options).serve(sockets=[listener])


@asynccontextmanager
async def running(
    host: str = "127.0.0.1", port: int = 0, *, options: Mapping[str, float] | None = None
) -> AsyncIterator[str]:
    """The mock beside other work, on a free port; gives its base URL, ``http://127.0.0.1:41235/v1``."""
    server = _server(options)
    with listen(host, port) as listener:
        # Not a group of tasks: it would wrap what the caller's block raises.
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://{host}:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            await serving


def _server(options: Mapping[str, float] | None) -> uvicorn.Server:
    config = uvicorn.Config(
        Mock(options),
        http=BreakableProtocol,
        lifespan="off",
        log_level="error",
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return uvicorn.Server(config)


def listen(host: str, port: int) -> socket.socket:
    """A socket whose connections send each piece at once, else why there is none, as `serve` says it.

    asyncio does not see to that on a socket that it did not open: a head would go out, and its body wait
    40 ms for the client to acknowledge it.
    """
    listener = api.listen(Server(host=host, port=port))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


async def _body(receive: Receive) -> bytes:
    """The whole body, or as much of it as shows that it is too large."""
    parts: list[bytes] = []
    size = 0
    while size <= BODY_BYTES_MAX:
        event = await receive()
        part = event.get("body", b"")
        parts.append(part)
        size += len(part)
        if not event.get("more_body"):
            break
    return b"".join(parts)


async def _perform(played: Played, scope: Event, receive: Receive, send: Send) -> None:
    begun = False
    for step in played.steps:
        if step.wait_s and await _client_left(receive, step.wait_s):
            return
        if not begun:
            await send({"type": "http.response.start", "status": played.status, "headers": _headers(played)})
            begun = True
        await send({"type": "http.response.body", "body": step.data, "more_body": True})
    if played.breaks:
        _break(scope)
    if played.breaks or played.stalls:
        while not await _client_left(receive, None):
            pass
        return
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _headers(played: Played) -> list[tuple[bytes, bytes]]:
    headers = [(name.encode(), value.encode()) for name, value in played.headers.items()]
    match played.steps:
        case (Step(data=whole),) if not played.breaks:
            headers.append((b"content-length", b"%d" % len(whole)))
    return headers


def _break(scope: Event) -> None:
    close = scope.get("state", {}).get("break")
    if close is None:
        raise ConnectionResetError("The mock was asked to break the connection.")
    close()


async def _client_left(receive: Receive, seconds: float | None) -> bool:
    try:
        async with asyncio.timeout(seconds):
            event = await receive()
    except TimeoutError:
        return False
    return bool(event["type"] == "http.disconnect")


def _dialect(path: str) -> tuple[Dialect, re.Match[str]] | None:
    """The dialect that is asked here, and what the path says."""
    for dialect in DIALECTS:
        if found := dialect.path.fullmatch(path):
            return dialect, found
    return None


def _whole(value: object, *, status: int = 200) -> Played:
    return Played(status=status, headers=sim.JSON, steps=(Step(0.0, msgspec.json.encode(value)),))


def _error(path: str, status: int, message: str, *, param: str | None = None) -> Played:
    for dialect in DIALECTS:
        if dialect.error is not None and dialect.place.match(path):
            return _whole(dialect.error(status, message), status=status)
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return _whole({"error": error}, status=status)


def _models(path: str) -> Played | None:
    if path == "/v1/models":
        return _whole({"object": "list", "data": [_model(name) for name in NAMES]})
    name = path.removeprefix("/v1/models/")
    return None if name == path else _whole(_model(name))


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "sim"}
