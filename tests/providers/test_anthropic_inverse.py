"""What a Claude client asks, read as a chat and written for Claude again, is what it asked."""

import json
from typing import Any

import msgspec
from anthropic_scene import PLAIN, answer, candidate
from hypothesis import given
from hypothesis import strategies as st

from claude_client import accepted
from claude_conversations import calls, thoughts
from deeptoken.providers.anthropic import Anthropic
from deeptoken.providers.base import Asked
from deeptoken.wire.messages import read
from deeptoken.wire.messages_answer import message
from deeptoken.wire.usage import Usage

ASKED = Asked(model="acme/claude", id="chatcmpl-7", created=1_790_000_000)


def translated(body: dict[str, Any]) -> dict[str, Any]:
    """The call as another channel of Claude's would get it: through the chat, not as it came."""
    chat = read(json.dumps(body).encode())
    chat.native = None
    request = Anthropic().request(chat, candidate(), stream=False, limit=None)
    sent: dict[str, Any] = json.loads(request.body)
    return sent


@given(calls())
def test_a_call_survives_the_chat(body: dict[str, Any]) -> None:
    sent = translated(body)

    assert sent == body | {"model": PLAIN}


def test_words_that_mean_the_same_may_differ() -> None:
    sent = translated(
        {
            "model": "acme/claude",
            "max_tokens": 9,
            "system": "Be terse.",
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "user", "content": "there"},
                {"role": "system", "content": "Later."},
                {"role": "assistant", "content": "Yes "},
            ],
        }
    )

    said = [(turn["role"], [block["text"] for block in turn["content"]]) for turn in sent["messages"]]
    assert said == [("user", ["Hi", "there"]), ("assistant", ["Yes"])]
    assert [block["text"] for block in sent["system"]] == ["Be terse.", "Later."]


@given(
    st.lists(thoughts, max_size=3),
    st.sampled_from([[], [{"type": "text", "text": "Let me see."}]]),
    st.integers(0, 3),
    st.data(),
)
def test_an_answer_of_claudes_survives_the_chat_and_comes_back_in_the_next_turn(
    thought: list[dict[str, Any]], text: list[dict[str, Any]], number: int, data: st.DataObject
) -> None:
    content = text + [
        {"type": "tool_use", "id": f"toolu_{i}", "name": "add", "input": {"a": i}} for i in range(number)
    ]
    for block in thought:
        content.insert(data.draw(st.integers(0, len(content))), block)
    reason = "tool_use" if number else "end_turn"

    reply = Anthropic().reply(answer(content, stop_reason=reason), ASKED)
    written = msgspec.json.encode(message(reply.fields, reply.usage or Usage()))
    told = json.loads(written)

    assert told["content"] == content
    assert (told["id"], told["model"], told["stop_reason"]) == ("msg_1", "acme/claude", reason)
    accepted(written)
