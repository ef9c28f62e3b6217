"""What a call in Anthropic's dialect costs, by its classes of tokens, and how it ends when the money does."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import pytest
from claude_scene import (
    HI,
    WEATHER,
    asked,
    block,
    claude,
    claude_scene,
    message_events,
    named,
    started,
    text_block,
    tool_block,
    whole_message,
)
from provider_scene import (
    DONE,
    HEAD,
    MODELS,
    Provider,
    Scene,
    Script,
    channel,
    chunk,
    completion,
    event,
    events,
    losses,
    nothing_is_held,
    problems,
    row_of,
    says,
    stream_head,
    streamed,
    used,
)

from deeptoken.money import usd
from upstreams import Received
from whole_scene import Reply, Whole, whole

CACHED: dict[str, Any] = {
    "input_tokens": 10,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 4,
    "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 3},
    "output_tokens": 7,
    "output_tokens_details": {"thinking_tokens": 2},
}
CHARGED = 10 * 10_000 + 5 * 1_000 + 12_500 + 3 * 20_000 + 5 * 20_000 + 2 * 30_000
"""By the rates of `m/cached`."""
OK = {"type": "text", "text": "ok"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with claude_scene(tmp_path_factory.mktemp("money")) as scene:
        yield scene


async def ask(gateway: Whole, model: str, **options: Any) -> Reply:
    fields = {name: options.pop(name) for name in tuple(options) if not name.startswith(("x_", "idem"))}
    body = {"model": model, "max_tokens": 50, "messages": HI, **fields}
    return await gateway.ask(body, path="/v1/messages", **options)


def told_by(reply: Reply) -> list[Any]:
    """The events of a stream."""
    assert reply.status == 200, reply.body
    lines = reply.body.decode().split("\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_each_class_of_tokens_is_told_and_billed_by_its_own_price(stream: bool, scene: Scene) -> None:
    late = {name: count for name, count in CACHED.items() if name.startswith("output")}
    end = named(type="message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage=late)
    raw = (
        started(usage=CACHED | {"output_tokens": 1}) + text_block(0, "ok") + end + named(type="message_stop")
    )
    scene.provider.scripts["cached"] = says(streamed(raw) if stream else whole_message(OK, usage=CACHED))

    async def main(client: anthropic.AsyncAnthropic) -> None:
        options: Any = {"model": "m/cached", "max_tokens": 50, "messages": HI}
        if stream:
            async with client.messages.stream(**options) as heard:
                told, id = await heard.get_final_message(), heard.response.headers["x-deeptoken-id"]
        else:
            raw = await client.messages.with_raw_response.create(**options)
            told, id = await raw.parse(), raw.headers["x-deeptoken-id"]
            assert float(raw.headers["x-deeptoken-cost"]) * 1_000 == CHARGED
        assert told.usage.to_dict() == CACHED
        row = await row_of(scene.gateway, id)
        assert (row.prompt_tokens, row.cached_tokens, row.cache_write_tokens) == (19, 5, 4)
        assert (row.completion_tokens, row.reasoning_tokens) == (7, 2)
        assert (row.charged, row.cost, row.estimated) == (CHARGED, CHARGED, False)

    asked(scene, main)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_another_dialects_usage_is_told_in_disjoint_classes(stream: bool, scene: Scene) -> None:
    usage: Any = used(20, 9) | {
        "prompt_tokens_details": {"cached_tokens": 12},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    answer = streamed(events("ok", usage=usage)) if stream else completion("ok", usage=usage)
    scene.provider.scripts["gpt"] = says(answer)

    async def main() -> None:
        reply = await ask(scene.gateway, "m/gpt", stream=stream)
        told = told_by(reply)[-2]["usage"] if stream else reply.json["usage"]
        assert (told["input_tokens"], told["cache_read_input_tokens"]) == (8, 12)
        assert (told["output_tokens"], told["output_tokens_details"]) == (9, {"thinking_tokens": 4})
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.prompt_tokens, row.cached_tokens, row.reasoning_tokens) == (20, 12, 4)
        assert row.charged == 20 * 1_000 + 9 * 2_000

    scene.run(main)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", ["m/gpt", "m/claude"])
def test_who_asks_for_the_cost_is_told_it_beside_the_usage(model: str, stream: bool, scene: Scene) -> None:
    scene.provider.scripts["gpt"] = says(streamed(events("ok")) if stream else completion("ok"))
    natively = message_events(text_block(0, "ok")) if stream else whole_message(OK)
    scene.provider.scripts["claude"] = says(natively)

    async def main() -> None:
        asked_for = await ask(scene.gateway, model, stream=stream, usage={"include": True})
        silent = await ask(scene.gateway, model, stream=stream)
        for reply in (asked_for, silent):
            told = told_by(reply)[-2]["usage"] if stream else reply.json["usage"]
            row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
            assert "output_tokens" in told
            if reply is silent:
                assert not {"cost", "cost_details"} & told.keys()
            else:
                assert told["cost"] == row.charged / 1_000 > 0
                sides = {"prompt": row.prompt_tokens, "completion": 2 * row.completion_tokens}
                assert told["cost_details"] == sides

    scene.run(main)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", ["m/gpt", "m/claude"])
def test_a_provider_that_tells_no_usage_is_counted_and_the_caller_told(
    model: str, stream: bool, scene: Scene
) -> None:
    without = events("ok").replace(events("ok").split(b"\n\n")[-3] + b"\n\n", b"")
    scene.provider.scripts["gpt"] = says(streamed(without) if stream else completion("ok", usage=None))
    end = named(type="message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None})
    natively = started(usage=None) + text_block(0, "ok") + end + named(type="message_stop")
    scene.provider.scripts["claude"] = says(streamed(natively) if stream else whole_message(OK, usage=None))

    async def main() -> None:
        reply = await ask(scene.gateway, model, stream=stream)
        told = told_by(reply)[-2]["usage"] if stream else reply.json["usage"]
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.outcome, row.estimated) == ("complete", True)
        assert (told["input_tokens"], told["output_tokens"]) == (row.prompt_tokens, row.completion_tokens)
        assert row.charged == row.prompt_tokens * 1_000 + row.completion_tokens * 2_000 > 0

    scene.run(main)


def test_counting_tokens_costs_nothing_and_asks_nobody(scene: Scene) -> None:
    async def main(client: anthropic.AsyncAnthropic) -> None:
        before, rows = await nothing_is_held(scene.gateway), len(scene.gateway.rows())
        asked_before = {name: len(found) for name, found in scene.provider.requests.items()}
        few = await client.messages.count_tokens(model="m/claude", messages=HI)
        more = await client.messages.count_tokens(
            model="m/claude", messages=HI, system="Be brief. " * 20, tools=[WEATHER]
        )
        assert 0 < few.input_tokens < more.input_tokens - 40
        assert await scene.gateway.credits() == before
        assert len(scene.gateway.rows()) == rows
        assert {name: len(found) for name, found in scene.provider.requests.items()} == asked_before

    asked(scene, main)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", ["m/gpt", "m/claude"])
def test_a_repeat_under_an_idempotency_key_gets_the_same_bytes(
    model: str, stream: bool, scene: Scene
) -> None:
    scene.provider.scripts["gpt"] = says(streamed(events("once")) if stream else completion("once"))
    natively = message_events(text_block(0, "once")) if stream else whole_message(OK)
    scene.provider.scripts["claude"] = says(natively)

    async def main() -> None:
        key = f"{model}-{stream}"
        first = await ask(scene.gateway, model, stream=stream, idempotency_key=key)
        money = await nothing_is_held(scene.gateway)
        again = await ask(scene.gateway, model, stream=stream, idempotency_key=key)
        assert (first.status, again.status, again.body) == (200, 200, first.body)
        assert again.headers["x-deeptoken-replay"] == "true"
        for name in ("x-deeptoken-id", "request-id", "content-type"):
            assert again.headers[name] == first.headers[name]
        assert await nothing_is_held(scene.gateway) == money
        other = await ask(scene.gateway, model, stream=stream, idempotency_key=key, temperature=0.5)
        assert (other.status, other.error["code"]) == (422, "idempotency_mismatch")

    scene.run(main)


# A wallet with little in it


@asynccontextmanager
async def little(folder: Path, grant: str, **scripts: Script) -> Any:
    """A gateway whose wallet has `grant` dollars, before `gpt` and `claude`."""
    async with Provider() as provider:
        provider.scripts |= scripts
        more = MODELS + channel(provider, "gpt") + claude(provider, "claude")
        async with whole(folder, more, grant=grant) as gateway:
            yield gateway, provider


def heedless(opening: bytes, word: bytes) -> Script:
    """Says a word for ever, whatever the limit."""

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(stream_head() + opening)
        while not writer.is_closing():
            writer.write(word)
            await writer.drain()
            await asyncio.sleep(0)

    return script


ENDLESS = {
    "gpt": heedless(chunk("", role=True), chunk(" word")),
    "claude": heedless(
        started() + named(type="content_block_start", index=0, content_block={"type": "text", "text": ""}),
        named(type="content_block_delta", index=0, delta={"type": "text_delta", "text": " word"}),
    ),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", ["gpt", "claude"])
def test_a_wallet_that_empties_ends_the_answer_cleanly_and_says_so(
    model: str, stream: bool, tmp_path: Path
) -> None:
    grant = "0.005"

    async def main() -> None:
        async with little(tmp_path, grant, **ENDLESS) as (gateway, provider):
            reply = await ask(gateway, f"m/{model}", stream=stream, max_tokens=100_000)

            limit = int(reply.headers["x-deeptoken-max-tokens"])
            name = "max_tokens" if model == "claude" else "max_completion_tokens"
            assert provider.body(model)[name] == limit < usd(grant) // 2_000
            if stream:
                *said, delta, stop = told_by(reply)
                assert (said[-1]["type"], stop) == ("content_block_stop", {"type": "message_stop"})
                assert (delta["type"], delta["deeptoken"]) == ("message_delta", {"reason": "wallet_empty"})
                reason, told, text = delta["delta"]["stop_reason"], delta["usage"], ""
                for event in said:
                    text += event.get("delta", {}).get("text", "")
            else:
                assert reply.status == 200
                assert reply.json["deeptoken"] == {"reason": "wallet_empty"}
                reason, told = reply.json["stop_reason"], reply.json["usage"]
                (only,) = reply.json["content"]
                text = only["text"]
            assert reason == "max_tokens"
            assert len(text.split()) > 16
            row = await row_of(gateway, reply.headers["x-deeptoken-id"])
            assert (row.outcome, row.charged) == ("dry", usd(grant))
            assert told["output_tokens"] == row.completion_tokens
            assert row.cost - row.charged == losses(gateway, row.id)
            await nothing_is_held(gateway)
            assert problems(gateway) == []
            refused = await ask(gateway, f"m/{model}")
            assert (refused.status, refused.error["type"]) == (402, "billing_error")

    asyncio.run(main())


WORDS = [f"word{number} " for number in range(1_800)]
ARGUMENTS = ('{"city": ', '"Oslo"}')


def in_parts_of_openai() -> bytes:
    call = {
        "index": 0,
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": ""},
    }
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "2+2"},
        *({"content": word} for word in WORDS),
        {"tool_calls": [call]},
        *({"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in ARGUMENTS),
    ]
    parts = b"".join(event({**HEAD, "choices": [{"index": 0, "delta": delta}]}) for delta in deltas)
    return streamed(
        parts + chunk(finish="tool_calls") + event({**HEAD, "choices": [], "usage": used(3, 1_900)}) + DONE
    )


def in_parts_of_claude() -> bytes:
    thought = block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "2+"},
        {"type": "thinking_delta", "thinking": "2"},
        {"type": "signature_delta", "signature": "Eq+/="},
    )
    called = tool_block(2, "call_1", "get_weather", *ARGUMENTS)
    end = named(
        type="message_delta",
        delta={"stop_reason": "tool_use", "stop_sequence": None},
        usage={"output_tokens": 1_900},
        x_new=1,
    )
    return streamed(started() + thought + text_block(1, *WORDS) + called + end + named(type="message_stop"))


@pytest.mark.parametrize(
    ("model", "raw", "signature"), [("gpt", in_parts_of_openai, ""), ("claude", in_parts_of_claude, "Eq+/=")]
)
def test_a_whole_answer_whose_hold_must_grow_is_streamed_to_us_and_put_together(
    model: str, raw: Callable[[], bytes], signature: str, tmp_path: Path
) -> None:
    async def main() -> None:
        async with little(tmp_path, "0.05", **{model: says(raw())}) as (gateway, provider):
            reply = await ask(
                gateway, f"m/{model}", max_tokens=10_000, tools=[WEATHER], usage={"include": True}
            )

            assert provider.body(model)["stream"] is True
            assert reply.headers["content-type"] == "application/json"
            told = anthropic.types.Message.model_validate_json(reply.body, strict=True)
            assert [part.to_dict() for part in told.content] == [
                {"type": "thinking", "thinking": "2+2", "signature": signature},
                {"type": "text", "text": "".join(WORDS)},
                {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Oslo"}},
            ]
            assert (told.model, told.stop_reason, told.role) == (f"m/{model}", "tool_use", "assistant")
            assert told.usage.output_tokens == 1_900
            row = await row_of(gateway, reply.headers["x-deeptoken-id"])
            assert (row.outcome, row.estimated, row.completion_tokens) == ("complete", False, 1_900)
            assert reply.json["usage"]["cost"] == row.charged / 1_000
            assert b"hidden" not in reply.body
            assert ("x_new" in reply.json) == (model == "claude")

    asyncio.run(main())


def test_a_budget_of_thinking_is_cut_to_what_the_wallet_affords(tmp_path: Path) -> None:
    async def main() -> None:
        async with little(tmp_path, "0.004", claude=says(whole_message(OK))) as (gateway, provider):
            provider.scripts["claude"] = says(message_events(text_block(0, "ok")))
            thinking = {"type": "enabled", "budget_tokens": 8_000}
            reply = await ask(gateway, "m/claude", max_tokens=10_000, thinking=thinking)

            assert reply.status == 200, reply.body
            sent = provider.body("claude")
            assert sent["max_tokens"] == int(reply.headers["x-deeptoken-max-tokens"]) < 2_000
            assert 1_024 <= sent["thinking"]["budget_tokens"] < sent["max_tokens"]

    asyncio.run(main())


def test_a_cap_of_the_callers_own_ends_the_answer_and_is_named(tmp_path: Path) -> None:
    async def main() -> None:
        async with little(tmp_path, "1", **ENDLESS) as (gateway, _):
            reply = await ask(gateway, "m/claude", stream=True, max_tokens=100_000, max_cost_usd=0.001)

            *_, delta, _ = told_by(reply)
            assert (delta["delta"]["stop_reason"], delta["deeptoken"]) == (
                "max_tokens",
                {"reason": "max_cost_usd"},
            )
            row = await row_of(gateway, reply.headers["x-deeptoken-id"])
            assert row.charged <= usd("0.001")

    asyncio.run(main())
