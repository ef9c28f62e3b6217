"""Anthropic's streams: as chunks of OpenAI's dialect, however the bytes are cut."""

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import anthropic
import anthropic.types
import httpx2
import openai.types.chat
import pytest

from deeptoken.providers.anthropic import Anthropic
from deeptoken.providers.anthropic_messages import turns
from deeptoken.providers.base import Asked, Malformed, Piece
from deeptoken.wire.chat import read as read_chat
from deeptoken.wire.usage import Usage

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings" / "anthropic-stream.jsonl"
ASKED = Asked(model="acme/claude", id="chatcmpl-7", created=1_790_000_000)


def events(*data: dict[str, Any]) -> bytes:
    return b"".join(
        b"event: " + event["type"].encode() + b"\ndata: " + json.dumps(event).encode() + b"\n\n"
        for event in data
    )


def started(**usage: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": "msg_1", "type": "message", "usage": usage}}


def begin(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, **part: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": part}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def told(reason: str | None, **usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


END = {"type": "message_stop"}
THINKING_AND_TOOLS = events(
    started(input_tokens=5, output_tokens=1, cache_read_input_tokens=2),
    {"type": "ping"},
    begin(0, type="thinking", thinking="", signature=""),
    delta(0, type="thinking_delta", thinking="Hm… "),
    delta(0, type="thinking_delta", thinking="add."),
    delta(0, type="signature_delta", signature="Eq+/=="),
    stop(0),
    begin(1, type="redacted_thinking", data="Rk9P"),
    stop(1),
    begin(2, type="text", text=""),
    delta(2, type="text_delta", text="Let me "),
    delta(2, type="citations_delta", citation={"type": "char_location"}),
    delta(2, type="text_delta", text="add ü."),
    stop(2),
    begin(3, type="server_tool_use", id="srv", name="web_search", input={}),
    delta(3, type="input_json_delta", partial_json='{"query": "x"}'),
    stop(3),
    begin(4, type="web_search_tool_result", tool_use_id="srv", content=[]),
    stop(4),
    begin(5, type="tool_use", id="toolu_1", name="add", input={}),
    delta(5, type="input_json_delta", partial_json=""),
    delta(5, type="input_json_delta", partial_json='{"a": '),
    delta(5, type="input_json_delta", partial_json="1}"),
    stop(5),
    begin(6, type="tool_use", id="toolu_2", name="now", input={}),
    stop(6),
    begin(7, type="some_new_block", text="x"),
    delta(7, type="some_new_delta", text="x"),
    stop(7),
    {"type": "some_new_event", "index": 9},
    told("tool_use", output_tokens=9, output_tokens_details={"thinking_tokens": 4}),
    END,
)


def read(data: bytes, *cuts: int) -> list[Piece]:
    stream = Anthropic().stream(ASKED)
    edges = [0, *cuts, len(data)]
    pieces: list[Piece] = []
    for left, right in pairwise(edges):
        pieces += stream.feed(data[left:right])
    pieces += stream.end()
    assert stream.done
    return pieces


def deltas(pieces: Iterable[Piece]) -> list[dict[str, Any]]:
    return [json.loads(piece.data)["choices"][0]["delta"] for piece in pieces if piece.data]


def put_together(pieces: Iterable[Piece]) -> dict[str, Any]:
    """What a client has in the end, by OpenAI's rules."""
    whole: dict[str, Any] = {"content": "", "reasoning_content": "", "reasoning_details": {}, "calls": []}
    for piece in pieces:
        if not piece.data:
            continue
        openai.types.chat.ChatCompletionChunk.model_validate_json(piece.data, strict=True)
        choice = json.loads(piece.data)["choices"][0]
        part = choice["delta"]
        whole["content"] += part.get("content", "")
        whole["reasoning_content"] += part.get("reasoning_content", "")
        for detail in part.get("reasoning_details", ()):
            kept = whole["reasoning_details"].setdefault(detail["index"], {"text": "", "signature": ""})
            kept["text"] += detail.get("text", "")
            kept["signature"] += detail.get("signature", "")
        for call in part.get("tool_calls", ()):
            if "id" in call:
                assert call["index"] == len(whole["calls"]), "0-based and contiguous"
                whole["calls"].append([call["id"], call["function"]["name"], ""])
            whole["calls"][call["index"]][2] += call["function"]["arguments"]
        whole["finish"] = choice["finish_reason"]
    return whole


def test_a_stream_becomes_chunks_with_every_delta_at_its_time() -> None:
    pieces = read(THINKING_AND_TOOLS)

    ours = {"format": "anthropic-claude-v1"}
    assert deltas(pieces) == [
        {"role": "assistant", "content": ""},
        {
            "reasoning_content": "Hm… ",
            "reasoning_details": [{"type": "reasoning.text", "text": "Hm… ", **ours, "index": 0}],
        },
        {
            "reasoning_content": "add.",
            "reasoning_details": [{"type": "reasoning.text", "text": "add.", **ours, "index": 0}],
        },
        {
            "reasoning_details": [
                {"type": "reasoning.text", "text": "", "signature": "Eq+/==", **ours, "index": 0}
            ]
        },
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "Rk9P", **ours, "index": 1}]},
        {"content": "Let me "},
        {"content": "add ü."},
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "toolu_1",
                    "type": "function",
                    "function": {"name": "add", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a": '}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
        {
            "tool_calls": [
                {
                    "index": 1,
                    "id": "toolu_2",
                    "type": "function",
                    "function": {"name": "now", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]


def test_every_chunk_is_of_one_completion_and_the_last_one_finishes() -> None:
    chunks = [json.loads(piece.data) for piece in read(THINKING_AND_TOOLS) if piece.data]

    for chunk in chunks:
        choice = chunk.pop("choices")[0]
        assert chunk == {
            "id": "msg_1",
            "object": "chat.completion.chunk",
            "created": 1_790_000_000,
            "model": "acme/claude",
        }
        assert (choice["index"], choice["logprobs"]) == (0, None)
        assert choice["finish_reason"] == ("tool_calls" if chunk is chunks[-1] else None)


def test_the_usage_so_far_is_told_at_the_start_and_after_the_finish() -> None:
    pieces = read(THINKING_AND_TOOLS)

    counted = [piece for piece in pieces if piece.usage]
    assert [piece.usage for piece in counted] == [
        Usage(prompt=5, cached=2, completion=1),
        Usage(prompt=5, cached=2, completion=5, reasoning=4),
    ]
    assert pieces[-2].finish
    assert json.loads(bytes(pieces[-1].told or b"")) == {
        "prompt_tokens": 7,
        "completion_tokens": 9,
        "total_tokens": 16,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }


def test_what_is_generated_commits_and_is_metered() -> None:
    pieces = read(THINKING_AND_TOOLS)

    assert not pieces[0].content, "the role alone commits nothing"
    assert "".join(piece.text for piece in pieces) == 'Hm… add.Let me add ü.{"a": 1}{}'
    assert all(piece.content for piece in pieces if piece.text)
    assert [piece.content for piece in pieces if piece.finish or piece.usage] == [False, False, False]


def test_bytes_cut_at_any_place_say_the_same() -> None:
    whole = read(THINKING_AND_TOOLS)

    for cut in range(1, len(THINKING_AND_TOOLS)):
        assert read(THINKING_AND_TOOLS, cut) == whole


def test_bytes_that_come_one_by_one_say_the_same() -> None:
    whole = read(THINKING_AND_TOOLS)

    assert read(THINKING_AND_TOOLS, *range(1, len(THINKING_AND_TOOLS))) == whole


def test_a_streamed_turn_goes_back_as_it_came() -> None:
    parts = deltas(read(THINKING_AND_TOOLS))
    details = [detail for part in parts for detail in part.get("reasoning_details", ())]
    body = {
        "model": "m",
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Let me add ü.", "reasoning_details": details},
        ],
    }

    messages = read_chat(json.dumps(body).encode()).request.messages

    assert turns(messages).messages[1]["content"] == [
        {"type": "thinking", "thinking": "Hm… add.", "signature": "Eq+/=="},
        {"type": "redacted_thinking", "data": "Rk9P"},
        {"type": "text", "text": "Let me add ü."},
    ]


def test_thinking_that_is_not_shown_still_hands_over_its_signature() -> None:
    pieces = read(
        events(
            started(input_tokens=1, output_tokens=1),
            begin(0, type="thinking", thinking="", signature=""),
            delta(0, type="signature_delta", signature="s"),
            stop(0),
            told("end_turn", output_tokens=1),
            END,
        )
    )

    detail = {
        "type": "reasoning.text",
        "text": "",
        "signature": "s",
        "format": "anthropic-claude-v1",
        "index": 0,
    }
    assert deltas(pieces)[1] == {"reasoning_details": [detail]}
    assert pieces[2].content, "the answer has begun"


def test_a_block_that_begins_with_its_content_loses_none() -> None:
    pieces = read(
        events(
            started(input_tokens=1, output_tokens=1),
            begin(0, type="thinking", thinking="Hm.", signature="s"),
            stop(0),
            begin(1, type="text", text="So:"),
            stop(1),
            begin(2, type="tool_use", id="t", name="now", input={"a": 1}),
            stop(2),
            told("tool_use", output_tokens=1),
            END,
        )
    )

    whole = put_together(pieces)
    assert (whole["content"], whole["reasoning_content"]) == ("So:", "Hm.")
    assert whole["calls"] == [["t", "now", '{"a": 1}']]


def test_counts_are_cumulative_and_one_that_is_missing_has_not_changed() -> None:
    written = {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}
    pieces = read(
        events(
            started(input_tokens=1, output_tokens=1, cache_creation_input_tokens=7, cache_creation=written),
            told(None, output_tokens=2),
            told("end_turn", output_tokens=3, input_tokens=11, cache_creation_input_tokens=9),
            END,
        )
    )

    assert [piece.usage for piece in pieces if piece.usage] == [
        Usage(prompt=1, cache_write=3, cache_write_1h=4, completion=1),
        Usage(prompt=1, cache_write=3, cache_write_1h=4, completion=2),
        Usage(prompt=11, cache_write=5, cache_write_1h=4, completion=3),
    ]


def test_usage_that_nobody_told_is_none_and_a_told_zero_is_zero() -> None:
    silent = read(events({"type": "message_start", "message": {"id": "m"}}, told("end_turn"), END))
    zero = read(events(started(input_tokens=0, output_tokens=0), told("end_turn"), END))

    assert [piece.usage for piece in silent if piece.usage] == []
    assert [piece.usage for piece in zero if piece.told] == [Usage(), Usage()]


def test_a_stream_that_ends_without_a_reason_has_stopped() -> None:
    pieces = read(events(started(), begin(0, type="text", text="Hi"), stop(0), END))

    assert put_together(pieces)["finish"] == "stop"
    assert sum(piece.finish for piece in pieces) == 1


def test_a_second_reason_finishes_nothing() -> None:
    pieces = read(events(started(), told("end_turn"), told("end_turn", output_tokens=1), END))

    assert sum(piece.finish for piece in pieces) == 1


def test_the_end_of_the_connection_after_a_reason_is_an_end() -> None:
    stream = Anthropic().stream(ASKED)

    pieces = [*stream.feed(events(started(), told("max_tokens"))), *stream.end()]

    assert put_together(pieces)["finish"] == "length"
    assert not stream.done


@pytest.mark.parametrize(
    "data",
    [
        b"",
        events(started(), begin(0, type="text", text=""), delta(0, type="text_delta", text="Hel")),
        b"<html><body>Bad gateway</body></html>",
        b'{"type": "error", "error": {"type": "overloaded_error", "message": "x"}}',
    ],
)
def test_a_stream_that_was_cut_is_malformed(data: bytes) -> None:
    stream = Anthropic().stream(ASKED)
    list(stream.feed(data))

    with pytest.raises(Malformed):
        list(stream.end())


@pytest.mark.parametrize(
    "data", [b"data: {\n\n", b"data: 1\n\n", b"data: \xff\n\n", b'data: {"type": 1}\n\n']
)
def test_an_event_that_is_no_event_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(Anthropic().stream(ASKED).feed(data))


def test_an_event_larger_than_the_limit_is_malformed() -> None:
    stream = Anthropic().stream(ASKED)

    for _ in range(8):
        list(stream.feed(b"x" * 1024 * 1024))
    with pytest.raises(Malformed):
        list(stream.feed(b"x"))


@pytest.mark.parametrize(
    ("kind", "cause", "status"),
    [
        ("overloaded_error", "outage", 529),
        ("api_error", "outage", 500),
        ("timeout_error", "outage", 504),
        ("rate_limit_error", "capacity", 429),
        ("invalid_request_error", "caller", 400),
        ("request_too_large", "caller", 413),
        ("authentication_error", "credential", 401),
        ("billing_error", "credential", 402),
        ("permission_error", "credential", 403),
        ("not_found_error", "misconfigured", 404),
        ("something_new", "outage", 500),
    ],
)
def test_an_error_event_is_a_failure_and_nothing_follows_it(kind: str, cause: str, status: int) -> None:
    stream = Anthropic().stream(ASKED)
    error = {"type": "error", "error": {"type": kind, "message": "Sorry."}}
    data = events(started(), begin(0, type="text", text="a"), error, delta(0, type="text_delta", text="b"))

    pieces = [*stream.feed(data), *stream.end()]

    failure = pieces[-1].failure
    assert failure is not None
    assert (failure.cause, failure.status, failure.kind, failure.message) == (cause, status, kind, "Sorry.")
    assert stream.done
    assert put_together(pieces)["content"] == "a"


def test_an_error_event_without_words_is_an_outage() -> None:
    pieces = list(Anthropic().stream(ASKED).feed(b'data: {"type": "error"}\n\n'))

    assert pieces[0].failure is not None
    assert pieces[0].failure.cause == "outage"


def test_the_id_is_the_providers_once_it_is_told_and_ours_before() -> None:
    stream = Anthropic().stream(ASKED)
    assert stream.upstream_id is None

    list(stream.feed(events(started())))

    assert stream.upstream_id == "msg_1"
    nameless = list(Anthropic().stream(ASKED).feed(events({"type": "message_start", "message": {}})))
    assert json.loads(nameless[0].data)["id"] == "chatcmpl-7"


def read_by_the_vendor(body: bytes) -> anthropic.types.Message:
    """What the vendor's own library makes of the same bytes."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    with (
        httpx2.Client(transport=httpx2.MockTransport(answer)) as door,
        anthropic.Anthropic(api_key="x", http_client=door) as client,
        client.messages.stream(
            model="m", max_tokens=1, messages=[{"role": "user", "content": "Hi"}]
        ) as stream,
    ):
        return stream.get_final_message()


def recorded() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDINGS.read_bytes().splitlines()] if RECORDINGS.exists() else []


@pytest.mark.skipif(not RECORDINGS.exists(), reason="no recordings here")
def test_recorded_streams_cut_anywhere_say_what_the_vendors_library_reads() -> None:
    for row in recorded():
        data = row["body"].encode()
        known = read_by_the_vendor(data)

        for size in (1, 7, 64, 1000):
            assert read(data, *range(size, len(data), size)) == read(data)
        pieces = read(data)

        whole = put_together(pieces)
        assert whole["content"] == "".join(block.text for block in known.content if block.type == "text")
        thoughts = [block for block in known.content if block.type == "thinking"]
        assert [(kept["text"], kept["signature"]) for kept in whole["reasoning_details"].values()] == [
            (block.thinking, block.signature) for block in thoughts
        ]
        assert [(id, name, json.loads(arguments)) for id, name, arguments in whole["calls"]] == [
            (block.id, block.name, block.input) for block in known.content if block.type == "tool_use"
        ]
        assert whole["finish"] == ("tool_calls" if known.stop_reason == "tool_use" else "stop")
        usage = next(piece.usage for piece in reversed(pieces) if piece.usage)
        assert (usage.prompt, usage.completion_tokens) == (
            known.usage.input_tokens,
            known.usage.output_tokens,
        )
        assert usage.cached == (known.usage.cache_read_input_tokens or 0)
        assert usage.cache_write + usage.cache_write_1h == (known.usage.cache_creation_input_tokens or 0)
