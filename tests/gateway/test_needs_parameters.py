"""The table of what adapters understand: what is in it changes a request, the rest does not."""

from typing import Any

import pytest
from plan_scene import channel, chat, model

from deeptoken.catalog.model import Candidate
from deeptoken.errors import BadRequest
from deeptoken.gateway.needs import UNDERSTOOD
from deeptoken.providers.compatible import WITHOUT_CHATS
from deeptoken.providers.registry import PROVIDERS
from deeptoken.wire.http import HttpRequest

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
OPENAIS: dict[str, Any] = {
    "audio": {"voice": "alloy", "format": "wav"},
    "frequency_penalty": 0.5,
    "function_call": "auto",
    "functions": [{"name": "f"}],
    "logit_bias": {"1": 1},
    "logprobs": True,
    "modalities": ["text", "image"],
    "n": 2,
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "a"},
    "presence_penalty": 0.5,
    "prompt_cache_key": "k",
    "prompt_cache_options": {},
    "prompt_cache_retention": "24h",
    "reasoning_effort": "low",
    "response_format": SCHEMA,
    "safety_identifier": "s",
    "seed": 1,
    "service_tier": "auto",
    "stop": ["x"],
    "store": True,
    "temperature": 0.5,
    "tool_choice": "required",
    "tools": [TOOL],
    "top_logprobs": 2,
    "top_p": 0.5,
    "verbosity": "low",
    "web_search_options": {},
}
OTHERS: dict[str, Any] = {
    "additionalModelRequestFields": {"a": 1},
    "betas": ["some-beta-2026-01-01"],
    "cache_control": {"type": "ephemeral"},
    "citation_options": {"mode": "off"},
    "context_management": {"edits": []},
    "documents": ["text"],
    "guardrailConfig": {"guardrailIdentifier": "g"},
    "k": 5,
    "output_config": {"effort": "low"},
    "priority": 1,
    "safety_mode": "OFF",
    "safety_settings": [],
    "something_new": 1,
    "strict_tools": True,
    "thinking": {"type": "disabled"},
    "top_k": 5,
}
PARAMETERS = OPENAIS | OTHERS
BESIDE: dict[str, dict[str, Any]] = {
    "tool_choice": {"tools": [TOOL]},
    "parallel_tool_calls": {"tools": [TOOL]},
    "top_logprobs": {"logprobs": True},
}
"""What must stand beside a parameter, for it to mean something."""
UNTOLD = (("cohere", "parallel_tool_calls"),)
"""What is kept without a word, or refused."""
UPSTREAM: dict[str, tuple[str, ...]] = {
    "anthropic": ("claude-sonnet-4-5",),
    "gemini": ("gemini-2.5-flash",),
    "vertex": ("gemini-2.5-flash", "claude-sonnet-4-5"),
    "bedrock": ("us.anthropic.claude-sonnet-4-5-20250929-v1:0",),
    "cohere": ("command-a-reasoning-08-2025",),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "vertex": {"options": {"project": "p"}, "secret": "ya29.t"},
    "bedrock": {"options": {"region": "us-east-1"}, "secret": "bedrock-api-key"},
}


def sent(provider: str, upstream: str, **fields: Any) -> HttpRequest | None:
    """None: it is refused."""
    at = Candidate(channel("a", provider=provider, **SETTINGS.get(provider, {})), model(), upstream)
    said = chat("Hello!", max_tokens=4096, **fields)
    try:
        return PROVIDERS[provider].request(said, at, stream=False, limit=None)
    except BadRequest:
        return None


def test_every_provider_that_translates_has_a_row() -> None:
    without_chats = {host.name for host in WITHOUT_CHATS}
    chatting = PROVIDERS.keys() - without_chats
    known = {name for name in chatting if sent(name, "m", something_new=1) == sent(name, "m")}

    assert known == UNDERSTOOD.keys() == UPSTREAM.keys()


@pytest.mark.parametrize("provider", UPSTREAM)
@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_is_in_the_table_if_it_is_told(provider: str, name: str) -> None:
    beside = BESIDE.get(name, {})

    told = [
        sent(provider, upstream, **beside, **{name: PARAMETERS[name]})
        not in (None, sent(provider, upstream, **beside))
        for upstream in UPSTREAM[provider]
    ]

    assert all(told) == (name in UNDERSTOOD[provider] and (provider, name) not in UNTOLD)


@pytest.mark.parametrize("provider", UPSTREAM)
def test_the_table_names_no_parameter_that_is_not_tried_here(provider: str) -> None:
    assert UNDERSTOOD[provider] <= PARAMETERS.keys()


def test_cohere_keeps_one_call_at_a_time_or_refuses() -> None:
    second = {"type": "function", "function": {"name": "g"}}

    one, two = (
        sent("cohere", UPSTREAM["cohere"][0], tools=tools, parallel_tool_calls=False)
        for tools in ([TOOL], [TOOL, second])
    )

    assert one is not None
    assert two is None
