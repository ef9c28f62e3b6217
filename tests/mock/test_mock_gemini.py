"""What the mock says in Gemini's dialect, as it is written."""

import json
from typing import Any

import pytest
from mock_scene import played, told

from deeptoken.mock import Mock

CONTENTS: Any = [{"role": "user", "parts": [{"text": "hello there"}]}]
PATHS = ("/v1beta/models/{}:", "/v1/projects/p/locations/global/publishers/google/models/{}:")


@pytest.mark.parametrize("path", PATHS)
def test_an_answer_has_parts_usage_and_an_end(path: str) -> None:
    answer = told(played(path.format("sim/echo") + "generateContent", {"contents": CONTENTS}))

    [candidate] = answer["candidates"]
    assert candidate["content"] == {"role": "model", "parts": [{"text": "hello there"}]}
    assert candidate["finishReason"] == "STOP"
    assert answer["usageMetadata"] == {"promptTokenCount": 2, "candidatesTokenCount": 2, "totalTokenCount": 4}
    assert answer["modelVersion"] == "sim/echo"


def test_delay_and_pace_stand_between_the_words_of_a_stream() -> None:
    path = "/v1beta/models/echo:streamGenerateContent"

    answer = played(path, {"contents": CONTENTS}, delay=3, pace=2)

    steps = list(answer.steps)
    assert [step.wait_s for step in steps] == [0, 3, 0.5, 0, 0]
    assert answer.headers["content-type"] == "text/event-stream"
    assert b"finishReason" in steps[-1].data


def test_a_schema_of_the_older_kind_has_its_types_in_capitals() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {"days": {"type": "INTEGER", "minimum": 3}},
        "required": ["days"],
    }
    body = {
        "contents": CONTENTS,
        "tools": [{"functionDeclarations": [{"name": "plan", "parameters": schema}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
    }

    answer = told(played("/v1beta/models/text:generateContent", body))

    [part] = answer["candidates"][0]["content"]["parts"]
    assert (part["functionCall"]["name"], part["functionCall"]["args"]) == ("plan", {"days": 3})


def test_several_candidates_are_told_whole_and_streamed() -> None:
    body = {"contents": CONTENTS, "generationConfig": {"candidateCount": 2}}

    whole = told(played("/v1beta/models/text:generateContent", body))
    stream = played("/v1beta/models/text:streamGenerateContent", body)

    texts = ["", ""]
    for event in b"".join(step.data for step in stream.steps).split(b"\r\n\r\n")[:-1]:
        for candidate in json.loads(event.removeprefix(b"data: "))["candidates"]:
            texts[candidate["index"]] += candidate["content"]["parts"][0]["text"]
    assert texts == [candidate["content"]["parts"][0]["text"] for candidate in whole["candidates"]]


def test_tokens_are_counted_of_contents_or_of_a_whole_request() -> None:
    path = "/v1beta/models/text:countTokens"
    request = {"contents": CONTENTS, "systemInstruction": {"parts": [{"text": "be brief"}]}}

    assert told(played(path, {"contents": CONTENTS})) == {"totalTokens": 2}
    assert told(played(path, {"generateContentRequest": request})) == {"totalTokens": 4}


@pytest.mark.parametrize(("status", "known"), [(429, "RESOURCE_EXHAUSTED"), (529, "UNAVAILABLE")])
def test_an_error_is_googles(status: int, known: str) -> None:
    answer = played(f"/v1beta/models/error-{status}:generateContent", {"contents": CONTENTS})

    assert answer.status == status
    message = f"sim was asked to answer {status}."
    assert told(answer) == {"error": {"code": status, "message": message, "status": known}}


@pytest.mark.parametrize(
    ("method", "status", "known"),
    [
        ("generateContent", 400, "INVALID_ARGUMENT"),
        ("countTokens", 400, "INVALID_ARGUMENT"),
        ("embedContent", 404, "NOT_FOUND"),
    ],
)
def test_what_is_no_request_is_refused_in_the_dialect(method: str, status: int, known: str) -> None:
    answer = Mock().answer("POST", f"/v1beta/models/text:{method}", b"{")

    assert (answer.status, told(answer)["error"]["status"]) == (status, known)
