"""What hosts of OpenAI's dialect answer in their own ways: reasoning, citations, usage, failures."""

import json
from typing import Any

import msgspec
import pytest
from compatible_scene import ASKED, HI, chunk, streamed, turns

from deeptoken.providers.base import Piece
from deeptoken.providers.compatible import PROVIDERS
from deeptoken.wire.completion import Assembler
from deeptoken.wire.usage import Usage

USAGE = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}


def whole(host: str, message: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The answer as it goes to the caller."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    body = json.dumps({"id": "x1", "choices": [choice], **fields}).encode()
    told: dict[str, Any] = json.loads(msgspec.json.encode(PROVIDERS[host].reply(body, ASKED).fields))
    return told


def put_together(pieces: list[Piece]) -> dict[str, Any]:
    assembler = Assembler()
    for piece in pieces:
        assembler.add(piece.data)
    return assembler.whole()


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("deepseek", "reasoning_content"),
        ("zai", "reasoning_content"),
        ("xai", "reasoning_content"),
        ("groq", "reasoning"),
        ("openrouter", "reasoning"),
        ("cerebras", "reasoning"),
        ("vllm", "reasoning"),
        ("vllm", "reasoning_content"),
    ],
)
def test_reasoning_is_told_by_one_name_whole_and_streamed(host: str, name: str) -> None:
    said = whole(host, {"content": "4", name: "2+2"})["choices"][0]["message"]
    pieces = streamed(
        host, chunk({"role": "assistant", name: "2+"}), chunk({name: "2"}), chunk({"content": "4"}, "stop")
    )

    grown = put_together(pieces)["choices"][0]["message"]
    for message in (said, grown):
        assert (message["content"], message["reasoning_content"]) == ("4", "2+2")
        assert "reasoning" not in message
    assert [piece.content for piece in pieces] == [True, True, True]
    assert "".join(piece.text for piece in pieces) == "2+24"


THINKS = {"type": "thinking", "thinking": [{"type": "text", "text": "2+2"}], "signature": "s1"}
REFERENCE = {"type": "reference", "reference_ids": [0, "r1"]}


def test_mistrals_parts_come_out_the_same_whole_and_streamed_and_go_back() -> None:
    parts = [THINKS, {"type": "text", "text": "It is "}, REFERENCE, {"type": "text", "text": "4"}]
    said = whole("mistral", {"content": parts})["choices"][0]["message"]

    pieces = streamed(
        "mistral",
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": [part]}) for part in parts[:3]),
        chunk({"content": "4"}, "stop", usage=USAGE),
    )

    message = put_together(pieces)["choices"][0]["message"]
    assert message == said
    assert (message["content"], message["reasoning_content"]) == ("It is 4", "2+2")
    assert message["references"] == [REFERENCE]
    assert turns("mistral", HI, message, HI)[1]["content"] == [THINKS, {"type": "text", "text": "It is 4"}]
    assert "".join(piece.text for piece in pieces) == "2+2It is 4"


def test_openrouters_details_and_providers_names_pass_its_comments_and_costs_do_not() -> None:
    details = [{"type": "reasoning.text", "text": "2+2", "format": "anthropic-claude-v1", "index": 0}]
    stream = PROVIDERS["openrouter"].stream(ASKED)
    first = chunk({"role": "assistant", "content": "", "reasoning": "2+2", "reasoning_details": details})
    last = chunk({"content": "4"}, "stop", provider="Anthropic")
    cost = {**USAGE, "cost": 0.1, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.1}}
    events = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in (first, last))
    final = b"data: " + json.dumps({**chunk(), "choices": [], "usage": cost}).encode() + b"\n\n"

    data = b": OPENROUTER PROCESSING\n\n" + events + final + b"data: [DONE]\n\n"
    pieces = list(stream.feed(data))

    answer = put_together(pieces)
    assert answer["choices"][0]["message"]["reasoning_details"] == details
    assert answer["provider"] == "Anthropic"
    assert pieces[-1].usage == Usage(prompt=11, completion=3)
    assert json.loads(bytes(pieces[-1].told or b"")) == USAGE


def test_an_error_that_openrouter_tells_in_a_chunk_is_a_failure() -> None:
    error = {"code": 502, "message": "Provider disconnected"}

    pieces = streamed("openrouter", chunk({"content": "Hi"}), chunk({"content": ""}, "error", error=error))

    failure = pieces[-1].failure
    assert failure is not None
    assert (failure.cause, failure.message) == ("outage", "Provider disconnected")


def test_groqs_usage_is_found_where_groq_tells_it() -> None:
    pieces = streamed(
        "groq",
        chunk({"role": "assistant", "content": "Hi"}, x_groq={"id": "req_1"}),
        chunk({}, "stop", x_groq={"id": "req_1", "usage": {**USAGE, "queue_time": 0.1}}),
    )

    assert pieces[-1].usage == Usage(prompt=11, completion=3)
    assert json.loads(pieces[-1].data)["x_groq"]["id"] == "req_1"


def test_an_error_that_groq_tells_in_a_stream_is_a_failure() -> None:
    pieces = streamed(
        "groq", chunk({"content": "Hi"}), chunk({}, x_groq={"id": "r", "error": "over capacity"})
    )

    failure = pieces[-1].failure
    assert failure is not None
    assert failure.message == "over capacity"


def test_what_perplexity_found_passes_whole_and_streamed_and_the_last_usage_counts() -> None:
    found: dict[str, Any] = {
        "citations": ["https://h.example"],
        "search_results": [{"title": "H", "url": "https://h.example", "date": None}],
    }
    first = chunk({"role": "assistant", "content": "It is"}, usage={**USAGE, "completion_tokens": 1}, **found)
    last = chunk({"role": "assistant", "content": " 4[1]"}, "stop", usage=USAGE, **found)

    pieces = streamed("perplexity", first, last)

    streamed_answer, whole_answer = put_together(pieces), whole("perplexity", {"content": "4"}, **found)
    for answer in (streamed_answer, whole_answer):
        assert {name: answer[name] for name in found} == found
    assert streamed_answer["choices"][0]["message"]["content"] == "It is 4[1]"
    assert [piece.usage for piece in pieces][-1] == Usage(prompt=11, completion=3)


def test_what_perplexity_read_and_thought_for_its_research_is_counted() -> None:
    research = {**USAGE, "citation_tokens": 100, "reasoning_tokens": 40, "num_search_queries": 2}

    pieces = streamed("perplexity", chunk({"content": "Hi"}, "stop", usage=research))

    assert pieces[-1].usage == Usage(prompt=111, completion=3, reasoning=40)


def test_what_xai_thought_is_counted_beside_and_what_it_costs_is_not_shown() -> None:
    told = {
        "prompt_tokens": 291,
        "completion_tokens": 26,
        "total_tokens": 506,
        "prompt_tokens_details": {"cached_tokens": 244, "text_tokens": 291},
        "completion_tokens_details": {"reasoning_tokens": 189},
        "cost_in_usd_ticks": 1_399_000,
    }

    piece = streamed("xai", chunk({"content": "Hi"}, "stop", usage=told))[-1]

    assert piece.usage == Usage(prompt=47, cached=244, completion=26, reasoning=189)
    shown = json.loads(bytes(piece.told or b""))
    assert (shown["completion_tokens"], "cost_in_usd_ticks" in shown) == (215, False)


def test_deepseeks_cache_is_found_by_its_older_name() -> None:
    told = {**USAGE, "prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 3}

    piece = streamed("deepseek", chunk({"content": "Hi"}, "stop", usage=told))[-1]

    assert piece.usage == Usage(prompt=3, cached=8, completion=3)


@pytest.mark.parametrize(
    ("host", "status", "body", "cause"),
    [
        ("groq", 498, {"error": {"message": "Flex tier capacity exceeded", "type": "x"}}, "capacity"),
        ("groq", 400, {"error": {"code": "tool_use_failed", "message": "Failed to call"}}, "caller"),
        ("deepseek", 402, {"error": {"message": "Insufficient Balance"}}, "credential"),
        (
            "mistral",
            422,
            {"object": "error", "message": {"detail": [{"loc": ["body", "x"], "msg": "no"}]}},
            "caller",
        ),
        ("cerebras", 400, {"message": "messages.2: unsupported", "code": "wrong_api_format"}, "caller"),
        ("openrouter", 403, {"error": {"code": 403, "message": "Input was flagged"}}, "caller"),
        ("perplexity", 401, {"error": {"message": "Invalid API key", "code": 401}}, "credential"),
    ],
)
def test_failures_have_their_cause_and_words(
    host: str, status: int, body: dict[str, Any], cause: str
) -> None:
    failure = PROVIDERS[host].failure(status, {}, json.dumps(body).encode())

    assert failure.cause == cause
    assert failure.message != f"The provider answered {status}."
