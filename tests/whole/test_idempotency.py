"""A repeat under an Idempotency-Key is never billed twice and gets what the first one got."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from provider_scene import (
    MODELS,
    Provider,
    Scene,
    both,
    channel,
    chunk,
    completion,
    events,
    lasting,
    nothing_is_held,
    problems,
    row_of,
    says,
    says_and_closes,
    stream_head,
    streamed,
)

from upstreams import Received, answer
from whole_scene import Reply, chat, whole


def configuration(provider: Provider) -> str:
    return channel(provider, "up")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with lasting(tmp_path_factory.mktemp("idempotency"), configuration) as scene:
        yield scene


async def ask(scene: Scene, name: str, text: str = "hi", **fields: Any) -> Reply:
    return await scene.gateway.ask(chat(text, model="m/up", **fields), idempotency_key=name)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_repeat_gets_the_same_bytes_id_and_cost_and_is_not_charged(stream: bool, scene: Scene) -> None:
    async def main() -> None:
        scene.provider.scripts["up"] = both("only once")
        options: dict[str, Any] = {"stream": stream, "stream_options": {"include_usage": True}}
        first = await ask(scene, f"same-{stream}", **options)
        before, asked = await nothing_is_held(scene.gateway), len(scene.provider.requests["up"])

        again = await ask(scene, f"same-{stream}", **options)
        third = await ask(scene, f"same-{stream}", **options)

        assert (first.status, again.status) == (200, 200)
        assert first.body == again.body == third.body
        assert first.body
        assert again.headers["x-deeptoken-id"] == first.headers["x-deeptoken-id"]
        assert again.headers["content-type"] == first.headers["content-type"]
        assert again.headers["x-deeptoken-cost"] == "7"
        assert stream or first.headers["x-deeptoken-cost"] == "7"
        assert "x-deeptoken-replay" not in first.headers
        assert again.headers["x-deeptoken-replay"] == third.headers["x-deeptoken-replay"] == "true"
        assert len(scene.provider.requests["up"]) == asked
        assert await nothing_is_held(scene.gateway) == before

    scene.run(main)


def test_while_the_first_one_runs_a_repeat_has_to_wait(scene: Scene) -> None:
    arrived, may_answer = asyncio.Event(), asyncio.Event()

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await may_answer.wait()
        writer.write(completion("patience"))

    async def main() -> None:
        scene.provider.scripts["up"] = script
        running = asyncio.create_task(ask(scene, "slow"))
        await arrived.wait()
        early = await ask(scene, "slow")
        assert (early.status, early.error["code"]) == (409, "idempotency_in_progress")
        assert early.headers["retry-after"] == "1"
        other = await ask(scene, "slow", "something else")
        assert (other.status, other.error["code"]) == (422, "idempotency_mismatch")
        may_answer.set()
        assert (await running).body == (await ask(scene, "slow")).body

    scene.run(main)


def test_another_request_under_the_same_key_is_refused(scene: Scene) -> None:
    async def main() -> None:
        scene.provider.scripts["up"] = both("first")
        assert (await ask(scene, "mismatch")).status == 200

        reply = await ask(scene, "mismatch", "hello")

        assert (reply.status, reply.error["code"]) == (422, "idempotency_mismatch")
        assert reply.error["type"] == "user"

    scene.run(main)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_that_is_too_large_to_keep_is_not_asked_for_again(stream: bool, scene: Scene) -> None:
    async def main() -> None:
        scene.provider.scripts["up"] = both(("x" * 3_000 + " ") * 90)
        first = await ask(scene, f"large-{stream}", stream=stream)
        assert first.status == 200
        assert len(first.body) > 256 * 1024
        asked = len(scene.provider.requests["up"])

        again = await ask(scene, f"large-{stream}", stream=stream)

        assert (again.status, again.error["code"]) == (409, "idempotency_completed")
        assert again.headers["x-should-retry"] == "false"
        row = await row_of(scene.gateway, first.headers["x-deeptoken-id"])
        assert again.error["deeptoken"] == {"id": row.id, "charged": row.charged / 1_000}
        assert row.id in again.error["message"]
        assert len(scene.provider.requests["up"]) == asked

    scene.run(main)


def test_an_answer_that_ended_early_is_not_asked_for_again(scene: Scene) -> None:
    read = asyncio.Event()

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(stream_head() + chunk("one", role=True))
        await read.wait()
        writer.close()

    async def main() -> None:
        scene.provider.scripts["up"] = script
        client = await scene.gateway.connect()
        body = chat("hi", model="m/up", stream=True)
        client.write(scene.gateway.request(body, idempotency_key="early"))
        _, headers = await client.head()
        while b"one" not in await client.chunk():
            pass
        read.set()
        while await client.chunk():
            pass

        again = await ask(scene, "early", stream=True)

        assert (again.status, again.error["code"]) == (409, "idempotency_completed")
        assert again.headers["x-should-retry"] == "false"
        assert again.error["deeptoken"]["id"] == headers["x-deeptoken-id"]
        row = await row_of(scene.gateway, headers["x-deeptoken-id"])
        assert again.error["deeptoken"]["charged"] == row.charged / 1_000 > 0

    scene.run(main)


def test_a_client_that_left_an_answer_is_not_charged_for_it_again(scene: Scene) -> None:
    async def main() -> None:
        read = asyncio.Event()

        async def script(
            request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(stream_head() + chunk("one", role=True))
            await reader.read()
            writer.close()
            read.set()

        scene.provider.scripts["up"] = script
        client = await scene.gateway.connect()
        request = scene.gateway.request(chat("hi", model="m/up", stream=True), idempotency_key="left")
        client.write(request)
        await client.head()
        await client.chunk()
        client.close()
        await read.wait()
        await nothing_is_held(scene.gateway)

        again = await ask(scene, "left", stream=True)

        assert (again.status, again.error["code"]) == (409, "idempotency_completed")
        assert again.error["deeptoken"]["charged"] > 0

    scene.run(main)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_call_that_cost_nothing_frees_its_key(stream: bool, scene: Scene) -> None:
    async def main() -> None:
        failing = (
            says(answer(b'{"error":{"message":"down"}}', status="503 Down")),
            says_and_closes(),
            says(answer(b'{"error":{"message":"no"}}', status="400 Bad Request")),
        )
        for script in failing:
            scene.provider.scripts["up"] = script
            assert (await ask(scene, f"free-{stream}", stream=stream)).status in (503, 502, 400)
        scene.provider.scripts["up"] = both("at last")

        served = await ask(scene, f"free-{stream}", stream=stream)

        assert served.status == 200
        assert "x-deeptoken-replay" not in served.headers
        again = await ask(scene, f"free-{stream}", stream=stream)
        assert again.headers["x-deeptoken-replay"] == "true"
        assert again.body == served.body

    scene.run(main)


def test_of_many_at_once_exactly_one_is_served_and_charged(scene: Scene) -> None:
    async def main() -> None:
        scene.provider.scripts["up"] = both("single")
        before = await nothing_is_held(scene.gateway)

        replies = await asyncio.gather(*(ask(scene, "many") for _ in range(50)))

        first = [
            reply for reply in replies if reply.status == 200 and "x-deeptoken-replay" not in reply.headers
        ]
        assert len(first) == 1
        for reply in replies:
            assert reply.status in (200, 409)
            assert reply.status == 409 or reply.body == first[0].body
        after = await nothing_is_held(scene.gateway)
        assert before["balance"] - after["balance"] == 7

    scene.run(main)


@pytest.mark.parametrize("name", ["", "k" * 256])
def test_a_key_that_is_none_is_refused(name: str, scene: Scene) -> None:
    async def main() -> None:
        scene.provider.scripts["up"] = both("x")
        raw = scene.gateway.request(chat("hi", model="m/up"))
        head, _, rest = raw.partition(b"\r\n")
        client = await scene.gateway.connect()
        client.write(head + b"\r\nIdempotency-Key: " + name.encode() + b"\r\n" + rest)
        reply = await client.reply()
        assert (reply.status, reply.error["code"]) == (400, "invalid_request_error")

    scene.run(main)


def test_a_repeat_after_a_restart_gets_the_same_answer(tmp_path: Path) -> None:
    async def main() -> None:
        async with Provider() as provider:
            provider.scripts["up"] = both("kept for a day")
            more = MODELS + channel(provider, "up")
            body, streaming = chat("hi", model="m/up"), chat("hi", model="m/up", stream=True)
            async with whole(tmp_path, more) as gateway:
                first = await gateway.ask(body, idempotency_key="a")
                stream = await gateway.ask(streaming, idempotency_key="b")
                other = await gateway.ask(body)
                left = (await gateway.credits())["balance"]
            provider.scripts["up"] = says(streamed(events("another")))

            # The key has another secret now; it is the same key by its name.
            async with whole(tmp_path, more) as gateway:
                for name, sent, told in (("a", body, first), ("b", streaming, stream)):
                    reply = await gateway.ask(sent, idempotency_key=name)
                    assert reply.body == told.body
                    assert reply.headers["x-deeptoken-id"] == told.headers["x-deeptoken-id"]
                    assert reply.headers["x-deeptoken-replay"] == "true"
                assert (await gateway.ask(streaming, idempotency_key="a")).status == 422
                assert (await gateway.credits())["balance"] == left
                assert {row.id for row in gateway.rows()} == {
                    reply.headers["x-deeptoken-id"] for reply in (first, stream, other)
                }
            assert problems(gateway) == []

    asyncio.run(main())
