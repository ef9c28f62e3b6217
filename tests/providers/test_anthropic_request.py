"""What goes to Anthropic beside the messages."""

import json
from typing import Any

import pytest
from anthropic_scene import CALL, HI, PLAIN, THOUGHT, asked, candidate, sent

from deeptoken.errors import BadRequest
from deeptoken.providers.anthropic import Anthropic
from deeptoken.wire.chat import read


def test_a_plain_chat_becomes_a_message_with_a_limit() -> None:
    request = asked(HI)

    assert request.method == "POST"
    assert request.url == "https://api.anthropic.com/v1/messages"
    assert dict(request.headers) == {
        "content-type": "application/json",
        "x-api-key": "sk-x",
        "anthropic-version": "2023-06-01",
    }
    assert json.loads(request.body) == {
        "model": PLAIN,
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }


@pytest.mark.parametrize("base", ["https://h.example/x", "https://h.example/x/", "https://h.example/x/v1"])
def test_the_path_is_added_to_the_base_url_once(base: str) -> None:
    chat = read(json.dumps({"model": "m", "messages": [HI]}).encode())

    request = Anthropic().request(chat, candidate(base_url=base), stream=False, limit=None)

    assert request.url == "https://h.example/x/v1/messages"


def test_a_streamed_call_asks_for_a_stream() -> None:
    assert sent(HI, stream=True)["stream"] is True


@pytest.mark.parametrize(
    ("fields", "limit", "max_output", "expected"),
    [
        ({}, None, None, 4096),
        ({}, None, 8192, 8192),
        ({"max_tokens": 10}, None, 8192, 10),
        ({"max_tokens": 10, "max_completion_tokens": 20}, None, 8192, 20),
        ({"max_tokens": 10}, 5, 8192, 5),
    ],
)
def test_the_limit_is_the_wallets_else_the_callers_else_the_models(
    fields: dict[str, Any], limit: int | None, max_output: int | None, expected: int
) -> None:
    assert sent(HI, limit=limit, max_output=max_output, **fields)["max_tokens"] == expected


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        (PLAIN, {"temperature": 1.7}, {"temperature": 1.0}),
        (PLAIN, {"temperature": 0}, {"temperature": 0}),
        (PLAIN, {"top_p": 0.5, "top_k": 3}, {"top_p": 0.5, "top_k": 3}),
        (PLAIN, {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5}),
        (PLAIN, {"temperature": 0.5, "reasoning_effort": "low", "max_tokens": 9000}, {}),
        (PLAIN, {"top_p": 0.96, "reasoning_effort": "low", "max_tokens": 9000}, {"top_p": 0.96}),
        (PLAIN, {"top_p": 0.9, "top_k": 3, "thinking": {"type": "adaptive"}}, {}),
        (PLAIN, {"temperature": 0.5, "thinking": {"type": "disabled"}}, {"temperature": 0.5}),
        ("claude-opus-4-6", {"temperature": 0.5}, {"temperature": 0.5}),
        ("claude-opus-4-7", {"temperature": 0.5, "top_p": 0.5, "top_k": 3}, {}),
        ("claude-opus-5-5", {"temperature": 0.5}, {}),
        ("claude-latest", {"temperature": 0.5}, {}),
        ("claude-opus-4-20250514", {"temperature": 0.5}, {"temperature": 0.5}),
        ("claude-3-5-haiku-20241022", {"temperature": 0.5}, {"temperature": 0.5}),
        ("kimi-k2", {"temperature": 0.5}, {"temperature": 0.5}),
    ],
)
def test_sampling_is_sent_where_the_model_has_it(
    model: str, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    body = sent(HI, model=model, **fields)

    assert {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body} == expected


ADAPTIVE = {"type": "adaptive", "display": "summarized"}


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "output"),
    [
        ("claude-opus-4-6", "high", ADAPTIVE, {"effort": "high"}),
        ("claude-opus-4-6", "xhigh", ADAPTIVE, {"effort": "high"}),
        ("claude-opus-4-6", "none", None, None),
        ("claude-opus-5-5", "minimal", ADAPTIVE, {"effort": "low"}),
        ("claude-opus-5-5", "xhigh", ADAPTIVE, {"effort": "xhigh"}),
        ("claude-opus-5-5", "none", None, {"effort": "low"}),
        ("claude-fable-5", "max", ADAPTIVE, {"effort": "max"}),
        ("claude-haiku-4-5-20251001", "minimal", {"type": "enabled", "budget_tokens": 1024}, None),
        ("claude-haiku-4-5-20251001", "medium", {"type": "enabled", "budget_tokens": 5000}, None),
        ("claude-haiku-4-5-20251001", "xhigh", {"type": "enabled", "budget_tokens": 9500}, None),
        ("claude-haiku-4-5-20251001", "none", None, None),
        ("claude-3-haiku-20240307", "high", None, None),
    ],
)
def test_effort_means_what_the_model_understands(
    model: str, effort: str, thinking: object, output: object
) -> None:
    body = sent(HI, model=model, reasoning_effort=effort, max_tokens=10_000)

    assert body.get("thinking") == thinking
    assert body.get("output_config") == output


def test_the_budget_stays_below_the_limit_or_there_is_none() -> None:
    assert "thinking" not in sent(HI, reasoning_effort="high", max_tokens=1024)
    least = sent(HI, reasoning_effort="minimal", max_tokens=1025)["thinking"]
    assert least["budget_tokens"] == 1024
    most = sent(HI, reasoning_effort="high", max_tokens=200_000)["thinking"]
    assert most["budget_tokens"] == 32_000


def test_a_budget_is_left_out_where_a_tool_is_forced() -> None:
    now = {"type": "function", "function": {"name": "now"}}

    body = sent(HI, tools=[now], tool_choice="required", reasoning_effort="high", max_tokens=9000)

    assert "thinking" not in body


@pytest.mark.parametrize(("details", "thinks"), [([], False), ([THOUGHT], True)])
def test_a_budget_in_a_loop_of_tools_needs_the_thinking_that_began_it(
    details: list[dict[str, Any]], thinks: bool
) -> None:
    body = sent(
        HI,
        {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_details": details},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "3"},
        reasoning_effort="high",
        max_tokens=9000,
    )

    assert ("thinking" in body) is thinks


def test_an_unknown_effort_is_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, reasoning_effort="heroic")

    assert refused.value.param == "reasoning_effort"


def test_what_only_anthropic_knows_passes_and_the_rest_is_dropped() -> None:
    body = sent(
        HI,
        thinking={"type": "enabled", "budget_tokens": 2000},
        reasoning_effort="low",
        output_config={"effort": "max"},
        container="c",
        service_tier="standard_only",
        cache_control={"type": "ephemeral"},
        seed=1,
        frequency_penalty=1,
        presence_penalty=1,
        logit_bias={},
        store=True,
        prediction={},
        speed="fast",
        inference_geo="us",
        fallbacks=[{"model": "x"}],
        logprobs=False,
        modalities=["text"],
        n=1,
    )

    assert {key: body[key] for key in body if key not in ("model", "messages", "max_tokens")} == {
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "output_config": {"effort": "max"},
        "service_tier": "standard_only",
        "cache_control": {"type": "ephemeral"},
    }


def test_an_openai_service_tier_is_dropped() -> None:
    assert "service_tier" not in sent(HI, service_tier="flex")


def test_fields_in_beta_bring_their_header() -> None:
    request = asked(
        HI,
        betas=["one-2026-01-01"],
        context_management={"edits": [{"type": "compact_20260112"}]},
    )

    assert dict(request.headers)["anthropic-beta"] == (
        "one-2026-01-01,context-management-2025-06-27,compact-2026-01-12"
    )
    assert "betas" not in json.loads(request.body)


@pytest.mark.parametrize("betas", ["x", [1], ["a,b"], ["a\r\nx: y"], [""]])
def test_a_beta_that_is_no_name_is_refused(betas: object) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, betas=betas)

    assert refused.value.param == "betas"


@pytest.mark.parametrize(
    ("stop", "expected"),
    [("END", ["END"]), (["a", "\n", "b "], ["a", "b "]), ("\n\n", None), ([], None)],
)
def test_blank_stops_are_dropped(stop: object, expected: object) -> None:
    assert sent(HI, stop=stop).get("stop_sequences") == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"user": "u-1"}, {"user_id": "u-1"}),
        ({"user": "u-1", "metadata": {"user_id": "u-2", "x": "y"}}, {"user_id": "u-2"}),
        ({"safety_identifier": "s-1"}, {"user_id": "s-1"}),
        ({"metadata": {"x": "y"}}, None),
        ({"user": "bob@example.com"}, None),
        ({"user": "+49 (30) 1234-5"}, None),
        ({"user": "x" * 257}, None),
    ],
)
def test_a_user_goes_on_unless_it_names_a_person(fields: dict[str, Any], expected: object) -> None:
    assert sent(HI, **fields).get("metadata") == expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"functions": [{"name": "x"}]}, "functions"),
        ({"function_call": {"name": "x"}}, "function_call"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        (
            {
                "tools": [{"type": "function", "function": {"name": "x"}}],
                "tool_choice": {"type": "allowed_tools", "allowed_tools": {}},
            },
            "tool_choice",
        ),
    ],
)
def test_what_claude_cannot_do_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, **fields)

    assert refused.value.param == param
