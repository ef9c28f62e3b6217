"""Reasoning in its two shapes: a chat's `reasoning_details`, and thinking blocks of Anthropic's Messages API.

    reasoning.text, signed by Claude    a `thinking` block with that signature
    reasoning.encrypted, by Claude      a `redacted_thinking` block
    any other detail                    the same blocks, the detail sealed in the signature or the data
    reasoning_content alone             a `thinking` block without a signature

What a provider signed comes back byte for byte, whichever client carried it: a Claude client gives back
signature and data unchanged, so it carries the details of other providers too (Gemini's signatures of
its tool calls). Claude itself must never get those, nor thinking that nobody signed.

Source: platform.claude.com/docs/en/build-with-claude/thinking, read 2026-11-25; the shape of the details
is OpenRouter's.
"""

import base64
import binascii
from typing import Any

import msgspec

Block = dict[str, Any]
Detail = dict[str, Any]

FORMAT = "anthropic-claude-v1"
"""Marks reasoning details that are Anthropic's; the name is OpenRouter's."""
SEAL = "deeptoken:"
"""How a signature or data starts that carries another provider's detail."""
THINKING, REDACTED = "thinking", "redacted_thinking"
TEXTS = ("text", "summary")
"""Where a detail has its text."""


def block_of(detail: Detail) -> Block | None:
    """A detail of an answer as a block of thinking; None where it says nothing."""
    if claudes(detail):
        if data := text_in(detail, "data"):
            return {"type": REDACTED, "data": data}
        return thinking(text_in(detail, "text"), text_in(detail, "signature")) if "text" in detail else None
    named = next((name for name in TEXTS if isinstance(detail.get(name), str)), None)
    rest = seal({name: value for name, value in detail.items() if name != named and value is not None})
    if named is not None:
        return thinking(detail[named], rest)
    return {"type": REDACTED, "data": rest} if rest else None


def claudes(detail: Detail) -> bool:
    """Whether it is thinking of Claude's, as its adapter tells it."""
    kinds = ("reasoning.text", "reasoning.encrypted")
    return detail.get("format") == FORMAT and detail.get("type") in kinds


def text_in(detail: Detail, name: str) -> str:
    """A field of a detail or a block that should be text; nothing where it is anything else."""
    told = detail.get(name)
    return told if isinstance(told, str) else ""


def thinking(text: str, signature: str = "") -> Block:
    return {"type": THINKING, "thinking": text, "signature": signature}


def detail_of(block: Block, index: int) -> Detail | None:
    """A block of thinking as the detail it was; None where nobody signed it. `index` is the block's place."""
    if block["type"] == REDACTED:
        data = block["data"]
        if data.startswith(SEAL):
            return unsealed(data)
        return {"type": "reasoning.encrypted", "data": data, "format": FORMAT, "index": index}
    text, signature = block["thinking"], block.get("signature") or ""
    if not signature:
        return None
    if not signature.startswith(SEAL):
        own = {"type": "reasoning.text", "text": text, "signature": signature}
        return own | {"format": FORMAT, "index": index}
    detail = unsealed(signature)
    if detail is None:
        return None
    return detail | {"summary" if detail.get("type") == "reasoning.summary" else "text": text}


def foreign(block: Block) -> bool:
    """Whether this is thinking that Claude has not signed."""
    if block.get("type") == THINKING:
        signature = block.get("signature")
        return not signature or str(signature).startswith(SEAL)
    return block.get("type") == REDACTED and str(block.get("data")).startswith(SEAL)


def seal(detail: Detail) -> str:
    """A detail as a signature; nothing where it says no more than its text."""
    if not detail.keys() - {"type", "index"}:
        return ""
    return SEAL + base64.urlsafe_b64encode(msgspec.json.encode(detail)).decode()


def unsealed(sealed: str) -> Detail | None:
    """The detail that `seal` wrote; None where somebody changed it."""
    try:
        data = base64.b64decode(sealed.removeprefix(SEAL), altchars=b"-_", validate=True)
        detail = msgspec.json.decode(data)
    except (binascii.Error, ValueError, RecursionError):
        return None
    return detail if isinstance(detail, dict) and isinstance(detail.get("type"), str) else None
