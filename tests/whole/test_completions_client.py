"""Clients of OpenAI's older completions are served by models of any dialect, by OpenAI's own client."""

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from claude_scene import chosen
from completions_scene import HEAD, PROMPT, complete, text, text_chunk, text_events, texts_of
from openai.types import Completion
from openai_scene import asked, both_ways, openai_scene, says_text
from provider_scene import DONE, Scene, completion, event, row_of, says, streamed, used
from provider_scene import HEAD as CHAT_HEAD

from upstreams import Received

LOGPROB = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
LOGPROBS = {"content": [LOGPROB | {"top_logprobs": [LOGPROB]}, LOGPROB | {"token": " you", "logprob": -1.5}]}
LISTS = {
    "tokens": ["Hi", " you"],
    "token_logprobs": [-0.5, -1.5],
    "top_logprobs": [{"Hi": -0.5}, {}],
    "text_offset": [0, 2],
}
SERVED = pytest.mark.parametrize("model", ["m/chat", "m/claude", "m/text"])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with openai_scene(tmp_path_factory.mktemp("completions")) as scene:
        yield scene


def says_text_here(scene: Scene, *words: str, stream: bool) -> None:
    says_text(scene, *words, stream=stream)
    scene.provider.scripts["text"] = says(text_events(*words) if stream else text("".join(words)))


async def heard(client: openai.AsyncOpenAI, *, stream: bool, **options: Any) -> tuple[str, str, Any]:
    """What the first choice says, how it ends, and the last thing that is told."""
    if not stream:
        told = await client.completions.create(**options)
        (choice,) = told.choices
        return choice.text, choice.finish_reason, told
    chunks = [
        chunk
        async for chunk in await client.completions.create(
            stream=True, stream_options={"include_usage": True}, **options
        )
    ]
    assert {(chunk.id, chunk.object, chunk.model) for chunk in chunks} == {
        (chunks[0].id, "text_completion", options["model"])
    }
    *said, last = chunks
    ends = [chunk.choices[0].finish_reason for chunk in said]
    assert ends[:-1] == [None] * len(ends[:-1])
    assert all(chunk.usage is None and "usage" in chunk.model_fields_set for chunk in said)
    assert last.choices == []
    return "".join(chunk.choices[0].text for chunk in said), ends[-1], last


@both_ways
@SERVED
def test_a_prompt_is_completed_by_every_dialect(model: str, stream: bool, scene: Scene) -> None:
    says_text_here(scene, "a ", "time", stream=stream)

    async def main(client: openai.AsyncOpenAI) -> None:
        said, end, told = await heard(client, stream=stream, model=model, prompt=PROMPT, max_tokens=20)
        assert (said, end) == ("a time", "length" if model == "m/text" else "stop")
        assert told.usage.total_tokens == told.usage.prompt_tokens + told.usage.completion_tokens > 0
        assert told.model == model
        assert "hidden" not in told.to_json()

    # OpenAI's stream has no finish reason before the end, which the type of its client does not allow.
    asked(scene, main, _strict_response_validation=not stream)
    sent = scene.provider.body(model.removeprefix("m/"))
    assert sent["max_tokens"] == 20
    match model:
        case "m/chat":
            assert sent["messages"] == [{"role": "user", "content": PROMPT}]
            assert "prompt" not in sent
        case "m/text":
            assert (sent["prompt"], sent["model"]) == (PROMPT, "hidden-text")
            assert scene.provider.requests["text"][-1].line == "POST /text/v1/completions HTTP/1.1"


@both_ways
def test_sim_completes_sixteen_tokens_where_no_limit_is_told(stream: bool, scene: Scene) -> None:
    async def main(client: openai.AsyncOpenAI) -> None:
        said, end, told = await heard(client, stream=stream, model="sim/text", prompt=PROMPT)
        assert (len(said.split()), end) == (16, "length")
        assert (told.usage.prompt_tokens, told.usage.completion_tokens) == (2, 16)
        echoed, _, _ = await heard(client, stream=stream, model="sim/echo", prompt=PROMPT, echo=True)
        assert echoed == PROMPT + PROMPT

    asked(scene, main, _strict_response_validation=not stream)


@pytest.mark.parametrize("model", ["m/chat", "m/claude"])
def test_sixteen_tokens_are_the_limit_of_whoever_tells_none(model: str, scene: Scene) -> None:
    says_text(scene, "a time", stream=False)

    async def main(client: openai.AsyncOpenAI) -> None:
        await client.completions.create(model=model, prompt=PROMPT)

    asked(scene, main)
    assert scene.provider.body(model.removeprefix("m/"))["max_tokens"] == 16


@both_ways
def test_two_answers_are_two_choices_each_with_its_prompt_before_it(stream: bool, scene: Scene) -> None:
    async def main() -> None:
        reply = await complete(
            scene.gateway, "sim/text", n=2, echo=True, best_of=2, max_tokens=5, stream=stream
        )
        if stream:
            texts = texts_of(reply)
        else:
            texts = {choice["index"]: choice["text"] for choice in reply.json["choices"]}
            assert Completion.model_validate(reply.json).usage is not None
        assert texts.keys() == {0, 1}
        assert texts[0] != texts[1]
        for told in texts.values():
            assert told.startswith(PROMPT)
            assert len(told.removeprefix(PROMPT).split()) == 5
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.completion_tokens, row.charged) == (10, 2_000 + 10 * 2_000)

    scene.run(main)


@both_ways
def test_log_probabilities_are_told_in_the_dialect_s_four_lists(stream: bool, scene: Scene) -> None:
    (whole,) = chosen({"content": "Hi you"})
    choice = {"index": 0, "delta": {"content": "Hi you"}, "logprobs": LOGPROBS, "finish_reason": "stop"}
    raw = streamed(event({**CHAT_HEAD, "choices": [choice]}) + DONE)
    scene.provider.scripts["chat"] = says(
        raw if stream else completion(choices=[whole | {"logprobs": LOGPROBS}])
    )

    async def main() -> None:
        reply = await complete(scene.gateway, "m/chat", logprobs=1, stream=stream)
        told = reply.chunks[0] if stream else reply.json
        assert told["choices"] == [{"text": "Hi you", "index": 0, "logprobs": LISTS, "finish_reason": "stop"}]
        assert Completion.model_validate(told).choices[0].logprobs is not None

    scene.run(main)
    sent = scene.provider.body("chat")
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 1)


@pytest.mark.parametrize("end", ["stop", "length", "content_filter"])
def test_an_end_is_told_as_the_chat_told_it(end: str, scene: Scene) -> None:
    scene.provider.scripts["chat"] = says(completion(choices=chosen({"content": "a"}, end)))

    async def main(client: openai.AsyncOpenAI) -> None:
        told = await client.completions.create(model="m/chat", prompt=PROMPT)
        assert told.choices[0].finish_reason == end

    asked(scene, main)


# What only a host of the dialect can do

ONLY_THERE: tuple[tuple[dict[str, Any], str], ...] = (
    ({"prompt": ["a", "b"]}, "prompt"),
    ({"prompt": [5, 7]}, "prompt"),
    ({"prompt": [[5, 7], [9]]}, "prompt"),
    ({"suffix": "the end"}, "suffix"),
    ({"best_of": 3}, "best_of"),
    ({"echo": True, "logprobs": 0}, "logprobs"),
    ({"echo": True, "max_tokens": 0}, "max_tokens"),
)


@pytest.mark.parametrize(("fields", "param"), ONLY_THERE)
def test_what_no_chat_can_carry_goes_to_a_host_of_the_dialect_or_nowhere(
    fields: dict[str, Any], param: str, scene: Scene
) -> None:
    says_text_here(scene, "ok", stream=False)

    async def main() -> None:
        before = {name: len(sent) for name, sent in scene.provider.requests.items()}
        for model in ("m/chat", "m/claude", "sim/echo"):
            refused = await complete(scene.gateway, model, **fields)
            assert (refused.status, refused.error["code"]) == (400, "invalid_request_error")
            assert (refused.error["type"], refused.error["param"]) == ("user", param)
        assert {name: len(sent) for name, sent in scene.provider.requests.items()} == before
        served = await complete(scene.gateway, "m/text", **fields)
        assert served.status == 200
        sent = scene.provider.body("text")
        assert {name: sent[name] for name in fields} == fields

    scene.run(main)


@both_ways
def test_of_several_prompts_each_has_its_answer_and_all_are_billed(stream: bool, scene: Scene) -> None:
    raw = b"".join(text_chunk(word, index=at) for at, word in ((0, "a"), (1, "b"), (1, "c"), (0, "d")))
    raw += b"".join(text_chunk(finish="stop", index=at) for at in (0, 1))
    counted = event({**HEAD, "choices": [], "usage": used(6, 4)})
    scene.provider.scripts["text"] = says(
        streamed(raw + counted + DONE) if stream else text("ad", "bc", usage=used(6, 4))
    )

    async def main() -> None:
        options = {"stream_options": {"include_usage": True}} if stream else {}
        reply = await complete(scene.gateway, "m/text", prompt=["one", "two"], stream=stream, **options)
        if stream:
            assert texts_of(reply) == {0: "ad", 1: "bc"}
            assert reply.chunks[-1]["usage"] == used(6, 4)
        else:
            assert [choice["text"] for choice in reply.json["choices"]] == ["ad", "bc"]
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.charged, row.estimated) == (6_000 + 4 * 2_000, False)

    scene.run(main)


def test_what_the_host_says_passes_as_it_came_but_for_the_model(scene: Scene) -> None:
    logprobs = {"tokens": ["a"], "token_logprobs": [None], "top_logprobs": [None], "text_offset": [0]}
    choice = {"text": "a", "index": 0, "logprobs": logprobs, "finish_reason": "stop", "own": [1e2]}
    fields: dict[str, Any] = {"choices": [choice], "kv": {"a": 1}, "system_fingerprint": "fp"}
    scene.provider.scripts["text"] = says(text("", **fields))

    async def main() -> None:
        reply = await complete(
            scene.gateway, "m/text", echo=True, logprobs=1, x_request_id="mine", tomorrow=[1]
        )
        assert reply.json == {**HEAD, "model": "m/text", "usage": used(3, 2), **fields}
        assert reply.headers["x-request-id"] == "mine"
        assert scene.provider.body("text")["tomorrow"] == [1]

    scene.run(main)


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_a_host_s_stream_is_the_same_however_it_is_cut(size: int, scene: Scene) -> None:
    raw = text_events("grüße ", "🙂 \u2028")

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for place in range(0, len(raw), size):
            writer.write(raw[place : place + size])
            await asyncio.sleep(0)
        writer.close()

    scene.provider.scripts["text"] = script

    async def main() -> None:
        reply = await complete(scene.gateway, "m/text", stream=True)
        assert texts_of(reply) == {0: "grüße 🙂 \u2028"}
        assert all("usage" not in chunk for chunk in reply.chunks)
        assert b"hidden" not in reply.body

    scene.run(main)
