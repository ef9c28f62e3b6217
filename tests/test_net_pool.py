"""The client's connections: which is used, which is dropped, and its second try."""

import asyncio
import itertools

import pytest

from deeptoken.net import Client, Lost
from deeptoken.request import CACHED_MAX
from upstreams import (
    Run,
    ScriptedServer,
    answer,
    answering,
    both_loops,
    chunked,
    fetch,
    read_request,
    reset,
    send,
)


@both_loops
def test_requests_one_after_the_other_share_a_connection(run: Run) -> None:
    async def main() -> None:
        answers = (answer(b"one"), chunked(b"t", b"wo"), answer(status="204 No Content"), answer(b"four"))
        async with ScriptedServer(answering(*answers)) as server:
            client = Client()

            bodies = [await fetch(client, server.url(f"/{number}")) for number in range(4)]

            assert bodies == [b"one", b"two", b"", b"four"]
            assert server.connections == 1
            await client.close()

    run(main)


@both_loops
def test_an_answer_leaves_its_connection_when_its_end_is_there_even_unread(run: Run) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(answer(b"one"), answer(b"two"))) as server:
            client = Client()

            first = await send(client, server.url())
            second = await send(client, server.url())

            assert [await second.whole(5), await first.whole(5)] == [b"two", b"one"]
            assert server.connections == 1
            await client.close()

    run(main)


@both_loops
def test_requests_at_the_same_time_have_connections_of_their_own_and_idle_max_stay(run: Run) -> None:
    async def main() -> None:
        gate = asyncio.Event()
        ended = asyncio.Semaphore(0)

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await read_request(reader):
                await gate.wait()
                writer.write(answer(b"ok"))
            ended.release()

        async with ScriptedServer(handler) as server:
            client = Client(idle_max=2)
            calls = [asyncio.create_task(fetch(client, server.url())) for _ in range(3)]
            await server.reached(3)

            gate.set()
            await asyncio.gather(*calls)

            await ended.acquire()
            await asyncio.gather(*[fetch(client, server.url()) for _ in range(2)])
            assert server.connections == 3
            await client.close()

    run(main)


@both_loops
def test_the_connection_used_last_is_used_next_and_the_others_expire(run: Run) -> None:
    async def main() -> None:
        numbers = itertools.count(1)
        served: list[int] = []
        ended: asyncio.Queue[int] = asyncio.Queue()
        both = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            number = next(numbers)
            while request := await read_request(reader):
                served.append(number)
                if request.line.startswith("POST /wait"):
                    if len(served) == 2:
                        both.set()
                    await both.wait()
                writer.write(answer(b"ok"))
            ended.put_nowait(number)

        async with ScriptedServer(handler) as server:
            client = Client(keep_alive_s=0.05)
            await asyncio.gather(*[fetch(client, server.url("/wait")) for _ in range(2)])

            while ended.empty():
                await fetch(client, server.url())

            last = served[-1]
            assert set(served[2:]) == {last}
            assert await ended.get() == 3 - last
            assert await ended.get() == last
            await client.close()

    run(main)


@both_loops
@pytest.mark.parametrize(
    "noise", [b"", b"\r\n", b"HTTP/1.1 408 Timeout\r\n\r\n"], ids=["end", "line", "answer"]
)
def test_an_idle_connection_that_is_closed_or_speaks_is_dropped(run: Run, noise: bytes) -> None:
    async def main() -> None:
        speak = asyncio.Event()
        gone = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(answer(b"ok"))
            if server.connections > 1:
                return
            await speak.wait()
            if noise:
                writer.write(noise)
            else:
                writer.write_eof()
            assert await reader.read() == b""
            gone.set()

        async with ScriptedServer(handler) as server:
            client = Client()
            await fetch(client, server.url())

            speak.set()
            await gone.wait()

            assert await fetch(client, server.url()) == b"ok"
            assert server.connections == 2
            await client.close()

    run(main)


@both_loops
@pytest.mark.parametrize("hard", [False, True], ids=["end", "reset"])
def test_a_request_on_a_pooled_connection_that_died_is_sent_once_more_on_a_new_one(
    run: Run, hard: bool
) -> None:
    async def main() -> None:
        seen: list[bytes] = []

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            first = server.connections == 1
            while request := await read_request(reader):
                seen.append(request.body)
                if first and len(seen) == 2:
                    if hard:
                        reset(writer)
                    return
                writer.write(answer(b"ok"))

        async with ScriptedServer(handler) as server:
            client = Client()
            await fetch(client, server.url(), b"a")

            assert await fetch(client, server.url(), b"b") == b"ok"

            assert seen == [b"a", b"b", b"b"]
            assert server.connections == 2
            await client.close()

    run(main)


@both_loops
def test_a_large_body_on_a_pooled_connection_that_died_is_sent_again_whole(run: Run) -> None:
    async def main() -> None:
        body = bytes(range(256)) * 16_384
        bodies: list[bytes] = []

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if server.connections == 1:
                await read_request(reader)
                writer.write(answer(b"ok"))
                await reader.readuntil(b"\r\n\r\n")
                reset(writer)
                return
            while request := await read_request(reader):
                bodies.append(request.body)
                writer.write(answer(b"ok"))

        async with ScriptedServer(handler) as server:
            client = Client()
            await fetch(client, server.url())

            assert await fetch(client, server.url(), body) == b"ok"

            assert bodies == [body]
            await client.close()

    run(main)


@both_loops
def test_there_is_no_second_try_on_a_new_connection(run: Run) -> None:
    async def main() -> None:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)

        async with ScriptedServer(handler) as server:
            client = Client()

            with pytest.raises(Lost) as lost:
                await send(client, server.url())

            assert not lost.value.head
            assert server.connections == 1
            await client.close()

    run(main)


@both_loops
def test_there_is_no_second_try_after_a_byte_of_an_answer_and_none_after_the_second(run: Run) -> None:
    async def main() -> None:
        word = b"H"

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if server.connections % 2:
                await read_request(reader)
                writer.write(answer(b"ok"))
            await read_request(reader)
            writer.write(word)

        async with ScriptedServer(handler) as server:
            client = Client()
            await fetch(client, server.url())
            with pytest.raises(Lost):
                await send(client, server.url())
            assert server.connections == 1

            word = b""
            server.connections = 0
            await fetch(client, server.url())
            with pytest.raises(Lost):
                await send(client, server.url())
            assert server.connections == 2
            await client.close()

    run(main)


@both_loops
@pytest.mark.parametrize(
    "raw",
    [
        answer(b"ok") + b"garbage",
        answer(b"ok") + b"H",
        answer(b"ok") + answer(b"evil"),
        chunked(b"ok") + answer(b"evil"),
        answer(b"ok", "Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
    ids=["garbage", "beginning", "second answer", "after chunks", "close", "1.0"],
)
def test_a_connection_is_not_used_again_if_the_next_answer_could_be_mistaken(run: Run, raw: bytes) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(raw)) as server:
            client = Client()

            bodies = [await fetch(client, server.url()) for _ in range(2)]

            assert bodies == [b"ok", b"ok"]
            assert server.connections == 2
            await client.close()

    run(main)


@both_loops
def test_an_origin_forgotten_while_it_answers_gives_its_connection_up(run: Run) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(answer(b"ok"))) as server:
            client = Client()
            pool = client._pools.find(server.url()).pool
            sending = asyncio.create_task(fetch(client, server.url()))
            await server.reached(1)

            client._pools._prune()
            await sending

            assert not pool.idle
            assert client._pools._to(pool.origin) is not pool
            await client.close()

    run(main)


def test_origins_that_nobody_calls_any_more_are_forgotten() -> None:
    client = Client()

    for number in range(3_000):
        client._pools.find(f"http://host{number}.test/")

    assert len(client._pools._pools) <= CACHED_MAX
