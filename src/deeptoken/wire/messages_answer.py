"""A chat's answer as a Message of Anthropic's Messages API, whole; streamed answers are `messages_events.py`.

    content        thinking, text, tool_use; each thought where its provider says that it stood
    stop_reason    stop, length, tool_calls, content_filter: end_turn, max_tokens, tool_use, refusal
    usage          input_tokens is what neither came from the cache nor went to it

Source: platform.claude.com/docs/en/api/messages, .../build-with-claude/handling-stop-reasons,
.../build-with-claude/prompt-caching and the SDK's types; read 2026-11-25.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from deeptoken.wire.choice import objects_of
from deeptoken.wire.thoughts import FORMAT, Block, block_of, thinking
from deeptoken.wire.usage import Usage

END_TURN, TOOL_USE, MAX_TOKENS, REFUSAL = "end_turn", "tool_use", "max_tokens", "refusal"
ID = "msg_"
STOP_REASONS = {
    "stop": END_TURN,
    "length": MAX_TOKENS,
    "tool_calls": TOOL_USE,
    "function_call": TOOL_USE,
    "content_filter": REFUSAL,
}
NO_NAMES: Mapping[str, str] = {}
NO_INPUT = msgspec.Raw(b"{}")

_JSON = msgspec.json.Decoder()
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def message(
    fields: Mapping[str, Any],
    usage: Usage,
    *,
    names: Mapping[str, str] = NO_NAMES,
    more: Mapping[str, Any] = NO_NAMES,
) -> dict[str, Any]:
    """A Message. `fields` are a ``chat.completion``'s, decoded or as they came; the first choice counts.

    `names` are the tools' own by those they had at the provider (`messages_plain.long_names`); `more` is
    added to the usage.
    """
    told = {name: _decoded(value) for name, value in fields.items()}
    choice: dict[str, Any] = next(iter(told["choices"]), {})
    said = choice.get("message") or {}
    content = _content(said, names)
    reason, sequence = stop(
        choice.get("finish_reason"),
        called=bool(said.get("tool_calls")),
        refused=bool(said.get("refusal")),
        sequence=choice.get("stop_reason"),
    )
    answer: dict[str, Any] = {
        "id": id_of(str(told.get("id") or "")),
        "type": "message",
        "role": "assistant",
        "model": told.get("model"),
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "stop_details": None,
        "usage": {**usage_told(usage), **more},
    }
    if "deeptoken" in told:
        answer["deeptoken"] = told["deeptoken"]
    return answer


def costed(native: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """A Message that a provider told, with what else stands in its usage."""
    usage = _decoded(native.get("usage"))
    return {**native, "usage": {**(usage if isinstance(usage, dict) else {}), **more}}


def id_of(id: str) -> str:
    """An answer's id as this dialect writes it, of what the provider wrote: ``msg_...``."""
    return id if id.startswith(ID) else ID + id.removeprefix("chatcmpl-")


def stop(finish: str | None, *, called: bool, refused: bool, sequence: object) -> tuple[str, str | None]:
    """`stop_reason` and `stop_sequence`. `sequence` is what some hosts tell: the stop that was met."""
    reason = STOP_REASONS.get(finish or "", END_TURN)
    if reason != END_TURN:
        return reason, None
    if called:
        # A tool that was named is called with the finish `stop`; a client waits for tool_use.
        return TOOL_USE, None
    if refused:
        return REFUSAL, None
    if isinstance(sequence, str) and sequence:
        return "stop_sequence", sequence
    return reason, None


def usage_told(usage: Usage) -> dict[str, Any]:
    """A usage in Anthropic's shape."""
    told: dict[str, Any] = {
        "input_tokens": usage.prompt + usage.prompt_audio,
        "cache_creation_input_tokens": usage.cache_write + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.completion_tokens,
    }
    if usage.reasoning:
        told["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return told


def _decoded(value: Any) -> Any:
    return _JSON.decode(value) if isinstance(value, msgspec.Raw) else value


def _content(said: dict[str, Any], names: Mapping[str, str]) -> list[Block]:
    text = (said.get("content") or "") + (said.get("refusal") or "")
    # Blank text is no block: a client must not send it back.
    blocks: list[Block] = [{"type": "text", "text": text}] if text.strip() else []
    blocks += [_call(call, names) for call in said.get("tool_calls") or () if call.get("function")]
    return woven(objects_of(said.get("reasoning_details")), said.get("reasoning_content"), blocks)


def woven(details: list[dict[str, Any]], reasoning: str | None, said: list[Block]) -> list[Block]:
    """What was thought and said in one list. Claude's thoughts tell their places; others come first."""
    first: list[Block] = []
    placed: list[tuple[int, Block]] = []
    for detail in details:
        block = block_of(detail)
        if block is None:
            continue
        at = detail.get("index")
        if detail.get("format") == FORMAT and isinstance(at, int):
            placed.append((at, block))
        else:
            first.append(block)
    if reasoning and not any(block.get("thinking") for block in (*first, *(block for _, block in placed))):
        first.insert(0, thinking(reasoning))
    blocks = first + said
    for at, block in placed:
        blocks.insert(len(first) + at, block)
    return blocks


def _call(call: dict[str, Any], names: Mapping[str, str]) -> Block:
    name = call["function"].get("name") or ""
    return {
        "type": TOOL_USE,
        "id": call.get("id"),
        "name": names.get(name, name),
        "input": input_of(call["function"].get("arguments") or ""),
    }


def input_of(arguments: str) -> msgspec.Raw:
    """A tool's input: the arguments byte for byte, or what there is of them where they were cut."""
    data = arguments.encode()
    try:
        _object(data)
    except msgspec.DecodeError:
        return completed(data)
    return msgspec.Raw(data)


def completed(data: bytes) -> msgspec.Raw:
    """An object that was cut, closed behind its last whole member; empty where it is none."""
    ends: list[int] = []
    """What closes what is open, innermost last."""
    quoted = escaped = False
    whole = (0, b"")
    for at, byte in enumerate(data):
        if quoted:
            quoted = escaped or byte != 0x22
            escaped = not escaped and byte == 0x5C
        elif byte == 0x22:
            quoted = True
        elif byte in b"{[":
            ends.append(0x7D if byte == 0x7B else 0x5D)
            whole = at + 1, bytes(reversed(ends))
        elif byte in b"}]" and ends:
            ends.pop()
            whole = at + 1, bytes(reversed(ends))
        elif byte == 0x2C:
            whole = at, bytes(reversed(ends))
    closed = data[: whole[0]] + whole[1]
    try:
        _object(closed)
    except msgspec.DecodeError:
        return NO_INPUT
    return msgspec.Raw(closed)
