"""Requests in all dialects that use much of what there is, and channels of all providers to send them to."""

from typing import Any

from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.money import PicoUsd

PNG, PDF = "data:image/png;base64,aGk=", "data:application/pdf;base64,aGk="
OBJECT = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
CHAT: dict[str, Any] = {
    "model": "acme/one",
    "messages": [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
                {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "t",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "x", "signature": "s", "format": "anthropic-claude-v1"}
            ],
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "r"}]},
        {"role": "user", "content": "and"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "add", "description": "d", "parameters": OBJECT, "strict": True},
        }
    ],
    "tool_choice": {"type": "function", "function": {"name": "add"}},
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": OBJECT, "strict": True},
    },
    "stop": ["a"],
    "temperature": 1,
    "top_k": 5,
    "max_tokens": 5,
    "stream_options": {"include_usage": True},
    "reasoning_effort": "low",
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "metadata": {"a": "b"},
    "user": "u",
    "n": 1,
    "seed": 1,
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {"1": 2},
    "parallel_tool_calls": False,
    "service_tier": "auto",
    "safety_settings": [],
    "web_search_options": {},
    "modalities": ["text"],
    "audio": {"voice": "a", "format": "wav"},
    "prediction": {"type": "content", "content": "x"},
    "prompt_cache_key": "k",
    "provider": {"order": ["a"], "only": ["a"], "ignore": ["b"], "sort": "price", "max_price": {"prompt": 1}},
    "models": ["acme/two"],
    "usage": {"include": True},
    "max_cost_usd": 1,
}
"""Nobody takes all of it. What is refused first hides nothing: each field may be left out."""
MESSAGES: dict[str, Any] = {
    "model": "acme/one",
    "max_tokens": 9,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hi"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
                    "title": "t",
                    "citations": {"enabled": True},
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "r"}]}
            ],
        },
    ],
    "tools": [{"name": "add", "description": "d", "input_schema": OBJECT}],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "metadata": {"user_id": "u"},
    "stop_sequences": ["a"],
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": OBJECT}},
}
RESPONSES: dict[str, Any] = {
    "model": "acme/one",
    "instructions": "s",
    "input": [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "hi"},
                {"type": "input_image", "image_url": PNG, "detail": "low"},
                {"type": "input_file", "filename": "a.pdf", "file_data": PDF},
            ],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "x"}],
            "encrypted_content": "e",
        },
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "r"},
    ],
    "tools": [{"type": "function", "name": "add", "parameters": OBJECT, "strict": True}],
    "tool_choice": {"type": "function", "name": "add"},
    "text": {"format": {"type": "json_schema", "name": "x", "schema": OBJECT}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "max_output_tokens": 5,
    "metadata": {"a": "b"},
    "include": [],
    "truncation": "disabled",
    "user": "u",
}
COMPLETIONS: dict[str, Any] = {
    "model": "acme/one",
    "prompt": ["hi"],
    "max_tokens": 5,
    "echo": True,
    "best_of": 1,
    "n": 1,
    "logprobs": 2,
    "stop": ["a"],
    "suffix": "",
    "logit_bias": {"1": 2},
}
MODELS = {
    "openai": ("gpt-5", "gpt-4o"),
    "azure": ("gpt-4o",),
    "anthropic": ("claude-sonnet-4-5", "claude-3-haiku"),
    "bedrock": ("anthropic.claude-sonnet-4-5-v1:0", "amazon.nova-pro-v1:0", "meta.llama3"),
    "gemini": ("gemini-2.5-pro", "gemini-3-pro"),
    "vertex": ("gemini-2.5-pro", "claude-sonnet-4-5"),
    "cohere": ("command-a",),
    "mistral": ("magistral-medium",),
    "deepseek": ("deepseek-chat",),
    "perplexity": ("sonar",),
}
OPTIONS = {"region": "us-east-1", "project": "p", "location": "us-central1", "api_version": "2024-10-21"}


def candidate(provider: str, model: str) -> Candidate:
    secret = "AK:SK" if provider == "bedrock" else "k"
    channel = Channel("c", provider, "c", "https://h.example/v1", {}, secret=secret, options=dict(OPTIONS))
    price = Price(1, "a", Rates(PicoUsd(1), PicoUsd(1)))
    return Candidate(channel, Model("acme/one", price), model)
