"""Every wait has an end, whoever makes the gateway wait and however busily."""

import asyncio
from collections.abc import Iterator

import pytest
from provider_scene import (
    Provider,
    Scene,
    both,
    channel,
    chunk,
    lasting,
    nothing_is_held,
    row_of,
    says_and_waits,
    stream_head,
)

from deeptoken import ids
from upstreams import Received
from whole_scene import chat

HASTY = ids.new_secret()
KEY = f"""
[[keys]]
name = "hasty"
owner = "ops"
secret = "{HASTY}"
timeout = 0.2
"""


def configuration(provider: Provider) -> str:
    provider.scripts |= {"good": both("from the second"), "silent": says_and_waits()}
    quick = "{ first_byte = 0.2 }"
    return (
        KEY
        + channel(provider, "up")
        + channel(provider, "silent")
        + channel(provider, "up", "pair", name='"first"', priority="1", timeout=quick)
        + channel(provider, "good", "pair", label='"second"')
        + channel(provider, "silent", "late", name='"late-1"', priority="1")
        + channel(provider, "good", "late", name='"late-2"')
    )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with lasting(tmp_path_factory.mktemp("deadlines"), configuration) as scene:
        yield scene


class Flood:
    """Sends as fast as it can, for ever."""

    def __init__(self, opening: bytes, piece: bytes, ended: asyncio.Event) -> None:
        self._opening = opening
        self._piece = piece
        self._ended = ended

    async def __call__(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            writer.write(stream_head() + self._opening)
            while not writer.is_closing():
                writer.write(self._piece)
                await writer.drain()
                await asyncio.sleep(0)
        finally:
            self._ended.set()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_call_ends_at_the_deadline_of_its_caller_and_asks_nobody_else(stream: bool, scene: Scene) -> None:
    async def main() -> None:
        asked = len(scene.provider.requests["good"])
        body = chat("hi", model="m/late", stream=stream)
        reply = await scene.gateway.ask(body, x_deeptoken_timeout="0.2")

        assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")
        assert "within the call's own time: X-DeepToken-Timeout" in reply.error["message"]
        assert len(scene.provider.requests["good"]) == asked
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.outcome, row.charged) == ("failed", 0)
        await nothing_is_held(scene.gateway)

    scene.run(main)


def test_a_call_ends_at_the_deadline_of_its_key_and_a_wish_cannot_put_it_off(scene: Scene) -> None:
    async def main() -> None:
        key = {"authorization": f"Bearer {HASTY}"}
        body = chat("hi", model="m/late")
        for wish in ({}, {"x_deeptoken_timeout": "15"}):
            reply = await scene.gateway.ask(body, **key, **wish)
            assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")
            row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
            assert 200 <= row.duration_ms < 10_000

    scene.run(main)


def test_a_provider_that_floods_comments_does_not_put_off_the_next_one(scene: Scene) -> None:
    async def main() -> None:
        ended = asyncio.Event()
        scene.provider.scripts["up"] = Flood(b"", b": wait\n\n" * 50, ended)
        reply = await scene.gateway.ask(chat("hi", model="m/pair", stream=True))

        assert (reply.status, reply.headers["x-deeptoken-channel"]) == (200, "second")
        await ended.wait()

    scene.run(main)


def test_a_stream_that_floods_is_cut_at_the_deadline(scene: Scene) -> None:
    async def main() -> None:
        ended = asyncio.Event()
        scene.provider.scripts["up"] = Flood(chunk("", role=True), chunk("word "), ended)
        body = chat("hi", model="m/up", stream=True)
        reply = await scene.gateway.ask(body, x_deeptoken_timeout="0.3")

        assert reply.status == 200
        assert reply.chunks[-1]["error"]["code"] == "upstream_timeout"
        assert "[DONE]" not in reply.events
        await ended.wait()
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.outcome, row.status, row.charged) == ("cut", 504, row.cost)
        await nothing_is_held(scene.gateway)

    scene.run(main)


def test_a_client_that_does_not_read_is_let_go_when_no_stream_lasts_longer(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("deaf")
    with lasting(folder, configuration, server="stream_seconds = 0.3") as scene:

        async def main() -> None:
            ended = asyncio.Event()
            scene.provider.scripts["up"] = Flood(chunk("", role=True), chunk("word " * 5_000), ended)
            client = await scene.gateway.connect()
            body = chat("hi", model="m/up", stream=True)
            client.write(scene.gateway.request(body, x_request_id="deaf"))
            await client.head()
            await ended.wait()
            row = await row_of(scene.gateway, "deaf")
            assert row.charged == row.cost > 0
            await nothing_is_held(scene.gateway)

        scene.run(main)


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon", "1e999", ""])
def test_a_deadline_that_is_none_is_refused(seconds: str, scene: Scene) -> None:
    async def main() -> None:
        raw = scene.gateway.request(chat("hi", model="m/up"))
        head, _, rest = raw.partition(b"\r\n")
        client = await scene.gateway.connect()
        client.write(head + f"\r\nX-DeepToken-Timeout: {seconds}\r\n".encode() + rest)
        reply = await client.reply()

        assert (reply.status, reply.error["code"]) == (400, "invalid_request_error")
        assert "X-DeepToken-Timeout" in reply.error["message"]

    scene.run(main)
