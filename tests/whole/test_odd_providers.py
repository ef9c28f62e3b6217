"""Answers that are JSON and nothing that anybody expects: told as far as they can be, and no more is owed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from deeptoken.money import usd
from upstreams import Handler, ScriptedServer, answer, read_request
from whole_scene import Reply, Whole, chat, whole

UP = """
[[channels]]
name = "up"
provider = "openai"
base_url = "http://127.0.0.1:{port}/v1"
api_key = "sk-a"
models = ["m"]
[[models]]
id = "m"
prompt = 100
completion = 200
"""
USAGE = b'"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}'
MESSAGE = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}


def test_thoughts_of_no_known_shape_are_left_out_of_a_message(tmp_path: Path) -> None:
    reply, gateway = _asked(tmp_path, b'"content":"hello","reasoning_details":["x"]', "/v1/messages", MESSAGE)

    assert reply.status == 200
    assert reply.json["content"] == [{"type": "text", "text": "hello"}]
    assert gateway["held"] == 0


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_no_reader_takes_is_a_502_that_costs_nothing(tmp_path: Path, stream: bool) -> None:
    said = b'"content":"hello","reasoning_details":[{"type":"x","score":1e400}]'

    reply, gateway = _asked(tmp_path, said, "/v1/messages", MESSAGE | {"stream": stream})

    assert reply.status == 502
    assert reply.error["code"] == "upstream_invalid_response"
    assert gateway["held"] == 0
    assert gateway["balance"] == usd("100") // 1_000
    (row,) = gateway["rows"]
    assert (row.outcome, row.charged, row.status) == ("failed", 0, 502)


def test_what_passes_unread_is_passed_on_whatever_it_is(tmp_path: Path) -> None:
    body = chat("hi", "m", max_tokens=100)

    reply, gateway = _asked(tmp_path, b'"content":"hello","score":1e400', "/v1/chat/completions", body)

    assert reply.status == 200
    assert b"1e400" in reply.body
    assert gateway["held"] == 0


def _asked(folder: Path, said: bytes, path: str, body: dict[str, Any]) -> tuple[Reply, dict[str, Any]]:
    """The answer to one call, and how the wallet stands then."""

    async def main() -> tuple[Reply, dict[str, Any]]:
        server = ScriptedServer(_saying(said))
        async with server, whole(folder, UP.format(port=server.port)) as gateway:
            reply = await gateway.ask(body, path=path)
            return reply, await _standing(gateway)

    return asyncio.run(main())


async def _standing(gateway: Whole) -> dict[str, Any]:
    rows = await gateway.settled(1)
    return {**await gateway.credits(), "rows": rows}


def _saying(said: bytes) -> Handler:
    """An answer with these fields of its message, whole or as a stream."""
    choice = b'{"index":0,"finish_reason":"stop","logprobs":null,"%b":{"role":"assistant","refusal":null,%b}}'
    answered = b'{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[%b],%b}'

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await read_request(reader):
            if b'"stream":true' in request.body:
                event = b"data: %b\n\ndata: [DONE]\n\n" % (answered % (choice % (b"delta", said), USAGE))
                writer.write(answer(event, "Content-Type: text/event-stream"))
            else:
                writer.write(answer(answered % (choice % (b"message", said), USAGE)))
            await writer.drain()

    return handle
