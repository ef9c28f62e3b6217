"""Events of Anthropic's Messages API put together: the Message as if it had not been streamed.

For an answer that is streamed only between the gateway and its provider. Events come as an adapter delivers
them: in order, those of one answer.

Source: platform.claude.com/docs/en/build-with-claude/streaming, read 2026-11-25.
"""

from typing import Any

import msgspec

from deeptoken.wire.messages_answer import costed, input_of
from deeptoken.wire.thoughts import text_in

GROWING = {"text_delta": "text", "thinking_delta": "thinking"}
"""A delta, and the field of its block that it adds to."""

NOT_OF_THE_MESSAGE = ("type", "delta", "usage")
"""Of a `message_delta`: what else it has belongs to the Message."""

_decode = msgspec.json.Decoder().decode


class Assembler:
    """Of one answer."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._texts: dict[tuple[int, str], list[str]] = {}

    def add(self, data: bytes) -> None:
        match _decode(data):
            case {"type": "message_start", "message": dict(message)}:
                self._message = message
            case {"type": "content_block_start", "index": int(index), "content_block": dict(block)}:
                self._blocks[index] = block
            case {"type": "content_block_delta", "index": int(index), "delta": dict(delta)} if (
                index in self._blocks
            ):
                self._grow(index, delta)
            case {"type": "message_delta", "delta": dict(delta)} as told:
                self._message |= delta | {name: told[name] for name in told if name not in NOT_OF_THE_MESSAGE}
                usage = told.get("usage")
                counts = usage if isinstance(usage, dict) else {}
                known = {name: count for name, count in counts.items() if count is not None}
                self._message = costed(self._message, known)

    def whole(self) -> dict[str, Any]:
        """The Message so far."""
        for (index, name), pieces in self._texts.items():
            block, text = self._blocks[index], "".join(pieces)
            block[name] = input_of(text) if name == "input" else text_in(block, name) + text
        self._texts.clear()
        content = [block for _, block in sorted(self._blocks.items())]
        return {**self._message, "content": content}

    def _grow(self, index: int, delta: dict[str, Any]) -> None:
        block = self._blocks[index]
        match delta:
            case {"type": "input_json_delta", "partial_json": str(text)}:
                if text:
                    self._texts.setdefault((index, "input"), []).append(text)
            case {"type": "signature_delta", "signature": signature}:
                block["signature"] = signature
            case {"type": "citations_delta", "citation": citation}:
                told = block.get("citations")
                block["citations"] = [*(told if isinstance(told, list) else ()), citation]
            case {"type": str(kind)} if kind in GROWING and isinstance(delta.get(GROWING[kind]), str):
                self._texts.setdefault((index, GROWING[kind]), []).append(delta[GROWING[kind]])
