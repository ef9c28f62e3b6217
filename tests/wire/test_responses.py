"""A Responses request, read as a chat."""

import json
from typing import Any

import pytest
from responses_scene import asked, messages

from deeptoken.catalog.tokens import bound
from deeptoken.wire.responses import read

CALL = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a":1}', "id": "fc_1"}
CALLED = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
TOOL = {"type": "function", "name": "add", "parameters": {"type": "object"}, "strict": True}


def fields(**told: Any) -> dict[str, Any]:
    """The fields of the chat that a request is, but for its messages."""
    passing = {name: json.loads(bytes(raw)) for name, raw in asked(**told).fields.items()}
    del passing["messages"]
    return passing


def test_a_text_is_the_user_s_message_and_instructions_come_first() -> None:
    assert messages("Hi") == [{"role": "user", "content": "Hi"}]
    assert messages("Hi", instructions="Be brief.") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


def test_items_are_the_messages_of_a_chat() -> None:
    said = {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed"}

    told = messages(
        [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "input_text", "text": "2 and 2?"}]},
            {**said, "content": [{"type": "output_text", "text": "I add.", "annotations": []}]},
            CALL,
            {"type": "function_call_output", "call_id": "c1", "output": "4"},
            {"role": "assistant", "content": "Four."},
            {"role": "user", "content": "Thanks"},
        ]
    )

    assert told == [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "2 and 2?"},
        {"role": "assistant", "content": "I add.", "tool_calls": [CALLED]},
        {"role": "tool", "tool_call_id": "c1", "content": "4"},
        {"role": "assistant", "content": "Four."},
        {"role": "user", "content": "Thanks"},
    ]


def test_parts_are_the_parts_of_a_chat_and_keep_what_stands_beside() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    sound = {"data": "UklG", "format": "wav"}

    [told] = messages(
        [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "See", **mark},
                    {"type": "input_image", "image_url": "https://a/b.png", "detail": "low"},
                    {"type": "input_image", "image_url": "data:image/png;base64,iVBO"},
                    {"type": "input_file", "file_data": "data:application/pdf;base64,JVBE", "filename": "a"},
                    {"type": "input_file", "file_url": "https://a/b.pdf"},
                    {"type": "input_audio", "input_audio": sound},
                ],
            }
        ]
    )

    assert told["content"] == [
        {"type": "text", "text": "See", **mark},
        {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
        {"type": "file", "file": {"filename": "a", "file_data": "data:application/pdf;base64,JVBE"}},
        {"type": "file", "file": {"file_data": "https://a/b.pdf"}},
        {"type": "input_audio", "input_audio": sound},
    ]


def test_a_tool_s_output_may_have_parts() -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,iVBO"}

    output = {"type": "function_call_output", "call_id": "c1", "output": [picture]}

    assert messages([CALL, output])[1]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
    ]


def test_all_that_an_assistant_did_in_one_turn_is_one_message() -> None:
    thought = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}
    more = {**CALL, "call_id": "c2"}

    told = messages(
        [
            thought,
            {"role": "assistant", "content": "I "},
            CALL,
            thought,
            {"role": "assistant", "content": "add."},
            more,
            {"type": "function_call_output", "call_id": "c2", "output": "b"},
            {"type": "function_call_output", "call_id": "c1", "output": "a"},
        ]
    )

    assert told == [
        {
            "role": "assistant",
            "reasoning_content": "Hm.Hm.",
            "content": "I add.",
            "tool_calls": [CALLED, {**CALLED, "id": "c2"}],
        },
        {"role": "tool", "tool_call_id": "c2", "content": "b"},
        {"role": "tool", "tool_call_id": "c1", "content": "a"},
    ]


def test_two_messages_of_an_assistant_stay_two() -> None:
    assert messages([{"role": "assistant", "content": one} for one in "ab"]) == [
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]


def test_a_thought_that_led_to_nothing_is_dropped() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]}

    assert messages([thought, {"role": "user", "content": "Go on"}]) == [{"role": "user", "content": "Go on"}]


def test_thoughts_that_a_host_encrypted_are_kept_as_its_own() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA=="}

    [told] = messages([thought, CALL])

    assert told["reasoning_details"] == [
        {"type": "reasoning.encrypted", "data": "gAAA==", "format": "openai-responses-v1", "id": "rs_1"}
    ]


def test_pictures_that_were_generated_stay_with_their_turn() -> None:
    picture = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "iVBO"}

    [told] = messages([picture, {"role": "assistant", "content": "Here."}])

    assert told["images"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]


def test_tools_have_the_chat_s_shape() -> None:
    told = fields(tools=[TOOL], tool_choice={"type": "function", "name": "add"}, parallel_tool_calls=False)

    assert told == {
        "tools": [
            {
                "type": "function",
                "function": {"name": "add", "parameters": {"type": "object"}, "strict": True},
            }
        ],
        "tool_choice": {"type": "function", "function": {"name": "add"}},
        "parallel_tool_calls": False,
    }


@pytest.mark.parametrize("choice", ["none", "auto", "required"])
def test_a_choice_of_tools_goes_on(choice: str) -> None:
    assert fields(tools=[TOOL], tool_choice=choice)["tool_choice"] == choice


def test_choices_without_tools_do_not_go_on() -> None:
    assert fields(tool_choice="auto", parallel_tool_calls=True) == {}


def test_the_data_of_an_item_that_a_chat_does_not_have_is_counted_as_a_picture() -> None:
    url = "data:image/png;base64," + "A" * 400_000
    shot = {"type": "computer_screenshot", "image_url": url}

    chat = asked([{"type": "computer_call_output", "call_id": "c", "output": shot}])

    assert chat.size > 400_000
    assert bound(chat) < 4_000


def test_allowed_tools_are_the_only_ones_that_go_on() -> None:
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "add"}]}

    told = fields(tools=[{**TOOL, "name": "other"}, TOOL], tool_choice=choice)

    assert [tool["function"]["name"] for tool in told["tools"]] == ["add"]
    assert told["tool_choice"] == "required"


def test_options_have_the_chat_s_names() -> None:
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}

    told = fields(
        max_output_tokens=9,
        text={"format": schema, "verbosity": "low"},
        reasoning={"effort": "high", "summary": "auto"},
        include=["message.output_text.logprobs", "reasoning.encrypted_content"],
        top_logprobs=2,
    )

    assert told == {
        "max_completion_tokens": 9,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
        },
        "verbosity": "low",
        "reasoning_effort": "high",
        "logprobs": True,
        "top_logprobs": 2,
    }


def test_what_has_no_meaning_without_storage_stays_here_and_the_rest_goes_on() -> None:
    same: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "u",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "service_tier": "flex",
        "stream": True,
        "tomorrow": {"a": [1]},
    }

    told = fields(
        store=True, metadata={"a": "b"}, truncation="auto", max_tool_calls=3, background=False, **same
    )

    assert told == same


def test_what_came_is_kept_for_a_host_of_the_dialect() -> None:
    body = b'{"model":"acme/one", "input":"H\\u0069", "store" : true, "max_cost_usd":1, "user":null}'

    chat = read(body)

    assert chat.native is not None
    assert {name: bytes(raw) for name, raw in chat.native.fields.items()} == {
        "model": b'"acme/one"',
        "input": b'"H\\u0069"',
        "store": b"true",
    }
    assert (chat.native.dialect, chat.size, bytes(chat.ours["max_cost_usd"])) == (
        "responses",
        len(body),
        b"1",
    )


def test_a_field_that_stands_twice_in_an_item_goes_on_once() -> None:
    chat = read(b'{"model":"m","input":[{"role":"user","role":"system","content":"a"}]}')

    assert chat.native is not None
    assert bytes(chat.native.fields["input"]) == b'[{"role":"system","content":"a"}]'


def test_items_of_one_response_are_one_turn_though_outputs_stand_between() -> None:
    calls = [{**CALL, "id": f"fc_7_{at}", "call_id": f"c{at}"} for at in (1, 2)]
    outputs = [{"type": "function_call_output", "call_id": f"c{at}", "output": "4"} for at in (1, 2)]
    thought = {"type": "reasoning", "id": "rs_7_0", "summary": [{"type": "summary_text", "text": "Hm."}]}
    said = {"type": "message", "role": "assistant", "id": "msg_7_3", "content": "Both."}

    told = messages([thought, calls[0], outputs[0], calls[1], outputs[1], said])

    assert [message["role"] for message in told] == ["assistant", "tool", "tool"]
    assert [call["id"] for call in told[0]["tool_calls"]] == ["c1", "c2"]
    assert (told[0]["reasoning_content"], told[0]["content"]) == ("Hm.", "Both.")


def test_items_of_another_response_are_another_turn() -> None:
    output = {"type": "function_call_output", "call_id": "c1", "output": "4"}
    later = {**CALL, "id": "fc_8_0", "call_id": "c2"}
    said = [{"role": "assistant", "id": f"msg_{key}_0", "content": key} for key in "ab"]
    thought = {"type": "reasoning", "id": "rs_b_1", "summary": []}

    after = messages([{**CALL, "id": "fc_7_0"}, output, later])
    spoken = messages(
        [{**CALL, "id": "fc_7_0"}, output, {"role": "user", "content": "?"}, {**later, "id": "fc_7_1"}]
    )
    apart = messages([said[0], thought, said[1]])

    assert [message["role"] for message in after] == ["assistant", "tool", "assistant"]
    assert [message["role"] for message in spoken] == ["assistant", "tool", "user", "assistant"]
    assert [message["content"] for message in apart] == ["a", "b"]
