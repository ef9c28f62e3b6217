"""Agents of Pydantic AI over the gateway, by its models for OpenAI and for Anthropic."""

import os
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, ModelHTTPError, NativeOutput, ToolOutput
from pydantic_ai.messages import ToolCallPart, ToolReturnPart
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

ORIGIN, KEY = os.environ["DEEPTOKEN_ORIGIN"], os.environ["DEEPTOKEN_KEY"]


class Place(BaseModel):
    name: str
    inhabitants: int


def model(kind: str, name: str = "mind", key: str = KEY) -> Any:
    if kind == "openai":
        return OpenAIChatModel(name, provider=OpenAIProvider(base_url=f"{ORIGIN}/v1", api_key=key))
    return AnthropicModel(name, provider=AnthropicProvider(base_url=ORIGIN, api_key=key))


KINDS = pytest.mark.parametrize("kind", ["openai", "anthropic"])


@KINDS
async def test_an_agent_answers_and_knows_its_usage(kind: str) -> None:
    told = await Agent(model(kind), system_prompt="Be brief.").run("Hi")

    assert told.output == "Hello there, friend."
    assert told.usage.input_tokens > 0
    assert told.usage.output_tokens > 0


@KINDS
async def test_an_agent_calls_its_tool_and_tells_the_result(kind: str) -> None:
    agent = Agent(model(kind))
    called: list[str] = []

    @agent.tool_plain
    def weather(city: str) -> str:
        """The weather of a city."""
        called.append(city)
        return "rain"

    told = await agent.run("What is the weather in 'Oslo'?")

    assert called == ["Oslo"]
    assert told.output == "The tool says: rain"
    parts = [part for message in told.all_messages() for part in message.parts]
    (call,) = [part for part in parts if isinstance(part, ToolCallPart)]
    (result,) = [part for part in parts if isinstance(part, ToolReturnPart)]
    assert call.tool_call_id == result.tool_call_id


@KINDS
async def test_a_stream_of_an_agent_with_a_tool_tells_the_same(kind: str) -> None:
    agent = Agent(model(kind))

    @agent.tool_plain
    def weather(city: str) -> str:
        """The weather of a city."""
        return f"rain in {city}"

    async with agent.run_stream("What is the weather in 'Oslo'?") as told:
        pieces = [piece async for piece in told.stream_text(delta=True, debounce_by=None)]

    assert "".join(pieces) == "The tool says: rain in Oslo"
    assert len(pieces) > 1


@KINDS
@pytest.mark.parametrize("form", [ToolOutput, NativeOutput])
async def test_an_answer_has_the_type_that_was_asked_for(form: Any, kind: str) -> None:
    # The library asks a schema of models alone whose names it knows.
    known = model(kind, "claude-sonnet-4-5" if kind == "anthropic" else "mind")

    told = await Agent(known, output_type=form(Place)).run("Where is 'Oslo' with its 700 thousand people?")

    assert told.output == Place(name="Oslo", inhabitants=700)


@KINDS
async def test_a_conversation_goes_on_with_what_was_said(kind: str) -> None:
    agent = Agent(model(kind))
    first = await agent.run("Hi")

    second = await agent.run("And again", message_history=first.all_messages())

    assert len(second.all_messages()) == 4


@KINDS
async def test_errors_have_their_status(kind: str) -> None:
    for name, key, status in (("nobody/knows", KEY, 404), ("mind", "dtk_nobody", 401)):
        with pytest.raises(ModelHTTPError) as failed:
            await Agent(model(kind, name, key)).run("Hi")
        assert failed.value.status_code == status
