"""Audio that is heard: forms go on as they come, answers go back as they are, seconds are billed."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from audio_scene import (
    END,
    HEARD,
    JSON,
    KIND,
    TRANSCRIPTIONS,
    Ear,
    Hearing,
    Scene,
    channel,
    field,
    file,
    hears,
    lasting,
    recording,
    told,
)
from provider_scene import event, nothing_is_held, problems, row_of

from upstreams import answer
from whole_scene import Reply

EVENTS = "Content-Type: text/event-stream"
FOUR = {"type": "duration", "seconds": 4}
TEN = b"ID3" + bytes(8_000 * 10)
"""Of ten seconds, at the usual rate."""


def configuration(ear: Ear) -> str:
    return channel(ear, "up") + channel(ear, "other", weight="1")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with lasting(tmp_path_factory.mktemp("audio"), configuration) as scene:
        yield scene


def test_a_form_reaches_the_provider_byte_for_byte_but_for_the_model(scene: Scene) -> None:
    scene.ear.scripts["up"] = hears(told(HEARD))
    body = recording("m/up", b"\xff\x00\r\n--3f9c0\r\n", prompt="grüße", temperature="0")

    reply = scene.run(lambda: scene.ask(body))

    heard = scene.ear.heard["up"][-1]
    assert heard.body == body.replace(b"m/up", b"hidden")
    assert heard.line == "POST /up/v1/audio/transcriptions HTTP/1.1"
    assert heard.fields["content-type"] == KIND
    assert heard.fields["content-length"] == str(len(heard.body))
    assert heard.fields["authorization"] == "Bearer sk-upstream"
    assert (reply.status, reply.json) == (200, HEARD)


def test_the_answer_tells_what_it_cost_and_the_row_what_was_heard(scene: Scene) -> None:
    scene.ear.scripts["up"] = hears(told(HEARD))

    async def main() -> None:
        reply = await scene.ask(recording("m/up"))
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])

        assert reply.headers["x-deeptoken-cost"] == "900"
        assert reply.headers["x-deeptoken-channel"] == "openai"
        assert reply.headers["content-type"] == "application/json"
        assert (row.seconds, row.charged, row.estimated) == (9, 900_000, False)
        assert (row.outcome, row.endpoint, row.model) == ("complete", TRANSCRIPTIONS, "m/up")
        await nothing_is_held(scene.gateway)
        assert problems(scene.gateway) == []

    scene.run(main)


def test_a_model_that_is_paid_by_tokens_is_billed_by_those_that_were_told(scene: Scene) -> None:
    usage = {
        "type": "tokens",
        "input_tokens": 110,
        "input_token_details": {"text_tokens": 10, "audio_tokens": 100},
        "output_tokens": 20,
        "total_tokens": 130,
    }
    scene.ear.scripts["up"] = hears(told({"text": "hello", "usage": usage}))

    async def main() -> None:
        reply = await scene.ask(recording("t/up"))
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])

        assert row.charged == (10 * 2 + 100 * 6 + 20 * 10) * 1_000
        assert (row.prompt_tokens, row.completion_tokens, row.estimated) == (110, 20, False)

    scene.run(main)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"hello\n", "text/plain; charset=utf-8"),
        (b"1\n00:00:00,000 --> 00:00:01,000\nhello\n", "application/x-subrip; charset=utf-8"),
        (b"WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n", "text/vtt"),
        (b'{"text":"hello"}', "application/json"),
    ],
)
@pytest.mark.parametrize("model", ["m/up", "t/up"])
def test_what_nobody_told_is_estimated_by_the_size_of_the_file(
    scene: Scene, body: bytes, kind: str, model: str
) -> None:
    scene.ear.scripts["up"] = hears(answer(body, f"Content-Type: {kind}"))

    async def main() -> None:
        reply = await scene.ask(recording(model, TEN, response_format="any"))
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])

        assert (reply.body, reply.headers["content-type"]) == (body, kind)
        assert row.estimated
        if model == "m/up":
            assert (row.seconds, row.charged) == (11, 1_100_000)
        else:
            assert (row.prompt_tokens, row.completion_tokens, row.seconds) == (110, 44, 0)

    scene.run(main)


def test_translations_are_another_address(scene: Scene) -> None:
    scene.ear.scripts["up"] = hears(told({"text": "hello", "duration": 2.5}))

    async def main() -> None:
        reply = await scene.ask(recording("m/up"), path="/v1/audio/translations")
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])

        assert scene.ear.heard["up"][-1].line.startswith("POST /up/v1/audio/translations ")
        assert (row.seconds, row.endpoint) == (3, "/v1/audio/translations")

    scene.run(main)


def test_events_go_back_one_by_one_and_the_last_one_is_billed(scene: Scene) -> None:
    told_all = asyncio.Event()
    first = event({"type": "transcript.text.delta", "delta": "hel"})
    last = event(
        {"type": "transcript.text.done", "text": "hello", "usage": {"type": "duration", "seconds": 4}}
    )

    async def script(hearing: Hearing) -> None:
        await hearing.all()
        await hearing.say(f"HTTP/1.1 200 OK\r\n{EVENTS}\r\nConnection: close\r\n\r\n".encode() + first)
        await told_all.wait()
        await hearing.say(last + b"data: [DONE]\n\n")
        hearing.reset()

    async def main() -> None:
        connection = await scene.gateway.connect()
        connection.write(scene.request(recording("m/up", stream="true")))
        status, headers = await connection.head()
        early = await connection.chunk()
        told_all.set()
        rest = b""
        while piece := await connection.chunk():
            rest += piece
        row = await row_of(scene.gateway, headers["x-deeptoken-id"])

        assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert early == first[:-1]
        assert early + rest == first + last + b"data: [DONE]\n\n"
        assert (row.stream, row.seconds, row.estimated, row.outcome) == (True, 4, False, "complete")

    scene.ear.scripts["up"] = script
    scene.run(main)


def test_a_model_that_does_not_stream_answers_whole_though_it_was_asked_to(scene: Scene) -> None:
    scene.ear.scripts["up"] = hears(told(HEARD))

    async def main() -> None:
        reply = await scene.ask(recording("m/up", stream="true"))
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])

        assert (reply.status, reply.json, reply.headers["content-type"]) == (200, HEARD, "application/json")
        assert (row.seconds, row.estimated) == (9, False)

    scene.run(main)


def test_a_stream_that_was_asked_for_behind_the_file_comes_whole(scene: Scene) -> None:
    said = event(
        {"type": "transcript.text.done", "text": "hello", "usage": {"type": "duration", "seconds": 4}}
    )
    scene.ear.scripts["up"] = hears(answer(said, EVENTS))
    body = field("model", "m/up") + file(b"ID3") + field("stream", "true") + END

    async def main() -> None:
        reply = await scene.ask(body)
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])

        assert (reply.body, reply.headers["content-type"]) == (said, "text/event-stream")
        assert row.seconds == 4

    scene.run(main)


@pytest.mark.parametrize("size", [1, 7, 60])
def test_a_request_is_the_same_however_its_bytes_come(scene: Scene, size: int) -> None:
    scene.ear.scripts["up"] = hears(told(HEARD))
    body = recording("m/up", b"\r\n--3f9c0\r\n--3f9c\r" * 3, language="de")

    async def main() -> None:
        connection = await scene.gateway.connect()
        connection.write(scene.head(len(body)))
        for start in range(0, len(body), size):
            connection.write(body[start : start + size])
            await connection.writer.drain()
            await asyncio.sleep(0)
        reply = await connection.reply()

        assert (reply.status, reply.json) == (200, HEARD)
        assert scene.ear.heard["up"][-1].body == body.replace(b"m/up", b"hidden")

    scene.run(main)


def test_what_comes_in_chunks_goes_on_in_chunks(scene: Scene) -> None:
    scene.ear.scripts["up"] = hears(told(HEARD))
    body = recording("m/up", bytes(200_000))

    async def main() -> None:
        connection = await scene.gateway.connect()
        connection.write(scene.head(None))
        for start in range(0, len(body), 50_000):
            piece = body[start : start + 50_000]
            connection.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.write(b"0\r\n\r\n")
        reply = await connection.reply()

        heard = scene.ear.heard["up"][-1]
        assert reply.status == 200
        assert heard.fields["transfer-encoding"] == "chunked"
        assert heard.body == body.replace(b"m/up", b"hidden")

    scene.run(main)


def test_the_model_may_stand_behind_the_file(scene: Scene) -> None:
    scene.ear.scripts["up"] = hears(told(HEARD))
    body = file(bytes(300_000)) + field("max_cost_usd", "1") + field("model", "m/up") + END

    reply = scene.run(lambda: scene.ask(body))

    assert reply.status == 200
    assert scene.ear.heard["up"][-1].body == file(bytes(300_000)) + field("model", "hidden") + END


def test_a_caller_that_waits_to_be_told_is_told_to_go_on(scene: Scene) -> None:
    scene.ear.scripts["up"] = hears(told(HEARD))
    body = recording("m/up")

    async def main() -> None:
        connection = await scene.gateway.connect()
        connection.write(scene.head(len(body), expect="100-continue"))
        status, _ = await connection.head()
        connection.write(body)
        reply = await connection.reply()

        assert (status, reply.status) == (100, 200)

    scene.run(main)


def test_a_connection_serves_one_form_after_the_other(scene: Scene) -> None:
    scene.ear.scripts["up"] = hears(told(HEARD))

    async def main() -> None:
        connection = await scene.gateway.connect()
        for size in (10, 300_000, 0):
            connection.write(scene.request(recording("m/up", bytes(size))))
            assert (await connection.reply()).json == HEARD

    scene.run(main)


def test_a_repeat_gets_the_same_answer_and_another_form_is_a_mismatch(scene: Scene) -> None:
    scene.ear.scripts["up"] = hears(told(HEARD))

    async def main() -> None:
        count = len(scene.ear.heard["up"])
        first = await scene.ask(recording("m/up"), idempotency_key="one")
        again = await scene.ask(recording("m/up"), idempotency_key="one")
        other = await scene.ask(recording("m/up", b"ID3 SOUND"), idempotency_key="one")
        longer = await scene.ask(recording("m/up", b"ID3 sound and more"), idempotency_key="one")

        assert (again.status, again.json, again.headers["x-deeptoken-replay"]) == (200, HEARD, "true")
        assert again.headers["x-deeptoken-id"] == first.headers["x-deeptoken-id"]
        assert {other.status, longer.status} == {422}
        assert len(scene.ear.heard["up"]) == count + 1

    scene.run(main)


def test_the_caps_of_a_call_hold_for_the_longest_that_it_may_last(scene: Scene) -> None:
    scene.ear.scripts["up"] = hears(told(HEARD))
    body = TEN

    async def main() -> tuple[Reply, Reply]:
        tight = await scene.ask(recording("m/up", body, max_cost_usd="0.001"))
        wide = await scene.ask(recording("m/up", body, max_cost_usd="0.01"))
        return tight, wide

    tight, wide = scene.run(main)

    assert (tight.status, tight.error["param"]) == (400, "max_cost_usd")
    assert wide.status == 200
    assert b"max_cost_usd" not in scene.ear.heard["up"][-1].body


def test_the_answer_of_another_model_is_one_of_the_models_that_were_named(scene: Scene) -> None:
    scene.ear.scripts["other"] = hears(told(HEARD))

    reply = scene.run(lambda: scene.ask(recording("m/other", models='["m/up"]')))

    assert reply.json == HEARD
    assert b"models" not in scene.ear.heard["other"][-1].body


def test_json_is_shown_in_the_log_of_the_row(scene: Scene) -> None:
    scene.ear.scripts["up"] = hears(answer(json.dumps(HEARD).encode(), JSON))

    async def main() -> None:
        reply = await scene.ask(recording("m/up"))
        path = f"/v1/generation?id={reply.headers['x-deeptoken-id']}"

        row = (await scene.gateway.ask(path=path)).json

        assert (row["seconds"], row["cost"], row["model"]) == (9, 900, "m/up")

    scene.run(main)
