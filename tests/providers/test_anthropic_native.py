"""A call of a caller who speaks Anthropic's dialect: it and its answer go through as they came."""

import json
from typing import Any

import msgspec
import pytest
from anthropic_events import THINKING_AND_TOOLS, begin, delta, events, read, started, stop, told
from anthropic_scene import HI, answer, candidate

from claude_client import accepted, asked, events_of, put_together
from deeptoken.providers.anthropic import Anthropic
from deeptoken.providers.base import Asked, Malformed, Piece
from deeptoken.wire.http import HttpRequest
from deeptoken.wire.messages import read as read_call
from deeptoken.wire.messages_assembler import Assembler
from deeptoken.wire.messages_events import Events
from deeptoken.wire.usage import Usage

ASKED = Asked(model="acme/claude", id="chatcmpl-7", created=1_790_000_000, dialect="messages")


def request(body: bytes, *, stream: bool = False, limit: int | None = None, **headers: str) -> HttpRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Anthropic().request(read_call(body, named), candidate(), stream=stream, limit=limit)


def pieces_of(data: bytes, size: int | None = None) -> list[Piece]:
    stream = Anthropic().stream(ASKED)
    pieces: list[Piece] = []
    for at in range(0, len(data), size or len(data)):
        pieces += stream.feed(data[at : at + (size or len(data))])
    return pieces + list(stream.end())


def test_the_callers_fields_go_on_with_the_upstreams_model() -> None:
    body = (
        b'{"model":"acme/claude", "max_tokens" : 9, "tomorrow":{"x": 1.0}, '
        b'"messages":[{"role":"user","content":"Hi"}]}'
    )

    sent = request(body)

    assert sent.url == "https://api.anthropic.com/v1/messages"
    assert sent.body == (
        b'{"model":"claude-sonnet-4-5","max_tokens":9,"tomorrow":{"x": 1.0},'
        b'"messages":[{"role":"user","content":"Hi"}]}'
    )
    assert dict(sent.headers) == {
        "content-type": "application/json",
        "x-api-key": "sk-x",
        "anthropic-version": "2023-06-01",
    }


def test_the_callers_version_and_previews_go_on() -> None:
    sent = request(asked(HI), anthropic_version="2026-10-21", anthropic_beta="a-1,b-2")

    assert dict(sent.headers)["anthropic-version"] == "2026-10-21"
    assert dict(sent.headers)["anthropic-beta"] == "a-1,b-2"


@pytest.mark.parametrize("wanted", [True, False])
def test_the_gateway_decides_whether_it_is_streamed(wanted: bool) -> None:
    sent = json.loads(request(asked(HI, stream=not wanted), stream=wanted).body)

    assert sent.get("stream", False) is wanted


@pytest.mark.parametrize(
    ("thinking", "limit", "expected"),
    [
        ({"type": "enabled", "budget_tokens": 4000}, 5000, {"type": "enabled", "budget_tokens": 4000}),
        ({"type": "enabled", "budget_tokens": 4000}, 3000, {"type": "enabled", "budget_tokens": 2400}),
        ({"type": "enabled", "budget_tokens": 4000}, 1200, None),
        ({"type": "adaptive"}, 1200, {"type": "adaptive"}),
        (None, 1200, None),
    ],
)
def test_the_wallets_limit_counts_and_thinking_has_room_in_it(
    thinking: object, limit: int, expected: object
) -> None:
    sent = json.loads(request(asked(HI, max_tokens=8000, thinking=thinking), limit=limit).body)

    assert (sent["max_tokens"], sent.get("thinking")) == (limit, expected)


def test_thinking_has_room_in_the_wallets_limit_through_the_chat_too() -> None:
    chat = read_call(asked(HI, max_tokens=8000, thinking={"type": "enabled", "budget_tokens": 4000}))
    chat.native = None

    sent = json.loads(Anthropic().request(chat, candidate(), stream=False, limit=3000).body)

    assert (sent["max_tokens"], sent["thinking"]["budget_tokens"]) == (3000, 2400)


def test_a_whole_answer_comes_back_as_it_was_told_and_as_chat() -> None:
    cited = {"type": "text", "text": "So.", "citations": [{"type": "char_location", "x": 1}]}
    body = answer([cited], tomorrow=1, stop_reason="pause_turn")

    reply = Anthropic().reply(body, ASKED)

    assert json.loads(msgspec.json.encode(reply.native)) == json.loads(body) | {"model": "acme/claude"}
    assert reply.fields["choices"][0]["message"]["content"] == "So."
    assert (reply.text, reply.usage) == ("So.", Usage(prompt=3, completion=2))


def test_who_asks_in_another_dialect_gets_none_of_this() -> None:
    other = Asked(model="m", id="i", created=1)

    assert Anthropic().reply(answer([]), other).native is None
    assert all(not piece.native for piece in read(THINKING_AND_TOOLS))


@pytest.mark.parametrize("size", [1, 7, 64, None])
def test_every_event_comes_back_as_it_was_told_once_and_in_order(size: int | None) -> None:
    pieces = pieces_of(THINKING_AND_TOOLS, size)

    given = [json.loads(block.split(b"data: ")[1]) for block in THINKING_AND_TOOLS.split(b"\n\n")[:-1]]
    back = [json.loads(piece.native) for piece in pieces if piece.native]
    given[0]["message"]["model"] = "acme/claude"
    assert back == [event for event in given if event["type"] != "ping"]


def test_the_chat_beside_the_events_is_the_same_as_without_them() -> None:
    pieces = pieces_of(THINKING_AND_TOOLS)

    beside = [
        msgspec.structs.replace(piece, native=b"")
        for piece in pieces
        if piece.data or piece.usage is not None
    ]
    assert beside == read(THINKING_AND_TOOLS)


def test_what_the_apis_own_tools_say_begins_the_answer() -> None:
    pieces = pieces_of(
        events(
            started(input_tokens=1, output_tokens=1),
            begin(0, type="server_tool_use", id="s", name="web_fetch", input={}),
            delta(0, type="input_json_delta", partial_json="{}"),
            stop(0),
            told("end_turn", output_tokens=1),
            {"type": "message_stop"},
        )
    )

    assert [piece.content for piece in pieces if b"content_block" in piece.native] == [False, True, False]


def test_bytes_that_are_no_utf_8_and_events_of_two_lines_are_mended() -> None:
    head = events(started(input_tokens=1, output_tokens=1))
    broken = b'data: {"type": "tomorrow",\ndata: "x": "\xff"}\n\n'

    [last] = pieces_of(head + broken + events(told("end_turn", output_tokens=1), {"type": "message_stop"}))[
        2:3
    ]

    assert last.native == b'{"type": "tomorrow", "x": "\xef\xbf\xbd"}'


@pytest.mark.parametrize(
    "data",
    [
        b'data: {"type": "message_start", "message": null}\n\n',
        b'data: {"type": "message_start", "message": 1}\n\n',
    ],
)
def test_a_head_that_is_none_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(Anthropic().stream(ASKED).feed(data))


def test_an_error_inside_the_stream_is_a_failure_and_not_passed_on() -> None:
    data = events({"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}})

    [piece] = pieces_of(data)

    assert piece.failure is not None
    assert piece.native == b""


def test_the_vendors_library_reads_our_stream_as_it_reads_the_providers() -> None:
    outlet = Events("acme/claude", "msg_ours")

    stream = b"".join(outlet.native(piece.native) for piece in pieces_of(COMPLETE) if piece.native)
    stream += outlet.end(Usage(prompt=99))

    known, ours = put_together(COMPLETE).to_dict(), put_together(stream).to_dict()
    assert ours == known | {"model": "acme/claude"}


def test_the_end_waits_for_the_settlement_and_may_say_what_it_cost() -> None:
    outlet = Events("acme/claude", "msg_ours")
    early = {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 3}}

    told = [outlet.native(json.dumps(early).encode())]
    told += [outlet.native(piece.native) for piece in pieces_of(COMPLETE) if piece.native]

    assert [json.loads(part.split(b"data: ")[1])["type"] for part in told if part][-1] == "content_block_stop"
    assert b"message_delta" in told[0]
    last, end = events_of(outlet.end(Usage(), more={"cost": 7}))
    assert last["usage"] == {"output_tokens": 9, "input_tokens": 7, "cache_read_input_tokens": 2, "cost": 7}
    assert end == {"type": "message_stop"}


def test_an_answer_that_is_whole_only_for_its_caller_is_put_together_as_the_library_does() -> None:
    assembler = Assembler()
    for piece in pieces_of(COMPLETE):
        if piece.native:
            assembler.add(piece.native)

    written = msgspec.json.encode(assembler.whole())

    assert accepted(written).to_dict() == put_together(COMPLETE).to_dict() | {"model": "acme/claude"}
    assert b'"input":{"a": 1.0}' in written


def test_a_native_answer_that_the_wallet_ended_is_closed_by_us() -> None:
    outlet = Events("acme/claude", "msg_ours")
    stream = Anthropic().stream(ASKED)
    sent = b"".join(outlet.native(piece.native) for piece in stream.feed(BROKEN_OFF) if piece.native)

    sent += outlet.end(Usage(prompt=3, completion=2), dry="wallet_empty")

    told = put_together(sent)
    assert (told.stop_reason, told.usage.input_tokens, told.usage.output_tokens) == ("max_tokens", 3, 2)
    assert [block.type for block in told.content] == ["thinking", "text"]
    assert blocks_in_order(sent) == 2


def test_a_native_answer_that_ended_between_two_blocks_ends_none_twice() -> None:
    outlet = Events("acme/claude", "msg_ours")
    first = COMPLETE[: COMPLETE.index(b"event: content_block_start", COMPLETE.index(b"content_block_stop"))]
    stream = Anthropic().stream(ASKED)
    sent = b"".join(outlet.native(piece.native) for piece in stream.feed(first) if piece.native)

    sent += outlet.end(Usage(), dry="wallet_empty")

    assert blocks_in_order(sent) == 1


def test_another_provider_may_go_on_where_a_native_one_broke_off() -> None:
    outlet = Events("acme/claude", "msg_ours")
    stream = Anthropic().stream(ASKED)
    sent = b"".join(outlet.native(piece.native) for piece in stream.feed(BROKEN_OFF) if piece.native)

    for piece in read(THINKING_AND_TOOLS):
        sent += outlet.chunk(piece.data)
    sent += outlet.end(Usage())

    told = put_together(sent)
    kinds = ["thinking", "text", "thinking", "redacted_thinking", "text", "tool_use", "tool_use"]
    assert [block.type for block in told.content] == kinds
    assert [block.text for block in told.content if block.type == "text"] == ["Let me ", "Let me add ü."]
    assert blocks_in_order(sent) == len(kinds)


def blocks_in_order(stream: bytes) -> int:
    """How many blocks there are, each begun behind the one before it, and ended."""
    told = [
        event for event in events_of(stream) if event["type"] in ("content_block_start", "content_block_stop")
    ]
    assert [event["index"] for event in told] == [at // 2 for at in range(len(told))]
    assert [event["type"] for event in told[::2]] == ["content_block_start"] * (len(told) // 2)
    return len(told) // 2


def full_start() -> dict[str, Any]:
    message = json.loads(answer([], stop_reason=None, usage={"input_tokens": 5, "output_tokens": 1}))
    return {"type": "message_start", "message": message}


COMPLETE = events(
    full_start(),
    {"type": "ping"},
    begin(0, type="thinking", thinking="", signature=""),
    delta(0, type="thinking_delta", thinking="Hm… "),
    delta(0, type="signature_delta", signature="Eq+/=="),
    stop(0),
    begin(1, type="text", text=""),
    delta(1, type="text_delta", text="Let me "),
    delta(1, type="text_delta", text="add ü."),
    delta(
        1,
        type="citations_delta",
        citation={
            "type": "char_location",
            "cited_text": "x",
            "document_index": 0,
            "document_title": None,
            "start_char_index": 0,
            "end_char_index": 1,
            "file_id": None,
        },
    ),
    stop(1),
    begin(2, type="server_tool_use", id="srvtoolu_1", name="web_fetch", input={}),
    delta(2, type="input_json_delta", partial_json='{"url": "https://x.example"}'),
    stop(2),
    begin(3, type="tool_use", id="toolu_1", name="add", input={}),
    delta(3, type="input_json_delta", partial_json=""),
    delta(3, type="input_json_delta", partial_json='{"a": 1.0}'),
    stop(3),
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None, "stop_details": None},
        "usage": {"output_tokens": 9, "input_tokens": 7, "cache_read_input_tokens": 2},
    },
    {"type": "message_stop"},
)
"""A stream with all that a Message may have, as Anthropic sends it."""
BROKEN_OFF = COMPLETE[: COMPLETE.index(b"event: content_block_delta", COMPLETE.index(b"Let me"))]
"""The same, up to its first words."""
