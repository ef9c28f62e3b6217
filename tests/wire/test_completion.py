"""Usage as providers tell it, and chunks put together."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from deeptoken.wire.completion import Assembler, read_usage, usage_object
from deeptoken.wire.usage import Usage

encode, decode = msgspec.json.encode, msgspec.json.decode


def usage_of(told: object, *, reasoning_outside: bool = False) -> Usage | None:
    return read_usage(Raw(encode(told)), reasoning_outside=reasoning_outside)[0]


def told_of(told: object, *, reasoning_outside: bool = False) -> Any:
    raw = read_usage(Raw(encode(told)), reasoning_outside=reasoning_outside)[1]
    return None if raw is None else decode(raw)


def test_each_token_is_in_one_class() -> None:
    told = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 10, "cache_write_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 8},
    }

    usage = usage_of(told)

    assert usage == Usage(
        prompt=25, cached=60, cache_write=5, prompt_audio=10, completion=12, reasoning=30, completion_audio=8
    )


@pytest.mark.parametrize(
    "where",
    [
        {"prompt_tokens_details": {"cached_tokens": 7}},
        {"prompt_cache_hit_tokens": 7, "prompt_cache_miss_tokens": 3},
        {"cached_tokens": 7},
        {"num_cached_tokens": 7, "prompt_tokens_details": None},
    ],
)
def test_cached_tokens_are_found_wherever_a_host_tells_them(where: dict[str, Any]) -> None:
    usage = usage_of({"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11, **where})

    assert usage == Usage(prompt=3, cached=7, completion=1)


def test_reasoning_beside_the_completion_is_added_to_it() -> None:
    told = {
        "prompt_tokens": 32,
        "completion_tokens": 9,
        "total_tokens": 135,
        "completion_tokens_details": {"reasoning_tokens": 94},
    }

    usage, shown = usage_of(told, reasoning_outside=True), told_of(told, reasoning_outside=True)

    assert usage == Usage(prompt=32, completion=9, reasoning=94)
    assert (shown["completion_tokens"], shown["total_tokens"]) == (103, 135)


@pytest.mark.parametrize("outside", [True, False])
def test_the_total_decides_where_reasoning_is_counted(outside: bool) -> None:
    inside = {"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 19}
    beside = {"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 24}
    details = {"completion_tokens_details": {"reasoning_tokens": 5}}

    assert usage_of({**inside, **details}, reasoning_outside=outside) == Usage(
        prompt=10, completion=4, reasoning=5
    )
    assert usage_of({**beside, **details}, reasoning_outside=outside) == Usage(
        prompt=10, completion=9, reasoning=5
    )


def test_without_a_total_the_host_decides_where_reasoning_is_counted() -> None:
    told = {
        "prompt_tokens": 1,
        "completion_tokens": 9,
        "completion_tokens_details": {"reasoning_tokens": 5},
    }

    assert usage_of(told) == Usage(prompt=1, completion=4, reasoning=5)
    assert usage_of(told, reasoning_outside=True) == Usage(prompt=1, completion=9, reasoning=5)


RESEARCH = {
    "prompt_tokens": 33,
    "completion_tokens": 7_163,
    "total_tokens": 7_196,
    "citation_tokens": 20_016,
    "num_search_queries": 32,
    "reasoning_tokens": 194_001,
    "cost": {"total_cost": 0.81},
}


def test_what_was_read_and_thought_beside_is_prompt_and_completion() -> None:
    usage, told = read_usage(Raw(encode(RESEARCH)), counts_beside=True)

    assert usage == Usage(prompt=20_049, completion=7_163, reasoning=194_001)
    shown = decode(told or b"")
    assert (shown["prompt_tokens"], shown["completion_tokens"]) == (20_049, 201_164)
    assert shown["total_tokens"] == 221_213
    assert shown["completion_tokens_details"] == {"reasoning_tokens": 194_001}
    assert (shown["num_search_queries"], shown["citation_tokens"]) == (32, 20_016)
    assert "cost" not in shown


@pytest.mark.parametrize("absent", [("citation_tokens", "reasoning_tokens"), ("prompt_tokens",)])
def test_where_nothing_is_beside_the_counts_stay(absent: tuple[str, ...]) -> None:
    told = {name: value for name, value in RESEARCH.items() if name not in absent}

    beside = read_usage(Raw(encode(told)), counts_beside=True)

    assert beside == read_usage(Raw(encode(told)))


def test_a_usage_that_is_no_object_is_none_also_beside() -> None:
    assert read_usage(Raw(b"[1]"), counts_beside=True) == (None, None)


def test_zero_told_is_zero_and_nothing_told_is_nothing() -> None:
    assert usage_of({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}) == Usage()
    assert usage_of({}) is None
    assert usage_of({"prompt_tokens": 3}) is None
    assert usage_of("much") is None


def test_a_completion_that_is_left_out_is_what_the_total_leaves() -> None:
    assert usage_of({"prompt_tokens": 3, "total_tokens": 10}) == Usage(prompt=3, completion=7)
    assert usage_of({"prompt_tokens": 3, "total_tokens": 2}) is None


@pytest.mark.parametrize("absurd", [-1, 1.5, "12", True, None, 10**18, {}])
def test_an_absurd_count_is_none(absurd: object) -> None:
    assert usage_of({"prompt_tokens": absurd, "completion_tokens": 1, "total_tokens": 2}) is None
    assert usage_of({"prompt_tokens": 1, "completion_tokens": absurd, "total_tokens": 2}) is None


@given(
    st.fixed_dictionaries(
        {"prompt_tokens": st.integers(0, 50), "completion_tokens": st.integers(0, 50)},
        optional={
            "total_tokens": st.integers(-5, 200),
            "cached_tokens": st.integers(-5, 200),
            "prompt_tokens_details": st.dictionaries(
                st.sampled_from(["cached_tokens", "audio_tokens", "cache_write_tokens"]), st.integers(-5, 200)
            ),
            "completion_tokens_details": st.dictionaries(
                st.sampled_from(["reasoning_tokens", "audio_tokens"]), st.integers(-5, 200)
            ),
        },
    ),
    st.booleans(),
)
def test_classes_are_never_negative_and_sum_to_what_is_shown(told: dict[str, Any], outside: bool) -> None:
    usage, shown = read_usage(Raw(encode(told)), reasoning_outside=outside)

    assert usage is not None
    assert shown is not None
    assert min(msgspec.structs.astuple(usage)) >= 0
    assert usage.prompt_tokens == told["prompt_tokens"] == decode(shown)["prompt_tokens"]
    assert usage.completion_tokens == decode(shown)["completion_tokens"]
    assert usage.prompt_tokens + usage.completion_tokens == decode(shown)["total_tokens"]


def test_a_well_formed_usage_is_shown_byte_for_byte() -> None:
    raw = Raw(b'{ "total_tokens":3, "prompt_tokens":1,"completion_tokens" : 2, "unknown":[1] }')

    _, told = read_usage(raw)

    assert told == raw


def test_a_total_that_is_wrong_is_counted_again() -> None:
    shown = told_of({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 9, "unknown": "kept"})

    assert shown == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "unknown": "kept"}


def test_what_a_reseller_charges_the_operator_is_not_shown() -> None:
    shown = told_of(
        {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 0.1, "cost_details": {}}
    )

    assert shown == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def test_usage_is_written_as_openai_writes_it() -> None:
    usage = Usage(prompt=5, cached=2, cache_write=1, cache_write_1h=1, completion=3, reasoning=4)

    assert usage_object(usage) == {
        "prompt_tokens": 9,
        "completion_tokens": 7,
        "total_tokens": 16,
        "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    assert usage_object(Usage(prompt=1)) == {"prompt_tokens": 1, "completion_tokens": 0, "total_tokens": 1}


@given(st.builds(Usage, *[st.integers(0, 9)] * 3, st.just(0), *[st.integers(0, 9)] * 4))
def test_what_is_written_is_read_as_it_was(usage: Usage) -> None:
    assert usage_of(usage_object(usage)) == usage


HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 5, "model": "m"}


def assemble(*deltas: dict[str, Any], finish: str | None = "stop") -> dict[str, Any]:
    """One choice of these deltas, put together."""
    assembler = Assembler()
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    for choice in [*choices, {"index": 0, "delta": {}, "finish_reason": finish}]:
        assembler.add(encode({**HEAD, "choices": [choice]}))
    choice = assembler.whole()["choices"][0]
    assert isinstance(choice, dict)
    return choice


def test_text_refusal_and_reasoning_are_joined() -> None:
    choice = assemble(
        {"role": "assistant", "content": "", "refusal": None},
        {"reasoning_content": "Let "},
        {"reasoning_content": "me.", "content": None},
        {"content": "Hel"},
        {"content": "lo", "refusal": "no"},
    )

    assert choice == {
        "index": 0,
        "message": {
            "role": "assistant",
            "content": "Hello",
            "refusal": "no",
            "reasoning_content": "Let me.",
        },
        "logprobs": None,
        "finish_reason": "stop",
    }


def test_tool_calls_are_put_together_by_their_index() -> None:
    choice = assemble(
        {
            "role": "assistant",
            "tool_calls": [
                {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
            ],
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x":'}}]},
        {"tool_calls": [{"index": 1, "id": "b", "type": "function", "function": {"name": "g"}}]},
        {
            "tool_calls": [
                {"index": 0, "function": {"arguments": "1}"}},
                {"index": 1, "function": {"arguments": "{}"}},
            ]
        },
        finish="tool_calls",
    )

    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }
    assert choice["finish_reason"] == "tool_calls"


def test_logprobs_are_strung_together() -> None:
    assembler = Assembler()
    for token in ("a", "b"):
        logprobs = {"content": [{"token": token, "logprob": -0.1}], "refusal": None}
        choice = {"index": 0, "delta": {"content": token}, "logprobs": logprobs, "finish_reason": None}
        assembler.add(encode({**HEAD, "choices": [choice]}))

    choice = assembler.whole()["choices"][0]

    assert [entry["token"] for entry in choice["logprobs"]["content"]] == ["a", "b"]


def test_several_choices_grow_side_by_side() -> None:
    assembler = Assembler()
    for index, text in ((1, "b"), (0, "a"), (1, "B"), (0, "A")):
        choice = {"index": index, "delta": {"content": text}, "finish_reason": None}
        assembler.add(encode({**HEAD, "choices": [choice]}))

    whole = assembler.whole()

    assert [choice["message"]["content"] for choice in whole["choices"]] == ["aA", "bB"]


def test_the_head_is_kept_and_pieces_without_a_chunk_are_nothing() -> None:
    assembler = Assembler()
    assembler.add(b"")
    assembler.add(encode({**HEAD, "choices": [], "service_tier": None, "obfuscation": "x"}))
    assembler.add(encode({**HEAD, "choices": [], "service_tier": "default"}))

    assert assembler.whole() == {
        **HEAD,
        "object": "chat.completion",
        "service_tier": "default",
        "choices": [],
    }


def test_pieces_of_a_reasoning_detail_become_one() -> None:
    detail = {"type": "reasoning.text", "index": 0}

    choice = assemble(
        {"reasoning_details": [{**detail, "text": "Let "}]},
        {"reasoning_details": [{**detail, "text": "me.", "signature": None}]},
        {"reasoning_details": [{**detail, "signature": "s"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "index": 1, "data": "e"}]},
    )

    assert choice["message"]["reasoning_details"] == [
        {**detail, "text": "Let me.", "signature": "s"},
        {"type": "reasoning.encrypted", "index": 1, "data": "e"},
    ]


def test_sound_is_put_together() -> None:
    choice = assemble(
        {"audio": {"id": "a", "transcript": "Hel"}},
        {"audio": {"data": "AAAA", "transcript": "lo"}},
        {"audio": {"data": "BBBB", "expires_at": 9}},
    )

    assert choice["message"]["audio"] == {
        "id": "a",
        "transcript": "Hello",
        "data": "AAAABBBB",
        "expires_at": 9,
    }
