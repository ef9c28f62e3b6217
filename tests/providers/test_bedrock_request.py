"""What goes to Bedrock beside the messages."""

import json
from typing import Any

import pytest
from bedrock_scene import (
    ADD,
    ASSISTANT,
    CLAUDE,
    GPT,
    HI,
    KIMI,
    LLAMA,
    NOVA,
    NOVA_2,
    OLD,
    OPUS,
    OSS,
    PROFILE,
    RESULT,
    THOUGHT,
    asked,
    candidate,
    sent,
)

from deeptoken.errors import BadRequest
from deeptoken.providers.bedrock import Bedrock
from deeptoken.wire.chat import read


def more(body: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = body.get("additionalModelRequestFields", {})
    return fields


def inference(*messages: dict[str, Any], **options: Any) -> dict[str, Any]:
    fields: dict[str, Any] = sent(*messages, **options).get("inferenceConfig", {})
    return fields


def test_a_plain_chat_is_its_messages() -> None:
    assert sent(HI) == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


@pytest.mark.parametrize(
    ("fields", "limit", "max_output", "expected"),
    [
        ({}, None, None, {}),
        ({}, None, 8192, {"maxTokens": 8192}),
        ({"max_tokens": 10}, None, 8192, {"maxTokens": 10}),
        ({"max_tokens": 10, "max_completion_tokens": 20}, None, 8192, {"maxTokens": 20}),
        ({"max_tokens": 10}, 5, 8192, {"maxTokens": 5}),
        ({"max_tokens": 0}, None, None, {}),
    ],
)
def test_the_limit_is_the_wallets_else_the_callers_else_the_models(
    fields: dict[str, Any], limit: int | None, max_output: int | None, expected: dict[str, int]
) -> None:
    assert inference(HI, at=candidate(max_output=max_output), limit=limit, **fields) == expected


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        (CLAUDE, {"temperature": 1.7}, {"temperature": 1.0}),
        (CLAUDE, {"temperature": 0}, {"temperature": 0}),
        (CLAUDE, {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5}),
        (CLAUDE, {"top_p": 0.5}, {"topP": 0.5}),
        (CLAUDE, {"temperature": 0.5, "reasoning_effort": "low", "max_tokens": 9000}, {}),
        (CLAUDE, {"top_p": 0.96, "reasoning_effort": "low", "max_tokens": 9000}, {"topP": 0.96}),
        (CLAUDE, {"top_p": 0.9, "thinking": {"type": "adaptive"}}, {}),
        (CLAUDE, {"temperature": 0.5, "thinking": {"type": "disabled"}}, {"temperature": 0.5}),
        (OPUS, {"temperature": 0.5, "top_p": 0.5}, {}),
        (LLAMA, {"temperature": 1.7, "top_p": 0.5}, {"temperature": 1.0, "topP": 0.5}),
        (NOVA, {"temperature": 0.2, "top_p": 1}, {"temperature": 0.2, "topP": 1.0}),
        (NOVA_2, {"temperature": 0.2, "reasoning_effort": "high"}, {}),
        (NOVA_2, {"temperature": 0.2, "reasoning_effort": "low"}, {"temperature": 0.2}),
    ],
)
def test_sampling_is_sent_where_the_model_has_it(
    model: str, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    told = inference(HI, model=model, **fields)

    assert {name: told[name] for name in ("temperature", "topP") if name in told} == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (CLAUDE, {"top_k": 3}),
        (OPUS, {}),
        (NOVA, {"inferenceConfig": {"topK": 3}}),
        (NOVA_2, {"inferenceConfig": {"topK": 3}}),
        (LLAMA, {}),
    ],
)
def test_top_k_is_each_makers_own_word(model: str, expected: dict[str, Any]) -> None:
    assert more(sent(HI, model=model, top_k=3)) == expected


@pytest.mark.parametrize(
    ("model", "stop", "expected"),
    [
        (CLAUDE, "END", ["END"]),
        (CLAUDE, ["a", "", "\n", "b"], ["a", "b"]),
        (LLAMA, ["a", "", "\n", "b"], ["a", "\n", "b"]),
        (LLAMA, "", None),
    ],
)
def test_stop_sequences_that_would_be_refused_are_left_out(
    model: str, stop: object, expected: list[str] | None
) -> None:
    assert inference(HI, model=model, stop=stop).get("stopSequences") == expected


ADAPTIVE = {"type": "adaptive", "display": "summarized"}


def enabled(budget: int) -> dict[str, Any]:
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        (CLAUDE, "minimal", enabled(1024)),
        (CLAUDE, "medium", enabled(5000)),
        (CLAUDE, "max", enabled(9500)),
        (CLAUDE, "none", {}),
        (OLD, "high", {}),
        (
            "anthropic.claude-opus-4-6-v1",
            "xhigh",
            {"thinking": ADAPTIVE, "output_config": {"effort": "high"}},
        ),
        (OPUS, "minimal", {"thinking": ADAPTIVE, "output_config": {"effort": "low"}}),
        (OPUS, "xhigh", {"thinking": ADAPTIVE, "output_config": {"effort": "xhigh"}}),
        (OPUS, "none", {"output_config": {"effort": "low"}}),
        ("global.anthropic.claude-opus-5", "none", {"output_config": {"effort": "low"}}),
        (NOVA_2, "minimal", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
        (NOVA_2, "medium", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}),
        (NOVA_2, "high", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}),
        (NOVA_2, "none", {}),
        (NOVA, "high", {}),
        (GPT, "none", {"reasoning": {"effort": "none"}}),
        (GPT, "minimal", {"reasoning": {"effort": "low"}}),
        (GPT, "xhigh", {"reasoning": {"effort": "xhigh"}}),
        (OSS, "minimal", {"reasoning_effort": "low"}),
        (OSS, "max", {"reasoning_effort": "high"}),
        (OSS, "none", {}),
        (KIMI, "medium", {"reasoning_effort": "medium"}),
        (LLAMA, "high", {}),
    ],
)
def test_effort_is_told_in_each_makers_own_words(model: str, effort: str, expected: dict[str, Any]) -> None:
    assert more(sent(HI, model=model, reasoning_effort=effort, max_tokens=10_000)) == expected


def test_nova_thinks_hard_only_without_a_limit() -> None:
    body = sent(HI, model=NOVA_2, reasoning_effort="high", temperature=0.5, top_p=0.5)

    assert more(body) == {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}
    assert "inferenceConfig" not in body


@pytest.mark.parametrize("model", [CLAUDE, OPUS, NOVA, LLAMA])
def test_an_effort_that_is_no_word_is_refused(model: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, model=model, reasoning_effort="enormous")

    assert refused.value.param == "reasoning_effort"


def test_a_budget_without_any_limit_brings_one() -> None:
    body = sent(HI, reasoning_effort="medium")

    assert more(body) == enabled(2048)
    assert body["inferenceConfig"] == {"maxTokens": 4096}


@pytest.mark.parametrize(
    ("messages", "fields", "thinks"),
    [
        ([HI], {"max_tokens": 1024}, False),
        ([HI], {"tool_choice": "required"}, False),
        ([HI], {}, True),
        ([HI, {"role": "assistant", "content": "So"}], {}, False),
        ([HI, ASSISTANT, RESULT], {}, False),
        ([HI, ASSISTANT | {"reasoning_details": [THOUGHT]}, RESULT], {}, True),
        ([HI, ASSISTANT, RESULT], {"tool_choice": "none"}, True),
    ],
)
def test_a_budget_is_given_where_claude_may_think(
    messages: list[dict[str, Any]], fields: dict[str, Any], thinks: bool
) -> None:
    body = sent(*messages, reasoning_effort="low", tools=[ADD], **{"max_tokens": 9000, **fields})

    assert ("thinking" in more(body)) is thinks


def test_the_callers_own_thinking_counts_before_the_effort() -> None:
    own = {"type": "enabled", "budget_tokens": 2000}

    assert more(sent(HI, thinking=own, reasoning_effort="max", max_tokens=9000)) == {"thinking": own}
    assert more(sent(HI, model=LLAMA, thinking=own)) == {}


@pytest.mark.parametrize(
    ("upstream", "id", "expected"),
    [
        (PROFILE, "acme/claude-opus-5-5", {"thinking": ADAPTIVE, "output_config": {"effort": "low"}}),
        (PROFILE, "acme/gpt-5", {"reasoning": {"effort": "low"}}),
        (PROFILE, "acme/best", {}),
        (LLAMA, "acme/gpt-5", {}),
        (
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-lite-v1:0",
            "acme/gpt-5",
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}},
        ),
    ],
)
def test_a_profile_without_a_name_is_known_by_the_id_that_callers_use(
    upstream: str, id: str, expected: dict[str, Any]
) -> None:
    assert more(sent(HI, at=candidate(upstream, id=id), reasoning_effort="low")) == expected


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]}
CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "integer", "description": "minimum: 1"}},
    "required": ["a"],
    "additionalProperties": False,
}


def test_a_json_schema_is_enforced_by_the_api_itself() -> None:
    form = {"name": "x", "description": "An x.", "schema": SCHEMA, "strict": True}

    body = sent(HI, response_format={"type": "json_schema", "json_schema": form})

    text = body["outputConfig"]["textFormat"]
    assert text["type"] == "json_schema"
    wanted = text["structure"]["jsonSchema"]
    assert json.loads(wanted.pop("schema")) == CLOSED
    assert wanted == {"name": "x", "description": "An x."}


def test_json_without_a_schema_is_asked_for_in_the_system_prompt() -> None:
    body = sent({"role": "system", "content": "Be brief."}, HI, response_format={"type": "json_object"})

    assert body["system"][0] == {"text": "Be brief."}
    assert "valid JSON object" in body["system"][1]["text"]
    assert "outputConfig" not in body


def test_text_needs_no_word() -> None:
    assert "outputConfig" not in sent(HI, response_format={"type": "text"})


@pytest.mark.parametrize("form", [{"type": "json_schema", "json_schema": {"name": "x"}}, {"type": "grammar"}])
def test_a_form_that_bedrock_does_not_know_is_refused(form: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, response_format=form)

    assert refused.value.param == "response_format"


def test_claudes_own_words_for_its_output_go_on_and_count() -> None:
    own = {"format": {"type": "json_schema", "schema": SCHEMA}}

    body = sent(
        HI,
        model=OPUS,
        output_config=own,
        reasoning_effort="high",
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
    )

    assert more(body)["output_config"] == {"effort": "high", **own}
    assert "outputConfig" not in body
    assert more(sent(HI, model=LLAMA, output_config=own)) == {}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"functions": [{"name": "x"}]}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"additionalModelRequestFields": "x"}, "additionalModelRequestFields"),
        ({"additionalModelRequestFields": {"max_tokens": 9}}, "additionalModelRequestFields.max_tokens"),
        ({"additionalModelRequestFields": {"tools": []}}, "additionalModelRequestFields.tools"),
    ],
)
def test_what_bedrock_cannot_do_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, **fields)

    assert refused.value.param == param


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1, "logprobs": False, "modalities": ["text"]},
        {"seed": 7, "frequency_penalty": 1, "logit_bias": {"1": 1}, "user": "ann", "store": True},
        {"service_tier": "priority", "serviceTier": {"type": "priority"}, "performanceConfig": {}},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"unknown": [1], "promptVariables": {}, "requestMetadata": {}},
    ],
)
def test_what_nobody_would_understand_is_dropped(fields: dict[str, Any]) -> None:
    assert sent(HI, **fields) == sent(HI)


def test_guardrails_and_words_for_the_model_go_on() -> None:
    guard = {"guardrailIdentifier": "abc", "guardrailVersion": "1", "trace": "enabled"}

    body = sent(
        HI,
        guardrailConfig=guard,
        additionalModelRequestFields={"top_k": 7, "own": {"x": 1}},
        top_k=3,
        betas=["context-1m-2025-08-07"],
    )

    assert body["guardrailConfig"] == guard
    assert more(body) == {"top_k": 7, "own": {"x": 1}, "anthropic_beta": ["context-1m-2025-08-07"]}


@pytest.mark.parametrize("nonsense", ["x", 7, [1], True])
def test_nonsense_among_the_words_for_the_model_is_the_models_to_refuse(nonsense: object) -> None:
    own = {
        "output_config": nonsense,
        "thinking": nonsense,
        "reasoningConfig": nonsense,
        "tool_choice": nonsense,
    }
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}

    for model in (CLAUDE, OPUS, NOVA_2):
        body = sent(
            HI,
            model=model,
            tools=[ADD],
            parallel_tool_calls=False,
            reasoning_effort="low",
            response_format=form,
            betas=nonsense,
            additionalModelRequestFields=own,
        )
        assert more(body) == own


def test_a_request_written_twice_is_the_same() -> None:
    body = {
        "model": "acme/claude",
        "messages": [HI, ASSISTANT, RESULT],
        "tools": [ADD],
        "reasoning_effort": "high",
        "output_config": {"x": 1},
        "additionalModelRequestFields": {"output_config": {"y": 1}},
    }
    chat, at = read(json.dumps(body).encode()), candidate(OPUS)

    first = Bedrock().request(chat, at, stream=False, limit=None)

    assert Bedrock().request(chat, at, stream=False, limit=None) == first
    assert chat.extra == {name: body[name] for name in ("output_config", "additionalModelRequestFields")}
