"""A client works twenty turns with tools, whoever answers each of them: no call is lost, none is doubled."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol

import anthropic
import openai
import pytest
from claude_scene import base_url, claude, claude_scene
from provider_scene import Provider, Scene, Script, channel, nothing_is_held, problems
from turns_scene import TOOL, TURNS, Call, Claude, Conversation, Gpt

from upstreams import Received, answer, reset

TRIES_MAX = 3
RELOADS_MAX = 2_000


def more(provider: Provider) -> str:
    """A model for each conversation: what a channel did in one is not to count in the next."""
    told = []
    for name in CONVERSATIONS:
        told.append(channel(provider, "gpt", name, name=f'"{name}-gpt"', priority="1"))
        told.append(claude(provider, "claude", name, name=f'"{name}-claude"'))
    return "".join(told)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with claude_scene(tmp_path_factory.mktemp("turns"), more) as scene:
        yield scene


# The clients


class Client(Protocol):
    """One that calls the tools that it is told to."""

    async def ask(self, *, stream: bool) -> list[Call]:
        """The calls of the next turn. What fails may be asked again."""

    def answer(self, calls: list[Call]) -> None:
        """Their results go along with the next question."""


class ClaudeClient:
    def __init__(self, client: anthropic.AsyncAnthropic, model: str) -> None:
        self._client = client
        self._turns: list[Any] = [{"role": "user", "content": "begin"}]
        self._options: Any = {
            "model": model,
            "max_tokens": 2_000,
            "tools": [{"name": name, "input_schema": TOOL} for name in ("look", "ask")],
        }

    async def ask(self, *, stream: bool) -> list[Call]:
        if stream:
            async with self._client.messages.stream(messages=self._turns, **self._options) as heard:
                told: Any = await heard.get_final_message()
        else:
            told = await self._client.messages.create(messages=self._turns, **self._options)
        self._turns.append({"role": "assistant", "content": told.content})
        calls = [Call(one.id, one.name, one.input) for one in told.content if one.type == "tool_use"]
        assert told.stop_reason == ("tool_use" if calls else "end_turn")
        return calls

    def answer(self, calls: list[Call]) -> None:
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": call.result} for call in calls]
        self._turns.append({"role": "user", "content": results})


class OpenAIClient:
    def __init__(self, client: openai.AsyncOpenAI, model: str) -> None:
        self._client = client
        self._messages: list[Any] = [{"role": "user", "content": "begin"}]
        tools = [
            {"type": "function", "function": {"name": name, "parameters": TOOL}} for name in ("look", "ask")
        ]
        self._options: Any = {"model": model, "tools": tools}

    async def ask(self, *, stream: bool) -> list[Call]:
        if stream:
            async with self._client.chat.completions.stream(
                messages=self._messages, **self._options
            ) as heard:
                told: Any = await heard.get_final_completion()
        else:
            told = await self._client.chat.completions.create(messages=self._messages, **self._options)
        (choice,) = told.choices
        said = choice.message.to_dict()
        # What was parsed of arguments is the library's own.
        for call in said.get("tool_calls") or ():
            call["function"].pop("parsed_arguments", None)
            call.pop("index", None)
        said.pop("parsed", None)
        self._messages.append({name: value for name, value in said.items() if value is not None})
        calls = [
            Call(call.id, call.function.name, json.loads(call.function.arguments))
            for call in choice.message.tool_calls or ()
        ]
        assert choice.finish_reason == ("tool_calls" if calls else "stop")
        return calls

    def answer(self, calls: list[Call]) -> None:
        self._messages += [
            {"role": "tool", "tool_call_id": call.id, "content": call.result} for call in calls
        ]


Ask = Callable[[Client], Awaitable[None]]


async def by_claude_client(scene: Scene, model: str, ask: Ask) -> None:
    async with anthropic.AsyncAnthropic(
        base_url=base_url(scene), api_key=scene.gateway.key, max_retries=0
    ) as client:
        await ask(ClaudeClient(client, model))


async def by_openai_client(scene: Scene, model: str, ask: Ask) -> None:
    base = f"{base_url(scene)}/v1"
    async with openai.AsyncOpenAI(base_url=base, api_key=scene.gateway.key, max_retries=0) as client:
        await ask(OpenAIClient(client, model))


CLIENTS = {"anthropic": by_claude_client, "openai": by_openai_client}


# The ways


def busy() -> Script:
    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b'{"error":{"message":"busy"}}', status="503 Service Unavailable"))

    return script


def breaking() -> Script:
    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reset(writer)

    return script


def talking(model: Gpt | Claude) -> Script:
    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(model.says(request))
        await writer.drain()

    return script


def cut_once(model: Gpt | Claude) -> Script:
    """Breaks off inside a call when it is asked first, if that is to be streamed."""
    left = [model.cut()]

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if left and json.loads(request.body).get("stream"):
            writer.write(left.pop())
            await writer.drain()
            await asyncio.sleep(0)
            writer.close()
            return
        writer.write(model.says(request))
        await writer.drain()

    return script


class Way:
    """Who answers each turn, and what becomes of the other."""

    def __init__(self, name: str, scene: Scene, model: str) -> None:
        self.name = name
        self.conversation = Conversation()
        self._scene = scene
        self._model = model
        self._both: dict[str, Gpt | Claude] = {
            one.name: one for one in (Gpt(self.conversation), Claude(self.conversation))
        }

    def by(self, number: int) -> str:
        if self.name in ("gpt", "claude"):
            return self.name
        if self.name == "cut":
            return "gpt" if number < TURNS // 2 else "claude"
        return ("gpt", "claude", "claude", "gpt")[number % 4]

    async def prepare(self, number: int) -> None:
        """See to it that the turn of that number is answered by whom it is to be."""
        scripts = self._scene.provider.scripts
        by = self.by(number)
        other = "claude" if by == "gpt" else "gpt"
        fails = busy() if number % 3 else breaking()
        scripts[other] = talking(self._both[other]) if self.name == "disabled" else fails
        scripts[by] = talking(self._both[by])
        if self.name == "cut" and number % 5 == 2:
            scripts[by] = cut_once(self._both[by])
        if self.name == "disabled" and (number == 0 or self.by(number - 1) != by):
            await self._enable(by, other, number)

    async def _enable(self, by: str, other: str, number: int) -> None:
        gateway = self._scene.gateway
        file = gateway.folder / "deeptoken.toml"
        told = file.read_text().split("\n[[channels]]\n")
        for place, text in enumerate(told):
            for name, enabled in ((by, True), (other, False)):
                if text.startswith(f'name = "{self._model}-{name}"'):
                    kept = text.replace("enabled = false\n", "")
                    told[place] = kept if enabled else kept.replace("\n", "\nenabled = false\n", 1)
        mark = f"m/{self._model}-{number}"
        told[1] = told[1].replace("models = { ", f'models = {{ "{mark}" = "text", ', 1)
        file.write_text("\n[[channels]]\n".join(told))
        gateway.orders.reload.set()
        for _ in range(RELOADS_MAX):
            if (await gateway.ask(path=f"/v1/models/{mark}")).status == 200:
                return
        raise AssertionError("the file was not read again")


WAYS = ("gpt", "claude", "failover", "disabled", "cut")
STREAMS = {"whole": (False,), "stream": (True,), "both": (True, True, False)}
CONVERSATIONS = [f"{client}-{way}-{how}" for client in CLIENTS for way in WAYS for how in STREAMS]


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_twenty_turns_with_tools(name: str, scene: Scene) -> None:
    client, way_name, how = name.split("-")
    way, streams = Way(way_name, scene, name), STREAMS[how]
    failed: list[int] = []

    async def converse(client: Client) -> None:
        for number in range(TURNS + 1):
            await way.prepare(number)
            calls = await asked(client, number)
            assert [turn.by for turn in way.conversation.turns] == [way.by(n) for n in range(number + 1)]
            assert calls == way.conversation.turns[-1].calls
            client.answer(calls)

    async def asked(client: Client, number: int) -> list[Call]:
        for _ in range(TRIES_MAX):
            try:
                return await client.ask(stream=streams[number % len(streams)])
            except (anthropic.APIStatusError, openai.APIError):
                failed.append(number)
        raise AssertionError(f"turn {number} failed {TRIES_MAX} times")

    async def main() -> None:
        await CLIENTS[client](scene, f"m/{name}", converse)
        await nothing_is_held(scene.gateway)

    scene.run(main)
    assert way.conversation.wrong == []
    made = [call.id for turn in way.conversation.turns for call in turn.calls]
    assert len(made) == len(set(made)) == sum(1 + number % 3 for number in range(TURNS))
    # Only where an answer broke off inside did the client have to ask again.
    assert bool(failed) == (way_name == "cut" and how != "whole")
    assert problems(scene.gateway) == []
