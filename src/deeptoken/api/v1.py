"""The hot routes, ``/v1/*``: from an exchange to the path of a call and back.

Every answer has a request id; every error is one of `errors.py`, in the envelope; every call leaves a log
line and its metrics, whatever became of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol
from urllib.parse import parse_qs

import msgspec
from msgspec.structs import astuple

from deeptoken import clock
from deeptoken.api.address import Proxies
from deeptoken.api.audio import AUDIO, receive
from deeptoken.api.children import Children
from deeptoken.api.completions import TextEvents, TextWhole
from deeptoken.api.completions import error_body as text_error_body
from deeptoken.api.errors import JSON
from deeptoken.api.exchange import OPENAI, PREFLIGHT, Exchange, Form
from deeptoken.api.management.serve import encode as encode_decimals
from deeptoken.api.messages import HEADERS, MessageEvents, MessageWhole
from deeptoken.api.quote import Purse, quoted
from deeptoken.api.responses import ResponseEvents, ResponseWhole, error_body
from deeptoken.api.tasks import TASKS, TaskStream, TaskWhole
from deeptoken.catalog.listing import entry
from deeptoken.catalog.tokens import input_tokens
from deeptoken.errors import (
    BadRequest,
    ClientGone,
    DeeptokenError,
    KeyInvalid,
    MethodNotAllowed,
    ModelNotFound,
    NotFound,
    Overloaded,
)
from deeptoken.gateway.inbound import Inbound
from deeptoken.gateway.refusal import Replay
from deeptoken.gateway.serve import Gateway
from deeptoken.gateway.trace import Bill, Trace
from deeptoken.gateway.upstream import Cut
from deeptoken.gateway.webhooks import Webhooks
from deeptoken.identity.caller import Caller
from deeptoken.ledger.postings import Room
from deeptoken.money import NanoUsd, credits, credits_json
from deeptoken.observe.logs import Log, timestamp
from deeptoken.observe.metrics import Metrics
from deeptoken.observe.record import Record
from deeptoken.settings import Server
from deeptoken.wire import completions, messages, messages_errors, responses
from deeptoken.wire.usage import Usage

Handler = Callable[[Exchange], Awaitable[None]]

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
COUNT_TOKENS = "/v1/messages/count_tokens"
COMPLETIONS = "/v1/completions"
RESPONSES = "/v1/responses"
MODELS = "/v1/models/"
KEYS = "/v1/keys"
MESSAGE = Form(
    whole=MessageWhole,
    events=MessageEvents,
    error_body=messages_errors.error_body,
    request_id=b"request-id",
)
RESPONSE = Form(whole=ResponseWhole, events=ResponseEvents, error_body=error_body)
TEXT = Form(whole=TextWhole, events=TextEvents, error_body=text_error_body)
TASK = Form(whole=TaskWhole, events=TaskStream, error_body=OPENAI.error_body)
NOTHING = Usage()
NO_CREDITS = credits_json(NanoUsd(0))
OPERATORS = ("credential", "misconfigured")
"""Failures that the operator has to cure."""


class Books(Purse, Protocol):
    """What the routes read of the ledger."""

    async def room(self, wallet: str) -> Room: ...
    async def generation(self, wallet: str, id: str) -> Mapping[str, Any] | None: ...


class V1:
    """Answers ``/v1/*``."""

    def __init__(
        self,
        gateway: Gateway,
        books: Books,
        children: Children,
        webhooks: Webhooks,
        log: Log,
        metrics: Metrics,
        server: Server,
        news: Callable[[], Awaitable[bool]],
    ) -> None:
        self.draining = False
        self.used: dict[str, int] = {}
        """When each key was used last, in microseconds since 1970, until somebody takes it."""
        self._gateway = gateway
        self._books = books
        self._children = children
        self._webhooks = webhooks
        self._log = log
        self._metrics = metrics
        self._server = server
        self._news = news
        """Whether something was written that the snapshot did not have; it has it now."""
        self._proxies = Proxies(server.trusted_proxies)
        calls: dict[str, Handler] = {
            CHAT: self._chat_completions,
            COMPLETIONS: self._completions,
            MESSAGES: self._messages,
            RESPONSES: self._responses,
            **dict.fromkeys(TASKS, self._task),
            **dict.fromkeys(AUDIO, self._audio),
        }
        self._metered = frozenset(calls)
        """What a provider answers."""
        self._routes: dict[str, tuple[str, Handler]] = {
            **{path: ("POST", handler) for path, handler in calls.items()},
            COUNT_TOKENS: ("POST", self._count_tokens),
            "/v1/quote": ("POST", self._quote),
            KEYS: ("POST", self._child),
            "/v1/models": ("GET", self._models),
            "/v1/credits": ("GET", self._credits),
            "/v1/generation": ("GET", self._generation),
        }

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request. Its connection cancels the task when the client goes away: at once, wherever it
        waits."""
        if self.draining:
            exchange.keep_alive = False
        if self._proxies.trusted:
            exchange.call.address = self._proxies.client(exchange.call.address, exchange.headers)
        try:
            try:
                await self._handler(exchange)(exchange)
            except KeyInvalid:
                # It may have been made a moment ago.
                if not await self._news():
                    raise
                await self._handler(exchange)(exchange)
        except Replay as replay:
            _replay(exchange, replay)
        except (Exception, asyncio.CancelledError) as problem:
            error = self._told(exchange, problem)
            exchange.call.trace.status, exchange.call.trace.code = error.status, error.code
            await exchange.fail(error)
        finally:
            self._note(exchange)
            exchange.let_go()

    def _told(self, exchange: Exchange, problem: BaseException) -> DeeptokenError:
        """What the caller is told of a call that ended by `problem`; what is our fault is logged."""
        match problem:
            case Cut():
                return problem.error
            case DeeptokenError() if problem.status != DeeptokenError.status:
                return problem
            case asyncio.CancelledError():
                if exchange.left():
                    return ClientGone()
                return exchange.refusal or Overloaded(
                    "The gateway is stopping. Try again; another one may answer."
                )
        self._log.unexpected(exchange.call.id, problem)
        return DeeptokenError()

    def _handler(self, exchange: Exchange) -> Handler:
        path, method = exchange.path, exchange.method
        if path.startswith(MESSAGES):
            self._in_messages(exchange)
        if method == "OPTIONS":
            return self._preflight
        route = self._routes.get(path)
        if route is None and path.startswith(MODELS):
            route = ("GET", self._model)
        if route is None and path.startswith(f"{KEYS}/"):
            route = ("DELETE", self._end_child)
        if route is None:
            raise NotFound(f"There is no {path}. The documentation lists the endpoints.")
        allowed, handler = route
        if method != allowed:
            raise MethodNotAllowed(f"{path} takes {allowed}, not {method}.", allowed=(allowed, "OPTIONS"))
        return handler

    async def _preflight(self, exchange: Exchange) -> None:
        exchange.answer(204, b"", PREFLIGHT)

    # Calls. Their handlers only prepare: what they return is awaited, and is no coroutine around another.

    def _chat_completions(self, exchange: Exchange) -> Awaitable[None]:
        exchange.read_options()
        return self._gateway.answer(exchange.call, exchange)

    def _completions(self, exchange: Exchange) -> Awaitable[None]:
        exchange.form = TEXT
        exchange.call.read = completions.read
        return self._chat_completions(exchange)

    def _responses(self, exchange: Exchange) -> Awaitable[None]:
        exchange.form = RESPONSE
        exchange.call.read = responses.read
        return self._chat_completions(exchange)

    def _messages(self, exchange: Exchange) -> Awaitable[None]:
        self._in_messages(exchange)
        exchange.call.read = partial(messages.read, headers=_of_anthropic(exchange))
        return self._chat_completions(exchange)

    async def _count_tokens(self, exchange: Exchange) -> None:
        """By our own count, of the model that the key may call. It costs nothing."""
        caller = self._caller(exchange)
        with self._gateway.room:
            body = await exchange.read_body()
            chat = messages.read(body, _of_anthropic(exchange), counting=True)
            model = self._gateway.snapshot.serving(caller, chat.request.model).model
            _json(exchange, await asyncio.to_thread(input_tokens, chat, model.id))

    def _in_messages(self, exchange: Exchange) -> None:
        """Anthropic's clients have their own way to send a key, and their own errors."""
        exchange.form = MESSAGE
        if exchange.call.secret is None:
            exchange.call.secret = exchange.header(b"x-api-key")

    async def _quote(self, exchange: Exchange) -> None:
        exchange.read_options()
        _json(exchange, await quoted(self._gateway, self._books, exchange.call, exchange))

    def _task(self, exchange: Exchange) -> Awaitable[None]:
        exchange.form = TASK
        exchange.call.read = TASKS[exchange.path]
        return self._chat_completions(exchange)

    def _audio(self, exchange: Exchange) -> Awaitable[None]:
        exchange.form = TASK
        name, most = AUDIO[exchange.path], self._server.body_bytes_max
        exchange.call.receive = partial(receive, exchange, name, most)
        return self._chat_completions(exchange)

    async def _child(self, exchange: Exchange) -> None:
        caller = self._caller(exchange)
        with self._gateway.room:
            made = await self._children.create(caller, exchange.call.address, await exchange.read_body())
        exchange.answer(201, encode_decimals(made), [JSON])

    async def _end_child(self, exchange: Exchange) -> None:
        caller = self._caller(exchange)
        id = exchange.path.removeprefix(f"{KEYS}/")
        await self._children.end(caller, exchange.call.address, id)
        exchange.answer(204, b"", [])

    def _note(self, exchange: Exchange) -> None:
        call = exchange.call
        trace, caller = call.trace, call.trace.caller
        bill, answer, status = trace.bill, trace.answer, trace.status
        ended_us, duration = clock.wall_us(), clock.monotonic() - call.began
        waited = trace.waited if answer is None else trace.waited + answer.waited
        usage = NOTHING if bill is None else bill.usage
        if caller is not None:
            self.used[caller.key] = ended_us
        record = Record(
            timestamp(ended_us),
            "info" if status < 500 else "warning",
            "request",
            call.id,
            call.request_id,
            call.endpoint,
            None if caller is None else caller.key_name,
            None if caller is None else caller.owner,
            trace.model,
            trace.channel,
            trace.attempts,
            trace.stream,
            status,
            trace.code,
            trace.outcome,
            usage.prompt_tokens,
            usage.completion_tokens,
            NO_CREDITS if bill is None else credits_json(bill.charged),
            trace.ttft_ms,
            round(duration * 1_000),
            round((duration - waited) * 1_000, 3),
        )
        self._log.request(record)
        if call.endpoint in self._metered:
            label = self._label(trace)
            self._metrics.request(label, record, waited, astuple(usage))
            if answer is not None and trace.channel is not None:
                self._metrics.attempt(trace.channel, "ok" if answer.failure is None else "cut")
            if trace.failures:
                self._note_failures(call)
            if bill is not None:
                self._bill(call, bill, label)
            if trace.near is not None and caller is not None:
                self._webhooks.note(caller, trace.near)

    def _note_failures(self, call: Inbound) -> None:
        trace = call.trace
        if trace.lost:
            self._metrics.lost("failover", trace.lost)
        for failed, words in zip(trace.failures, trace.words, strict=True):
            self._metrics.attempt(failed.channel, failed.cause or "")
            if failed.cause in OPERATORS:
                facts = {"channel": failed.channel, "cause": failed.cause, "status": failed.status}
                self._log.event("channel_failed", "error", id=call.id, **facts, message=words)

    def _label(self, trace: Trace) -> str:
        """The id or the pattern that serves the model: a caller cannot make labels."""
        return "" if trace.asked is None else self._gateway.snapshot.catalog.label(trace.asked)

    def _bill(self, call: Inbound, bill: Bill, label: str) -> None:
        lost = bill.cost - bill.charged
        self._metrics.charged(label, bill.charged)
        if lost > 0:
            self._metrics.lost(call.trace.outcome or "", lost)
            self._log.event("operator_loss", "warning", id=call.id, credits=credits(NanoUsd(lost)))

    # What a key may see.

    def _caller(self, exchange: Exchange) -> Caller:
        call = exchange.call
        keys = self._gateway.snapshot.keys
        caller = call.trace.caller = keys.authenticate(call.secret, call.address, clock.wall_us())
        call.organization = exchange.header(b"x-deeptoken-org")
        return self._gateway.snapshot.charged(call, caller)

    async def _models(self, exchange: Exchange) -> None:
        caller = self._caller(exchange)
        catalog = self._gateway.snapshot.catalog
        entries = []
        for id in catalog.exact_ids(caller.group.name, caller.models):
            model = catalog.model(id, caller.group.name)
            if model is not None:
                entries.append(entry(model, caller.group))
        _json(exchange, {"object": "list", "data": entries})

    async def _model(self, exchange: Exchange) -> None:
        caller = self._caller(exchange)
        id = exchange.path.removeprefix(MODELS)
        model = self._gateway.snapshot.catalog.model(id, caller.group.name)
        if model is None or not caller.may_call(model.id):
            raise ModelNotFound(id)
        _json(exchange, entry(model, caller.group))

    async def _credits(self, exchange: Exchange) -> None:
        caller = self._caller(exchange)
        room = await self._books.room(caller.wallet)
        _json(
            exchange,
            {
                "wallet": caller.owner,
                "balance": credits_json(room.balance),
                "held": credits_json(NanoUsd(room.balance - room.available)),
                "available": credits_json(room.available),
            },
        )

    async def _generation(self, exchange: Exchange) -> None:
        caller = self._caller(exchange)
        asked = parse_qs(exchange.query).get("id", [""])[0]
        if not asked:
            raise BadRequest("id is required: the X-DeepToken-Id or X-Request-Id of a request.", param="id")
        row = await self._books.generation(caller.account, asked)
        if row is None:
            raise NotFound(f"No request of this key's owner has the id {asked!r}.", param="id")
        _json(exchange, row)


def _of_anthropic(exchange: Exchange) -> dict[str, str]:
    """The headers that a provider of Anthropic's dialect is told."""
    return {name.decode(): value for name in HEADERS if (value := exchange.header(name)) is not None}


def _json(exchange: Exchange, value: object) -> None:
    exchange.answer(200, msgspec.json.encode(value), [JSON])


def _replay(exchange: Exchange, replay: Replay) -> None:
    """The first answer again: its bytes, its id, its cost."""
    reply = replay.reply
    call = exchange.call
    if call.request_id == call.id:
        call.request_id = replay.id
    call.id = replay.id
    headers = [
        (b"content-type", reply.content_type.encode()),
        (b"x-deeptoken-cost", credits(reply.cost).encode()),
        (b"x-deeptoken-replay", b"true"),
    ]
    exchange.answer(reply.status, reply.body or b"", headers)
