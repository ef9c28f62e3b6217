"""What a call of the older completions costs, how its failures are told, and what is heard while it waits."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from completions_scene import PROMPT, complete, text, text_chunk, text_events, texts_of
from openai_scene import asked, both_ways, openai_scene, rest
from provider_scene import (
    DONE,
    Provider,
    Scene,
    channel,
    chunk,
    completion,
    events,
    nothing_is_held,
    row_of,
    says,
    stream_head,
    streamed,
    used,
)

from deeptoken.api.delivery import COMMENT
from upstreams import Received, answer
from whole_scene import Reply

SERVED = pytest.mark.parametrize("model", ["m/chat", "m/text"])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with openai_scene(tmp_path_factory.mktemp("completions-money"), more) as scene:
        yield scene


@pytest.fixture
def restless(tmp_path: Path) -> Iterator[Scene]:
    """One whose comments come quickly."""
    with openai_scene(tmp_path, server="heartbeat_seconds = 0.05") as scene:
        yield scene


def more(provider: Provider) -> str:
    """A channel for each failure: none rests because another one failed."""
    return "".join(
        channel(
            provider,
            f"{kind}-{number}",
            provider='"vllm"' if kind == "text" else '"openai"',
            models=f'{{ "m/{kind}-{number}" = "hidden-name" }}',
        )
        for kind in ("chat", "text")
        for number in range(len(FAILURES) + 2)
    )


def says_ok(scene: Scene, *, stream: bool) -> None:
    scene.provider.scripts |= {
        "chat": says(streamed(events("o", "k")) if stream else completion("ok")),
        "text": says(text_events("o", "k") if stream else text("ok")),
    }


def usage_of(reply: Reply, *, stream: bool) -> Any:
    assert reply.status == 200, reply.body
    return reply.chunks[-1]["usage"] if stream else reply.json["usage"]


@both_ways
@SERVED
def test_who_asks_for_the_cost_is_told_it(model: str, stream: bool, scene: Scene) -> None:
    says_ok(scene, stream=stream)

    async def main() -> None:
        reply = await complete(scene.gateway, model, stream=stream, usage={"include": True})
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.charged, row.endpoint) == (3_000 + 2 * 2_000, "/v1/completions")
        assert usage_of(reply, stream=stream) == {
            **used(3, 2),
            "cost": 7,
            "cost_details": {"prompt": 3, "completion": 4},
        }
        assert "usage" not in scene.provider.body(model.removeprefix("m/"))
        assert stream or reply.headers["x-deeptoken-cost"] == "7"

    scene.run(main)


@both_ways
@SERVED
def test_a_provider_that_tells_no_usage_is_counted_and_the_caller_told(
    model: str, stream: bool, scene: Scene
) -> None:
    scene.provider.scripts |= {
        "chat": says(
            streamed(chunk("ok") + chunk(finish="stop") + DONE) if stream else completion("ok", usage=None)
        ),
        "text": says(
            streamed(text_chunk("ok") + text_chunk(finish="stop") + DONE)
            if stream
            else text("ok", usage=None)
        ),
    }

    async def main() -> None:
        options = {"stream_options": {"include_usage": True}} if stream else {}
        reply = await complete(scene.gateway, model, stream=stream, **options)
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.outcome, row.estimated, row.completion_tokens) == ("complete", True, 1)
        assert usage_of(reply, stream=stream) == used(row.prompt_tokens, 1)
        assert row.charged == row.prompt_tokens * 1_000 + 2_000

    scene.run(main)


@both_ways
@SERVED
def test_a_repeat_under_an_idempotency_key_gets_the_same_bytes(
    model: str, stream: bool, scene: Scene
) -> None:
    says_ok(scene, stream=stream)

    async def main() -> None:
        options: Any = {"stream": stream, "idempotency_key": f"{model}-{stream}"}
        first = await complete(scene.gateway, model, **options)
        money = await nothing_is_held(scene.gateway)
        again = await complete(scene.gateway, model, **options)
        assert (first.status, again.status, again.body) == (200, 200, first.body)
        assert again.headers["x-deeptoken-replay"] == "true"
        assert again.headers["x-deeptoken-id"] == first.headers["x-deeptoken-id"]
        assert await nothing_is_held(scene.gateway) == money

    scene.run(main)


# Failures


def failing(status: str, *fields: str, message: str = "hidden-name is not so", **error: Any) -> bytes:
    told = {"error": {"message": message, "type": "t", "param": None, "code": None, **error}}
    return answer(json.dumps(told).encode(), "Content-Type: application/json", *fields, status=status)


FAILURES: tuple[tuple[bytes, type[openai.APIStatusError], int, str], ...] = (
    (failing("400 Bad Request", code="bad"), openai.BadRequestError, 400, "bad"),
    (failing("401 Unauthorized"), openai.InternalServerError, 502, "upstream_error"),
    (failing("404 Not Found", code="model_not_found"), openai.NotFoundError, 404, "model_not_found"),
    (failing("429 Too Many", "Retry-After: 7"), openai.RateLimitError, 429, "upstream_rate_limited"),
    (failing("503 Unavailable"), openai.InternalServerError, 503, "upstream_error"),
    (answer(b"<html>"), openai.InternalServerError, 502, "upstream_invalid_response"),
    (answer(b"{}"), openai.InternalServerError, 502, "upstream_invalid_response"),
)


@pytest.mark.parametrize("number", range(len(FAILURES)))
@pytest.mark.parametrize("kind", ["chat", "text"])
def test_a_provider_s_failure_is_the_same_error_that_a_chat_would_get(
    kind: str, number: int, scene: Scene
) -> None:
    raw, raised, status, code = FAILURES[number]
    scene.provider.scripts[f"{kind}-{number}"] = says(raw)

    async def main(client: openai.AsyncOpenAI) -> None:
        with pytest.raises(raised) as failed:
            await client.completions.create(model=f"m/{kind}-{number}", prompt=PROMPT)
        assert (failed.value.status_code, failed.value.code) == (status, code)
        assert "hidden" not in failed.value.message
        assert status != 429 or failed.value.response.headers["retry-after"] == "7"

    asked(scene, main)


@pytest.mark.parametrize(
    ("param", "here"),
    [("messages[0].content", "prompt"), ("top_logprobs", "logprobs"), ("temperature", "temperature")],
)
def test_a_chat_that_refuses_a_field_is_told_by_this_dialect_s_name(
    param: str, here: str, scene: Scene
) -> None:
    said = failing("400 Bad Request", message=f"Invalid '{param}'.", param=param, code="bad")
    scene.provider.scripts["chat"] = says(said)

    async def main() -> None:
        for stream in (False, True):
            reply = await complete(scene.gateway, "m/chat", stream=stream)
            told = {"message": f"Invalid '{here}'.", "type": "user", "code": "bad", "param": here}
            assert (reply.status, reply.error) == (400, told)

    scene.run(main)


BROKEN = {
    "chat": (chunk("", role=True) + chunk("one ") + chunk("two"), chunk(finish="error") + DONE),
    "text": (text_chunk("one ") + text_chunk("two"), text_chunk(finish="error") + DONE),
}


@pytest.mark.parametrize("gives_up", [False, True], ids=["ends", "gives up"])
@pytest.mark.parametrize("kind", BROKEN)
def test_a_stream_that_broke_ends_with_an_error_and_is_charged_as_delivered(
    kind: str, gives_up: bool, scene: Scene
) -> None:
    first, then = BROKEN[kind]
    name = f"{kind}-{len(FAILURES) + gives_up}"
    read = asyncio.Event()

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(stream_head() + first)
        await read.wait()
        writer.write(then if gives_up else b"")
        writer.close()

    async def main() -> None:
        scene.provider.scripts[name] = script
        client = await scene.gateway.connect()
        body = {"model": f"m/{name}", "prompt": PROMPT, "stream": True}
        client.write(scene.gateway.request(body, path="/v1/completions"))
        _, headers = await client.head()
        heard = b""
        while piece := await client.chunk():
            heard += piece
            if b"two" in heard:
                read.set()
        reply = Reply(200, headers, heard)
        *said, last = reply.chunks
        code = "upstream_error" if gives_up else "upstream_invalid_response"
        assert (last["error"]["type"], last["error"]["code"]) == ("upstream", code)
        assert "".join(one["choices"][0]["text"] for one in said) == "one two"
        assert "[DONE]" not in reply.events
        row = await row_of(scene.gateway, headers["x-deeptoken-id"])
        assert (row.outcome, row.code) == ("cut", code)
        assert row.charged == row.prompt_tokens * 1_000 + 2 * 2_000

    scene.run(main)


@SERVED
def test_comments_keep_an_idle_connection_and_the_answer_or_an_error_follows(
    model: str, restless: Scene
) -> None:
    name = model.removeprefix("m/")
    good = {"chat": streamed(events("o", "k")), "text": text_events("o", "k")}

    async def waited_for(raw: bytes) -> Reply:
        beaten = asyncio.Event()

        async def script(
            request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await beaten.wait()
            writer.write(raw)
            await writer.drain()

        restless.provider.scripts[name] = script
        client = await restless.gateway.connect()
        body = {"model": model, "prompt": PROMPT, "stream": True}
        client.write(restless.gateway.request(body, path="/v1/completions"))
        status, headers = await client.head()
        assert await client.chunk() == COMMENT
        beaten.set()
        return Reply(status, headers, (await rest(client)).replace(COMMENT, b""))

    async def main() -> None:
        assert texts_of(await waited_for(good[name])) == {0: "ok"}
        wrong = failing("400 Bad Request", message="No messages.", param="messages", code="bad")
        (told,) = (await waited_for(wrong)).chunks
        assert told["error"] == {"message": "No prompt.", "type": "user", "code": "bad", "param": "prompt"}

    restless.run(main)
