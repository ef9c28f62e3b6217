"""The events of a streamed response.

    Events  made of a chat's chunks, where the provider speaks another dialect
    Relay   a provider's own, where it speaks this one: passed on, and ended by us where it does not end them

Either holds the last event back until the bill is known: `end` writes it. `failed` ends a stream that has
begun and cannot go on: `error` with our words, then `response.failed`.

Source: developers.openai.com/api/reference/resources/responses/streaming-events and openai-python's types,
read 2026-11-25. There is no ``[DONE]``.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from deeptoken.errors import DeeptokenError
from deeptoken.wire import responses_answer as answer
from deeptoken.wire.responses_answer import End, Facts
from deeptoken.wire.responses_items import Object, Output

LAST = ("response.completed", "response.incomplete")
CHANGING = ("status", "usage", "error", "incomplete_details", "completed_at", "output")
"""What of a response is not yet known when it begins."""

encode = msgspec.json.encode
decode = msgspec.json.decode


class Events:
    """Of one response. What is returned is ready to be sent."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._output = Output(facts.key, summarized=facts.summarized)
        self._writer = _Writer()
        self._begun = False
        self._ended = False
        self._finish: str | None = None
        self._tier: object = None

    def chunk(self, data: bytes) -> bytes:
        """The events of one ``chat.completion.chunk``."""
        chunk = answer.read_chunk(data)
        events: list[Object] = self._begin()
        self._tier = chunk.service_tier or self._tier
        for choice in chunk.choices:
            if choice.index != 0:
                continue
            if choice.delta is not None:
                events += self._output.add(choice.delta, choice.logprobs)
            if choice.finish_reason is not None and self._finish is None:
                self._finish = choice.finish_reason
                events += self._end(answer.incomplete(self._finish, None))
        return self._writer.write(events)

    def end(self, end: End) -> bytes:
        """The rest of the events, once it is known what was used."""
        events = self._begin()
        why = answer.incomplete(self._finish, end.dry)
        events += self._end(why)
        made = answer.ended(self._facts, self._output.items(), why, end, self._tier)
        events.append({"type": f"response.{made['status']}", "response": made})
        return self._writer.write(events)

    def failed(self, error: DeeptokenError) -> bytes:
        made = answer.failed(self._facts, self._output.broken_off(), error)
        return self._writer.write([*self._begin(), *_failure(error, made)])

    def _begin(self) -> list[Object]:
        if self._begun:
            return []
        self._begun = True
        made = answer.begun(self._facts)
        return [
            {"type": "response.created", "response": made},
            {"type": "response.in_progress", "response": made},
        ]

    def _end(self, why: str | None) -> Iterable[Object]:
        if self._ended:
            return ()
        self._ended = True
        return self._output.end(whole=why is None)


class Told(msgspec.Struct, gc=False):
    """An event of a provider: what has to be known of it, to end a stream in its place or to count."""

    type: str = ""
    sequence_number: int | None = None
    output_index: int | None = None
    response: msgspec.Raw = msgspec.Raw()
    item: msgspec.Raw = msgspec.Raw()
    delta: Any = None


read_told = msgspec.json.Decoder(Told).decode


class Relay:
    """Of one response that a provider tells in this dialect. What is returned is ready to be sent."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._writer = _Writer()
        self._begun: Object | None = None
        """The response as it was created."""
        self._last: Told | None = None
        self._last_data = b""
        self._items: dict[int, Object] = {}
        self._texts: dict[int, list[str]] = {}
        """What deltas added to an item that has not ended."""

    def event(self, name: str, data: bytes) -> bytes:
        """The event to be sent for one of the provider's; nothing for its last one."""
        told = read_told(data)
        told.type = told.type or name
        if told.type in LAST:
            self._last, self._last_data = told, data
            return b""
        if told.sequence_number is not None:
            self._writer.next = told.sequence_number + 1
        at = told.output_index
        if told.response and self._begun is None:
            self._begun = decode(told.response)
        elif told.item and at is not None:
            item = decode(told.item)
            self._items[at] = item if isinstance(item, dict) else {}
            self._texts[at] = []
        elif at in self._texts and isinstance(told.delta, str):
            self._texts[at].append(told.delta)
        return _framed(told.type, data)

    def end(self, end: End) -> bytes:
        if self._last is None:
            made = self.final(end)
            return self._writer.write([{"type": f"response.{made['status']}", "response": made}])
        if not end.more:
            return _framed(self._last.type, self._last_data)
        fields = decode(self._last_data, type=dict[str, msgspec.Raw])
        return _framed(self._last.type, encode({**fields, "response": self.final(end)}))

    def final(self, end: End) -> dict[str, Any]:
        """The whole Response, for a caller who wants no stream; its values may be raw JSON."""
        if self._last is not None:
            return answer.passed(decode(self._last.response, type=dict[str, msgspec.Raw]), end.more)
        why = answer.incomplete(None, end.dry or "")
        return {**answer.ended(self._facts, [], why, end), **self._as_begun(), "output": self._output()}

    def failed(self, error: DeeptokenError) -> bytes:
        made = {**answer.failed(self._facts, [], error), **self._as_begun(), "output": self._output()}
        first = [{"type": "response.created", "response": answer.begun(self._facts)}]
        return self._writer.write([*(first if self._begun is None else []), *_failure(error, made)])

    def _as_begun(self) -> Object:
        """What the provider told of the response when it began and that stays."""
        return {name: value for name, value in (self._begun or {}).items() if name not in CHANGING}

    def _output(self) -> list[Object]:
        return [_cut(item, "".join(self._texts[at])) for at, item in sorted(self._items.items())]


class _Writer:
    """Numbers events and writes them."""

    def __init__(self) -> None:
        self.next = 0

    def write(self, events: Iterable[Object]) -> bytes:
        written = []
        for event in events:
            numbered = {"type": event["type"], "sequence_number": self.next, **event}
            self.next += 1
            written.append(_framed(event["type"], encode(numbered)))
        return b"".join(written)


def _framed(name: str, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def _failure(error: DeeptokenError, made: Object) -> list[Object]:
    told = {"code": error.code, "message": error.message, "param": error.param}
    return [{"type": "error", **told}, {"type": "response.failed", "response": made}]


def _cut(item: Object, text: str) -> Object:
    """An item that has not ended, with the text that came of it."""
    if item.get("status") != "in_progress":
        return item
    match item.get("type"):
        case "message":
            part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
            return {**item, "status": "incomplete", "content": [part]}
        case "function_call":
            return {**item, "status": "incomplete", "arguments": text}
    return {**item, "status": "incomplete"}
