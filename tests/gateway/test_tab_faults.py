"""What a call owes when a provider, a caller or we ourselves do not behave."""

import asyncio

from path_scene import Heard, Scene, chat

from deeptoken.catalog.model import Candidate, Channel
from deeptoken.money import usd
from deeptoken.providers.compatible import HOSTS
from deeptoken.providers.openai import OpenAI
from deeptoken.wire.chat import Chat
from deeptoken.wire.http import HttpRequest
from upstreams import ScriptedServer


def test_a_provider_that_ignores_its_limit_is_cut_off_and_the_operator_bears_what_it_sent() -> None:
    class Deaf(OpenAI):
        """Never tells the provider the limit."""

        def request(self, chat: Chat, at: Candidate, *, stream: bool, limit: int | None) -> HttpRequest:
            return super().request(chat, at, stream=stream, limit=None)

    async def main() -> tuple[Scene, Heard]:
        async with ScriptedServer(babbling) as server:
            channel = Channel("up", "openai", "up", server.url("/v1"), {"m": "m"}, secret="sk")
            scene = Scene("0.001", channels=(channel,), providers={"openai": Deaf(HOSTS[0])})
            return scene, await scene.ask(chat("a b c", "m", stream=True))

    scene, heard = asyncio.run(main())

    (row,) = scene.ledger.rows()
    assert heard.bill is not None
    assert heard.bill.dry == "wallet_empty"
    assert row.charged <= usd("0.001")
    assert row.charged < row.cost <= 2 * usd("0.001")
    assert scene.ledger.balance >= 0


def test_a_cap_is_never_passed_whatever_the_provider_counts() -> None:
    async def main() -> Scene:
        async with ScriptedServer(greedy) as server:
            channel = Channel("up", "openai", "up", server.url("/v1"), {"m": "m"}, secret="sk")
            scene = Scene("100", channels=(channel,))
            await scene.ask(chat("a b c", "m", max_tokens=20, max_cost_usd=0.0005))
            return scene

    scene = asyncio.run(main())

    (row,) = scene.ledger.rows()
    assert row.cost > usd("0.0005")
    assert row.charged <= usd("0.0005")
    assert scene.ledger.balance == usd("100") - row.charged


def test_a_long_answer_is_counted_in_tokens_whatever_its_length() -> None:
    async def main() -> tuple[Scene, Heard]:
        async with ScriptedServer(babbling) as server:
            channel = Channel("up", "openai", "up", server.url("/v1"), {"m": "m"}, secret="sk")
            scene = Scene("100", channels=(channel,))
            return scene, await scene.ask(chat("a", "m", stream=True, max_cost_usd=0.15))

    scene, heard = asyncio.run(main())

    (row,) = scene.ledger.rows()
    assert len(heard.text) > 256 * 1024
    assert len(heard.text) // 6 < row.usage.completion < len(heard.text) // 4


async def babbling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A stream that ends only when nobody listens."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
    while True:
        writer.write(
            b'data: {"id":"x","choices":[{"index":0,"delta":{"content":" word word word word"}}]}\n\n'
        )
        await writer.drain()


async def greedy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An answer that counts far more than it was allowed."""
    await reader.readuntil(b"\r\n\r\n")
    usage = b'{"prompt_tokens":1000,"completion_tokens":1000,"total_tokens":2000}'
    body = (
        b'{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"a"}}],"usage":%b}' % usage
    )
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    await writer.drain()
