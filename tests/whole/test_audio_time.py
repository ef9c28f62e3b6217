"""Audio that takes its time: who is slow is waited for, up to the end of the call."""

import asyncio
import socket
from collections.abc import Iterator

import pytest
from audio_scene import HEARD, Cut, Ear, Hearing, Scene, channel, lasting, recording, told
from provider_scene import event, stream_head

from whole_scene import Connection

MEBIBYTE = 1024 * 1024
LARGE = recording("m/up", bytes(2 * MEBIBYTE))
SERVER = "body_idle_seconds = 0.4\nrequest_seconds = 1.5\n"


def configuration(ear: Ear) -> str:
    return channel(ear, "up") + channel(ear, "quick", timeout="{ first_byte = 0.4 }")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with lasting(tmp_path_factory.mktemp("time"), configuration, server=SERVER) as scene:
        yield scene


async def passing(seconds: float) -> None:
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(seconds, done.set_result, None)
    await done


async def trickle(connection: Connection, data: bytes) -> None:
    """A byte now and then, never too late for the next one."""
    for place in range(len(data)):
        connection.write(data[place : place + 1])
        await passing(0.1)


def test_a_provider_that_takes_its_time_makes_the_caller_wait_and_nobody_is_late(scene: Scene) -> None:
    async def main() -> None:
        resume = asyncio.Event()

        async def script(hearing: Hearing) -> None:
            await resume.wait()
            await hearing.all()
            await hearing.say(told(HEARD))

        scene.ear.scripts["up"] = script
        body = recording("m/up", bytes(30 * MEBIBYTE))
        connection = await scene.gateway.connect()
        raw: socket.socket = connection.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        connection.write(scene.head(len(body)) + body)
        await passing(1.0)

        resume.set()
        reply = await connection.reply()

        assert (reply.status, reply.json) == (200, HEARD)

    scene.run(main)


@pytest.mark.parametrize(("much", "wish"), [(MEBIBYTE, "0.6"), (MEBIBYTE, ""), (100, "")])
def test_a_call_ends_in_time_though_its_form_still_comes(scene: Scene, much: int, wish: str) -> None:
    async def main() -> None:
        cut = scene.ear.scripts["up"] = Cut()
        connection = await scene.gateway.connect()
        connection.write(scene.head(len(LARGE), x_deeptoken_timeout=wish) + LARGE[:much])
        trickling = asyncio.create_task(trickle(connection, LARGE[much:]))

        reply = await connection.reply()

        trickling.cancel()
        assert (reply.status, reply.error["code"]) == (408, "request_timeout")
        if much == MEBIBYTE:
            assert not (await cut.heard)[1]

    scene.run(main)


def test_a_call_ends_in_time_though_its_provider_does_not_take_the_form(scene: Scene) -> None:
    async def script(hearing: Hearing) -> None:
        await passing(2.0)
        hearing.reset()

    async def main() -> None:
        scene.ear.scripts["up"] = script
        connection = await scene.gateway.connect()
        connection.write(scene.request(recording("m/up", bytes(30 * MEBIBYTE)), x_deeptoken_timeout="0.6"))

        reply = await connection.reply()

        assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")

    scene.run(main)


@pytest.mark.parametrize("stream", ["", "true"])
def test_a_provider_has_its_time_from_the_last_byte_on(scene: Scene, stream: str) -> None:
    said = event({"type": "transcript.text.done", "text": "hello"})

    async def script(hearing: Hearing) -> None:
        await hearing.all()
        await passing(0.2)
        await hearing.say(stream_head() + said)
        hearing.reset()

    async def main() -> None:
        scene.ear.scripts["quick"] = script
        body = recording("m/quick", bytes(100_000), stream=stream)
        connection = await scene.gateway.connect()
        connection.write(scene.head(len(body)) + body[:-3])
        for place in range(-3, 0):
            await passing(0.2)
            connection.write(body[place:][:1])

        reply = await connection.reply()

        assert (reply.status, reply.body) == (200, said)

    scene.run(main)
