"""Memory stays bounded: bombs, answers without end, clients that do not read."""

import asyncio
import gzip
import socket
import tracemalloc
from collections.abc import Iterator

import pytest
from provider_scene import (
    DONE,
    Provider,
    Scene,
    both,
    channel,
    chunk,
    lasting,
    nothing_is_held,
    row_of,
    says_and_closes,
    stream_head,
)

from upstreams import Received
from whole_scene import Reply, chat

MEBIBYTE = 1024 * 1024
ANSWER_MAX = 64 * MEBIBYTE
ZEROS = bytes(16 * MEBIBYTE)
BOMB = gzip.compress(ZEROS) * 64
"""A gibibyte."""
JSON = "Content-Type: application/json"


def configuration(provider: Provider) -> str:
    provider.scripts["good"] = both("fine")
    second = channel(provider, "good", "pair")
    return channel(provider, "up") + channel(provider, "up", "pair", name='"up-2"', priority="1") + second


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with lasting(tmp_path_factory.mktemp("large"), configuration) as scene:
        yield scene


def measured(scene: Scene, model: str, *, stream: bool = False) -> tuple[Reply, int]:
    """The answer, and how much memory was taken at most while it came."""

    async def main() -> Reply:
        reply = await scene.gateway.ask(chat("hi", model=model, stream=stream))
        await nothing_is_held(scene.gateway)
        return reply

    tracemalloc.start()
    try:
        reply = scene.run(main)
        return reply, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_gzip_bomb_is_cut_at_the_limit(scene: Scene) -> None:
    head = f"HTTP/1.1 200 OK\r\n{JSON}\r\nContent-Encoding: gzip\r\nContent-Length: {len(BOMB)}\r\n\r\n"
    scene.provider.scripts["up"] = says_and_closes(head.encode() + BOMB)

    reply, peak = measured(scene, "m/up")
    replaced, _ = measured(scene, "m/pair")

    assert (reply.status, reply.error["code"]) == (502, "upstream_invalid_response")
    assert "larger than the limit" in reply.error["message"]
    assert peak < ANSWER_MAX + 8 * MEBIBYTE
    assert replaced.json["choices"][0]["message"]["content"] == "fine"


def test_a_bomb_inside_an_event_is_cut_at_the_limit_of_an_event(scene: Scene) -> None:
    bomb = gzip.compress(b"data: ") + BOMB
    scene.provider.scripts["up"] = says_and_closes(stream_head("Content-Encoding: gzip") + bomb)

    reply, peak = measured(scene, "m/up", stream=True)

    assert (reply.status, reply.error["code"]) == (502, "upstream_invalid_response")
    assert peak < 32 * MEBIBYTE


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_without_end_is_cut_at_the_limit(status: int, scene: Scene) -> None:
    taken = 0

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        writer.write(f"HTTP/1.1 {status} Whatever\r\n{JSON}\r\n\r\n".encode())
        while not writer.is_closing():
            writer.write(ZEROS[:MEBIBYTE])
            await writer.drain()
            taken += MEBIBYTE

    scene.provider.scripts["up"] = script

    reply, _ = measured(scene, "m/up")

    assert reply.status == 502
    assert reply.error["type"] == "upstream"
    if status == 200:
        assert ANSWER_MAX <= taken < ANSWER_MAX + 24 * MEBIBYTE
    else:
        # An error needs few words. An only channel that broke down is asked twice.
        assert taken < 2 * 24 * MEBIBYTE


def test_an_event_without_end_is_cut_at_the_limit(scene: Scene) -> None:
    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(stream_head() + b"data: ")
        while not writer.is_closing():
            writer.write(b"a" * MEBIBYTE)
            await writer.drain()

    scene.provider.scripts["up"] = script

    reply, peak = measured(scene, "m/up", stream=True)

    assert (reply.status, reply.error["code"]) == (502, "upstream_invalid_response")
    assert peak < 32 * MEBIBYTE


def test_a_client_that_does_not_read_stops_the_provider_from_being_read(scene: Scene) -> None:
    count = 600
    events = chunk("", role=True), chunk("x" * 65_536), chunk(finish="stop") + DONE
    written = 0
    stalled = asyncio.Event()

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(stream_head() + events[0])
        for _ in range(count):
            writer.write(events[1])
            try:
                async with asyncio.timeout(0.3):
                    await writer.drain()
            except TimeoutError:
                stalled.set()
                await writer.drain()
            written += len(events[1])
        writer.write(events[2])
        await writer.drain()
        writer.close()

    async def main() -> None:
        scene.provider.scripts["up"] = script
        client = await scene.gateway.connect()
        raw: socket.socket = client.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.write(scene.gateway.request(chat("hi", model="m/up", stream=True)))
        status, headers = await client.head()
        assert status == 200
        await stalled.wait()
        assert written < 24 * MEBIBYTE
        said = []
        while piece := await client.chunk():
            said.append(piece)
        whole = b"".join(said)
        assert whole.count(b'"xxx') == count
        assert whole.endswith(DONE)
        assert (await row_of(scene.gateway, headers["x-deeptoken-id"])).outcome == "complete"

    scene.run(main)
