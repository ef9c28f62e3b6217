"""What goes to Anthropic, what a whole answer means, what a failure means."""

import base64
import json
from pathlib import Path
from typing import Any

import anthropic.types
import msgspec
import openai.types.chat
import pytest

from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.errors import BadRequest
from deeptoken.money import PicoUsd
from deeptoken.providers.anthropic import Anthropic
from deeptoken.providers.base import Asked, Malformed
from deeptoken.wire.chat import read
from deeptoken.wire.http import HttpRequest
from deeptoken.wire.usage import Usage

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings" / "anthropic.jsonl"
ASKED = Asked(model="acme/claude", id="chatcmpl-7", created=1_790_000_000)
PNG = "iVBORw0KGgo="
NO_PRICE = Price(id=1, model="acme/claude", rates=Rates(prompt=PicoUsd(0), completion=PicoUsd(0)))
HI = {"role": "user", "content": "Hi"}
PLAIN = "claude-sonnet-4-5"
THOUGHT = {
    "type": "reasoning.text",
    "text": "Two and two.\n",
    "signature": "EqRk+/=ü",
    "format": "anthropic-claude-v1",
    "index": 0,
}
CALL = {"id": "toolu_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1,  "b": 2.0}'}}


def candidate(upstream_model: str = PLAIN, max_output: int | None = None, base_url: str = "") -> Candidate:
    channel = Channel(name="a", provider="anthropic", label="a", base_url=base_url, models={}, secret="sk-x")
    model = Model(id="acme/claude", price=NO_PRICE, max_output=max_output)
    return Candidate(channel=channel, model=model, upstream_model=upstream_model)


def asked(
    *messages: dict[str, Any],
    model: str = PLAIN,
    stream: bool = False,
    limit: int | None = None,
    max_output: int | None = None,
    **fields: Any,
) -> HttpRequest:
    body = {"model": "acme/claude", "messages": list(messages) or [HI], **fields}
    chat = read(json.dumps(body).encode())
    return Anthropic().request(chat, candidate(model, max_output), stream=stream, limit=limit)


def sent(*messages: dict[str, Any], **options: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(asked(*messages, **options).body)
    return body


def turns(*messages: dict[str, Any]) -> Any:
    return sent(*messages)["messages"]


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


def test_system_and_developer_messages_come_first_in_order_with_their_cache_marks() -> None:
    marked = {"type": "text", "text": "Two", "cache_control": {"type": "ephemeral", "ttl": "1h"}}

    body = sent(
        {"role": "system", "content": "One"},
        HI,
        {"role": "developer", "content": [marked]},
    )

    assert body["system"] == [{"type": "text", "text": "One"}, marked]
    assert [turn["role"] for turn in body["messages"]] == ["user"]


def test_a_system_prompt_alone_is_said_by_the_user() -> None:
    body = sent({"role": "system", "content": "Write a poem"})

    assert "system" not in body
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Write a poem"}]}]


def test_neighbours_of_one_role_are_one_turn_and_blank_text_is_left_out() -> None:
    said = turns(
        HI,
        {"role": "user", "content": [{"type": "text", "text": " \n"}, {"type": "text", "text": "there"}]},
        {"role": "assistant", "content": ""},
        {"role": "assistant", "content": "Yes?"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "user", "name": "bob", "content": "Why"},
    )

    assert [(turn["role"], [block["text"] for block in turn["content"]]) for turn in said] == [
        ("user", ["Hi", "there"]),
        ("assistant", ["Yes?", "No."]),
        ("user", ["Why"]),
    ]


def test_the_refusal_field_of_a_message_is_said_too() -> None:
    said = turns(HI, {"role": "assistant", "content": None, "refusal": "I will not."}, HI)

    assert said[1]["content"] == [{"type": "text", "text": "I will not."}]


def test_an_answer_to_be_continued_does_not_end_in_space() -> None:
    said = turns(HI, {"role": "assistant", "content": "The answer is: "})

    assert said[1]["content"] == [{"type": "text", "text": "The answer is:"}]


def test_tool_calls_keep_their_arguments_byte_for_byte() -> None:
    request = asked(HI, {"role": "assistant", "content": None, "tool_calls": [CALL]})

    assert b'"input":{"a": 1,  "b": 2.0}' in request.body
    assert json.loads(request.body)["messages"][1]["content"] == [
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1, "b": 2.0}}
    ]


@pytest.mark.parametrize("arguments", ["", " \n"])
def test_no_arguments_are_an_empty_object(arguments: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "now", "arguments": arguments}}

    said = turns(HI, {"role": "assistant", "tool_calls": [call]})

    assert said[1]["content"][0]["input"] == {}


@pytest.mark.parametrize("arguments", ["{", "[]", "1", '{"a": 1} x', "null"])
def test_arguments_that_are_no_object_are_the_callers_mistake(arguments: str) -> None:
    broken = {"id": "c", "type": "function", "function": {"name": "now", "arguments": arguments}}

    with pytest.raises(BadRequest) as refused:
        asked(HI, {"role": "assistant", "tool_calls": [CALL, broken]})

    assert refused.value.param == "messages[1].tool_calls[1].function.arguments"


def test_tool_results_stand_first_in_one_user_turn_after_the_call() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}

    said = turns(
        HI,
        {"role": "assistant", "tool_calls": [CALL, CALL | {"id": "functions.now:1"}]},
        {"role": "user", "content": "Quick!"},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "3"},
        {
            "role": "tool",
            "tool_call_id": "functions.now:1",
            "content": [{"type": "text", "text": "see"}, image],
        },
        {"role": "user", "content": "So?"},
    )

    assert [block["id"] for block in said[1]["content"]] == ["toolu_1", "functions_now_1"]
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    seen = [{"type": "text", "text": "see"}, {"type": "image", "source": source}]
    assert said[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "3"},
        {"type": "tool_result", "tool_use_id": "functions_now_1", "content": seen},
        {"type": "text", "text": "Quick!"},
        {"type": "text", "text": "So?"},
    ]


def test_an_empty_tool_result_is_a_result() -> None:
    said = turns(
        HI,
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": ""},
    )

    assert said[2]["content"] == [{"type": "tool_result", "tool_use_id": "toolu_1"}]


def test_a_legacy_function_call_and_its_answer_are_a_tool_call() -> None:
    said = turns(
        HI,
        {"role": "assistant", "content": None, "function_call": {"name": "now", "arguments": "{}"}},
        {"role": "function", "name": "now", "content": "noon"},
    )

    called, answered = said[1]["content"][0], said[2]["content"][0]
    assert called == {"type": "tool_use", "id": "function_call_1", "name": "now", "input": {}}
    assert answered == {"type": "tool_result", "tool_use_id": "function_call_1", "content": "noon"}


def test_a_function_message_without_a_call_is_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, {"role": "function", "name": "now", "content": "noon"})

    assert refused.value.param == "messages[1].role"


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            {"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{PNG}", "detail": "high"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": PNG}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
            {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
        ),
        (
            {
                "type": "file",
                "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
                "cache_control": {"type": "ephemeral"},
            },
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
                "title": "a.pdf",
                "cache_control": {"type": "ephemeral"},
            },
        ),
        (
            {"type": "file", "file": {"file_data": "JVBERg=="}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
            },
        ),
        (
            {"type": "file", "file": {"file_data": "https://x.example/a.pdf"}},
            {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}},
        ),
        (
            {
                "type": "file",
                "file": {"file_data": "data:text/markdown;base64," + base64.b64encode("ü".encode()).decode()},
            },
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "ü"}},
        ),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
        ),
    ],
)
def test_each_part_becomes_its_block(part: dict[str, Any], block: dict[str, Any]) -> None:
    assert turns({"role": "user", "content": [part]})[0]["content"] == [block]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, "type"),
        ({"type": "video_url", "video_url": {"url": "https://x.example"}}, "type"),
        ({"type": "image_url", "image_url": {"url": "ftp://x.example"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,abc"}}, "image_url.url"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file.file_data"),
        ({"type": "document", "source": {"type": "file", "file_id": "file_1"}}, "source"),
        ({"type": "file", "file": {"file_data": "data:application/zip;base64,AAAA"}}, "file.file_data"),
        ({"type": "file", "file": {"file_data": "data:text/plain;base64,%%"}}, "file.file_data"),
    ],
)
def test_what_claude_cannot_read_is_refused_by_name(part: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked({"role": "user", "content": [{"type": "text", "text": "x"}, part]})

    assert refused.value.param == f"messages[0].content[1].{param}"


def test_nothing_said_is_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        asked({"role": "user", "content": " "})

    assert refused.value.param == "messages"


def test_signed_thinking_goes_back_first_and_byte_for_byte() -> None:
    redacted = {"type": "reasoning.encrypted", "data": "Rk9P", "format": "anthropic-claude-v1", "index": 1}

    said = turns(
        HI,
        {
            "role": "assistant",
            "content": "Let me add.",
            "reasoning_content": "shown to people",
            "reasoning_details": [THOUGHT, redacted],
            "tool_calls": [CALL],
        },
        {"role": "tool", "tool_call_id": "toolu_1", "content": "3"},
    )

    assert said[1]["content"][:2] == [
        {"type": "thinking", "thinking": "Two and two.\n", "signature": "EqRk+/=ü"},
        {"type": "redacted_thinking", "data": "Rk9P"},
    ]
    assert [block["type"] for block in said[1]["content"][2:]] == ["text", "tool_use"]


def test_a_thought_between_text_and_call_goes_back_to_its_place() -> None:
    said = turns(
        HI,
        {
            "role": "assistant",
            "content": "Let me add.",
            "reasoning_details": [THOUGHT, THOUGHT | {"index": 2}],
            "tool_calls": [CALL],
        },
    )

    assert [block["type"] for block in said[1]["content"]] == ["thinking", "text", "thinking", "tool_use"]


def test_deltas_of_a_thought_that_a_client_kept_one_by_one_are_one_thought() -> None:
    deltas = [
        {"type": "reasoning.text", "text": "Two ", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.text", "text": "and two.", "format": "anthropic-claude-v1", "index": 0},
        {
            "type": "reasoning.text",
            "text": "",
            "signature": "s",
            "format": "anthropic-claude-v1",
            "index": 0,
        },
    ]

    said = turns(HI, {"role": "assistant", "content": "4", "reasoning_details": deltas}, HI)

    assert said[1]["content"][0] == {"type": "thinking", "thinking": "Two and two.", "signature": "s"}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "redacted_thinking", "data": "Rk9P"},
    ],
)
def test_thinking_as_anthropic_writes_it_goes_back_too(block: dict[str, Any]) -> None:
    said = turns(HI, {"role": "assistant", "content": "4", "reasoning_details": [block]}, HI)

    assert said[1]["content"] == [block, {"type": "text", "text": "4"}]


@pytest.mark.parametrize(
    "detail",
    [
        {key: value for key, value in THOUGHT.items() if key != "signature"},
        THOUGHT | {"format": "google-gemini-v1"},
        {key: value for key, value in THOUGHT.items() if key != "format"},
        {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"},
        {"type": "reasoning.summary", "summary": "x", "format": "anthropic-claude-v1"},
        THOUGHT | {"signature": 7},
    ],
)
def test_unsigned_and_foreign_thinking_is_left_out(detail: dict[str, Any]) -> None:
    said = turns(HI, {"role": "assistant", "content": "4", "reasoning_details": [detail]}, HI)

    assert said[1]["content"] == [{"type": "text", "text": "4"}]


def test_tools_are_translated_and_anthropics_own_pass() -> None:
    own = {"type": "web_search_20250305", "name": "web_search", "max_uses": 1}
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
    mark = {"type": "ephemeral"}

    body = sent(
        HI,
        tools=[
            {"type": "function", "function": {"name": "now"}},
            {
                "type": "function",
                "function": {"name": "add", "description": "Adds.", "parameters": schema},
                "cache_control": mark,
            },
            {"type": "function", "function": {"name": "strict", "parameters": schema, "strict": True}},
            own,
        ],
    )

    assert body["tools"] == [
        {"name": "now", "input_schema": {"type": "object", "properties": {}}},
        {"name": "add", "description": "Adds.", "input_schema": schema, "cache_control": mark},
        {
            "name": "strict",
            "strict": True,
            "input_schema": {
                "type": "object",
                "properties": {"a": {"type": "integer", "description": "minimum: 1"}},
                "additionalProperties": False,
            },
        },
        own,
    ]
    assert "tool_choice" not in body


def test_a_tool_that_is_no_function_is_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        asked(HI, tools=[{"type": "custom", "custom": {"name": "x"}}])

    assert refused.value.param == "tools[0].type"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "now"}}},
            {"type": "tool", "name": "now"},
        ),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"tool_choice": "required", "parallel_tool_calls": False},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"parallel_tool_calls": True}, None),
    ],
)
def test_the_choice_of_tools_is_translated(fields: dict[str, Any], expected: object) -> None:
    now = {"type": "function", "function": {"name": "now"}}

    assert sent(HI, tools=[now], **fields).get("tool_choice") == expected


def test_a_schema_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(450):
        schema = {"type": "object", "properties": {"a": schema}}
    deep = {"type": "function", "function": {"name": "deep", "strict": True, "parameters": schema}}

    with pytest.raises(BadRequest):
        asked(HI, tools=[deep])


def test_a_choice_without_tools_is_dropped() -> None:
    assert "tool_choice" not in sent(HI, tool_choice="auto", parallel_tool_calls=False)


def test_a_json_schema_is_enforced_by_the_api_itself() -> None:
    schema = {
        "type": "object",
        "properties": {
            "names": {"type": "array", "minItems": 3, "items": {"$ref": "#/$defs/name"}},
            "kind": {"oneOf": [{"type": "null"}, {"type": "object", "properties": {}}]},
        },
        "required": ["names"],
        "$defs": {"name": {"type": "string", "maxLength": 9, "format": "iban", "description": "A name"}},
    }

    body = sent(HI, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})

    closed = {"type": "object", "properties": {}, "additionalProperties": False}
    assert body["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {
                "names": {"type": "array", "items": {"$ref": "#/$defs/name"}, "description": "minItems: 3"},
                "kind": {"anyOf": [{"type": "null"}, closed]},
            },
            "required": ["names"],
            "$defs": {"name": {"type": "string", "description": "A name (maxLength: 9, format: iban)"}},
            "additionalProperties": False,
        },
    }


def test_a_property_named_like_a_bound_stays_a_property() -> None:
    schema = {"type": "object", "properties": {"minimum": {"type": "integer"}}}

    body = sent(HI, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})

    assert body["output_config"]["format"]["schema"]["properties"] == {"minimum": {"type": "integer"}}


def test_json_without_a_schema_is_asked_for_in_the_system_prompt() -> None:
    body = sent({"role": "system", "content": "Be brief."}, HI, response_format={"type": "json_object"})

    assert body["system"][0]["text"] == "Be brief."
    assert "valid JSON object" in body["system"][1]["text"]


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
        "container": "c",
        "service_tier": "standard_only",
        "cache_control": {"type": "ephemeral"},
    }


def test_an_openai_service_tier_is_dropped() -> None:
    assert "service_tier" not in sent(HI, service_tier="flex")


def test_fields_in_beta_bring_their_header() -> None:
    request = asked(
        HI,
        betas=["one-2026-01-01"],
        mcp_servers=[{"type": "url", "url": "https://x.example", "name": "x"}],
        context_management={"edits": [{"type": "compact_20260112"}]},
    )

    assert dict(request.headers)["anthropic-beta"] == (
        "one-2026-01-01,mcp-client-2025-11-20,context-management-2025-06-27,compact-2026-01-12"
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


def answer(content: list[dict[str, Any]], **fields: Any) -> bytes:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": PLAIN,
        "content": content,
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }
    return json.dumps(message | fields).encode()


def test_an_answer_is_a_completion_to_the_letter() -> None:
    reply = Anthropic().reply(
        answer([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]), ASKED
    )

    assert reply.fields == {
        "id": "msg_1",
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
    assert (reply.text, reply.upstream_id) == ("Hello", "msg_1")
    assert reply.usage == Usage(prompt=3, completion=2)
    assert json.loads(bytes(reply.told or b"")) == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
    }
    openai.types.chat.ChatCompletion.model_validate(reply.fields, strict=True)


def test_tool_calls_and_thinking_come_in_openais_shape() -> None:
    reply = Anthropic().reply(
        answer(
            [
                {"type": "thinking", "thinking": "Hm. ", "signature": "s1"},
                {"type": "redacted_thinking", "data": "r"},
                {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}},
                {"type": "web_search_tool_result", "tool_use_id": "srv", "content": []},
                {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}},
                {"type": "thinking", "thinking": "And.", "signature": "s2"},
                {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
            ],
            stop_reason="tool_use",
        ),
        ASKED,
    )

    message = reply.fields["choices"][0]["message"]
    ours = {"format": "anthropic-claude-v1"}
    assert message == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "reasoning_content": "Hm. And.",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "Hm. ", "signature": "s1", **ours, "index": 0},
            {"type": "reasoning.encrypted", "data": "r", **ours, "index": 1},
            {"type": "reasoning.text", "text": "And.", "signature": "s2", **ours, "index": 3},
        ],
        "tool_calls": [
            {"id": "toolu_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
            {"id": "toolu_2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
        ],
    }
    assert reply.fields["choices"][0]["finish_reason"] == "tool_calls"
    assert reply.text == 'Hm. And.{"a": 1}{}'
    openai.types.chat.ChatCompletion.model_validate(reply.fields, strict=True)


def test_a_turn_with_thinking_and_tools_survives_the_round_trip() -> None:
    content: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "Zwei und zwei…\u2028\n", "signature": "Eq+/=="},
        {"type": "text", "text": "Let me see."},
        {"type": "thinking", "thinking": "", "signature": "hidden"},
        {"type": "redacted_thinking", "data": "Rk9P"},
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1.0, "ü": [None]}},
    ]
    reply = Anthropic().reply(answer(content, stop_reason="tool_use"), ASKED)

    said = turns(
        HI,
        reply.fields["choices"][0]["message"],
        {"role": "tool", "tool_call_id": "toolu_1", "content": "3"},
    )

    assert said[1]["content"] == content


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
        (None, "stop"),
    ],
)
def test_each_stop_reason_has_its_finish(reason: str | None, finish: str) -> None:
    reply = Anthropic().reply(answer([], stop_reason=reason), ASKED)

    assert reply.fields["choices"][0]["finish_reason"] == finish
    assert reply.fields["choices"][0]["message"]["content"] == ""


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"input_tokens": 1, "output_tokens": 0}, Usage(prompt=1)),
        (
            {
                "input_tokens": 1,
                "output_tokens": 2,
                "cache_read_input_tokens": 3,
                "cache_creation_input_tokens": 4,
            },
            Usage(prompt=1, cached=3, cache_write=4, completion=2),
        ),
        (
            {
                "input_tokens": 1,
                "output_tokens": 2,
                "cache_creation_input_tokens": 9,
                "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 5},
            },
            Usage(prompt=1, cache_write=4, cache_write_1h=5, completion=2),
        ),
        (
            {
                "input_tokens": 1,
                "output_tokens": 2,
                "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 5},
            },
            Usage(prompt=1, cache_write=4, cache_write_1h=5, completion=2),
        ),
        (
            {"input_tokens": 1, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}},
            Usage(prompt=1, completion=5, reasoning=4),
        ),
        (
            {
                "input_tokens": 23,
                "output_tokens": 1,
                "iterations": [
                    {"type": "compaction", "input_tokens": 180, "output_tokens": 35},
                    {"type": "message", "input_tokens": 23, "output_tokens": 1},
                ],
            },
            Usage(prompt=203, completion=36),
        ),
        ({"output_tokens": 2}, None),
        ({"input_tokens": 2}, None),
        ({"input_tokens": -2, "output_tokens": 2}, None),
        ({"input_tokens": "2", "output_tokens": 2}, None),
        (None, None),
    ],
)
def test_usage_is_split_into_disjoint_classes(counts: object, usage: Usage | None) -> None:
    reply = Anthropic().reply(answer([], usage=counts), ASKED)

    assert reply.usage == usage
    assert (reply.told is None) is (usage is None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Bad gateway</body></html>",
        b'{"type": "message", "content": [{"ty',
        b"[]",
        b'{"id": "x"}',
        b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}',
        b"\xff\xfe",
    ],
)
def test_a_body_that_is_no_answer_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        Anthropic().reply(body, ASKED)


def refusal(kind: str, message: str) -> bytes:
    return json.dumps(
        {"type": "error", "error": {"type": kind, "message": message}, "request_id": "r"}
    ).encode()


@pytest.mark.parametrize(
    ("status", "kind", "message", "cause", "code"),
    [
        (400, "invalid_request_error", "max_tokens: required", "caller", "invalid_request_error"),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 207310 tokens > 200000 maximum",
            "caller",
            "context_length_exceeded",
        ),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 1 + 2 > 2",
            "caller",
            "context_length_exceeded",
        ),
        (
            400,
            "invalid_request_error",
            "Output blocked by content filtering policy",
            "caller",
            "content_filter",
        ),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API.",
            "credential",
            "invalid_request_error",
        ),
        (
            400,
            "invalid_request_error",
            "You have reached your specified API usage limits. You will regain access on 2027-01-01.",
            "credential",
            "invalid_request_error",
        ),
        (401, "authentication_error", "invalid x-api-key", "credential", "authentication_error"),
        (402, "billing_error", "Pay.", "credential", "billing_error"),
        (403, "permission_error", "No.", "credential", "permission_error"),
        (404, "not_found_error", "model: claude-x", "misconfigured", "not_found_error"),
        (404, "not_found_error", "model: a-profile", "misconfigured", "not_found_error"),
        (404, "not_found_error", "Not found", "misconfigured", "not_found_error"),
        (404, "not_found_error", "Container x was not found", "caller", "not_found_error"),
        (408, "timeout_error", "Slow.", "slow", "timeout_error"),
        (413, "request_too_large", "Too large.", "caller", "request_too_large"),
        (429, "rate_limit_error", "Too many tokens a minute.", "capacity", "rate_limit_error"),
        (429, "rate_limit_error", "Your monthly spend limit is reached.", "credential", "rate_limit_error"),
        (500, "api_error", "Internal server error", "outage", "api_error"),
        (504, "timeout_error", "Timeout", "outage", "timeout_error"),
        (529, "overloaded_error", "Overloaded", "outage", "overloaded_error"),
        (302, "found", "Elsewhere", "outage", "found"),
    ],
)
def test_each_failure_has_its_cause(status: int, kind: str, message: str, cause: str, code: str) -> None:
    failure = Anthropic().failure(status, {}, refusal(kind, message))

    assert (failure.cause, failure.code, failure.kind) == (cause, code, kind)
    assert (failure.status, failure.message, failure.retry_after_s) == (status, message, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("Mon, 23 Nov 2026 10:00:00 GMT", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_retry_after_is_read_in_seconds_alone(value: str, expected: float | None) -> None:
    headers = {"retry-after": value, "anthropic-ratelimit-requests-reset": "2026-11-23T10:00:00Z"}

    failure = Anthropic().failure(429, headers, refusal("rate_limit_error", "Wait."))

    assert failure.retry_after_s == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502</html>",
        b"\xff",
        b"[1]",
        b'{"error": "x"}',
        refusal("api_error", "<HTML>x</HTML>"),
        refusal("api_error", "<!DOCTYPE x>"),
    ],
)
def test_a_failure_that_cannot_be_read_is_told_in_our_words(body: bytes) -> None:
    failure = Anthropic().failure(502, {}, body)

    assert failure.cause == "outage"
    assert failure.message == "Anthropic answered with status 502 and no message."


def test_a_long_message_is_cut() -> None:
    failure = Anthropic().failure(400, {}, refusal("invalid_request_error", "x" * 10_000))

    assert len(failure.message) == 2_000


def recorded() -> list[dict[str, Any]]:
    if not RECORDINGS.exists():
        return []
    rows = (msgspec.json.decode(line) for line in RECORDINGS.read_bytes().splitlines())
    return [row for row in rows if row["status"] == 200]


@pytest.mark.skipif(not RECORDINGS.exists(), reason="no recordings here")
def test_recorded_answers_say_what_the_vendors_own_types_read() -> None:
    for row in recorded():
        raw = json.loads(row["body"])
        known = anthropic.types.Message.construct(**raw)

        reply = Anthropic().reply(row["body"].encode(), ASKED)

        read_back = openai.types.chat.ChatCompletion.model_validate(reply.fields, strict=True)
        message = read_back.choices[0].message
        texts = [block.text for block in known.content if block.type == "text"]
        calls = [(block.id, block.name, block.input) for block in known.content if block.type == "tool_use"]
        assert (message.content or "") == "".join(texts)
        made = message.tool_calls or []
        assert all(call.type == "function" for call in made)
        assert [
            (call.id, call.function.name, json.loads(call.function.arguments))
            for call in made
            if call.type == "function"
        ] == calls
        assert read_back.choices[0].finish_reason == (
            "tool_calls" if known.stop_reason == "tool_use" else "stop"
        )
        usage, compacted = known.usage, 0
        for iteration in raw["usage"].get("iterations") or []:
            if iteration["type"] == "compaction":
                compacted += iteration["input_tokens"] + iteration["cache_creation_input_tokens"]
        assert reply.usage is not None
        assert reply.usage.prompt_tokens == compacted + (
            usage.input_tokens
            + (usage.cache_read_input_tokens or 0)
            + (usage.cache_creation_input_tokens or 0)
        )
        if not compacted:
            assert reply.usage.completion_tokens == usage.output_tokens
