"""Every way out of a request but its end: cancelled tasks, closed responses, failing writes."""

import asyncio
import gc
import ssl
from collections.abc import Awaitable, Callable

import pytest

from deeptoken.net import Client, Lost, Response, Unreachable
from deeptoken.wire.http import HttpRequest
from upstreams import Run, ScriptedServer, answer, answering, both_loops, read_request, reset, send

LARGE = bytes(range(256)) * 65_536
"""16 MiB: more than all buffers on the way hold."""


class Silent:
    """A handler that says `raw` and no more, and tells when the client has come and gone."""

    def __init__(self, raw: bytes = b"") -> None:
        self.asked = asyncio.Event()
        self.gone = asyncio.Event()
        self._raw = raw

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(self._raw)
        self.asked.set()
        try:
            await reader.read()
        except ConnectionError:
            pass
        finally:
            self.gone.set()


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def timers() -> int:
    """The timers that the standard loop still has; uvloop shows none of its own."""
    handles: list[asyncio.TimerHandle] = getattr(asyncio.get_running_loop(), "_scheduled", [])
    return sum(not handle.cancelled() for handle in handles)


@both_loops
def test_a_task_cancelled_before_the_head_drops_the_connection_and_leaves_no_timer(run: Run) -> None:
    async def main() -> None:
        handler = Silent()
        async with ScriptedServer(handler) as server:
            client = Client()
            before = timers()
            sending = asyncio.create_task(send(client, server.url()))
            await handler.asked.wait()

            sending.cancel()

            with pytest.raises(asyncio.CancelledError):
                await sending
            assert timers() == before
            await handler.gone.wait()
            assert not client._pools.find(server.url()).pool.idle
            assert not client._pools.opened
            await client.close()

    run(main)


async def read_on(response: Response) -> None:
    while await response.read(5):
        pass


async def read_whole(response: Response) -> None:
    await response.whole(5)


@both_loops
@pytest.mark.parametrize("use", [read_on, read_whole])
def test_a_task_cancelled_inside_the_body_drops_the_connection_and_leaves_no_timer(
    run: Run, use: Callable[[Response], Awaitable[None]]
) -> None:
    async def main() -> None:
        handler = Silent(answer(b"whole")[:-1])
        async with ScriptedServer(handler) as server:
            client = Client()
            before = timers()
            response = await send(client, server.url())
            reading = asyncio.ensure_future(use(response))
            await turns()

            reading.cancel()

            with pytest.raises(asyncio.CancelledError):
                await reading
            assert timers() == before
            await handler.gone.wait()
            with pytest.raises(Lost):
                await response.read(5)
            assert not client._pools.find(server.url()).pool.idle
            await client.close()

    run(main)


@both_loops
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_task_cancelled_while_it_connects_leaves_nothing_open(run: Run, scheme: str) -> None:
    async def main() -> None:
        tls = ssl.create_default_context()
        for count in range(1, 16):
            handler = Silent()
            async with ScriptedServer(handler) as server:
                client = Client(tls=tls)
                url = server.url().replace("http:", f"{scheme}:")
                sending = asyncio.create_task(send(client, url))
                await turns(count)

                sending.cancel()

                with pytest.raises(asyncio.CancelledError):
                    await sending
                await handler.gone.wait()
                assert not client._pools.opened
                await client.close()

    run(main)


@both_loops
def test_a_connection_that_takes_too_long_is_unreachable_and_leaves_nothing_open(run: Run) -> None:
    async def main() -> None:
        handler = Silent()
        async with ScriptedServer(handler) as server:
            client = Client(tls=ssl.create_default_context())
            url = server.url().replace("http:", "https:")

            with pytest.raises(Unreachable, match=r"no connection in 0\.05 s"):
                await client.send(HttpRequest(url), connect_s=0.05, head_s=5)

            await handler.gone.wait()
            assert not client._pools.opened
            await client.close()

    run(main)


@both_loops
def test_a_task_cancelled_at_any_turn_leaves_a_client_that_works(run: Run) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(answer(b"first"), answer(b"other"))) as server:
            client = Client()

            for count in range(40):
                sending = asyncio.create_task(send(client, server.url()))
                await turns(count)
                sending.cancel()
                await asyncio.wait([sending])
                response = await send(client, server.url())
                assert await response.whole(5) in (b"first", b"other")

            assert len(client._pools.opened) == len(client._pools.find(server.url()).pool.idle) == 1
            await client.close()

    run(main)


@both_loops
def test_an_answer_that_was_complete_leaves_its_connection_though_its_task_is_cancelled(run: Run) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(answer(b"ok"))) as server:
            client = Client()
            await (await send(client, server.url())).whole(5)
            pool = client._pools.find(server.url()).pool
            sending = asyncio.create_task(send(client, server.url()))
            await turns(1)
            assert not pool.idle

            while not pool.idle:  # noqa: ASYNC110  (the very turn in which the answer's end is parsed)
                await asyncio.sleep(0)
            sending.cancel()
            await asyncio.wait([sending])

            assert await (await send(client, server.url())).whole(5) == b"ok"
            assert server.connections == 1
            await client.close()

    run(main)


@both_loops
def test_a_response_closed_by_another_task_ends_the_reading_at_once(run: Run) -> None:
    async def main() -> None:
        handler = Silent(answer(b"whole")[:-1])
        async with ScriptedServer(handler) as server:
            client = Client()
            response = await send(client, server.url())
            assert await response.read(5) == b"whol"
            reading = asyncio.create_task(response.read(5))
            await turns()

            response.close()

            with pytest.raises(Lost):
                await reading
            await handler.gone.wait()
            response.close()
            await client.close()

    run(main)


@both_loops
def test_a_dropped_connection_is_freed_without_the_collector(run: Run) -> None:
    async def main() -> None:
        handler = Silent(answer(b"whole")[:-1])
        async with ScriptedServer(handler) as server:
            client = Client()
            response = await send(client, server.url())
            kind = type(next(iter(client._pools.opened)))
            gc.collect()
            gc.disable()
            try:
                response.close()
                del response
                await handler.gone.wait()
                await turns()

                assert not [one for one in gc.get_objects() if type(one) is kind]
            finally:
                gc.enable()
            await client.close()

    run(main)


@both_loops
def test_a_large_body_is_sent_whole(run: Run) -> None:
    async def main() -> None:
        sizes: list[bool] = []

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while request := await read_request(reader):
                sizes.append(request.body == LARGE)
                writer.write(answer(b"ok"))

        async with ScriptedServer(handler) as server:
            client = Client()

            for _ in range(2):
                assert await (await send(client, server.url(), LARGE)).whole(5) == b"ok"

            assert sizes == [True, True]
            assert server.connections == 1
            await client.close()

    run(main)


@both_loops
def test_an_answer_before_the_body_is_sent_is_delivered_and_ends_the_connection(run: Run) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if server.connections > 1:
                await answering(answer(b"ok"))(reader, writer)
                return
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer(b"too large", status="413 Too Large"))
            await writer.drain()
            size = len(LARGE)
            try:
                while piece := await reader.read(1 << 20):
                    size -= len(piece)
            except ConnectionError:
                pass
            assert size > 0
            gone.set()

        async with ScriptedServer(handler) as server:
            client = Client()

            early = await send(client, server.url(), LARGE)

            assert (early.status, await early.whole(5)) == (413, b"too large")
            assert await (await send(client, server.url())).whole(5) == b"ok"
            assert server.connections == 2
            await gone.wait()
            await client.close()

    run(main)


@both_loops
def test_a_write_that_fails_is_a_lost_answer(run: Run) -> None:
    async def main() -> None:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            reset(writer)

        async with ScriptedServer(handler) as server:
            client = Client()

            with pytest.raises(Lost) as lost:
                await send(client, server.url(), LARGE)

            assert not lost.value.head
            assert not client._pools.opened
            await client.close()

    run(main)
