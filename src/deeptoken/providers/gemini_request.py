"""A chat as the body of Gemini's generateContent, which Vertex takes too.

    max_tokens             maxOutputTokens: the wallet's limit, else the caller's; thoughts are part of it
    reasoning_effort       Gemini 3 and later: thinkingLevel, of those that the model has; 2.5: thinkingBudget
    response_format        responseMimeType, responseJsonSchema
    tools                  functionDeclarations with parametersJsonSchema
    tool_choice            functionCallingConfig: NONE, AUTO, ANY, ANY of one name; of some: VALIDATED or ANY
    n, seed, logprobs      candidateCount, seed (31 bits of it), responseLogprobs
    penalties              dropped since Gemini 2.5, which refuses them
    audio in the answer    refused: the price book has no chat that speaks

Source: ai.google.dev/api/generate-content, .../gemini-api/docs/thinking, .../docs/openai,
.../docs/structured-output, docs.cloud.google.com/gemini-enterprise-agent-platform/models/thinking,
.../models/guides/gemini-4-hydrogen and the types of google-genai 3.6; read 2026-11-25. Of fields that OpenAI
does not have `top_k`, `thinking` (as Anthropic writes it) and `safety_settings` go on; the rest is dropped
(logit_bias, store, prediction, parallel_tool_calls, ...), and with it what names the operator's own things.
"""

import re
from typing import Any

import msgspec

from deeptoken.catalog.model import Candidate
from deeptoken.errors import BadRequest
from deeptoken.providers.gemini_contents import Takes, turns
from deeptoken.providers.schema import Dialect, compiled
from deeptoken.providers.schema_union import Lost
from deeptoken.wire.chat import Chat, ChatRequest

Version = tuple[int, int]

DIALECT = Dialect(
    frozenset(
        (
            *("minimum", "maximum", "minItems", "maxItems", "prefixItems"),
            *("additionalProperties", "propertyOrdering"),
        )
    ),
    frozenset(("date-time", "date", "time")),
)
"""What `responseJsonSchema` says that it knows."""
VERSION = re.compile(r"gemini-(\d{1,2})(?:[.](\d{1,2}))?(?!\d)")
NEWEST = (99, 0)
"""A Gemini whose name tells no version."""
OTHER = (2, 0)
"""Other models behind this API."""
THINKS, LEVELS, NO_MINIMAL, FOURTH = (2, 5), (3, 0), (3, 7), (4, 0)
WITHOUT_SYSTEM = re.compile(r"gemma-3")
SILENT = re.compile(r"-image|-tts|-audio")
"""Models of 2.5 that do not think."""

EFFORTS = {"none": 0, "minimal": 0, "low": 1, "medium": 2, "high": 3, "xhigh": 4, "max": 4}
NAMES = ("minimal", "low", "medium", "high", "xhigh")
BUDGETS = (1024, 1024, 8192, 24_576, 32_768)
"""Google's own numbers for OpenAI's words; the last one is the most that any of them takes."""
BUDGET_RANGES = {"pro": (128, 32_768), "flash-lite": (512, 24_576), "flash": (0, 24_576)}
SEED_MASK = 2**31 - 1
CANDIDATES_MAX = 8
TOP_LOGPROBS_MAX = 20
JSON = "application/json"


class Body(msgspec.Struct):
    fields: dict[str, Any]
    lost: list[Lost]
    """What of the schemas could not be kept, such as ``tools[0].function.parameters.properties.a``."""


def body(chat: Chat, at: Candidate, *, limit: int | None, vertex: bool = False) -> Body:
    """Raises:
    BadRequest: what Gemini cannot do; `param` names it.
    """
    request, extra = chat.request, chat.extra
    version = version_of(at.upstream_model)
    _refuse(request, extra, version)
    told = turns(request.messages, _takes(at.upstream_model, version, vertex=vertex))
    fields: dict[str, Any] = {"contents": told.contents}
    if told.system:
        fields["systemInstruction"] = {"parts": told.system}
    lost: list[Lost] = []
    if request.tools:
        fields["tools"] = [{"functionDeclarations": _declarations(chat, lost)}]
        if choice := _choice(request.tool_choice):
            fields["toolConfig"] = {"functionCallingConfig": choice}
    config: dict[str, Any] = {}
    if most := limit or request.limit:
        config["maxOutputTokens"] = most
    _sampling(config, request, extra, version)
    _format(config, request, extra, lost)
    if thinking := _thinking(request, extra, at.upstream_model, version, most):
        config["thinkingConfig"] = thinking
    if config:
        fields["generationConfig"] = config
    if isinstance(extra.get("safety_settings"), list):
        fields["safetySettings"] = extra["safety_settings"]
    return Body(fields, lost)


def version_of(model: str) -> Version:
    if found := VERSION.search(model):
        return int(found[1]), int(found[2] or 0)
    return NEWEST if "gemini" in model else OTHER


def _takes(model: str, version: Version, *, vertex: bool) -> Takes:
    return Takes(
        system=not WITHOUT_SYSTEM.search(model),
        signatures=version >= LEVELS,
        media_results=version >= LEVELS,
        urls=vertex or version >= THINKS,
        typed_urls=vertex,
    )


def _refuse(request: ChatRequest, extra: dict[str, Any], version: Version) -> None:
    most = 1 if version >= FOURTH else CANDIDATES_MAX
    if request.n is not None and request.n > most:
        raise BadRequest(f"This model gives at most {most} answers a call.", param="n")
    modalities = extra.get("modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        raise BadRequest("Gemini does not speak here.", param="modalities")
    for name, newer in (("functions", "tools"), ("function_call", "tool_choice")):
        if extra.get(name):
            raise BadRequest(f"Use {newer}: Gemini knows no {name}.", param=name)


def _declarations(chat: Chat, lost: list[Lost]) -> list[dict[str, Any]]:
    declared: list[dict[str, Any]] = []
    for at, tool in enumerate(chat.request.tools or ()):
        function = tool.function
        if function is None:
            # What Google runs itself has fees that no class of tokens bears, on the operator's account.
            raise BadRequest(
                "Gemini's tools here are functions with a JSON schema.", param=f"tools[{at}].type"
            )
        declaration: dict[str, Any] = {"name": function.name}
        if function.description:
            declaration["description"] = function.description
        if function.parameters:
            declaration["parametersJsonSchema"] = _compiled(
                {"type": "object", **function.parameters}, f"tools[{at}].function.parameters", lost
            )
        declared.append(declaration)
    return declared


def _compiled(schema: dict[str, Any], path: str, lost: list[Lost]) -> dict[str, Any]:
    made = compiled(schema, DIALECT)
    lost += [Lost(path + one.path.removeprefix("$"), one.keyword) for one in made.lost]
    return made.schema


def _choice(choice: str | dict[str, Any] | None) -> dict[str, Any] | None:
    match choice:
        case None:
            return None
        case "none" | {"type": "none"}:
            return {"mode": "NONE"}
        case "auto" | {"type": "auto"}:
            return {"mode": "AUTO"}
        case "required" | {"type": "any"}:
            return {"mode": "ANY"}
        case {"type": "function", "function": {"name": str(name)}} | {"type": "tool", "name": str(name)}:
            return {"mode": "ANY", "allowedFunctionNames": [name]}
        case {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto" | "required" as mode, "tools": list(tools)},
        }:
            names = [tool["function"]["name"] for tool in tools if _is_named(tool)]
            if names and len(names) == len(tools):
                return {"mode": "ANY" if mode == "required" else "VALIDATED", "allowedFunctionNames": names}
    raise BadRequest("Gemini chooses none, auto, required or among named functions.", param="tool_choice")


def _is_named(tool: Any) -> bool:
    match tool:
        case {"type": "function", "function": {"name": str()}}:
            return True
    return False


def _sampling(config: dict[str, Any], request: ChatRequest, extra: dict[str, Any], version: Version) -> None:
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    told = {
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": extra.get("top_k"),
        "stopSequences": [stop for stop in stops if stop] or None,
        "seed": None if request.seed is None else request.seed & SEED_MASK,
        "candidateCount": request.n if request.n != 1 else None,
    }
    if version < THINKS:
        told |= {
            "frequencyPenalty": extra.get("frequency_penalty"),
            "presencePenalty": extra.get("presence_penalty"),
        }
    config |= {name: value for name, value in told.items() if value is not None}
    if extra.get("logprobs") is True:
        config["responseLogprobs"] = True
        top = extra.get("top_logprobs")
        if top is not None and (type(top) is not int or not 0 <= top <= TOP_LOGPROBS_MAX):
            raise BadRequest(f"top_logprobs is 0 to {TOP_LOGPROBS_MAX}.", param="top_logprobs")
        if top:
            config["logprobs"] = top


def _format(config: dict[str, Any], request: ChatRequest, extra: dict[str, Any], lost: list[Lost]) -> None:
    modalities = extra.get("modalities")
    if isinstance(modalities, list) and "image" in modalities:
        config["responseModalities"] = ["TEXT", "IMAGE"]
    match request.response_format:
        case None | {"type": "text"}:
            pass
        case {"type": "json_object"}:
            config["responseMimeType"] = JSON
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            config["responseMimeType"] = JSON
            path = "response_format.json_schema.schema"
            config["responseJsonSchema"] = _compiled(schema, path, lost)
        case _:
            raise BadRequest(
                "Gemini answers with text, json_object or a json_schema with its schema.",
                param="response_format",
            )


def _thinking(
    request: ChatRequest, extra: dict[str, Any], model: str, version: Version, limit: int | None
) -> dict[str, Any] | None:
    """What the effort, or Anthropic's `thinking`, means to this model; None: it thinks as it does."""
    effort = request.reasoning_effort
    budget: int | None = None
    if effort is not None and effort not in EFFORTS:
        words = ", ".join(EFFORTS)
        raise BadRequest(f"reasoning_effort is one of {words}.", param="reasoning_effort")
    match extra.get("thinking"):
        case {"type": "disabled"}:
            effort = "none"
        case {"type": "enabled", "budget_tokens": int(told)}:
            budget = told
            effort = NAMES[next((at for at in (1, 2, 3) if told <= BUDGETS[at]), 4)]
        case {"type": "adaptive"} if effort is None:
            return {"includeThoughts": True} if version >= THINKS else None
    if effort is None or version < THINKS or (version < LEVELS and SILENT.search(model)):
        return None
    shown = {"includeThoughts": True} if effort != "none" else {}
    if version >= LEVELS:
        return {"thinkingLevel": _level(EFFORTS[effort], model, version).upper(), **shown}
    wanted = BUDGETS[EFFORTS[effort]] if budget is None else budget
    return {"thinkingBudget": _budget(0 if effort == "none" else wanted, model, limit), **shown}


def _level(effort: int, model: str, version: Version) -> str:
    """The least of the model's levels that is no less than what is wanted, else its highest."""
    levels = [1, 2, 3]
    if version >= FOURTH:
        levels += [4] if re.search(r"hydrogen|neon", model) else []
    elif "flash" in model and version < NO_MINIMAL:
        levels = [0, *levels]
    elif "pro" in model and version == LEVELS:
        levels = [1, 3]
    return NAMES[next((level for level in levels if level >= effort), levels[-1])]


def _budget(wanted: int, model: str, limit: int | None) -> int:
    """Within the model's range; with a limit a fifth of it is left for the answer."""
    least, most = next((span for name, span in BUDGET_RANGES.items() if name in model), (0, 24_576))
    if wanted == 0:
        return 0 if least != BUDGET_RANGES["pro"][0] else least
    if limit is not None:
        wanted = min(wanted, limit * 4 // 5)
    return min(max(wanted, least), most)
