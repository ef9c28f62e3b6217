"""A chat as the body of Bedrock's Converse.

    inferenceConfig     the limit, temperature (at most 1), top_p, stop sequences
    reasoning_effort    in each maker's own words: bedrock_models.py
    response_format     json_schema: outputConfig.textFormat; json_object: a line in the system prompt
    top_k, thinking, output_config, betas    for models that have them, in additionalModelRequestFields
    n, logprobs, audio  refused: Converse cannot

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html,
.../userguide/structured-output.html, .../userguide/model-parameters.html; read 2026-11-25. The caller's own
`additionalModelRequestFields` and `guardrailConfig` go on; what neither side would understand is dropped
(seed, penalties, logit_bias, user, store, ...).
"""

from typing import Any

import msgspec

from deeptoken.catalog.model import Candidate
from deeptoken.errors import BadRequest
from deeptoken.providers.anthropic_request import (
    ADAPTS,
    ALWAYS_THINKS,
    BUDGET_MAX,
    BUDGET_MIN,
    EFFORTS,
    JSON_ONLY,
    MAX_TOKENS,
    NEWEST,
    NO_SAMPLING,
    THINKS,
    TOP_P_THINKING,
    VERSION,
)
from deeptoken.providers.anthropic_tools import enforceable
from deeptoken.providers.bedrock_messages import Manner, turns
from deeptoken.providers.bedrock_models import Family, checked_effort, effort_fields, family, read_formats
from deeptoken.providers.bedrock_tools import none_wanted, one_at_a_time, tool_choice, tools
from deeptoken.wire.chat import Chat, ChatRequest

PASSED = ("guardrailConfig",)
UNLIMITED = frozenset(
    (
        *("max_tokens", "max_tokens_to_sample", "max_completion_tokens", "max_output_tokens", "max_gen_len"),
        *("max_new_tokens", "maxTokens", "maxTokenCount", "max_length"),
        *("n", "num_generations", "numResults", "best_of", "tools"),
    )
)
"""Fields of a model that would get past the wallet's limit, ask for more answers or for tools with a fee."""
MARKS: dict[Family, tuple[str, ...]] = {
    "claude": ("5m", "1h"),
    "unknown": ("5m", "1h"),
    "nova": ("5m",),
    "nova-2": ("5m",),
}
"""How long a model's cache may keep what is marked; the others know no marks."""
STRICT = (4, 5)
"""The Claude that can be held to the schema of a tool."""


class _Wish(msgspec.Struct):
    """What is asked, of whom, and what is written so far."""

    chat: Chat
    family: Family
    version: tuple[int, int]
    """Claude's."""
    limit: int | None
    inference: dict[str, Any]
    more: dict[str, Any]
    """What goes to the model itself."""

    @property
    def request(self) -> ChatRequest:
        return self.chat.request

    @property
    def claude(self) -> bool:
        return self.family == "claude"

    @property
    def strict(self) -> bool:
        return self.claude and self.version >= STRICT


def body(chat: Chat, at: Candidate, *, limit: int | None) -> dict[str, Any]:
    """Raises:
    BadRequest: what Converse cannot do; `param` names it.
    """
    request, extra = chat.request, chat.extra
    _refuse(request, extra)
    of = family(at)
    most = limit or request.limit or at.model.max_output
    wish = _Wish(chat, of, _version(at), most, {}, _own(extra))
    config = _tools(wish)
    manner = Manner(
        tools=config is not None,
        formats=read_formats(of),
        marks=MARKS.get(of, ()),
    )
    told = turns(request.messages, manner)
    fields: dict[str, Any] = {"messages": told.messages}
    _format(fields, request, told.system, wish)
    if told.system:
        fields["system"] = told.system
    if config is not None:
        fields["toolConfig"] = config
    _thinking(wish, told.messages, config)
    _sampling(wish)
    if wish.inference:
        fields["inferenceConfig"] = wish.inference
    if wish.more:
        fields["additionalModelRequestFields"] = wish.more
    return fields | {name: extra[name] for name in PASSED if extra.get(name) is not None}


def held(at: Candidate) -> bool:
    """Whether that model can be held to the schema of a tool."""
    return family(at) == "claude" and _version(at) >= STRICT


def _version(at: Candidate) -> tuple[int, int]:
    for name in (at.upstream_model, at.model.id):
        if found := VERSION.search(name):
            return int(found[1]), int(found[2] or 0)
    return NEWEST


def _refuse(request: ChatRequest, extra: dict[str, Any]) -> None:
    if request.n is not None and request.n > 1:
        raise BadRequest("Bedrock gives one answer a call: leave n out and call again.", param="n")
    for name in ("logprobs", "top_logprobs"):
        if extra.get(name):
            raise BadRequest("Bedrock tells no probabilities.", param=name)
    modalities = extra.get("modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        raise BadRequest("Bedrock's models do not speak here.", param="modalities")
    for name, newer in (("functions", "tools"), ("function_call", "tool_choice")):
        if extra.get(name):
            raise BadRequest(f"Use {newer}: Bedrock knows no {name}.", param=name)


def _own(extra: dict[str, Any]) -> dict[str, Any]:
    """What the caller says to the model itself."""
    own = extra.get("additionalModelRequestFields")
    if own is None:
        return {}
    if not isinstance(own, dict):
        raise BadRequest("additionalModelRequestFields is an object.", param="additionalModelRequestFields")
    for name in own:
        if name in UNLIMITED:
            raise BadRequest(
                f"{name} is not yours to set here.", param=f"additionalModelRequestFields.{name}"
            )
    return dict(own)


def _tools(wish: _Wish) -> dict[str, Any] | None:
    request, given = wish.request, wish.chat.fields.get("tools")
    if not request.tools or given is None or none_wanted(request.tool_choice):
        return None
    config: dict[str, Any] = {
        "tools": tools(
            msgspec.json.decode(given, type=list[dict[str, Any]]),
            strict=wish.strict,
            marks=MARKS[wish.family] if wish.family in ("claude", "unknown") else (),
        )
    }
    chosen = tool_choice(request.tool_choice)
    if chosen is not None:
        config["toolChoice"] = chosen
    if wish.claude and request.parallel_tool_calls is False:
        wish.more.setdefault("tool_choice", one_at_a_time(chosen))
    return config


def _format(fields: dict[str, Any], request: ChatRequest, system: list[dict[str, Any]], wish: _Wish) -> None:
    own = wish.chat.extra.get("output_config")
    if wish.claude and isinstance(own, dict):
        wish.more.setdefault("output_config", own)
    match request.response_format:
        case None | {"type": "text"}:
            pass
        case {"type": "json_object"}:
            system.append({"text": JSON_ONLY})
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)} as about}:
            if "format" not in _inner(wish.more, "output_config"):
                form = {"type": "json_schema", "structure": {"jsonSchema": _schema(schema, about)}}
                fields["outputConfig"] = {"textFormat": form}
        case _:
            raise BadRequest(
                "Bedrock answers with text, json_object or a json_schema with its schema.",
                param="response_format",
            )


def _schema(schema: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    told = {name: about[name] for name in ("name", "description") if about.get(name)}
    return {"schema": msgspec.json.encode(enforceable(schema)).decode(), **told}


def _thinking(wish: _Wish, said: list[dict[str, Any]], config: dict[str, Any] | None) -> None:
    """The caller's own `thinking` as it is; else what `reasoning_effort` means to this model."""
    effort = checked_effort(wish.request.reasoning_effort)
    if not wish.claude:
        if effort is not None:
            for name, value in effort_fields(wish.family, effort, limited=wish.limit is not None).items():
                wish.more.setdefault(name, value)
        return
    if "thinking" in wish.more:
        return
    if isinstance(own := wish.chat.extra.get("thinking"), dict):
        wish.more["thinking"] = own
    elif effort is not None:
        _effort(wish, effort, said, config)


def _effort(wish: _Wish, effort: str, said: list[dict[str, Any]], config: dict[str, Any] | None) -> None:
    """Claude's thinking, as Anthropic's own API has it."""
    if effort == "none":
        if wish.version >= ALWAYS_THINKS:
            # Some of them refuse not to think at all.
            _add_effort(wish.more, "low")
        return
    word, percent = EFFORTS[effort]
    if wish.version >= ADAPTS:
        if word == "xhigh" and wish.version < NO_SAMPLING:
            word = "high"
        # Without `display` the newer models think in silence, and a stream shows nothing for minutes.
        wish.more["thinking"] = {"type": "adaptive", "display": "summarized"}
        _add_effort(wish.more, word)
        return
    most = wish.limit or MAX_TOKENS
    if wish.version >= THINKS and most > BUDGET_MIN and _may_budget(said, config):
        budget = min(max(most * percent // 100, BUDGET_MIN), BUDGET_MAX)
        wish.limit = most
        wish.more["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _add_effort(more: dict[str, Any], word: str) -> None:
    """Beside what the caller has said there, which counts."""
    if isinstance(told := more.get("output_config", {}), dict):
        more["output_config"] = {"effort": word, **told}


def _inner(more: dict[str, Any], name: str) -> dict[str, Any]:
    """An object in there; empty where it is missing, or the caller wrote something else."""
    told = more.get(name)
    return told if isinstance(told, dict) else {}


def _may_budget(said: list[dict[str, Any]], config: dict[str, Any] | None) -> bool:
    """A budget needs a free choice of tools, and in a loop of tools the thinking that began it."""
    if config is not None and "toolChoice" in config:
        return False
    last = said[-1]
    if len(said) > 1 and "toolResult" in last["content"][0]:
        return "reasoningContent" in said[-2]["content"][0]
    role: str = last["role"]
    return role == "user"


def _sampling(wish: _Wish) -> None:
    request, extra, inference = wish.request, wish.chat.extra, wish.inference
    if wish.limit:
        inference["maxTokens"] = wish.limit
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    # Empty ones are refused; by Claude blank ones too.
    if stops := [stop for stop in stops if (stop.strip() if wish.claude else stop)]:
        inference["stopSequences"] = stops
    if wish.claude:
        _claudes_sampling(wish)
        return
    if _inner(wish.more, "reasoningConfig").get("maxReasoningEffort") == "high":
        # Nova thinks that hard with nothing set.
        return
    if request.temperature is not None:
        inference["temperature"] = min(request.temperature, 1.0)
    if request.top_p is not None:
        inference["topP"] = request.top_p
    if wish.family in ("nova", "nova-2") and extra.get("top_k") is not None:
        wish.more.setdefault("inferenceConfig", {"topK": extra["top_k"]})


def _claudes_sampling(wish: _Wish) -> None:
    request, extra = wish.request, wish.chat.extra
    betas = extra.get("betas")
    if isinstance(betas, list) and betas and all(isinstance(beta, str) for beta in betas):
        wish.more.setdefault("anthropic_beta", betas)
    if wish.version >= NO_SAMPLING:
        return
    thinks = _inner(wish.more, "thinking").get("type") in ("enabled", "adaptive")
    # Temperature and top_p do not go together; temperature does not go with thinking.
    if request.temperature is not None and not thinks:
        wish.inference["temperature"] = min(request.temperature, 1.0)
    elif request.top_p is not None and (not thinks or request.top_p >= TOP_P_THINKING):
        wish.inference["topP"] = request.top_p
    if not thinks and extra.get("top_k") is not None:
        wish.more.setdefault("top_k", extra["top_k"])
