"""Bodies that come in pieces: sent as they come, once, no faster than they are taken."""

import asyncio
import tracemalloc

import pytest

from deeptoken.net import Client, Stalled, Unreachable
from upload_scene import MANY, MEBIBYTE, PIECE, Refusing, Source, dropped, many, sized, upload
from upstreams import Received, Run, ScriptedServer, answer, answering, both_loops, fetch, read_request


@both_loops
@pytest.mark.parametrize("size", [5, None])
@pytest.mark.parametrize("pieces", [(), (b"hello",), (b"h", b"el", b"lo")], ids=len)
def test_a_body_is_sent_in_pieces_and_leaves_its_connection_to_the_next_request(
    run: Run, size: int | None, pieces: tuple[bytes, ...]
) -> None:
    async def main() -> None:
        seen: list[Received] = []
        async with ScriptedServer(answering(answer(b"ok"), into=seen)) as server:
            client = Client()
            source = Source(*pieces, size=size if size is None else len(b"".join(pieces)))

            response = await upload(client, server.url("/up"), source)
            assert await response.whole(5) == b"ok"
            assert await fetch(client, server.url(), b"next") == b"ok"

            first, second = seen
            assert first.body == b"".join(pieces)
            told = first.fields.get("content-length"), first.fields.get("transfer-encoding")
            assert told == ((None, "chunked") if size is None else (str(len(first.body)), None))
            assert second.body == b"next"
            assert server.connections == 1
            await client.close()

    run(main)


@both_loops
@sized
def test_a_long_body_arrives_byte_for_byte_and_is_never_in_memory_as_a_whole(run: Run, told: bool) -> None:
    async def main() -> None:
        counted = 0

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal counted
            await reader.readuntil(b"\r\n\r\n")
            for _ in range(MANY):
                if not told:
                    assert await reader.readline() == b"%x\r\n" % len(PIECE)
                assert await reader.readexactly(len(PIECE)) == PIECE
                counted += len(PIECE)
                if not told:
                    assert await reader.readline() == b"\r\n"
            if not told:
                assert await reader.readline() == b"0\r\n"
            writer.write(answer(b"ok"))

        async with ScriptedServer(handler) as server:
            client = Client()
            tracemalloc.start()
            try:
                response = await upload(client, server.url(), many(told=told))
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

            assert await response.whole(5) == b"ok"
            assert counted == 64 * MEBIBYTE
            assert peak < 2 * MEBIBYTE
            await client.close()

    run(main)


@both_loops
@sized
def test_nothing_more_is_read_of_a_source_than_the_other_side_takes(run: Run, told: bool) -> None:
    async def main() -> None:
        handler = Refusing(read=False)
        async with ScriptedServer(handler) as server:
            client = Client()
            source = many(told=told)

            with pytest.raises(Stalled, match="not taken in time"):
                await upload(client, server.url(), source, head_s=0.1)

            assert 0 < source.given < 24 * MEBIBYTE
            assert dropped(client)
            await client.close()

    run(main)


@both_loops
def test_a_large_piece_is_handed_over_in_slices(run: Run) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(answer(b"ok"))) as server:
            client = Client()
            large = bytes(32 * MEBIBYTE)
            handler = Refusing(read=False)
            async with ScriptedServer(handler) as other:
                tracemalloc.start()
                try:
                    with pytest.raises(Stalled):
                        await upload(client, other.url(), Source(large), head_s=0.1)
                    peak = tracemalloc.get_traced_memory()[1]
                finally:
                    tracemalloc.stop()

            response = await upload(client, server.url(), Source(large, size=len(large)))

            assert await response.whole(5) == b"ok"
            assert peak < 2 * MEBIBYTE
            await client.close()

    run(main)


@both_loops
def test_how_long_a_piece_takes_to_come_is_a_matter_of_its_source(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def late() -> bytes:
            done = loop.create_future()
            loop.call_later(0.5, done.set_result, None)
            await done
            return b"!"

        async with ScriptedServer(answering(answer(b"ok"))) as server:
            client = Client()
            large = bytes(16 * MEBIBYTE)

            response = await upload(client, server.url(), Source(large, late), head_s=0.4)

            assert await response.whole(5) == b"ok"
            await client.close()

    run(main)


@both_loops
def test_the_answer_is_waited_for_from_the_last_byte_on(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def late() -> bytes:
            done = loop.create_future()
            loop.call_later(0.2, done.set_result, None)
            await done
            return b"!"

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            await reader.read()

        async with ScriptedServer(answering(answer(b"ok"))) as server, ScriptedServer(silent) as other:
            client = Client()

            slow = await upload(client, server.url(), Source(b"hello", late, size=6), head_s=0.1)
            with pytest.raises(Stalled, match="No answer"):
                await upload(client, other.url(), Source(b"hello", size=5), head_s=0.05)

            assert await slow.whole(5) == b"ok"
            await client.close()

    run(main)


@both_loops
def test_a_body_is_not_sent_on_a_connection_that_may_be_dead(run: Run) -> None:
    async def main() -> None:
        seen: list[Received] = []
        async with ScriptedServer(answering(answer(b"ok"), into=seen)) as server:
            client = Client()
            await fetch(client, server.url())
            assert client._pools.find(server.url()).pool.idle

            response = await upload(client, server.url(), Source(b"hello", size=5))

            assert await response.whole(5) == b"ok"
            assert server.connections == 2
            assert seen[1].body == b"hello"
            await client.close()

    run(main)


@both_loops
def test_of_a_source_nothing_is_read_before_there_is_a_connection(run: Run) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(answer())) as server:
            pass
        client = Client()
        source = Source(b"hello", size=5)

        with pytest.raises(Unreachable):
            await upload(client, server.url(), source)

        assert source.given == 0
        await client.close()

    run(main)
