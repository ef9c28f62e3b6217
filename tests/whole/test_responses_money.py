"""What a call of Responses costs, by its classes of tokens, and how it ends when the money does."""

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from claude_scene import ended, started, text_block, whole_message
from openai_scene import (
    USAGE,
    asked,
    begun,
    both_ways,
    checked,
    everywhere,
    message_item,
    natively,
    numbered,
    openai_scene,
    opened,
    said,
    says_text,
    whole_response,
)
from provider_scene import (
    DONE,
    Scene,
    chunk,
    completion,
    events,
    gone,
    nothing_is_held,
    row_of,
    says,
    stream_head,
    streamed,
    used,
)

from upstreams import Received
from whole_scene import Reply, Whole, chat

CLASSES_CHARGED = 14 * 10_000 + 12 * 1_000 + 4 * 12_500 + 14 * 20_000 + 6 * 30_000
"""30 tokens of input, 12 of them cached and 4 written; 20 of output, 6 of them thought."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with openai_scene(tmp_path_factory.mktemp("money")) as scene:
        yield scene


async def ask(gateway: Whole, model: str, **options: Any) -> Reply:
    fields = {name: options.pop(name) for name in tuple(options) if not name.startswith(("x_", "idem"))}
    body = {"model": model, "input": "hello there", "max_output_tokens": 50, **fields}
    return await gateway.ask(body, path="/v1/responses", **options)


def made_by(reply: Reply, *, stream: bool) -> Any:
    """The Response that is told at the end."""
    assert reply.status == 200, reply.body
    return checked(reply)[-1]["response"] if stream else reply.json


@both_ways
@pytest.mark.parametrize("model", ["m/classes", "m/fees"])
def test_each_class_of_tokens_is_told_and_billed_by_its_own_price(
    model: str, stream: bool, scene: Scene
) -> None:
    chats: Any = used(30, 20) | {
        "prompt_tokens_details": {"cached_tokens": 12, "cache_write_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 6},
    }
    scene.provider.scripts |= {
        "chat": says(streamed(events("ok", usage=chats)) if stream else completion("ok", usage=chats)),
        "native": says(natively("ok") if stream else whole_response(message_item({"text": "ok"}))),
    }

    async def main() -> None:
        reply = await ask(scene.gateway, model, stream=stream)
        assert made_by(reply, stream=stream)["usage"] == USAGE
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.prompt_tokens, row.cached_tokens, row.cache_write_tokens) == (30, 12, 4)
        assert (row.completion_tokens, row.reasoning_tokens) == (20, 6)
        assert (row.charged, row.cost, row.estimated) == (CLASSES_CHARGED, CLASSES_CHARGED, False)
        if not stream:
            assert float(reply.headers["x-deeptoken-cost"]) * 1_000 == CLASSES_CHARGED

    scene.run(main)


@both_ways
@everywhere
def test_who_asks_for_the_cost_is_told_it_beside_the_usage(model: str, stream: bool, scene: Scene) -> None:
    says_text(scene, "o", "k", stream=stream)

    async def main() -> None:
        asked_for = await ask(scene.gateway, model, stream=stream, usage={"include": True})
        silent = await ask(scene.gateway, model, stream=stream)
        for reply in (asked_for, silent):
            told = made_by(reply, stream=stream)["usage"]
            row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
            assert told["output_tokens"] == row.completion_tokens
            if reply is silent:
                assert not {"cost", "cost_details"} & told.keys()
            else:
                assert told["cost"] == row.charged / 1_000 > 0
                sides = {"prompt": row.prompt_tokens, "completion": 2 * row.completion_tokens}
                assert told["cost_details"] == sides
        assert "usage" not in scene.provider.body(model.removeprefix("m/"))

    scene.run(main)


@both_ways
@everywhere
def test_a_provider_that_tells_no_usage_is_counted_and_the_caller_told(
    model: str, stream: bool, scene: Scene
) -> None:
    without = b"".join(part + b"\n\n" for part in events("ok").split(b"\n\n")[:3]) + DONE
    uncounted = ended().replace(b'"output_tokens": 7', b'"nothing": 7')
    scene.provider.scripts |= {
        "chat": says(streamed(without) if stream else completion("ok", usage=None)),
        "claude": says(
            streamed(started(usage=None) + text_block(0, "ok") + uncounted)
            if stream
            else whole_message({"type": "text", "text": "ok"}, usage=None)
        ),
        "native": says(
            natively("ok", usage=None) if stream else whole_response(message_item({"text": "ok"}), usage=None)
        ),
    }

    async def main() -> None:
        reply = await ask(scene.gateway, model, stream=stream)
        told = made_by(reply, stream=stream)["usage"]
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.outcome, row.estimated) == ("complete", True)
        assert told == {
            "input_tokens": row.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": row.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": row.prompt_tokens + row.completion_tokens,
        }
        assert row.charged == row.prompt_tokens * 1_000 + row.completion_tokens * 2_000 > 0

    scene.run(main)


@pytest.mark.parametrize("model", ["m/chat", "m/native"])
def test_a_client_that_leaves_pays_for_what_was_generated(model: str, scene: Scene) -> None:
    name = model.removeprefix("m/")
    left = asyncio.Event()
    begun_with = {
        "chat": chunk("", role=True) + chunk("one ") + chunk("two"),
        "native": numbered(*begun(), *said("one ", "two")[:-3]),
    }

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(stream_head() + begun_with[name])
        await gone(reader)
        left.set()
        writer.close()

    async def main() -> None:
        scene.provider.scripts[name] = script
        client, headers = await opened(scene, model)
        while b"two" not in await client.chunk():
            pass
        client.close()
        await left.wait()
        row = await row_of(scene.gateway, headers["x-deeptoken-id"])
        assert (row.outcome, row.status, row.code) == ("cancelled", 499, "client_closed_request")
        assert row.charged == row.prompt_tokens * 1_000 + 2 * 2_000
        await nothing_is_held(scene.gateway)

    scene.run(main)


@both_ways
@everywhere
def test_a_repeat_under_an_idempotency_key_gets_the_same_bytes(
    model: str, stream: bool, scene: Scene
) -> None:
    says_text(scene, "on", "ce", stream=stream)

    async def main() -> None:
        key = f"{model}-{stream}"
        first = await ask(scene.gateway, model, stream=stream, idempotency_key=key)
        money = await nothing_is_held(scene.gateway)
        again = await ask(scene.gateway, model, stream=stream, idempotency_key=key)
        assert (first.status, again.status, again.body) == (200, 200, first.body)
        assert made_by(again, stream=stream)["status"] == "completed"
        assert again.headers["x-deeptoken-replay"] == "true"
        for name in ("x-deeptoken-id", "x-request-id", "content-type"):
            assert again.headers[name] == first.headers[name]
        assert await nothing_is_held(scene.gateway) == money
        other = await ask(scene.gateway, model, stream=stream, idempotency_key=key, temperature=0.5)
        assert (other.status, other.error["code"]) == (422, "idempotency_mismatch")
        elsewhere = await scene.gateway.ask(chat("hi", model=model), idempotency_key=key)
        assert (elsewhere.status, elsewhere.error["code"]) == (422, "idempotency_mismatch")

    scene.run(main)


def test_the_headers_tell_the_request_the_channel_and_the_cost(scene: Scene) -> None:
    says_text(scene, "ok", stream=False)

    async def main(client: openai.AsyncOpenAI) -> None:
        raw = await client.responses.with_raw_response.create(
            model="m/chat", input="hi", extra_headers={"X-Request-Id": "mine", "Origin": "http://page"}
        )
        told = raw.headers
        row = await row_of(scene.gateway, told["x-deeptoken-id"])
        assert (told["x-request-id"], row.request_id, row.endpoint) == ("mine", "mine", "/v1/responses")
        assert (told["x-deeptoken-channel"], told["x-deeptoken-attempts"]) == ("openai", "1")
        assert float(told["x-deeptoken-cost"]) * 1_000 == row.charged
        assert int(told["openai-processing-ms"]) >= 0
        assert told["access-control-allow-origin"] == "*"
        assert raw.parse().id == f"resp_{row.id}"

    asked(scene, main)
