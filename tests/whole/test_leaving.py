"""A client that goes away takes its upstream call with it, at once, and pays for what was generated."""

import asyncio
import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from provider_scene import (
    Provider,
    Scene,
    both,
    channel,
    chunk,
    event,
    gone,
    lasting,
    nothing_is_held,
    problems,
    row_of,
    says_and_closes,
    stream_head,
    used,
)

from deeptoken.store.queries.money import UsageRecord
from upstreams import Received
from whole_scene import chat

BEGUN = chunk("", role=True) + chunk("one ") + chunk("two")
PART = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"id":'

CHEAP = """
[[models]]
id = "m/cheap"
prompt = 0.5
completion = 1
"""


def configuration(provider: Provider) -> str:
    provider.scripts |= {"good": both("fine"), "dead": says_and_closes()}
    pair = channel(provider, "dead", "pair", priority="1") + channel(provider, "up", "pair", name='"second"')
    chain = channel(provider, "dead", "down", name='"down"') + channel(
        provider, "up", "cheap", name='"cheap"'
    )
    return channel(provider, "up") + channel(provider, "good") + pair + chain + CHEAP


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with lasting(tmp_path_factory.mktemp("leaving"), configuration) as scene:
        yield scene


class Watched:
    """A provider that says something, then sees the gateway leave."""

    def __init__(self, raw: bytes) -> None:
        self.said = asyncio.Event()
        self.left = asyncio.Event()
        self._raw = raw

    async def __call__(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(self._raw)
        await writer.drain()
        self.said.set()
        await gone(reader)
        self.left.set()
        writer.close()


LABELS = iter(f"leaving-{number}" for number in range(1_000))


async def hung_up(
    scene: Scene,
    raw: bytes,
    *,
    stream: bool = True,
    model: str = "m/up",
    reset: bool = False,
    **fields: object,
) -> UsageRecord:
    """The row of a call whose client left when the provider had said `raw`, and the gateway had read it."""
    gateway, label = scene.gateway, next(LABELS)
    watched = scene.provider.scripts["up"] = Watched(raw)
    client = await gateway.connect()
    client.write(gateway.request(chat("hi", model=model, stream=stream, **fields), x_request_id=label))
    await watched.said.wait()
    if raw.endswith(BEGUN):
        await client.head()
        said = b""
        while b"two" not in said:
            said += await client.chunk()
    else:
        # Another call's whole way through the gateway: by then it has read what was said before.
        await gateway.ask(chat("hi", model="m/good"))
    if reset:
        raw_socket: socket.socket = client.writer.get_extra_info("socket")
        raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    await watched.left.wait()
    row = await row_of(gateway, label)
    await nothing_is_held(gateway)
    assert (row.outcome, row.status, row.code) == ("cancelled", 499, "client_closed_request")
    assert (await gateway.ask(chat("hi", model="m/good", stream=True))).text == "fine"
    return row


def tried(row: UsageRecord) -> list[dict[str, Any]]:
    """Its attempts."""
    told: list[dict[str, Any]] = json.loads(row.attempts or "[]")
    return told


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
def test_before_the_provider_begins_to_answer_it_costs_nothing(
    reset: bool, stream: bool, scene: Scene
) -> None:
    row = scene.run(lambda: hung_up(scene, b"", stream=stream, reset=reset))

    assert (row.cost, row.charged, row.prompt_tokens) == (0, 0, 0)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_before_the_first_content_the_prompt_is_charged(stream: bool, scene: Scene) -> None:
    raw = stream_head() + chunk("", role=True) if stream else PART

    row = scene.run(lambda: hung_up(scene, raw, stream=stream))

    (left,) = tried(row)
    assert (left["channel"], left["cause"], left["accepted"]) == ("up", "left", True)
    assert left["duration_ms"] <= row.duration_ms
    assert (row.estimated, row.completion_tokens) == (True, 0)
    assert row.charged == row.cost == row.prompt_tokens * 1_000 > 0


def test_where_another_model_has_begun_its_prompt_is_charged_at_its_own_price(scene: Scene) -> None:
    raw = stream_head() + chunk("", role=True)

    row = scene.run(lambda: hung_up(scene, raw, model="m/down", models=["m/cheap"]))

    assert (row.model, row.channel) == ("m/cheap", "cheap")
    assert row.charged == row.cost == row.prompt_tokens * 500 > 0


@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
def test_inside_a_stream_the_prompt_and_what_was_generated_are_charged(reset: bool, scene: Scene) -> None:
    row = scene.run(lambda: hung_up(scene, stream_head() + BEGUN, reset=reset))

    assert (row.estimated, row.completion_tokens) == (True, 2)
    assert row.charged == row.cost == row.prompt_tokens * 1_000 + 2 * 2_000
    assert row.prompt_tokens > 0


def test_what_the_provider_told_of_the_prompt_is_believed_when_the_client_leaves(scene: Scene) -> None:
    counted = event({"choices": [], "id": "chatcmpl-up", "usage": used(70, 0)})

    row = scene.run(lambda: hung_up(scene, stream_head() + counted + BEGUN))

    assert (row.prompt_tokens, row.completion_tokens, row.charged) == (70, 2, 70_000 + 2 * 2_000)


def test_while_another_channel_is_tried_it_is_cancelled_there(scene: Scene) -> None:
    row = scene.run(lambda: hung_up(scene, b"", model="m/pair"))

    assert (row.channel, row.charged) == ("second", 0)
    assert [(one["channel"], one["cause"]) for one in tried(row)] == [("dead", "outage"), ("second", "left")]


def test_a_client_that_stopped_reading_and_then_leaves_frees_everything(scene: Scene) -> None:
    stalled, left = asyncio.Event(), asyncio.Event()

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(stream_head() + chunk("", role=True))
        leaving = asyncio.create_task(gone(reader))
        while not leaving.done():
            writer.write(chunk("word " * 10_000))
            try:
                async with asyncio.timeout(0.2):
                    await writer.drain()
            except TimeoutError:
                stalled.set()
                await leaving
            except ConnectionError:
                await leaving
        left.set()

    async def main() -> None:
        scene.provider.scripts["up"] = script
        client = await scene.gateway.connect()
        client.write(scene.gateway.request(chat("hi", model="m/up", stream=True), x_request_id="stuck"))
        await client.head()
        await stalled.wait()
        client.close()
        await left.wait()
        row = await row_of(scene.gateway, "stuck")
        assert (row.outcome, row.code) == ("cancelled", "client_closed_request")
        assert row.completion_tokens > 10_000
        assert row.charged == row.cost
        await nothing_is_held(scene.gateway)

    scene.run(main)


def test_who_leaves_before_the_body_is_sent_leaves_nothing_behind(scene: Scene) -> None:
    async def main() -> None:
        rows = len(await asyncio.to_thread(scene.gateway.rows))
        asked = len(scene.provider.requests["good"])
        for _ in range(5):
            client = await scene.gateway.connect()
            whole = scene.gateway.request(chat("hi", model="m/good"))
            client.write(whole[:-10])
            await client.writer.drain()
            client.close()
        assert (await scene.gateway.ask(chat("hi", model="m/good"))).status == 200
        assert len(await scene.gateway.settled(rows + 1)) == rows + 1
        assert len(scene.provider.requests["good"]) == asked + 1

    scene.run(main)


def test_a_hundred_that_leave_at_once_leave_the_books_in_order(scene: Scene) -> None:
    async def main() -> None:
        watched = [Watched(stream_head() + BEGUN if number % 2 else b"") for number in range(100)]
        arriving = iter(watched)

        async def script(
            request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await next(arriving)(request, reader, writer)

        scene.provider.scripts["up"] = script
        gateway = scene.gateway
        before = await gateway.credits()
        clients = [await gateway.connect() for _ in watched]
        for number, client in enumerate(clients):
            body = chat("hi", model="m/up", stream=True)
            client.write(gateway.request(body, x_request_id=f"hundred-{number}"))
        for one in watched:
            await one.said.wait()
        for client in clients:
            client.close()
        for one in watched:
            await one.left.wait()
        rows = [await row_of(gateway, f"hundred-{number}") for number in range(100)]
        after = await nothing_is_held(gateway)
        assert {row.outcome for row in rows} == {"cancelled"}
        assert sum(row.charged for row in rows) == (before["balance"] - after["balance"]) * 1_000
        assert problems(gateway) == []

    scene.run(main)
