"""What the client sends, to whom, and what it refuses to send."""

import asyncio
import socket

import pytest

from deeptoken.net import Client, Lost, NetError, Unreachable
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
    fetch,
    read_request,
    send,
)


def speaks_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


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
@pytest.mark.skipif(not speaks_ipv6(), reason="this machine has no IPv6")
def test_an_ipv6_address_is_called_as_one(run: Run) -> None:
    async def main() -> None:
        seen: list[Received] = []
        async with ScriptedServer(answering(answer(b"six"), into=seen), host="::1") as server:
            client = Client()

            assert await fetch(client, server.url()) == b"six"

            assert seen[0].fields["host"] == f"[::1]:{server.port}"
            await client.close()

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
            assert max(len(client._pools._targets), len(client._heads.known)) <= 1_024
            await client.close()

    run(main)
