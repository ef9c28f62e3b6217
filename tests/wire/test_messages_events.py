"""A chat's streamed answer as events of Anthropic's dialect."""

import json
from typing import Any

import anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages_scene import USAGE, call, chunk, streamed, whole

from claude_client import accepted, events_of, put_together
from deeptoken.errors import UpstreamUnavailable, WalletEmpty
from deeptoken.money import usd
from deeptoken.wire.messages_events import PING, Events
from deeptoken.wire.usage import Usage

OURS = {"format": "anthropic-claude-v1"}
ROLE = chunk(role="assistant", content="")
TURN = (
    ROLE,
    chunk(
        reasoning_content="Hm… ",
        reasoning_details=[{"type": "reasoning.text", "text": "Hm… ", **OURS, "index": 0}],
    ),
    chunk(
        reasoning_content="add.",
        reasoning_details=[{"type": "reasoning.text", "text": "add.", **OURS, "index": 0}],
    ),
    chunk(
        reasoning_details=[{"type": "reasoning.text", "text": "", "signature": "Eq+/=", **OURS, "index": 0}]
    ),
    chunk(reasoning_details=[{"type": "reasoning.encrypted", "data": "Rk9P", **OURS, "index": 1}]),
    chunk(content="Let me "),
    chunk(content="add ü."),
    chunk(tool_calls=[call(0, id="toolu_1", name="add")]),
    chunk(tool_calls=[call(0, '{"a": ')]),
    chunk(tool_calls=[call(0, "1.0}")]),
    chunk(tool_calls=[call(1, "{}", id="toolu_2", name="now")]),
    chunk(finish="tool_calls"),
)
CONTENT = [
    {"type": "thinking", "thinking": "Hm… add.", "signature": "Eq+/="},
    {"type": "redacted_thinking", "data": "Rk9P"},
    {"type": "text", "text": "Let me add ü."},
    {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1.0}},
    {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
]


def content_of(stream: bytes) -> list[dict[str, Any]]:
    told = put_together(stream).to_dict()["content"]
    return [{name: value for name, value in block.items() if value is not None} for block in told]  # type: ignore[attr-defined]  # JSON


def test_the_events_come_one_after_the_other_and_each_block_once() -> None:
    events = events_of(streamed(*TURN))

    told = [(event["type"].removeprefix("content_block_"), event.get("index")) for event in events]
    assert told == [
        ("message_start", None),
        *(("start", 0), ("delta", 0), ("delta", 0), ("delta", 0), ("stop", 0)),
        *(("start", 1), ("stop", 1)),
        *(("start", 2), ("delta", 2), ("delta", 2), ("stop", 2)),
        *(("start", 3), ("delta", 3), ("delta", 3), ("stop", 3)),
        *(("start", 4), ("delta", 4), ("stop", 4)),
        ("message_delta", None),
        ("message_stop", None),
    ]


def test_each_block_begins_empty_and_grows_by_its_deltas() -> None:
    events = events_of(streamed(*TURN))

    assert [event["content_block"] for event in events if event["type"] == "content_block_start"] == [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "redacted_thinking", "data": "Rk9P"},
        {"type": "text", "text": ""},
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}},
        {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
    ]
    assert [event["delta"] for event in events if event["type"] == "content_block_delta"] == [
        {"type": "thinking_delta", "thinking": "Hm… "},
        {"type": "thinking_delta", "thinking": "add."},
        {"type": "signature_delta", "signature": "Eq+/="},
        {"type": "text_delta", "text": "Let me "},
        {"type": "text_delta", "text": "add ü."},
        {"type": "input_json_delta", "partial_json": '{"a": '},
        {"type": "input_json_delta", "partial_json": "1.0}"},
        {"type": "input_json_delta", "partial_json": "{}"},
    ]


def test_the_head_knows_the_model_and_the_end_the_true_usage() -> None:
    events = events_of(streamed(*TURN))

    head, last = events[0]["message"], events[-2]
    assert (head["id"], head["model"], head["content"]) == ("msg_1", "acme/m", [])
    assert (head["stop_reason"], head["usage"]["input_tokens"]) == (None, 0)
    assert last["delta"] == {"stop_reason": "tool_use", "stop_sequence": None, "stop_details": None}
    assert last["usage"] == {
        "input_tokens": 5,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 3,
        "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 1},
        "output_tokens": 11,
        "output_tokens_details": {"thinking_tokens": 4},
    }


def test_each_chunk_is_told_at_once() -> None:
    events = Events("acme/m", "msg_ours")
    events.chunk(ROLE)

    told = [events_of(events.chunk(data))[-1]["type"] for data in TURN[1:-1]]

    assert told == ["content_block_delta"] * 3 + ["content_block_start"] + ["content_block_delta"] * 2 + [
        "content_block_start",
        *["content_block_delta"] * 3,
    ]


def test_the_vendors_library_has_in_the_end_what_the_whole_answer_says() -> None:
    accumulated = put_together(streamed(*TURN))

    known = accepted(json.dumps(whole(*TURN)).encode())
    told = accumulated.to_dict()
    assert content_of(streamed(*TURN)) == CONTENT == known.to_dict()["content"]
    assert {name: told[name] for name in ("id", "model", "role", "stop_reason", "stop_sequence", "type")} == {
        name: known.to_dict()[name]
        for name in ("id", "model", "role", "stop_reason", "stop_sequence", "type")
    }
    assert accumulated.usage.output_tokens == known.usage.output_tokens == USAGE.completion_tokens
    assert accumulated.usage.input_tokens == known.usage.input_tokens
    assert accumulated.usage.cache_read_input_tokens == known.usage.cache_read_input_tokens


def test_calls_whose_deltas_are_mixed_are_told_one_after_the_other() -> None:
    mixed = (
        ROLE,
        chunk(tool_calls=[call(0, '{"a":', id="c0", name="add"), call(1, '{"b":', id="c1", name="sub")]),
        chunk(content="Both "),
        chunk(tool_calls=[call(1, "2}")]),
        chunk(content="now."),
        chunk(tool_calls=[call(0, "1}")]),
        chunk(finish="tool_calls"),
    )

    events = events_of(streamed(*mixed))

    indices = [event["index"] for event in events if "index" in event]
    assert indices == sorted(indices)
    assert content_of(streamed(*mixed)) == [
        {"type": "tool_use", "id": "c0", "name": "add", "input": {"a": 1}},
        {"type": "tool_use", "id": "c1", "name": "sub", "input": {"b": 2}},
        {"type": "text", "text": "Both now."},
    ]


def test_a_call_whose_name_comes_late_waits_for_it() -> None:
    stream = streamed(
        chunk(tool_calls=[call(0, '{"a"', id="c0")]),
        chunk(tool_calls=[call(0, ": 1}", name="add")]),
        chunk(finish="tool_calls"),
    )

    assert content_of(stream) == [{"type": "tool_use", "id": "c0", "name": "add", "input": {"a": 1}}]
    assert events_of(stream)[1]["content_block"]["name"] == "add"


def test_a_call_that_never_ends_loses_nothing_of_what_comes_after_it() -> None:
    stream = streamed(
        chunk(tool_calls=[call(0, '{"a": "x', id="c0", name="add")]),
        chunk(tool_calls=[call(1, "{}", id="c1", name="now")]),
        chunk(content="Well."),
        chunk(finish="length"),
    )

    assert [block["type"] for block in content_of(stream)] == ["tool_use", "tool_use", "text"]
    assert put_together(stream).stop_reason == "max_tokens"


def test_blank_text_waits_for_words() -> None:
    stream = streamed(
        chunk(content="\n"),
        chunk(content=" "),
        chunk(reasoning_content="Hm."),
        chunk(content="\n"),
        chunk(content="So"),
        chunk(content=" \n"),
        chunk(finish="stop"),
    )

    assert content_of(stream) == [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "text", "text": "\n \nSo \n"},
    ]
    assert content_of(streamed(chunk(content="\n"), chunk(finish="stop"))) == []


def test_other_choices_and_empty_chunks_say_nothing() -> None:
    other = json.loads(chunk(content="no"))
    other["choices"][0]["index"] = 1

    stream = streamed(chunk(content="yes"), json.dumps(other).encode(), b"", chunk(finish="stop"))

    assert content_of(stream) == [{"type": "text", "text": "yes"}]


def test_a_refusal_is_text_and_its_own_stop_reason() -> None:
    stream = streamed(chunk(refusal="I "), chunk(refusal="won't."), chunk(finish="stop"))

    assert content_of(stream) == [{"type": "text", "text": "I won't."}]
    assert put_together(stream).stop_reason == "refusal"


def test_an_answer_that_the_wallet_ended_ends_rightly_and_says_why() -> None:
    stream = streamed(chunk(content="Once upon"), dry="wallet_empty")

    last = events_of(stream)[-2]
    assert last["delta"]["stop_reason"] == "max_tokens"
    assert last["deeptoken"] == {"reason": "wallet_empty"}
    assert put_together(stream).stop_reason == "max_tokens"


def test_an_answer_without_a_chunk_is_an_empty_message() -> None:
    assert put_together(streamed()).content == []
    assert events_of(streamed())[0]["message"]["id"] == "msg_ours"


def test_what_is_known_of_the_prompt_is_told_at_the_start() -> None:
    events = Events("acme/m", "msg_ours", prompt=Usage(prompt=9))

    assert events_of(events.chunk(ROLE))[0]["message"]["usage"]["input_tokens"] == 9


def test_a_ping_may_come_at_any_time() -> None:
    events = Events("acme/m", "msg_ours")
    stream = PING + events.chunk(chunk(content="x")) + PING + events.end(USAGE) + PING

    assert content_of(stream) == [{"type": "text", "text": "x"}]


def test_an_error_ends_the_stream_as_the_vendors_library_knows_it() -> None:
    events = Events("acme/m", "msg_ours")
    stream = events.chunk(chunk(content="x")) + events.error(UpstreamUnavailable("Busy."), "req_1")

    with pytest.raises(anthropic.APIStatusError) as failed:
        put_together(stream)

    assert failed.value.body == {
        "type": "error",
        "error": {
            "type": "overloaded_error",
            "message": "Busy.",
            "details": {"error_code": "upstream_error"},
            "code": "upstream_error",
            "param": None,
        },
        "request_id": "req_1",
    }


def test_an_error_says_what_more_there_is_to_say() -> None:
    error = WalletEmpty(needed=usd("2"), balance=usd("1"), available=usd("1"), affordable=7, in_flight=False)

    [event] = events_of(Events("m", "i").error(error))

    assert event["error"]["type"] == "billing_error"
    assert event["error"]["deeptoken"]["affordable_max_tokens"] == 7


pieces = st.one_of(
    st.text("ab \n", min_size=1, max_size=4).map(lambda text: {"content": text}),
    st.text("xy", min_size=1, max_size=4).map(lambda text: {"reasoning_content": text}),
    st.tuples(st.integers(0, 2), st.text("12", min_size=1, max_size=3)),
)


@given(st.lists(pieces, max_size=12))
def test_no_text_and_no_call_is_lost_or_doubled_in_whatever_order_deltas_come(
    deltas: list[dict[str, str] | tuple[int, str]],
) -> None:
    given: dict[int, str] = {}
    order: list[int] = []
    chunks = [ROLE]
    for delta in deltas:
        if isinstance(delta, dict):
            chunks.append(chunk(**delta))
            continue
        number, digits = delta
        if number not in order:
            order.append(number)
        place = order.index(number)
        first = {"id": f"c{place}", "name": "f"} if place not in given else {}
        arguments = digits if given.get(place) else '{"a":1' + digits
        given[place] = given.get(place, "") + arguments
        chunks.append(chunk(tool_calls=[call(place, arguments, **first)]))
    closing = [chunk(tool_calls=[call(place, "}")]) for place in given]

    stream = streamed(*chunks, *closing, chunk(finish="tool_calls"))

    indices = [event["index"] for event in events_of(stream) if "index" in event]
    assert indices == sorted(indices)
    content = content_of(stream)
    calls = {block["id"]: block["input"] for block in content if block["type"] == "tool_use"}
    assert calls == {f"c{place}": json.loads(arguments + "}") for place, arguments in given.items()}
    said = "".join(delta.get("content", "") for delta in deltas if isinstance(delta, dict))
    thought = "".join(delta.get("reasoning_content", "") for delta in deltas if isinstance(delta, dict))
    assert "".join(block.get("thinking", "") for block in content) == thought
    assert "".join(block.get("text", "") for block in content).strip() == said.strip()
