"""Audio that does not go through: wrong forms, callers who stop or leave, providers that refuse or break."""

import asyncio
import socket
from collections.abc import Iterator

import pytest
from audio_scene import (
    END,
    HEARD,
    Cut,
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
from provider_scene import event, nothing_is_held, problems, row_of, stream_head

from deeptoken.store.queries.money import UsageRecord
from upstreams import answer
from whole_scene import Connection

MEBIBYTE = 1024 * 1024
MOST = 32 * MEBIBYTE
LARGE = recording("m/up", bytes(2 * MEBIBYTE))
"""More than the buffers on the way hold, and less than a body may be."""
REFUSED = told({"error": {"message": "too quiet", "type": "invalid_request_error", "code": "quiet"}})
REFUSED = REFUSED.replace(b"200 OK", b"400 Bad Request")
SERVER = f"body_bytes_max = {MOST}\nbody_idle_seconds = 0.4\n"
CASES = ("500", "503", "429", "reset", "500-begun", "503-begun", "429-begun", "reset-begun")
"""How a provider fails that has heard a form, or has begun to."""


def nobody() -> int:
    """A port where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def configuration(ear: Ear) -> str:
    away = f'"http://127.0.0.1:{nobody()}/v1"'
    return (
        channel(ear, "up")
        + channel(ear, "away", "late", priority="2", base_url=away)
        + channel(ear, "late", priority="1")
        + "".join(
            channel(ear, f"first-{case}", case, priority="2") + channel(ear, f"second-{case}", case)
            for case in CASES
        )
    )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with lasting(tmp_path_factory.mktemp("ends"), configuration, server=SERVER) as scene:
        yield scene


async def begun(
    scene: Scene, body: bytes, much: int, *, told: int | None = None, label: str = ""
) -> Connection:
    """A request of which so many bytes of the body have left, of `told` if not of all."""
    connection = await scene.gateway.connect()
    connection.write(scene.head(told or len(body), x_request_id=label))
    connection.write(body[:much])
    await connection.writer.drain()
    return connection


async def labelled(scene: Scene, label: str) -> UsageRecord:
    """The row of the call with this label, once it is there."""
    for _ in range(2_000):
        for row in await asyncio.to_thread(scene.gateway.rows):
            if row.request_id == label:
                return row
    raise AssertionError(f"there is no row {label}")


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("application/json", 415, "unsupported_media_type"),
        ("multipart/mixed; boundary=3f9c0a", 415, "unsupported_media_type"),
        ("", 415, "unsupported_media_type"),
        ("multipart/form-data", 400, "invalid_request_error"),
        ("multipart/form-data; boundary=other", 400, "invalid_request_error"),
    ],
)
def test_what_is_no_form_or_has_another_boundary_is_refused(
    scene: Scene, kind: str, status: int, code: str
) -> None:
    reply = scene.run(lambda: scene.ask(recording("m/up"), content_type=kind))

    assert (reply.status, reply.error["code"]) == (status, code)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (file(b"ID3") + END, "model"),
        (field("model", "m/up") + END, "file"),
        (field("model", "m/up") + file(b"ID3") + field("max_cost_usd", "1") + END, "max_cost_usd"),
        (field("model", "m/up") + field("model", "m/up") + file(b"ID3") + END, "model"),
        (recording("m/up", max_cost_usd="much"), "max_cost_usd"),
    ],
)
def test_what_is_wrong_with_a_form_is_named(scene: Scene, body: bytes, param: str) -> None:
    count = len(scene.ear.heard["up"])

    reply = scene.run(lambda: scene.ask(body))

    assert (reply.status, reply.error["param"]) == (400, param)
    assert len(scene.ear.heard["up"]) == count


def test_who_asks_is_known_before_what_is_asked(scene: Scene) -> None:
    reply = scene.run(lambda: scene.ask(b"{}", authorization="Bearer no", content_type="text/plain"))

    assert reply.status == 401


def test_a_form_that_shows_to_be_broken_on_its_way_ends_for_the_provider_too(scene: Scene) -> None:
    body = LARGE[: -len(END)] + b"--3f9c0a?\r\n"

    async def main() -> None:
        cut = scene.ear.scripts["up"] = Cut()

        reply = await scene.ask(body)

        assert (reply.status, reply.error["type"]) == (400, "user")
        assert "goes on" in reply.error["message"]
        assert not (await cut.heard)[1]
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.outcome, row.charged, row.status) == ("failed", 0, 400)

    scene.run(main)


def test_a_form_that_is_cut_short_ends_for_the_provider_too(scene: Scene) -> None:
    async def main() -> None:
        cut = scene.ear.scripts["up"] = Cut()

        reply = await scene.ask(LARGE[:-40])

        assert (reply.status, "cut short" in reply.error["message"]) == (400, True)
        assert not (await cut.heard)[1]

    scene.run(main)


def test_a_body_that_is_told_to_be_too_large_is_refused_before_it_comes(scene: Scene) -> None:
    async def main() -> None:
        connection = await begun(scene, b"", 0, told=MOST + 1)

        reply = await connection.reply()

        assert (reply.status, reply.error["code"]) == (413, "request_too_large")

    scene.run(main)


@pytest.mark.parametrize("first", [True, False], ids=["model first", "file first"])
def test_a_body_that_becomes_too_large_is_refused_and_ends_for_the_provider_too(
    scene: Scene, first: bool
) -> None:
    async def main() -> None:
        cut = scene.ear.scripts["up"] = Cut()
        sound = file(bytes(MOST))
        body = field("model", "m/up") + sound if first else sound + field("model", "m/up")
        connection = await scene.gateway.connect()
        connection.write(scene.head(None))
        for start in range(0, len(body), MEBIBYTE):
            piece = body[start : start + MEBIBYTE]
            connection.write(b"%x\r\n%b\r\n" % (len(piece), piece))

        reply = await connection.reply()

        assert (reply.status, reply.error["code"]) == (413, "request_too_large")
        if first:
            assert not (await cut.heard)[1]
        await nothing_is_held(scene.gateway)

    scene.run(main)


@pytest.mark.parametrize("much", [0, 100, MEBIBYTE], ids=["nothing", "fields", "half"])
def test_a_caller_who_stops_is_told_so_and_the_provider_is_left(scene: Scene, much: int) -> None:
    async def main() -> None:
        cut = scene.ear.scripts["up"] = Cut()
        connection = await begun(scene, LARGE, much)

        reply = await connection.reply()

        assert (reply.status, reply.error["code"]) == (408, "request_timeout")
        if much == MEBIBYTE:
            assert not (await cut.heard)[1]
        await nothing_is_held(scene.gateway)

    scene.run(main)


def test_a_caller_who_leaves_inside_the_form_pays_nothing_and_the_provider_is_left(scene: Scene) -> None:
    async def main() -> None:
        cut = scene.ear.scripts["up"] = Cut()
        connection = await begun(scene, LARGE, MEBIBYTE, label="left-inside")
        await cut.asked.wait()

        connection.close()

        assert not (await cut.heard)[1]
        row = await labelled(scene, "left-inside")
        assert (row.outcome, row.charged, row.status) == ("cancelled", 0, 499)
        await nothing_is_held(scene.gateway)
        assert problems(scene.gateway) == []

    scene.run(main)


def test_a_caller_who_leaves_an_answer_that_has_begun_pays_for_what_was_heard(scene: Scene) -> None:
    said = event({"type": "transcript.text.delta", "delta": "hello"})

    async def script(hearing: Hearing) -> None:
        await hearing.all()
        await hearing.say(stream_head() + said)
        await hearing.rest()

    async def main() -> None:
        scene.ear.scripts["up"] = script
        body = recording("m/up", bytes(80_000), stream="true")
        connection = await begun(scene, body, len(body), label="left-answer")
        status, _ = await connection.head()
        assert (status, await connection.chunk()) == (200, said[:-1])

        connection.close()

        row = await labelled(scene, "left-answer")
        assert (row.outcome, row.charged, row.seconds, row.estimated) == ("cancelled", 1_000_000, 10, True)
        await nothing_is_held(scene.gateway)

    scene.run(main)


def test_a_refusal_inside_the_form_is_told_at_once_and_the_connection_goes_on(scene: Scene) -> None:
    async def main() -> None:
        cut = scene.ear.scripts["up"] = Cut(REFUSED)
        connection = await begun(scene, LARGE, MEBIBYTE)

        reply = await connection.reply()

        assert (reply.status, reply.error["message"], reply.error["code"]) == (400, "too quiet", "quiet")
        assert not (await cut.heard)[1]
        scene.ear.scripts["up"] = hears(told(HEARD))
        connection.write(LARGE[MEBIBYTE:])
        connection.write(scene.request(recording("m/up")))
        assert (await connection.reply()).json == HEARD

    scene.run(main)


def test_a_provider_that_cannot_be_reached_is_passed_over_before_anything_goes_out(scene: Scene) -> None:
    scene.ear.scripts["late"] = hears(told(HEARD))
    body = recording("m/late", bytes(MEBIBYTE))

    async def main() -> None:
        reply = await scene.ask(body)

        assert (reply.status, reply.json) == (200, HEARD)
        assert reply.headers["x-deeptoken-attempts"] == "2"
        assert scene.ear.heard["late"][-1].body == body.replace(b"m/late", b"hidden")

    scene.run(main)


@pytest.mark.parametrize("case", CASES)
def test_once_the_form_has_begun_to_go_out_nobody_else_is_asked(scene: Scene, case: str) -> None:
    how, _, begun = case.partition("-")

    async def script(hearing: Hearing) -> None:
        if begun:
            await hearing.reader.read(1)
        else:
            await hearing.all()
        if how == "reset":
            hearing.reset()
            return
        await hearing.say(answer(b"{}", status=f"{how} No"))
        await hearing.rest()

    scene.ear.scripts[f"first-{case}"] = script
    scene.ear.scripts[f"second-{case}"] = hears(told(HEARD))

    async def main() -> None:
        reply = await scene.ask(LARGE.replace(b"m/up", f"m/{case}".encode()))

        assert reply.status == {"503": 503, "429": 429}.get(how, 502)
        assert reply.error["type"] == "upstream"
        assert len(scene.ear.heard[f"first-{case}"]) == 1
        assert scene.ear.heard[f"second-{case}"] == []
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.outcome, row.charged) == ("failed", 0)

    scene.run(main)


def test_a_wallet_that_cannot_pay_the_longest_that_it_may_last_is_told_before_anything_goes_out(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("poor")
    with lasting(folder, lambda ear: channel(ear, "up"), grant="0.05") as scene:

        async def main() -> None:
            scene.ear.scripts["up"] = hears(told(HEARD))

            poor = await scene.ask(recording("m/up", bytes(1_000_000)))
            fine = await scene.ask(recording("m/up", bytes(100_000)))

            assert (poor.status, poor.error["code"]) == (402, "wallet_empty")
            assert "needs $0.1" in poor.error["message"]
            assert fine.status == 200
            assert len(scene.ear.heard["up"]) == 1

        scene.run(main)
