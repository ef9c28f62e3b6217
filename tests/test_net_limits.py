"""How long the client waits, and how much it takes."""

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from deeptoken.answer import BUFFER_BYTES_MAX
from deeptoken.net import Client, Stalled, TooLarge
from deeptoken.wire.http import HttpRequest
from upstreams import (
    Run,
    ScriptedServer,
    answer,
    answering,
    both_loops,
    fetch,
    pieces,
    read_request,
    send,
)

CODERS: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


@both_loops
@pytest.mark.parametrize(
    "raw", [b"", b"HTTP/1.1 200 OK\r\n", answer(b"whole")[:-1]], ids=["head", "half", "body"]
)
def test_what_does_not_come_in_time_has_stalled_and_takes_its_connection_with_it(
    run: Run, raw: bytes
) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(raw)
            assert await reader.read() == b""
            gone.set()

        async with ScriptedServer(handler) as server:
            client = Client()

            with pytest.raises(Stalled):  # noqa: PT012  (either wait may be the long one)
                response = await client.send(HttpRequest(server.url()), connect_s=5, head_s=0.05)
                await response.whole(0.05)

            await gone.wait()
            assert not client._pools.find(server.url()).pool.idle
            await client.close()

    run(main)


@both_loops
def test_a_stream_that_stalls_keeps_what_came(run: Run) -> None:
    async def main() -> None:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(answer(b"whole")[:-1])
            await reader.read()

        async with ScriptedServer(handler) as server:
            client = Client()
            response = await send(client, server.url())

            assert await response.read(5) == b"whol"
            with pytest.raises(Stalled):
                await response.read(0.02)
            with pytest.raises(Stalled):
                await response.read(5)
            await client.close()

    run(main)


@both_loops
@pytest.mark.parametrize("coding", ["identity", "gzip", "deflate"])
@pytest.mark.parametrize("paced", [False, True], ids=["at once", "paced"])
def test_an_answer_above_the_limit_is_too_large_and_one_at_the_limit_is_not(
    run: Run, coding: str, paced: bool
) -> None:
    async def main() -> None:
        limit = 1_000_000
        go = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while request := await read_request(reader):
                text = bytes(int(request.line.split()[1][1:]))
                body = CODERS[coding](text)
                raw = answer(body, f"Content-Encoding: {coding}")
                writer.write(raw[:-1])
                if paced:
                    await go.wait()
                writer.write(raw[-1:])

        async with ScriptedServer(handler) as server:
            client = Client(answer_bytes_max=limit)
            for size in (limit, limit + 1):
                go.clear()
                response = await send(client, server.url(f"/{size}"))
                reading = asyncio.create_task(response.whole(5))
                await asyncio.sleep(0)
                go.set()
                if size == limit:
                    assert len(await reading) == limit
                    continue
                with pytest.raises(TooLarge):
                    await reading
            await client.close()

    run(main)


@both_loops
def test_a_bomb_is_cut_while_it_is_inflated(run: Run) -> None:
    async def main() -> None:
        engine = zlib.compressobj(wbits=31)
        bomb = b"".join([engine.compress(bytes(1 << 20)) for _ in range(64)]) + engine.flush()
        raw = answer(bomb, "Content-Encoding: gzip")
        async with ScriptedServer(answering(raw)) as server:
            client = Client(answer_bytes_max=1 << 20)
            response = await send(client, server.url())
            tracemalloc.start()

            with pytest.raises(TooLarge):
                await response.whole(5)

            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < 8 << 20
            await client.close()

    run(main)


@both_loops
def test_a_stream_inflates_only_what_is_read_and_is_not_bound_by_the_limit(run: Run) -> None:
    async def main() -> None:
        text = bytes(3_000_000)
        raw = answer(gzip.compress(text), "Content-Encoding: gzip")
        async with ScriptedServer(answering(raw)) as server:
            client = Client(answer_bytes_max=1_000)

            read = await pieces(await send(client, server.url()))

            assert b"".join(read) == text
            assert max(map(len, read)) <= BUFFER_BYTES_MAX
            await client.close()

    run(main)


@both_loops
@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 80_000,
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 80_000 + b"\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(9_000)) + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 4_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * 80_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=" + b"x" * 80_000,
    ],
    ids=["endless field", "large field", "many fields", "many heads", "trailer", "extension"],
)
def test_a_head_above_the_limit_is_too_large(run: Run, raw: bytes) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(raw)) as server:
            client = Client()

            with pytest.raises(TooLarge):
                await fetch(client, server.url())

            await client.close()

    run(main)


@both_loops
def test_a_large_body_in_the_packet_of_its_head_is_no_large_head(run: Run) -> None:
    async def main() -> None:
        body = bytes(200_000)
        async with ScriptedServer(answering(answer(body, "X: " + "x" * 60_000))) as server:
            client = Client()

            for _ in range(5):
                assert await fetch(client, server.url()) == body

            await client.close()

    run(main)


@both_loops
@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_an_answer_that_nobody_reads_is_not_read_from_its_connection(run: Run, coding: str) -> None:
    async def main() -> None:
        written = 0
        block = gzip.compress(noise_of(65_536)) if coding == "gzip" else bytes(65_536)

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal written
            await read_request(reader)
            head = (
                f"HTTP/1.1 200 OK\r\nContent-Length: {len(block) * 400}\r\nContent-Encoding: {coding}\r\n\r\n"
            )
            writer.write(head.encode())
            for _ in range(400):
                writer.write(block)
                written += len(block)
                await writer.drain()
            await read_request(reader)

        async with ScriptedServer(handler) as server:
            client = Client()
            response = await send(client, server.url())

            quiet, before = 0, 0
            while quiet < 300:
                await asyncio.sleep(0)
                quiet, before = quiet + 1 if written == before else 0, written

            assert response.size < 4 * BUFFER_BYTES_MAX
            assert written < 400 * len(block)
            size = sum(map(len, await pieces(response)))
            assert size == 400 * 65_536
            assert client._pools.find(server.url()).pool.idle
            await client.close()

    run(main)


def noise_of(size: int) -> bytes:
    """Bytes that do not compress, the same ones each time."""
    state, noise = 1, bytearray()
    for _ in range(size // 4):
        state = (state * 1_664_525 + 1_013_904_223) & 0xFFFFFFFF
        noise += state.to_bytes(4, "big")
    return bytes(noise)


@both_loops
def test_the_end_that_comes_while_the_connection_is_paused_still_frees_it(run: Run) -> None:
    async def main() -> None:
        body = bytes(BUFFER_BYTES_MAX + 400_000)
        async with ScriptedServer(answering(answer(body))) as server:
            client = Client()

            for _ in range(3):
                assert await fetch(client, server.url()) == body

            assert server.connections == 1
            await client.close()

    run(main)


@both_loops
@pytest.mark.parametrize("coding", ["identity", "gzip", "deflate"])
def test_a_small_limit_holds_for_an_answer_that_comes_at_once(run: Run, coding: str) -> None:
    async def main() -> None:
        fields = f"Content-Encoding: {coding}"
        answers = [answer(CODERS[coding](bytes(size)), fields) for size in (10, 11)]
        async with ScriptedServer(answering(*answers)) as server:
            client = Client(answer_bytes_max=10)

            assert await fetch(client, server.url()) == bytes(10)
            with pytest.raises(TooLarge):
                await fetch(client, server.url())
            await client.close()

    run(main)


@both_loops
def test_others_run_while_a_small_answer_inflates_to_a_large_one(run: Run) -> None:
    async def main() -> None:
        async with ScriptedServer(
            answering(answer(gzip.compress(bytes(8 << 20)), "Content-Encoding: gzip"))
        ) as server:
            client = Client()
            response = await send(client, server.url())
            assert response.ended
            seen = 0

            async def count() -> None:
                nonlocal seen
                while True:
                    seen += 1
                    await asyncio.sleep(0)

            counting = asyncio.create_task(count())
            assert await response.whole(5) == bytes(8 << 20)

            assert seen >= 20
            counting.cancel()
            await client.close()

    run(main)
