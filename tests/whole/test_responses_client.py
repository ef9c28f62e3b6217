"""Clients of OpenAI's Responses are served by models of any dialect, shown through OpenAI's own client."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from claude_scene import block, calls_of, chosen, message_events, tool_block, whole_message
from openai_scene import (
    WEATHER,
    asked,
    both_ways,
    call,
    delta,
    everywhere,
    heard,
    message_item,
    native_events,
    openai_scene,
    said,
    says_text,
    whole_response,
)
from provider_scene import DONE, Scene, chunk, completion, says, streamed

CALLS = ("call_1", "call_2")
NAME = "get_weather"
OSLO = {"city": "Oslo"}
PIECES = ('{"city":', ' "Oslo"}')


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with openai_scene(tmp_path_factory.mktemp("responses")) as scene:
        yield scene


@both_ways
@everywhere
def test_a_text_comes_from_every_dialect_with_the_callers_own_name_of_the_model(
    model: str, stream: bool, scene: Scene
) -> None:
    says_text(scene, "Good ", "day.", stream=stream)

    async def main(client: openai.AsyncOpenAI) -> None:
        told = await heard(client, stream=stream, model=model, input="hello", instructions="Be brief.")
        assert (told.output_text, told.status, told.model) == ("Good day.", "completed", model)
        assert "hidden" not in told.to_json()
        assert told.usage is not None
        assert told.usage.total_tokens == told.usage.input_tokens + told.usage.output_tokens

    asked(scene, main)
    sent = scene.provider.body(model.removeprefix("m/"))
    assert sent["model"] == f"hidden-{model.removeprefix('m/')}"
    match model:
        case "m/chat":
            assert [said["content"] for said in sent["messages"]] == ["Be brief.", "hello"]
        case "m/claude":
            assert ("Be brief." in json.dumps(sent["system"]), len(sent["messages"])) == (True, 1)
        case "m/native":
            assert (sent["instructions"], sent["input"]) == ("Be brief.", "hello")


@both_ways
def test_sim_answers_and_repeats_what_was_asked_of_it(stream: bool, scene: Scene) -> None:
    wishes: Any = {
        "instructions": "Be brief.",
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 40,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low"},
        "tools": [WEATHER],
        "tool_choice": "none",
        "user": "u-1",
        "prompt_cache_key": "k",
        "truncation": "disabled",
    }

    async def main(client: openai.AsyncOpenAI) -> None:
        told = await heard(client, stream=stream, model="sim/echo", input="one two three", **wishes)
        assert (told.output_text, told.status) == ("one two three", "completed")
        assert told.usage is not None
        assert (told.usage.input_tokens, told.usage.output_tokens) == (5, 3)
        fields = told.to_dict()
        for name in wishes.keys() - {"tools", "reasoning"}:
            assert fields[name] == wishes[name], name
        assert told.reasoning is not None
        assert told.reasoning.effort == "low"
        assert [tool.type for tool in told.tools] == ["function"]
        assert (told.error, told.incomplete_details, told.previous_response_id) == (None, None, None)
        assert told.completed_at is not None
        assert told.created_at <= told.completed_at
        assert fields["store"] is False

    asked(scene, main)


# Tools


def says_two_calls(scene: Scene, *, stream: bool) -> None:
    """Both ask for Oslo; streamed, the arguments come in pieces, the chat's mixed."""
    chats = calls_of(*((id, NAME, "".join(PIECES)) for id in CALLS))
    mixed = b"".join(delta(tool_calls=[call(at, "", id=id, name=NAME)]) for at, id in enumerate(CALLS))
    mixed += b"".join(delta(tool_calls=[call(at, piece)]) for piece in PIECES for at in (0, 1))
    uses = [{"type": "tool_use", "id": id, "name": NAME, "input": OSLO} for id in CALLS]
    blocks = [tool_block(at, id, NAME, *PIECES) for at, id in enumerate(CALLS)]
    told = {"type": "function_call", "status": "completed", "name": NAME, "arguments": "".join(PIECES)}
    items = [{"id": f"fc_{at}", "call_id": id, **told} for at, id in enumerate(CALLS)]
    events = [
        {"type": f"response.output_item.{kind}", "output_index": at, "item": {**item, **more}}
        for at, item in enumerate(items)
        for kind, more in (("added", {"status": "in_progress", "arguments": ""}), ("done", {}))
    ]
    if stream:
        answers = (
            streamed(mixed + chunk(finish="tool_calls") + DONE),
            message_events(*blocks, stop="tool_use"),
            native_events(*events, output=items),
        )
    else:
        answers = (
            completion(choices=chosen({"tool_calls": chats}, "tool_calls")),
            whole_message(*uses, stop="tool_use"),
            whole_response(*items),
        )
    scene.provider.scripts |= zip(("chat", "claude", "native"), map(says, answers), strict=True)


@both_ways
@everywhere
def test_two_tools_are_called_at_once_and_their_results_go_back(
    model: str, stream: bool, scene: Scene
) -> None:
    says_two_calls(scene, stream=stream)

    async def main(client: openai.AsyncOpenAI) -> None:
        options: Any = {"model": model, "tools": [WEATHER], "tool_choice": "required"}
        told = await heard(client, stream=stream, input="the weather?", **options)
        calls = [item for item in told.output if item.type == "function_call"]
        assert [(call.call_id, call.name) for call in calls] == [(id, NAME) for id in CALLS]
        assert {json.loads(call.arguments)["city"] for call in calls} == {"Oslo"}
        says_text(scene, "Good ", "day.", stream=stream)
        items: Any = [{"role": "user", "content": "the weather?"}, *(item.to_dict() for item in told.output)]
        items += [
            {"type": "function_call_output", "call_id": call.call_id, "output": f"rain {call.call_id}"}
            for call in calls
        ]
        last = await heard(client, stream=stream, input=items, model=model, tools=[WEATHER])
        assert last.output_text == "Good day."

    asked(scene, main)
    sent = scene.provider.body(model.removeprefix("m/"))
    match model:
        case "m/chat":
            _, assistant, *results = sent["messages"]
            assert [call["id"] for call in assistant["tool_calls"]] == list(CALLS)
            assert [(one["tool_call_id"], one["content"]) for one in results] == [
                (id, f"rain {id}") for id in CALLS
            ]
            assert sent["tools"][0]["function"] == {
                name: told for name, told in WEATHER.items() if name != "type"
            }
        case "m/claude":
            _, assistant, results = sent["messages"]
            assert [block["id"] for block in assistant["content"]] == list(CALLS)
            assert [block["tool_use_id"] for block in results["content"]] == list(CALLS)
        case "m/native":
            assert [item.get("call_id") for item in sent["input"][1:]] == [*CALLS, *CALLS]


@both_ways
def test_sim_calls_the_tool_that_it_must(stream: bool, scene: Scene) -> None:
    async def main(client: openai.AsyncOpenAI) -> None:
        choice: Any = {"type": "function", "name": "get_weather"}
        told = await heard(
            client, stream=stream, model="sim/text", input="hm", tools=[WEATHER], tool_choice=choice
        )
        (called,) = told.output
        assert called.type == "function_call"
        assert (called.name, json.loads(called.arguments)) == ("get_weather", {"city": "Oslo"})
        assert told.tool_choice.to_dict() == choice  # type: ignore[union-attr]  # it is the object that was sent

    asked(scene, main)


# What was thought


@both_ways
def test_what_claude_signed_goes_through_the_client_and_back_byte_for_byte(
    stream: bool, scene: Scene
) -> None:
    thinking = {"type": "thinking", "thinking": "2+2", "signature": "Eq+/=="}
    hidden = {"type": "redacted_thinking", "data": "Rd+/=="}
    use = {"type": "tool_use", "id": "call_1", "name": NAME, "input": OSLO}
    deltas = [
        {"type": "thinking_delta", "thinking": "2+"},
        {"type": "thinking_delta", "thinking": "2"},
        {"type": "signature_delta", "signature": "Eq+/=="},
    ]
    blocks = (
        block(0, {"type": "thinking", "thinking": "", "signature": ""}, *deltas),
        block(1, hidden),
        tool_block(2, "call_1", NAME, *PIECES),
    )
    natively = message_events(*blocks, stop="tool_use")
    scene.provider.scripts["claude"] = says(
        natively if stream else whole_message(thinking, hidden, use, stop="tool_use")
    )

    async def main(client: openai.AsyncOpenAI) -> None:
        options: Any = {"model": "m/claude", "tools": [WEATHER], "reasoning": {"effort": "low"}}
        told = await heard(client, stream=stream, input="2+2?", **options)
        thought, called = told.output
        assert (thought.type, called.type) == ("reasoning", "function_call")
        assert thought.type == "reasoning"
        assert thought.content is not None
        assert "".join(part.text for part in thought.content) == "2+2"
        assert thought.encrypted_content
        result = {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
        says_text(scene, "Good ", "day.", stream=stream)
        items: Any = [{"role": "user", "content": "2+2?"}, thought.to_dict(), called.to_dict(), result]
        await heard(client, stream=stream, input=items, **options)

    asked(scene, main)
    _, assistant, _ = scene.provider.body("claude")["messages"]
    assert assistant["content"] == [thinking, hidden, use]


@both_ways
def test_encrypted_reasoning_of_the_host_goes_back_to_it_and_ours_does_not(
    stream: bool, scene: Scene
) -> None:
    thought = {"id": "rs_up", "type": "reasoning", "summary": [], "encrypted_content": "gAAA+/=="}
    text = message_item({"text": "4"})
    begun = {"type": "response.output_item.added", "output_index": 0, "item": thought}
    raw = native_events(
        begun, {**begun, "type": "response.output_item.done"}, *said("4", at=1), output=[thought, text]
    )
    reasoned = [{"reasoning_content": "Hm."}, {"content": "4"}]
    parts = b"".join(delta(**one) for one in reasoned) + chunk(finish="stop") + DONE
    whole = chosen({"content": "4", "reasoning_content": "Hm."})
    scene.provider.scripts |= {
        "native": says(raw if stream else whole_response(thought, text)),
        "chat": says(streamed(parts) if stream else completion(choices=whole)),
    }

    async def main(client: openai.AsyncOpenAI) -> None:
        asked_first: Any = {"role": "user", "content": "2+2?"}
        elsewhere = await heard(client, stream=stream, model="m/chat", input=[asked_first])
        here = await heard(client, stream=stream, model="m/native", input=[asked_first])
        assert [item.type for item in elsewhere.output] == ["reasoning", "message"]
        assert here.output[0].to_dict() == thought
        items: Any = []
        for answer in (elsewhere, here):
            items += [asked_first, *(item.to_dict() for item in answer.output)]
        items.append(asked_first)
        await heard(client, stream=stream, model="m/native", input=items)
        sent = scene.provider.body("native")["input"]
        assert [item.get("type", "asked") for item in sent] == [
            "asked",
            "message",
            "asked",
            "reasoning",
            "message",
            "asked",
        ]
        assert sent[3] == thought
        await heard(client, stream=stream, model="m/chat", input=items)

    asked(scene, main)
    turns = [said for said in scene.provider.body("chat")["messages"] if said["role"] == "assistant"]
    assert [turn["content"] for turn in turns] == ["4", "4"]


def test_a_summary_of_what_was_thought_is_told_where_it_is_asked_for(scene: Scene) -> None:
    whole = chosen({"content": "4", "reasoning_content": "Hm."})
    scene.provider.scripts["chat"] = says(completion(choices=whole))

    async def main(client: openai.AsyncOpenAI) -> None:
        reasoning: Any = {"effort": "high", "summary": "auto"}
        told = await client.responses.create(model="m/chat", input="2+2?", reasoning=reasoning)
        thought = told.output[0]
        assert thought.type == "reasoning"
        assert ([part.text for part in thought.summary], thought.content) == (["Hm."], None)

    asked(scene, main)
    assert scene.provider.body("chat")["reasoning_effort"] == "high"
