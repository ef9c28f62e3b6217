"""Gemini's streams: as chunks of OpenAI's dialect, however they are framed and the bytes are cut."""

import json
from typing import Any

import pytest
from gemini_scene import (
    ASKED,
    CALL,
    HI,
    PNG,
    array,
    choices,
    contents,
    deltas,
    events,
    said,
    streamed,
)

from deeptoken.providers.base import Malformed
from deeptoken.providers.gemini import Gemini
from deeptoken.wire.usage import Usage

OURS = {"format": "google-gemini-v1"}
COUNTS = {"promptTokenCount": 7, "cachedContentTokenCount": 2}
PIECES: tuple[dict[str, Any], ...] = (
    said({"text": "Hm… ", "thought": True}, finish=None, usageMetadata=COUNTS),
    said({"text": "add.", "thought": True}, finish=None, usageMetadata={"trafficType": "ON_DEMAND"}),
    said({"text": "Let me "}, finish=None),
    said({"text": 'add "ü" ]}\\ 🦩'}, finish=None),
    said(
        {"functionCall": {"name": "add", "args": {"a": 1, "b": [2.50]}}, "thoughtSignature": "Ci/+="},
        {"functionCall": {"id": "g1", "name": "now", "args": {}}},
        finish=None,
    ),
    said(
        {"text": "", "thoughtSignature": "Dj=="},
        usageMetadata={**COUNTS, "candidatesTokenCount": 5, "thoughtsTokenCount": 4, "totalTokenCount": 16},
    ),
)
EVENTS, ARRAY = events(*PIECES), array(*PIECES)
FRAMINGS = pytest.mark.parametrize("data", [EVENTS, ARRAY], ids=["events", "array"])


@FRAMINGS
def test_a_stream_becomes_chunks_with_every_part_at_its_time(data: bytes) -> None:
    pieces = streamed(data)

    thought = {"type": "reasoning.text", **OURS, "index": 0}
    assert deltas(pieces) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "Hm… ", "reasoning_details": [{**thought, "text": "Hm… "}]},
        {"reasoning_content": "add.", "reasoning_details": [{**thought, "text": "add."}]},
        {"content": "Let me "},
        {"content": 'add "ü" ]}\\ 🦩'},
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "call_resp-1_0",
                    "type": "function",
                    "function": {"name": "add", "arguments": '{"a":1,"b":[2.5]}'},
                }
            ],
            "reasoning_details": [
                {"type": "reasoning.encrypted", "data": "Ci/+=", "id": "call_resp-1_0", **OURS, "index": 1}
            ],
        },
        {
            "tool_calls": [
                {"index": 1, "id": "g1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
            ]
        },
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "Dj==", **OURS, "index": 2}]},
        {},
    ]


@FRAMINGS
def test_every_chunk_is_of_one_completion_and_the_last_one_finishes(data: bytes) -> None:
    stream = Gemini().stream(ASKED)
    chunks = [json.loads(piece.data) for piece in (*stream.feed(data), *stream.end()) if piece.data]

    for chunk in chunks:
        choice = chunk.pop("choices")[0]
        assert chunk == {
            "id": "resp-1",
            "object": "chat.completion.chunk",
            "created": 1_790_000_000,
            "model": "acme/gem",
        }
        assert (choice["index"], choice["logprobs"]) == (0, None)
        assert choice["finish_reason"] == ("tool_calls" if chunk is chunks[-1] else None)
    assert stream.upstream_id == "resp-1"


@FRAMINGS
def test_the_last_counts_are_the_usage(data: bytes) -> None:
    counted = [piece for piece in streamed(data) if piece.usage]

    assert [piece.usage for piece in counted] == [
        Usage(prompt=5, cached=2),
        *[Usage(prompt=3, completion=2)] * 3,
        Usage(prompt=5, cached=2, completion=5, reasoning=4),
    ]
    assert json.loads(bytes(counted[-1].told or b"")) == {
        "prompt_tokens": 7,
        "completion_tokens": 9,
        "total_tokens": 16,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }


def test_what_is_generated_commits_and_is_metered() -> None:
    pieces = streamed(EVENTS)

    assert not pieces[0].content, "the role alone commits nothing"
    assert "".join(piece.text for piece in pieces) == ('Hm… add.Let me add "ü" ]}\\ 🦩{"a":1,"b":[2.5]}{}')
    assert all(piece.content for piece in pieces if piece.text)
    assert [piece.finish for piece in pieces] == [False] * (len(pieces) - 1) + [True]


@FRAMINGS
def test_bytes_cut_at_any_place_say_the_same(data: bytes) -> None:
    whole = streamed(data)

    for cut in range(1, len(data)):
        assert streamed(data, cut) == whole


@FRAMINGS
def test_bytes_that_come_one_by_one_say_the_same(data: bytes) -> None:
    whole = streamed(data)

    assert streamed(data, *range(1, len(data))) == whole


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"\r\n \n", b": waiting\n\n"])
@FRAMINGS
def test_what_stands_before_the_first_byte_that_counts_is_nothing(before: bytes, data: bytes) -> None:
    if before.startswith(b":") and data is ARRAY:
        before = b"\n"

    for cut in range(1, len(before) + 2):
        assert streamed(before + data, cut) == streamed(data)


def test_an_array_ends_with_its_bracket_and_nothing_after_it_counts() -> None:
    stream = Gemini().stream(ASKED)

    pieces = [*stream.feed(ARRAY + b"[" + ARRAY)]

    assert stream.done
    assert pieces == streamed(ARRAY)


def test_a_streamed_turn_goes_back_with_each_signature_at_its_part() -> None:
    message = choices(streamed(EVENTS))[0]["message"]

    turns = contents(
        HI,
        message,
        {"role": "tool", "tool_call_id": "call_resp-1_0", "content": "3"},
        {"role": "tool", "tool_call_id": "g1", "content": "noon"},
    )

    assert turns[1]["parts"] == [
        {"text": 'Let me add "ü" ]}\\ 🦩', "thoughtSignature": "Dj=="},
        {
            "functionCall": {"id": "call_resp-1_0", "name": "add", "args": {"a": 1, "b": [2.5]}},
            "thoughtSignature": "Ci/+=",
        },
        {"functionCall": {"id": "g1", "name": "now", "args": {}}},
    ]
    assert [part["functionResponse"]["name"] for part in turns[2]["parts"]] == ["add", "now"]


def test_thoughts_that_are_signed_one_by_one_stay_apart() -> None:
    first = {"text": "Hm.", "thought": True, "thoughtSignature": "s0"}
    second = {"text": "Ah.", "thought": True, "thoughtSignature": "s1"}
    message = choices(streamed(events(said(first, finish=None), said(second, {"text": "So."}))))[0]["message"]
    nameless = {name: value for name, value in message.items() if name != "reasoning_details"}
    details = [{**one, "index": None} for one in message["reasoning_details"]]

    turns = [contents(HI, told, HI)[1] for told in (message, {**nameless, "reasoning_details": details})]

    assert turns == [{"role": "model", "parts": [first, second, {"text": "So."}]}] * 2


def test_an_id_that_comes_late_is_known_and_the_chunks_keep_theirs() -> None:
    stream = Gemini().stream(ASKED)
    early = {"candidates": [{"content": {"parts": [{"text": "A"}]}}]}

    pieces = [*stream.feed(events(early, said({"text": "B"}))), *stream.end()]

    assert {json.loads(piece.data)["id"] for piece in pieces if piece.data} == {ASKED.id}
    assert stream.upstream_id == "resp-1"


def test_a_finish_that_comes_with_every_piece_ends_nothing_early() -> None:
    pieces = streamed(
        events(said({"text": "A"}), said({"text": "B"}), said({"text": "C"}, finish="MAX_TOKENS"))
    )

    told = choices(pieces)[0]
    assert (told["message"]["content"], told["finish_reason"]) == ("ABC", "length")
    assert [piece.finish for piece in pieces if piece.data][-2:] == [False, True]


def test_candidates_are_told_apart() -> None:
    def of(index: int, text: str, **fields: Any) -> dict[str, Any]:
        return {"index": index, "content": {"parts": [{"text": text}]}, **fields}

    call = {"index": 1, "content": {"parts": [{"functionCall": {"name": "now"}}]}, "finishReason": "STOP"}
    pieces = streamed(
        events(
            {"candidates": [of(0, "A"), of(1, "x")], "responseId": "r"},
            {"candidates": [call]},
            {"candidates": [of(0, "B", finishReason="MAX_TOKENS")]},
        )
    )

    first, second = choices(pieces)
    assert (first["message"]["content"], first["finish_reason"]) == ("AB", "length")
    assert (second["message"]["content"], second["finish_reason"]) == ("x", "tool_calls")
    assert second["message"]["tool_calls"][0]["id"] == "call_r_1_0"


def test_a_blocked_prompt_ends_by_the_filter_with_its_usage() -> None:
    pieces = streamed(
        events({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": COUNTS})
    )

    told = choices(pieces)[0]
    assert (told["message"]["content"], told["finish_reason"]) == ("", "content_filter")
    assert [piece.usage for piece in pieces if piece.usage] == [Usage(prompt=5, cached=2)]


def test_an_answer_blocked_midway_keeps_what_was_said() -> None:
    pieces = streamed(events(said({"text": "A"}, finish=None), {"candidates": [{"finishReason": "SAFETY"}]}))

    told = choices(pieces)[0]
    assert (told["message"]["content"], told["finish_reason"]) == ("A", "content_filter")


def test_an_error_in_the_stream_is_a_failure_and_nothing_follows() -> None:
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    stream = Gemini().stream(ASKED)

    pieces = [*stream.feed(events(said({"text": "A"}, finish=None), error, said({"text": "B"})))]

    failure = pieces[-1].failure
    assert failure is not None
    assert (failure.cause, failure.status, failure.kind) == ("outage", 503, "UNAVAILABLE")
    assert stream.done
    assert [*stream.end()] == []


def test_an_error_in_an_array_is_one_too() -> None:
    error = {"error": {"message": "Quota.", "status": "RESOURCE_EXHAUSTED"}}

    pieces = [*Gemini().stream(ASKED).feed(array(error))]

    assert pieces[0].failure is not None
    assert (pieces[0].failure.cause, pieces[0].failure.status) == ("capacity", 429)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>no</html>",
        EVENTS[: EVENTS.rindex(b"data:")],
        ARRAY[: ARRAY.rindex(b',\r\n{\n  "candidates"')],
        b'data: {"candidates": [{"con',
        b"data: nonsense\n\n",
        b"data: \xff\n\n",
        events({"usageMetadata": COUNTS}),
        b"[]",
        b'[{"candidates": 7}]',
        events(said({"functionCall": {"name": "f", "willContinue": True}}, finish=None)),
        b"data: {" + b'"a":1,' * 10 + b'"candidates":' + b"[" * 5_000 + b"\n\n",
    ],
)
def test_a_stream_that_is_cut_or_none_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        streamed(data)


def test_an_event_above_the_limit_is_malformed() -> None:
    stream = Gemini().stream(ASKED)
    large = b"x" * 1_000_000

    def feed_all() -> None:
        list(stream.feed(b'[{"candidates": "'))
        for _ in range(9):
            list(stream.feed(large))

    with pytest.raises(Malformed, match="larger than"):
        feed_all()


def test_a_call_whose_arguments_come_in_pieces_is_whole_in_the_end() -> None:
    def of(**call: Any) -> dict[str, Any]:
        return said({"functionCall": call}, finish=None)

    def piece(path: str, **value: Any) -> dict[str, Any]:
        return {"jsonPath": path, **value}

    pieces = streamed(
        events(
            of(name="write", willContinue=True),
            of(
                partialArgs=[piece("$.items[0].name", stringValue="ap", willContinue=True)], willContinue=True
            ),
            of(partialArgs=[piece("$.items[0].name", stringValue="ple 🦩")], willContinue=True),
            of(partialArgs=[piece("$.items[0].price", numberValue=0.50)], willContinue=True),
            of(partialArgs=[piece("$.items[1]['a b']", boolValue=False)], willContinue=True),
            of(partialArgs=[piece('$["it\\"s"]', nullValue="NULL_VALUE")], willContinue=True),
            of(),
            of(name="now", args={"a": 1}),
            said(),
        )
    )

    told = choices(pieces)[0]
    functions = [call["function"] for call in told["message"]["tool_calls"]]
    assert [(one["name"], json.loads(one["arguments"])) for one in functions] == [
        ("write", {"items": [{"name": "apple 🦩", "price": 0.5}, {"a b": False}], 'it"s': None}),
        ("now", {"a": 1}),
    ]
    assert told["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("path", ["$", "", "$[0]", "$.a.b", "$.a[x]", "$.a[999999]", "$..a"])
def test_a_piece_of_an_argument_that_has_no_place_is_malformed(path: str) -> None:
    begun = {"functionCall": {"name": "f", "willContinue": True}}
    text = {"functionCall": {"partialArgs": [{"jsonPath": "$.a", "stringValue": "x"}], "willContinue": True}}
    odd = {"functionCall": {"partialArgs": [{"jsonPath": path, "stringValue": "x"}]}}

    with pytest.raises(Malformed):
        streamed(events(said(begun, text, odd)))


def test_pictures_come_as_data_beside_the_text() -> None:
    shown = {"inlineData": {"mimeType": "image/png", "data": PNG}}

    pieces = streamed(events(said({"text": "See:"}, shown, shown)))

    url = {"url": f"data:image/png;base64,{PNG}"}
    assert choices(pieces)[0]["message"]["images"] == [
        {"type": "image_url", "image_url": url, "index": 0},
        {"type": "image_url", "image_url": url, "index": 1},
    ]
    assert sum(piece.content for piece in pieces) == 3


def test_what_the_apis_own_tools_did_is_not_passed_on() -> None:
    own = {"executableCode": {"language": "PYTHON", "code": "1"}}, {"codeExecutionResult": {"output": "1"}}

    pieces = streamed(events(said(*own, {"text": "1"})))

    assert deltas(pieces) == [{"role": "assistant", "content": ""}, {"content": "1"}, {}]


def test_ids_that_are_made_up_are_the_same_for_the_same_answer_and_known_again() -> None:
    call = {"functionCall": {"name": "add", "args": {}}}
    nameless = {"candidates": [{"content": {"parts": [call]}, "finishReason": "STOP"}]}

    first, again = (choices(streamed(data))[0]["message"] for data in (events(nameless), array(nameless)))

    assert first == again
    assert first["tool_calls"][0]["id"] == f"call_{ASKED.id}_0"
    assert CALL["id"] != first["tool_calls"][0]["id"]
