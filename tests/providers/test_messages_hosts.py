"""A Claude client's conversation at each host of OpenAI's dialect: whole, and as the host takes it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_client import HI, asked
from claude_conversations import calls
from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.errors import BadRequest
from deeptoken.money import PicoUsd
from deeptoken.providers.compatible import HOSTS, PROVIDERS
from deeptoken.providers.manners import KNOWN
from deeptoken.wire.messages import read
from deeptoken.wire.thoughts import seal

FREE = Price(id=1, model="m", rates=Rates(prompt=PicoUsd(0), completion=PicoUsd(0)))
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
USE = {"type": "tool_use", "id": "call_1", "name": "add", "input": {"a": 1}}
READERS = {
    "deepseek": "reasoning_content",
    "moonshot": "reasoning_content",
    "openrouter": "reasoning",
    "groq": "reasoning",
    "cerebras": "reasoning",
    "sambanova": "reasoning",
    "ollama": "reasoning",
    "vllm": "reasoning",
}
"""Hosts that are known to read what a model thought, and under which name."""


def sent(host: str, body: bytes, *, base_url: str = "", model: str = "gpt-oss-120b") -> list[dict[str, Any]]:
    channel = Channel(host, host, host, base_url, {}, secret="k")
    request = PROVIDERS[host].request(
        read(body), Candidate(channel, Model("m", FREE), model), stream=False, limit=None
    )
    messages: list[dict[str, Any]] = json.loads(request.body)["messages"]
    return messages


@given(st.sampled_from(HOSTS), calls())
def test_no_call_or_result_is_lost_at_any_host(host: Any, body: dict[str, Any]) -> None:
    try:
        messages = sent(host.name, json.dumps(body).encode(), base_url="https://x.example/v1")
    except BadRequest:
        return

    blocks = [block for turn in body["messages"] for block in turn["content"] if isinstance(block, dict)]
    used = [block["id"] for block in blocks if block["type"] == "tool_use"]
    answered = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    assert [call["id"] for message in messages for call in message.get("tool_calls", ())] == used
    assert [message["tool_call_id"] for message in messages if message["role"] == "tool"] == answered
    if host.manners.strict:
        assert {name for message in messages for name in message} <= KNOWN | {
            "reasoning",
            "reasoning_content",
        }


@pytest.mark.parametrize("host", [host.name for host in HOSTS])
def test_each_message_is_fitted_by_itself_where_a_result_becomes_two(host: str) -> None:
    thought = {"type": "thinking", "thinking": "2+2", "signature": ""}
    results = [{"type": "tool_result", "tool_use_id": "call_1", "content": [PICTURE]}]
    turns: list[dict[str, Any]] = [
        HI,
        {"role": "assistant", "content": [thought, USE]},
        {"role": "user", "content": results},
    ]
    last = {"role": "assistant", "content": [thought, {"type": "text", "text": "4"}]}

    messages = sent(host, asked(*turns, last, HI), base_url="https://x.example/v1")

    assert [message["role"] for message in messages] == [
        "user",
        "assistant",
        "tool",
        "user",
        "assistant",
        "user",
    ]
    name = READERS.get(host)
    for message in messages:
        thinks = message["role"] == "assistant" and name is not None
        told = message.keys() & {"reasoning", "reasoning_content", "reasoning_details"}
        assert told == ({name} if thinks else set())
        assert not thinks or message[str(name)] == "2+2"


def test_mistral_gets_its_own_signed_thinking_back_as_it_was() -> None:
    detail = {"type": "reasoning.text", "signature": "c2ln", "format": "mistral-content-v1", "index": 0}
    thought = {"type": "thinking", "thinking": "2+2", "signature": seal(detail)}
    said = {"role": "assistant", "content": [thought, {"type": "text", "text": "4"}]}

    _, assistant, _ = sent("mistral", asked(HI, said, HI))

    assert assistant["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "2+2"}], "signature": "c2ln"},
        {"type": "text", "text": "4"},
    ]


def test_a_host_that_wants_reasoning_with_calls_gets_some_where_nobody_thought() -> None:
    results = [{"type": "tool_result", "tool_use_id": "call_1", "content": "3"}]
    turns: list[dict[str, Any]] = [
        HI,
        {"role": "assistant", "content": [USE]},
        {"role": "user", "content": results},
    ]

    _, assistant, _ = sent("deepseek", asked(*turns))

    assert assistant["reasoning_content"] == ""
