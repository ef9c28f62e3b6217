"""The events of a streamed response leave in order, as they come, whoever answers."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from claude_scene import block, ended, started, text_block
from openai_scene import (
    TEXT,
    begun,
    delta,
    kinds,
    message_item,
    natively,
    numbered,
    openai_scene,
    opened,
    response,
    rest,
    said,
    says_text,
    streams,
)
from provider_scene import (
    DONE,
    Scene,
    chunk,
    events,
    says,
    stream_head,
    streamed,
)

from upstreams import Received

COMMENT = b": keep-alive\n\n"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with openai_scene(tmp_path_factory.mktemp("streams")) as scene:
        yield scene


@pytest.mark.parametrize("model", ["m/chat", "m/claude", "m/native", "sim/echo"])
def test_a_text_is_told_from_its_response_s_beginning_to_its_end(model: str, scene: Scene) -> None:
    says_text(scene, "Good ", "day.", stream=True)

    async def main() -> None:
        found = await streams(scene, model, input="Good day.")
        assert kinds(found) == TEXT
        assert "".join(event["delta"] for event in found if "delta" in event) == "Good day."
        first, last = found[0]["response"], found[-1]["response"]
        assert (first["status"], first["usage"], first["output"]) == ("in_progress", None, [])
        assert (last["status"], last["id"], last["created_at"]) == (
            "completed",
            first["id"],
            first["created_at"],
        )
        assert last["output"] == [found[-2]["item"]]
        assert last["usage"]["output_tokens"] > 0

    scene.run(main)


THOUGHT_TEXT_AND_CALL = [
    "created",
    "in_progress",
    "output_item.added",
    "content_part.added",
    "reasoning_text.delta",
    "reasoning_text.done",
    "content_part.done",
    "output_item.done",
    *TEXT[2:5],
    *TEXT[6:9],
    "output_item.added",
    "function_call_arguments.delta",
    "function_call_arguments.done",
    "output_item.done",
    "completed",
]


@pytest.mark.parametrize("model", ["m/chat", "m/claude"])
def test_thoughts_text_and_calls_are_items_one_after_the_other(model: str, scene: Scene) -> None:
    function = {"name": "now", "arguments": "{}"}
    call: Any = {"index": 0, "id": "call_1", "type": "function", "function": function}
    scene.provider.scripts |= {
        "chat": says(
            streamed(
                delta(role="assistant", reasoning_content="Hm.")
                + delta(content="Wait.")
                + delta(tool_calls=[call])
                + chunk(finish="tool_calls")
                + DONE
            )
        ),
        "claude": says(
            streamed(
                started()
                + block(
                    0,
                    {"type": "thinking", "thinking": "", "signature": ""},
                    {"type": "thinking_delta", "thinking": "Hm."},
                    {"type": "signature_delta", "signature": "Eq=="},
                )
                + text_block(1, "Wait.")
                + block(
                    2,
                    {"type": "tool_use", "id": "call_1", "name": "now", "input": {}},
                    {"type": "input_json_delta", "partial_json": "{}"},
                )
                + ended("tool_use")
            )
        ),
    }

    async def main() -> None:
        tool = {"type": "function", "name": "now", "parameters": {"type": "object", "properties": {}}}
        found = await streams(scene, model, tools=[tool])
        assert kinds(found) == THOUGHT_TEXT_AND_CALL
        thought, message, called = found[-1]["response"]["output"]
        assert [thought["type"], message["type"], called["type"]] == ["reasoning", "message", "function_call"]
        assert (called["call_id"], called["arguments"]) == ("call_1", "{}")

    scene.run(main)


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
@pytest.mark.parametrize("model", ["m/chat", "m/native"])
def test_a_stream_is_the_same_however_it_is_cut(model: str, size: int, scene: Scene) -> None:
    raws = {
        "m/chat": stream_head() + events("grüße ", "🙂 \u2028"),
        "m/native": natively("grüße ", "🙂 \u2028"),
    }

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = raws[model]
        for place in range(0, len(raw), size):
            writer.write(raw[place : place + size])
            await asyncio.sleep(0)
        writer.close()

    scene.provider.scripts[model.removeprefix("m/")] = script

    async def main() -> None:
        found = await streams(scene, model)
        assert kinds(found) == TEXT
        assert found[-1]["response"]["output"][0]["content"][0]["text"] == "grüße 🙂 \u2028"

    scene.run(main)


def test_events_of_the_host_pass_as_they_came_but_for_the_model(scene: Scene) -> None:
    odd = {"type": "response.tomorrow.delta", "output_index": 0, "x": [1e2], "delta": {"a": 1}}
    opening, text = begun(), said("Good ", "day")
    last = {
        "type": "response.completed",
        "response": response(message_item({"text": "Good day"}), own=1e2),
    }
    raw = numbered(*opening, *text[:3], odd, *text[3:], last)
    scene.provider.scripts["native"] = says(streamed(b": hello\n\n" + raw))

    async def main() -> None:
        client, _ = await opened(scene, "m/native")
        heard = await rest(client)
        sent, told = raw.split(b"\n\n"), heard.split(b"\n\n")
        assert len(sent) == len(told)
        with_response = (0, 1, len(sent) - 2)
        for at, (theirs, ours) in enumerate(zip(sent, told, strict=True)):
            if at not in with_response:
                assert ours == theirs
            else:
                before, after = (json.loads(one.partition(b"data: ")[2]) for one in (theirs, ours))
                before["response"]["model"] = "m/native"
                assert after == before

    scene.run(main)


CITED = {"url": "http://a", "title": "A", "start_index": 0, "end_index": 2}
EVERYTHING = b"".join(
    (
        delta(role="assistant", reasoning_content="Hm."),
        delta(content="So", annotations=[{"type": "url_citation", "url_citation": CITED}]),
        delta(refusal="No."),
        delta(images=[{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]),
        chunk(finish="stop"),
        DONE,
    )
)
ITEM_AND_PART = ["output_item.added", "content_part.added"]
PART_AND_ITEM = ["content_part.done", "output_item.done"]
THOUGHT = {
    None: [*ITEM_AND_PART, "reasoning_text.delta", "reasoning_text.done", *PART_AND_ITEM],
    "auto": [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ],
}
REST = [
    *ITEM_AND_PART,
    "output_text.delta",
    "output_text.annotation.added",
    "output_text.done",
    "content_part.done",
    "content_part.added",
    "refusal.delta",
    "refusal.done",
    *PART_AND_ITEM,
    "output_item.added",
    "output_item.done",
    "completed",
]


@pytest.mark.parametrize("summary", THOUGHT)
def test_thoughts_citations_refusals_and_pictures_have_events_of_their_own(
    summary: str | None, scene: Scene
) -> None:
    scene.provider.scripts["chat"] = says(streamed(EVERYTHING))

    async def main() -> None:
        found = await streams(scene, "m/chat", reasoning={"effort": "low", "summary": summary})
        assert kinds(found) == ["created", "in_progress", *THOUGHT[summary], *REST]
        thought, message, picture = found[-1]["response"]["output"]
        assert [part["text"] for part in thought["summary" if summary else "content"]] == ["Hm."]
        text, refusal = message["content"]
        assert (text["text"], text["annotations"]) == ("So", [{"type": "url_citation", **CITED}])
        assert refusal == {"type": "refusal", "refusal": "No."}
        assert (picture["type"], picture["result"]) == ("image_generation_call", "iVBORw0KGgo=")

    scene.run(main)
