"""OpenAI's dialect, streamed: chunks mended, however the bytes are cut, and every way to end."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from deeptoken.providers.base import Asked, Malformed, Piece
from deeptoken.providers.compatible import PROVIDERS
from deeptoken.wire.usage import Usage

encode, decode = msgspec.json.encode, msgspec.json.decode

ASKED = Asked(model="acme/one", id="chatcmpl-ours", created=77)


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **fields: Any) -> bytes:
    """One event of a stream that keeps the rules, but for `fields`."""
    choice = {"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish}
    whole = {
        "id": "x1",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "one-2026",
        "choices": [choice],
    }
    return b"data: " + encode({**whole, **fields}) + b"\n\n"


DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
USUAL = (
    chunk({"role": "assistant", "content": ""}, usage=None)
    + chunk({"content": "Caf"}, usage=None)
    + chunk({"content": "é"}, usage=None)
    + chunk(finish="stop", usage=None)
    + chunk(choices=[], usage=USAGE)
    + DONE
)


def pieces(*reads: bytes, host: str = "openai") -> list[Piece]:
    """A stream as it comes out, to its end."""
    stream = PROVIDERS[host].stream(ASKED)

    def all_of() -> Iterator[Piece]:
        for data in reads:
            yield from stream.feed(data)
        yield from stream.end()

    out = list(all_of())
    assert stream.done
    return out


def deltas(out: list[Piece]) -> list[Any]:
    return [decode(piece.data)["choices"][0]["delta"] for piece in out if piece.data]


def test_a_usual_stream_comes_out_chunk_by_chunk() -> None:
    out = pieces(USUAL)

    assert [decode(piece.data) for piece in out[:4]] == [
        {**decode(event.removeprefix(b"data: ")), "model": "acme/one"}
        for event in USUAL.replace(b',"usage":null', b"").split(b"\n\n")[:4]
    ]
    assert [(piece.text, piece.content, piece.finish) for piece in out] == [
        ("", False, False),
        ("Caf", True, False),
        ("é", True, False),
        ("", False, True),
        ("", False, False),
    ]
    assert (out[4].data, out[4].usage, out[4].told) == (
        b"",
        Usage(prompt=3, completion=2),
        Raw(encode(USAGE)),
    )


def test_a_stream_that_is_cut_anywhere_comes_out_the_same() -> None:
    whole = pieces(USUAL)

    for cut in range(len(USUAL)):
        assert pieces(USUAL[:cut], USUAL[cut:]) == whole
    assert pieces(*[bytes([byte]) for byte in USUAL]) == whole


def test_the_id_is_kept_and_the_same_in_every_chunk() -> None:
    stream = PROVIDERS["openai"].stream(ASKED)
    events = (
        chunk({"content": "a"})
        + chunk({"content": "b"}, id="other", created=6)
        + chunk({"content": "c"}, id=None)
    )

    out = [decode(piece.data) for piece in stream.feed(events)]

    assert {(one["id"], one["created"]) for one in out} == {("x1", 5)}
    assert stream.upstream_id == "x1"


def test_a_stream_without_an_id_gets_ours() -> None:
    out = pieces(
        chunk({"content": "a"}, id="", created=0, object="") + chunk(finish="stop", id="late") + DONE
    )

    assert [decode(piece.data)["id"] for piece in out] == ["chatcmpl-ours"] * 2
    assert decode(out[0].data)["created"] == 77
    assert decode(out[0].data)["object"] == "chat.completion.chunk"


def test_what_comes_before_the_id_goes_with_the_first_chunk() -> None:
    early = chunk(choices=[], id="", model="", object="", created=0, prompt_filter_results=[{"a": 1}])

    out = pieces(early + chunk({"content": "a"}) + chunk(finish="stop") + DONE, host="azure")

    first = decode(out[0].data)
    assert (first["id"], first["created"], first["prompt_filter_results"]) == ("x1", 5, [{"a": 1}])
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "a"}
    assert len(out) == 2


def test_a_chunk_without_choices_is_passed_on_and_is_no_content() -> None:
    out = pieces(chunk({"content": "a"}) + chunk(choices=[], note="n") + chunk(finish="stop") + DONE)

    assert decode(out[1].data)["note"] == "n"
    assert (out[1].content, out[1].text) == (False, "")


def test_usage_on_a_content_chunk_is_withheld() -> None:
    out = pieces(chunk({"content": "a"}, usage=USAGE) + chunk(finish="stop", usage=USAGE) + DONE)

    assert all(b"usage" not in piece.data for piece in out)
    assert [piece.usage for piece in out] == [Usage(prompt=3, completion=2)] * 2


def test_usage_in_groqs_own_field_counts() -> None:
    groq = {"id": "req", "usage": {**USAGE, "queue_time": 0.1}}

    out = pieces(chunk({"content": "a"}) + chunk(finish="stop", x_groq=groq) + DONE, host="groq")

    assert out[-1].usage == Usage(prompt=3, completion=2)


def test_usage_after_a_doubled_finish_still_counts() -> None:
    out = pieces(chunk({"content": "a"}, finish="stop") + chunk(finish="stop", usage=USAGE) + DONE)

    assert [(bool(piece.data), piece.usage) for piece in out] == [
        (True, None),
        (False, Usage(prompt=3, completion=2)),
    ]


def test_usage_without_a_choice_and_without_an_id_counts() -> None:
    out = pieces(
        chunk({"content": "a"}, finish="stop"), b'data: {"choices":[],"usage":%b}\n\n' % encode(USAGE), DONE
    )

    assert out[-1].usage == Usage(prompt=3, completion=2)


def test_role_id_and_name_come_once() -> None:
    first = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{"}}
    again = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "}"}}

    out = pieces(
        chunk({"role": "assistant", "tool_calls": [first]})
        + chunk({"role": "assistant", "tool_calls": [again]})
        + chunk({"role": "assistant"}, finish="tool_calls")
        + DONE
    )

    assert deltas(out) == [
        {"role": "assistant", "tool_calls": [{**first, "index": 0}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]},
        {},
    ]
    assert "".join(piece.text for piece in out) == "f{}"


def test_a_finish_without_done_is_complete() -> None:
    out = pieces(chunk({"content": "a"}) + chunk(finish="length"))

    assert [piece.finish for piece in out] == [False, True]


@pytest.mark.parametrize(
    ("delta", "reason"),
    [({"content": "a"}, "stop"), ({"tool_calls": [{"id": "a", "function": {"name": "f"}}]}, "tool_calls")],
)
def test_done_without_a_finish_gets_one(delta: dict[str, Any], reason: str) -> None:
    out = pieces(chunk(delta) + DONE)

    last = decode(out[-1].data)
    assert out[-1].finish
    assert (last["id"], last["model"], last["created"]) == ("x1", "acme/one", 5)
    assert last["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": reason}]


def test_a_done_without_its_blank_line_counts() -> None:
    assert pieces(chunk({"content": "a"}) + b"data: [DONE]")[-1].finish


@pytest.mark.parametrize(
    "cut",
    [
        chunk({"content": "a"}),
        chunk({"content": "a"}) + chunk(finish="stop")[:-20],
        chunk({"content": "a"}) + chunk(choices=[], usage=USAGE),
        chunk({"content": "a"}, finish="stop") + chunk(choices=[{"index": 1, "delta": {"content": "b"}}]),
    ],
)
def test_neither_finish_nor_done_is_a_cut(cut: bytes) -> None:
    with pytest.raises(Malformed, match="cut"):
        pieces(cut)


def test_a_cut_after_the_finish_loses_nothing() -> None:
    assert pieces(chunk({"content": "a"}, finish="stop") + chunk(choices=[], usage=USAGE)[:-9])[-1].finish


def test_nothing_comes_after_done() -> None:
    stream = PROVIDERS["openai"].stream(ASKED)

    out = list(stream.feed(USUAL + chunk({"content": "late"}))) + list(
        stream.feed(chunk({"content": "late"}))
    )

    assert stream.done
    assert "late" not in "".join(piece.text for piece in out)
    assert list(stream.end()) == []


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b": keep-alive\n\n" * 3, "no events"),
        (b'{"choices":[]}', "no events, but JSON"),
        (b"<html><body>Bad gateway</body></html>", "HTML"),
        (b'{"error":{"message":"Overloaded"}}', "Overloaded"),
        (DONE, "without choices"),
        (b"data: oops\n\n", "no JSON object"),
        (b'data: {"choices":[1]}\n\n', "Expected `object`"),
        (b"data: " + b"x" * 9_000_000, "larger than"),
    ],
)
def test_a_200_that_is_no_stream_says_what_it_is(data: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        pieces(data)


@pytest.mark.parametrize(
    ("event", "cause", "message"),
    [
        (b'data: {"error":{"message":"Overloaded","type":"server_error"}}\n\n', "outage", "Overloaded"),
        (b'data: {"error":{"message":"Slow down","code":429}}\n\n', "capacity", "Slow down"),
        (b'data: {"error":{"message":"Pay","code":"402"}}\n\n', "credential", "Pay"),
        (b'event: error\ndata: {"message":"Broke"}\n\n', "outage", "Broke"),
        (b"event: error\ndata: Broke\n\n", "outage", "Broke"),
        (b'data: {"object":"error","message":"No slots","code":503}\n\n', "outage", "No slots"),
        (b'data: {"error":"Broke"}\n\n', "outage", "Broke"),
        (chunk({"content": ""}, "error", error={"message": "Broke", "code": 502}), "outage", "Broke"),
        (chunk({"content": ""}, "error"), "outage", "ended the answer with 'error'"),
        (chunk({}, x_groq={"error": "over capacity"}), "outage", "over capacity"),
    ],
)
def test_an_error_inside_a_stream_is_a_failure(event: bytes, cause: str, message: str) -> None:
    out = pieces(chunk({"content": "a"}) + event + chunk({"content": "late"}))

    assert len(out) == 2
    failure = out[1].failure
    assert failure is not None
    assert failure.cause == cause
    assert message in failure.message


def test_an_error_that_is_null_in_a_stream_is_none() -> None:
    out = pieces(chunk({"content": "a"}, error=None) + chunk(finish="stop") + DONE)

    assert [piece.failure for piece in out] == [None, None]


def test_events_that_are_no_chunks_are_skipped() -> None:
    out = pieces(b'data: {"type":"ping"}\n\ndata:\n\n' + chunk({"content": "a"}, finish="stop") + DONE)

    assert len(out) == 1


def test_a_chunk_on_several_lines_becomes_one_line() -> None:
    event = chunk({"content": "a b"}).replace(b",", b",\ndata: ")

    out = pieces(event + chunk(finish="stop"))

    assert b"\n" not in out[0].data
    assert out[0].text == "a b"


def test_bytes_that_are_no_text_become_the_replacement_character() -> None:
    out = pieces(chunk({"content": "a?"}, own="b?").replace(b"?", b"\xc3") + chunk(finish="stop") + DONE)

    assert out[0].text == "a\ufffd"
    assert decode(out[0].data)["own"] == "b\ufffd"


def test_tool_calls_commit_an_answer_and_an_empty_first_delta_does_not() -> None:
    out = pieces(
        chunk({"role": "assistant", "content": None, "refusal": None})
        + chunk({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {}}]})
        + chunk(finish="tool_calls")
    )

    assert [piece.content for piece in out] == [False, True, False]


@given(st.integers(0, len(USUAL) - 1), st.binary(max_size=3), st.booleans())
def test_whatever_comes_a_stream_is_read_or_malformed(at: int, noise: bytes, insert: bool) -> None:
    broken = USUAL[:at] + noise + USUAL[at + (0 if insert else len(noise)) :]

    try:
        out = pieces(broken)
    except Malformed:
        return

    assert all(piece.failure or decode(piece.data or b"{}") is not None for piece in out)


@pytest.mark.parametrize(
    "value", [b"1" * 5_000, b"1e999", b"[" * 50_000, b'"\xff"', b'"\\ud800"', b"{}", b"[1]", b"-1", b"true"]
)
@pytest.mark.parametrize(
    "name", ["id", "created", "usage", "choices", "error", "x_groq", "service_tier", "object"]
)
def test_a_field_of_a_wrong_type_is_read_or_malformed(name: str, value: bytes) -> None:
    event = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"%b":%b}\n\n'

    try:
        out = pieces(event % (name.encode(), value), host="groq")
    except Malformed:
        return

    assert len(out) == 1
