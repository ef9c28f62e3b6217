"""Every state of a connection ends, and every request on it has one answer."""

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest

from certificates import Certificate
from whole_scene import Connection, Reply, Whole, chat, whole

SIM = '[[channels]]\nname = "sim"\nprovider = "sim"\n'
QUICK = "keep_alive_seconds = 0.3\nbody_idle_seconds = 5\nheader_seconds = 5"
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
REFUSED_UNREAD = HEAD + b"content-length: 10\r\n\r\n"
"""It has no key: it is answered before its body has come."""


async def trickled(client: Connection, pieces: Iterator[bytes]) -> bytes:
    """What comes until the end, while `pieces` go there one after the other, slowly."""
    came: list[bytes] = []

    async def heard() -> None:
        # Who still sends to a connection that has ended may be told so by a reset.
        with suppress(ConnectionResetError):
            while data := await client.reader.read(65_536):
                came.append(data)

    ended = asyncio.create_task(heard())
    for piece in pieces:
        client.write(piece)
        await asyncio.wait({ended}, timeout=0.05)
        if ended.done():
            return b"".join(came)
    raise AssertionError("it has taken all of it")


@pytest.mark.parametrize("path", ["/v1/models", "/healthz"])
@pytest.mark.parametrize("behind", [b"", b"\r\n"], ids=["nothing", "an empty line"])
def test_a_connection_without_a_request_ends_when_it_was_kept_long_enough(
    behind: bytes, path: str, tmp_path: Path
) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM, server=QUICK) as gateway:
            client = await gateway.connect()
            client.write(gateway.request(path=path))
            assert (await client.reply()).status == 200
            client.write(behind)
            assert await client.closed() == b""

    asyncio.run(main())


def test_empty_lines_do_not_keep_a_connection(tmp_path: Path) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM, server=QUICK) as gateway:
            client = await gateway.connect()
            client.write(gateway.request(path="/v1/models"))
            assert (await client.reply()).status == 200
            assert await trickled(client, repeat(b"\r\n", 100)) == b""

    asyncio.run(main())


def test_a_connection_answered_before_the_body_had_come_ends_when_it_was_kept_long_enough(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM, server=QUICK) as gateway:
            client = await gateway.connect()
            client.write(REFUSED_UNREAD + b"01234")
            assert (await client.reply()).status == 401
            client.write(b"56789")
            assert await client.closed() == b""

    asyncio.run(main())


def test_a_connection_answered_before_the_body_had_come_goes_on_after_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM, server=QUICK) as gateway:
            client = await gateway.connect()
            client.write(REFUSED_UNREAD + b"01234")
            assert (await client.reply()).status == 401
            client.write(b"56789" + gateway.request(chat("hi")))
            assert (await client.reply()).status == 200

    asyncio.run(main())


@pytest.mark.parametrize(
    ("limits", "framing"),
    [
        ("request_seconds = 0.5", b"content-length: 1000000\r\n\r\n"),
        ("body_idle_seconds = 0.02", b"content-length: 1000000\r\n\r\n"),
        ("", b"transfer-encoding: chunked\r\n\r\n"),
    ],
    ids=["too long", "too slow", "broken"],
)
def test_a_body_that_nobody_wants_ends_without_a_second_answer(
    limits: str, framing: bytes, tmp_path: Path
) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM, server=limits) as gateway:
            client = await gateway.connect()
            client.write(HEAD + framing)
            # On a machine that stalls, so short a time may have passed before the key was looked at.
            assert (await client.reply()).status in ((401, 408) if "idle" in limits else (401,))
            assert await trickled(client, repeat(b"x", 200)) == b""

    asyncio.run(main())


@asynccontextmanager
async def sound(folder: Path, *, tls: bool) -> AsyncIterator[tuple[Whole, ssl.SSLContext | None]]:
    """A gateway none of whose tasks fails. Over TLS what is written behind the end would arrive."""
    certificate = Certificate(folder)
    file, trusted = certificate.file, certificate.client() if tls else None
    more = f'[server.tls]\ncertificate = "{file}"\nkey = "{file}"\n' if tls else ""
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, problem: problems.append(problem))
    async with whole(folder, SIM, server=more) as gateway:
        yield gateway, trusted
    gc.collect()
    assert problems == []


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_a_request_that_breaks_off_while_it_is_read_has_one_answer(tls: bool, tmp_path: Path) -> None:
    async def main() -> None:
        async with sound(tmp_path, tls=tls) as (gateway, trusted):
            client = await gateway.connect(trusted)
            client.write(gateway.request(b"5\r\nhello\r\n", content_length="", transfer_encoding="chunked"))
            # Another request's whole way: by then the first one is waiting for its body.
            other = await gateway.connect(trusted)
            other.write(gateway.request(path="/v1/models"))
            assert (await other.reply()).status == 200
            client.write(b"no size\r\n")
            assert (await client.reply()).status == 400
            assert await client.closed() == b""

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/v1/models", "/healthz"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_nothing_behind_a_refused_request_is_answered(tls: bool, path: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with sound(tmp_path, tls=tls) as (gateway, trusted):
            client = await gateway.connect(trusted)
            fields = b"".join(b"x-%d: 1\r\n" % number for number in range(120))
            large = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n" + fields + b"\r\n"
            client.write(large + gateway.request(path=path))
            assert (await client.reply()).status == 431
            assert await client.closed() == b""

    asyncio.run(main())


TRAILERS = b"0\r\nx: a", b"a" * 1000 + b"\r\nx: a"
EXTENSION = b"2\r\n{ \r\n2;x=", b"a" * 1000


@pytest.mark.parametrize("authorised", [True, False])
@pytest.mark.parametrize("pieces", [TRAILERS, EXTENSION], ids=["trailers", "an extension"])
def test_what_stands_in_a_body_without_being_of_it_is_limited(
    pieces: tuple[bytes, bytes], authorised: bool, tmp_path: Path
) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM, server="header_bytes_max = 4096") as gateway:
            client = await gateway.connect()
            key = f"Bearer {gateway.key}" if authorised else ""
            client.write(gateway.request(method="POST", transfer_encoding="chunked", authorization=key))
            came = await trickled(client, chain(pieces[:1], repeat(pieces[1], 100)))
            assert came.startswith(b"HTTP/1.1 431" if authorised else b"HTTP/1.1 401")
            assert came.count(b"HTTP/1.1 ") == 1

    asyncio.run(main())


def test_a_trailer_is_no_header(tmp_path: Path) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM, server='metrics_token = "secret-of-metrics"') as gateway:
            key = b"authorization: Bearer secret-of-metrics\r\n"
            head = b"GET /metrics HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
            for before, behind, status in ((key, b"", 200), (b"", key, 403)):
                client = await gateway.connect()
                client.write(head + before + b"\r\n0\r\n" + behind + b"\r\n")
                assert (await client.reply()).status == status

    asyncio.run(main())


def test_a_head_that_begins_behind_a_long_body_is_not_taken_for_a_large_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM, server="header_bytes_max = 4096") as gateway:
            client = await gateway.connect()
            first, second = gateway.request(chat("y" * 10_000)), gateway.request(chat("hi"))
            client.write(first + second[:40])
            assert (await client.reply()).status == 200
            client.write(second[40:])
            assert (await client.reply()).status == 200

    asyncio.run(main())


@pytest.mark.parametrize(
    ("limits", "wish"),
    [("request_seconds = 0.4", ""), ("request_seconds = 0.4", "60"), ("", "0.4")],
    ids=["of the server", "of the server, against the wish", "of the caller"],
)
def test_a_body_that_comes_all_the_time_has_an_end_and_leaves_its_room(
    limits: str, wish: str, tmp_path: Path
) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM, server=f"in_flight_max = 1\n{limits}") as gateway:
            client = await gateway.connect()
            begun = gateway.request(b"{", content_length="9999", x_deeptoken_timeout=wish)
            client.write(begun)
            came = await trickled(client, repeat(b" ", 200))
            assert came.startswith(b"HTTP/1.1 408 ")
            assert came.count(b"HTTP/1.1 ") == 1
            assert b'"code":"request_timeout"' in came
            assert (await gateway.ask(chat("fine"))).status == 200

    asyncio.run(main())


def test_a_deadline_that_is_none_is_refused_before_the_body_has_come(tmp_path: Path) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM) as gateway:
            client = await gateway.connect()
            client.write(gateway.request(chat("hi"), x_deeptoken_timeout="soon")[:-5])
            reply = await client.reply()
            assert (reply.status, reply.error["code"]) == (400, "invalid_request_error")
            assert "X-DeepToken-Timeout" in reply.error["message"]

    asyncio.run(main())


def test_a_pipelined_body_that_we_do_not_read_is_not_late(tmp_path: Path) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM, server="body_idle_seconds = 0.1") as gateway:
            client = await gateway.connect()
            first = gateway.request(chat("word " * 12, "sim/slow", stream=True))
            second = gateway.request(chat("z" * 300))
            client.write(first + second[:-100])
            status, _ = await client.head()
            client.write(second[-100:])
            while await client.chunk():
                pass
            assert status == 200
            assert (await client.reply()).status == 200

    asyncio.run(main())


def test_a_pipelined_body_that_does_not_go_on_when_it_is_read_is_late(tmp_path: Path) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM, server="body_idle_seconds = 0.1") as gateway:
            client = await gateway.connect()
            first = gateway.request(chat("word " * 12, "sim/slow", stream=True))
            client.write(first + gateway.request(chat("z" * 300))[:-100])
            assert (await client.reply()).status == 200
            assert (await client.reply()).status == 408
            assert await client.closed() == b""

    asyncio.run(main())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_client_of_http_1_0_gets_an_answer_without_chunks_that_ends_with_the_connection(
    stream: bool, tmp_path: Path
) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM) as gateway:
            client = await gateway.connect()
            raw = gateway.request(chat("one two", stream=stream), connection="keep-alive")
            client.write(raw.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n"))
            status, headers = await client.head()
            body = await client.closed()
            reply = Reply(status, headers, body)
            assert (status, headers["connection"]) == (200, "close")
            assert "transfer-encoding" not in headers
            said = reply.text if stream else reply.json["choices"][0]["message"]["content"]
            assert said == "one two"
            assert not stream or body.endswith(b"\n\ndata: [DONE]\n\n")

    asyncio.run(main())


def test_a_client_of_http_1_0_is_not_told_to_continue(tmp_path: Path) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM) as gateway:
            client = await gateway.connect()
            raw = gateway.request(chat("hi"), expect="100-continue")
            head, _, body = raw.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n").partition(b"\r\n\r\n")
            client.write(head + b"\r\n\r\n" + body[:-1])
            # Another request's whole way: by then the first one is waiting for its body.
            await gateway.ask(path="/v1/models")
            client.write(body[-1:])
            assert (await client.closed()).startswith(b"HTTP/1.1 200 OK\r\n")

    asyncio.run(main())


OFFER = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2_settings": "AAEAAEAAAAIAAAAB"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("every", [1, 7, 5_000])
def test_an_offer_to_upgrade_is_declined_and_its_body_is_read(
    every: int, stream: bool, tmp_path: Path
) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM) as gateway:
            client = await gateway.connect()
            offering = gateway.request(chat("one", stream=stream), x_request_id="offer", **OFFER)
            both = offering + gateway.request(chat("two"))
            for at in range(0, len(both), every):
                client.write(both[at : at + every])
                await asyncio.sleep(0)
            first, second = await client.reply(), await client.reply()
            assert (first.status, second.status) == (200, 200)
            assert first.headers["x-request-id"] == "offer"
            assert b"one" in first.body
            assert b"two" in second.body

    asyncio.run(main())


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", 200),
        (b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", 401),
        (b"OPTIONS /v1/models HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n", 204),
        (HEAD + b"connection: upgrade\r\nupgrade: h2c\r\nbad header\r\n\r\n", 400),
        (HEAD + b"connection: upgrade\r\nupgrade: h2c\r\n" + b"x: y\r\n" * 100 + b"\r\n", 431),
    ],
    ids=["ASGI", "no key", "no body", "broken", "large"],
)
def test_an_offer_to_upgrade_changes_no_answer(raw: bytes, status: int, tmp_path: Path) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM) as gateway:
            client = await gateway.connect()
            client.write(raw)
            assert (await client.reply()).status == status
            if status < 400 or status == 401:
                client.write(gateway.request(path="/v1/models"))
                assert (await client.reply()).status == 200
            assert (await gateway.ask(chat("fine"))).status == 200

    asyncio.run(main())
