"""What Bedrock's whole answers mean, and where calls go."""

import base64
import json
from pathlib import Path
from typing import Any

import openai.types.chat
import pytest
from bedrock_scene import ASKED, GPT, HI, PROFILE, RESULT, answer, asked, candidate, turns

from deeptoken.providers.base import Asked, Malformed
from deeptoken.providers.bedrock import Bedrock
from deeptoken.wire.usage import Usage

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings" / "bedrock.jsonl"
CLAUDES = {"format": "anthropic-claude-v1"}
RECORDED = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "guardrail_intervened": "content_filter",
}
"""The reasons in the recordings."""


@pytest.mark.parametrize(
    ("model", "stream", "path"),
    [
        ("us.amazon.nova-pro-v1:0", False, "us.amazon.nova-pro-v1%3A0/converse"),
        ("us.amazon.nova-pro-v1:0", True, "us.amazon.nova-pro-v1%3A0/converse-stream"),
        (
            PROFILE,
            False,
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc123/converse",
        ),
        ("a b/ü%?#~", False, "a%20b%2F%C3%BC%25%3F%23~/converse"),
    ],
)
def test_the_model_stands_in_the_path_escaped(model: str, stream: bool, path: str) -> None:
    request = asked(HI, model=model, stream=stream)

    assert request.method == "POST"
    assert request.url == f"https://bedrock-runtime.us-east-1.amazonaws.com/model/{path}"
    assert "model" not in json.loads(request.body)


def test_an_address_of_its_own_or_the_regions() -> None:
    proxy = asked(HI, at=candidate("m", base_url="https://proxy.test/aws/", region="eu-west-1"))
    region = asked(HI, at=candidate("m", base_url="", region="eu-west-1"))

    assert proxy.url == "https://proxy.test/aws/model/m/converse"
    assert region.url == "https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/converse"


@pytest.mark.parametrize(
    ("secret", "headers"),
    [
        ("ABSKQmVk+/=", {"authorization": "Bearer ABSKQmVk+/="}),
        ("AKIDEXAMPLE:wJalr/EXAMPLE", {}),
        ("ASIDEXAMPLE:wJalr/EXAMPLE:token==", {}),
        ("", {}),
    ],
)
def test_an_api_key_is_sent_and_aws_keys_wait_for_the_signature(secret: str, headers: dict[str, str]) -> None:
    request = asked(HI, at=candidate(secret=secret))

    assert dict(request.headers) == {"content-type": "application/json", **headers}


def test_an_answer_is_a_completion_to_the_letter() -> None:
    reply = Bedrock().reply(answer([{"text": "Hel"}, {"text": "lo"}]), ASKED)

    assert reply.fields == {
        "id": "chatcmpl-7",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "acme/claude",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
    }
    assert (reply.text, reply.upstream_id) == ("Hello", None)
    assert reply.usage == Usage(prompt=3, completion=2)
    assert json.loads(bytes(reply.told or b"")) == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
    }
    openai.types.chat.ChatCompletion.model_validate(reply.fields, strict=True)


def test_tool_calls_and_reasoning_come_in_openais_shape() -> None:
    reply = Bedrock().reply(
        answer(
            [
                {"reasoningContent": {"reasoningText": {"text": "Hm. ", "signature": "s1"}}},
                {"reasoningContent": {"redactedContent": base64.b64encode(b"Rk9P").decode()}},
                {"toolUse": {"toolUseId": "s", "name": "web", "input": {}, "type": "server_tool_use"}},
                {"toolResult": {"toolUseId": "s", "content": []}},
                {"toolUse": {"toolUseId": "tooluse_1", "name": "add", "input": {"a": 1}, "type": "tool_use"}},
                {"reasoningContent": {"reasoningText": {"text": "And.", "signature": "s2"}}},
                {"toolUse": {"toolUseId": "tooluse_2", "name": "now", "input": {}}},
                {"someNewBlock": {"text": "x"}},
            ],
            stopReason="tool_use",
        ),
        ASKED,
    )

    message = reply.fields["choices"][0]["message"]
    assert message == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "reasoning_content": "Hm. And.",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "Hm. ", "signature": "s1", **CLAUDES, "index": 0},
            {"type": "reasoning.encrypted", "data": "Rk9P", **CLAUDES, "index": 1},
            {"type": "reasoning.text", "text": "And.", "signature": "s2", **CLAUDES, "index": 3},
        ],
        "tool_calls": [
            {"id": "tooluse_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
            {"id": "tooluse_2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
        ],
    }
    assert reply.fields["choices"][0]["finish_reason"] == "tool_calls"
    assert reply.text == 'Hm. And.{"a": 1}{}'
    openai.types.chat.ChatCompletion.model_validate(reply.fields, strict=True)


def test_text_that_cites_is_text() -> None:
    cited = {"citationsContent": {"content": [{"text": "So "}, {"text": "it is."}], "citations": [{}]}}

    reply = Bedrock().reply(answer([{"text": "Well: "}, cited]), ASKED)

    assert reply.fields["choices"][0]["message"]["content"] == "Well: So it is."


def test_reasoning_that_says_nothing_is_none() -> None:
    empty: list[dict[str, Any]] = [
        {"reasoningContent": {"reasoningText": {"text": ""}}},
        {"reasoningContent": {}},
    ]

    reply = Bedrock().reply(answer([*empty, {"text": "So."}]), ASKED)

    assert reply.fields["choices"][0]["message"] == {"role": "assistant", "content": "So.", "refusal": None}


def test_a_call_without_id_or_arguments_gets_them() -> None:
    reply = Bedrock().reply(answer([{"toolUse": {"name": "now"}}]), ASKED)

    assert reply.fields["choices"][0]["message"]["tool_calls"] == [
        {"id": "call_chatcmpl-7_0", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    ]


def test_a_turn_with_reasoning_and_tools_survives_the_round_trip() -> None:
    content: list[dict[str, Any]] = [
        {"reasoningContent": {"reasoningText": {"text": "Zwei…\u2028\n", "signature": "Eq+/=="}}},
        {"text": "Let me see."},
        {"reasoningContent": {"reasoningText": {"text": "", "signature": "hidden"}}},
        {"reasoningContent": {"redactedContent": base64.b64encode(b"Rk9P+/==").decode()}},
        {"toolUse": {"toolUseId": "tooluse_1", "name": "add", "input": {"a": 1.0, "ü": [None]}}},
    ]
    reply = Bedrock().reply(answer(content, stopReason="tool_use"), ASKED)

    said = turns(HI, reply.fields["choices"][0]["message"], RESULT)

    assert said[1]["content"] == content


@pytest.mark.parametrize("data", ["Um5iOVA=", "AP8=", "no base64", "Um5iOVB="])
def test_what_another_makers_model_encrypted_survives_the_round_trip(data: str) -> None:
    content: list[dict[str, Any]] = [{"reasoningContent": {"redactedContent": data}}, {"text": "So."}]
    reply = Bedrock().reply(answer(content), Asked("acme/gpt", "chatcmpl-7", 1))

    said = turns(HI, reply.fields["choices"][0]["message"], HI, at=candidate(GPT, id="acme/gpt"))

    assert said[1]["content"] == content


@pytest.mark.parametrize("data", ["AP8=", "Um5iOVB=", "no base64"])
def test_what_claude_encrypted_in_a_way_that_is_new_survives_the_round_trip_too(data: str) -> None:
    content: list[dict[str, Any]] = [{"reasoningContent": {"redactedContent": data}}, {"text": "So."}]
    reply = Bedrock().reply(answer(content), ASKED)

    said = turns(HI, reply.fields["choices"][0]["message"], HI)

    assert said[1]["content"] == content


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
        (None, "stop"),
    ],
)
def test_each_stop_reason_has_its_finish(reason: str | None, finish: str) -> None:
    reply = Bedrock().reply(answer([], stopReason=reason), ASKED)

    assert reply.fields["choices"][0]["finish_reason"] == finish
    assert reply.fields["choices"][0]["message"]["content"] == ""


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"inputTokens": 1, "outputTokens": 0}, Usage(prompt=1)),
        (
            {
                "inputTokens": 1,
                "outputTokens": 2,
                "totalTokens": 10,
                "cacheReadInputTokens": 3,
                "cacheWriteInputTokens": 4,
                "cacheReadInputTokenCount": 3,
                "serverToolUsage": {},
            },
            Usage(prompt=1, cached=3, cache_write=4, completion=2),
        ),
        (
            {
                "inputTokens": 1,
                "outputTokens": 2,
                "cacheWriteInputTokens": 9,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 5}, {"ttl": "5m", "inputTokens": 4}],
            },
            Usage(prompt=1, cache_write=4, cache_write_1h=5, completion=2),
        ),
        (
            {"inputTokens": 1, "outputTokens": 2, "cacheDetails": [{"ttl": "1h", "inputTokens": 5}]},
            Usage(prompt=1, cache_write_1h=5, completion=2),
        ),
        (
            {
                "inputTokens": 1,
                "outputTokens": 2,
                "cacheWriteInputTokens": 3,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 5}],
            },
            Usage(prompt=1, cache_write_1h=3, completion=2),
        ),
        ({"outputTokens": 2}, None),
        ({"inputTokens": 2}, None),
        ({"inputTokens": -2, "outputTokens": 2}, None),
        ({"inputTokens": "2", "outputTokens": 2}, None),
        (None, None),
        ([], None),
    ],
)
def test_usage_is_split_into_disjoint_classes(counts: object, usage: Usage | None) -> None:
    reply = Bedrock().reply(answer([], usage=counts), ASKED)

    assert reply.usage == usage
    assert (reply.told is None) is (usage is None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Bad gateway</body></html>",
        b'{"output": {"message": {"content": [{"te',
        b"[]",
        b'{"usage": {}}',
        b'{"output": {}}',
        b'{"output": {"message": {"role": "assistant"}}}',
        b'{"output": {"message": {"content": [{"text": 7}]}}}',
        b'{"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}, "Version": "1.0"}',
        b"\xff\xfe",
    ],
)
def test_a_body_that_is_no_answer_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        Bedrock().reply(body, ASKED)


@pytest.mark.parametrize("reason", ["malformed_tool_use", "malformed_model_output"])
def test_an_answer_that_the_model_could_not_write_is_malformed(reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        Bedrock().reply(answer([{"text": "Hm"}], stopReason=reason), ASKED)


def recorded() -> list[dict[str, Any]]:
    if not RECORDINGS.exists():
        return []
    rows = [json.loads(line) for line in RECORDINGS.read_bytes().splitlines()]
    return [row for row in rows if row["status"] == 200]


def test_recorded_answers_come_out_as_bedrock_wrote_them() -> None:
    for row in recorded():
        raw = json.loads(row["body"])
        blocks = raw["output"]["message"]["content"]

        reply = Bedrock().reply(row["body"].encode(), ASKED)

        read_back = openai.types.chat.ChatCompletion.model_validate(reply.fields, strict=True)
        message = read_back.choices[0].message
        assert (message.content or "") == "".join(block.get("text", "") for block in blocks)
        assert [
            (call.id, call.function.name, json.loads(call.function.arguments))
            for call in message.tool_calls or []
            if call.type == "function"
        ] == [
            (call["toolUseId"], call["name"], call["input"])
            for call in (block["toolUse"] for block in blocks if "toolUse" in block)
        ]
        assert read_back.choices[0].finish_reason == RECORDED[raw["stopReason"]]
        assert reply.usage is not None
        assert reply.usage.prompt == raw["usage"]["inputTokens"]
        assert reply.usage.cached == raw["usage"].get("cacheReadInputTokens", 0)
        assert reply.usage.prompt_tokens + reply.usage.completion_tokens == raw["usage"]["totalTokens"]


def test_recorded_reasoning_goes_back_byte_for_byte() -> None:
    for row in recorded():
        blocks = json.loads(row["body"])["output"]["message"]["content"]
        reply = Bedrock().reply(row["body"].encode(), ASKED)

        said = turns(HI, reply.fields["choices"][0]["message"], HI)

        signed = [block for block in blocks if "signature" in json.dumps(block.get("reasoningContent"))]
        assert [block for block in said[1]["content"] if "reasoningContent" in block] == signed
