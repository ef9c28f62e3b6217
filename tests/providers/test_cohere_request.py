"""What goes to Cohere beside the messages and the tools."""

import json
from typing import Any

import pytest
from cohere_scene import HI, PLAIN, asked, sent

from deeptoken.errors import BadRequest


def test_a_plain_chat_goes_to_version_two() -> None:
    request = asked(HI)

    assert request.method == "POST"
    assert request.url == "https://api.cohere.com/v2/chat"
    assert dict(request.headers) == {"content-type": "application/json", "authorization": "Bearer co-x"}
    assert json.loads(request.body) == {"model": PLAIN, "messages": [HI], "stream": False}


@pytest.mark.parametrize("base", ["https://h.example/x", "https://h.example/x/", "https://h.example/x/v2"])
def test_the_path_is_added_to_the_base_url_once(base: str) -> None:
    assert asked(HI, base_url=base).url == "https://h.example/x/v2/chat"


def test_a_streamed_call_asks_for_a_stream() -> None:
    body = sent(HI, stream=True, stream_options={"include_usage": True})

    assert body["stream"] is True
    assert "stream_options" not in body


@pytest.mark.parametrize(
    ("fields", "limit", "expected"),
    [
        ({}, None, None),
        ({"max_tokens": 10}, None, 10),
        ({"max_tokens": 10, "max_completion_tokens": 20}, None, 20),
        ({"max_tokens": 10}, 5, 5),
        ({}, 5, 5),
        ({"max_tokens": 0}, None, None),
    ],
)
def test_the_limit_is_the_wallets_else_the_callers(
    fields: dict[str, Any], limit: int | None, expected: int | None
) -> None:
    assert sent(HI, limit=limit, **fields).get("max_tokens") == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"temperature": 1.7}, {"temperature": 1.0}),
        ({"temperature": 0}, {"temperature": 0}),
        ({"top_p": 0.5}, {"p": 0.5}),
        ({"top_p": 1}, {"p": 0.99}),
        ({"top_p": 0}, {"p": 0.01}),
        ({"top_k": 40}, {"k": 40}),
        ({"top_k": -1}, {"k": 0}),
        ({"top_k": 900}, {"k": 500}),
        ({"k": 3, "top_k": 40}, {"k": 3}),
        ({"seed": 7}, {"seed": 7}),
        ({"seed": -7}, {}),
        ({"frequency_penalty": 0.5, "presence_penalty": 0.7}, {"frequency_penalty": 0.5}),
        ({"frequency_penalty": 0, "presence_penalty": 0.7}, {"presence_penalty": 0.7}),
        ({"frequency_penalty": -1, "presence_penalty": 2}, {"presence_penalty": 1}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["", "END", "\n"]}, {"stop_sequences": ["END", "\n"]}),
        ({"stop": [""]}, {}),
        ({"logprobs": True}, {"logprobs": True}),
        ({"logprobs": False, "top_logprobs": 0}, {}),
    ],
)
def test_parameters_have_coheres_names_and_ranges(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    body = sent(HI, **fields)

    assert {name: body[name] for name in body if name not in ("model", "messages", "stream")} == expected


def test_what_nobody_understands_is_dropped() -> None:
    body = sent(HI, logit_bias={"1": 2}, store=True, metadata={}, user="u", service_tier="auto", n=1)

    assert body.keys() == {"model", "messages", "stream"}


def test_coheres_own_fields_go_on() -> None:
    own = {
        "documents": [{"id": "d1", "data": {"text": "Sunny"}}, "Warm"],
        "citation_options": {"mode": "FAST"},
        "safety_mode": "STRICT",
        "strict_tools": True,
        "priority": 5,
    }

    body = sent(HI, **own)

    assert {name: body[name] for name in own} == own


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True, "top_logprobs": 3}, "top_logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"reasoning_effort": "very"}, "reasoning_effort"),
    ],
)
def test_what_cohere_cannot_do_is_refused_by_name(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, **fields)

    assert refused.value.param == name


@pytest.mark.parametrize(
    ("model", "effort", "limit", "expected"),
    [
        (PLAIN, "none", None, {"type": "disabled"}),
        (PLAIN, "minimal", None, {"type": "enabled", "token_budget": 3_100}),
        (PLAIN, "low", 10_000, {"type": "enabled", "token_budget": 2_000}),
        (PLAIN, "medium", 90_000, {"type": "enabled", "token_budget": 15_500}),
        (PLAIN, "low", 1, {"type": "enabled", "token_budget": 1}),
        (PLAIN, "high", 10_000, {"type": "enabled"}),
        (PLAIN, "xhigh", None, {"type": "enabled"}),
        ("command-a-reasoning-08-2025", "high", None, {"type": "enabled"}),
        ("north-mini", "high", None, {"type": "enabled"}),
        ("command-a-03-2025", "high", None, None),
        ("command-a-vision-07-2025", "none", None, None),
        ("command-a-translate-08-2025", "high", None, None),
        ("command-r7b-12-2024", "high", None, None),
        ("command-r-08-2024", "high", None, None),
        ("command-r-plus", "none", None, None),
        ("command", "high", None, None),
        ("c4ai-aya-expanse-32b", "high", None, None),
    ],
)
def test_effort_is_thinking_where_the_model_thinks(
    model: str, effort: str, limit: int | None, expected: object
) -> None:
    body = sent(HI, model=model, reasoning_effort=effort, limit=limit)

    assert body.get("thinking") == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "disabled"}, {"type": "disabled"}),
        ({"token_budget": 500}, {"type": "enabled", "token_budget": 500}),
        ({"type": "enabled", "budget_tokens": 500}, {"type": "enabled", "token_budget": 500}),
    ],
)
def test_the_callers_own_thinking_counts_before_the_effort(given: dict[str, Any], expected: object) -> None:
    assert sent(HI, thinking=given, reasoning_effort="low")["thinking"] == expected


SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
JSON_PLEASE = {"role": "user", "content": [{"type": "text", "text": "As JSON: who?"}]}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"type": "json_object"}),
        ({"type": "json_object", "json_schema": SCHEMA}, {"type": "json_object", "json_schema": SCHEMA}),
        (
            {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": SCHEMA}},
            {"type": "json_object", "json_schema": SCHEMA},
        ),
    ],
)
def test_a_format_is_json_with_or_without_a_schema(form: dict[str, Any], expected: object) -> None:
    body = sent(JSON_PLEASE, response_format=form)

    assert body.get("response_format") == expected
    assert body["messages"] == [JSON_PLEASE]


def test_json_is_asked_for_in_words_where_no_message_does() -> None:
    form = {"type": "json_object"}

    alone = sent(HI, response_format=form)["messages"]
    told = sent({"role": "system", "content": "Be brief."}, HI, response_format=form)["messages"]

    assert (
        [message["role"] for message in alone] == [message["role"] for message in told] == ["system", "user"]
    )
    assert alone[0]["content"].startswith("Answer with one valid JSON object")
    assert told[0]["content"] == f"Be brief.\n\n{alone[0]['content']}"


TOOL = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("form", "more"),
    [
        ({"type": "grammar"}, {}),
        ({"type": "json_schema", "json_schema": {"name": "person"}}, {}),
        ({"type": "json_object"}, {"tools": [TOOL]}),
        ({"type": "json_object"}, {"documents": ["Sunny"]}),
    ],
)
def test_a_format_that_cohere_does_not_have_is_refused(form: dict[str, Any], more: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, response_format=form, **more)

    assert refused.value.param == "response_format"
