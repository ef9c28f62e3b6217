"""A call in Anthropic's Messages API for a provider that speaks it too: as it came, but for what must not.

    kept        every field, known or not, byte for byte
    taken out   thinking that Claude has not signed (an answer of another provider's, earlier in the
                conversation), and ids that only other providers have; then the messages are written anew
    refused     what runs or is kept on the operator's account, or changes the price: REFUSED

Source: platform.claude.com/docs/en/api/messages, .../api/versioning, .../api/beta-headers,
.../build-with-claude/thinking and the SDK's types; read 2026-11-25.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from deeptoken.errors import BadRequest
from deeptoken.wire.chat import OURS, Native
from deeptoken.wire.messages_turns import KNOWN, STORED, Turn, blocks, wrong
from deeptoken.wire.thoughts import REDACTED, THINKING, foreign

DIALECT = "messages"
VERSION_HEADER, BETA_HEADER = "anthropic-version", "anthropic-beta"
VERSION = re.compile(r"\d{4}-\d{2}-\d{2}")
BETA = re.compile(r"[A-Za-z0-9-]{1,100}")
BETAS_MAX = 32
REFUSED = (
    *("container", "mcp_servers", "thread", "user_profile_id"),
    *("fallbacks", "fallback_credit_token", "billing_policy", "inference_geo"),
)
"""Of the operator's account, or at another price."""
SPEED = "standard"
"""The only speed at the price that is known here."""
ID = re.compile(r"[^a-zA-Z0-9_-]")
"""What an id of a tool call must not have at Anthropic."""
NOT_PASSED = frozenset(("model", *OURS))


def native(
    whole: Mapping[str, Any],
    fields: Mapping[str, msgspec.Raw],
    turns: list[Turn],
    headers: Mapping[str, str],
) -> Native:
    """`whole` and `fields` are the body, decoded and as it came; `headers` by lower-case name.

    Raises:
        BadRequest: what must not go on; a version or preview that is no name.
    """
    refuse(whole, turns)
    passing = {
        name: raw for name, raw in fields.items() if name not in NOT_PASSED and whole[name] is not None
    }
    cleaned = [turn for turn in map(_cleaned, whole["messages"]) if turn["content"] != []]
    if cleaned != whole["messages"]:
        passing["messages"] = msgspec.Raw(msgspec.json.encode(cleaned))
        if _loops_without_thinking(cleaned, whole.get("thinking")):
            del passing["thinking"]
    return Native(dialect=DIALECT, fields=passing, headers=_headers(headers), only=_only(whole, turns))


def refuse(whole: Mapping[str, Any], turns: list[Turn]) -> None:
    """Raises:
    BadRequest: the call wants what is the operator's, or a price that is not known.
    """
    for name in REFUSED:
        if whole.get(name):
            raise wrong(name, "this gateway cannot pass it on. Leave it out")
    if whole.get("speed") not in (None, SPEED):
        raise wrong("speed", "only standard has a price here. Leave it out")
    for path, block in blocks(turns):
        source = block.get("source")
        if block.get("file_id") or (isinstance(source, dict) and source.get("type") == "file"):
            raise wrong(f"{path}.source" if source else f"{path}.file_id", STORED)


def _only(whole: Mapping[str, Any], turns: list[Turn]) -> BadRequest | None:
    """The refusal where no channel speaks this dialect; None: another one can do it too."""
    for path, block in blocks(turns):
        kind = block.get("type")
        if not isinstance(kind, str) or kind not in KNOWN:
            return wrong(f"{path}.type", f"no channel of this model takes a block of type {kind!r}")
    for at, tool in enumerate(whole.get("tools") or ()):
        if tool.get("type") not in (None, "custom"):
            return wrong(f"tools.{at}.type", f"no channel of this model has the tool {tool['type']!r}")
    if whole.get("max_tokens") == 0:
        return wrong(
            "max_tokens", "no channel of this model fills a cache without an answer: ask for one token"
        )
    return None


def _headers(given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    if version := given.get(VERSION_HEADER):
        if not VERSION.fullmatch(version):
            raise wrong(VERSION_HEADER, "expected a version such as 2023-06-01")
        found.append((VERSION_HEADER, version))
    betas = [name for name in map(str.strip, given.get(BETA_HEADER, "").split(",")) if name]
    if len(betas) > BETAS_MAX or not all(BETA.fullmatch(name) for name in betas):
        raise wrong(BETA_HEADER, f"expected at most {BETAS_MAX} names of previews")
    if betas:
        found.append((BETA_HEADER, ",".join(betas)))
    return tuple(found)


def _cleaned(turn: dict[str, Any]) -> dict[str, Any]:
    """A turn as Claude takes it. One that nothing is left of has no content."""
    content = turn["content"]
    if not isinstance(content, list) or not any(_unfit(block) for block in content):
        return turn
    kept = [_with_own_ids(block) for block in content if not foreign(block)]
    return {**turn, "content": kept}


def _unfit(block: dict[str, Any]) -> bool:
    return foreign(block) or any(ID.search(block[name]) for name in _ids(block))


def _with_own_ids(block: dict[str, Any]) -> dict[str, Any]:
    return {**block, **{name: ID.sub("_", block[name]) for name in _ids(block)}}


def _ids(block: dict[str, Any]) -> list[str]:
    name = {"tool_use": "id", "tool_result": "tool_use_id"}.get(str(block.get("type")))
    return [name] if name and isinstance(block.get(name), str) else []


def _loops_without_thinking(turns: list[dict[str, Any]], thinking: Any) -> bool:
    """Whether Claude would miss the thinking that began this loop of tools: then it must not think in it."""
    match thinking, turns:
        case {"type": "enabled"}, [*_, {"content": [began, *_]}, {"content": [{"type": "tool_result"}, *_]}]:
            return began.get("type") not in (THINKING, REDACTED) if isinstance(began, dict) else True
    return False
