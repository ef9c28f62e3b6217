"""What the mock says in Cohere's dialect, as it is written."""

import json
from typing import Any

import pytest
from mock_scene import TOOL, played, told

from deeptoken.mock import Mock
from deeptoken.providers.sim import Played

BODY: Any = {"model": "echo", "messages": [{"role": "user", "content": "hello there"}]}


def events(answer: Played) -> list[Any]:
    written = b"".join(step.data for step in answer.steps).split(b"\n\n")
    return [json.loads(event.partition(b"data: ")[2]) for event in written if b"event: " in event]


def test_an_answer_has_content_usage_and_an_end() -> None:
    answer = told(played("/v2/chat", BODY))

    assert answer["message"] == {"role": "assistant", "content": [{"type": "text", "text": "hello there"}]}
    assert answer["finish_reason"] == "COMPLETE"
    assert answer["usage"]["billed_units"] == {"input_tokens": 2, "output_tokens": 2}


def test_a_stream_has_the_events_of_a_text_at_its_pace() -> None:
    answer = played("/v2/chat", BODY | {"stream": True}, delay=3, pace=2)

    steps = list(answer.steps)
    assert [step.wait_s for step in steps] == [0, 3, 0.5, 0, 0]
    assert steps[-1].data.endswith(b"data: [DONE]\n\n")
    assert [event["type"] for event in events(Played(200, {}, steps))] == [
        "message-start",
        "content-start",
        "content-delta",
        "content-delta",
        "content-end",
        "message-end",
    ]


def test_a_stream_has_the_events_of_a_call() -> None:
    answer = played("/v2/chat", BODY | {"stream": True, "tools": [TOOL], "tool_choice": "REQUIRED"})

    begun, called, *arguments, ended, last = events(answer)
    assert (begun["type"], ended["type"]) == ("message-start", "tool-call-end")
    assert called["delta"]["message"]["tool_calls"]["function"]["name"] == "get_weather"
    given = (event["delta"]["message"]["tool_calls"]["function"]["arguments"] for event in arguments)
    assert json.loads("".join(given)) == {"city": "Oslo"}
    assert last["delta"]["finish_reason"] == "TOOL_CALL"


def test_a_result_in_documents_is_answered_in_words() -> None:
    call = {"id": "now_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    result = [{"type": "document", "document": {"data": "rain in Oslo"}}]
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "get_weather"}]},
        {"role": "assistant", "tool_plan": "I look.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "now_1", "content": result},
    ]

    answer = told(played("/v2/chat", {"model": "text", "messages": messages, "tools": [TOOL]}))

    assert (answer["finish_reason"], answer["usage"]["tokens"]["input_tokens"]) == ("COMPLETE", 4)


@pytest.mark.parametrize(("path", "status"), [("/v2/chat", 400), ("/v2/nothing", 404)])
def test_what_is_no_request_is_refused_in_the_dialect(path: str, status: int) -> None:
    answer = Mock().answer("POST", path, b"{")

    assert answer.status == status
    assert list(told(answer)) == ["message"]
