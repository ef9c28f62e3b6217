"""Cohere's streams: as chunks of OpenAI's dialect, however the bytes are cut."""

import json
from pathlib import Path
from typing import Any

import msgspec
import openai.types.chat
import pytest
from cohere_scene import (
    ASKED,
    CALL,
    START,
    answer,
    called,
    deltas,
    ended,
    event,
    events,
    plan,
    read,
    thought,
)
from hypothesis import given
from hypothesis import strategies as st

from deeptoken.providers.base import Malformed
from deeptoken.providers.cohere import Cohere
from deeptoken.wire.completion import Assembler
from deeptoken.wire.usage import Usage

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings" / "cohere-stream.jsonl"
CITATION = {"start": 0, "end": 3, "text": "Let", "sources": [{"type": "tool", "id": "add_1:0"}]}

EVERYTHING = events(
    START,
    event("content-start", 0, content={"type": "thinking", "thinking": ""}),
    event("content-delta", 0, content={"thinking": "Hm… "}),
    event("content-delta", 0, content={"thinking": "add."}),
    event("content-end", 0),
    event("content-start", 1, content={"type": "text", "text": "Let"}),
    event("content-delta", 1, content={"text": " me add ü."}),
    event("citation-start", 0, citations=CITATION),
    event("citation-end", 0),
    event("content-end", 1),
    {"type": "debug", "prompt": "<|START|>"},
    event("tool-plan-delta", tool_plan="I"),
    event("tool-plan-delta", tool_plan=" will."),
    *called(0, "add_1", "add", '{"a"', ": 1}"),
    *called(1, "now_1", "now", "nu", "ll"),
    *called(2, "now_2", "now"),
    ended("TOOL_CALL"),
)


def begun(number: int, id: str, name: str) -> dict[str, Any]:
    function = {"name": name, "arguments": ""}
    return {"tool_calls": [{"index": number, "id": id, "type": "function", "function": function}]}


def argued(number: int, arguments: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": number, "function": {"arguments": arguments}}]}


def test_a_stream_becomes_chunks_with_every_delta_at_its_time() -> None:
    pieces = read(EVERYTHING)

    assert deltas(pieces) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "Hm… ", "reasoning_details": [thought("Hm… ")]},
        {"reasoning_content": "add.", "reasoning_details": [thought("add.")]},
        {"content": "Let"},
        {"content": " me add ü."},
        {"citations": [CITATION]},
        {"reasoning_content": "I", "reasoning_details": [plan("I", 1)]},
        {"reasoning_content": " will.", "reasoning_details": [plan(" will.", 1)]},
        begun(0, "add_1", "add"),
        argued(0, '{"a"'),
        argued(0, ": 1}"),
        begun(1, "now_1", "now"),
        argued(1, "{}"),
        begun(2, "now_2", "now"),
        argued(2, "{}"),
        {},
    ]


def test_every_chunk_is_of_one_completion_and_the_last_one_finishes() -> None:
    chunks = [json.loads(piece.data) for piece in read(EVERYTHING) if piece.data]

    for chunk in chunks:
        openai.types.chat.ChatCompletionChunk.model_validate(chunk, strict=True)
        choice = chunk.pop("choices")[0]
        assert chunk == {
            "id": "c-1",
            "object": "chat.completion.chunk",
            "created": 1_790_000_000,
            "model": "acme/command",
        }
        assert (choice["index"], choice["logprobs"]) == (0, None)
        assert choice["finish_reason"] == ("tool_calls" if chunk is chunks[-1] else None)


def test_what_is_generated_commits_and_is_metered_and_the_end_tells_the_usage() -> None:
    pieces = read(EVERYTHING)

    assert not pieces[0].content, "the role alone commits nothing"
    assert "".join(piece.text for piece in pieces) == 'Hm… add.Let me add ü.I will.{"a": 1}{}{}'
    assert all(piece.content for piece in pieces if piece.text)
    assert [piece.finish for piece in pieces[-2:]] == [True, False]
    assert pieces[-1].usage == Usage(prompt=8, completion=2)
    assert json.loads(bytes(pieces[-1].told or b""))["billed_units"] == {
        "input_tokens": 8,
        "output_tokens": 2,
    }


def test_a_stream_put_together_is_the_whole_answer() -> None:
    calls = [CALL | {"function": {"name": "add", "arguments": '{"a": 1}'}}]
    calls += [{"id": f"now_{n}", "type": "function", "function": {"name": "now"}} for n in (1, 2)]
    parts = [{"type": "thinking", "thinking": "Hm… add."}, {"type": "text", "text": "Let me add ü."}]
    message = {"content": parts, "tool_plan": "I will.", "tool_calls": calls, "citations": [CITATION]}
    whole = Cohere().reply(answer(message, finish_reason="TOOL_CALL"), ASKED)
    assembler = Assembler()

    for piece in read(EVERYTHING):
        assembler.add(piece.data)

    assert assembler.whole() == whole.fields


@given(st.sets(st.integers(1, len(EVERYTHING) - 1), max_size=30))
def test_a_stream_reads_the_same_however_it_is_cut(cuts: set[int]) -> None:
    assert read(EVERYTHING, cuts) == read(EVERYTHING)


def test_a_stream_reads_the_same_byte_by_byte() -> None:
    assert read(EVERYTHING, range(len(EVERYTHING))) == read(EVERYTHING)


def test_probabilities_come_with_their_text() -> None:
    told = {"text": "Hi", "token_ids": [1], "logprobs": [-0.5]}
    stream = events(
        START, {**event("content-delta", 0, content={"text": "Hi"}), "logprobs": told}, ended(None)
    )

    chunk = json.loads(read(stream)[1].data)

    assert chunk["choices"][0]["logprobs"]["content"] == [
        {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    ]


def test_arguments_that_only_begin_like_null_are_kept() -> None:
    stream = events(START, *called(0, "f_1", "f", "n", "ule"), ended("TOOL_CALL"))

    assert deltas(read(stream))[2] == argued(0, "nule")


def test_a_call_that_was_not_ended_has_its_arguments_before_the_finish() -> None:
    stream = events(START, *called(0, "f_1", "f")[:1], ended(None))

    pieces = read(stream)

    assert deltas(pieces)[1:] == [begun(0, "f_1", "f"), argued(0, "{}"), {}]
    assert json.loads(pieces[-2].data)["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("fields", "cause", "message"),
    [
        ({"error": "generation failed"}, "outage", "generation failed"),
        ({}, "outage", "Cohere ended the answer with ERROR."),
    ],
)
def test_an_error_in_the_end_is_a_failure(fields: dict[str, str], cause: str, message: str) -> None:
    pieces = read(events(START, event("content-delta", 0, content={"text": "Hi"}), ended("ERROR", **fields)))

    assert [piece.failure is not None for piece in pieces] == [False, False, True]
    failure = pieces[-1].failure
    assert failure is not None
    assert (failure.cause, failure.message) == (cause, message)


def test_a_timeout_in_the_end_was_slow() -> None:
    failure = read(events(START, ended("TIMEOUT")))[-1].failure

    assert failure is not None
    assert failure.cause == "slow"


def test_an_error_instead_of_an_event_is_a_failure() -> None:
    failure = read(b'data: {"message": "internal server error", "id": "x"}\n\n')[-1].failure

    assert failure is not None
    assert (failure.cause, failure.message) == ("outage", "internal server error")


def test_nothing_is_waited_for_after_the_end() -> None:
    stream = Cohere().stream(ASKED)

    before = stream.done
    list(stream.feed(events(START, ended("COMPLETE"))))

    assert (before, stream.done, stream.upstream_id) == (False, True, "c-1")


def test_done_without_an_end_finishes() -> None:
    pieces = read(
        b'data: {"type":"content-delta","delta":{"message":{"content":{"text":"Hi"}}}}\n\ndata: [DONE]\n\n'
    )

    assert [piece.finish for piece in pieces] == [False, True]


@pytest.mark.parametrize(
    "stream",
    [
        events(START)[:-16],
        b"",
        b"data: {\n\n",
        b"data: \xff\n\n",
        b'data: {"type": 1}\n\n',
        b"data: " + b"x" * 9_000_000,
    ],
)
def test_a_stream_that_is_cut_or_broken_is_malformed(stream: bytes) -> None:
    with pytest.raises(Malformed):
        read(stream)


def recorded() -> list[Any]:
    if not RECORDINGS.exists():
        return []
    rows = [msgspec.json.decode(line) for line in RECORDINGS.read_bytes().splitlines()]
    return [pytest.param(row["body"].encode(), id=row["id"]) for row in rows]


@pytest.mark.parametrize("body", recorded())
@given(cuts=st.sets(st.integers(1, 4_000), max_size=20))
def test_a_recorded_stream_says_what_the_vendors_bytes_say(body: bytes, cuts: set[int]) -> None:
    told = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")]
    changes = [change for one in told if (change := one.get("delta", {}).get("message"))]
    assembler = Assembler()

    pieces = read(body, {cut for cut in cuts if cut < len(body)})
    for piece in pieces:
        assembler.add(piece.data)

    choice = openai.types.chat.ChatCompletion.model_validate(assembler.whole(), strict=True).choices[0]
    message = choice.message.model_dump()
    texts = [said["content"].get("text", "") for said in changes if isinstance(said.get("content"), dict)]
    assert (message["content"] or "") == "".join(texts)
    assert message.get("reasoning_content", "") == "".join(said.get("tool_plan", "") for said in changes)
    parts = [said["tool_calls"] for said in changes if isinstance(said.get("tool_calls"), dict)]
    ids = [part["id"] for part in parts if "id" in part]
    arguments = "".join(part["function"]["arguments"] for part in parts)
    made = message["tool_calls"] or []
    assert [call["id"] for call in made] == ids
    assert "".join(call["function"]["arguments"] for call in made) == arguments
    end = told[-1]["delta"]
    assert choice.finish_reason == ("tool_calls" if end["finish_reason"] == "TOOL_CALL" else "stop")
    usage = pieces[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == tuple(end["usage"]["billed_units"].values())
