"""A stream is right however the network cuts it, leaves as it comes, and is never dressed up as whole."""

import asyncio
import json
import zlib
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import pytest
from provider_scene import (
    DONE,
    HEAD,
    Provider,
    Scene,
    Script,
    channel,
    chunk,
    event,
    events,
    gone,
    lasting,
    nothing_is_held,
    row_of,
    says,
    says_and_closes,
    stream_head,
    streamed,
    used,
)

from upstreams import Received, reset
from whole_scene import Connection, Reply, chat

WORDS = ("grüße ", "🙂🙃", "line\u2028end\u2029", "\x7f\u0085", "{}[] : data", "\r\n\\n", " fin")
PROMPT = 8
"""Our count of the prompt ``hi``."""
USAGE = {"include_usage": True}


def configuration(provider: Provider) -> str:
    return channel(provider, "up", timeout="{ first_byte = 5, idle = 0.3 }")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with lasting(tmp_path_factory.mktemp("streams"), configuration) as scene:
        yield scene


def asked(scene: Scene, script: Script, **fields: Any) -> Reply:
    """The stream of a caller whose provider follows `script`."""

    async def main() -> Reply:
        scene.provider.scripts["up"] = script
        reply = await scene.gateway.ask(chat("hi", model="m/up", stream=True, **fields))
        await nothing_is_held(scene.gateway)
        return reply

    return scene.run(main)


def in_pieces(raw: bytes, size: int) -> Script:
    """Writes `size` bytes, then lets the gateway read them, and so on."""

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for place in range(0, len(raw), size):
            writer.write(raw[place : place + size])
            await asyncio.sleep(0)
            if writer.is_closing():
                return
        await writer.drain()
        writer.close()

    return script


PLAIN = events(*WORDS)
DRESSED = b"\xef\xbb\xbf: hello\n\nid: 7\nretry: 10\nevent: message\n" + PLAIN.replace(
    b"\n\n", b"\n: comment\nid: 8\n\n"
)
UNESCAPED = (
    b"\n\n".join(
        b"data: " + json.dumps(json.loads(part[6:]), ensure_ascii=False).encode()
        if part != b"data: [DONE]"
        else part
        for part in PLAIN.rstrip().split(b"\n\n")
    )
    + b"\n\n"
)
WRITTEN = {
    "LF": PLAIN,
    "CRLF": PLAIN.replace(b"\n", b"\r\n"),
    "CR": PLAIN.replace(b"\n", b"\r"),
    "without spaces": PLAIN.replace(b"data: ", b"data:"),
    "with comments, ids and a mark": DRESSED,
    "the same with CRLF": DRESSED.replace(b"\n", b"\r\n"),
    "not escaped": UNESCAPED,
    "not escaped, CRLF": UNESCAPED.replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("size", [1, 3, 64, 1_000_000])
@pytest.mark.parametrize("name", WRITTEN)
def test_a_stream_is_the_same_however_it_is_written_and_cut(name: str, size: int, scene: Scene) -> None:
    raw = WRITTEN[name]

    reply = asked(scene, in_pieces(stream_head() + raw, size), stream_options=USAGE)

    assert reply.text == "".join(WORDS)
    assert reply.events[-1] == "[DONE]"
    assert reply.chunks[-1]["usage"] == used(3, len(WORDS))
    assert [said["usage"] for said in reply.chunks[:-1]] == [None] * (len(WORDS) + 2)
    assert reply.chunks[-2]["choices"][0]["finish_reason"] == "stop"
    for line in reply.body.split(b"\n"):
        assert line == b"" or line.startswith(b"data: ")


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_a_compressed_stream_is_the_same_however_it_is_cut(size: int, scene: Scene) -> None:
    engine = zlib.compressobj(wbits=31)
    raw = b"".join(
        engine.compress(part + b"\n\n") + engine.flush(zlib.Z_SYNC_FLUSH)
        for part in PLAIN.split(b"\n\n")[:-1]
    )
    raw += engine.flush()
    head = stream_head("Content-Encoding: gzip", f"Content-Length: {len(raw)}")

    reply = asked(scene, in_pieces(head + raw, size))

    assert reply.text == "".join(WORDS)
    assert reply.events[-1] == "[DONE]"


def test_the_first_event_leaves_when_it_comes_also_when_compressed(scene: Scene) -> None:
    async def ask(compress: bool) -> None:
        read = asyncio.Event()
        engine = zlib.compressobj(wbits=31)

        def written(raw: bytes) -> bytes:
            return engine.compress(raw) + engine.flush(zlib.Z_SYNC_FLUSH) if compress else raw

        async def script(
            request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(stream_head(*(["Content-Encoding: gzip"] if compress else [])))
            writer.write(written(chunk("", role=True) + chunk("first")))
            await read.wait()
            writer.write(
                written(chunk("second", finish="stop") + DONE) + (engine.flush() if compress else b"")
            )
            writer.close()

        scene.provider.scripts["up"] = script
        client = await scene.gateway.connect()
        client.write(scene.gateway.request(chat("hi", model="m/up", stream=True)))
        status, headers = await client.head()
        assert (status, headers["x-deeptoken-attempts"]) == (200, "1")
        said = await client.chunk()
        while b"first" not in said:
            said += await client.chunk()
        assert b"second" not in said
        read.set()
        while piece := await client.chunk():
            said += piece
        assert b"second" in said
        assert said.endswith(DONE)

    async def main() -> None:
        await ask(compress=False)
        await ask(compress=True)

    scene.run(main)


BEGUN = chunk("", role=True) + chunk("one ") + chunk("two")
ERROR = b'data: {"error": {"message": "the engine died", "code": 500}}\n\n'
INVALID = "upstream_invalid_response"
LENGTH = b"%x\r\n" % len(BEGUN)


class Break(NamedTuple):
    """What comes after the client has read the beginning; then the connection ends, or waits."""

    code: str
    status: int = 502
    then: bytes = b""
    head: bytes = stream_head()
    end: Literal["close", "reset", "wait"] = "close"
    begun: bytes = BEGUN


BROKEN = {
    "reset": Break("upstream_error", end="reset"),
    "end": Break(INVALID),
    "length": Break("upstream_error", head=stream_head("Content-Length: 9999")),
    "chunked": Break(
        "upstream_error",
        head=stream_head("Transfer-Encoding: chunked"),
        begun=LENGTH + BEGUN + b"\r\n",
        then=b"40\r\ndata: {",
    ),
    "no chunk": Break(
        INVALID,
        head=stream_head("Transfer-Encoding: chunked"),
        begun=LENGTH + BEGUN + b"\r\n",
        then=b"zz\r\n",
    ),
    "inside an event": Break(INVALID, then=b'data: {"id'),
    "malformed": Break(INVALID, then=b"data: {]\n\n" + events("x")),
    "no object": Break(INVALID, then=b"data: [1]\n\n" + events("x")),
    "error event": Break("upstream_error", then=ERROR + events("x")),
    "named error": Break("upstream_error", then=b'event: error\ndata: {"message": "died"}\n\n'),
    "busy": Break("upstream_error", 503, then=event({"error": {"message": "x", "code": 503}})),
    "gave up": Break("upstream_error", then=chunk(finish="error") + DONE),
    "idle": Break("upstream_timeout", 504, end="wait"),
}


async def cut_off(scene: Scene, how: Break, client: Connection) -> Reply:
    """The answer to a client that has read all of the beginning when the provider breaks off."""
    read = asyncio.Event()

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(how.head + how.begun)
        await read.wait()
        writer.write(how.then)
        if how.end == "wait":
            await gone(reader)
        elif how.end == "reset":
            reset(writer)
        writer.close()

    scene.provider.scripts["up"] = script
    body = chat("hi", model="m/up", stream=True, stream_options=USAGE)
    client.write(scene.gateway.request(body))
    status, headers = await client.head()
    said = b""
    while piece := await client.chunk():
        said += piece
        if b"two" in said:
            read.set()
    await nothing_is_held(scene.gateway)
    return Reply(status, headers, said)


@pytest.mark.parametrize("name", BROKEN)
def test_a_stream_that_broke_ends_with_an_error_and_is_charged_as_delivered(name: str, scene: Scene) -> None:
    how = BROKEN[name]

    async def main() -> None:
        client = await scene.gateway.connect()
        reply = await cut_off(scene, how, client)

        assert reply.status == 200
        *said, last = reply.chunks
        assert (last["error"]["type"], last["error"]["code"]) == ("upstream", how.code)
        assert "[DONE]" not in reply.events
        assert not any(one["choices"][0]["finish_reason"] for one in said)
        assert "".join(one["choices"][0]["delta"].get("content", "") for one in said) == "one two"
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.outcome, row.estimated, row.status, row.code) == ("cut", True, how.status, how.code)
        assert row.charged == row.cost == row.prompt_tokens * 1_000 + 2 * 2_000
        assert row.prompt_tokens > 0
        scene.provider.scripts["up"] = says(streamed(events("fine")))
        client.write(scene.gateway.request(chat("hi", model="m/up", stream=True)))
        assert (await client.reply()).events[-1] == "[DONE]"

    scene.run(main)


def test_content_that_comes_with_the_end_of_its_stream_is_not_begun(scene: Scene) -> None:
    reply = asked(scene, says(streamed(BEGUN + ERROR)))

    assert (reply.status, reply.error["code"]) == (502, "upstream_error")
    row = scene.run(lambda: row_of(scene.gateway, reply.headers["x-deeptoken-id"]))
    assert (row.outcome, row.charged) == ("failed", 0)


def test_a_finish_reason_without_done_is_complete_and_gets_one(scene: Scene) -> None:
    raw = events("a", "b").removesuffix(DONE)

    reply = asked(scene, says_and_closes(stream_head() + raw))

    assert reply.events[-1] == "[DONE]"
    assert reply.chunks[-1]["choices"][0]["finish_reason"] == "stop"
    row = scene.run(lambda: row_of(scene.gateway, reply.headers["x-deeptoken-id"]))
    assert (row.outcome, row.charged) == ("complete", 3_000 + 2 * 2_000)


def test_done_without_a_finish_reason_gets_stop(scene: Scene) -> None:
    reply = asked(scene, says(streamed(BEGUN + DONE)))

    assert reply.events[-1] == "[DONE]"
    assert [said["choices"][0]["finish_reason"] for said in reply.chunks] == [None, None, None, "stop"]


def test_what_comes_after_done_or_a_finish_is_not_passed_on(scene: Scene) -> None:
    reply = asked(scene, says(streamed(events("a") + chunk("late") + ERROR)))
    after_finish = asked(scene, says(streamed(BEGUN + chunk(finish="stop") + chunk("late") + DONE)))

    assert b"late" not in reply.body + after_finish.body
    assert b"error" not in reply.body
    assert reply.events.count("[DONE]") == after_finish.events.count("[DONE]") == 1


def test_the_usage_is_told_when_asked_for_once_and_last(scene: Scene) -> None:
    often = b"".join(
        event(json.loads(part[6:]) | {"usage": used(3, number)})
        for number, part in enumerate((chunk("", role=True), chunk("a"), chunk("b", finish="stop")))
    )

    told = asked(scene, says(streamed(often + DONE)), stream_options=USAGE)
    untold = asked(scene, says(streamed(often + DONE)))

    assert [said["usage"] for said in told.chunks] == [None, None, None, used(3, 2)]
    assert told.chunks[-1]["choices"] == []
    assert b"usage" not in untold.body
    row = scene.run(lambda: row_of(scene.gateway, untold.headers["x-deeptoken-id"]))
    assert (row.charged, row.estimated) == (3_000 + 2 * 2_000, False)


def test_a_stream_without_usage_is_billed_and_told_by_our_own_count(scene: Scene) -> None:
    raw = BEGUN + chunk(finish="stop") + DONE

    reply = asked(scene, says(streamed(raw)), stream_options=USAGE)

    assert reply.chunks[-1]["usage"] == used(PROMPT, 2)
    row = scene.run(lambda: row_of(scene.gateway, reply.headers["x-deeptoken-id"]))
    assert (row.outcome, row.estimated, row.charged) == ("complete", True, PROMPT * 1_000 + 2 * 2_000)


def test_every_chunk_has_the_same_head_and_the_role_comes_first_and_once(scene: Scene) -> None:
    odd = (
        event({**HEAD, "id": "a", "created": 5, "choices": [{"index": 0, "delta": {"content": "x"}}]})
        + event({**HEAD, "id": "b", "created": 6, "choices": [{"index": 0, "delta": {"role": "assistant"}}]})
        + chunk("y", role=True, finish="stop")
        + DONE
    )

    reply = asked(scene, says(streamed(odd)))

    assert {(said["id"], said["created"], said["object"]) for said in reply.chunks} == {
        ("a", 5, "chat.completion.chunk")
    }
    roles = [said["choices"][0]["delta"].get("role") for said in reply.chunks]
    assert roles[0] == "assistant"
    assert roles[1:] == [None] * (len(roles) - 1)
    assert reply.text == "xy"
