"""An attempt at a channel whose host speaks the caller's dialect, and at one that does not."""

import binascii
import json
from typing import Any

import msgspec
import pytest

from deeptoken import clock
from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.errors import BadRequest
from deeptoken.gateway.credentials import Credentials
from deeptoken.gateway.play import playing
from deeptoken.gateway.upstream import Answer, Upstream, Wanted
from deeptoken.money import PicoUsd
from deeptoken.net import Client
from deeptoken.providers.base import Asked, Failure, Piece
from deeptoken.providers.compatible import HOSTS
from deeptoken.providers.openai import OpenAI
from deeptoken.providers.registry import PROVIDERS
from deeptoken.wire import messages, responses
from deeptoken.wire.chat import Chat
from deeptoken.wire.http import HttpRequest
from upstreams import Received, Run, ScriptedServer, answer, answering, both_loops

MODEL = Model("m", Price(id=1, model="m", rates=Rates(prompt=PicoUsd(0), completion=PicoUsd(0))))
SAID = {"type": "message", "content": [{"type": "output_text", "text": "Hello!"}]}
RESPONSE = {"id": "resp_1", "status": "completed", "model": "theirs", "output": [SAID]}
CHAT = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi!"}, "finish_reason": "stop"}]
}
EVENTS = (
    ("response.created", {"response": {**RESPONSE, "status": "in_progress", "output": []}}),
    ("response.output_text.delta", {"output_index": 0, "delta": "Hello!"}),
    ("response.completed", {"response": RESPONSE}),
)


def said(**fields: Any) -> Chat:
    return responses.read(json.dumps({"model": "m", "input": "Hello!", **fields}).encode())


def candidate(provider: str, base_url: str = "", **options: Any) -> Candidate:
    return Candidate(Channel("c", provider, "c", base_url, {}, options=options), MODEL, "theirs")


def wanted(chat: Chat, *, stream: bool = False) -> Wanted:
    asked = Asked(model="m", id="chatcmpl-1", created=1)
    return Wanted(chat, asked, stream=stream, limit=None, deadline=clock.monotonic() + 20)


def upstream(client: Client) -> Upstream:
    return Upstream(client, PROVIDERS, playing, Credentials(client))


@both_loops
@pytest.mark.parametrize("native", [True, False])
def test_a_response_is_asked_for_where_the_host_has_it_and_else_a_chat(run: Run, native: bool) -> None:
    async def main() -> None:
        seen: list[Received] = []
        body = answer(json.dumps(RESPONSE if native else CHAT).encode())
        async with ScriptedServer(answering(body, into=seen)) as server:
            client = Client()

            got = await upstream(client).attempt(
                candidate("vllm", server.url("/v1"), responses=native), wanted(said())
            )

            assert isinstance(got, Answer)
            assert got.reply is not None
            assert seen[0].line.split()[1] == ("/v1/responses" if native else "/v1/chat/completions")
            assert (got.reply.native is not None, got.reply.text) == (native, "Hello!" if native else "Hi!")
            got.close()
            await client.close()

    run(main)


@both_loops
def test_the_events_of_a_response_are_the_host_s_own(run: Run) -> None:
    async def main() -> None:
        told = b"".join(
            b"event: %b\ndata: %b\n\n" % (name.encode(), json.dumps({"type": name, **data}).encode())
            for name, data in EVENTS
        )
        async with ScriptedServer(answering(answer(told, "content-type: text/event-stream"))) as server:
            client = Client()
            at = candidate("vllm", server.url("/v1"), responses=True)
            got = await upstream(client).attempt(at, wanted(said(stream=True), stream=True))
            assert isinstance(got, Answer)
            pieces: list[Piece] = []

            def take(more: list[Piece]) -> bool:
                pieces.extend(more)
                return True

            while await got.relay(take):
                pass

            assert [piece.native_name for piece in pieces] == [name for name, _ in EVENTS]
            assert "".join(piece.text for piece in pieces) == "Hello!"
            assert json.loads(pieces[0].native)["response"]["model"] == "m"
            got.close()
            await client.close()

    run(main)


@both_loops
def test_what_no_chat_can_carry_is_refused_before_anybody_is_asked(run: Run) -> None:
    beyond = said(tools=[{"type": "custom", "name": "f"}])
    turns = [{"role": "user", "content": "Hello!"}]
    body = {
        "model": "m",
        "max_tokens": 9,
        "messages": turns,
        "tools": [{"type": "bash_20250124", "name": "bash"}],
    }
    claudes = messages.read(json.dumps(body).encode())

    async def main() -> None:
        client = Client()
        with pytest.raises(BadRequest) as refused:
            await upstream(client).attempt(candidate("sim"), wanted(beyond))
        assert refused.value.param == "tools[0].type"
        with pytest.raises(BadRequest) as refused:
            await upstream(client).attempt(candidate("gemini"), wanted(claudes))
        assert refused.value.param == "tools.0.type"
        await client.close()

    run(main)


@pytest.mark.parametrize(
    "at",
    [
        candidate("openai", "http://127.0.0.1:99999/v1"),
        candidate("openai", "http://[::1/v1"),
        candidate("openai", "https://a b/v1"),
        candidate("vertex"),
        Candidate(Channel("c", "openai", "c", "http://127.0.0.1:1/v1", {}, secret="\u20ac"), MODEL, "theirs"),
        Candidate(Channel("c", "openai", "c", "http://127.0.0.1:1/v1", {}, secret="a\nb"), MODEL, "theirs"),
        Candidate(Channel("c", "bedrock", "c", "https://h.example", {}, secret=":"), MODEL, "theirs"),
        Candidate(Channel("c", "bedrock", "c", "https://h.example", {}, secret="a:b"), MODEL, "theirs"),
    ],
    ids=["port", "host", "spaces", "project", "euro", "line end", "pair", "region"],
)
@both_loops
def test_a_channel_that_nothing_can_be_sent_to_is_misconfigured(run: Run, at: Candidate) -> None:
    async def main() -> None:
        client = Client()

        got = await upstream(client).attempt(at, wanted(said()))

        assert isinstance(got, Failure)
        assert (got.cause, got.status) == ("misconfigured", None)
        await client.close()

    run(main)


class Faulty(OpenAI):
    """It fails over its own feet."""

    error: Exception

    def request(self, chat: Chat, at: Candidate, *, stream: bool, limit: int | None) -> HttpRequest:
        raise self.error


@pytest.mark.parametrize("error", [ValueError(), binascii.Error(), msgspec.DecodeError()], ids=repr)
@both_loops
def test_a_fault_of_ours_is_not_the_channel_s(run: Run, error: Exception) -> None:
    async def main() -> None:
        client, faulty = Client(), Faulty(HOSTS[0])
        faulty.error = error
        made = Upstream(client, {"openai": faulty}, playing, Credentials(client))

        with pytest.raises(type(error)):
            await made.attempt(candidate("openai", "http://127.0.0.1:1/v1"), wanted(said()))

        await client.close()

    run(main)
