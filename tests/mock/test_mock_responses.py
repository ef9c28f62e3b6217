"""The mock's Responses: through a channel whose host has them, nothing is translated on the way."""

import asyncio
import json
from pathlib import Path
from typing import Any

import openai
import pytest
from mock_scene import asked, played, told

from deeptoken import mock
from deeptoken.mock import Mock
from whole_scene import Whole

CHANNEL = 'provider = "openai"\nbase_url = "{host}/v1"\napi_key = "any"\nresponses = true'
TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"enum": ["Oslo"]}}, "required": ["city"]},
    "strict": False,
}
BODY: Any = {"model": "echo", "input": "hello there"}


def test_an_answer_comes_through_whole_and_streamed_and_is_counted(tmp_path: Path) -> None:
    async def ask(client: openai.AsyncOpenAI, gateway: Whole) -> None:
        whole = await client.responses.create(model="m/echo", input="hello there", instructions="be brief")
        async with client.responses.stream(
            model="m/echo", input="hello there", instructions="be brief"
        ) as stream:
            words = [event.delta async for event in stream if event.type == "response.output_text.delta"]
            streamed = await stream.get_final_response()
        assert (whole.output_text, streamed.output_text) == ("hello there", "hello there")
        assert words == ["hello", " there"]
        assert (whole.status, streamed.status) == ("completed", "completed")
        for row in await gateway.settled(2):
            assert (row.outcome, row.charged, row.estimated) == ("complete", 4_000 + 2 * 2_000, False)
            # The mock's own: it was asked for a response, not for a chat.
            assert (row.upstream_id or "").startswith("resp_")
        assert whole.usage is not None
        assert (whole.usage.input_tokens, whole.usage.output_tokens) == (4, 2)

    asked(tmp_path, CHANNEL, ask)


def test_a_tool_is_called_whole_and_streamed_and_its_result_answered(tmp_path: Path) -> None:
    async def ask(client: openai.AsyncOpenAI, gateway: Whole) -> None:
        wish: Any = {"model": "m/text", "input": "hello", "tools": [TOOL], "tool_choice": "required"}
        whole = await client.responses.create(**wish)
        async with client.responses.stream(**wish) as stream:
            streamed = await stream.get_final_response()
        for answer in (whole, streamed):
            [call] = json.loads(answer.model_dump_json(exclude_none=True))["output"]
            assert (call["type"], call["name"]) == ("function_call", "get_weather")
            assert json.loads(call["arguments"]) == {"city": "Oslo"}
        said: Any = [
            {"role": "user", "content": "get_weather"},
            call,
            {"type": "function_call_output", "call_id": call["call_id"], "output": "rain in Oslo"},
        ]
        last = await client.responses.create(model="m/text", input=said, tools=[TOOL])
        assert last.output_text

    asked(tmp_path, CHANNEL, ask)


def test_a_limit_ends_it_incomplete(tmp_path: Path) -> None:
    async def ask(client: openai.AsyncOpenAI, gateway: Whole) -> None:
        answer = await client.responses.create(model="m/text", input="hello", max_output_tokens=16)
        assert answer.status == "incomplete"
        assert answer.incomplete_details is not None
        assert answer.incomplete_details.reason == "max_output_tokens"
        assert len(answer.output_text.split()) == 16

    asked(tmp_path, CHANNEL, ask)


@pytest.mark.parametrize("stream", [False, True])
def test_errors_keep_their_status_words_and_wait(stream: Any, tmp_path: Path) -> None:
    async def ask(client: openai.AsyncOpenAI, gateway: Whole) -> None:
        with pytest.raises(openai.BadRequestError, match="sim was asked to answer 400"):
            await client.responses.create(model="m/error-400", input="hello", stream=stream)
        with pytest.raises(openai.RateLimitError) as refused:
            await client.responses.create(model="m/error-429-7", input="hello", stream=stream)
        assert 1 <= int(refused.value.response.headers["retry-after"]) <= 7
        for name in ("m/error-503", "m/empty"):
            with pytest.raises(openai.InternalServerError):
                await client.responses.create(model=name, input="hello", stream=stream)

    asked(tmp_path, CHANNEL, ask)


def test_cut_breaks_off_after_five_words() -> None:
    answer = played("/v1/responses", BODY | {"model": "cut", "stream": True})

    events = b"".join(step.data for step in answer.steps)
    assert answer.breaks
    assert events.count(b"event: response.output_text.delta") == 5
    assert b"response.completed" not in events


def test_delay_and_pace_stand_between_the_words_of_a_stream() -> None:
    answer = played("/v1/responses", BODY | {"stream": True}, delay=3, pace=2)

    assert [step.wait_s for step in answer.steps] == [0, 3, 0.5, 0, 0]


def test_openais_client_asks_the_mock_itself() -> None:
    async def run() -> str:
        async with (
            mock.running() as url,
            openai.AsyncOpenAI(base_url=url, api_key="any", max_retries=0, timeout=10) as client,
        ):
            answer = await client.responses.create(model="echo", input="hello there")
            return answer.output_text

    assert asyncio.run(run()) == "hello there"


def test_what_is_no_request_is_refused_and_named() -> None:
    answer = Mock().answer("POST", "/v1/responses", b'{"model": "text", "input": 7}')

    assert (answer.status, told(answer)["error"]["param"]) == (400, "input")
