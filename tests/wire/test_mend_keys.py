"""Keys of log probabilities and of tool calls, which hosts leave out or send too often."""

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from deeptoken.wire import mend

encode, decode = msgspec.json.encode, msgspec.json.decode


def chunk(delta: Any = None, **choice: Any) -> Raw:
    return Raw(encode([{"index": 0, "delta": delta or {}, "finish_reason": None, **choice}]))


def begun(*deltas: Any) -> mend.Chunks:
    """A stream that has told its role and these."""
    chunks = mend.Chunks("id")
    for delta in ({"role": "assistant", "content": ""}, *deltas):
        chunks.mend(chunk(delta))
    return chunks


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"content": []}, {"content": [], "refusal": None}),
        ({"refusal": None, "own": 1}, {"content": None, "refusal": None, "own": 1}),
        ({"tokens": ["a"]}, {"content": None, "refusal": None, "tokens": ["a"]}),
    ],
)
def test_log_probabilities_have_their_keys_whole_and_streamed(told: Any, shown: Any) -> None:
    message = {"role": "assistant", "content": "a", "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": told, "finish_reason": "stop"}

    whole, _ = mend.choices(Raw(encode([choice])), "id")
    streamed = begun().mend(chunk({"content": "a"}, logprobs=told)).choices

    assert streamed is not None
    assert decode(whole) == [{**choice, "logprobs": shown}]
    assert decode(streamed)[0]["logprobs"] == shown


@pytest.mark.parametrize("told", [b"null", b'{"content": [ ],"refusal":null}', b'[ "odd" ]'])
def test_those_that_have_them_stay_byte_for_byte(told: bytes) -> None:
    raw = b'[{"index":0,"delta":{"content":"a"},"logprobs":%b,"finish_reason":null}]' % told

    mended = begun().mend(Raw(raw)).choices

    assert mended is not None
    assert b'"logprobs":' + told in bytes(mended)
    assert bytes(mended) == raw or told.startswith(b"[")


CALL = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}


@pytest.mark.parametrize("repeated", ["", None, "a"])
def test_the_id_and_the_name_of_a_call_are_told_once_also_where_they_are_empty(repeated: str | None) -> None:
    name = "f" if repeated else repeated
    more = {"index": 0, "id": repeated, "function": {"name": name, "arguments": "{}"}}

    mended = begun({"tool_calls": [CALL]}).mend(chunk({"tool_calls": [more]})).choices

    assert mended is not None
    (call,) = decode(mended)[0]["delta"]["tool_calls"]
    assert call == {"index": 0, "function": {"arguments": "{}"}}


def test_a_delta_without_an_id_and_a_name_belongs_to_the_last_call_whatever_its_index() -> None:
    unnumbered = {"id": "a", "type": "function", "function": {"name": "f"}}
    chunks = begun({"tool_calls": [unnumbered]})

    more = [chunk({"tool_calls": [{"index": 3, "function": {"arguments": "{}"}}]}) for _ in range(2)]
    mended = [chunks.mend(one).choices for one in more]

    for one in mended:
        assert one is not None
        assert decode(one)[0]["delta"]["tool_calls"] == [{"index": 0, "function": {"arguments": "{}"}}]
