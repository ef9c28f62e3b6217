"""Reasoning that a client put together from a stream's deltas goes back as if it had come whole."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.money import PicoUsd
from deeptoken.providers.anthropic_answer import text_detail
from deeptoken.providers.cohere_answer import THOUGHT_FORMAT
from deeptoken.providers.gemini_contents import FORMAT as GEMINI
from deeptoken.providers.registry import PROVIDERS
from deeptoken.wire.chat import Message, read
from deeptoken.wire.choice import PARTS_FORMAT
from deeptoken.wire.thoughts import FORMAT as CLAUDE

HI = {"role": "user", "content": "Hi"}
FREE = Price(id=1, model="m", rates=Rates(prompt=PicoUsd(0), completion=PicoUsd(0)))
FORMATS = {
    "anthropic": (CLAUDE, "claude-sonnet-4-5"),
    "bedrock": (CLAUDE, "anthropic.claude-sonnet-4-5-20250929-v1:0"),
    "gemini": (GEMINI, "gemini-3-pro"),
    "cohere": (THOUGHT_FORMAT, "command-a-reasoning"),
    "mistral": (PARTS_FORMAT, "magistral-medium-latest"),
}
"""A provider -> how it calls its reasoning, and a model of its that reasons."""


def joined(form: str) -> dict[str, Any]:
    """A message as OpenAI's own library puts it together."""
    state = ChatCompletionStreamState()
    details = [
        text_detail("2", None, 0) | {"format": form},
        text_detail("+2", None, 0) | {"format": form},
        text_detail("", "c2lnbmVk", 0) | {"format": form},
    ]
    deltas = [
        {"role": "assistant"},
        *({"reasoning_details": [detail]} for detail in details),
        {"content": "4"},
    ]
    for delta in deltas:
        choices = [{"index": 0, "delta": delta, "finish_reason": None}]
        head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        state.handle_chunk(ChatCompletionChunk.model_validate({**head, "choices": choices}))
    told: dict[str, Any] = state.current_completion_snapshot.choices[0].message.to_dict()
    return {name: value for name, value in told.items() if name in ("role", "content", "reasoning_details")}


def sent(provider: str, model: str, message: dict[str, Any]) -> bytes:
    options = {"region": "us-east-1"} if provider == "bedrock" else {}
    channel = Channel(provider, provider, provider, "https://x.example/v1", {}, secret="k", options=options)
    at = Candidate(channel, Model("m", FREE), model)
    chat = read(json.dumps({"model": "m", "messages": [HI, message, HI]}).encode())
    return PROVIDERS[provider].request(chat, at, stream=False, limit=100).body


@pytest.mark.parametrize("provider", FORMATS)
def test_what_a_library_joined_goes_back_as_one_that_came_whole(provider: str) -> None:
    form, model = FORMATS[provider]
    message = joined(form)
    assert message["reasoning_details"][0]["format"] == 3 * form
    came_whole = text_detail("2+2", "c2lnbmVk", 0) | {"format": form}

    given, expected = (
        sent(provider, model, message | {"reasoning_details": details})
        for details in (message["reasoning_details"], [came_whole])
    )

    assert given == expected
    assert b"2+2" in given


@given(st.text(min_size=1, max_size=5), st.integers(1, 4))
def test_a_name_that_was_joined_is_told_once(name: str, times: int) -> None:
    once, often = (
        Message(role="assistant", reasoning_details=[{"format": name * count, "index": 0}]).details
        for count in (1, times)
    )

    assert often == once


@pytest.mark.parametrize("detail", [{}, {"format": None}, {"format": ""}, {"format": 7}, {"format": CLAUDE}])
def test_other_details_stay_as_they_are(detail: dict[str, Any]) -> None:
    assert Message(role="assistant", reasoning_details=[detail]).details == [detail]
