"""What else a request of Responses may say, and how an answer may end, from models of any dialect."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pydantic
import pytest
from claude_scene import chosen, message_events, text_block, whole_message
from openai_scene import (
    asked,
    both_ways,
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
from provider_scene import (
    DONE,
    HEAD,
    Scene,
    chunk,
    completion,
    event,
    events,
    nothing_is_held,
    says,
    streamed,
)

PICTURE = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with openai_scene(tmp_path_factory.mktemp("words")) as scene:
        yield scene


class Place(pydantic.BaseModel):
    name: str
    inhabitants: int


@both_ways
@pytest.mark.parametrize("model", ["sim/text", "m/chat", "m/claude", "m/native"])
def test_an_answer_is_parsed_into_the_type_that_was_asked_for(model: str, stream: bool, scene: Scene) -> None:
    told = '{"name": "Oslo", "inhabitants": 700000}'
    says_text(scene, told, stream=stream)

    async def main(client: openai.AsyncOpenAI) -> None:
        options: Any = {"model": model, "input": "Where?", "text_format": Place}
        if stream:
            async with client.responses.stream(**options) as heard:
                answer: Any = await heard.get_final_response()
        else:
            answer = await client.responses.parse(**options)
        assert isinstance(answer.output_parsed, Place)
        # The script of the native host does not repeat what was asked of it.
        assert model == "m/native" or answer.text.format.type == "json_schema"

    asked(scene, main)
    if model == "m/chat":
        form = scene.provider.body("chat")["response_format"]
        assert (form["type"], form["json_schema"]["name"], form["json_schema"]["strict"]) == (
            "json_schema",
            "Place",
            True,
        )


@everywhere
def test_a_picture_is_shown_to_the_model(model: str, scene: Scene) -> None:
    says_text(scene, "Good ", "day.", stream=False)

    async def main(client: openai.AsyncOpenAI) -> None:
        parts = [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": PICTURE}]
        items: Any = [{"role": "user", "content": parts}]
        told = await client.responses.create(model=model, input=items)
        assert told.output_text == "Good day."

    asked(scene, main)
    sent = json.dumps(scene.provider.body(model.removeprefix("m/")))
    assert PICTURE.partition(",")[2] in sent


@both_ways
@everywhere
def test_an_answer_that_was_cut_short_is_incomplete_and_says_why(
    model: str, stream: bool, scene: Scene
) -> None:
    cut = message_item({"text": "Good"}, status="incomplete")
    why = {"reason": "max_output_tokens"}
    *begun, done = said("Good")
    native = {"status": "incomplete", "incomplete_details": why}
    if stream:
        answers = (
            streamed(events("Good", finish="length")),
            message_events(text_block(0, "Good"), stop="max_tokens"),
            native_events(*begun, {**done, "item": cut}, output=[cut], **native),
        )
    else:
        answers = (
            completion(choices=chosen({"content": "Good"}, "length")),
            whole_message({"type": "text", "text": "Good"}, stop="max_tokens"),
            whole_response(cut, **native),
        )
    scene.provider.scripts |= zip(("chat", "claude", "native"), map(says, answers), strict=True)

    async def main(client: openai.AsyncOpenAI) -> None:
        options: Any = {"model": model, "input": "hello", "max_output_tokens": 16, "stream": stream}
        answer: Any = await client.responses.create(**options)
        if stream:
            *_, last = [event async for event in answer]
            assert last.type == "response.incomplete"
            answer = last.response
        assert (answer.status, answer.output_text, answer.completed_at) == ("incomplete", "Good", None)
        assert answer.incomplete_details.to_dict() == why
        assert answer.output[0].status == "incomplete"

    asked(scene, main)
    sent = scene.provider.body(model.removeprefix("m/"))
    names = {"m/chat": "max_completion_tokens", "m/claude": "max_tokens", "m/native": "max_output_tokens"}
    assert sent[names[model]] == 16
    scene.run(lambda: nothing_is_held(scene.gateway))


@both_ways
def test_a_refusal_is_a_part_of_its_own_and_a_filter_ends_the_answer(stream: bool, scene: Scene) -> None:
    refused = delta(role="assistant", content=None) + delta(refusal="I can") + delta(refusal="not.")
    filtered = delta(role="assistant", content="Go")

    async def main(client: openai.AsyncOpenAI) -> None:
        scene.provider.scripts["chat"] = says(
            streamed(refused + chunk(finish="stop") + DONE)
            if stream
            else completion(choices=chosen({"refusal": "I cannot."}))
        )
        told = await heard(client, stream=stream, model="m/chat", input="hello")
        (item,) = told.output
        assert item.type == "message"
        assert [part.to_dict() for part in item.content] == [{"type": "refusal", "refusal": "I cannot."}]
        assert (told.status, told.output_text) == ("completed", "")

        scene.provider.scripts["chat"] = says(
            streamed(filtered + chunk(finish="content_filter") + DONE)
            if stream
            else completion(choices=chosen({"content": "Go"}, "content_filter"))
        )
        answer: Any = await client.responses.create(model="m/chat", input="hello", stream=stream)
        if stream:
            *_, last = [event async for event in answer]
            answer = last.response
        assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "content_filter")

    asked(scene, main)


@both_ways
def test_log_probabilities_are_told_where_they_are_asked_for(stream: bool, scene: Scene) -> None:
    token = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    logprobs = {"content": [token | {"top_logprobs": [{"token": "Hi", "logprob": -0.5, "bytes": None}]}]}
    choice = {"index": 0, "delta": {"content": "Hi"}, "logprobs": logprobs, "finish_reason": None}
    raw = streamed(event({**HEAD, "choices": [choice]}) + chunk(finish="stop") + DONE)
    (whole,) = chosen({"content": "Hi"})
    scene.provider.scripts["chat"] = says(
        raw if stream else completion(choices=[whole | {"logprobs": logprobs}])
    )

    async def main(client: openai.AsyncOpenAI) -> None:
        include: Any = ["message.output_text.logprobs"]
        options: Any = {"model": "m/chat", "input": "hello", "include": include, "top_logprobs": 1}
        told = await heard(client, stream=stream, **options)
        message = told.output[0]
        assert message.type == "message"
        part = message.content[0]
        assert part.type == "output_text"
        assert part.logprobs is not None
        assert [(one.token, one.logprob, len(one.top_logprobs)) for one in part.logprobs] == [("Hi", -0.5, 1)]
        assert told.top_logprobs == 1

    asked(scene, main)
    sent = scene.provider.body("chat")
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 1)
