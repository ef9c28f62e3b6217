"""Messages as Gemini's contents."""

from typing import Any

import pytest
from gemini_scene import CALL, HI, PNG, SIGNED, asked, contents, parts, sent

from deeptoken.errors import BadRequest

RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "3"}
ANSWERED = {"functionResponse": {"id": "call_1", "name": "add", "response": {"output": "3"}}}
CALLED = {"functionCall": {"id": "call_1", "name": "add", "args": {"a": 1, "b": 2.0}}}
SIGNED_CALL = SIGNED | {"id": "call_1"}


def assistant(**fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, **fields}


def test_system_and_developer_messages_are_the_instruction_in_their_order() -> None:
    body = sent(
        {"role": "system", "content": "One."},
        HI,
        {"role": "developer", "content": [{"type": "text", "text": "Two."}]},
    )

    assert body["systemInstruction"] == {"parts": [{"text": "One."}, {"text": "Two."}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]


def test_a_system_prompt_alone_is_said_by_the_user() -> None:
    body = sent({"role": "system", "content": "One."})

    assert "systemInstruction" not in body
    assert body["contents"] == [{"role": "user", "parts": [{"text": "One."}]}]


def test_a_model_without_instruction_hears_it_from_the_user() -> None:
    body = sent({"role": "system", "content": "One."}, assistant(content="Yes?"), HI, model="gemma-3-27b-it")

    assert "systemInstruction" not in body
    assert [turn["role"] for turn in body["contents"]] == ["user", "model", "user"]
    assert body["contents"][0]["parts"] == [{"text": "One."}]


def test_neighbours_of_one_role_are_one_turn_and_empty_text_is_none() -> None:
    turns = contents(
        HI, {"role": "user", "content": ""}, HI, assistant(content="A"), assistant(content="B"), HI
    )

    assert [(turn["role"], [part["text"] for part in turn["parts"]]) for turn in turns] == [
        ("user", ["Hi", "Hi"]),
        ("model", ["A", "B"]),
        ("user", ["Hi"]),
    ]


def test_a_chat_in_which_nobody_said_anything_is_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        asked({"role": "user", "content": ""})

    assert refused.value.param == "messages"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "text", "text": "ü"}, {"text": "ü"}),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
            {"inlineData": {"mimeType": "image/png", "data": PNG}},
        ),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{PNG}"}},
            {"inlineData": {"mimeType": "image/jpeg", "data": PNG}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://h.test/a.PNG?x=1"}},
            {"fileData": {"fileUri": "https://h.test/a.PNG?x=1", "mimeType": "image/png"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://h.test/a"}},
            {"fileData": {"fileUri": "https://h.test/a"}},
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://www.youtube.com/watch?v=x"}},
            {"fileData": {"fileUri": "https://www.youtube.com/watch?v=x"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "UklG", "format": "mp3"}},
            {"inlineData": {"mimeType": "audio/mp3", "data": "UklG"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "UklG"}},
            {"inlineData": {"mimeType": "audio/wav", "data": "UklG"}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
        ),
        (
            {"type": "file", "file": {"file_data": "YSxi", "filename": "a.csv"}},
            {"inlineData": {"mimeType": "text/csv", "data": "YSxi"}},
        ),
        (
            {"type": "file", "file": {"file_data": "JVBE"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
        ),
        (
            {"type": "file", "file": {"file_data": "https://h.test/a.pdf"}},
            {"fileData": {"fileUri": "https://h.test/a.pdf", "mimeType": "application/pdf"}},
        ),
    ],
)
def test_each_part_has_its_place(part: dict[str, Any], expected: dict[str, Any]) -> None:
    assert parts(part) == [expected]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "image_url", "image_url": {"url": "gs://bucket/a.png"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,x"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "https://[h"}}, "image_url.url"),
        (
            {
                "type": "image_url",
                "image_url": {"url": "https://generativelanguage.googleapis.com/v1beta/files/abc"},
            },
            "image_url.url",
        ),
        (
            {"type": "file", "file": {"file_data": "https://eu-aiplatform.googleapis.com/v1/x.pdf"}},
            "file.file_data",
        ),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file.file_data"),
        ({"type": "input_audio", "input_audio": {"data": "x", "format": "a b"}}, "input_audio.format"),
        ({"type": "hologram"}, "type"),
    ],
)
def test_a_part_that_gemini_cannot_have_is_refused_by_name(part: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parts({"type": "text", "text": "x"}, part)

    assert refused.value.param == f"messages[0].content[1].{param}"


def test_a_model_that_fetches_no_url_is_not_sent_one() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://h.test/a.png"}}

    with pytest.raises(BadRequest) as refused:
        parts(picture, model="gemini-2.0-flash")

    assert refused.value.param == "messages[0].content[0].image_url.url"
    assert "data URL" in refused.value.message


def test_a_call_and_its_result_are_known_by_id_and_name() -> None:
    turns = contents(HI, assistant(content="So:", tool_calls=[CALL], reasoning_details=[SIGNED_CALL]), RESULT)

    assert turns[1:] == [
        {"role": "model", "parts": [{"text": "So:"}, CALLED | {"thoughtSignature": "Ci/+="}]},
        {"role": "user", "parts": [ANSWERED]},
    ]


def test_results_of_parallel_calls_stand_together_before_what_the_user_says() -> None:
    other = {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": ""}}

    turns = contents(
        HI,
        assistant(tool_calls=[CALL, other]),
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "noon"}]},
        {"role": "user", "content": "And?"},
        RESULT,
    )

    assert turns[1]["parts"][1] == {"functionCall": {"id": "call_2", "name": "now", "args": {}}}
    assert turns[2]["parts"] == [
        {"functionResponse": {"id": "call_2", "name": "now", "response": {"output": "noon"}}},
        ANSWERED,
        {"text": "And?"},
    ]


def test_arguments_go_on_as_they_were_written() -> None:
    request = asked(HI, assistant(tool_calls=[CALL]), RESULT)

    assert b'{"a": 1,  "b": 2.0}' in request.body


def test_a_result_that_is_json_stays_text() -> None:
    result = RESULT | {"content": '{"$ref": "#/x", "n": 12345678901234567890}'}

    turns = contents(HI, assistant(tool_calls=[CALL]), result)

    assert turns[2]["parts"][0]["functionResponse"]["response"] == {"output": result["content"]}


@pytest.mark.parametrize(("model", "inside"), [("gemini-3.5-flash", True), ("gemini-2.5-flash", False)])
def test_a_picture_as_result_goes_where_the_model_takes_it(model: str, inside: bool) -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    result = RESULT | {"content": [{"type": "text", "text": "3"}, picture]}
    shown = {"inlineData": {"mimeType": "image/png", "data": PNG}}

    turn = contents(HI, assistant(tool_calls=[CALL]), result, model=model)[2]

    assert turn["parts"][0]["functionResponse"].get("parts") == ([shown] if inside else None)
    assert turn["parts"][1:] == ([] if inside else [shown])


def test_a_legacy_function_call_is_answered_by_name() -> None:
    turns = contents(
        HI,
        assistant(function_call={"name": "add", "arguments": "{}"}),
        {"role": "function", "name": "add", "content": "3"},
        model="gemini-2.5-flash",
    )

    assert turns[1]["parts"] == [{"functionCall": {"name": "add", "args": {}}}]
    assert turns[2]["parts"] == [{"functionResponse": {"name": "add", "response": {"output": "3"}}}]


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([HI, RESULT], "messages[1].tool_call_id"),
        ([HI, {"role": "function", "content": "3"}], "messages[1].name"),
        (
            [HI, assistant(tool_calls=[CALL | {"function": {"name": "x", "arguments": "[1]"}}])],
            "messages[1].tool_calls[0].function.arguments",
        ),
        ([HI, assistant(tool_calls=[{"id": "c", "type": "custom"}])], "messages[1].tool_calls[0].type"),
        (
            [HI, {"role": "system", "content": [{"type": "file", "file": {"file_data": "JVBE"}}]}],
            "messages[1].content",
        ),
    ],
)
def test_what_has_no_meaning_to_gemini_is_refused_by_name(messages: list[dict[str, Any]], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(*messages)

    assert refused.value.param == param


def test_a_signature_of_text_goes_back_with_it_and_one_without_text_alone() -> None:
    second = SIGNED | {"data": "Dj==", "index": 1}

    turns = contents(HI, assistant(content="So.", reasoning_details=[SIGNED, second]), HI)
    bare = contents(HI, assistant(tool_calls=[CALL], reasoning_details=[SIGNED_CALL, second]), RESULT)

    assert turns[1]["parts"] == [
        {"text": "So.", "thoughtSignature": "Ci/+="},
        {"text": "", "thoughtSignature": "Dj=="},
    ]
    assert bare[1]["parts"][1] == {"text": "", "thoughtSignature": "Dj=="}


def test_a_thought_goes_back_where_it_was_signed_and_nowhere_else() -> None:
    ours = {"type": "reasoning.text", "format": "google-gemini-v1"}
    details = [
        {**ours, "text": "Hm. ", "index": 0},
        {**ours, "text": "Yes.", "signature": "s0", "index": 0},
        {**ours, "text": "Unsigned.", "index": 1},
        {
            "type": "reasoning.text",
            "format": "anthropic-claude-v1",
            "text": "x",
            "signature": "y",
            "index": 2,
        },
        {"type": "reasoning.encrypted", "format": "openai-responses-v1", "data": "z", "index": 3},
    ]

    turns = contents(
        HI, assistant(content="So.", reasoning_content="Hm. Yes.", reasoning_details=details), HI
    )

    assert turns[1]["parts"] == [
        {"text": "Hm. Yes.", "thought": True, "thoughtSignature": "s0"},
        {"text": "So."},
    ]


@pytest.mark.parametrize(
    ("model", "details", "signature"),
    [
        ("gemini-3.5-flash", [SIGNED_CALL], "Ci/+="),
        ("gemini-3.5-flash", [], "skip_thought_signature_validator"),
        ("gemini-4-argon", [], "skip_thought_signature_validator"),
        ("gemini-flash-latest", [], "skip_thought_signature_validator"),
        ("gemini-2.5-flash", [], None),
        ("gemini-2.5-flash", [SIGNED_CALL], "Ci/+="),
    ],
)
def test_a_step_that_must_be_signed_is_or_says_that_another_made_it(
    model: str, details: list[dict[str, Any]], signature: str | None
) -> None:
    turns = contents(HI, assistant(tool_calls=[CALL], reasoning_details=details), RESULT, model=model)

    assert turns[1]["parts"][0].get("thoughtSignature") == signature


def test_the_result_of_a_tool_that_failed_stands_under_error() -> None:
    failed = RESULT | {"content": "overflow", "is_error": True}

    turns = contents(HI, assistant(tool_calls=[CALL]), failed)

    assert turns[2]["parts"][0]["functionResponse"]["response"] == {"error": "overflow"}
