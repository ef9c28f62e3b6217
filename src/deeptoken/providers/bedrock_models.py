"""The makers of Bedrock's models, and how each is told to think: Converse has no word for it.

    claude            thinking, output_config.effort        as in Anthropic's own API
    nova-2            reasoningConfig.maxReasoningEffort    `high` allows no limit of tokens
    gpt               reasoning.effort
    gpt-oss, kimi     reasoning_effort
    nova, other       nothing

Source: docs.aws.amazon.com/bedrock/latest/userguide/inference-reasoning.html and
docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html; for `gpt` and `kimi` what Converse
was seen to accept: github.com/anomalyco/opencode/pull/48195, github.com/langchain-ai/langchain-aws/pull/1188;
read 2026-11-25. What Claude encrypted is base64 of Anthropic's text: so real answers show it.
"""

import base64
import binascii
from typing import Any, Literal

from deeptoken.catalog.model import Candidate
from deeptoken.errors import BadRequest
from deeptoken.providers.anthropic_answer import encrypted_detail, text_detail
from deeptoken.providers.anthropic_messages import Thought
from deeptoken.providers.anthropic_request import EFFORTS
from deeptoken.wire.thoughts import FORMAT

Family = Literal["claude", "nova-2", "nova", "gpt-oss", "gpt", "kimi", "other", "unknown"]

FAMILIES: tuple[tuple[str, Family], ...] = (
    ("claude", "claude"),
    ("nova-2", "nova-2"),
    ("nova", "nova"),
    ("gpt-oss", "gpt-oss"),
    ("openai.", "gpt"),
    ("gpt-", "gpt"),
    ("kimi", "kimi"),
)
"""What an id has in it, the first one that is found."""
OWN_FORMAT = "bedrock-converse-v1"
"""Marks reasoning details of a model that is not Claude, or not known as one."""


def family(at: Candidate) -> Family:
    """By the name upstream; where that is the number of a profile, by the id that callers use."""
    found = _named(at.upstream_model)
    if found is None and at.upstream_model.startswith("arn:"):
        return _named(at.model.id) or "unknown"
    return found or "other"


def _named(model: str) -> Family | None:
    return next((family for part, family in FAMILIES if part in model.lower()), None)


def written_format(model: str) -> str:
    """The format of the reasoning details of an answer, by the id that callers use.

    Claude signs for all the places that serve it, so another channel can send its thinking back too.
    """
    return FORMAT if _named(model) == "claude" else OWN_FORMAT


def read_formats(of: Family) -> tuple[str, ...]:
    """The formats of reasoning details that such a model takes back."""
    return (FORMAT, OWN_FORMAT) if of in ("claude", "unknown") else (OWN_FORMAT,)


def text_told(text: str, signature: str | None, place: int, form: str) -> dict[str, Any]:
    """The detail of reasoning that can be read, or of a part of it."""
    return text_detail(text, signature, place) | {"format": form}


def encrypted_told(content: str, place: int, form: str) -> dict[str, Any]:
    """The detail of reasoning that was encrypted: Claude's as Anthropic writes it, else as Bedrock does."""
    inner = _unwrapped(content) if form == FORMAT else None
    if inner is None:
        return encrypted_detail(content, place) | {"format": OWN_FORMAT}
    return encrypted_detail(inner, place)


def reasoning_block(thought: Thought) -> dict[str, Any]:
    """Reasoning as it goes back, byte for byte as it came."""
    if not thought.data:
        text = {"text": "".join(thought.texts), "signature": thought.signature}
        return {"reasoningContent": {"reasoningText": text}}
    own = thought.format == OWN_FORMAT
    content = thought.data if own else base64.b64encode(thought.data.encode()).decode()
    return {"reasoningContent": {"redactedContent": content}}


def _unwrapped(content: str) -> str | None:
    """Text that is in base64, if it comes back the same."""
    try:
        inner = base64.b64decode(content, validate=True)
        return inner.decode() if base64.b64encode(inner) == content.encode() else None
    except (binascii.Error, ValueError):
        return None


def checked_effort(effort: str | None) -> str | None:
    """Raises:
    BadRequest: it is none of OpenAI's words.
    """
    if effort is not None and effort != "none" and effort not in EFFORTS:
        words = ", ".join(("none", *EFFORTS))
        raise BadRequest(f"reasoning_effort is one of {words}.", param="reasoning_effort")
    return effort


def effort_fields(of: Family, effort: str, *, limited: bool) -> dict[str, Any]:
    """What a model other than Claude is told of the effort; `limited`: its tokens have a limit."""
    word = "low" if effort == "minimal" else effort
    if of == "gpt":
        return {"reasoning": {"effort": word}}
    if word == "none":
        return {}
    short = "high" if word in ("xhigh", "max") else word
    if of in ("gpt-oss", "kimi"):
        return {"reasoning_effort": short}
    if of == "nova-2":
        # Its `high` refuses a limit of tokens, and a wallet needs one.
        most = "medium" if short == "high" and limited else short
        return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": most}}
    return {}
