"""OpenAI's own Python SDK drives the gateway over a socket, as its users do."""

import asyncio
import json
from collections.abc import Iterator

import openai
import pydantic
import pytest
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam, ChatCompletionToolParam

from conftest import Running
from published_schema import valid, valid_answer, valid_stream, valid_usage

ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "one two three four"}]
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather at a place",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["place", "unit"],
            "additionalProperties": False,
        },
    },
}


class Place(pydantic.BaseModel):
    name: str
    inhabitants: int


@pytest.fixture
def client(gateway: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=gateway.base_url, api_key=gateway.key, max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


def test_each_answer_and_chunk_is_openais_published_schema(client: openai.OpenAI) -> None:
    options: dict[str, object] = {"model": "sim/text", "messages": ASKED, "n": 2}
    for more in ({}, {"tools": [WEATHER], "tool_choice": "required"}, {"max_tokens": 2}):
        whole = client.post("/chat/completions", body={**options, **more}, cast_to=bytes)
        with_usage = {"stream": True, "stream_options": {"include_usage": True}}
        stream = client.post("/chat/completions", body={**options, **more, **with_usage}, cast_to=bytes)

        told = json.loads(whole)
        valid_answer(told)
        valid_usage(told["usage"])
        lines = [line.removeprefix(b"data: ") for line in stream.split(b"\n") if line]
        *chunks, counted, done = lines
        valid_stream(chunks)
        assert valid(ChatCompletionChunk, counted).usage == CompletionUsage(**told["usage"])
        assert done == b"[DONE]"


def test_an_answer_has_the_text_the_model_the_reason_it_ended_and_its_usage(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="sim/echo", messages=ASKED)

    assert answer.object == "chat.completion"
    assert answer.model == "sim/echo"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content == "one two three four"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 4
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 4


def test_both_names_of_the_limit_end_the_answer_with_length(client: openai.OpenAI) -> None:
    older = client.chat.completions.create(model="sim/echo", messages=ASKED, max_tokens=2)
    newer = client.chat.completions.create(model="sim/echo", messages=ASKED, max_completion_tokens=3)

    assert older.choices[0].finish_reason == newer.choices[0].finish_reason == "length"
    assert older.choices[0].message.content == "one two"
    assert newer.choices[0].message.content == "one two three"


def test_a_stream_tells_its_role_first_its_end_last_and_no_usage_unasked(client: openai.OpenAI) -> None:
    with client.chat.completions.create(model="sim/echo", messages=ASKED, stream=True) as stream:
        chunks = list(stream)

    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two three four"
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop"
    assert {chunk.model for chunk in chunks} == {"sim/echo"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert all("usage" not in chunk.model_fields_set for chunk in chunks)


def test_a_stream_that_was_asked_for_its_usage_tells_it_once_at_the_end(client: openai.OpenAI) -> None:
    with client.chat.completions.create(
        model="sim/echo", messages=ASKED, stream=True, stream_options={"include_usage": True}
    ) as stream:
        *before, last = list(stream)

    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 4
    assert all(chunk.usage is None and "usage" in chunk.model_fields_set for chunk in before)


def test_the_streaming_aid_puts_the_whole_answer_together(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="sim/echo", messages=ASKED) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_completion()

    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert answer.choices[0].message.content == "one two three four"


def test_a_forced_tool_is_called_and_its_result_goes_back(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(
        model="sim/text", messages=ASKED, tools=[WEATHER], tool_choice="required"
    )
    called = (first.choices[0].message.tool_calls or [])[0]
    assert called.type == "function"
    second = client.chat.completions.create(
        model="sim/text",
        messages=[
            *ASKED,
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": called.id,
                        "type": "function",
                        "function": {"name": called.function.name, "arguments": called.function.arguments},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": called.id, "content": "sunny"},
        ],
        tools=[WEATHER],
    )

    assert first.choices[0].finish_reason == "tool_calls"
    assert called.function.name == "weather"
    assert set(json.loads(called.function.arguments)) == {"place", "unit"}
    assert second.choices[0].message.content


def test_a_streamed_tool_call_is_put_together_by_the_streaming_aid(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="sim/text", messages=ASKED, tools=[WEATHER], tool_choice="required"
    ) as stream:
        for _ in stream:
            pass
        answer = stream.get_final_completion()

    called = (answer.choices[0].message.tool_calls or [])[0]
    assert called.function.name == "weather"
    assert set(json.loads(called.function.arguments)) == {"place", "unit"}
    assert answer.choices[0].finish_reason == "tool_calls"


def test_an_answer_is_parsed_into_the_type_that_was_asked_for(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(model="sim/text", messages=ASKED, response_format=Place)

    assert isinstance(answer.choices[0].message.parsed, Place)


def test_models_are_listed_and_retrieved_by_ids_with_a_slash(client: openai.OpenAI) -> None:
    listed = [model.id for model in client.models.list()]
    one = client.models.retrieve("sim/echo")

    assert listed == sorted(listed)
    assert {"gpt-6-astra", "sim/echo", "sim/slow", "sim/text"} <= set(listed)
    assert one.id == "sim/echo"
    assert one.object == "model"


def test_a_key_with_a_list_sees_and_calls_just_the_models_on_it(
    client: openai.OpenAI, gateway: Running
) -> None:
    narrow = client.with_options(api_key=gateway.narrow)

    assert [model.id for model in narrow.models.list()] == ["sim/echo"]
    with pytest.raises(openai.PermissionDeniedError) as refused:
        narrow.chat.completions.create(model="sim/text", messages=ASKED)
    assert refused.value.code == "model_not_allowed"


def test_a_wrong_key_is_refused(client: openai.OpenAI) -> None:
    stranger = client.with_options(api_key="sk-nobody")

    with pytest.raises(openai.AuthenticationError) as refused:
        stranger.chat.completions.create(model="sim/echo", messages=ASKED)

    assert refused.value.code == "invalid_api_key"
    assert refused.value.type == "user"
    assert refused.value.request_id


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as called:
        client.chat.completions.create(model="nobody/knows", messages=ASKED)
    with pytest.raises(openai.NotFoundError) as looked_up:
        client.models.retrieve("nobody/knows")

    assert called.value.code == looked_up.value.code == "model_not_found"
    assert called.value.param == "model"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "nobody", "content": "x"}]}, "messages[0].role"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"tools": "weather"}, "tools"),
    ],
)
def test_a_wrong_parameter_is_named(client: openai.OpenAI, body: dict[str, object], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="sim/echo", messages=ASKED, extra_body=body)

    assert refused.value.code == "invalid_request_error"
    assert refused.value.param == param


def test_an_empty_wallet_cannot_call_and_the_answer_says_what_it_lacks(
    client: openai.OpenAI, gateway: Running
) -> None:
    poor = client.with_options(api_key=gateway.poor)

    with pytest.raises(openai.APIStatusError) as refused:
        poor.chat.completions.create(model="sim/echo", messages=ASKED)

    assert refused.value.status_code == 402
    assert refused.value.code == "wallet_empty"
    assert isinstance(refused.value.body, dict)
    assert refused.value.body["deeptoken"]["reason"] == "insufficient_credit"


def test_a_provider_that_is_down_is_an_error_of_the_upstream(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as failed:
        client.chat.completions.create(model="broken/503", messages=ASKED)

    assert failed.value.status_code == 503
    assert failed.value.type == "upstream"


def test_a_stream_that_breaks_off_raises_after_what_was_delivered(client: openai.OpenAI) -> None:
    heard: list[str] = []

    with client.chat.completions.create(model="broken/cut", messages=ASKED, stream=True) as stream:
        words = (chunk.choices[0].delta.content or "" for chunk in stream)
        with pytest.raises(openai.APIError) as failed:
            heard.extend(words)

    assert len("".join(heard).split()) == 5
    assert failed.value.type == "upstream"


def test_the_headers_tell_the_request_the_channel_and_the_cost(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="sim/echo", messages=ASKED, extra_headers={"X-Request-Id": "mine"}
    )
    usage = raw.parse().usage
    assert usage is not None

    assert raw.headers["x-request-id"] == "mine"
    assert raw.headers["x-deeptoken-channel"] == "sim"
    assert raw.headers["x-deeptoken-attempts"] == "1"
    assert float(raw.headers["x-deeptoken-cost"]) == usage.prompt_tokens + 2 * usage.completion_tokens


def test_a_client_that_leaves_mid_stream_pays_for_what_was_generated(
    client: openai.OpenAI, gateway: Running
) -> None:
    stream = client.chat.completions.create(
        model="sim/slow", messages=ASKED, stream=True, extra_headers={"X-Request-Id": "left"}
    )
    for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    stream.close()

    row = settled(client, "left")
    assert row["outcome"] == "cancelled"
    assert float(str(row["charged"])) > 0


def settled(client: openai.OpenAI, request: str) -> dict[str, object]:
    """The usage row of a request, once it is there: asked for, not waited for."""
    for _ in range(2_000):
        try:
            return client.get("/generation", cast_to=dict[str, object], options={"params": {"id": request}})
        except openai.NotFoundError:
            continue
    pytest.fail(f"{request} was never settled")


def test_many_calls_at_once_each_get_their_own_answer(gateway: Running) -> None:
    async def ask(client: openai.AsyncOpenAI, text: str) -> str | None:
        answer = await client.chat.completions.create(
            model="sim/echo", messages=[{"role": "user", "content": text}]
        )
        return answer.choices[0].message.content

    async def listen(client: openai.AsyncOpenAI, text: str) -> str:
        stream = await client.chat.completions.create(
            model="sim/echo", messages=[{"role": "user", "content": text}], stream=True
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def everyone() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key=gateway.key) as client:
            asking = [ask(client, f"whole {number}") for number in range(20)]
            listening = [listen(client, f"streamed {number}") for number in range(20)]
            return await asyncio.gather(*asking, *listening)

    heard = asyncio.run(everyone())

    assert heard == [f"whole {n}" for n in range(20)] + [f"streamed {n}" for n in range(20)]
