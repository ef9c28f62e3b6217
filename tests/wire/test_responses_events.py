"""A chat's chunks as the events of a Response."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from responses_scene import (
    USAGE,
    WHOLE,
    about,
    answers,
    asked,
    chunk,
    events_of,
    messages,
    sdk,
    streamed,
    strict_response,
    strictly,
)

from deeptoken.errors import BadRequest, DeeptokenError, RateLimited, UpstreamError
from deeptoken.wire.completion import Assembler, merged
from deeptoken.wire.responses_answer import End, response
from deeptoken.wire.responses_events import Events

STARTED = chunk({"role": "assistant", "content": ""})


def call(index: int, arguments: str = "", **first: Any) -> bytes:
    """A delta of a tool call; with an id, its first."""
    function = {"arguments": arguments, **({"name": first.pop("name")} if "name" in first else {})}
    return chunk({"tool_calls": [{"index": index, **first, "function": function}]})


def kinds(stream: bytes) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events_of(stream)]


def last(stream: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = events_of(stream)[-1]["response"]
    return answer


def test_a_text_is_told_from_its_item_s_beginning_to_its_end() -> None:
    stream = streamed([STARTED, chunk({"content": "Fo"}), chunk({"content": "ur."}), chunk({}, "stop")])

    assert kinds(stream) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["delta"] for event in events_of(stream) if "delta" in event] == ["Fo", "ur."]
    assert stream.startswith(
        b'event: response.created\ndata: {"type":"response.created","sequence_number":0,'
    )
    assert b"[DONE]" not in stream


def test_thoughts_are_told_as_text_or_as_a_summary() -> None:
    thoughts = [STARTED, chunk({"reasoning_content": "Hm."}), chunk({"content": "4"}), chunk({}, "stop")]
    summarized = about(asked(reasoning={"effort": "low", "summary": "auto"}))

    plain, summary = kinds(streamed(thoughts)), kinds(streamed(thoughts, told=summarized))

    assert plain[2:8] == [
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
    ]
    assert summary[2:8] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]


def test_a_refusal_is_a_part_of_its_own() -> None:
    stream = streamed([STARTED, chunk({"content": "a"}), chunk({"refusal": "No."}), chunk({}, "stop")])

    assert kinds(stream)[6:12] == [
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
    ]
    assert [part["type"] for part in last(stream)["output"][0]["content"]] == ["output_text", "refusal"]


def test_calls_whose_arguments_come_mixed_are_each_whole() -> None:
    stream = streamed(
        [
            STARTED,
            call(0, '{"a"', id="c1", name="add"),
            call(1, "{", id="c2", name="sub"),
            call(0, ":1}"),
            call(1, "}"),
            call(2, id="c3", name="now"),
            chunk({}, "tool_calls"),
        ]
    )

    done = [event for event in events_of(stream) if event["type"].endswith("arguments.done")]
    assert [event["arguments"] for event in done] == ['{"a":1}', "{}", "{}"]
    assert [(item["call_id"], item["name"], item["arguments"]) for item in last(stream)["output"]] == [
        ("c1", "add", '{"a":1}'),
        ("c2", "sub", "{}"),
        ("c3", "now", "{}"),
    ]


def test_arguments_that_go_on_end_no_message_and_other_choices_are_not_told() -> None:
    stream = streamed(
        [
            STARTED,
            call(0, "{", id="c1", name="add"),
            chunk({"content": "a"}),
            call(0, "}"),
            chunk({"content": "other"}, index=1),
            chunk({"content": "b"}),
            chunk({}, "tool_calls"),
        ]
    )

    called, message = last(stream)["output"]
    assert (called["arguments"], message["content"][0]["text"]) == ("{}", "ab")


def test_details_of_a_thought_that_come_in_pieces_come_back_as_one() -> None:
    text = {"type": "reasoning.text", "text": "Hm.", "index": 0}
    pieces = [text, {**text, "text": " So."}, {"type": "reasoning.text", "signature": "Eq", "index": 0}]

    stream = streamed([*(chunk({"reasoning_details": [one]}) for one in pieces), chunk({"content": "a"})])

    [told] = messages(last(stream)["output"])
    assert told["reasoning_details"] == [{**text, "text": "Hm. So.", "signature": "Eq"}]


def test_a_call_whose_name_comes_late_begins_when_it_is_known() -> None:
    stream = streamed([STARTED, call(0, "{", id="c1"), call(0, "}", name="add"), chunk({}, "tool_calls")])

    added = [event["item"]["name"] for event in events_of(stream) if event["type"].endswith("item.added")]
    assert added == ["add"]
    assert [event["delta"] for event in events_of(stream) if "delta" in event] == ["{}"]


def test_a_call_that_was_cut_is_not_mended() -> None:
    stream = streamed(
        [STARTED, call(0, "{}", id="c1", name="a"), call(1, '{"a', id="c2", name="b"), chunk({}, "length")]
    )

    answer = last(stream)
    assert (answer["status"], answer["incomplete_details"]) == (
        "incomplete",
        {"reason": "max_output_tokens"},
    )
    assert [(item["status"], item["arguments"]) for item in answer["output"]] == [
        ("completed", "{}"),
        ("incomplete", '{"a'),
    ]
    assert kinds(stream)[-1] == "incomplete"


def test_an_answer_that_the_money_ended_has_no_finish_and_says_why() -> None:
    stream = streamed([STARTED, chunk({"content": "a"})], End(usage=USAGE, dry="wallet_empty"))

    answer = last(stream)
    assert (kinds(stream)[-1], answer["status"]) == ("incomplete", "incomplete")
    assert answer["deeptoken"] == {"reason": "wallet_empty"}
    assert answer["output"][0]["status"] == "incomplete"


def test_usage_and_what_is_ours_in_it_come_with_the_last_event() -> None:
    stream = streamed([STARTED, chunk({}, "stop")], End(usage=USAGE, more={"cost": 0.5}))

    assert events_of(stream)[0]["response"]["usage"] is None
    assert last(stream)["usage"]["cost"] == 0.5
    assert last(stream)["usage"]["output_tokens_details"] == {"reasoning_tokens": 2}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UpstreamError("It broke."), "server_error"),
        (DeeptokenError("It broke."), "server_error"),
        (RateLimited("It broke."), "rate_limit_exceeded"),
        (BadRequest("It broke.", param="input"), "invalid_prompt"),
    ],
)
@pytest.mark.parametrize("begun", [True, False])
def test_a_failure_is_told_in_our_words_and_ends_the_response(
    error: DeeptokenError, code: str, begun: bool
) -> None:
    events = Events(about())
    before = events.chunk(chunk({"content": "a"})) if begun else b""

    told = events_of(before + events.failed(error))

    for event in told:
        strictly(event)
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert told[0]["type"] == "response.created"
    assert told[-2] == {
        "type": "error",
        "sequence_number": len(told) - 2,
        "code": error.code,
        "message": "It broke.",
        "param": error.param,
    }
    assert told[-1]["response"]["status"] == "failed"
    assert told[-1]["response"]["error"] == {"code": code, "message": "It broke."}


@given(answers())
def test_any_answer_s_events_are_openai_s_and_add_up(chunks: list[bytes]) -> None:
    told = events_of(streamed(chunks))

    output = told[-1]["response"]["output"]
    for event in told:
        strictly(event)
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    added = [event["output_index"] for event in told if event["type"] == "response.output_item.added"]
    assert added == list(range(len(output)))
    done = {e["output_index"]: e["item"] for e in told if e["type"] == "response.output_item.done"}
    assert [done[at] for at in added] == output
    assert _accumulated(told) == [_text(item) for item in output]


@given(answers(), st.integers(0, 12))
def test_nothing_of_a_response_that_failed_is_in_progress_and_what_came_is_in_it(
    chunks: list[bytes], count: int
) -> None:
    events = Events(about())
    before = b"".join(map(events.chunk, chunks[:-1][:count]))

    told = events_of(before + events.failed(UpstreamError("It broke.")))

    output = told[-1]["response"]["output"]
    strict_response(told[-1]["response"])
    assert {item["status"] for item in output if "status" in item} <= {"completed", "incomplete"}
    assert _accumulated(told) == [_text(item) for item in output]


def _accumulated(told: list[dict[str, Any]]) -> list[str]:
    """The text of each item, from its deltas."""
    texts: dict[int, str] = {}
    for event in told:
        if event["type"] == "response.output_item.added":
            texts[event["output_index"]] = ""
        elif event["type"].endswith(".delta"):
            texts[event["output_index"]] += event["delta"]
    return [texts[at] for at in sorted(texts)]


def _text(item: dict[str, Any]) -> str:
    parts = [*item.get("summary", ()), *item.get("content", ())]
    arguments: str = item.get("arguments", "")
    return arguments + "".join(part.get("text", part.get("refusal")) for part in parts)


@given(answers())
def test_openai_s_sdk_puts_the_stream_together_to_the_same_response(chunks: list[bytes]) -> None:
    stream = streamed(chunks)
    final = last(stream)

    with (
        sdk(stream, stream=True) as client,
        client.responses.stream(model="acme/one", input="Hi") as events,
    ):
        seen = list(events)

    strict_response(final)
    assert seen[-1].type == f"response.{final['status']}"
    grown: dict[tuple[int, int], str] = {}
    for event in seen:
        if event.type == "response.output_text.delta":
            grown[event.output_index, event.content_index] = event.snapshot
        elif event.type == "response.function_call_arguments.delta":
            grown[event.output_index, 0] = event.snapshot
    assert grown == {
        (at, place): part["text"] if "text" in part else part["arguments"]
        for at, item in enumerate(final["output"])
        for place, part in enumerate(item.get("content", [item]))
        if part["type"] in ("output_text", "function_call")
    }
    if final["status"] == "completed":
        completed = events.get_final_response()
        assert [item.to_dict() for item in completed.output] == [
            {**item, **_parsed(item)} for item in final["output"]
        ]


def _parsed(item: dict[str, Any]) -> dict[str, Any]:
    """What the SDK's helper adds."""
    match item["type"]:
        case "message":
            parsed = [{**p, "parsed": None} if p["type"] == "output_text" else p for p in item["content"]]
            return {"content": parsed}
        case "function_call":
            return {"parsed_arguments": None}
    return {}


@given(answers())
def test_what_comes_back_of_a_stream_is_what_comes_back_of_the_whole(chunks: list[bytes]) -> None:
    whole = Assembler()
    for one in chunks:
        whole.add(one)

    streams = messages([{"role": "user", "content": "Hi"}, *last(streamed(chunks))["output"]])
    wholes = messages([{"role": "user", "content": "Hi"}, *response(whole.whole(), about(), WHOLE)["output"]])

    assert [_joined(message) for message in streams] == wholes


def _joined(message: dict[str, Any]) -> dict[str, Any]:
    """Details that other items stood between are pieces still."""
    if "reasoning_details" not in message:
        return message
    return {**message, "reasoning_details": merged([], message["reasoning_details"])}
