"""What becomes of a call of the older completions where the wallet has little in it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from completions_scene import complete, text_chunk, text_events, texts_of
from openai.types import Completion
from openai_scene import both_ways, heedless
from provider_scene import (
    HEAD,
    MODELS,
    Provider,
    Script,
    channel,
    chunk,
    event,
    events,
    nothing_is_held,
    problems,
    row_of,
    says,
    streamed,
)

from deeptoken.money import usd
from whole_scene import Whole, whole

GRANT = "0.005"
SERVED = pytest.mark.parametrize("model", ["chat", "text"])


@asynccontextmanager
async def little(folder: Path, grant: str, **scripts: Script) -> AsyncIterator[tuple[Whole, Provider]]:
    """A gateway whose wallet has `grant` dollars, before `chat` and `text`."""
    async with Provider() as provider:
        provider.scripts |= scripts
        more = MODELS + channel(provider, "chat") + channel(provider, "text", provider='"vllm"')
        async with whole(folder, more, grant=grant) as gateway:
            yield gateway, provider


ENDLESS = {"chat": heedless(b"", chunk(" word")), "text": heedless(b"", text_chunk(" word"))}


@both_ways
@SERVED
def test_a_wallet_that_empties_ends_the_answer_cleanly_and_says_so(
    model: str, stream: bool, tmp_path: Path
) -> None:
    async def main() -> None:
        async with little(tmp_path, GRANT, **ENDLESS) as (gateway, provider):
            reply = await complete(gateway, f"m/{model}", stream=stream, max_tokens=100_000)

            limit = int(reply.headers["x-deeptoken-max-tokens"])
            assert provider.body(model)["max_tokens"] == limit < usd(GRANT) // 2_000
            if stream:
                last, said = reply.chunks[-1], texts_of(reply)[0]
            else:
                last, said = reply.json, reply.json["choices"][0]["text"]
            assert last["deeptoken"] == {"reason": "wallet_empty"}
            assert (last["object"], last["model"]) == ("text_completion", f"m/{model}")
            assert last["choices"][0]["finish_reason"] == "length"
            assert len(said.split()) > 16
            Completion.model_validate(last)
            row = await row_of(gateway, reply.headers["x-deeptoken-id"])
            assert (row.outcome, row.charged) == ("dry", usd(GRANT))
            await nothing_is_held(gateway)
            assert problems(gateway) == []
            refused = await complete(gateway, f"m/{model}")
            assert (refused.status, refused.error["code"]) == (402, "wallet_empty")

    asyncio.run(main())


def chat_chunk(said: str, finish: str | None = None, index: int = 0) -> bytes:
    choice = {"index": index, "delta": {"content": said}, "logprobs": None, "finish_reason": finish}
    return event({**HEAD, "choices": [choice]})


@SERVED
def test_a_choice_that_has_ended_is_not_ended_again_when_the_money_is_gone(
    model: str, tmp_path: Path
) -> None:
    told = chat_chunk if model == "chat" else text_chunk
    script = heedless(told("whole", "stop"), told(" word", index=1))

    async def main() -> None:
        async with little(tmp_path, GRANT, **{model: script}) as (gateway, _):
            reply = await complete(gateway, f"m/{model}", stream=True, n=2, max_tokens=100_000)

            ends = [
                (choice["index"], choice["finish_reason"])
                for chunk in reply.chunks
                for choice in chunk["choices"]
                if choice["finish_reason"]
            ]
            assert ends == [(0, "stop"), (1, "length")]

    asyncio.run(main())


WORDS = [f"word{number} " for number in range(1_800)]
IN_PARTS = {
    "chat": streamed(events(*WORDS)),
    "text": text_events(*WORDS),
}


@SERVED
def test_a_whole_answer_whose_hold_must_grow_is_streamed_to_us_and_put_together(
    model: str, tmp_path: Path
) -> None:
    async def main() -> None:
        async with little(tmp_path, "0.05", **{model: says(IN_PARTS[model])}) as (gateway, provider):
            reply = await complete(gateway, f"m/{model}", max_tokens=10_000, usage={"include": True})

            assert provider.body(model)["stream"] is True
            assert reply.headers["content-type"] == "application/json"
            told = Completion.model_validate(reply.json)
            assert told.choices[0].text == "".join(WORDS)
            assert (told.object, told.model, told.choices[0].finish_reason) == (
                "text_completion",
                f"m/{model}",
                "length" if model == "text" else "stop",
            )
            row = await row_of(gateway, reply.headers["x-deeptoken-id"])
            assert (row.outcome, row.estimated, row.completion_tokens) == ("complete", False, 1_800)
            assert reply.json["usage"]["cost"] == row.charged / 1_000

    asyncio.run(main())
