"""What is wrong gets a clear 4xx, reaches no upstream, costs nothing, and the next call works."""

import asyncio
import gzip
from pathlib import Path

import pytest

from upstreams import ScriptedServer
from whole_scene import Whole, chat, whole

SIM = '[[channels]]\nname = "sim"\nprovider = "sim"\n'


def upstream(port: int) -> str:
    return f"""
[[channels]]
name = "up"
provider = "openai"
base_url = "http://127.0.0.1:{port}/v1"
api_key = "sk-upstream"
models = ["m"]
[[models]]
id = "m"
prompt = 1
completion = 2
"""


GOOD = b'{"model":"sim/echo","messages":[{"role":"user","content":"hi"}]}'
BODIES = {
    "nothing": (b" ", None),
    "not json": (b'{"model":', None),
    "no object": (b"[]", None),
    "NaN": (b'{"model":"m","temperature":NaN,"messages":[{"role":"user","content":"a"}]}', None),
    "1e400": (b'{"model":"m","messages":[{"role":"user","content":"a"}],"x":1e400}', None),
    "deep": (b'{"model":"m","messages":[],"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}", None),
    "deeper": (b"[" * 1_000_000, None),
    "invalid UTF-8": (b'{"model":"m","messages":[{"role":"user","content":"\xff\xfe"}]}', None),
    "lone surrogate": (b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}', None),
    "no model": (b'{"messages":[{"role":"user","content":"a"}]}', "model"),
    "no messages": (b'{"model":"m"}', "messages"),
    "messages of a wrong type": (b'{"model":"m","messages":"hi"}', "messages"),
    "unknown role": (b'{"model":"m","messages":[{"role":"king","content":"a"}]}', "messages[0].role"),
    "temperature": (
        b'{"model":"m","temperature":2.1,"messages":[{"role":"user","content":"a"}]}',
        "temperature",
    ),
    "max_tokens": (b'{"model":"m","max_tokens":-1,"messages":[{"role":"user","content":"a"}]}', "max_tokens"),
    "n": (b'{"model":"m","n":1.5,"messages":[{"role":"user","content":"a"}]}', "n"),
    "part": (
        b'{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}',
        "messages[0].content[0].text",
    ),
}


async def next_call_works(gateway: Whole) -> None:
    assert (await gateway.ask(chat("fine"))).status == 200


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_wrong_is_refused_with_the_name_of_what_is_wrong(name: str, tmp_path: Path) -> None:
    body, param = BODIES[name]

    async def main() -> None:
        async with whole(tmp_path, SIM) as gateway:
            reply = await gateway.ask(body)
            assert reply.status == 400, reply.body
            assert reply.error["code"] == "invalid_request_error"
            assert reply.error["type"] == reply.headers["x-gateway-error-category"] == "user"
            if param is not None:
                assert reply.error["param"] == param
            await next_call_works(gateway)
            (row,) = await gateway.settled(1)
            assert row.outcome == "complete"

    asyncio.run(main())


def test_bodies_that_are_too_large_or_not_json_are_refused_before_they_are_read(tmp_path: Path) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM, server="body_bytes_max = 1000") as gateway:
            told = await gateway.connect()
            told.write(gateway.request(GOOD, content_length="1001"))
            assert (await told.reply()).status == 413
            assert await told.closed() == b""
            chunked = await gateway.connect()
            chunked.write(
                gateway.request(
                    b"", method="POST", transfer_encoding="chunked", content_type="application/json"
                )
            )
            for _ in range(3):
                chunked.write(b"200\r\n" + b" " * 512 + b"\r\n")
            assert (await chunked.reply()).status == 413
            assert (await gateway.ask(gzip.compress(GOOD), content_encoding="gzip")).status == 415
            assert (await gateway.ask(GOOD, content_type="text/plain")).status == 415
            assert (await gateway.ask(GOOD, content_type="multipart/form-data; boundary=x")).status == 415
            await next_call_works(gateway)

    asyncio.run(main())


def test_a_body_that_never_comes_and_a_head_that_never_ends_are_cut_off_with_408(tmp_path: Path) -> None:
    async def main() -> None:
        limits = "body_idle_seconds = 0.2\nheader_seconds = 0.2"
        async with whole(tmp_path, SIM, server=limits) as gateway:
            body = await gateway.connect()
            body.write(gateway.request(GOOD, content_length=str(len(GOOD) + 10)))
            assert (await body.reply()).status == 408
            assert await body.closed() == b""
            head = await gateway.connect()
            head.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n")
            reply = await head.reply()
            assert (reply.status, reply.error["code"]) == (408, "request_timeout")
            silent = await gateway.connect()
            assert await silent.closed() == b""
            await next_call_works(gateway)

    asyncio.run(main())


def test_a_head_that_is_too_large_is_431_however_it_comes(tmp_path: Path) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM, server="header_bytes_max = 4096") as gateway:
            assert (await gateway.ask(path="/v1/models", x_long="a" * 5000)).status == 431
            many = await gateway.connect()
            fields = "".join(f"x-{number}: 1\r\n" for number in range(120))
            many.write(f"GET /v1/models HTTP/1.1\r\nhost: x\r\n{fields}\r\n".encode())
            assert (await many.reply()).status == 431
            endless = await gateway.connect()
            endless.write(b"GET /v1/models HTTP/1.1\r\nx-long: ")
            for _ in range(10):
                endless.write(b"a" * 1000)
                await asyncio.sleep(0)
            assert (await endless.reply()).error["code"] == "request_too_large"
            await next_call_works(gateway)

    asyncio.run(main())


POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
SMUGGLED = (
    POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
    POST + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    POST + b"content-length: -1\r\n\r\n",
    POST + b"bad header\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"nonsense\r\n\r\n",
    b"GET http://x HTTP/1.1\r\nhost: x\r\n\r\n",
    b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n",
)


@pytest.mark.parametrize("raw", SMUGGLED)
def test_what_is_not_http_is_refused_in_the_envelope_and_the_connection_ends(
    raw: bytes, tmp_path: Path
) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM) as gateway:
            connection = await gateway.connect()
            connection.write(raw)
            reply = await connection.reply()
            assert reply.status == 400
            assert reply.error["code"] == "invalid_request_error"
            assert await connection.closed() == b""
            await next_call_works(gateway)

    asyncio.run(main())


def test_nothing_wrong_reaches_the_upstream_or_the_ledger(tmp_path: Path) -> None:
    async def main() -> None:
        async with ScriptedServer(silent) as server, whole(tmp_path, upstream(server.port)) as gateway:
            for body, _ in BODIES.values():
                assert (await gateway.ask(body)).status == 400
            before = await gateway.credits()
            assert server.connections == 0
            assert gateway.rows() == []
            assert before["balance"] == before["available"] == 100_000_000

    asyncio.run(main())


def test_a_key_that_is_missing_mistyped_or_unknown_is_401_and_the_body_is_not_read(tmp_path: Path) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM) as gateway:
            for authorization in (
                "",
                "Bearer",
                "Bearer nonsense",
                f"Bearer {gateway.key[:-1]}-",
                "Basic YTpi",
            ):
                reply = await gateway.ask(GOOD, authorization=authorization)
                assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")
            await next_call_works(gateway)

    asyncio.run(main())


def test_a_head_request_gets_its_head_and_the_connection_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with whole(tmp_path, SIM) as gateway:
            connection = await gateway.connect()
            connection.write(gateway.request(path="/healthz", method="HEAD"))
            status, headers = await connection.head()
            assert (status, headers["content-length"]) == (200, "15")
            connection.write(gateway.request(chat("fine")))
            assert (await connection.reply()).status == 200

    asyncio.run(main())


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
