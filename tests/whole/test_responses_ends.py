"""How a streamed response ends, failed or settled; what is heard while nothing comes."""

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai_scene import (
    TEXT,
    asked,
    begun,
    checked,
    kinds,
    natively,
    numbered,
    openai_scene,
    opened,
    response,
    rest,
    said,
    says_text,
)
from provider_scene import (
    Provider,
    Scene,
    Script,
    channel,
    chunk,
    event,
    events,
    gone,
    nothing_is_held,
    row_of,
    says,
    says_and_closes,
    stream_head,
    streamed,
)

from deeptoken.api.delivery import COMMENT
from deeptoken.store.sqlite import open_writer_connection
from upstreams import Received, answer
from whole_scene import Reply


def more(provider: Provider) -> str:
    """A channel for each way to break: none rests because another one broke."""
    return "".join(
        channel(
            provider,
            f"broken-{number}",
            responses="true" if name.startswith("native") else "false",
            timeout="{ first_byte = 5, idle = 0.3 }",
        )
        for number, name in enumerate(BROKEN)
    )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("ends")
    with openai_scene(folder, more, server="heartbeat_seconds = 0.05") as scene:
        yield scene


# Failures


CHAT = chunk("", role=True) + chunk("one ") + chunk("two")
NATIVE = numbered(*begun(), *said("one ", "two")[:-3])
OVERLOADED = event({"error": {"message": "the engine died", "code": 503}})
FAILED = {
    "type": "response.failed",
    "response": response(status="failed", error={"code": "server_error", "message": "hidden-broken-5 died"}),
}
BUSY = {"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": None}
BROKEN = {
    "chat ends": (CHAT, b"", 502, "upstream_invalid_response", "server_error"),
    "chat fails": (CHAT, OVERLOADED, 503, "upstream_error", "server_error"),
    "chat is no JSON": (CHAT, b"data: {]\n\n", 502, "upstream_invalid_response", "server_error"),
    "chat is idle": (CHAT, None, 504, "upstream_timeout", "server_error"),
    "native ends": (NATIVE, b"", 502, "upstream_invalid_response", "server_error"),
    "native fails": (NATIVE, numbered(FAILED), 502, "upstream_error", "server_error"),
    "native is busy": (NATIVE, numbered(BUSY), 429, "upstream_rate_limited", "rate_limit_exceeded"),
    "native is idle": (NATIVE, None, 504, "upstream_timeout", "server_error"),
}
"""What comes first, what comes then (None: nothing more); what is told of it."""


@pytest.mark.parametrize("name", BROKEN)
def test_a_stream_that_broke_ends_with_an_error_and_a_response_that_failed(name: str, scene: Scene) -> None:
    first, then, status, code, word = BROKEN[name]
    script_name = f"broken-{list(BROKEN).index(name)}"
    model = f"m/{script_name}"

    async def main() -> None:
        read = asyncio.Event()

        async def script(
            request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(stream_head() + first)
            await read.wait()
            if then is None:
                await gone(reader)
            writer.write(then or b"")
            writer.close()

        scene.provider.scripts[script_name] = script
        client, headers = await opened(scene, model)
        heard = b""
        while piece := await client.chunk():
            heard += piece
            if b"two" in heard:
                read.set()
        *_, error, failed = checked(Reply(200, headers, heard))
        assert (error["type"], error["code"], failed["type"]) == ("error", code, "response.failed")
        made = failed["response"]
        assert (made["status"], made["error"]) == ("failed", {"code": word, "message": error["message"]})
        assert (made["completed_at"], made["usage"], made["model"]) == (None, None, model)
        (item,) = made["output"]
        assert (item["status"], item["content"][0]["text"]) == ("incomplete", "one two")
        row = await row_of(scene.gateway, headers["x-deeptoken-id"])
        assert (row.outcome, row.status, row.code) == ("cut", status, code)
        assert row.charged == row.prompt_tokens * 1_000 + 2 * 2_000
        await nothing_is_held(scene.gateway)

    scene.run(main)


def test_the_client_is_told_of_a_stream_that_failed(scene: Scene) -> None:
    async def main(client: openai.AsyncOpenAI) -> None:
        stream = await client.responses.create(model="sim/cut", input="hi", stream=True)
        found = [event async for event in stream]
        *_, error, failed = found
        assert (error.type, failed.type) == ("error", "response.failed")
        assert failed.type == "response.failed"
        assert len(failed.response.output_text.split()) == 5
        assert failed.response.error is not None
        assert failed.response.error.code == "server_error"

    asked(scene, main)


# While nothing comes


def after(beaten: asyncio.Event, script: Script) -> Script:
    """Follows `script` once the client has heard a comment."""

    async def waiting(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await beaten.wait()
        await script(request, reader, writer)

    return waiting


async def waited_for(scene: Scene, name: str, script: Script, model: str) -> list[Any]:
    """The events of a stream whose provider does nothing until a comment has come."""
    beaten = asyncio.Event()
    scene.provider.scripts[name] = after(beaten, script)
    client, headers = await opened(scene, model)
    assert await client.chunk() == COMMENT
    beaten.set()
    return checked(Reply(200, headers, await rest(client)))


@pytest.mark.parametrize("model", ["m/chat", "m/native"])
def test_comments_keep_the_connection_and_an_error_after_them_is_a_whole_stream(
    model: str, scene: Scene
) -> None:
    name = model.removeprefix("m/")

    async def main() -> None:
        good = {"m/chat": streamed(events("Good ", "day.")), "m/native": natively("Good ", "day.")}
        assert kinds(await waited_for(scene, name, says(good[model]), model)) == TEXT

        wrong = b'{"error":{"message":"No max_tokens.","code":"bad","param":"max_tokens"}}'
        refused = answer(wrong, status="400 Bad Request")
        found = await waited_for(scene, name, says_and_closes(refused), model)
        assert kinds(found) == ["created", "in_progress", "error", "failed"]
        error, made = found[-2], found[-1]["response"]
        assert (error["code"], error["param"]) == ("bad", "max_output_tokens")
        assert made["error"] == {"code": "invalid_prompt", "message": "No max_output_tokens."}
        assert made["output"] == []

    scene.run(main)


def test_after_a_comment_failover_goes_on_also_to_a_host_of_another_dialect(scene: Scene) -> None:
    scene.provider.scripts["native"] = says(natively("saved"))

    async def main() -> None:
        found = await waited_for(scene, "chat", says_and_closes(stream_head()), "m/both")
        assert kinds(found) == [*TEXT[:5], *TEXT[6:]]
        assert found[-1]["response"]["id"] == "resp_up"

    scene.run(main)


# The end waits for the bill


@pytest.mark.parametrize("model", ["m/chat", "m/native"])
def test_the_last_event_leaves_when_the_bill_is_on_disk_and_not_before(model: str, scene: Scene) -> None:
    says_text(scene, "Good ", "day.", stream=True)

    async def main() -> None:
        disk = open_writer_connection(scene.gateway.folder / "deeptoken.db")
        disk.execute("begin immediate")
        try:
            client, headers = await opened(scene, model)
            heard = b""
            while b"response.output_item.done" not in heard:
                heard += await client.chunk()
            for _ in range(4):
                # Comments go on; the end does not come while nobody can write.
                heard += await client.chunk()
            assert b"response.completed" not in heard
            assert heard.count(COMMENT) >= 4
        finally:
            disk.execute("rollback")
            disk.close()
        heard += await rest(client)
        assert kinds(checked(Reply(200, headers, heard))) == TEXT
        assert headers["x-deeptoken-id"] in {row.id for row in scene.gateway.rows()}

    scene.run(main)
