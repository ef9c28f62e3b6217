"""The messages of a chat as each host takes them."""

from typing import Any

import pytest
from compatible_scene import CALL, HI, asked, sent, turns

from deeptoken.providers.compatible import HOSTS

Message = dict[str, Any]

DEVELOPER: Message = {"role": "developer", "content": "Be brief."}
THOUGHT: Message = {"role": "assistant", "content": "4", "reasoning_content": "2+2", "tool_calls": [CALL]}
RESULT: Message = {"role": "tool", "tool_call_id": "c1", "content": "4"}
KNOW_DEVELOPER = {"openai", "azure", "groq", "openrouter", "cerebras"}


@pytest.mark.parametrize("host", [host.name for host in HOSTS])
def test_the_developer_speaks_as_the_system_where_it_is_not_known(host: str) -> None:
    said = turns(host, DEVELOPER, HI)

    role = "developer" if host in KNOW_DEVELOPER else "system"
    assert said == [{"role": role, "content": "Be brief."}, HI]


@pytest.mark.parametrize("host", ["openai", "deepseek", "moonshot", "vllm", "xai", "huggingface"])
def test_messages_with_nothing_to_change_go_on_byte_for_byte(host: str) -> None:
    body = asked(host, HI, {"role": "user", "content": "a\u00fcb", "tomorrow": [1.0, {"x": 2}]}).body

    assert b'[{"role": "user", "content": "Hi"}, {"role": "user", "content": "a\\u00fcb", ' in body
    assert b'"tomorrow": [1.0, {"x": 2}]}]' in body


@pytest.mark.parametrize(
    ("host", "model", "name"),
    [
        ("deepseek", "deepseek-v4", "reasoning_content"),
        ("moonshot", "kimi-k3", "reasoning_content"),
        ("zai", "glm-5", "reasoning_content"),
        ("fireworks", "kimi", "reasoning_content"),
        ("openrouter", "z-ai/glm-5", "reasoning"),
        ("cerebras", "gpt-oss-120b", "reasoning"),
        ("ollama", "qwen3", "reasoning"),
        ("vllm", "qwen3", "reasoning"),
        ("sambanova", "gpt-oss-120b", "reasoning"),
        ("groq", "openai/gpt-oss-120b", "reasoning"),
        ("groq", "qwen/qwen3-32b", "reasoning"),
        ("groq", "llama-3.3-70b-versatile", None),
        ("mistral", "mistral-large-latest", None),
        ("perplexity", "sonar", None),
        ("openai", "gpt-5", None),
        ("azure", "my-deployment", None),
    ],
)
def test_reasoning_goes_back_by_the_name_that_the_host_takes(host: str, model: str, name: str | None) -> None:
    said = turns(host, HI, THOUGHT, RESULT, model=model)[1]

    told = {key: value for key, value in said.items() if "reasoning" in key}
    assert told == ({} if name is None else {name: "2+2"})
    assert (said["content"], said["tool_calls"]) == ("4", [CALL])


def test_a_channel_of_openai_with_an_address_of_its_own_gets_messages_as_they_came() -> None:
    conversation: list[Message] = [DEVELOPER, HI, THOUGHT, RESULT]

    elsewhere = turns("openai", *conversation, base_url="http://models.example.net/v1")
    at_home = turns("openai", *conversation, base_url="https://api.openai.com/v1")

    assert elsewhere == conversation
    assert at_home == [DEVELOPER, HI, {k: v for k, v in THOUGHT.items() if k != "reasoning_content"}, RESULT]


@pytest.mark.parametrize(("host", "added"), [("deepseek", True), ("moonshot", True), ("zai", False)])
@pytest.mark.parametrize("before", [{}, {"reasoning_content": None}], ids=["absent", "null"])
def test_calls_that_another_provider_made_have_empty_reasoning_where_there_must_be_some(
    host: str, added: bool, before: Message
) -> None:
    calls: Message = {"role": "assistant", "content": None, "tool_calls": [CALL], **before}
    spoken: Message = {"role": "assistant", "content": "So."}

    said = turns(host, HI, calls, RESULT, spoken, HI)

    assert said[1] == ({**calls, "reasoning_content": ""} if added else calls)
    assert (said[2], said[3]) == (RESULT, spoken)


@pytest.mark.parametrize("host", ["groq", "cerebras", "mistral", "fireworks"])
def test_a_strict_host_gets_no_field_that_it_does_not_know(host: str) -> None:
    answer = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "audio": None,
        "reasoning_details": [{"type": "reasoning.text", "text": "x", "format": "anthropic-claude-v1"}],
        "tool_calls": [CALL],
    }

    said = turns(host, {**HI, "name": "ann"}, answer, {**RESULT, "name": "add"})

    assert said == [HI, {"role": "assistant", "content": None, "tool_calls": [CALL]}, RESULT]


def test_a_function_of_the_older_kind_keeps_its_name() -> None:
    call = {"name": "add", "arguments": "{}"}

    said = turns("groq", HI, {"role": "assistant", "content": None, "function_call": call}, FUNCTION)

    assert said[1:] == [{"role": "assistant", "content": None, "function_call": call}, FUNCTION]


FUNCTION = {"role": "function", "name": "add", "content": "4"}


def detail(text: str, index: int = 0, **fields: Any) -> dict[str, Any]:
    own = {"type": "reasoning.text", "text": text, "format": "mistral-content-v1", "index": index}
    return {**own, **fields}


def thinking(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], **fields}


def test_mistrals_thinking_goes_back_into_its_content() -> None:
    details = [detail("Hm, "), detail("2+2.", signature="s1"), detail("Yes.", 1)]
    answer = {**THOUGHT, "reasoning_details": details}

    said = turns("mistral", HI, answer, RESULT)[1]

    assert said["content"] == [
        thinking("Hm, 2+2.", signature="s1"),
        thinking("Yes."),
        {"type": "text", "text": "4"},
    ]
    assert said.keys() == {"role", "content", "tool_calls"}


def test_openrouters_details_go_back_as_they_came() -> None:
    details = [{"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1", "index": 0}]

    said = turns("openrouter", HI, {**THOUGHT, "reasoning_details": details}, RESULT)[1]

    assert (said["reasoning_details"], said["reasoning"]) == (details, "2+2")


def test_neighbours_of_one_role_are_one_message_where_roles_must_alternate() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://h.example/a.png"}}
    shown = {"role": "user", "content": [{"type": "text", "text": "Look."}, picture]}

    said = turns(
        "perplexity",
        {"role": "system", "content": "Be brief."},
        DEVELOPER,
        HI,
        {"role": "user", "content": "You?"},
        {"role": "assistant", "content": "Well."},
        HI,
        shown,
    )

    assert said == [
        {"role": "system", "content": "Be brief.\n\nBe brief."},
        {"role": "user", "content": "Hi\n\nYou?"},
        {"role": "assistant", "content": "Well."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, *shown["content"]]},
    ]


def test_calls_and_their_results_stay_messages_of_their_own() -> None:
    calls: Message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    conversation: list[Message] = [HI, HI, {"role": "assistant", "content": "So."}, calls, RESULT, RESULT]

    said = turns("perplexity", *conversation)

    assert said[1:] == conversation[2:]


def test_the_rest_of_the_body_is_not_touched_by_it() -> None:
    body = sent("mistral", DEVELOPER, HI, tomorrow={"a": [1]}, n=2)

    assert (body["tomorrow"], body["n"]) == ({"a": [1]}, 2)
