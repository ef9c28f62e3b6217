"""Whole answers and chunks that break OpenAI's rules, mended."""

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from deeptoken.wire import mend
from deeptoken.wire.choice import Broken

encode, decode = msgspec.json.encode, msgspec.json.decode

GOOD = (
    b'[{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null,"x":[1.0]},'
    b'"logprobs":null,"finish_reason":"stop"}]'
)


def whole(**message: Any) -> dict[str, Any]:
    """The mended message of one choice."""
    raw, _ = mend.choices(Raw(encode([{"message": message, "finish_reason": "stop"}])), "id")
    mended = decode(raw)[0]["message"]
    assert isinstance(mended, dict)
    return mended


def test_choices_that_keep_the_rules_stay_byte_for_byte() -> None:
    mended, text = mend.choices(Raw(GOOD), "id")

    assert (bytes(mended), text) == (GOOD, "Hi")


@pytest.mark.parametrize(
    ("told", "shown"), [([1, 0], [1, 0]), ([0, 0], [0, 1]), ([1, 2], [0, 1]), ([None, 0], [0, 1])]
)
def test_choices_keep_their_numbers_where_these_are_numbers(told: list[Any], shown: list[int]) -> None:
    raw = Raw(encode([{"index": index, "message": {"content": "Hi"}} for index in told]))

    mended, _ = mend.choices(raw, "id")

    assert [choice["index"] for choice in decode(mended)] == shown


def test_keys_that_the_schema_wants_are_added() -> None:
    mended, text = mend.choices(Raw(b'[{"message":{"content":"Hi","own":1},"seed":7}]'), "id")

    assert text == "Hi"
    assert decode(mended) == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi", "refusal": None, "own": 1},
            "logprobs": None,
            "finish_reason": "stop",
            "seed": 7,
        }
    ]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("end_turn", "stop"),
        ("COMPLETE", "stop"),
        ("max_tokens", "length"),
        ("model_length", "length"),
        ("tool_use", "tool_calls"),
        ("SAFETY", "content_filter"),
        ("function_call", "function_call"),
        ("", "stop"),
        (None, "stop"),
    ],
)
def test_a_finish_reason_is_one_of_openais(said: str | None, meant: str) -> None:
    mended, _ = mend.choices(Raw(encode([{"message": {}, "finish_reason": said}])), "id")

    assert decode(mended)[0]["finish_reason"] == meant


@pytest.mark.parametrize("reason", ["error", "insufficient_system_resource", "abort"])
def test_a_finish_that_is_a_failure_is_no_answer(reason: str) -> None:
    choices = Raw(encode([{"message": {"content": "Hi"}, "finish_reason": reason}]))

    with pytest.raises(Broken, match=reason):
        mend.choices(choices, "id")


def test_tool_calls_get_an_id_a_type_and_arguments_as_text() -> None:
    message = whole(
        tool_calls=[{"function": {"name": "f", "arguments": {"a": 1}}}, {"id": "b", "function": {}}]
    )

    assert message["content"] is None
    assert message["tool_calls"] == [
        {"id": "call_id_0_0", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "b", "type": "function", "function": {"arguments": "{}"}},
    ]


def test_an_answer_that_made_calls_and_gives_no_reason_ended_for_them() -> None:
    choice = {"message": {"tool_calls": [{"id": "a", "function": {"name": "f"}}]}, "finish_reason": ""}

    mended, text = mend.choices(Raw(encode([choice])), "id")

    assert decode(mended)[0]["finish_reason"] == "tool_calls"
    assert text == "f"


def test_a_function_call_without_a_name_is_none() -> None:
    assert "function_call" not in whole(content="4", function_call={"name": "", "arguments": ""})


def test_reasoning_has_one_name() -> None:
    assert whole(content="4", reasoning="2+2")["reasoning_content"] == "2+2"
    assert "reasoning" not in whole(content="4", reasoning=None)
    assert whole(reasoning="other", reasoning_content="2+2")["reasoning_content"] == "2+2"


def test_content_in_parts_becomes_text_and_reasoning() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "2+"}, {"type": "text", "text": "2"}]},
        {"type": "text", "text": "It is "},
        {"type": "reference", "reference_ids": [1]},
        {"type": "text", "text": "4"},
    ]

    mended, text = mend.choices(Raw(encode([{"message": {"content": parts}}])), "id")

    message = decode(mended)[0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("It is 4", "2+2")
    assert message["references"] == [{"type": "reference", "reference_ids": [1]}]
    assert text == "2+2It is 4"


def test_thinking_in_parts_keeps_its_places_signatures_and_references() -> None:
    source = {"type": "tool_reference", "tool": "web_search", "title": "Sums", "url": "https://h.example"}
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "2+2"}, source], "signature": "s1"},
        {"type": "thinking", "thinking": "Yes."},
        {"type": "text", "text": "4"},
    ]

    message = whole(content=parts)

    kind = {"type": "reasoning.text", "format": "mistral-content-v1"}
    assert message["reasoning_details"] == [
        {**kind, "text": "2+2", "index": 0, "signature": "s1"},
        {**kind, "text": "Yes.", "index": 1},
    ]
    assert (message["reasoning_content"], message["references"]) == ("2+2Yes.", [source])


@pytest.mark.parametrize("parts", [[], [5], [{"text": "a"}], [{"type": "text", "text": 7}]])
def test_parts_that_are_none_say_nothing(parts: list[Any]) -> None:
    assert whole(content=parts)["content"] == ""


def test_text_of_wrong_types_is_left_out() -> None:
    raw = Raw(
        b'[{"index":"0","message":{"role":1,"content":5,"tool_calls":{"a":1}},"finish_reason":7},{"message":[]}]'
    )

    mended, text = mend.choices(raw, "id")

    assert text == ""
    assert [choice["index"] for choice in decode(mended)] == [0, 1]
    assert {choice["message"]["content"] for choice in decode(mended)} == {None}


class Answer:
    """One streamed answer: its chunks' choices as they come out."""

    def __init__(self) -> None:
        self.chunks = mend.Chunks("answer")

    def __call__(self, *choices: dict[str, Any]) -> Any:
        mended = self.chunks.mend(Raw(encode(list(choices))))
        return None if mended.choices is None else decode(mended.choices)

    def delta(self, index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
        """What comes out of one delta of one choice."""
        choices = self({"index": index, "delta": delta, "finish_reason": finish})
        assert choices is not None
        out = choices[0]["delta"]
        assert isinstance(out, dict)
        return out


@pytest.fixture
def answer() -> Answer:
    return Answer()


def test_a_chunk_that_keeps_the_rules_stays_byte_for_byte(answer: Answer) -> None:
    raw = Raw(b'[ {"delta":{"content":"a","own":1.0},"index":0,"logprobs":null,"finish_reason":null} ]')
    answer.delta(role="assistant", content="")

    mended = answer.chunks.mend(raw)

    assert mended.choices == raw
    assert (mended.text, mended.content, mended.finish) == ("a", True, False)


def test_the_role_comes_first_and_once_for_each_choice(answer: Answer) -> None:
    deltas = [
        answer.delta(content="a"),
        answer.delta(role="assistant", content="b"),
        answer.delta(role=None, content="c"),
        answer.delta(index=1, role="", content="d"),
    ]

    assert deltas == [
        {"role": "assistant", "content": "a"},
        {"content": "b"},
        {"content": "c"},
        {"role": "assistant", "content": "d"},
    ]


def test_finish_reason_is_always_there(answer: Answer) -> None:
    first, second = answer({"index": 0, "delta": {}}), answer({"index": 0, "delta": {"content": "a"}})

    assert [choice["finish_reason"] for choice in (*first, *second)] == [None, None]


def test_an_empty_finish_reason_is_none(answer: Answer) -> None:
    assert answer({"index": 0, "delta": {"content": "a"}, "finish_reason": ""})[0]["finish_reason"] is None


def test_a_finish_comes_once_and_nothing_comes_after_it(answer: Answer) -> None:
    answer.delta(content="a")

    told = [
        answer({"index": 0, "delta": {}, "finish_reason": "eos"}),
        answer({"index": 0, "delta": {}, "finish_reason": "stop"}),
        answer({"index": 0, "delta": {"content": "late"}, "finish_reason": None}),
    ]

    assert told[0][0]["finish_reason"] == "stop"
    assert told[1:] == [None, None]
    assert answer.chunks.finished


def test_one_choice_ends_while_another_goes_on(answer: Answer) -> None:
    answer({"index": 0, "delta": {}}, {"index": 1, "delta": {}})
    answer.delta(index=0, finish="length")

    both = answer(
        {"index": 0, "delta": {"content": "late"}, "finish_reason": None},
        {"index": 1, "delta": {"content": "b"}, "finish_reason": None},
    )

    assert [(choice["index"], choice["delta"]) for choice in both] == [(1, {"content": "b"})]
    assert not answer.chunks.finished
    assert answer.chunks.finish() == [{"index": 1, "delta": {}, "logprobs": None, "finish_reason": "stop"}]
    assert answer.chunks.finished


def test_what_is_left_open_after_calls_ends_for_them(answer: Answer) -> None:
    answer.delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f"}}])

    assert answer.chunks.finish()[0]["finish_reason"] == "tool_calls"


def test_choices_without_an_index_are_counted(answer: Answer) -> None:
    choices = answer({"delta": {"content": "a"}}, {"index": None, "delta": {"content": "b"}})

    assert [choice["index"] for choice in choices] == [0, 1]


def test_no_choices_stay_no_choices(answer: Answer) -> None:
    mended = answer.chunks.mend(Raw(b"[]"))

    assert (mended.choices, mended.content) == (Raw(b"[]"), False)
    assert not answer.chunks.begun


def test_reasoning_in_chunks_has_one_name(answer: Answer) -> None:
    answer.delta(content="")

    assert answer.delta(reasoning="Let", content=None) == {"reasoning_content": "Let", "content": None}
    assert answer.delta(reasoning=None, content="a") == {"content": "a"}
    assert (
        answer.chunks.mend(Raw(b'[{"index":0,"delta":{"reasoning":"me"},"finish_reason":null}]')).text == "me"
    )


def test_content_in_parts_is_flattened_in_chunks(answer: Answer) -> None:
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]

    detail = {"type": "reasoning.text", "text": "hm", "format": "mistral-content-v1", "index": 0}
    assert answer.delta(content=thinking) == {
        "role": "assistant",
        "content": "",
        "reasoning_content": "hm",
        "reasoning_details": [detail],
    }


@pytest.mark.parametrize("kind", ["audio", "images"])
def test_sound_and_pictures_are_content(answer: Answer, kind: str) -> None:
    answer.delta(content="")
    chunk = {"index": 0, "delta": {kind: {"data": "AAAA"}}, "finish_reason": None}

    mended = answer.chunks.mend(Raw(encode([chunk])))

    assert (mended.content, mended.text) == (True, "")


def call(
    index: int | None = None, id: str | None = None, name: str | None = None, arguments: str | None = None
) -> Any:
    function = {"name": name, "arguments": arguments}
    fields = {"index": index, "id": id, "function": {k: v for k, v in function.items() if v is not None}}
    return {key: value for key, value in fields.items() if value is not None}


def calls_of(*deltas: list[Any]) -> list[tuple[Any, ...]]:
    """Each call as it comes out: index, id, name, arguments."""
    answer = Answer()
    answer.delta(content="")
    out = [one for delta in deltas for one in answer.delta(tool_calls=delta)["tool_calls"]]
    return [
        (one["index"], one.get("id"), one["function"].get("name"), one["function"].get("arguments"))
        for one in out
    ]


def test_calls_without_an_index_get_one_by_their_id() -> None:
    out = calls_of(
        [call(id="a", name="f", arguments="{")],
        [call(arguments="}")],
        [call(id="b", name="g", arguments="{}"), call(id="a", arguments=" ")],
    )

    assert out == [(0, "a", "f", "{"), (0, None, None, "}"), (1, "b", "g", "{}"), (0, None, None, " ")]


def test_calls_that_all_say_index_zero_are_told_apart_by_their_id() -> None:
    out = calls_of([call(0, "a", "f", "{}")], [call(0, "b", "g", "{")], [call(0, arguments="}")])

    assert out == [(0, "a", "f", "{}"), (1, "b", "g", "{"), (1, None, None, "}")]


def test_calls_are_counted_from_zero_without_gaps() -> None:
    out = calls_of([call(1, "a", "f", "{}")], [call(5, "b", "g", "{}")], [call(1, arguments=" ")])

    assert [index for index, *_ in out] == [0, 1, 0]


def test_id_name_and_type_come_once() -> None:
    out = calls_of([call(0, "a", "f", "{")], [call(0, "a", "f", "}")])

    assert out == [(0, "a", "f", "{"), (0, None, None, "}")]


def test_a_call_without_an_id_gets_one_and_keeps_it() -> None:
    out = calls_of([call(0, None, "f", "{")], [call(0, "late", None, "}")], [call(0, "late", None, " ")])

    assert out == [(0, "call_answer_0_0", "f", "{"), (0, None, None, "}"), (0, None, None, " ")]


def test_a_name_that_comes_later_is_told_once() -> None:
    out = calls_of([call(0, "a")], [call(0, name="f")], [call(0, name="f", arguments="{}")])

    assert [name for _, _, name, _ in out] == [None, "f", None]


def test_arguments_that_only_go_on_stay_byte_for_byte(answer: Answer) -> None:
    raw = Raw(
        b'[{"index":0,"delta":{"tool_calls":[{"index":0, "function":{"arguments":"x"}}]},'
        b'"finish_reason":null}]'
    )
    answer.delta(tool_calls=[call(0, "a", "f", "")])

    mended = answer.chunks.mend(raw)

    assert (mended.choices, mended.text, mended.content) == (raw, "x", True)


def test_words_beside_arguments_are_counted_with_them(answer: Answer) -> None:
    answer.delta(tool_calls=[call(0, "a", "f", "")])
    delta = {"content": "w", "tool_calls": [call(0, arguments="x")]}

    mended = answer.chunks.mend(Raw(encode([{"index": 0, "delta": delta, "finish_reason": None}])))

    assert mended.text == "wx"


def test_the_first_delta_of_a_call_has_a_type() -> None:
    answer = Answer()

    first = answer.delta(tool_calls=[call(0, "a", "f", "")])
    custom = answer.delta(tool_calls=[{"index": 1, "id": "b", "type": "custom", "custom": {"name": "g"}}])

    assert first["tool_calls"][0]["type"] == "function"
    assert custom["tool_calls"][0] == {"index": 1, "id": "b", "type": "custom", "custom": {"name": "g"}}
