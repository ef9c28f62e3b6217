"""The client's requests, its pool, and its second try."""

import asyncio
import itertools

import pytest

from deeptoken.net import Client, Lost, NetError, Response, Unreachable
from deeptoken.wire.http import HttpRequest
from upstreams import (
    Received,
    Run,
    ScriptedServer,
    answer,
    answering,
    both_loops,
    byte_by_byte,
    chunked,
    read_request,
    reset,
)


async def send(client: Client, url: str, body: bytes = b"", *, method: str = "POST") -> Response:
    return await client.send(HttpRequest(url, (), body, method), connect_s=5, head_s=5)


async def fetch(client: Client, url: str, body: bytes = b"") -> bytes:
    response = await send(client, url, body)
    return await response.whole(5)


@both_loops
def test_an_answer_has_its_status_and_its_headers_by_lower_case_name(run: Run) -> None:
    async def main() -> None:
        raw = answer(b"no", "X-Odd: a", "Empty:", "x-odd: b", status="418 Teapot")
        async with ScriptedServer(answering(raw)) as server:
            client = Client()

            response = await send(client, server.url())

            assert response.status == 418
            assert response.headers == {"x-odd": "a, b", "empty": "", "content-length": "2"}
            assert await response.whole(5) == b"no"
            await client.close()

    run(main)


@both_loops
def test_a_request_is_written_with_host_length_and_accepted_codings(run: Run) -> None:
    async def main() -> None:
        seen: list[Received] = []
        async with ScriptedServer(answering(answer(), into=seen)) as server:
            client = Client()
            headers = (("authorization", "Bearer é"), ("x-b", "2"))
            request = HttpRequest(server.url("/v1/chat?a=%20b#part"), headers, b"{}")

            (await client.send(request, connect_s=5, head_s=5)).close()

            assert seen[0].head.decode("latin-1") == (
                "POST /v1/chat?a=%20b HTTP/1.1\r\n"
                f"host: 127.0.0.1:{server.port}\r\n"
                "authorization: Bearer é\r\n"
                "x-b: 2\r\n"
                "accept-encoding: gzip, deflate\r\n"
                "content-length: 2\r\n\r\n"
            )
            assert seen[0].body == b"{}"
            await client.close()

    run(main)


@both_loops
def test_a_request_may_bring_its_own_host_and_codings_and_a_get_has_no_length(run: Run) -> None:
    async def main() -> None:
        seen: list[Received] = []
        async with ScriptedServer(answering(answer(), into=seen)) as server:
            client = Client()
            headers = (("host", "elsewhere"), ("accept-encoding", "identity"))

            for method in ("GET", "POST"):
                request = HttpRequest(server.url(""), headers, b"", method)
                (await client.send(request, connect_s=5, head_s=5)).close()

            assert seen[0].line == "GET / HTTP/1.1"
            assert seen[0].fields == {"host": "elsewhere", "accept-encoding": "identity"}
            assert seen[1].fields == seen[0].fields | {"content-length": "0"}
            await client.close()

    run(main)


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest("http://h/", (("x", "a\r\nb: c"),)),
        HttpRequest("http://h/", (("x", "a\nb"),)),
        HttpRequest("http://h/", (("x", "a\0b"),)),
        HttpRequest("http://h/", (("x", "☃"),)),
        HttpRequest("http://h/", (("x: y\r\nz", "a"),)),
        HttpRequest("http://h/", (("X-Upper", "a"),)),
        HttpRequest("http://h/", (("", "a"),)),
        HttpRequest("http://h/", (("content-length", "0"),)),
        HttpRequest("http://h/", (("transfer-encoding", "chunked"),)),
        HttpRequest("http://h/", (("connection", "close"),)),
        HttpRequest("http://h/", method="GET / HTTP/1.1\r\nx:"),
        HttpRequest("http://h/", method="get"),
        HttpRequest("http://h/a b"),
        HttpRequest("http://h/a\r\nb: c"),
        HttpRequest("http://h/a\tb"),
        HttpRequest("http://h/\x7f"),
        HttpRequest("http://h/ü"),
        HttpRequest("http://user:secret@h/"),
        HttpRequest("http:///path"),
        HttpRequest("http://h:0/"),
        HttpRequest("http://h:99999/"),
        HttpRequest("ftp://h/"),
        HttpRequest("/path"),
    ],
    ids=lambda request: repr((request.method, request.url, request.headers)),
)
def test_what_would_bend_a_request_is_refused_before_anything_is_sent(request_: HttpRequest) -> None:
    async def main() -> None:
        with pytest.raises(ValueError):  # noqa: PT011  (each kind has its own words)
            await Client().send(request_, connect_s=5, head_s=5)

    asyncio.run(main())


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
def test_the_parser_is_ready_for_the_next_answer_also_if_bytes_come_one_by_one(run: Run) -> None:
    async def main() -> None:
        raw = chunked(b"hello ", b"world", fields=("X-One: 1", "Empty:"))
        async with ScriptedServer(byte_by_byte(raw)) as server:
            client = Client()

            for _ in range(3):
                response = await send(client, server.url())
                assert response.headers == {"x-one": "1", "empty": "", "transfer-encoding": "chunked"}
                assert await response.whole(5) == b"hello world"

            assert server.connections == 1
            await client.close()

    run(main)


@both_loops
def test_nobody_there_is_unreachable(run: Run) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(answer())) as server:
            pass
        client = Client()

        for url in (server.url(), f"http://{'x' * 64}.test/"):
            with pytest.raises(Unreachable):
                await send(client, url)
        await client.close()

    run(main)


@both_loops
def test_an_ipv6_address_is_called_as_one(run: Run) -> None:
    async def main() -> None:
        seen: list[Received] = []
        try:
            server = await ScriptedServer(answering(answer(b"six"), into=seen), host="::1").__aenter__()
        except OSError:
            pytest.skip("no IPv6 here")
        client = Client()

        assert await fetch(client, server.url()) == b"six"

        assert seen[0].fields["host"] == f"[::1]:{server.port}"
        await client.close()
        await server.__aexit__(None, None, None)

    run(main)


@both_loops
def test_a_closed_client_loses_what_is_under_way_and_finds_nobody_any_more(run: Run) -> None:
    async def main() -> None:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while request := await read_request(reader):
                if request.line.startswith("POST /ok"):
                    writer.write(answer(b"ok"))
                elif request.line.startswith("POST /half"):
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")

        async with ScriptedServer(handler) as server:
            client = Client()
            half = await send(client, server.url("/half"))
            await fetch(client, server.url("/ok"))
            waiting = asyncio.create_task(send(client, server.url("/never")))
            await server.reached(2)
            await asyncio.sleep(0)

            await client.close()

            with pytest.raises(NetError):
                await waiting
            with pytest.raises(Lost):
                await half.whole(5)
            with pytest.raises(Unreachable):
                await send(client, server.url("/ok"))
            await client.close()

    run(main)


@both_loops
def test_many_urls_and_headers_are_not_remembered_for_ever(run: Run) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(answer(b"ok"))) as server:
            client = Client()

            for number in range(1_100):
                request = HttpRequest(server.url(f"/{number}"), (("x", str(number)),))
                assert await (await client.send(request, connect_s=5, head_s=5)).whole(5) == b"ok"

            assert server.connections == 1
            assert max(len(client._targets), len(client._fields)) <= 1_024
            await client.close()

    run(main)


@both_loops
def test_an_origin_forgotten_while_it_answers_gives_its_connection_up(run: Run) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(answer(b"ok"))) as server:
            client = Client()
            pool = client._learn(server.url()).pool
            sending = asyncio.create_task(fetch(client, server.url()))
            await server.reached(1)

            client._pools.prune()
            await sending

            assert not pool.idle
            assert client._pools.to(pool.origin) is not pool
            await client.close()

    run(main)
