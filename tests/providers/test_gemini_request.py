"""What goes to Gemini beside the messages."""

import json
from typing import Any

import pytest
from gemini_scene import HI, NOW, asked, candidate, config, sent

from deeptoken.errors import BadRequest
from deeptoken.providers.gemini import Gemini
from deeptoken.providers.gemini_request import body
from deeptoken.providers.schema_union import Lost
from deeptoken.wire.chat import read

SCHEMA = {
    "type": "object",
    "properties": {"city": {"$ref": "#/$defs/city"}},
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"city": {"type": "string", "minLength": 1}},
}
COMPILED = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "minLength: 1"}},
    "required": ["city"],
    "additionalProperties": False,
}


def test_a_plain_chat_becomes_contents_at_the_models_address() -> None:
    request = asked(HI)

    assert request.method == "POST"
    assert request.url == (
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.5-flash:generateContent"
    )
    assert dict(request.headers) == {"content-type": "application/json", "x-goog-api-key": "AIza-x"}
    assert json.loads(request.body) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


@pytest.mark.parametrize(
    ("base", "model", "url"),
    [
        ("https://h.test/v1beta", "g", "https://h.test/v1beta/models/g:generateContent"),
        ("https://h.test/x/v1beta/", "models/g", "https://h.test/x/v1beta/models/g:generateContent"),
        ("https://h.test/v1beta", "tunedModels/g", "https://h.test/v1beta/tunedModels/g:generateContent"),
        ("https://h.test/v1beta", "a?b#c", "https://h.test/v1beta/models/a%3Fb%23c:generateContent"),
    ],
)
def test_the_address_is_made_of_base_and_model(base: str, model: str, url: str) -> None:
    chat = read(json.dumps({"model": "m", "messages": [HI]}).encode())

    request = Gemini().request(chat, candidate(model, base_url=base), stream=False, limit=None)

    assert request.url == url


def test_a_streamed_call_asks_for_events() -> None:
    assert asked(HI, stream=True).url.endswith("/models/gemini-3.5-flash:streamGenerateContent?alt=sse")


@pytest.mark.parametrize(
    ("fields", "limit", "expected"),
    [
        ({}, None, None),
        ({"max_tokens": 10}, None, 10),
        ({"max_tokens": 10, "max_completion_tokens": 20}, None, 20),
        ({"max_tokens": 10}, 5, 5),
        ({}, 5, 5),
    ],
)
def test_the_limit_is_the_wallets_else_the_callers(
    fields: dict[str, Any], limit: int | None, expected: int | None
) -> None:
    assert config(limit=limit, **fields).get("maxOutputTokens") == expected


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        ("gemini-3.5-flash", {"temperature": 1.7, "top_p": 0.5}, {"temperature": 1.7, "topP": 0.5}),
        ("gemini-3.5-flash", {"temperature": 0, "top_k": 3}, {"temperature": 0, "topK": 3}),
        ("gemini-3.5-flash", {"stop": "END"}, {"stopSequences": ["END"]}),
        ("gemini-3.5-flash", {"stop": ["a", "", " "]}, {"stopSequences": ["a", " "]}),
        ("gemini-3.5-flash", {"stop": ""}, {}),
        ("gemini-3.5-flash", {"seed": 7}, {"seed": 7}),
        ("gemini-3.5-flash", {"seed": 2**40 + 7}, {"seed": 7}),
        ("gemini-3.5-flash", {"seed": -1}, {"seed": 2**31 - 1}),
        ("gemini-3.5-flash", {"n": 3}, {"candidateCount": 3}),
        ("gemini-3.5-flash", {"n": 1}, {}),
        ("gemini-3.5-flash", {"logprobs": True}, {"responseLogprobs": True}),
        (
            "gemini-3.5-flash",
            {"logprobs": True, "top_logprobs": 5},
            {"responseLogprobs": True, "logprobs": 5},
        ),
        ("gemini-3.5-flash", {"logprobs": False, "top_logprobs": 0}, {}),
        ("gemini-2.5-pro", {"frequency_penalty": 1, "presence_penalty": 1}, {}),
        (
            "gemini-2.0-flash",
            {"frequency_penalty": 1, "presence_penalty": -1},
            {"frequencyPenalty": 1, "presencePenalty": -1},
        ),
        (
            "gemini-2.5-flash-image",
            {"modalities": ["image", "text"]},
            {"responseModalities": ["TEXT", "IMAGE"]},
        ),
        ("gemini-3.5-flash", {"response_format": {"type": "text"}}, {}),
        (
            "gemini-3.5-flash",
            {"response_format": {"type": "json_object"}},
            {"responseMimeType": "application/json"},
        ),
        (
            "gemini-3.5-flash",
            {"response_format": {"type": "json_schema", "json_schema": {"name": "c", "schema": SCHEMA}}},
            {"responseMimeType": "application/json", "responseJsonSchema": COMPILED},
        ),
    ],
)
def test_each_parameter_has_its_word(model: str, fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert config(model=model, **fields) == expected


def test_a_tool_is_a_declaration_whose_schema_gemini_knows() -> None:
    function = {"name": "weather", "description": "Of a city.", "parameters": SCHEMA, "strict": True}

    body = sent(HI, tools=[{"type": "function", "function": function}, NOW])

    declared = {"name": "weather", "description": "Of a city.", "parametersJsonSchema": COMPILED}
    assert body["tools"] == [{"functionDeclarations": [declared, {"name": "now"}]}]
    assert "toolConfig" not in body


def test_parameters_are_an_object_though_they_do_not_say_so() -> None:
    function = {"name": "f", "parameters": {"properties": {"a": {"type": "string"}}}}

    body = sent(HI, tools=[{"type": "function", "function": function}])

    assert body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]["type"] == "object"


def test_what_a_schema_lost_is_told_by_its_place_in_the_request() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "c", "schema": SCHEMA}}
    tool = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
    told = {"model": "m", "messages": [HI], "tools": [NOW, tool], "response_format": form}

    made = body(read(json.dumps(told).encode()), candidate(), limit=None)

    assert made.lost == [
        Lost("tools[1].function.parameters.properties.city", "minLength"),
        Lost("response_format.json_schema.schema.properties.city", "minLength"),
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("none", {"mode": "NONE"}),
        ("auto", {"mode": "AUTO"}),
        ("required", {"mode": "ANY"}),
        ({"type": "any"}, {"mode": "ANY"}),
        (NOW, {"mode": "ANY", "allowedFunctionNames": ["now"]}),
        ({"type": "tool", "name": "now"}, {"mode": "ANY", "allowedFunctionNames": ["now"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NOW]}},
            {"mode": "ANY", "allowedFunctionNames": ["now"]},
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NOW]}},
            {"mode": "VALIDATED", "allowedFunctionNames": ["now"]},
        ),
    ],
)
def test_each_choice_of_tools_has_its_mode(choice: object, expected: object) -> None:
    body = sent(HI, tools=[NOW], tool_choice=choice)

    assert body.get("toolConfig", {}).get("functionCallingConfig") == expected


@pytest.mark.parametrize(
    ("model", "effort", "level"),
    [
        ("gemini-3-flash-preview", "minimal", "MINIMAL"),
        ("gemini-3.6-flash", "none", "MINIMAL"),
        ("gemini-3.1-flash-lite", "high", "HIGH"),
        ("gemini-3.8-flash", "minimal", "LOW"),
        ("gemini-3.8-flash", "none", "LOW"),
        ("gemini-3.1-pro-preview", "medium", "MEDIUM"),
        ("gemini-3-pro-preview", "medium", "HIGH"),
        ("gemini-3.5-flash", "xhigh", "HIGH"),
        ("gemini-4-argon", "max", "HIGH"),
        ("gemini-4-carbon", "xhigh", "HIGH"),
        ("gemini-4-neon", "xhigh", "XHIGH"),
        ("gemini-4-hydrogen", "max", "XHIGH"),
        ("gemini-flash-latest", "minimal", "LOW"),
    ],
)
def test_effort_is_a_level_that_the_model_has(model: str, effort: str, level: str) -> None:
    thinking = config(model=model, reasoning_effort=effort)["thinkingConfig"]

    shown = {} if effort == "none" else {"includeThoughts": True}
    assert thinking == {"thinkingLevel": level, **shown}


@pytest.mark.parametrize(
    ("model", "effort", "limit", "budget"),
    [
        ("gemini-2.5-flash", "none", None, 0),
        ("gemini-2.5-flash", "low", None, 1024),
        ("gemini-2.5-flash", "medium", None, 8192),
        ("gemini-2.5-flash", "high", None, 24_576),
        ("gemini-2.5-flash", "xhigh", None, 24_576),
        ("gemini-2.5-flash", "high", 1000, 800),
        ("gemini-2.5-flash-lite", "none", None, 0),
        ("gemini-2.5-flash-lite", "high", 100, 512),
        ("gemini-2.5-pro", "none", None, 128),
        ("gemini-2.5-pro", "max", None, 32_768),
        ("gemini-2.5-pro", "low", 100, 128),
    ],
)
def test_effort_is_a_budget_before_there_were_levels(
    model: str, effort: str, limit: int | None, budget: int
) -> None:
    thinking = config(model=model, reasoning_effort=effort, limit=limit)["thinkingConfig"]

    assert thinking["thinkingBudget"] == budget
    assert thinking.get("includeThoughts", False) is (effort != "none")


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-2.5-flash-image", "gemma-3-27b-it"])
def test_effort_means_nothing_to_a_model_that_does_not_think(model: str) -> None:
    assert "thinkingConfig" not in config(model=model, reasoning_effort="high")


@pytest.mark.parametrize(
    ("model", "thinking", "expected"),
    [
        ("gemini-2.5-flash", {"type": "enabled", "budget_tokens": 2000}, {"thinkingBudget": 2000}),
        ("gemini-3.8-flash", {"type": "enabled", "budget_tokens": 1024}, {"thinkingLevel": "LOW"}),
        ("gemini-3.8-flash", {"type": "enabled", "budget_tokens": 9000}, {"thinkingLevel": "HIGH"}),
        ("gemini-3.8-flash", {"type": "adaptive"}, {}),
    ],
)
def test_thinking_as_anthropic_writes_it_is_understood(
    model: str, thinking: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert config(model=model, thinking=thinking)["thinkingConfig"] == {**expected, "includeThoughts": True}


def test_thinking_that_is_disabled_is_not_shown() -> None:
    thinking = config(model="gemini-2.5-flash", thinking={"type": "disabled"}, reasoning_effort="high")

    assert thinking["thinkingConfig"] == {"thinkingBudget": 0}


def test_safety_settings_pass_and_what_lies_in_the_operators_account_does_not() -> None:
    settings = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]

    body = sent(
        HI,
        safety_settings=settings,
        cached_content="cachedContents/x",
        cachedContent="cachedContents/x",
        store=True,
        service_tier="priority",
        logit_bias={},
        user="u",
        parallel_tool_calls=False,
    )

    assert body == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "safetySettings": settings}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 9}, "n"),
        ({"n": 2, "model": "gemini-4-argon"}, "n"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"functions": [{"name": "x"}]}, "functions"),
        ({"function_call": {"name": "x"}}, "function_call"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"reasoning_effort": "heroic"}, "reasoning_effort"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [NOW], "tool_choice": {"type": "custom", "name": "x"}}, "tool_choice"),
        (
            {
                "tools": [NOW],
                "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
            },
            "tool_choice",
        ),
    ],
)
def test_what_gemini_cannot_do_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, **fields)

    assert refused.value.param == param


def test_a_schema_without_end_is_refused_and_not_crashed_on() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(400):
        schema = {"type": "array", "items": schema}

    with pytest.raises(BadRequest) as refused:
        asked(HI, tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}])

    assert "nested too deeply" in refused.value.message
