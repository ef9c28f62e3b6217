"""Thinking goes through a Claude client and comes back, whoever signed it."""

from typing import Any

import pytest
from messages_scene import chunk, streamed, whole

from claude_client import HI, asked, put_together
from deeptoken.wire.messages import read
from deeptoken.wire.thoughts import block_of, detail_of, foreign

DETAILS = [
    {
        "type": "reasoning.text",
        "text": "Hm.",
        "signature": "Eq+/=",
        "format": "anthropic-claude-v1",
        "index": 0,
    },
    {"type": "reasoning.text", "text": "", "signature": "Eq+/=", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.encrypted", "data": "Rk9P", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.encrypted", "data": "CiQB", "id": "call_1", "format": "google-gemini-v1", "index": 0},
    {"type": "reasoning.text", "text": "Ü", "signature": "s", "format": "google-gemini-v1", "index": 0},
    {
        "type": "reasoning.summary",
        "summary": "So.",
        "id": "rs_1",
        "format": "openai-responses-v1",
        "index": 0,
    },
    {"type": "reasoning.text", "text": "", "format": "unknown", "index": 0},
]


@pytest.mark.parametrize("detail", DETAILS)
def test_a_detail_becomes_a_block_and_the_same_detail_again(detail: dict[str, Any]) -> None:
    block = block_of(detail)

    assert block is not None
    assert foreign(block) is (detail["format"] != "anthropic-claude-v1")
    assert detail_of(block, 0) == detail


@pytest.mark.parametrize("detail", DETAILS)
def test_a_detail_goes_through_a_streamed_answer_and_the_next_call(detail: dict[str, Any]) -> None:
    stream = streamed(chunk(reasoning_details=[detail]), chunk(content="4"), chunk(finish="stop"))

    content: Any = put_together(stream).to_dict()["content"]
    chat = read(asked(HI, {"role": "assistant", "content": content}, HI))

    assert chat.request.messages[1].reasoning_details == [detail]


@pytest.mark.parametrize("detail", DETAILS)
def test_a_detail_goes_through_a_whole_answer_too(detail: dict[str, Any]) -> None:
    told = whole(chunk(reasoning_details=[detail]), chunk(content="4"), chunk(finish="stop"))

    chat = read(asked(HI, {"role": "assistant", "content": told["content"]}, HI))

    assert chat.request.messages[1].reasoning_details == [detail]


@pytest.mark.parametrize(
    "detail",
    [
        {"type": "reasoning.encrypted", "data": "", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.text", "index": 0},
    ],
)
def test_a_detail_that_says_nothing_is_no_block(detail: dict[str, Any]) -> None:
    assert block_of(detail) is None


@pytest.mark.parametrize("seal", ["deeptoken:", "deeptoken:%", "deeptoken:WzFd", "deeptoken:e30=x"])
def test_a_seal_that_somebody_changed_is_no_detail_and_no_signature_of_claudes(seal: str) -> None:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": seal}
    redacted = {"type": "redacted_thinking", "data": seal}

    assert (detail_of(thinking, 0), detail_of(redacted, 0)) == (None, None)
    assert foreign(thinking)
    assert foreign(redacted)


def test_pieces_of_one_thought_of_another_provider_are_one_block() -> None:
    piece = {"type": "reasoning.text", "format": "google-gemini-v1", "index": 3}
    chunks = (
        chunk(reasoning_details=[piece | {"text": "One "}]),
        chunk(reasoning_details=[piece | {"text": "two."}]),
        chunk(reasoning_details=[piece | {"text": "", "signature": "s"}]),
        chunk(content="4"),
        chunk(finish="stop"),
    )

    [thinking, text] = put_together(streamed(*chunks)).content

    assert [thinking.to_dict(), text.to_dict()] == whole(*chunks)["content"]
    assert thinking.type == "thinking"
    assert thinking.thinking == "One two."
    assert detail_of(thinking.to_dict(), 0) == piece | {"text": "One two.", "signature": "s"}
