"""What the client makes of an answer: its framing, its coding, its faults."""

import asyncio
import gzip
import zlib

import pytest

from deeptoken.net import Client, Garbled, Lost
from upstreams import (
    Run,
    ScriptedServer,
    answer,
    answering,
    both_loops,
    byte_by_byte,
    chunked,
    fetch,
    pieces,
    read_request,
    reset,
    send,
    then_closing,
)

TEXT = b"It is the sentence that is repeated. " * 30


@both_loops
def test_a_body_is_read_as_it_comes(run: Run) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for piece in (b"one", b"two"):
                await go.wait()
                go.clear()
                writer.write(b"3\r\n%s\r\n" % piece)
            await go.wait()
            writer.write(b"0\r\n\r\n")
            await read_request(reader)

        async with ScriptedServer(handler) as server:
            client = Client()
            response = await send(client, server.url())

            read = []
            for _ in range(3):
                go.set()
                read.append(await response.read(5))

            assert read == [b"one", b"two", b""]
            assert await response.read(5) == b""
            response.close()
            response.close()
            await client.close()

    run(main)


@both_loops
@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT)),
        ("GZIP", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:500]) + gzip.compress(b"") + gzip.compress(TEXT[500:])),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", zlib.compress(TEXT, wbits=-15)),
    ],
    ids=["identity", "gzip", "capitals", "x-gzip", "members", "zlib", "raw"],
)
def test_a_body_is_decoded_however_it_is_framed_and_cut(run: Run, coding: str, body: bytes) -> None:
    async def main() -> None:
        field = f"Content-Encoding: {coding}"
        in_bytes = chunked(*[body[place : place + 1] for place in range(len(body))], fields=(field,))
        whole = answering(answer(body, field), chunked(body, fields=(field,)), in_bytes)
        client = Client()
        for handler in (whole, byte_by_byte(answer(body, field))):
            async with ScriptedServer(handler) as server:
                for _ in range(3):
                    assert await fetch(client, server.url()) == TEXT
                    assert b"".join(await pieces(await send(client, server.url()))) == TEXT

                assert server.connections == 1
        await client.close()

    run(main)


@both_loops
def test_an_answer_without_a_length_ends_with_its_connection(run: Run) -> None:
    async def main() -> None:
        head = b"HTTP/1.1 200 OK\r\n\r\n"
        for raw, text in ((head + b"until the end", b"until the end"), (head, b"")):
            async with ScriptedServer(then_closing(raw)) as server:
                client = Client()

                assert await fetch(client, server.url()) == text

                assert await fetch(client, server.url()) == text
                assert server.connections == 2
                await client.close()

    run(main)


@both_loops
@pytest.mark.parametrize(
    ("method", "raw", "connections"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 2),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 2),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", 2),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", 1),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 1),
    ],
)
def test_an_answer_that_has_no_body_is_not_waited_for(
    run: Run, method: str, raw: bytes, connections: int
) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(raw)) as server:
            client = Client()

            for _ in range(2):
                assert await (await send(client, server.url(), method=method)).whole(5) == b""

            assert server.connections == connections
            await client.close()

    run(main)


@both_loops
def test_answers_that_only_announce_another_are_skipped(run: Run) -> None:
    async def main() -> None:
        early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        for handler in (answering(early + answer(b"ok")), byte_by_byte(early + answer(b"ok"))):
            async with ScriptedServer(handler) as server:
                client = Client()

                for _ in range(2):
                    response = await send(client, server.url())
                    assert (response.status, response.headers) == (200, {"content-length": "2"})
                    assert await response.whole(5) == b"ok"

                assert server.connections == 1
                await client.close()

    run(main)


@both_loops
def test_a_redirect_is_an_answer_like_any_other(run: Run) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(answer(b"", "Location: /b", status="307 Away"))) as server:
            client = Client()

            response = await send(client, server.url("/a"))

            assert (response.status, response.headers["location"]) == (307, "/b")
            assert server.connections == 1
            await client.close()

    run(main)


@both_loops
@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"<html>",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ],
)
def test_what_is_not_an_answer_in_http_is_garbled(run: Run, raw: bytes) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(raw)) as server:
            client = Client()

            with pytest.raises(Garbled):
                await send(client, server.url())

            assert not client._pools.find(server.url()).pool.idle
            await client.close()

    run(main)


@both_loops
def test_a_body_that_stops_being_http_gives_what_came_and_is_garbled(run: Run) -> None:
    async def main() -> None:
        raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\nxyz\r\n"
        async with ScriptedServer(answering(raw)) as server:
            client = Client()
            response = await send(client, server.url())

            assert await response.read(5) == b"one"
            with pytest.raises(Garbled):
                await response.read(5)
            with pytest.raises(Garbled):
                await response.whole(5)
            await client.close()

    run(main)


@both_loops
@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", b"this is no gzip"),
        ("gzip", gzip.compress(TEXT)[:-9]),
        ("gzip", gzip.compress(TEXT) + b"rest"),
        ("gzip", gzip.compress(TEXT)[:-8] + b"checksum"),
        ("deflate", b"\xff\xff\xff\xff"),
        ("deflate", b"\x78"),
        ("deflate", zlib.compress(TEXT) + b"rest"),
        ("br", b"\x0b\x02\x80hello\x03"),
        ("gzip, gzip", gzip.compress(gzip.compress(TEXT))),
    ],
    ids=["none", "cut", "rest", "checksum", "raw", "one byte", "rest of zlib", "not asked for", "twice"],
)
def test_a_body_that_is_not_in_the_coding_it_announces_is_garbled(run: Run, coding: str, body: bytes) -> None:
    async def main() -> None:
        raw = answer(body, f"Content-Encoding: {coding}", status="500 Oops")
        async with ScriptedServer(answering(raw)) as server:
            client = Client()
            response = await send(client, server.url())
            assert response.status == 500

            with pytest.raises(Garbled):
                await response.whole(5)
            with pytest.raises(Garbled):
                await pieces(await send(client, server.url()))
            await client.close()

    run(main)


@both_loops
@pytest.mark.parametrize("hard", [False, True], ids=["end", "reset"])
@pytest.mark.parametrize(
    ("raw", "head"),
    [
        (b"", False),
        (b"HTTP/1.1 200 OK\r\nConte", False),
        (b"HTTP/1.1 100 Continue\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n", True),
    ],
)
def test_an_answer_that_breaks_off_is_lost_after_what_came_of_it(
    run: Run, raw: bytes, head: bool, hard: bool
) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(raw)
            await writer.drain()
            if head:
                await go.wait()
            if hard:
                reset(writer)

        async with ScriptedServer(handler) as server:
            client = Client()

            read = b""
            with pytest.raises(Lost) as lost:  # noqa: PT012  (the head may be there)
                response = await send(client, server.url())
                read = await response.read(5)
                go.set()
                await response.read(5)

            assert (lost.value.head, read) == (head, b"part" if head else b"")
            await client.close()

    run(main)


@both_loops
def test_an_answer_without_a_length_that_ends_in_a_reset_is_lost(run: Run) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\npart")
            await go.wait()
            reset(writer)

        async with ScriptedServer(handler) as server:
            client = Client()
            response = await send(client, server.url())
            assert await response.read(5) == b"part"

            go.set()

            with pytest.raises(Lost):
                await response.read(5)
            await client.close()

    run(main)


@both_loops
def test_trailers_are_not_headers(run: Run) -> None:
    async def main() -> None:
        raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Late: 1\r\n\r\n"
        async with ScriptedServer(answering(raw, answer())) as server:
            client = Client()

            first = await send(client, server.url())
            second = await send(client, server.url())

            assert first.headers == {"transfer-encoding": "chunked"}
            assert second.headers == {"content-length": "0"}
            assert server.connections == 1
            await client.close()

    run(main)
