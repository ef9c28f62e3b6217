"""Models that call tools turn after turn, in both dialects, and take nothing but the conversation as it was.

Conversation     what was said in each turn, by whom; what is wrong with what a model was sent
Gpt, Claude      the two models: they look at all that they are sent, and call the next tools
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from claude_scene import (
    block,
    calls_of,
    chosen,
    message_events,
    started,
    text_block,
    tool_block,
    whole_message,
)
from provider_scene import DONE, HEAD, chunk, completion, event, stream_head, streamed

from upstreams import Received

TURNS = 20
TOOL: dict[str, Any] = {"type": "object", "properties": {"place": {"type": "string"}}}
ID = re.compile(r"[a-zA-Z0-9_-]+")
OTHERS = re.compile(r"[^a-zA-Z0-9_-]")


class Call(NamedTuple):
    id: str
    name: str
    arguments: dict[str, Any]

    @property
    def result(self) -> str:
        """What the client's tool answers."""
        return f"{self.name} of {self.arguments['place']}"


class Turn(NamedTuple):
    """What a model said."""

    by: str
    text: str
    thought: str
    signature: str
    calls: list[Call]


def turn(number: int, by: str) -> Turn:
    """The turn of that number: one call to three, nothing to call in the last one."""
    count = 0 if number == TURNS else 1 + number % 3
    # Some hosts have ids that Anthropic's API refuses.
    prefix = f"toolu_{number}_" if by == "claude" else f"functions.look:{number}."
    calls = [
        Call(
            f"{prefix}{i}",
            ("look", "ask")[i % 2],
            {"place": f'"{number}"/{i} \u00fc', "n": [number, {"i": i}]},
        )
        for i in range(count)
    ]
    return Turn(by, f"Turn {number}. ", f"Thought {number}\u2026", f"Eq+/{number}==", calls)


class Conversation:
    """One, of which all who take part must see the same."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.wrong: list[str] = []

    def next(self, by: str) -> Turn:
        self.turns.append(turn(len(self.turns), by))
        return self.turns[-1]

    def compare(self, sent: object, expected: object) -> None:
        if sent != expected:
            self.wrong.append(f"in turn {len(self.turns)}: {sent!r} instead of {expected!r}")


def pieces(call: Call) -> Iterator[str]:
    """The arguments in three parts."""
    told = json.dumps(call.arguments)
    third = len(told) // 3
    yield from (told[:third], told[third : 2 * third], told[2 * third :])


class Gpt:
    """Speaks OpenAI's dialect."""

    name = "gpt"

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    def look(self, body: dict[str, Any]) -> None:
        """See that each call and each result is there, once, in its place."""
        expected: list[Any] = [{"role": "user", "content": "begin"}]
        for turn in self._conversation.turns:
            calls = [(call.id, call.name, call.arguments) for call in turn.calls]
            expected.append({"role": "assistant", "content": turn.text, "tool_calls": calls})
            expected += [
                {"role": "tool", "tool_call_id": call.id, "content": call.result} for call in turn.calls
            ]
        self._conversation.compare([_plainly(message) for message in body["messages"]], expected)

    def says(self, request: Received) -> bytes:
        body = json.loads(request.body)
        self.look(body)
        turn = self._conversation.next(self.name)
        return self.streamed(turn) if body.get("stream") else self.whole(turn)

    def whole(self, turn: Turn) -> bytes:
        calls = calls_of(*((call.id, call.name, json.dumps(call.arguments)) for call in turn.calls))
        said: dict[str, Any] = {"content": turn.text, "reasoning_content": turn.thought}
        return completion(choices=chosen(said | ({"tool_calls": calls} if calls else {}), finish(turn)))

    def streamed(self, turn: Turn) -> bytes:
        return streamed(self.begun(turn) + chunk(finish=finish(turn)) + DONE)

    def cut(self) -> bytes:
        """The beginning of an answer whose calls nobody must make."""
        return stream_head() + self.begun(turn(len(self._conversation.turns), self.name))[:-90]

    def begun(self, turn: Turn) -> bytes:
        """All but its end; the calls' arguments come by turns."""
        deltas: list[dict[str, Any]] = [
            {"role": "assistant", "content": ""},
            {"reasoning_content": turn.thought},
            {"content": turn.text},
        ]
        for index, call in enumerate(turn.calls):
            function = {"name": call.name, "arguments": ""}
            told = {"index": index, "id": call.id, "type": "function", "function": function}
            deltas.append({"tool_calls": [told]})
        for parts in zip(*(pieces(call) for call in turn.calls), strict=True):
            for index, part in enumerate(parts):
                deltas.append({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
        return b"".join(event({**HEAD, "choices": [{"index": 0, "delta": delta}]}) for delta in deltas)


def _plainly(message: dict[str, Any]) -> dict[str, Any]:
    """A message as it is compared: arguments decoded, a list of one text as that text."""
    told = {name: value for name, value in message.items() if value is not None}
    if told["role"] == "assistant":
        calls = told.get("tool_calls", ())
        told["tool_calls"] = [
            (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in calls
        ]
        # What it thought may go back to a host that knows the field, and what another did is not its own.
        told = {name: value for name, value in told.items() if not name.startswith("reasoning")}
    match told["content"]:
        case [{"type": "text", "text": text}]:
            told["content"] = text
    return told


def finish(turn: Turn) -> str:
    return "tool_calls" if turn.calls else "stop"


class Claude:
    """Speaks Anthropic's."""

    name = "claude"

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    def look(self, body: dict[str, Any]) -> None:
        """The same; and its own thinking byte for byte, but nobody else's."""
        expected: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "begin"}]}]
        for turn in self._conversation.turns:
            said = [*self._thinking(turn), {"type": "text", "text": turn.text}]
            calls = [call._replace(id=OTHERS.sub("_", call.id)) for call in turn.calls]
            said += [
                {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
                for call in calls
            ]
            results = [
                {
                    "type": "tool_result",
                    "tool_use_id": call.id,
                    "content": [{"type": "text", "text": call.result}],
                }
                for call in calls
            ]
            expected += [{"role": "assistant", "content": said}, {"role": "user", "content": results}]
        self._conversation.compare([_in_blocks(message) for message in body["messages"]], expected)
        ids = re.findall(r'"(?:tool_use_)?id": ?"([^"]*)"', json.dumps(body["messages"]))
        self._conversation.compare([id for id in ids if not ID.fullmatch(id)], [])

    def _thinking(self, turn: Turn) -> list[dict[str, Any]]:
        own = {"type": "thinking", "thinking": turn.thought, "signature": turn.signature}
        return [own] if turn.by == self.name else []

    def says(self, request: Received) -> bytes:
        body = json.loads(request.body)
        self.look(body)
        turn = self._conversation.next(self.name)
        return self.streamed(turn) if body.get("stream") else self.whole(turn)

    def whole(self, turn: Turn) -> bytes:
        calls = [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
            for call in turn.calls
        ]
        text = {"type": "text", "text": turn.text}
        return whole_message(*self._thinking(turn), text, *calls, stop=stop_reason(turn))

    def streamed(self, turn: Turn) -> bytes:
        return message_events(*self.blocks(turn), stop=stop_reason(turn))

    def cut(self) -> bytes:
        """The beginning of an answer whose calls nobody must make."""
        blocks = self.blocks(turn(len(self._conversation.turns), self.name))
        return stream_head() + started() + b"".join(blocks)[:-90]

    def blocks(self, turn: Turn) -> list[bytes]:
        thought = block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": turn.thought},
            {"type": "signature_delta", "signature": turn.signature},
        )
        calls = [
            tool_block(index, call.id, call.name, *pieces(call))
            for index, call in enumerate(turn.calls, start=2)
        ]
        return [thought, text_block(1, turn.text), *calls]


def _in_blocks(message: dict[str, Any]) -> dict[str, Any]:
    """A turn as it is compared: texts are blocks, and what is null is not there."""
    content = message["content"]
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    blocks = [{name: value for name, value in one.items() if value is not None} for one in content]
    for one in blocks:
        if isinstance(one.get("content"), str):
            one["content"] = [{"type": "text", "text": one["content"]}]
    return {"role": message["role"], "content": blocks}


def stop_reason(turn: Turn) -> str:
    return "tool_use" if turn.calls else "end_turn"
