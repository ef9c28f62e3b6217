"""What the mock says in Bedrock's dialect, as it is written."""

import json
from typing import Any

import pytest
from mock_scene import played, told

from aws_frames import event
from deeptoken.mock import Mock
from deeptoken.wire import eventstream

MESSAGES: Any = [{"role": "user", "content": [{"text": "hello there"}]}]
SCHEMA: Any = {"type": "object", "properties": {"days": {"minimum": 3}}, "required": ["days"]}
TOOLS: Any = [{"toolSpec": {"name": "plan", "inputSchema": {"json": SCHEMA}}}]


def test_an_answer_has_content_usage_and_an_end() -> None:
    answer = told(played("/model/sim/echo/converse", {"messages": MESSAGES}))

    assert answer["output"]["message"] == {"role": "assistant", "content": [{"text": "hello there"}]}
    assert answer["stopReason"] == "end_turn"
    assert answer["usage"] == {"inputTokens": 2, "outputTokens": 2, "totalTokens": 4}


def test_a_stream_is_frames_at_its_pace() -> None:
    answer = played("/model/echo/converse-stream", {"messages": MESSAGES}, delay=3, pace=2)

    steps = list(answer.steps)
    assert answer.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert [step.wait_s for step in steps] == [0, 3, 0.5, 0, 0]
    frames = list(eventstream.Reader().feed(b"".join(step.data for step in steps)))
    assert [frame.text(":event-type") for frame in frames] == [
        "messageStart",
        "contentBlockDelta",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]
    assert json.loads(frames[-1].payload)["usage"]["outputTokens"] == 2


def test_a_frame_is_written_as_aws_writes_it() -> None:
    headers = {":event-type": "messageStart", ":content-type": "application/json", ":message-type": "event"}

    written = eventstream.written(headers, b'{"role": "assistant"}')

    assert written == event("messageStart", role="assistant")


def test_a_call_comes_in_frames() -> None:
    body = {"messages": MESSAGES, "toolConfig": {"tools": TOOLS, "toolChoice": {"any": {}}}}

    answer = played("/model/text/converse-stream", body)

    _, begun, *pieces = eventstream.Reader().feed(b"".join(step.data for step in answer.steps))
    assert json.loads(begun.payload)["start"]["toolUse"]["name"] == "plan"
    told = (json.loads(piece.payload)["delta"]["toolUse"]["input"] for piece in pieces[:-3])
    assert json.loads("".join(told)) == {"days": 3}
    assert json.loads(pieces[-2].payload) == {"stopReason": "tool_use"}


@pytest.mark.parametrize(("status", "kind"), [(429, "ThrottlingException"), (529, "InternalServerException")])
@pytest.mark.parametrize("how", ["converse", "converse-stream"])
def test_an_error_is_a_named_exception(how: str, status: int, kind: str) -> None:
    answer = played(f"/model/error-{status}/{how}", {"messages": MESSAGES})

    assert answer.status == status
    assert told(answer) == {"__type": kind, "message": f"sim was asked to answer {status}."}


@pytest.mark.parametrize("odd", [None, 5, "plan", ["plan"], {"name": 5}])
def test_a_tool_or_a_result_of_an_odd_shape_ends_nothing(odd: Any) -> None:
    result = {"toolResult": {"toolUseId": "a", "content": [odd, {"json": {"sun": True}}]}}
    turn = [{"role": "user", "content": [result]}]

    heard = played("/model/text/converse", {"messages": turn})
    refused = played(
        "/model/text/converse", {"messages": MESSAGES, "toolConfig": {"tools": [{"toolSpec": odd or []}]}}
    )

    assert (heard.status, refused.status) == (200, 400)


@pytest.mark.parametrize(
    ("how", "status", "kind"),
    [("converse", 400, "ValidationException"), ("invoke", 404, "ResourceNotFoundException")],
)
def test_what_is_no_request_is_refused_in_the_dialect(how: str, status: int, kind: str) -> None:
    answer = Mock().answer("POST", f"/model/text/{how}", b"{")

    assert (answer.status, told(answer)["__type"]) == (status, kind)
