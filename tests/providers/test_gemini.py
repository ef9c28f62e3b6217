"""What Gemini's whole answers mean, and what was recorded of both kinds."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai.types.chat
import pytest
from gemini_scene import ASKED, HI, choices, contents, said, streamed

from deeptoken.providers.base import Malformed
from deeptoken.providers.gemini import Gemini
from deeptoken.wire.usage import Usage

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings"


def replied(answer: dict[str, Any]) -> Any:
    return Gemini().reply(json.dumps(answer, ensure_ascii=False).encode(), ASKED)


def test_an_answer_is_a_completion_to_the_letter() -> None:
    reply = replied(said({"text": "Hel"}, {"text": "lo"}, modelVersion="gemini-x"))

    assert reply.fields == {
        "id": "resp-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "acme/gem",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
    }
    assert (reply.text, reply.upstream_id) == ("Hello", "resp-1")
    assert reply.usage == Usage(prompt=3, completion=2)
    assert json.loads(bytes(reply.told)) == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    openai.types.chat.ChatCompletion.model_validate(reply.fields, strict=True)


def test_calls_thoughts_and_signatures_come_in_openais_shape_and_go_back_as_they_came() -> None:
    parts: list[dict[str, Any]] = [
        {"text": "Zwei…\u2028\n", "thought": True, "thoughtSignature": "s0/+="},
        {"text": "So:"},
        {
            "functionCall": {"id": "g1", "name": "add", "args": {"a": 1.0, "ü": [None]}},
            "thoughtSignature": "s1",
        },
        {"functionCall": {"id": "g2", "name": "now", "args": {}}},
    ]
    reply = replied(said(*parts))

    message = reply.fields["choices"][0]["message"]
    turns = contents(
        HI,
        message,
        {"role": "tool", "tool_call_id": "g1", "content": "3"},
        {"role": "tool", "tool_call_id": "g2", "content": "4"},
    )

    assert message["reasoning_content"] == "Zwei…\u2028\n"
    assert [call["function"]["arguments"] for call in message["tool_calls"]] == ['{"a":1.0,"ü":[null]}', "{}"]
    assert reply.fields["choices"][0]["finish_reason"] == "tool_calls"
    assert reply.text == 'Zwei…\u2028\nSo:{"a":1.0,"ü":[null]}{}'
    assert turns[1] == {"role": "model", "parts": parts}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("CONTINUATION", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("LANGUAGE", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "stop"),
        ("UNEXPECTED_TOOL_CALL", "stop"),
        ("OTHER", "stop"),
        ("SOMETHING_NEW", "stop"),
        (1, "stop"),
        (2, "length"),
        (3, "content_filter"),
        (99, "stop"),
        (-1, "stop"),
        (None, "stop"),
    ],
)
def test_each_reason_has_its_finish(reason: Any, finish: str) -> None:
    reply = replied({"candidates": [{"finishReason": reason}]})

    assert reply.fields["choices"][0]["finish_reason"] == finish
    assert reply.fields["choices"][0]["message"]["content"] == ""


def test_a_call_that_was_cut_short_is_told_as_cut() -> None:
    call = {"functionCall": {"name": "now"}}

    assert replied(said(call, finish="MAX_TOKENS")).fields["choices"][0]["finish_reason"] == "length"


def test_a_blocked_prompt_is_an_answer_that_the_filter_ended() -> None:
    reply = replied({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}})

    assert reply.fields["choices"][0]["finish_reason"] == "content_filter"
    assert reply.usage == Usage(prompt=4)


def test_several_candidates_are_several_choices() -> None:
    candidates = [
        {"content": {"parts": [{"text": text}]}, "finishReason": "STOP", "index": index}
        for index, text in enumerate("AB")
    ]

    reply = replied({"candidates": candidates})

    assert [choice["message"]["content"] for choice in reply.fields["choices"]] == ["A", "B"]
    openai.types.chat.ChatCompletion.model_validate(reply.fields, strict=True)


def test_probabilities_come_in_openais_shape() -> None:
    result = {
        "chosenCandidates": [{"token": "é", "tokenId": 1, "logProbability": -0.5}, {"token": "!"}],
        "topCandidates": [{"candidates": [{"token": "é", "logProbability": -0.5}, {"token": "e"}]}],
    }
    answer = said({"text": "é!"})
    answer["candidates"][0]["logprobsResult"] = result

    logprobs = replied(answer).fields["choices"][0]["logprobs"]

    first = {"token": "é", "logprob": -0.5, "bytes": [195, 169]}
    assert logprobs["content"] == [
        {**first, "top_logprobs": [first, {"token": "e", "logprob": 0.0, "bytes": [101]}]},
        {"token": "!", "logprob": 0.0, "bytes": [33], "top_logprobs": []},
    ]


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"promptTokenCount": 1}, Usage(prompt=1)),
        (
            {"promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 2},
            Usage(prompt=6, cached=4, completion=2),
        ),
        (
            {"promptTokenCount": 10, "candidatesTokenCount": 2, "thoughtsTokenCount": 3},
            Usage(prompt=10, completion=2, reasoning=3),
        ),
        ({"promptTokenCount": 10, "toolUsePromptTokenCount": 5}, Usage(prompt=15)),
        (
            {
                "promptTokenCount": 10,
                "cachedContentTokenCount": 4,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 4},
                    {"modality": "AUDIO", "tokenCount": 6},
                ],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 3}],
            },
            Usage(prompt=3, cached=4, prompt_audio=3),
        ),
        (
            {
                "promptTokenCount": 10,
                "promptTokensDetails": [{"modality": 4, "tokenCount": 60}, {"modality": "AUDIO"}],
            },
            Usage(prompt_audio=10),
        ),
        (
            {
                "promptTokenCount": 1,
                "candidatesTokenCount": 9,
                "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 8}],
            },
            Usage(prompt=1, completion=1, completion_audio=8),
        ),
        (
            {
                "promptTokenCount": 1,
                "candidatesTokenCount": 9,
                "candidatesTokensDetails": [
                    {"modality": "AUDIO", "tokenCount": 2},
                    {"modality": "IMAGE", "tokenCount": 6},
                ],
            },
            Usage(prompt=1, completion=1, completion_audio=2, completion_image=6),
        ),
        ({"promptTokenCount": 3, "cachedContentTokenCount": 9}, Usage(cached=3)),
        ({"promptTokenCount": 3, "candidatesTokenCount": None}, Usage(prompt=3)),
        ({"candidatesTokenCount": 2}, None),
        ({"trafficType": "ON_DEMAND"}, None),
        ({"promptTokenCount": -1}, None),
        ({"promptTokenCount": "3"}, None),
        (None, None),
    ],
)
def test_usage_is_split_into_disjoint_classes(counts: object, usage: Usage | None) -> None:
    reply = replied({**said({"text": "A"}), "usageMetadata": counts})

    assert reply.usage == usage
    assert (reply.told is None) is (usage is None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Bad gateway</body></html>",
        b'{"candidates": [{"con',
        b"[]",
        b"{}",
        b'{"candidates": []}',
        b'{"candidates": [], "usageMetadata": {"promptTokenCount": 3}}',
        b'{"error": {"code": 503, "message": "Overloaded"}}',
        b"\xff\xfe",
    ],
)
def test_a_body_that_is_no_answer_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        Gemini().reply(body, ASKED)


def recorded(name: str) -> list[dict[str, Any]]:
    file = RECORDINGS / name
    return [json.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []


def pieces_of(body: str) -> list[dict[str, Any]]:
    """What Google's own library would read one after the other."""
    if body.lstrip().startswith("["):
        told: list[dict[str, Any]] = json.loads(body)
        return told
    lines = body.replace("\r\n", "\n").split("\n")
    return [json.loads(line[5:]) for line in lines if line.startswith("data:")]


def parts_of(answers: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for answer in answers:
        yield from answer["candidates"][0]["content"].get("parts", [])


def assert_says(answers: list[dict[str, Any]], choice: dict[str, Any], usage: Usage | None) -> None:
    """`choice` says what stands in Google's own answers."""
    message, parts = choice["message"], list(parts_of(answers))
    texts = [part for part in parts if part.get("text")]
    assert (message["content"] or "") == "".join(one["text"] for one in texts if not one.get("thought"))
    thoughts = "".join(one["text"] for one in texts if one.get("thought"))
    assert message.get("reasoning_content", "") == thoughts
    calls = [part["functionCall"] for part in parts if part.get("functionCall", {}).get("name")]
    made = message.get("tool_calls", [])
    assert [call["function"]["name"] for call in made] == [call["name"] for call in calls]
    for call, ours in zip(calls, made, strict=True):
        assert "args" not in call or json.loads(ours["function"]["arguments"]) == call["args"]
    signatures = [part["thoughtSignature"] for part in parts if "thoughtSignature" in part]
    details = message.get("reasoning_details", [])
    kept = [detail.get("data") or detail.get("signature") for detail in details]
    assert [base64.b64decode(one) for one in kept if one] == [base64.b64decode(one) for one in signatures]
    assert choice["finish_reason"] == ("tool_calls" if calls else "stop")
    told = answers[-1]["usageMetadata"]
    assert usage is not None
    assert usage.prompt_tokens == told["promptTokenCount"] + told.get("toolUsePromptTokenCount", 0)
    assert usage.completion_tokens == told["candidatesTokenCount"] + told.get("thoughtsTokenCount", 0)
    assert usage.reasoning == told.get("thoughtsTokenCount", 0)
    assert usage.prompt_tokens + usage.completion_tokens == told["totalTokenCount"]


def test_recorded_answers_say_what_google_wrote() -> None:
    for row in recorded("gemini.jsonl"):
        if row["status"] != 200:
            assert Gemini().failure(row["status"], {}, row["body"].encode()).kind
            continue

        reply = Gemini().reply(row["body"].encode(), ASKED)

        openai.types.chat.ChatCompletion.model_validate(reply.fields, strict=True)
        answer = json.loads(row["body"])
        assert reply.upstream_id == answer.get("responseId")
        assert_says([answer], reply.fields["choices"][0], reply.usage)


def test_recorded_streams_cut_anywhere_say_what_google_wrote() -> None:
    for row in recorded("gemini-stream.jsonl"):
        data = row["body"].encode()

        pieces = streamed(data)

        for size in (1, 7, 64, 1000):
            assert streamed(data, *range(size, len(data), size)) == pieces
        usage = next(piece.usage for piece in reversed(pieces) if piece.usage)
        assert_says(pieces_of(row["body"]), choices(pieces)[0], usage)


def test_a_recorded_call_in_pieces_is_whole() -> None:
    for row in recorded("gemini-stream.jsonl"):
        if '"partialArgs"' not in row["body"]:
            continue

        call = choices(streamed(row["body"].encode()))[0]["message"]["tool_calls"][0]

        items = json.loads(call["function"]["arguments"])["operations"]
        assert [item["itemid"] for item in items] == ["apple_001", "banana_001"]
        assert [item["price"] for item in items] == [0.5, 0.3]
