"""A chat as the body of Anthropic's Messages API.

    max_tokens          the wallet's limit, else the caller's, else the model's, else MAX_TOKENS
    temperature         0..1; left out where the model thinks or, since Claude 4.7, has no such thing
    reasoning_effort    Claude 4.6 and later: adaptive thinking; before: a share of max_tokens
    response_format     json_schema: output_config.format; json_object: a line in the system prompt
    user                metadata.user_id, unless it names a person
    n, logprobs, audio  refused: Claude cannot

Source: platform.claude.com/docs/en/api/messages, .../api/versioning, .../build-with-claude/thinking,
.../build-with-claude/effort, .../build-with-claude/structured-outputs; read 2026-11-23. Of fields that
OpenAI does not have those in PASSED go on; what neither side would understand is dropped (seed,
penalties, logit_bias, store, prediction, ...).
"""

import re
from typing import Any

import msgspec

from deeptoken.catalog.model import Candidate
from deeptoken.errors import BadRequest
from deeptoken.providers.anthropic_messages import turns
from deeptoken.providers.anthropic_native import within
from deeptoken.providers.anthropic_tools import enforceable, tool_choice, tools
from deeptoken.wire.chat import Chat, ChatRequest

MAX_TOKENS = 4096
"""Anthropic wants a limit; this one where nobody tells any, fit for every Claude."""
PASSED = ("cache_control", "context_management")
"""Not what runs on the operator's account beside the call: containers, remote servers."""
JSON_ONLY = "Answer with one valid JSON object and nothing else: no code fence, no words around it."
TIERS = ("auto", "standard_only")
USER_MAX = 256
BETA = re.compile(r"[A-Za-z0-9-]{1,100}")

VERSION = re.compile(r"claude-(?:[a-z]+-)*(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
NEWEST = (99, 0)
"""A Claude whose name tells no version."""
OTHER = (3, 7)
"""Other hosts' models behind this API: they know what it could in 2025."""
THINKS, ADAPTS, NO_SAMPLING, ALWAYS_THINKS = (3, 7), (4, 6), (4, 7), (5, 0)

EFFORTS = {
    "minimal": ("low", 10),
    "low": ("low", 20),
    "medium": ("medium", 50),
    "high": ("high", 80),
    "xhigh": ("xhigh", 95),
    "max": ("max", 95),
}
"""OpenAI's word -> Anthropic's, and the percent of max_tokens that older models may think."""
BUDGET_MIN = 1024
BUDGET_MAX = 32_000
"""Above it Anthropic advises batches: a call would run into timeouts."""
TOP_P_THINKING = 0.95
"""The least top_p that goes with thinking."""


class Body(msgspec.Struct):
    fields: dict[str, Any]
    betas: list[str]


def body(chat: Chat, at: Candidate, *, stream: bool, limit: int | None) -> Body:
    """Raises:
    BadRequest: what Claude cannot do; `param` names it.
    """
    request, extra = chat.request, chat.extra
    _refuse(request, extra)
    told = turns(request.messages)
    fields: dict[str, Any] = {
        "model": at.upstream_model,
        "max_tokens": limit or request.limit or at.model.max_output or MAX_TOKENS,
        "messages": told.messages,
    }
    fields |= {name: extra[name] for name in PASSED if extra.get(name) is not None}
    if stream:
        fields["stream"] = True
    _tools(fields, chat)
    _format(fields, request, extra, told.system)
    if told.system:
        fields["system"] = told.system
    version = _version(at.upstream_model)
    _thinking(fields, request, extra, version)
    if limit is not None and (fitted := within(fields.pop("thinking", None), limit)):
        fields["thinking"] = fitted
    _sampling(fields, request, extra, version)
    _labels(fields, request, extra)
    return Body(fields, _betas(extra))


def _refuse(request: ChatRequest, extra: dict[str, Any]) -> None:
    if request.n is not None and request.n > 1:
        raise BadRequest("Claude gives one answer a call: leave n out and call again.", param="n")
    for name in ("logprobs", "top_logprobs"):
        if extra.get(name):
            raise BadRequest("Claude tells no probabilities.", param=name)
    modalities = extra.get("modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        raise BadRequest("Claude does not speak.", param="modalities")
    for name, newer in (("functions", "tools"), ("function_call", "tool_choice")):
        if extra.get(name):
            raise BadRequest(f"Use {newer}: Claude knows no {name}.", param=name)


def _tools(fields: dict[str, Any], chat: Chat) -> None:
    given = chat.fields.get("tools")
    if not chat.request.tools or given is None:
        return
    fields["tools"] = tools(msgspec.json.decode(given, type=list[dict[str, Any]]))
    if choice := tool_choice(chat.request.tool_choice, chat.request.parallel_tool_calls):
        fields["tool_choice"] = choice


def _format(
    fields: dict[str, Any], request: ChatRequest, extra: dict[str, Any], system: list[dict[str, Any]]
) -> None:
    config = extra.get("output_config")
    if isinstance(config, dict):
        fields["output_config"] = dict(config)
    match request.response_format:
        case None | {"type": "text"}:
            pass
        case {"type": "json_object"}:
            system.append({"type": "text", "text": JSON_ONLY})
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            wanted = {"type": "json_schema", "schema": enforceable(schema)}
            fields.setdefault("output_config", {}).setdefault("format", wanted)
        case _:
            raise BadRequest(
                "Claude answers with text, json_object or a json_schema with its schema.",
                param="response_format",
            )


def _version(model: str) -> tuple[int, int]:
    if found := VERSION.search(model):
        return int(found[1]), int(found[2] or 0)
    return NEWEST if "claude" in model else OTHER


def _thinking(
    fields: dict[str, Any], request: ChatRequest, extra: dict[str, Any], version: tuple[int, int]
) -> None:
    """The caller's own `thinking` as it is; else what `reasoning_effort` means to this model."""
    if isinstance(extra.get("thinking"), dict):
        fields["thinking"] = extra["thinking"]
        return
    effort = request.reasoning_effort
    if effort is None or fields.get("output_config", {}).get("effort") == effort:
        # Told in Anthropic's own words, without thinking: the model does as it does.
        return
    if effort == "none":
        if version >= ALWAYS_THINKS:
            # Some of them refuse not to think at all.
            fields.setdefault("output_config", {}).setdefault("effort", "low")
        return
    if effort not in EFFORTS:
        words = ", ".join(("none", *EFFORTS))
        raise BadRequest(f"reasoning_effort is one of {words}.", param="reasoning_effort")
    word, percent = EFFORTS[effort]
    if version >= ADAPTS:
        if word == "xhigh" and version < NO_SAMPLING:
            word = "high"
        # Without `display` the newer models think in silence, and a stream shows nothing for minutes.
        fields["thinking"] = {"type": "adaptive", "display": "summarized"}
        fields.setdefault("output_config", {}).setdefault("effort", word)
    elif version >= THINKS and _may_budget(fields):
        budget = min(max(fields["max_tokens"] * percent // 100, BUDGET_MIN), BUDGET_MAX)
        fields["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _may_budget(fields: dict[str, Any]) -> bool:
    """A budget needs room, a free choice of tools, and in a loop of tools the thinking that began it."""
    if fields["max_tokens"] <= BUDGET_MIN:
        return False
    if fields.get("tool_choice", {}).get("type") in ("any", "tool"):
        return False
    messages = fields["messages"]
    if len(messages) > 1 and messages[-1]["content"][0]["type"] == "tool_result":
        began: str = messages[-2]["content"][0]["type"]
        return began in ("thinking", "redacted_thinking")
    role: str = messages[-1]["role"]
    return role == "user"


def _sampling(
    fields: dict[str, Any], request: ChatRequest, extra: dict[str, Any], version: tuple[int, int]
) -> None:
    if version >= NO_SAMPLING:
        return
    thinks = fields.get("thinking", {}).get("type") in ("enabled", "adaptive")
    # Temperature and top_p do not go together; temperature does not go with thinking.
    if request.temperature is not None and not thinks:
        fields["temperature"] = min(request.temperature, 1.0)
    elif request.top_p is not None and (not thinks or request.top_p >= TOP_P_THINKING):
        fields["top_p"] = request.top_p
    if not thinks and extra.get("top_k") is not None:
        fields["top_k"] = extra["top_k"]


def _labels(fields: dict[str, Any], request: ChatRequest, extra: dict[str, Any]) -> None:
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    # Blank ones are refused.
    if stops := [stop for stop in stops if stop.strip()]:
        fields["stop_sequences"] = stops
    metadata = extra.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    user = user or request.user or extra.get("safety_identifier")
    if isinstance(user, str) and user and len(user) <= USER_MAX and not _personal(user):
        fields["metadata"] = {"user_id": user}
    if extra.get("service_tier") in TIERS:
        fields["service_tier"] = extra["service_tier"]


def _personal(user: str) -> bool:
    """An address or a telephone number: Anthropic must not get them."""
    return "@" in user or not user.strip("+-(). 0123456789")


def _betas(extra: dict[str, Any]) -> list[str]:
    """What the caller names in `betas`, and what the fields that go on need."""
    given = extra.get("betas") or []
    if not isinstance(given, list) or not all(isinstance(b, str) and BETA.fullmatch(b) for b in given):
        raise BadRequest("betas is a list of names.", param="betas")
    betas: list[str] = list(given)
    if management := extra.get("context_management"):
        betas.append("context-management-2025-06-27")
        match management:
            case {"edits": list(steps)} if any("compact" in str(step) for step in steps):
                betas.append("compact-2026-01-12")
    return list(dict.fromkeys(betas))
