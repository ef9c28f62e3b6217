"""A client that waits long hears comments; what fails then is an event, and failover still goes unnoticed."""

import asyncio
from collections.abc import Iterator

import pytest
from provider_scene import (
    DONE,
    Provider,
    Scene,
    Script,
    both,
    channel,
    chunk,
    lasting,
    nothing_is_held,
    row_of,
    says_and_closes,
    stream_head,
)

from upstreams import Received, answer
from whole_scene import Connection, chat

COMMENT = b": keep-alive\n\n"


def configuration(provider: Provider) -> str:
    provider.scripts["second"] = both("from the second")
    return (
        channel(provider, "up")
        + channel(provider, "up", "pair", name='"first"', priority="1")
        + channel(provider, "second", "pair", label='"second"')
    )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("heartbeats")
    with lasting(folder, configuration, server="heartbeat_seconds = 0.05") as scene:
        yield scene


def after(beaten: asyncio.Event, script: Script) -> Script:
    """Follows `script` once the client has heard a comment."""

    async def waiting(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await beaten.wait()
        await script(request, reader, writer)

    return waiting


async def waited_for(scene: Scene, script: Script, model: str = "m/up") -> tuple[dict[str, str], bytes]:
    """The headers and the body of a stream whose provider does nothing until a comment has come."""
    beaten = asyncio.Event()
    scene.provider.scripts["up"] = after(beaten, script)
    client = await scene.gateway.connect()
    client.write(scene.gateway.request(chat("hi", model=model, stream=True)))
    status, headers = await client.head()
    assert status == 200
    assert await client.chunk() == COMMENT
    beaten.set()
    return headers, await rest(client)


async def rest(client: Connection) -> bytes:
    said = b""
    while piece := await client.chunk():
        said += piece
    return said


def test_while_nothing_comes_the_head_and_a_comment_leave(scene: Scene) -> None:
    async def main() -> None:
        headers, said = await waited_for(scene, both("at last"))

        assert headers["content-type"].startswith("text/event-stream")
        assert "x-deeptoken-id" in headers
        assert "x-request-id" in headers
        assert "x-deeptoken-channel" not in headers
        assert "x-deeptoken-attempts" not in headers
        assert b'"at"' in said
        assert said.endswith(DONE)

    scene.run(main)


def test_an_error_after_a_comment_is_an_event_and_the_stream_is_not_done(scene: Scene) -> None:
    async def main() -> None:
        busy = answer(b'{"error":{"message":"busy"}}', status="503 Service Unavailable")
        headers, said = await waited_for(scene, says_and_closes(busy))

        last = said.replace(COMMENT, b"")
        assert last.startswith(b'data: {"error":{"message":"busy"')
        assert last.count(b"data:") == 1
        assert DONE not in said
        row = await row_of(scene.gateway, headers["x-deeptoken-id"])
        assert (row.outcome, row.status, row.charged) == ("failed", 503, 0)
        await nothing_is_held(scene.gateway)

    scene.run(main)


def test_after_a_comment_failover_goes_on_and_there_is_one_beginning(scene: Scene) -> None:
    async def main() -> None:
        headers, said = await waited_for(
            scene, says_and_closes(stream_head() + chunk("", role=True)), "m/pair"
        )

        assert said.count(b'"role"') == 1
        assert b'"second"' in said
        assert b"error" not in said
        assert said.endswith(DONE)
        row = await row_of(scene.gateway, headers["x-deeptoken-id"])
        assert (row.outcome, row.channel) == ("complete", "second")

    scene.run(main)


def test_a_pause_inside_an_answer_is_filled_too(scene: Scene) -> None:
    beaten = asyncio.Event()

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(stream_head() + chunk("one", role=True))
        await beaten.wait()
        writer.write(chunk("two", finish="stop") + DONE)
        writer.close()

    async def main() -> None:
        scene.provider.scripts["up"] = script
        client = await scene.gateway.connect()
        client.write(scene.gateway.request(chat("hi", model="m/up", stream=True)))
        _, headers = await client.head()
        assert headers["x-deeptoken-attempts"] == "1"
        said = b""
        while COMMENT not in said:
            said += await client.chunk()
        assert b"one" in said
        beaten.set()
        said += await rest(client)
        assert said.endswith(DONE)
        assert said.index(b"one") < said.index(COMMENT) < said.index(b"two")

    scene.run(main)


def test_a_whole_answer_is_waited_for_in_silence(scene: Scene) -> None:
    async def main() -> None:
        release = asyncio.Event()
        scene.provider.scripts["up"] = after(release, both("whole"))
        asking = asyncio.create_task(scene.gateway.ask(chat("hi", model="m/up")))
        heard = asyncio.create_task(scene.gateway.ask(chat("hi", model="m/up", stream=True)))
        asyncio.get_running_loop().call_later(0.12, release.set)

        assert (await asking).json["choices"][0]["message"]["content"] == "whole"
        assert (await heard).body.startswith(COMMENT)

    scene.run(main)
