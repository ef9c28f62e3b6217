"""A chat as the body of Cohere's Chat API.

    max_tokens          the wallet's limit, else the caller's; without one the model's own counts
    temperature         0..1
    top_p, top_k        p, 0.01..0.99, and k, 0..500
    stop                stop_sequences
    penalties           0..1, and one of the two, since models refuse both together
    seed                as it is; negative ones are dropped
    logprobs            as it is; `top_logprobs` are refused: Cohere tells those of the chosen tokens alone
    reasoning_effort    thinking, with a budget below `high`; dropped where the model does not think
    response_format     json_object, with the schema if there is one; refused beside tools and documents
    n, audio            refused: Cohere cannot

Source: docs.cohere.com/reference/chat, .../reference/errors (ranges), .../docs/reasoning,
.../docs/structured-outputs; read 2026-11-25. Of fields that OpenAI does not have those in PASSED go on; what
neither side would understand is dropped (logit_bias, store, metadata, user, service_tier, prediction, ...).
"""

import re
from typing import Any

import msgspec

from deeptoken.catalog.model import Candidate
from deeptoken.errors import BadRequest
from deeptoken.providers.cohere_messages import turns
from deeptoken.providers.cohere_tools import response_format, tool_fields
from deeptoken.wire.chat import Chat, ChatRequest, Message

PASSED = ("documents", "citation_options", "safety_mode", "strict_tools", "priority", "k")
P_MIN, P_MAX = 0.01, 0.99
K_MAX = 500
SEED_MAX = 2**64 - 1

NEVER_THINKS = re.compile(
    r"(?:^|/)(?:c4ai-)?(?:aya\b|command(?:-light|-nightly|-r\b|-r7b|-a-(?:03|vision|translate)|$))"
)
"""Models before command-a-reasoning, and those beside it. They refuse `thinking`."""
EFFORTS = {"minimal": 10, "low": 20, "medium": 50, "high": None, "xhigh": None, "max": None}
"""The percent of max_tokens that may be thought; None: as much as the model wants, as Cohere advises."""
THINKING_MAX = 31_000
"""The largest budget that Cohere advises: of 32 000 tokens a thousand are left for the answer."""
JSON_ONLY = "Answer with one valid JSON object and nothing else: no code fence, no words around it."


def body(chat: Chat, at: Candidate, *, stream: bool, limit: int | None) -> dict[str, Any]:
    """Raises:
    BadRequest: what Cohere cannot do; `param` names it.
    """
    request, extra = chat.request, chat.extra
    _refuse(request, extra)
    fields: dict[str, Any] = {
        "model": at.upstream_model,
        "messages": turns(request.messages),
        "stream": stream,
    }
    fields |= {name: extra[name] for name in PASSED if extra.get(name) is not None}
    if most := limit or request.limit:
        fields["max_tokens"] = most
    given = chat.fields.get("tools")
    if request.tools and given is not None:
        fields |= tool_fields(msgspec.json.decode(given, type=list[dict[str, Any]]), request)
    _format(fields, request)
    _thinking(fields, request, extra)
    _sampling(fields, request, extra)
    return fields


def _refuse(request: ChatRequest, extra: dict[str, Any]) -> None:
    if request.n is not None and request.n > 1:
        raise BadRequest("Cohere gives one answer a call: leave n out and call again.", param="n")
    if extra.get("top_logprobs"):
        raise BadRequest("Cohere tells the chosen tokens' probabilities alone.", param="top_logprobs")
    modalities = extra.get("modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        raise BadRequest("Cohere does not speak.", param="modalities")
    for name, newer in (("functions", "tools"), ("function_call", "tool_choice")):
        if extra.get(name):
            raise BadRequest(f"Use {newer}: Cohere knows no {name}.", param=name)


def _format(fields: dict[str, Any], request: ChatRequest) -> None:
    wanted = response_format(request.response_format)
    if wanted is None:
        return
    for name in ("tools", "documents"):
        if fields.get(name):
            raise BadRequest(f"Cohere takes no response_format beside {name}.", param="response_format")
    fields["response_format"] = wanted
    if not any(_says_json(message) for message in request.messages):
        # Without a word of it the model may write blanks without end, as the reference warns.
        messages = fields["messages"]
        if messages[0]["role"] == "system":
            messages[0]["content"] += f"\n\n{JSON_ONLY}"
        else:
            messages.insert(0, {"role": "system", "content": JSON_ONLY})


def _says_json(message: Message) -> bool:
    content = message.content
    if isinstance(content, list):
        content = " ".join(str(part.get("text")) for part in content)
    return "json" in (content or "").lower()


def _thinking(fields: dict[str, Any], request: ChatRequest, extra: dict[str, Any]) -> None:
    """The caller's own `thinking`; else what `reasoning_effort` means to this model."""
    given = extra.get("thinking")
    if isinstance(given, dict):
        thinking = {name: given[name] for name in ("type", "token_budget") if given.get(name) is not None}
        if given.get("budget_tokens") is not None:
            thinking.setdefault("token_budget", given["budget_tokens"])
        fields["thinking"] = {"type": "enabled", **thinking}
        return
    effort = request.reasoning_effort
    if effort is None:
        return
    if effort != "none" and effort not in EFFORTS:
        words = ", ".join(("none", *EFFORTS))
        raise BadRequest(f"reasoning_effort is one of {words}.", param="reasoning_effort")
    if NEVER_THINKS.search(fields["model"]):
        return
    if effort == "none":
        fields["thinking"] = {"type": "disabled"}
        return
    fields["thinking"] = {"type": "enabled"}
    if percent := EFFORTS[effort]:
        most = min(fields.get("max_tokens") or THINKING_MAX, THINKING_MAX)
        fields["thinking"]["token_budget"] = max(most * percent // 100, 1)


def _sampling(fields: dict[str, Any], request: ChatRequest, extra: dict[str, Any]) -> None:
    if request.temperature is not None:
        fields["temperature"] = min(request.temperature, 1.0)
    if request.top_p is not None:
        fields["p"] = min(max(request.top_p, P_MIN), P_MAX)
    if isinstance(top_k := extra.get("top_k"), int):
        fields.setdefault("k", min(max(top_k, 0), K_MAX))
    if request.seed is not None and 0 <= request.seed <= SEED_MAX:
        fields["seed"] = request.seed
    for name in ("frequency_penalty", "presence_penalty"):
        if isinstance(penalty := extra.get(name), (int, float)) and penalty > 0:
            fields[name] = min(penalty, 1)
            break
    if extra.get("logprobs"):
        fields["logprobs"] = True
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    if stops := [stop for stop in stops if stop]:
        fields["stop_sequences"] = stops
