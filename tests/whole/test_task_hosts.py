"""What is no chat, answered by scripted hosts: passed on as it comes, failed over, broken off, left."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from provider_scene import Scene, nothing_is_held, problems, row_of, says, says_and_resets
from task_calls import gateway, post

from upstreams import Received, answer

JSON = "Content-Type: application/json"
MP3 = "Content-Type: audio/mpeg"
EVENTS = "Content-Type: text/event-stream"
AUDIO = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with gateway(tmp_path_factory.mktemp("tasks")) as scene:
        yield scene


def vectors(*told: list[float], **more: Any) -> bytes:
    data = [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(told)]
    whole = {"object": "list", "data": data, "model": "hidden-model", **more}
    return answer(json.dumps(whole).encode(), JSON)


def no_answer() -> bytes:
    return answer(b'{"error": {"message": "busy"}}', JSON, status="503 Service Unavailable")


def test_a_hosts_numbers_are_passed_on_byte_for_byte(scene: Scene) -> None:
    scene.provider.scripts["plain"] = says(
        vectors([0.25, 1e-9], usage={"prompt_tokens": 7, "total_tokens": 7}, own={"x": 1})
    )

    reply = scene.run(
        lambda: post(scene, "embeddings", model="m/plain", input="one", encoding_format="float")
    )

    assert scene.provider.body("plain") == {
        "model": "hidden-plain",
        "input": "one",
        "encoding_format": "float",
    }
    assert scene.provider.requests["plain"][-1].line == "POST /plain/v1/embeddings HTTP/1.1"
    assert b'"embedding": [0.25, 1e-09]' in reply.body
    assert (reply.json["model"], reply.json["own"]) == ("m/plain", {"x": 1})
    assert reply.headers["x-deeptoken-cost"] == "7"


@pytest.mark.parametrize(
    "bad",
    [
        no_answer(),
        answer(b"<html>", "Content-Type: text/html"),
        answer(b"", JSON),
        answer(b'{"data": [', JSON),
        answer(b'{"object": "list", "data": []}', JSON),
    ],
)
def test_a_host_that_fails_is_passed_over(bad: bytes, scene: Scene) -> None:
    scene.provider.scripts |= {"first": says(bad), "second": says(vectors([0.5]))}

    reply = scene.run(lambda: post(scene, "embeddings", model="m/model", input="one two"))

    assert (reply.status, reply.headers["x-deeptoken-attempts"]) == (200, "2")
    assert reply.headers["x-deeptoken-channel"] == "openai"
    row = scene.run(lambda: row_of(scene.gateway, reply.headers["x-deeptoken-id"]))
    assert (row.channel, row.prompt_tokens, row.estimated) == ("second", 2, True)
    assert reply.json["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


def test_a_hosts_own_refusal_goes_back_as_it_was_said(scene: Scene) -> None:
    said = {
        "error": {"message": "hidden-refuses has no dimensions", "code": "no_dims", "param": "dimensions"}
    }
    scene.provider.scripts["refuses"] = says(
        answer(json.dumps(said).encode(), JSON, status="400 Bad Request")
    )

    reply = scene.run(lambda: post(scene, "embeddings", model="m/refuses", input="a", dimensions=9))

    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "no_dims", "dimensions")
    assert "m/refuses has no dimensions" in reply.error["message"]
    scene.run(lambda: nothing_is_held(scene.gateway))


@pytest.mark.parametrize("size", [1, 2, len(AUDIO)])
def test_speech_is_passed_on_byte_for_byte_with_its_type(size: int, scene: Scene) -> None:
    scene.provider.scripts["spoken"] = says(answer(AUDIO[:size], MP3))

    reply = scene.run(lambda: post(scene, "audio/speech", model="m/spoken", input="hello", voice="x"))

    assert (reply.status, reply.body) == (200, AUDIO[:size])
    assert reply.headers["content-type"] == "audio/mpeg"
    assert scene.provider.body("spoken") == {"model": "hidden-spoken", "input": "hello", "voice": "x"}
    row = scene.run(lambda: row_of(scene.gateway, reply.headers["x-deeptoken-id"]))
    assert (row.characters, row.charged) == (5, 75_000)


def test_speech_does_not_wait_for_its_end_and_the_last_byte_waits_for_the_bill(scene: Scene) -> None:
    may_end = asyncio.Event()

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\n{MP3}\r\nContent-Length: 6\r\n\r\n".encode() + b"abc")
        await may_end.wait()
        writer.write(b"def")

    async def main() -> None:
        scene.provider.scripts["spoken"] = script
        client = await scene.gateway.connect()
        fields = {"model": "m/spoken", "input": "hello", "voice": "x"}
        client.write(scene.gateway.request(fields, path="/v1/audio/speech"))
        status, headers = await client.head()
        first = await client.chunk()
        may_end.set()
        rest = [part async for part in chunks(client)]

        assert (status, first) == (200, b"ab")
        assert b"".join(rest) == b"cdef"
        assert rest[-1] == b"f"
        row = await row_of(scene.gateway, headers["x-deeptoken-id"])
        assert row.outcome == "complete"

    scene.run(main)


async def chunks(client: Any) -> Any:
    while part := await client.chunk():
        yield part


def test_speech_that_breaks_off_breaks_off_for_the_client_too(scene: Scene) -> None:
    head = f"HTTP/1.1 200 OK\r\n{MP3}\r\nContent-Length: {len(AUDIO)}\r\n\r\n".encode()
    scene.provider.scripts["spoken"] = says_and_resets(head + AUDIO[:1_000])

    async def main() -> None:
        client = await scene.gateway.connect()
        fields = {"model": "m/spoken", "input": "hello", "voice": "x"}
        client.write(scene.gateway.request(fields, path="/v1/audio/speech"))
        status, headers = await client.head()
        raw = await client.closed()

        assert status == 200
        assert not raw.endswith(b"0\r\n\r\n")
        row = await row_of(scene.gateway, headers["x-deeptoken-id"])
        assert (row.outcome, row.charged) == ("cut", 75_000)
        await nothing_is_held(scene.gateway)

    scene.run(main)


def test_speech_that_is_text_is_no_answer(scene: Scene) -> None:
    scene.provider.scripts["silent"] = says(answer(b'{"error": "no"}', JSON))

    reply = scene.run(lambda: post(scene, "audio/speech", model="m/silent", input="hello", voice="x"))

    assert (reply.status, reply.error["code"]) == (502, "upstream_invalid_response")
    assert reply.json["error"]["type"] == "upstream"


def test_events_that_fail_say_so_and_end(scene: Scene) -> None:
    may_fail = asyncio.Event()

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\n{EVENTS}\r\nConnection: close\r\n\r\n".encode()
        writer.write(head + b'data: {"type": "image_generation.partial_image"}\n\n')
        await may_fail.wait()
        writer.write(b'event: error\ndata: {"error": {"message": "too hot", "code": "heat"}}\n\n')
        writer.close()

    async def main() -> None:
        scene.provider.scripts["drawn"] = script
        client = await scene.gateway.connect()
        fields = {"model": "m/drawn", "prompt": "a", "stream": True, "partial_images": 1}
        client.write(scene.gateway.request(fields, path="/v1/images/generations"))
        _, headers = await client.head()
        whole = await client.chunk()
        may_fail.set()
        whole += b"".join([part async for part in chunks(client)])

        told = [json.loads(part.split(b"data: ")[1]) for part in whole.split(b"\n\n") if part]
        assert [event["type"] for event in told] == ["image_generation.partial_image", "error"]
        assert "too hot" in told[1]["error"]["message"]
        row = await row_of(scene.gateway, headers["x-deeptoken-id"])
        assert row.outcome == "cut"

    scene.run(main)


def test_a_client_who_leaves_in_the_middle_of_speech_pays_its_characters(scene: Scene) -> None:
    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\n{MP3}\r\nContent-Length: {len(AUDIO)}\r\n\r\n".encode() + AUDIO[:9])
        await reader.read()

    async def main() -> None:
        scene.provider.scripts["spoken"] = script
        client = await scene.gateway.connect()
        fields = {"model": "m/spoken", "input": "hello", "voice": "x"}
        client.write(scene.gateway.request(fields, path="/v1/audio/speech"))
        _, headers = await client.head()
        await client.chunk()
        client.close()

        row = await row_of(scene.gateway, headers["x-deeptoken-id"])
        assert (row.outcome, row.charged, row.status) == ("cancelled", 75_000, 499)
        await nothing_is_held(scene.gateway)

    scene.run(main)


def test_a_larger_speech_is_not_kept_and_is_charged_once(scene: Scene) -> None:
    scene.provider.scripts["spoken"] = says(answer(AUDIO * 40, MP3))

    async def main() -> None:
        fields = {"model": "m/spoken", "input": "hello", "voice": "x"}
        first = await post(scene, "audio/speech", **fields, headers={"idempotency_key": "large"})
        again = await post(scene, "audio/speech", **fields, headers={"idempotency_key": "large"})

        assert (len(first.body), again.status) == (len(AUDIO) * 40, 409)
        assert again.error["deeptoken"]["charged"] == 75

    scene.run(main)


def test_after_all_of_it_every_bill_can_be_computed_again(scene: Scene) -> None:
    scene.run(lambda: nothing_is_held(scene.gateway))

    assert problems(scene.gateway) == []
