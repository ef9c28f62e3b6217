"""A Claude client works twenty turns with tools, whoever answers: no call is lost, none is doubled."""

import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from anthropic_events import begin, delta, events, stop
from anthropic_scene import answer, candidate

from claude_client import HI, TOOL, accepted, asked, put_together
from deeptoken.providers.base import Asked, Provider
from deeptoken.providers.registry import PROVIDERS
from deeptoken.wire.chat import Chat
from deeptoken.wire.messages import read
from deeptoken.wire.messages_answer import message
from deeptoken.wire.messages_events import Events
from deeptoken.wire.usage import Usage

TURNS = 20
THOUGHT = "Let me think."
Call = tuple[str, dict[str, Any]]


class Upstream:
    """A model that calls tools: how many in each turn, in the dialect of its provider."""

    def __init__(self, provider: str, *, through_chat: bool = False) -> None:
        self.provider: Provider = PROVIDERS[provider]
        self.claude = provider == "anthropic"
        self.through_chat = through_chat
        """A Claude behind another provider's API: nothing comes as it came."""

    def sent(self, chat: Chat, *, stream: bool) -> dict[str, Any]:
        if self.through_chat:
            chat.native = None
        request = self.provider.request(chat, candidate(), stream=stream, limit=None)
        body: dict[str, Any] = json.loads(request.body)
        return body

    def told(self, calls: list[Call], *, stream: bool) -> bytes:
        if self.claude:
            return told_by_claude(calls) if stream else answer(claudes(calls), stop_reason="tool_use")
        return told_by_openai(calls) if stream else whole_of_openai(calls)

    def answered(self, body: bytes, chat: Chat, *, stream: bool) -> Any:
        """What the client's library has in the end."""
        dialect = None if chat.native is None else chat.native.dialect
        known = Asked(model="acme/claude", id="chatcmpl-7", created=1, dialect=dialect)
        if stream:
            outlet, reader = Events("acme/claude", "msg_1"), self.provider.stream(known)
            sent = b""
            for piece in [*reader.feed(body), *reader.end()]:
                sent += outlet.native(piece.native) if piece.native else outlet.chunk(piece.data)
            return put_together(sent + outlet.end(Usage()))
        reply = self.provider.reply(body, known)
        whole = reply.native or message(reply.fields, reply.usage or Usage())
        return accepted(msgspec.json.encode(whole))


def claudes(calls: list[Call]) -> list[dict[str, Any]]:
    thought = {"type": "thinking", "thinking": THOUGHT, "signature": "Eq+/="}
    said = {"type": "text", "text": "I see."}
    return [
        thought,
        said,
        *({"type": "tool_use", "id": id, "name": "add", "input": given} for id, given in calls),
    ]


def told_by_claude(calls: list[Call]) -> bytes:
    head = {"type": "message_start", "message": json.loads(answer([], stop_reason=None))}
    told = [head, begin(0, type="thinking", thinking="", signature="")]
    told += [
        delta(0, type="thinking_delta", thinking=THOUGHT),
        delta(0, type="signature_delta", signature="Eq+/="),
    ]
    told += [stop(0), begin(1, type="text", text=""), delta(1, type="text_delta", text="I see."), stop(1)]
    for index, (id, given) in enumerate(calls, start=2):
        told.append(begin(index, type="tool_use", id=id, name="add", input={}))
        told += [delta(index, type="input_json_delta", partial_json=part) for part in halves(given)]
        told.append(stop(index))
    end = {"stop_reason": "tool_use", "stop_sequence": None}
    told.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": 9}})
    return events(*told, {"type": "message_stop"})


def halves(given: dict[str, Any]) -> tuple[str, str]:
    arguments = json.dumps(given)
    return arguments[: len(arguments) // 2], arguments[len(arguments) // 2 :]


def whole_of_openai(calls: list[Call]) -> bytes:
    functions = [
        {"id": id, "type": "function", "function": {"name": "add", "arguments": json.dumps(given)}}
        for id, given in calls
    ]
    said = {"role": "assistant", "content": "I see.", "reasoning_content": THOUGHT, "tool_calls": functions}
    choice = {"index": 0, "message": said, "finish_reason": "tool_calls"}
    return json.dumps({"id": "chatcmpl-1", "created": 1, "model": "m", "choices": [choice]}).encode()


def told_by_openai(calls: list[Call]) -> bytes:
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "reasoning_content": THOUGHT},
        {"content": "I see."},
    ]
    for index, (id, given) in enumerate(calls):
        first, rest = halves(given)
        function = {"name": "add", "arguments": first}
        deltas.append({"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]})
        deltas.append({"tool_calls": [{"index": index, "function": {"arguments": rest}}]})
    lines = [
        {"id": "chatcmpl-1", "created": 1, "choices": [{"index": 0, "delta": given, "finish_reason": None}]}
        for given in deltas
    ]
    lines.append({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    return b"".join(b"data: " + json.dumps(line).encode() + b"\n\n" for line in lines) + b"data: [DONE]\n\n"


def known_to(upstream: Upstream, sent: dict[str, Any]) -> tuple[list[Call], list[str]]:
    """The calls and the results of a conversation as it reached a provider; each result behind its call."""
    calls: list[Call] = []
    results: list[str] = []
    for turn in sent["messages"]:
        if upstream.claude:
            blocks = turn["content"] if isinstance(turn["content"], list) else []
            calls += [(block["id"], block["input"]) for block in blocks if block["type"] == "tool_use"]
            found = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        else:
            made = turn.get("tool_calls") or ()
            calls += [(call["id"], json.loads(call["function"]["arguments"])) for call in made]
            found = [turn["tool_call_id"]] if turn["role"] == "tool" else []
        assert all(id in [call for call, _ in calls] for id in found)
        results += found
    return calls, results


OPENAI, GROQ = Upstream("openai"), Upstream("groq")
CLAUDE, ANOTHER_CLAUDE = Upstream("anthropic"), Upstream("anthropic", through_chat=True)


@pytest.mark.parametrize(
    "upstreams",
    [
        [OPENAI],
        [CLAUDE],
        [ANOTHER_CLAUDE],
        [OPENAI, CLAUDE],
        [CLAUDE, GROQ, ANOTHER_CLAUDE],
    ],
)
@pytest.mark.parametrize("streams", [[True], [False], [True, True, False]])
def test_twenty_turns_with_tools(upstreams: list[Upstream], streams: list[bool]) -> None:
    conversation: list[dict[str, Any]] = [HI]
    made: list[Call] = []

    for number in range(TURNS):
        upstream, stream = upstreams[number % len(upstreams)], streams[number % len(streams)]
        chat = read(asked(*conversation, tools=[TOOL], stream=stream))
        calls = [(f"call_{number}_{i}", {"a": number, "b": {"i": i}}) for i in range(1 + number % 3)]
        assert known_to(upstream, upstream.sent(chat, stream=stream)) == (made, [id for id, _ in made])

        told = upstream.answered(upstream.told(calls, stream=stream), chat, stream=stream)

        assert told.stop_reason == "tool_use"
        content = [block.to_dict() for block in told.content]
        assert [(block["id"], block["input"]) for block in content if block["type"] == "tool_use"] == calls
        made += calls
        results = [{"type": "tool_result", "tool_use_id": id, "content": str(given)} for id, given in calls]
        conversation += [{"role": "assistant", "content": content}, {"role": "user", "content": results}]

    assert len(made) == len({id for id, _ in made}) == sum(1 + number % 3 for number in range(TURNS))


def test_a_claude_gets_its_own_thinking_back_and_nobody_elses() -> None:
    unsigned = {"type": "thinking", "thinking": THOUGHT, "signature": ""}
    signed = unsigned | {"signature": "Eq+/="}
    turns = [
        {"role": "assistant", "content": [thought, {"type": "text", "text": "x"}]}
        for thought in (unsigned, signed)
    ]

    for upstream in (CLAUDE, ANOTHER_CLAUDE):
        sent = upstream.sent(read(asked(HI, turns[0], HI, turns[1], HI)), stream=False)

        thoughts = [
            block
            for turn in sent["messages"]
            for block in turn["content"]
            if isinstance(block, dict) and block["type"] == "thinking"
        ]
        assert thoughts == [signed]


@pytest.mark.parametrize(
    ("upstream", "dialect"),
    [(OPENAI, None), (CLAUDE, None), (CLAUDE, "messages")],
    ids=("openai", "claude", "native"),
)
def test_bytes_cut_anywhere_give_the_same_events(upstream: Upstream, dialect: str | None) -> None:
    body = upstream.told([("call_1", {"a": "ü"}), ("call_2", {})], stream=True)

    def sent(*cuts: int) -> bytes:
        outlet = Events("acme/claude", "msg_1")
        reader = upstream.provider.stream(Asked(model="acme/claude", id="c", created=1, dialect=dialect))
        edges = [0, *cuts, len(body)]
        pieces = [piece for left, right in pairwise(edges) for piece in reader.feed(body[left:right])]
        told = b"".join(
            outlet.native(piece.native) if piece.native else outlet.chunk(piece.data)
            for piece in [*pieces, *reader.end()]
        )
        return told + outlet.end(Usage(prompt=1, completion=2))

    whole = sent()

    assert sent(*range(1, len(body))) == whole
    assert all(sent(cut) == whole for cut in range(1, len(body)))
