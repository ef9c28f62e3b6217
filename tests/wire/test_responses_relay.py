"""A provider's own events, relayed: byte for byte, and ended by us where it does not end them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from responses_scene import USAGE, WHOLE, about, events_of

from deeptoken.errors import UpstreamError
from deeptoken.wire.responses_answer import End, passed
from deeptoken.wire.responses_events import Relay


def native(*events: tuple[str, dict[str, Any]]) -> list[tuple[str, bytes]]:
    """A provider's own events, numbered."""
    return [
        (name, json.dumps({"type": name, "sequence_number": at, **told}).encode())
        for at, (name, told) in enumerate(events)
    ]


THEIRS = {
    "id": "resp_theirs",
    "object": "response",
    "model": "acme/one",
    "status": "in_progress",
    "output": [],
}
ITEM = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
BEGINNING = (
    ("response.created", {"response": THEIRS}),
    ("response.output_item.added", {"output_index": 0, "item": ITEM}),
    ("response.output_text.delta", {"output_index": 0, "delta": "Fo"}),
    ("response.output_text.delta", {"output_index": 0, "delta": "ur."}),
)
ENDED = {
    **THEIRS,
    "status": "completed",
    "output": [{**ITEM, "status": "completed"}],
    "usage": {"input_tokens": 1},
}


def test_a_provider_s_own_events_are_relayed_byte_for_byte_and_the_last_one_waits() -> None:
    told = native(*BEGINNING, ("response.completed", {"response": ENDED}))
    relay = Relay(about())

    sent = [relay.event(name, data) for name, data in told]

    assert sent[:-1] == [b"event: %b\ndata: %b\n\n" % (name.encode(), data) for name, data in told[:-1]]
    assert sent[-1] == b""
    assert relay.end(WHOLE) == b"event: response.completed\ndata: %b\n\n" % told[-1][1]
    assert json.loads(json.dumps({n: json.loads(bytes(v)) for n, v in relay.final(WHOLE).items()})) == ENDED


def test_our_words_are_added_to_a_provider_s_usage_where_they_were_asked_for() -> None:
    relay = Relay(about())
    for name, data in native(*BEGINNING, ("response.completed", {"response": ENDED})):
        relay.event(name, data)

    [event] = events_of(relay.end(End(usage=USAGE, more={"cost": 0.5})))

    assert event["response"] == {**ENDED, "usage": {"input_tokens": 1, "cost": 0.5}}
    assert event["sequence_number"] == len(BEGINNING)


def test_a_whole_answer_of_a_provider_is_passed_on_with_our_words_where_they_were_asked_for() -> None:
    native = {name: Raw(json.dumps(value).encode()) for name, value in ENDED.items()}

    plain, more = passed(native), passed(native, {"cost": 0.5})

    assert {name: json.loads(bytes(raw)) for name, raw in plain.items()} == ENDED
    assert more["usage"] == {"input_tokens": 1, "cost": 0.5}
    assert passed({"usage": Raw(b"null")}, {"cost": 0.5})["usage"] == {"cost": 0.5}


def test_a_provider_s_stream_that_the_money_ended_is_ended_here() -> None:
    relay = Relay(about())
    for name, data in native(*BEGINNING):
        relay.event(name, data)

    [event] = events_of(relay.end(End(usage=USAGE, dry="wallet_empty")))

    made = event["response"]
    assert (event["type"], event["sequence_number"]) == ("response.incomplete", len(BEGINNING))
    assert (made["id"], made["status"], made["deeptoken"]) == (
        "resp_theirs",
        "incomplete",
        {"reason": "wallet_empty"},
    )
    assert made["output"][0]["content"][0]["text"] == "Four."
    assert made["output"][0]["status"] == "incomplete"
    assert made["usage"]["input_tokens"] == 10


@pytest.mark.parametrize("begun", [True, False])
def test_a_provider_s_stream_that_broke_fails_under_its_own_id(begun: bool) -> None:
    relay = Relay(about())
    for name, data in native(*BEGINNING) if begun else ():
        relay.event(name, data)

    told = events_of(relay.failed(UpstreamError("It broke.")))

    assert [event["type"] for event in told][-2:] == ["error", "response.failed"]
    assert told[-1]["response"]["id"] == ("resp_theirs" if begun else "resp_7")
    assert told[0]["type"] == ("error" if begun else "response.created")


CUT: dict[str, dict[str, Any]] = {
    "function_call": {"arguments": "ab"},
    "message": {"content": [{"type": "output_text", "text": "ab", "annotations": [], "logprobs": []}]},
    "custom_tool_call": {},
}


@given(st.sampled_from(sorted(CUT)))
def test_an_item_that_was_cut_keeps_what_came_of_it(kind: str) -> None:
    relay = Relay(about())
    item = {"id": "i", "type": kind, "status": "in_progress"}
    deltas = [("response.x.delta", {"output_index": 0, "delta": one}) for one in "ab"]
    added = ("response.output_item.added", {"output_index": 0, "item": item})
    for name, data in native(("response.created", {"response": THEIRS}), added, *deltas):
        relay.event(name, data)

    [event] = events_of(relay.end(End(dry="wallet_empty")))

    assert event["response"]["output"] == [{**item, "status": "incomplete", **CUT[kind]}]
