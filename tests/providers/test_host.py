"""What a request has on its way to each host: names, ranges, addresses, keys."""

from typing import Any

import pytest
from compatible_scene import HI, TOOL, asked, sent

from deeptoken.errors import BadRequest
from deeptoken.providers.compatible import HOSTS

NEWEST = {
    "store": True,
    "user": "u",
    "service_tier": "auto",
    "logit_bias": {"1": 1},
    "prompt_cache_key": "k",
    "safety_identifier": "s",
    "verbosity": "low",
}


@pytest.mark.parametrize(
    ("host", "kept"),
    [
        ("openai", set(NEWEST)),
        ("deepseek", set(NEWEST)),
        ("mistral", set()),
        ("groq", {"store", "user", "service_tier"}),
        ("fireworks", {"user", "service_tier", "logit_bias", "prompt_cache_key"}),
        ("cerebras", {"user", "service_tier", "logit_bias", "prompt_cache_key"}),
    ],
)
def test_parameters_that_a_host_refuses_and_nobody_misses_are_dropped(host: str, kept: set[str]) -> None:
    body = sent(host, **NEWEST)

    assert body.keys() & NEWEST.keys() == kept


@pytest.mark.parametrize("host", ["mistral", "groq", "cerebras", "fireworks"])
def test_what_is_refused_and_would_be_missed_goes_on_and_is_refused_by_name(host: str) -> None:
    body = sent(host, functions=[{"name": "f"}], web_search_options={}, tomorrow=1)

    assert body["functions"] == [{"name": "f"}]
    assert body.keys() >= {"web_search_options", "tomorrow"}


@pytest.mark.parametrize(
    ("host", "asked_for", "expected"),
    [
        ("openai", 1.9, 1.9),
        ("mistral", 1.9, 1.5),
        ("mistral", 1.2, 1.2),
        ("moonshot", 1.9, 1.0),
        ("zai", 1.9, 1.0),
        ("minimax", 1.9, 1.0),
        ("together", 2, 1.0),
        ("deepseek", 2, 2),
        ("zhipu", 0, 0),
    ],
)
def test_a_temperature_above_the_hosts_highest_is_that(host: str, asked_for: float, expected: float) -> None:
    assert sent(host, temperature=asked_for)["temperature"] == expected


@pytest.mark.parametrize("host", ["mistral", "zai"])
def test_a_temperature_that_was_not_asked_for_is_not_sent(host: str) -> None:
    assert "temperature" not in sent(host)


@pytest.mark.parametrize(
    ("choice", "kept"), [(None, {"tools"}), ("auto", {"tools"}), ("none", set())], ids=str
)
def test_a_host_that_chooses_for_itself_gets_no_choice_and_for_none_no_tools(
    choice: str | None, kept: set[str]
) -> None:
    body = sent("zai", tools=[TOOL], tool_choice=choice)

    assert body.keys() & {"tools", "tool_choice"} == kept


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "add"}}])
@pytest.mark.parametrize("host", ["zai", "zhipu"])
def test_a_host_that_chooses_for_itself_cannot_be_made_to_call_a_tool(host: str, choice: Any) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(host, tools=[TOOL], tool_choice=choice)

    assert refused.value.param == "tool_choice"


@pytest.mark.parametrize("host", ["mistral", "groq", "deepseek"])
def test_the_other_hosts_get_each_choice_as_it_came(host: str) -> None:
    chosen = {"type": "function", "function": {"name": "add"}}

    assert sent(host, tools=[TOOL], tool_choice="required")["tool_choice"] == "required"
    assert sent(host, tools=[TOOL], tool_choice=chosen)["tool_choice"] == chosen


def test_mistral_gets_what_it_knows_as_it_came() -> None:
    known = {
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "n": 2,
        "parallel_tool_calls": False,
        "metadata": {"a": "b"},
        "logprobs": True,
        "reasoning_effort": "high",
        "response_format": {"type": "json_object"},
        "guardrails": [],
    }

    body = sent("mistral", HI, stream=True, stream_options={"include_usage": True}, seed=7, **known)

    assert {name: body[name] for name in known} == known
    assert body["random_seed"] == 7
    assert body.keys() == known.keys() | {"model", "messages", "stream", "random_seed"}


UNASKED = {"mistral", "perplexity", "groq", "fireworks", "zai", "zhipu"}
"""Hosts that tell the usage of a stream unasked, and may not be asked."""


@pytest.mark.parametrize("host", [host.name for host in HOSTS])
def test_usage_is_asked_for_where_it_is_not_told_unasked(host: str) -> None:
    body = sent(host, stream=True)

    assert ("stream_options" in body) is (host not in UNASKED)
