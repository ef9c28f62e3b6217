"""The blocks of a streamed Message, one after the other, whatever order their deltas come in.

    write    a delta for a block: told at once where that block is open, or may be opened
    close    the end: what had to wait, then the end of the last block

A block that has ended is not begun again, so a call whose arguments are no whole JSON yet stays open, and
what comes for other blocks meanwhile waits. Few hosts mix calls; nothing is lost or doubled where one does.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from deeptoken.wire.thoughts import REDACTED, TEXTS, THINKING, Detail, claudes, seal, text_in

TEXT, TOOL = "text", "tool_use"

encode = msgspec.json.Encoder().encode


class Block(msgspec.Struct, gc=False):
    """One block that has begun. `key` tells thoughts and calls apart."""

    kind: str
    key: object = None
    start: dict[str, Any] = {}
    deltas: list[bytes] = []
    """What is to be told of it, as JSON."""
    arguments: list[str] = []
    """Of a call, so far."""
    rest: dict[str, Any] = {}
    """Of a thought of another provider's: its detail, but for the text."""

    @property
    def ready(self) -> bool:
        """It can be begun: the name of a call is known."""
        return self.kind != TOOL or bool(self.start["name"])

    @property
    def whole(self) -> bool:
        """It may end here."""
        return self.kind != TOOL or _is_json("".join(self.arguments))


class Blocks:
    """Of one answer. Each method returns the events that are to be sent now."""

    __slots__ = ("_blank", "_index", "_names", "_open", "_waiting", "calls")

    def __init__(self, names: Mapping[str, str]) -> None:
        self.calls = 0
        """Tool calls so far."""
        self._names = names
        self._index = 0
        self._open: Block | None = None
        self._waiting: list[Block] = []
        self._blank = ""
        """Blank text, which is no block by itself: a client must not send such back."""

    def text(self, text: str) -> bytes:
        last = self._waiting[-1] if self._waiting else self._open
        if last is None or last.kind != TEXT:
            text = self._blank + text
            self._blank = text if text.isspace() else ""
            if self._blank:
                return b""
        elif last is self._open:
            return delta(self._index, _text(text))
        self._last(TEXT, None, {"type": TEXT, "text": ""}).deltas.append(_text(text))
        return self._told()

    def thought(self, text: str) -> bytes:
        """Reasoning that no detail tells."""
        self._thinking(None).deltas.append(_thinking(text))
        return self._told()

    def detail(self, detail: Detail) -> bytes:
        """A part of a thought; those of one kind and index are one."""
        own, key = claudes(detail), (detail.get("type"), detail.get("index"))
        named = next((name for name in TEXTS if isinstance(detail.get(name), str)), None)
        if own and "data" in detail:
            return self._redacted(text_in(detail, "data"))
        if named is None and not own:
            return self._redacted(seal(detail))
        block = self._thinking(key)
        if named and detail[named]:
            block.deltas.append(_thinking(detail[named]))
        if not own:
            block.rest.update(
                (name, value) for name, value in detail.items() if name != named and value is not None
            )
        elif signature := text_in(detail, "signature"):
            block.deltas.append(_signature(signature))
        return self._told()

    def call(self, number: int, id: str | None, name: str | None, arguments: str | None) -> bytes:
        """A part of a tool call. `number` is its place among the calls."""
        known = [self._open, *self._waiting] if self._open else self._waiting
        block = next((block for block in known if (block.kind, block.key) == (TOOL, number)), None)
        if block is None:
            self.calls += 1
            block = Block(TOOL, number, {"type": TOOL, "id": id, "name": "", "input": {}})
            self._waiting.append(block)
        if name:
            block.start["name"] = self._names.get(name, name)
        if arguments:
            block.arguments.append(arguments)
            block.deltas.append(_input(arguments))
        return self._told()

    def begun(self, index: int) -> None:
        """Somebody else has begun a block; ours come behind it."""
        self._open, self._index = Block(""), index

    def ended(self) -> None:
        """It has ended."""
        self._open, self._index = None, self._index + 1

    def close(self) -> bytes:
        """All that is left, and the end of the last block."""
        events = self._told()
        for block in self._waiting:
            events += self._end() + self._begin(block)
        self._waiting = []
        return events + self._end()

    def _last(self, kind: str, key: object, start: dict[str, Any]) -> Block:
        """The last block if it is this one, else a new one behind it."""
        last = self._waiting[-1] if self._waiting else self._open
        if last is None or (last.kind, last.key) != (kind, key):
            last = Block(kind, key, start)
            self._waiting.append(last)
        return last

    def _thinking(self, key: object) -> Block:
        return self._last(THINKING, key, {"type": THINKING, "thinking": "", "signature": ""})

    def _redacted(self, data: str) -> bytes:
        if data:
            self._waiting.append(Block(REDACTED, None, {"type": REDACTED, "data": data}))
        return self._told()

    def _told(self) -> bytes:
        """What of all that is known can be sent in its order."""
        events = self._deltas()
        while self._waiting and self._waiting[0].ready and (self._open is None or self._open.whole):
            events += self._end() + self._begin(self._waiting.pop(0))
        return events

    def _begin(self, block: Block) -> bytes:
        self._open = block
        start = {"type": "content_block_start", "index": self._index, "content_block": block.start}
        return event("content_block_start", encode(start)) + self._deltas()

    def _deltas(self) -> bytes:
        if self._open is None or not self._open.deltas:
            return b""
        told, self._open.deltas = self._open.deltas, []
        return b"".join(delta(self._index, piece) for piece in told)

    def _end(self) -> bytes:
        if self._open is None:
            return b""
        sealed = seal(self._open.rest)
        events = delta(self._index, _signature(sealed)) if sealed else b""
        events += event("content_block_stop", b'{"type":"content_block_stop","index":%d}' % self._index)
        self.ended()
        return events


def event(name: str, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def delta(index: int, piece: bytes) -> bytes:
    return b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b}\n\n' % (
        index,
        piece,
    )


def _text(text: str) -> bytes:
    return b'{"type":"text_delta","text":%b}' % encode(text)


def _thinking(text: str) -> bytes:
    return b'{"type":"thinking_delta","thinking":%b}' % encode(text)


def _signature(signature: str) -> bytes:
    return b'{"type":"signature_delta","signature":%b}' % encode(signature)


def _input(arguments: str) -> bytes:
    return b'{"type":"input_json_delta","partial_json":%b}' % encode(arguments)


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
