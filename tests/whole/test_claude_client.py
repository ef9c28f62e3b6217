"""A Claude client is served by whoever serves the model, in its own words."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic.types import ToolUseBlock
from claude_scene import (
    HI,
    WEATHER,
    asked,
    calls_of,
    chosen,
    claude_scene,
)
from provider_scene import DONE, HEAD, Scene, chunk, completion, event, events, says, streamed, used

PNG = "iVBORw0KGgo="
PDF = "JVBERi0xLjQK"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with claude_scene(tmp_path_factory.mktemp("messages")) as scene:
        yield scene


# sim


def test_sim_answers_whole_and_streamed_with_its_usage_and_stop_reasons(scene: Scene) -> None:
    async def ask(client: anthropic.AsyncAnthropic) -> None:
        told = await client.messages.create(model="sim/echo", max_tokens=50, messages=HI)
        assert [block.to_dict() for block in told.content] == [{"type": "text", "text": "hello there"}]
        assert (told.model, told.role, told.stop_reason) == ("sim/echo", "assistant", "end_turn")
        assert (told.usage.input_tokens, told.usage.output_tokens) == (2, 2)

        short = await client.messages.create(model="sim/echo", max_tokens=1, messages=HI)
        assert (short.stop_reason, short.content[0].to_dict()) == (
            "max_tokens",
            {"type": "text", "text": "hello"},
        )

        async with client.messages.stream(model="sim/echo", max_tokens=50, messages=HI) as stream:
            said = [text async for text in stream.text_stream]
            whole = await stream.get_final_message()
        assert said == ["hello", " there"]
        assert (whole.content[0].to_dict(), whole.stop_reason) == (told.content[0].to_dict(), "end_turn")
        assert (whole.usage.input_tokens, whole.usage.output_tokens) == (2, 2)

    asked(scene, ask)


def test_sim_calls_a_tool_and_answers_its_result(scene: Scene) -> None:
    async def ask(client: anthropic.AsyncAnthropic) -> None:
        options: Any = {"model": "sim/text", "max_tokens": 200, "tools": [WEATHER]}
        whole = await client.messages.create(messages=HI, tool_choice={"type": "any"}, **options)
        async with client.messages.stream(messages=HI, tool_choice={"type": "any"}, **options) as stream:
            streamed = await stream.get_final_message()
        for told in (whole, streamed):
            (called,) = told.content
            assert isinstance(called, ToolUseBlock)
            assert (called.name, called.input, told.stop_reason) == (
                "get_weather",
                {"city": "Oslo"},
                "tool_use",
            )
            result = {"type": "tool_result", "tool_use_id": called.id, "content": "rain"}
            turns: Any = [
                *HI,
                {"role": "assistant", "content": [called.to_dict()]},
                {"role": "user", "content": [result]},
            ]
            last = await client.messages.create(messages=turns, **options)
            assert (last.content[0].type, last.stop_reason) == ("text", "end_turn")

    asked(scene, ask)


# A provider of OpenAI's dialect


def test_a_prompt_reaches_openais_dialect_in_its_parts_and_without_marks(scene: Scene) -> None:
    scene.provider.scripts["gpt"] = says(completion("fine"))
    system: Any = [
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "Be kind."},
    ]
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    linked = {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}
    pdf = {
        "type": "document",
        "title": "a.pdf",
        "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
    }
    notes = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "notes"}}
    content: Any = [image, linked, pdf, notes, {"type": "text", "text": "See?"}]

    async def ask(client: anthropic.AsyncAnthropic) -> None:
        turns: Any = [{"role": "user", "content": content}]
        told = await client.messages.create(model="m/gpt", max_tokens=300, system=system, messages=turns)
        assert (told.content[0].to_dict(), told.model) == ({"type": "text", "text": "fine"}, "m/gpt")

    asked(scene, ask)
    first, second = scene.provider.body("gpt")["messages"]
    assert first["role"] == "system"
    assert [part["text"] for part in first["content"]] == ["Be brief.", "Be kind."]
    assert second["content"] == [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
        {"type": "text", "text": "notes"},
        {"type": "text", "text": "See?"},
    ]
    assert b"cache_control" not in scene.provider.requests["gpt"][-1].body


def test_parameters_reach_openais_dialect_in_its_words(scene: Scene) -> None:
    scene.provider.scripts["gpt"] = says(completion("fine"))

    async def ask(client: anthropic.AsyncAnthropic) -> None:
        await client.messages.create(
            model="m/gpt",
            max_tokens=300,
            messages=HI,
            stop_sequences=["END", "STOP"],
            metadata={"user_id": "u-1"},
            thinking={"type": "enabled", "budget_tokens": 1024},
            tools=[WEATHER],
            tool_choice={"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True},
            extra_body={"temperature": 0.5},
        )

    asked(scene, ask)
    name, description = WEATHER["name"], WEATHER["description"]
    function = {"name": name, "description": description, "parameters": WEATHER["input_schema"]}
    assert scene.provider.body("gpt") == {
        "model": "hidden-gpt",
        "messages": HI,
        "max_completion_tokens": 300,
        "stop": ["END", "STOP"],
        "user": "u-1",
        "temperature": 0.5,
        "reasoning_effort": "high",
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
        "parallel_tool_calls": False,
    }


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("content_filter", "refusal"),
        ("tool_calls", "tool_use"),
    ],
)
def test_each_finish_has_its_stop_reason_whole_and_streamed(finish: str, reason: str, scene: Scene) -> None:
    async def ask(client: anthropic.AsyncAnthropic) -> None:
        scene.provider.scripts["gpt"] = says(completion(choices=chosen({"content": "hm"}, finish)))
        whole = await client.messages.create(model="m/gpt", max_tokens=9, messages=HI)
        scene.provider.scripts["gpt"] = says(streamed(events("hm", finish=finish)))
        async with client.messages.stream(model="m/gpt", max_tokens=9, messages=HI) as stream:
            told = await stream.get_final_message()
        assert (whole.stop_reason, told.stop_reason) == (reason, reason)
        assert whole.content[0].to_dict() == told.content[0].to_dict() == {"type": "text", "text": "hm"}

    asked(scene, ask)


def test_parallel_calls_come_whole_and_streamed_and_their_results_go_back_in_order(scene: Scene) -> None:
    made = calls_of(("call_a", "get_weather", '{"city":"Oslo"}'), ("call_b", "get_weather", '{"n":[1,2]}'))
    parts = [
        {"role": "assistant", "content": "I look. "},
        *({"tool_calls": [{"index": i, **call}]} for i, call in enumerate(halved(made))),
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Oslo"}'}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "[1,2]}"}}]},
    ]
    chunks = b"".join(event({**HEAD, "choices": [{"index": 0, "delta": delta}]}) for delta in parts)
    stream_of_it = chunks + chunk(finish="tool_calls") + DONE

    async def ask(client: anthropic.AsyncAnthropic) -> None:
        options: Any = {"model": "m/gpt", "max_tokens": 99, "tools": [WEATHER]}
        said = {"content": "I look. ", "tool_calls": made}
        scene.provider.scripts["gpt"] = says(completion(choices=chosen(said, "tool_calls")))
        whole = await client.messages.create(messages=HI, **options)
        scene.provider.scripts["gpt"] = says(streamed(stream_of_it))
        async with client.messages.stream(messages=HI, **options) as stream:
            told = await stream.get_final_message()
        assert [block.to_dict() for block in whole.content] == [block.to_dict() for block in told.content]
        text, first, second = (block.to_dict() for block in told.content)
        assert text == {"type": "text", "text": "I look. "}
        assert (first["id"], first["input"]) == ("call_a", {"city": "Oslo"})
        assert (second["id"], second["input"]) == ("call_b", {"n": [1, 2]})
        assert told.stop_reason == "tool_use"
        results: Any = [
            {"type": "tool_result", "tool_use_id": "call_b", "content": "no", "is_error": True},
            {"type": "tool_result", "tool_use_id": "call_a", "content": [{"type": "text", "text": "rain"}]},
            {"type": "text", "text": "And now?"},
        ]
        turns: Any = [
            *HI,
            {"role": "assistant", "content": whole.content},
            {"role": "user", "content": results},
        ]
        scene.provider.scripts["gpt"] = says(completion("umbrella"))
        await client.messages.create(messages=turns, **options)

    asked(scene, ask)
    _, assistant, *after = scene.provider.body("gpt")["messages"]
    assert (assistant["content"], assistant["tool_calls"]) == ("I look. ", made)
    assert after == [
        {"role": "tool", "tool_call_id": "call_b", "content": "Error: no"},
        {"role": "tool", "tool_call_id": "call_a", "content": "rain"},
        {"role": "user", "content": "And now?"},
    ]


def halved(calls: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each call with what is before the value in its arguments."""
    for call in calls:
        before = call["function"]["arguments"].partition(":")[0] + ":"
        yield {**call, "function": {**call["function"], "arguments": before}}


def test_reasoning_of_another_provider_is_thinking_and_does_not_go_back_to_it(scene: Scene) -> None:
    thought = {"content": "4", "reasoning_content": "2+2"}

    async def ask(client: anthropic.AsyncAnthropic) -> None:
        scene.provider.scripts["gpt"] = says(completion(choices=chosen(thought)))
        told = await client.messages.create(model="m/gpt", max_tokens=9, messages=HI)
        assert [block.to_dict() for block in told.content] == [
            {"type": "thinking", "thinking": "2+2", "signature": ""},
            {"type": "text", "text": "4"},
        ]
        turns: Any = [*HI, {"role": "assistant", "content": told.content}, *HI]
        await client.messages.create(model="m/gpt", max_tokens=9, messages=turns)

    asked(scene, ask)
    assert scene.provider.body("gpt")["messages"][1] == {"role": "assistant", "content": "4"}


def test_a_stream_has_anthropics_events_in_their_order(scene: Scene) -> None:
    scene.provider.scripts["gpt"] = says(streamed(events("one ", "two", usage=used(11, 2))))

    async def ask(client: anthropic.AsyncAnthropic) -> None:
        stream = await client.messages.create(model="m/gpt", max_tokens=9, messages=HI, stream=True)
        kinds = [told.type async for told in stream]
        assert kinds == [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]

    asked(scene, ask)
