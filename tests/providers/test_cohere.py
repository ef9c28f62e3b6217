"""What Cohere's whole answers mean."""

import json
from pathlib import Path
from typing import Any

import msgspec
import openai.types.chat
import pytest
from cohere_scene import ASKED, HI, answer, plan, thought, turns

from deeptoken.providers.base import Malformed
from deeptoken.providers.cohere import Cohere
from deeptoken.wire.usage import Usage

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings" / "cohere.jsonl"


def test_an_answer_is_a_completion_to_the_letter() -> None:
    body = answer({"content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]})

    reply = Cohere().reply(body, ASKED)

    assert reply.fields == {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "acme/command",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
    }
    assert (reply.text, reply.upstream_id, reply.usage) == ("Hello", "c-1", Usage(prompt=8, completion=2))
    assert json.loads(bytes(reply.told or b"")) == {
        "prompt_tokens": 8,
        "completion_tokens": 2,
        "total_tokens": 10,
        "billed_units": {"input_tokens": 8, "output_tokens": 2},
        "tokens": {"input_tokens": 208, "output_tokens": 4},
    }
    openai.types.chat.ChatCompletion.model_validate(reply.fields, strict=True)


CALLED: dict[str, Any] = {
    "content": [{"type": "thinking", "thinking": "Hm. "}],
    "tool_plan": "I will add.",
    "tool_calls": [
        {"id": "add_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
        {"id": "now_1", "type": "function", "function": {"name": "now", "arguments": "null"}},
        {"type": "function", "function": {"name": "now"}},
    ],
}


def test_plan_thinking_and_tool_calls_come_in_openais_shape() -> None:
    reply = Cohere().reply(answer(CALLED, finish_reason="TOOL_CALL"), ASKED)

    assert reply.fields["choices"][0]["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "reasoning_content": "Hm. I will add.",
        "reasoning_details": [thought("Hm. "), plan("I will add.", 1)],
        "tool_calls": [
            {"id": "add_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
            {"id": "now_1", "type": "function", "function": {"name": "now", "arguments": "{}"}},
            {"id": "call_c-1_2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
        ],
    }
    assert reply.fields["choices"][0]["finish_reason"] == "tool_calls"
    assert reply.text == 'Hm. I will add.{"a": 1}{}{}'
    openai.types.chat.ChatCompletion.model_validate(reply.fields, strict=True)


def test_a_turn_with_plan_thinking_and_tools_survives_the_round_trip() -> None:
    told = {**CALLED, "tool_calls": CALLED["tool_calls"][:1]}
    reply = Cohere().reply(answer(told, finish_reason="TOOL_CALL"), ASKED)

    said = turns(
        HI,
        reply.fields["choices"][0]["message"],
        {"role": "tool", "tool_call_id": "add_1", "content": "3"},
    )

    assert said[1] == {"role": "assistant", **told}
    assert said[2] == {"role": "tool", "tool_call_id": "add_1", "content": "3"}


def test_citations_are_a_field_of_the_message_as_they_came() -> None:
    source = {"type": "document", "id": "d:0", "document": {"text": "Sunny"}}
    citations = [{"start": 0, "end": 5, "text": "Sunny", "sources": [source], "type": "TEXT_CONTENT"}]

    reply = Cohere().reply(answer({"content": "Sunny", "citations": citations}), ASKED)

    message = reply.fields["choices"][0]["message"]
    assert (message["content"], message["citations"]) == ("Sunny", citations)


def test_probabilities_come_in_openais_shape() -> None:
    told = [
        {"text": "Hé", "token_ids": [1, 2], "logprobs": [-0.5, -0.25]},
        {"text": "!", "token_ids": [3], "logprobs": [-1.0]},
    ]

    reply = Cohere().reply(answer({"content": "Hé!"}, logprobs=told), ASKED)

    assert reply.fields["choices"][0]["logprobs"] == {
        "content": [
            {"token": "Hé", "logprob": -0.75, "bytes": [72, 195, 169], "top_logprobs": []},
            {"token": "!", "logprob": -1.0, "bytes": [33], "top_logprobs": []},
        ],
        "refusal": None,
    }
    openai.types.chat.ChatCompletion.model_validate(reply.fields, strict=True)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("SOMETHING_NEW", "stop"),
        (None, "stop"),
    ],
)
def test_each_finish_reason_has_its_word(reason: str | None, finish: str) -> None:
    reply = Cohere().reply(answer({"content": []}, finish_reason=reason), ASKED)

    assert reply.fields["choices"][0]["finish_reason"] == finish
    assert reply.fields["choices"][0]["message"]["content"] == ""


@pytest.mark.parametrize(("reason", "why"), [("ERROR", "ERROR"), ("TIMEOUT", "TIMEOUT")])
def test_an_answer_that_failed_is_none(reason: str, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        Cohere().reply(answer({"content": "Half an"}, finish_reason=reason), ASKED)


def test_of_an_answer_without_a_reason_calls_tell_it() -> None:
    reply = Cohere().reply(answer(CALLED, finish_reason=None), ASKED)

    assert reply.fields["choices"][0]["finish_reason"] == "tool_calls"


def units(prompt: float, completion: float) -> dict[str, float]:
    return {"input_tokens": prompt, "output_tokens": completion}


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"billed_units": units(8, 2), "tokens": units(208, 4)}, Usage(prompt=8, completion=2)),
        ({"billed_units": units(8.0, 2.0)}, Usage(prompt=8, completion=2)),
        ({"tokens": units(208, 4)}, Usage(prompt=208, completion=4)),
        # 200 of 208 tokens are not paid for: of 203 cached ones 3 are, at least.
        (
            {"billed_units": units(8, 2), "tokens": units(208, 4), "cached_tokens": 203},
            Usage(prompt=5, cached=3, completion=2),
        ),
        (
            {"billed_units": units(8, 2), "tokens": units(208, 4), "cached_tokens": 200},
            Usage(prompt=8, completion=2),
        ),
        ({"tokens": units(208, 4), "cached_tokens": 200}, Usage(prompt=8, cached=200, completion=4)),
        ({"billed_units": units(8, 2), "cached_tokens": 9}, Usage(cached=8, completion=2)),
        ({"billed_units": {"input_tokens": 8}, "tokens": units(208, 4)}, None),
        ({"billed_units": units(-8, 2)}, None),
        ({"billed_units": {"input_tokens": "8", "output_tokens": 2}}, None),
        ({}, None),
        (None, None),
    ],
)
def test_what_is_billed_is_used_in_disjoint_classes(counts: object, usage: Usage | None) -> None:
    reply = Cohere().reply(answer({"content": "Hi"}, usage=counts), ASKED)

    assert reply.usage == usage
    assert (reply.told is None) is (usage is None)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no message"),
        (b"<html><body>Bad gateway</body></html>", "no message"),
        (b'{"id": "x", "message": {"content": [{"ty', "no message"),
        (b"[]", "no message"),
        (b"null", "no message"),
        (b'{"id": "x"}', "has no message"),
        (b'{"message": "internal server error"}', "internal server error"),
        (b"\xff\xfe", "."),
    ],
)
def test_a_body_that_is_no_answer_says_why(body: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        Cohere().reply(body, ASKED)


def recorded() -> list[dict[str, Any]]:
    if not RECORDINGS.exists():
        return []
    return [msgspec.json.decode(line) for line in RECORDINGS.read_bytes().splitlines()]


def test_recorded_answers_say_what_the_vendors_bytes_say() -> None:
    for row in recorded():
        told = json.loads(row["body"])
        said, billed = told["message"], told["usage"]["billed_units"]

        reply = Cohere().reply(row["body"].encode(), ASKED)

        choice = openai.types.chat.ChatCompletion.model_validate(reply.fields, strict=True).choices[0]
        message = choice.message.model_dump()
        parts = said.get("content") or []
        assert (message["content"] or "") == "".join(part.get("text", "") for part in parts)
        assert message.get("reasoning_content", "") == (
            "".join(part.get("thinking", "") for part in parts) + said.get("tool_plan", "")
        )
        assert (message["tool_calls"] or []) == said.get("tool_calls", [])
        assert message.get("citations", []) == said.get("citations", [])
        assert choice.finish_reason == ("tool_calls" if told["finish_reason"] == "TOOL_CALL" else "stop")
        assert reply.usage is not None
        assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (
            billed["input_tokens"],
            billed["output_tokens"],
        )
