"""What is written in a turn of the loop leaves at its end, and nothing that came too late."""

import asyncio
from collections.abc import Callable
from typing import Any

from connection_scene import Wire, connect
from deeptoken.api.connection import Connection
from deeptoken.api.exchange import Exchange
from deeptoken.net import Client
from deeptoken.outbox import Outbox
from upstreams import Received, Run, ScriptedServer, answer, answering, both_loops, send

ASKED = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"


class Letter:
    """Writes down when it left; `then` happens with it."""

    def __init__(self, name: str, left: list[str], then: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self.left = left
        self.then = then

    def depart(self) -> None:
        self.left.append(self.name)
        self.then()


@both_loops
def test_those_of_a_turn_leave_together_in_their_order_and_later_ones_in_the_next(run: Run) -> None:
    async def main() -> None:
        outbox, left, loop = Outbox(), list[str](), asyncio.get_running_loop()
        await crowd(outbox)
        later = Letter("c", left)
        for letter in (Letter("a", left, lambda: outbox.put(later, loop)), Letter("b", left)):
            outbox.put(letter, loop)
            assert left == []

        await asyncio.sleep(0)
        assert left == ["a", "b"]
        await asyncio.sleep(0)
        assert left == ["a", "b", "c"]

    run(main)


@both_loops
def test_who_was_alone_in_the_turn_before_leaves_at_once(run: Run) -> None:
    async def main() -> None:
        outbox, left, loop = Outbox(), list[str](), asyncio.get_running_loop()
        for turn in (["a"], ["b", "c"], ["d"], ["e"]):
            for name in turn:
                outbox.put(Letter(name, left), loop)
            left.append("|")
            await asyncio.sleep(0)

        assert "".join(left) == "a|b|c|de|"

    run(main)


async def crowd(outbox: Outbox) -> None:
    """A turn with several writes."""
    for name in ("one", "another"):
        outbox.put(Letter(name, []), asyncio.get_running_loop())
    await asyncio.sleep(0)


async def served(exchange: Exchange) -> None:
    """Each path in its own way."""
    if exchange.query == "stream":
        exchange.begin(200, b"", b"one ")
        exchange.write(b"two ")
        exchange.write_last(b"three")
    elif exchange.query == "broken":
        exchange.begin(200, b"", b"one ")
        exchange.break_off()
    else:
        exchange.answer(200, b"whole", [])


async def connected(wire: Wire) -> Connection:
    made = connect(wire, served)
    await crowd(made.outbox)
    return made


async def turns() -> None:
    """More than three answers take."""
    for _ in range(20):
        await asyncio.sleep(0)


def asked(query: str) -> bytes:
    return ASKED.replace(b"models", b"models?" + query.encode())


def test_an_answer_leaves_at_the_end_of_its_turn_in_one_write() -> None:
    async def main() -> None:
        wire = Wire()
        connection = await connected(wire)
        connection.data_received(asked("stream"))
        await asyncio.sleep(0)
        assert wire.written == b""

        await asyncio.sleep(0)

        assert wire.written.endswith(b"\r\n\r\n4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n")
        assert not wire.ended
        connection.connection_lost(None)

    asyncio.run(main())


def test_what_is_no_http_behind_an_answer_that_has_not_left_yet_does_not_overtake_it() -> None:
    async def main() -> None:
        wire = Wire()
        connection = await connected(wire)
        connection.data_received(ASKED)
        await asyncio.sleep(0)
        assert wire.written == b""

        connection.data_received(b"\0\r\n\r\n")

        first, second = wire.written.split(b"whole")
        assert first.startswith(b"HTTP/1.1 200 OK\r\n")
        assert second.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        await asyncio.sleep(0)
        assert wire.written == first + b"whole" + second
        connection.connection_lost(None)

    asyncio.run(main())


def test_nothing_is_written_to_a_client_who_left_in_the_same_turn() -> None:
    async def main() -> None:
        wire = Wire()
        connection = await connected(wire)
        connection.data_received(ASKED)
        await asyncio.sleep(0)

        connection.connection_lost(None)
        await asyncio.sleep(0)

        assert wire.written == b""

    asyncio.run(main())


def test_an_answer_that_broke_off_leaves_before_its_connection_closes() -> None:
    async def main() -> None:
        wire = Wire()
        connection = await connected(wire)
        connection.data_received(asked("broken"))
        await asyncio.sleep(0)

        assert wire.written.endswith(b"\r\n\r\n4\r\none \r\n")
        assert wire.ended
        await asyncio.sleep(0)
        connection.connection_lost(None)

    asyncio.run(main())


def test_pipelined_answers_leave_in_the_order_of_their_requests() -> None:
    async def main() -> None:
        wire = Wire()
        connection = await connected(wire)
        connection.data_received(asked("stream") + ASKED + asked("stream"))
        await turns()

        assert wire.written.count(b"HTTP/1.1 200 OK") == 3
        assert wire.written.index(b"three") < wire.written.index(b"whole") < wire.written.rindex(b"one ")
        connection.connection_lost(None)

    asyncio.run(main())


@both_loops
def test_a_request_whose_connection_ends_in_the_same_turn_is_not_sent(run: Run) -> None:
    async def main() -> None:
        seen: list[Received] = []
        troubles: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
        async with ScriptedServer(answering(answer(b"ok"), into=seen)) as server:
            client = Client()
            await (await send(client, server.url())).whole(5)
            await crowd(client._outbox)
            sending = asyncio.create_task(send(client, server.url()))
            await asyncio.sleep(0)

            await client.close()

            assert isinstance((await asyncio.gather(sending, return_exceptions=True))[0], Exception)
        assert len(seen) == 1
        assert troubles == []

    run(main)


@both_loops
def test_a_connection_that_answers_before_it_was_asked_is_not_used_again(run: Run) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(answer(b"ok"))) as server:
            client = Client()
            await (await send(client, server.url())).whole(5)
            pool = client._pools.find(server.url()).pool
            (connection,) = pool.idle
            await crowd(client._outbox)
            sending = asyncio.create_task(send(client, server.url()))
            await asyncio.sleep(0)

            connection.data_received(answer(b"too soon"))

            assert connection.gone
            assert not pool.idle
            assert await (await sending).whole(5) == b"too soon"
            assert await (await send(client, server.url())).whole(5) == b"ok"
            await client.close()

    run(main)
