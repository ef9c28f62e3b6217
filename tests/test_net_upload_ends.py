"""Every other end of a body that comes in pieces: early answers, failing sources, broken connections."""

import asyncio
import gc

import pytest

from deeptoken.net import Client, Lost
from upload_scene import MEBIBYTE, PIECE, Refusing, Source, dropped, many, never, sized, upload
from upstreams import Handler, Run, ScriptedServer, answer, answering, both_loops, fetch, reset


@both_loops
@sized
@pytest.mark.parametrize("waits", [True, False], ids=["source waits", "other side waits"])
def test_a_refusal_ends_the_sending_is_read_and_ends_the_connection(
    run: Run, told: bool, waits: bool
) -> None:
    async def main() -> None:
        handler = Refusing(answer(b"too large", status="413 Too Large"), read=waits)
        async with ScriptedServer(handler) as server:
            client = Client()
            source = Source(b"hello", never, size=9 if told else None) if waits else many(told=told)

            response = await upload(client, server.url(), source)

            assert (response.status, await response.whole(5)) == (413, b"too large")
            assert source.given < 24 * MEBIBYTE
            assert not client._pools.find(server.url()).pool.idle
            if waits:
                await handler.gone.wait()
                assert bytes(handler.got) == (b"hello" if told else b"5\r\nhello\r\n")
            await client.close()

    run(main)


@both_loops
def test_the_head_of_a_refusal_is_enough_and_its_body_may_come_later(run: Run) -> None:
    async def main() -> None:
        finish = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer(b"no", status="400 Bad Request")[:-1])
            await finish.wait()
            writer.write(b"o")
            assert await reader.read() == b"hello"

        async with ScriptedServer(handler) as server:
            client = Client()

            response = await upload(client, server.url(), Source(b"hello", never, size=9))

            assert response.status == 400
            finish.set()
            assert await response.whole(5) == b"no"
            await client.close()

    run(main)


@both_loops
@sized
def test_a_good_answer_that_begins_early_does_not_end_the_sending(run: Run, told: bool) -> None:
    async def main() -> None:
        began = asyncio.Event()
        sent: list[bytes] = []

        async def rest() -> bytes:
            await began.wait()
            return b" world"

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n: wait\n\n")
            await reader.readuntil(b"hello")
            began.set()
            sent.append(await reader.readuntil(b" world"))
            writer.write(b"x")

        async with ScriptedServer(handler) as server:
            client = Client()
            source = Source(b"hello", rest, size=11 if told else None)

            response = await upload(client, server.url(), source)

            assert await response.whole(5) == b": wait\n\nx"
            assert sent[0].endswith(b" world")
            await client.close()

    run(main)


@both_loops
def test_an_answer_that_is_complete_ends_the_sending_whatever_it_says(run: Run) -> None:
    async def main() -> None:
        handler = Refusing(answer(b"enough"))
        async with ScriptedServer(handler) as server:
            client = Client()

            response = await upload(client, server.url(), Source(b"hello", never, size=9))

            assert await response.whole(5) == b"enough"
            await handler.gone.wait()
            assert dropped(client)
            await client.close()

    run(main)


@both_loops
def test_a_good_answer_that_breaks_off_early_ends_the_sending(run: Run) -> None:
    async def main() -> None:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"hello")
            writer.write(answer(b"whole")[:-1])
            await writer.drain()
            while not begun():  # noqa: ASYNC110  (nothing tells)
                await asyncio.sleep(0)
            writer.close()

        def begun() -> bool:
            return any(one._response is not None and one._response.headed for one in client._pools.opened)

        async with ScriptedServer(handler) as server:
            client = Client()

            response = await upload(client, server.url(), Source(b"hello", never, size=9))

            assert response.status == 200
            with pytest.raises(Lost):
                await response.whole(5)
            await client.close()

    run(main)


@both_loops
@sized
@pytest.mark.parametrize("kind", [LookupError, TimeoutError])
def test_a_source_that_fails_is_told_and_its_body_never_ends_well(
    run: Run, told: bool, kind: type[Exception]
) -> None:
    async def broken() -> bytes:
        raise kind("no more")

    async def main() -> None:
        handler = Refusing()
        async with ScriptedServer(handler) as server:
            client = Client()

            with pytest.raises(kind, match="no more"):
                await upload(client, server.url(), Source(b"hello", broken, size=9 if told else None))

            await handler.gone.wait()
            assert bytes(handler.got) in (b"", b"hello" if told else b"5\r\nhello\r\n")
            assert dropped(client)
            await client.close()

    run(main)


@both_loops
@sized
@pytest.mark.parametrize("reads", [True, False], ids=["source waits", "other side waits"])
def test_a_cancelled_task_drops_the_connection_and_its_body_never_ends_well(
    run: Run, told: bool, reads: bool
) -> None:
    async def main() -> None:
        handler = Refusing(read=reads)
        async with ScriptedServer(handler) as server:
            client = Client()
            source = Source(b"hello", never, size=9 if told else None) if reads else many(told=told)
            sending = asyncio.create_task(upload(client, server.url(), source))
            if reads:
                await source.waits.wait()
            while not reads and not any(one.full for one in client._pools.opened):  # noqa: ASYNC110  (no event tells)
                await asyncio.sleep(0)

            sending.cancel()

            with pytest.raises(asyncio.CancelledError):
                await sending
            assert dropped(client)
            if reads:
                await handler.gone.wait()
                assert not handler.got.endswith(b"0\r\n\r\n")
            await client.close()

    run(main)


@both_loops
@sized
def test_a_connection_that_breaks_inside_the_body_is_lost_and_not_tried_again(run: Run, told: bool) -> None:
    async def main() -> None:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"hello")
            reset(writer)

        async with ScriptedServer(handler) as server:
            client = Client()
            source = Source(b"hello", never, size=9 if told else None)

            with pytest.raises(Lost) as lost:
                await upload(client, server.url(), source)

            assert not lost.value.head
            assert server.connections == 1
            assert dropped(client)
            await client.close()

    run(main)


@both_loops
@pytest.mark.parametrize(("size", "words"), [(4, "longer"), (6, "shorter")])
def test_a_body_of_another_size_than_was_told_is_a_mistake_and_drops_the_connection(
    run: Run, size: int, words: str
) -> None:
    async def main() -> None:
        handler = Refusing()
        async with ScriptedServer(handler) as server:
            client = Client()

            with pytest.raises(RuntimeError, match=words):
                await upload(client, server.url(), Source(b"he", b"llo", size=size))

            await handler.gone.wait()
            assert len(handler.got) < size or size == 6
            assert dropped(client)
            await client.close()

    run(main)


@both_loops
@pytest.mark.parametrize("count", [3, 40])
def test_a_task_cancelled_at_any_turn_leaves_a_client_that_works(run: Run, count: int) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(answer(b"ok"))) as server:
            client = Client()

            for turns in range(count):
                source = Source(*[PIECE] * 4, size=4 * len(PIECE))
                sending = asyncio.create_task(upload(client, server.url(), source))
                for _ in range(turns):
                    await asyncio.sleep(0)
                sending.cancel()
                await asyncio.wait([sending])
                if not sending.cancelled():
                    await sending.result().whole(5)
                assert await fetch(client, server.url(), b"next") == b"ok"

            await client.close()

    run(main)


@both_loops
@pytest.mark.parametrize("said", ["ok", "no", "early"])
def test_a_connection_is_freed_without_the_collector(run: Run, said: str) -> None:
    async def main() -> None:
        raw = answer(b"no", status="400 Bad Request") if said == "no" else answer(b"ok")

        async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(raw[:-1])
            await reader.readuntil(b"o")
            writer.write(raw[-1:])

        handlers: dict[str, Handler] = {"ok": answering(raw), "no": Refusing(raw), "early": early}
        async with ScriptedServer(handlers[said]) as server:
            client = Client()
            kind = type(await client._dial(client._pools.find(server.url()).pool, 5))
            await client.close()
            client = Client()
            source = Source(b"hello", never, size=9) if said == "no" else Source(b"hello", size=5)
            gc.collect()
            gc.disable()
            try:
                response = await upload(client, server.url(), source)
                while not response.ended:  # noqa: ASYNC110  (nothing is to be read yet)
                    await asyncio.sleep(0)
                await response.whole(5)
                del response
                await client.close()
                for _ in range(20):
                    await asyncio.sleep(0)

                assert not [one for one in gc.get_objects() if type(one) is kind]
            finally:
                gc.enable()

    run(main)
