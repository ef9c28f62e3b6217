"""What becomes of a call of Responses where the wallet has little in it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from claude_scene import block, claude, named, started, text_block, tool_block
from openai.types.responses import Response
from openai_scene import (
    WEATHER,
    begun,
    both_ways,
    call,
    delta,
    events_of,
    heedless,
    message_item,
    native_events,
    numbered,
    said,
    tokens,
)
from provider_scene import (
    DONE,
    HEAD,
    MODELS,
    Provider,
    Script,
    channel,
    chunk,
    event,
    losses,
    nothing_is_held,
    problems,
    row_of,
    says,
    streamed,
    used,
)

from deeptoken.money import usd
from whole_scene import Reply, Whole, whole


async def ask(gateway: Whole, model: str, **options: Any) -> Reply:
    fields = {name: options.pop(name) for name in tuple(options) if not name.startswith(("x_", "idem"))}
    body = {"model": model, "input": "hello there", "max_output_tokens": 50, **fields}
    return await gateway.ask(body, path="/v1/responses", **options)


@asynccontextmanager
async def little(folder: Path, grant: str, **scripts: Script) -> AsyncIterator[tuple[Whole, Provider]]:
    """A gateway whose wallet has `grant` dollars, before `chat`, `claude` and `native`."""
    async with Provider() as provider:
        provider.scripts |= scripts
        channels = channel(provider, "chat") + channel(provider, "native", responses="true")
        more = MODELS + channels + claude(provider, "claude")
        async with whole(folder, more, grant=grant) as gateway:
            yield gateway, provider


WORD = {
    "type": "response.output_text.delta",
    "item_id": "msg_up",
    "output_index": 0,
    "content_index": 0,
    "delta": " word",
    "logprobs": [],
}
ENDLESS = {
    "chat": heedless(chunk("", role=True), chunk(" word")),
    "claude": heedless(
        started() + named(type="content_block_start", index=0, content_block={"type": "text", "text": ""}),
        named(type="content_block_delta", index=0, delta={"type": "text_delta", "text": " word"}),
    ),
    "native": heedless(numbered(*begun(), *said()[:2]), b"event: x\n" + event(WORD)),
}


@both_ways
@pytest.mark.parametrize("model", ["chat", "claude", "native"])
def test_a_wallet_that_empties_ends_the_answer_as_incomplete_and_says_so(
    model: str, stream: bool, tmp_path: Path
) -> None:
    grant = "0.005"

    async def main() -> None:
        async with little(tmp_path, grant, **ENDLESS) as (gateway, provider):
            reply = await ask(gateway, f"m/{model}", stream=stream, max_output_tokens=100_000)

            limit = int(reply.headers["x-deeptoken-max-tokens"])
            name = {"chat": "max_completion_tokens", "claude": "max_tokens"}.get(model, "max_output_tokens")
            assert provider.body(model)[name] == limit < usd(grant) // 2_000
            assert provider.body(model)["stream"] is True
            if stream:
                last = events_of(reply)[-1]
                assert last["type"] == "response.incomplete"
                told = last["response"]
            else:
                told = reply.json
            assert strictly(told).incomplete_details.to_dict() == {"reason": "max_output_tokens"}
            assert (told["status"], told["deeptoken"]) == ("incomplete", {"reason": "wallet_empty"})
            assert told["model"] == f"m/{model}"
            (item,) = told["output"]
            assert item["status"] == "incomplete"
            assert len(item["content"][0]["text"].split()) > 16
            row = await row_of(gateway, reply.headers["x-deeptoken-id"])
            assert (row.outcome, row.charged) == ("dry", usd(grant))
            assert told["usage"]["output_tokens"] == row.completion_tokens
            assert row.cost - row.charged == losses(gateway, row.id)
            await nothing_is_held(gateway)
            assert problems(gateway) == []
            refused = await ask(gateway, f"m/{model}")
            assert (refused.status, refused.error["code"]) == (402, "wallet_empty")
            assert refused.error["deeptoken"]["reason"] == "insufficient_credit"

    asyncio.run(main())


def strictly(told: Any) -> Any:
    return Response.model_validate(told)


def test_a_cap_of_the_caller_s_own_ends_the_answer_and_is_named(tmp_path: Path) -> None:
    async def main() -> None:
        async with little(tmp_path, "1", **ENDLESS) as (gateway, _):
            reply = await ask(gateway, "m/native", stream=True, max_output_tokens=100_000, max_cost_usd=0.001)

            told = events_of(reply)[-1]["response"]
            assert (told["status"], told["deeptoken"]) == ("incomplete", {"reason": "max_cost_usd"})
            row = await row_of(gateway, reply.headers["x-deeptoken-id"])
            assert row.charged <= usd("0.001")

    asyncio.run(main())


WORDS = [f"word{number} " for number in range(1_800)]
ARGUMENTS = ('{"city": ', '"Oslo"}')


def in_parts_of_chat() -> bytes:
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "2+2"},
        *({"content": word} for word in WORDS),
        {"tool_calls": [call(0, "", id="call_1", name="get_weather")]},
        *({"tool_calls": [call(0, part)]} for part in ARGUMENTS),
    ]
    counted = event({**HEAD, "choices": [], "usage": used(3, 1_900)})
    return streamed(b"".join(delta(**told) for told in deltas) + chunk(finish="tool_calls") + counted + DONE)


def in_parts_of_claude() -> bytes:
    thought = block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "2+2"},
        {"type": "signature_delta", "signature": "Eq+/="},
    )
    called = tool_block(2, "call_1", "get_weather", *ARGUMENTS)
    end = named(
        type="message_delta",
        delta={"stop_reason": "tool_use", "stop_sequence": None},
        usage={"output_tokens": 1_900},
    )
    return streamed(started() + thought + text_block(1, *WORDS) + called + end + named(type="message_stop"))


def in_parts_of_native() -> bytes:
    content = [{"type": "reasoning_text", "text": "2+2"}]
    thought = {"id": "rs_up", "type": "reasoning", "summary": [], "content": content}
    message = message_item({"text": "".join(WORDS)})
    called = {
        "id": "fc_up",
        "type": "function_call",
        "status": "completed",
        "call_id": "call_1",
        "name": "get_weather",
        "arguments": "".join(ARGUMENTS),
    }
    done = [
        {"type": "response.output_item.done", "output_index": at, "item": item}
        for at, item in enumerate((thought, message, called))
    ]
    events = [done[0], *said(*WORDS, at=1), done[2]]
    usage = tokens(10, 0, 0, 0) | {"output_tokens": 1_900, "total_tokens": 1_910}
    return native_events(*events, output=[thought, message, called], usage=usage, own=1)


IN_PARTS = {"chat": in_parts_of_chat, "claude": in_parts_of_claude, "native": in_parts_of_native}


@pytest.mark.parametrize("model", IN_PARTS)
def test_a_whole_answer_whose_hold_must_grow_is_streamed_to_us_and_put_together(
    model: str, tmp_path: Path
) -> None:
    async def main() -> None:
        async with little(tmp_path, "0.05", **{model: says(IN_PARTS[model]())}) as (gateway, provider):
            reply = await ask(
                gateway, f"m/{model}", max_output_tokens=10_000, tools=[WEATHER], usage={"include": True}
            )

            assert provider.body(model)["stream"] is True
            assert reply.headers["content-type"] == "application/json"
            told = strictly(reply.json)
            thought, message, called = told.output
            assert "".join(part.text for part in thought.content) == "2+2"
            assert told.output_text == "".join(WORDS)
            assert message.status == "completed"
            assert (called.call_id, json.loads(called.arguments)) == ("call_1", {"city": "Oslo"})
            assert (told.model, told.status, told.error) == (f"m/{model}", "completed", None)
            assert told.usage.output_tokens == 1_900
            row = await row_of(gateway, reply.headers["x-deeptoken-id"])
            assert (row.outcome, row.estimated, row.completion_tokens) == ("complete", False, 1_900)
            assert reply.json["usage"]["cost"] == row.charged / 1_000
            assert b"hidden" not in reply.body
            assert ("own" in reply.json) == (model == "native")

    asyncio.run(main())
