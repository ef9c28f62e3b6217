"""A chat's answer as a Response, and what comes back of it on the next turn."""

import json
from typing import Any

import pytest
from hypothesis import given
from msgspec import Raw
from responses_scene import USAGE, WHOLE, about, answers, asked, messages, sdk, strict_response

from deeptoken.wire.completion import Assembler
from deeptoken.wire.responses_answer import End, response
from deeptoken.wire.responses_reasoning import OURS, without_ours

CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
DETAIL = {"type": "reasoning.text", "text": "Hm.\n", "signature": "EqR/+=ü", "format": "f", "index": 0}


def completion(message: dict[str, Any], finish: str = "stop", **choice: Any) -> dict[str, Any]:
    told = {"role": "assistant", "content": None, "refusal": None, **message}
    choices = [{"index": 0, "message": told, "logprobs": None, "finish_reason": finish, **choice}]
    return {"id": "x1", "object": "chat.completion", "created": 5, "model": "acme/one", "choices": choices}


def made(message: dict[str, Any], finish: str = "stop", end: End = WHOLE, **choice: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        json.dumps(response(completion(message, finish, **choice), about(), end))
    )
    strict_response(answer)
    return answer


def test_a_text_is_a_message() -> None:
    answer = made({"content": "Four."})

    assert answer["output"] == [
        {
            "id": "msg_7_0",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Four.", "annotations": [], "logprobs": []}],
        }
    ]
    assert (answer["id"], answer["object"], answer["model"]) == ("resp_7", "response", "acme/one")
    assert (answer["status"], answer["created_at"], answer["completed_at"]) == (
        "completed",
        1_790_000_000,
        1_790_000_009,
    )
    assert answer["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 3},
        "output_tokens": 6,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 16,
    }


def test_each_kind_of_content_is_an_item_and_each_call_its_own() -> None:
    more = {**CALL, "id": "c2"}

    answer = made(
        {
            "reasoning_content": "Hm.\n",
            "reasoning_details": [DETAIL],
            "content": "I add.",
            "refusal": "Not that.",
            "tool_calls": [CALL, more],
        },
        "tool_calls",
    )

    thought, message, first, second = answer["output"]
    assert thought["content"] == [{"type": "reasoning_text", "text": "Hm.\n"}]
    assert thought["encrypted_content"].startswith(OURS)
    assert [part["type"] for part in message["content"]] == ["output_text", "refusal"]
    assert [(call["call_id"], call["name"], call["arguments"]) for call in (first, second)] == [
        ("c1", "add", '{"a":1}'),
        ("c2", "add", '{"a":1}'),
    ]
    assert len({item["id"] for item in answer["output"]}) == 4


def test_thoughts_are_a_summary_where_one_was_asked_for() -> None:
    facts = about(asked(reasoning={"summary": "auto"}))

    [thought] = response(completion({"reasoning_content": "Hm."}), facts, WHOLE)["output"]

    assert thought["summary"] == [{"type": "summary_text", "text": "Hm."}]
    assert "content" not in thought


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
    ],
)
def test_the_end_is_told_as_a_status(finish: str, status: str, reason: str | None) -> None:
    answer = made({"content": "a", "tool_calls": [CALL]}, finish)

    assert answer["status"] == status
    assert answer["incomplete_details"] == (None if reason is None else {"reason": reason})
    assert [item["status"] for item in answer["output"]] == ["completed", status]
    assert (answer["completed_at"] is None) == (reason is not None)


def test_an_answer_that_the_money_ended_says_so() -> None:
    answer = made({"content": "a"}, end=End(usage=USAGE, dry="wallet_empty", more={"cost": 0.5}))

    assert answer["incomplete_details"] == {"reason": "max_output_tokens"}
    assert answer["deeptoken"] == {"reason": "wallet_empty"}
    assert answer["usage"]["cost"] == 0.5


def test_log_probabilities_and_citations_go_with_their_text() -> None:
    tokens = [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "b", "logprob": -1}]}]
    cited = {"url": "https://a", "title": "A", "start_index": 0, "end_index": 1, "content": "more"}

    answer = made(
        {"content": "a", "annotations": [{"type": "url_citation", "url_citation": cited}, {"type": "new"}]},
        logprobs={"content": tokens, "refusal": None},
    )

    [part] = answer["output"][0]["content"]
    assert part["logprobs"] == [
        {
            "token": "a",
            "logprob": -0.5,
            "bytes": [],
            "top_logprobs": [{"token": "b", "logprob": -1, "bytes": []}],
        }
    ]
    assert part["annotations"] == [
        {"type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 1}
    ]


def test_a_picture_is_an_item() -> None:
    url = {"type": "image_url", "image_url": {"url": "data:image/webp;base64,UklG"}}

    answer = made({"content": "Here.", "images": [url]})

    assert answer["output"][1] == {
        "id": "ig_7_1",
        "type": "image_generation_call",
        "status": "completed",
        "result": "UklG",
        "output_format": "webp",
    }


def test_what_was_asked_is_repeated_and_what_was_not_is_the_default() -> None:
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    tool = {"type": "function", "name": "add", "parameters": {"type": "object"}, "strict": True}

    plain = strict_response(response(completion({}), about(), End()))
    told = strict_response(
        response(
            completion({}),
            about(
                asked(
                    instructions="Be brief.",
                    max_output_tokens=9,
                    metadata={"a": "b"},
                    text={"format": schema, "verbosity": "low"},
                    reasoning={"effort": "low", "summary": "concise"},
                    tools=[tool],
                    tool_choice={"type": "function", "name": "add"},
                    parallel_tool_calls=False,
                    temperature=0.5,
                    truncation="auto",
                    store=True,
                    user="u",
                )
            ),
            End(),
        )
    )

    assert (plain.tool_choice, plain.tools, plain.temperature, plain.text and plain.text.verbosity) == (
        "auto",
        [],
        1.0,
        "medium",
    )
    assert (told.instructions, told.max_output_tokens, told.metadata) == ("Be brief.", 9, {"a": "b"})
    assert (told.temperature, told.parallel_tool_calls, told.user) == (0.5, False, "u")
    assert told.text is not None
    assert told.text.format is not None
    assert told.text.format.type == "json_schema"
    assert told.reasoning is not None
    assert (told.reasoning.effort, told.reasoning.summary) == ("low", "concise")
    # Nothing is cut off or stored here, whatever was asked.
    assert (told.truncation, (told.model_extra or {})["store"]) == ("disabled", False)


def test_a_tier_that_the_provider_told_is_repeated() -> None:
    assert response({**completion({}), "service_tier": "flex"}, about(), End())["service_tier"] == "flex"


@given(answers())
def test_what_comes_back_is_what_a_chat_would_have_sent_back(chunks: list[bytes]) -> None:
    whole = Assembler()
    for one in chunks:
        whole.add(one)
    message = whole.whole()["choices"][0]["message"]
    output = response(whole.whole(), about(), WHOLE)["output"]

    told = messages([{"role": "user", "content": "Hi"}, *output, {"role": "user", "content": "Go on"}])

    said = {name: value for name, value in message.items() if value or name in ("role", "content")}
    said["content"] = said["content"] or None
    answered = {"content", "refusal", "tool_calls"} & {name for name, value in said.items() if value}
    assert told[1:-1] == ([said] if answered else [])


@given(answers())
def test_openai_s_sdk_reads_every_answer(chunks: list[bytes]) -> None:
    whole = Assembler()
    for one in chunks:
        whole.add(one)
    answer = response(whole.whole(), about(), WHOLE)

    with sdk(json.dumps(answer).encode()) as client:
        read = client.responses.create(model="acme/one", input="Hi")

    strict_response(answer)
    assert read.output_text == (whole.whole()["choices"][0]["message"]["content"] or "")


def test_sealed_thoughts_that_were_changed_on_their_way_are_somebody_else_s() -> None:
    for changed in (f"{OURS}!", f"{OURS}W3t9", f"{OURS}WzVd", f"{OURS}bnVsbA=="):
        thought = {"type": "reasoning", "summary": [], "encrypted_content": changed}

        [told] = messages([thought, {"role": "assistant", "content": "a"}])

        assert told["reasoning_details"][0]["format"] == "openai-responses-v1"


def test_a_host_does_not_get_thoughts_that_are_sealed_here() -> None:
    [thought, message] = made({"reasoning_content": "Hm.", "content": "a"})["output"]
    foreign = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
    said = {"role": "user", "content": f"What is {OURS}?"}

    kept = without_ours(Raw(json.dumps([said, thought, message, foreign]).encode()))
    text = without_ours(Raw(json.dumps(f"What is {OURS}?").encode()))

    assert json.loads(bytes(kept)) == [said, message, foreign]
    assert json.loads(bytes(text)) == f"What is {OURS}?"
