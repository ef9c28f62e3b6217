"""Streams in Anthropic's dialect: pings while nothing comes, an error event where one broke."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import pytest
from claude_scene import (
    HI,
    asked,
    claude,
    claude_scene,
    ended,
    message_events,
    named,
    started,
    text_block,
    whole_message,
)
from provider_scene import (
    DONE,
    Provider,
    Scene,
    Script,
    channel,
    chunk,
    completion,
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

from upstreams import Received, answer, reset
from whole_scene import Connection

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
ASKED: Any = {"model": "m/gpt", "max_tokens": 50, "messages": HI}
TEXT_BEGUN = named(type="content_block_start", index=0, content_block={"type": "text", "text": ""})


def more(provider: Provider) -> str:
    return (
        channel(provider, "gpt", "pair", name='"pair-1"', priority="1")
        + claude(provider, "claude", "pair", name='"pair-2"', label='"second"')
        + claude(provider, "claude", "back", name='"back-1"', priority="1")
        + channel(provider, "gpt", "back", name='"back-2"', label='"second"')
    )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with claude_scene(tmp_path_factory.mktemp("streams"), more) as scene:
        yield scene


@pytest.fixture(scope="module")
def beating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One whose clients hear soon that it lives."""
    server = "heartbeat_seconds = 0.05"
    with claude_scene(tmp_path_factory.mktemp("beating"), server=server) as scene:
        yield scene


def word(text: str) -> bytes:
    return named(type="content_block_delta", index=0, delta={"type": "text_delta", "text": text})


BEGUN = {
    "gpt": stream_head() + chunk("", role=True) + chunk("one ") + chunk("two"),
    "claude": stream_head() + started() + TEXT_BEGUN + word("one ") + word("two"),
}
REST = {
    "gpt": chunk(finish="stop") + DONE,
    "claude": named(type="content_block_stop", index=0) + ended(),
}


def once(told: asyncio.Event, raw: bytes, before: bytes = b"") -> Script:
    """Says what comes before, then the rest once it is told to, and closes."""

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(before)
        await told.wait()
        writer.write(raw)
        writer.close()

    return script


async def opened(scene: Scene, model: str) -> Connection:
    client = await scene.gateway.connect()
    client.write(scene.gateway.request({**ASKED, "model": model, "stream": True}, path="/v1/messages"))
    return client


async def until(client: Connection, mark: bytes) -> bytes:
    said = b""
    while mark not in said:
        piece = await client.chunk()
        assert piece, said
        said += piece
    return said


async def rest(client: Connection) -> bytes:
    said = b""
    while piece := await client.chunk():
        said += piece
    return said


def kinds(said: bytes) -> list[str]:
    return [
        line.removeprefix(b"event: ").decode() for line in said.split(b"\n") if line.startswith(b"event: ")
    ]


@pytest.mark.parametrize("name", BEGUN)
def test_while_nothing_comes_pings_do_before_and_inside_an_answer(name: str, beating: Scene) -> None:
    async def main() -> None:
        may_begin, may_end = asyncio.Event(), asyncio.Event()

        async def script(
            request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await may_begin.wait()
            writer.write(BEGUN[name])
            await may_end.wait()
            writer.write(REST[name])
            writer.close()

        beating.provider.scripts[name] = script
        client = await opened(beating, f"m/{name}")
        status, headers = await client.head()
        assert (status, await client.chunk()) == (200, PING)
        assert headers["request-id"] == headers["x-deeptoken-id"]
        may_begin.set()
        said = await until(client, b"two")
        said += await until(client, PING)
        may_end.set()
        said += await rest(client)
        assert [kind for kind in kinds(said) if kind != "ping"] == [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
        assert b": keep-alive" not in said

    beating.run(main)


BUSY = named(type="error", error={"type": "overloaded_error", "message": "Overloaded"})
BREAKS: dict[str, dict[str, bytes]] = {
    "gpt": {
        "end": b"",
        "error": event({"error": {"message": "died", "code": 500}}),
        "garbage": b"data: {]\n\n",
    },
    "claude": {"end": b"", "error": BUSY, "garbage": b"event: x\ndata: {]\n\n"},
}
WAYS = [(name, how) for name, hows in BREAKS.items() for how in (*hows, "reset")]


@pytest.mark.parametrize(("name", "how"), WAYS)
def test_a_stream_that_broke_ends_with_an_error_event_and_is_charged_as_delivered(
    name: str, how: str, scene: Scene
) -> None:
    async def main(client: anthropic.AsyncAnthropic) -> None:
        read = asyncio.Event()

        async def script(
            request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(BEGUN[name])
            await read.wait()
            if how == "reset":
                reset(writer)
            else:
                writer.write(BREAKS[name][how])
                writer.close()

        scene.provider.scripts[name] = script
        said: list[str] = []
        async with client.messages.stream(**{**ASKED, "model": f"m/{name}"}) as stream:
            with pytest.raises(anthropic.APIStatusError) as failed:
                await heard(stream.text_stream, said, read)
            id = stream.response.headers["x-deeptoken-id"]
        assert "".join(said) == "one two"
        body: Any = failed.value.body
        assert (body["type"], body["request_id"]) == ("error", id)
        assert body["error"]["type"] == (
            "overloaded_error" if (name, how) == ("claude", "error") else "api_error"
        )
        assert body["error"]["code"] in ("upstream_error", "upstream_invalid_response")
        row = await row_of(scene.gateway, id)
        assert (row.outcome, row.completion_tokens > 0, row.charged) == ("cut", True, row.cost)
        await nothing_is_held(scene.gateway)
        good = completion("ok") if name == "gpt" else whole_message({"type": "text", "text": "ok"})
        scene.provider.scripts[name] = says(good)
        assert (await client.messages.create(**{**ASKED, "model": f"m/{name}"})).stop_reason == "end_turn"

    asked(scene, main)


async def heard(texts: AsyncIterator[str], said: list[str], read: asyncio.Event) -> None:
    """All that is said; `read` is told once what there is has been heard."""
    async for text in texts:
        said.append(text)
        if "two" in text:
            read.set()


@pytest.mark.parametrize("name", BEGUN)
def test_nothing_follows_the_error_of_a_stream(name: str, scene: Scene) -> None:
    async def main() -> None:
        read = asyncio.Event()
        scene.provider.scripts[name] = once(read, b"", BEGUN[name])
        client = await opened(scene, f"m/{name}")
        await client.head()
        said = await until(client, b"two")
        read.set()
        said += await rest(client)
        assert kinds(said)[-1] == "error"
        assert not {"message_delta", "message_stop", "content_block_stop"} & set(kinds(said))
        assert b"hidden" not in said

    scene.run(main)


def test_an_error_after_a_ping_is_an_event(beating: Scene) -> None:
    async def main() -> None:
        beaten = asyncio.Event()
        told = answer(b'{"error":{"message":"busy"}}', status="503 Service Unavailable")
        beating.provider.scripts["gpt"] = once(beaten, told)
        client = await opened(beating, "m/gpt")
        _, headers = await client.head()
        assert await client.chunk() == PING
        beaten.set()
        said = (await rest(client)).replace(PING, b"")
        assert kinds(said) == ["error"]
        error = json.loads(said.split(b"data: ")[1])
        assert (error["error"]["type"], error["error"]["message"]) == ("overloaded_error", "busy")
        assert error["request_id"] == headers["request-id"]
        row = await row_of(beating.gateway, headers["x-deeptoken-id"])
        assert (row.outcome, row.status, row.charged) == ("failed", 503, 0)

    beating.run(main)


FAILS: dict[str, Script] = {
    "refuses": says(answer(b'{"error":{"message":"busy"}}', status="503 Service Unavailable")),
    "breaks": says_and_closes(stream_head() + chunk("", role=True)),
    "natively": says_and_closes(stream_head() + started() + TEXT_BEGUN),
}


@pytest.mark.parametrize("model", ["m/pair", "m/back"])
@pytest.mark.parametrize("how", FAILS)
def test_after_a_failover_to_the_other_dialect_there_is_one_beginning(
    how: str, model: str, scene: Scene
) -> None:
    first, second = ("gpt", "claude") if model == "m/pair" else ("claude", "gpt")
    good = (
        message_events(text_block(0, "from ", "it"))
        if second == "claude"
        else streamed(events("from ", "it"))
    )
    scene.provider.scripts |= {first: FAILS[how], second: says(good)}

    async def main(client: anthropic.AsyncAnthropic) -> None:
        async with client.messages.stream(**{**ASKED, "model": model}) as stream:
            seen = [told.type async for told in stream if told.type in ("message_start", "message_stop")]
            whole = await stream.get_final_message()
        assert seen == ["message_start", "message_stop"]
        assert [part.to_dict()["text"] for part in whole.content] == ["from it"]
        assert (whole.model, whole.stop_reason) == (model, "end_turn")
        assert stream.response.headers["x-deeptoken-channel"] == "second"
        row = await row_of(scene.gateway, stream.response.headers["x-deeptoken-id"])
        assert row.outcome == "complete"

    asked(scene, main)


@pytest.mark.parametrize("name", BEGUN)
def test_a_client_that_leaves_takes_its_call_along_and_pays_for_what_was_said(
    name: str, scene: Scene
) -> None:
    async def main(client: anthropic.AsyncAnthropic) -> None:
        left = asyncio.Event()

        async def script(
            request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(BEGUN[name])
            await writer.drain()
            await gone(reader)
            left.set()
            writer.close()

        scene.provider.scripts[name] = script
        async with client.messages.stream(**{**ASKED, "model": f"m/{name}"}) as stream:
            async for text in stream.text_stream:
                if "two" in text:
                    break
        await left.wait()
        row = await row_of(scene.gateway, stream.response.headers["x-deeptoken-id"])
        assert (row.outcome, row.status, row.completion_tokens > 0) == ("cancelled", 499, True)
        assert row.charged == row.prompt_tokens * 1_000 + row.completion_tokens * 2_000
        await nothing_is_held(scene.gateway)

    asked(scene, main)


@pytest.mark.parametrize("name", BEGUN)
def test_the_headers_of_the_gateway_stand_on_whole_answers_and_streams(name: str, scene: Scene) -> None:
    whole = completion("ok") if name == "gpt" else whole_message({"type": "text", "text": "ok"})
    parts = streamed(events("ok")) if name == "gpt" else message_events(text_block(0, "ok"))

    async def main(client: anthropic.AsyncAnthropic) -> None:
        told: dict[str, Any] = {**ASKED, "model": f"m/{name}", "extra_headers": {"X-Request-Id": "mine"}}
        scene.provider.scripts[name] = says(whole)
        raw = await client.messages.with_raw_response.create(**told)
        scene.provider.scripts[name] = says(parts)
        async with client.messages.stream(**told) as stream:
            await stream.get_final_message()
        label = "openai" if name == "gpt" else "anthropic"
        for headers in (raw.headers, stream.response.headers):
            assert headers["x-request-id"] == headers["request-id"] == "mine"
            assert (headers["x-deeptoken-channel"], headers["x-deeptoken-attempts"]) == (label, "1")
            assert int(headers["openai-processing-ms"]) >= 0
            row = await row_of(scene.gateway, headers["x-deeptoken-id"])
            assert row.request_id == "mine"
        assert float(raw.headers["x-deeptoken-cost"]) > 0
        assert "x-deeptoken-cost" not in stream.response.headers
        assert (await raw.parse())._request_id == "mine"

    asked(scene, main)
