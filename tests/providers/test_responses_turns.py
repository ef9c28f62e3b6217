"""A client of the Responses API talks for twenty turns to one model, behind providers of three dialects."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic_events as claude
import httpx2
import openai
import pytest

from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.money import PicoUsd
from deeptoken.providers.base import Asked, Piece
from deeptoken.providers.registry import PROVIDERS, speaking
from deeptoken.wire.responses import read
from deeptoken.wire.responses_answer import End, facts
from deeptoken.wire.responses_events import Events, Relay
from deeptoken.wire.responses_reasoning import OURS
from deeptoken.wire.usage import Usage

TURNS = 20
MODEL = Model("acme/one", Price(1, "acme/one", Rates(prompt=PicoUsd(1), completion=PicoUsd(1))))

Steps = list[tuple[str, str]]
"""What stands in a conversation: calls and outputs, by their ids."""


def ids(turn: int) -> tuple[str, str]:
    return f"call_{turn}_a", f"call_{turn}_b"


def chat_answer(turn: int) -> bytes:
    """DeepSeek's: thoughts as text; two calls whose arguments come mixed."""
    first, second = ids(turn)

    def told(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        return b"data: " + json.dumps({"id": f"x{turn}", "created": 5, "choices": choices}).encode() + b"\n\n"

    def call(index: int, arguments: str, **more: Any) -> bytes:
        function = {"arguments": arguments, **({"name": "add"} if more else {})}
        return told({"tool_calls": [{"index": index, **more, "function": function}]})

    return b"".join(
        (
            told({"role": "assistant", "content": ""}),
            told({"reasoning_content": f"Thought {turn}."}),
            told({"content": f"Said {turn}."}),
            call(0, '{"turn":', id=first, type="function"),
            call(1, '{"turn":', id=second, type="function"),
            call(0, f"{turn}}}"),
            call(1, f"{turn}}}"),
            told({}, "tool_calls"),
            b"data: [DONE]\n\n",
        )
    )


def messages_answer(turn: int) -> bytes:
    """Anthropic's: signed thoughts, also between the calls."""
    first, second = ids(turn)

    def thought(index: int) -> list[dict[str, Any]]:
        return [
            claude.begin(index, type="thinking", thinking="", signature=""),
            claude.delta(index, type="thinking_delta", thinking=f"Thought {turn}.{index}"),
            claude.delta(index, type="signature_delta", signature=f"Signed+{turn}.{index}/=="),
            claude.stop(index),
        ]

    def call(index: int, id: str) -> list[dict[str, Any]]:
        return [
            claude.begin(index, type="tool_use", id=id, name="add", input={}),
            claude.delta(index, type="input_json_delta", partial_json=f'{{"turn":{turn}}}'),
            claude.stop(index),
        ]

    return claude.events(
        claude.started(input_tokens=5, output_tokens=1),
        *thought(0),
        claude.begin(1, type="text", text=""),
        claude.delta(1, type="text_delta", text=f"Said {turn}."),
        claude.stop(1),
        *call(2, first),
        *thought(3),
        *call(4, second),
        claude.told("tool_use", output_tokens=9),
        claude.END,
    )


def responses_answer(turn: int) -> bytes:
    """OpenAI's own: encrypted thoughts."""
    thought = {"id": f"rs_{turn}", "type": "reasoning", "summary": [], "encrypted_content": f"gAAA{turn}=="}
    said = {"type": "output_text", "text": f"Said {turn}.", "annotations": [], "logprobs": []}
    message = {"id": f"msg_{turn}", "type": "message", "role": "assistant", "status": "completed"}
    calls = [
        {
            "id": f"fc_{turn}_{at}",
            "type": "function_call",
            "status": "completed",
            "call_id": id,
            "name": "add",
            "arguments": f'{{"turn":{turn}}}',
        }
        for at, id in enumerate(ids(turn))
    ]
    output = [thought, {**message, "content": [said]}, *calls]
    made = {
        "id": f"resp_{turn}",
        "object": "response",
        "created_at": 5,
        "model": "one-2026",
        "status": "in_progress",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    events: list[dict[str, Any]] = [{"type": "response.created", "response": made}]
    for at, item in enumerate(output):
        events.append({"type": "response.output_item.added", "output_index": at, "item": item})
        events.append({"type": "response.output_item.done", "output_index": at, "item": item})
    ended = {**made, "status": "completed", "output": output}
    events.append({"type": "response.completed", "response": ended})
    return claude.events(*({**event, "sequence_number": at} for at, event in enumerate(events)))


ANSWERS = {"deepseek": chat_answer, "anthropic": messages_answer, "openai": responses_answer}


class Gateway:
    """What stands between the SDK and the providers. `plan` says who answers each turn."""

    def __init__(self, plan: list[str], cut: int) -> None:
        self.plan = plan
        self.cut = cut
        self.sent: list[dict[str, Any]] = []
        """The bodies that went to the providers."""

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        turn = len(self.sent)
        name = self.plan[turn]
        chat = read(request.content)
        channel = Channel(name="c", provider=name, label="C", base_url="", models={}, secret="sk")
        at = Candidate(channel, MODEL, "claude-sonnet-4-5" if name == "anthropic" else "one-2026")
        provider = speaking(PROVIDERS[name], chat, at)
        self.sent.append(json.loads(provider.request(chat, at, stream=True, limit=None).body))
        stream = provider.stream(Asked(model="acme/one", id=f"chatcmpl-{turn}", created=5))

        def pieces() -> Iterator[Piece]:
            told = ANSWERS[name](turn)
            for start in range(0, len(told), self.cut):
                yield from stream.feed(told[start : start + self.cut])
            yield from stream.end()

        about = facts(chat, id=f"resp_ours{turn}", created=5, model="acme/one")
        events, relay = Events(about), Relay(about)
        sent = [
            relay.event(piece.native_name, piece.native) if piece.native else events.chunk(piece.data)
            for piece in pieces()
            if piece.native or piece.data
        ]
        ended = (relay if name == "openai" else events).end(End(usage=Usage(prompt=1, completion=1)))
        kind = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=kind, content=b"".join([*sent, ended]))


def steps(sent: dict[str, Any]) -> Steps:
    """The calls and outputs of a provider's request, in its dialect, in their order."""
    found: Steps = []
    for item in sent["input"] if "input" in sent else sent["messages"]:
        match item:
            case {"type": "function_call", "call_id": str(id)}:
                found.append(("call", id))
            case {"type": "function_call_output", "call_id": str(id)} | {
                "role": "tool",
                "tool_call_id": str(id),
            }:
                found.append(("output", id))
            case {"tool_calls": list(calls)}:
                found += [("call", call["id"]) for call in calls]
            case {"content": list(blocks)}:
                found += [("call", block["id"]) for block in blocks if block["type"] == "tool_use"]
                found += [
                    ("output", block["tool_use_id"]) for block in blocks if block["type"] == "tool_result"
                ]
    return found


PLANS = {
    "one provider": ["deepseek"] * TURNS,
    "claude": ["anthropic"] * TURNS,
    "native": ["openai"] * TURNS,
    "each turn another": [list(ANSWERS)[turn % 3] for turn in range(TURNS)],
    "a failover in the middle": ["anthropic"] * 7 + ["deepseek"] * 6 + ["openai"] * 7,
}


@pytest.mark.parametrize(
    ("plan", "cut"),
    [*((plan, 61) for plan in PLANS.values()), (PLANS["each turn another"], 1)],
    ids=[*PLANS, "byte by byte"],
)
def test_twenty_turns_lose_and_double_no_call_whoever_answers(plan: list[str], cut: int) -> None:
    gateway = Gateway(plan, cut)
    history: list[Any] = [{"role": "user", "content": "Add."}]

    with openai.OpenAI(
        api_key="dtk",
        base_url="http://gateway/v1",
        http_client=httpx2.Client(transport=httpx2.MockTransport(gateway.answer)),
        _strict_response_validation=True,
    ) as client:
        for _ in range(TURNS):
            with client.responses.stream(model="acme/one", input=history, store=False) as events:
                answer = events.get_final_response()
            for item in answer.output:
                history.append(_back(item))
                if item.type == "function_call":
                    output = {"call_id": item.call_id, "output": item.arguments}
                    history.append({"type": "function_call_output", **output})

    for turn, sent in enumerate(gateway.sent):
        calls: Steps = []
        for before in range(turn):
            calls += [(kind, id) for id in ids(before) for kind in ("call", "output")]
        assert sorted(steps(sent)) == sorted(calls)
        assert _answered_at_once(steps(sent))
        assert OURS not in json.dumps(sent)
    assert _turns_of_claude(gateway) == _expected(plan)


def _back(item: Any) -> dict[str, Any]:
    """An item as a client sends it back, without what the SDK's helper added."""
    told: dict[str, Any] = item.to_dict()
    told.pop("parsed_arguments", None)
    for part in told.get("content") or ():
        part.pop("parsed", None)
    return told


def _answered_at_once(found: Steps) -> bool:
    """Each call has its output before the next turn's calls begin."""
    turns = [{id.rpartition("_")[0] for _, id in found[at : at + 4]} for at in range(0, len(found), 4)]
    return all(len(turn) == 1 for turn in turns)


def _turns_of_claude(gateway: Gateway) -> list[list[str]]:
    """What Claude was told, when it was asked last, that it had said in turns of its own."""
    last: list[dict[str, Any]] = []
    for name, sent in zip(gateway.plan, gateway.sent, strict=True):
        if name == "anthropic":
            last = sent["messages"]
    said = [message["content"] for message in last if message["role"] == "assistant"]
    return [
        [block.get("signature") or block.get("text") or block["id"] for block in blocks]
        for blocks in said
        if blocks[0]["type"] == "thinking"
    ]


def _expected(plan: list[str]) -> list[list[str]]:
    turns = [turn for turn, name in enumerate(plan) if name == "anthropic"][:-1]
    return [
        [
            f"Signed+{turn}.0/==",
            f"Said {turn}.",
            f"call_{turn}_a",
            f"Signed+{turn}.3/==",
            f"call_{turn}_b",
        ]
        for turn in turns
    ]
