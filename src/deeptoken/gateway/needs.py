"""What a request needs of a model, beside a price: capabilities, a context that may hold it. Pure.

    tools         `tools`, or `functions`, their older form
    vision        a part ``image_url``
    audio         a part ``input_audio``, or an answer that is spoken
    files         a part ``file``
    json_schema   `response_format` of that type

These are the names in a model's `capabilities`. One that nobody declared counts as present.
"""

from collections.abc import Iterator, Mapping

import msgspec

from deeptoken.catalog.model import Candidate, Model
from deeptoken.wire.chat import Chat

PARTS: Mapping[str, str] = {"image_url": "vision", "input_audio": "audio", "file": "files"}
"""A part's type -> what it takes to read it."""

TOKEN_CHARACTERS_MAX = 512
"""The longest text that is one token: GLM's vocabulary has so many spaces (all of `tokens.py` were tried)."""
TOKEN_WORDS_MAX = 4
"""A token hardly ever goes past a space; the rest is for vocabularies in which some do."""
CHARACTERS_MIN = 2 * TOKEN_WORDS_MAX
"""A text with fewer characters a token of the context may fit, whatever it says: a word has a space."""
BLOCK = 65_536

PARAMETERS_OF: Mapping[str, str] = {
    "functions": "tools",
    "function_call": "tools",
    "tool_choice": "tools",
    "parallel_tool_calls": "tools",
}
"""Parameters that are a part of a capability."""

UNDERSTOOD: Mapping[str, frozenset[str]] = {
    "anthropic": frozenset(
        (
            "betas",
            "cache_control",
            "context_management",
            "output_config",
            "parallel_tool_calls",
            "reasoning_effort",
            "response_format",
            "safety_identifier",
            "service_tier",
            "stop",
            "temperature",
            "thinking",
            "tool_choice",
            "tools",
            "top_k",
            "top_p",
        )
    ),
    "gemini": frozenset(
        (
            "logprobs",
            "modalities",
            "n",
            "reasoning_effort",
            "response_format",
            "safety_settings",
            "seed",
            "stop",
            "temperature",
            "thinking",
            "tool_choice",
            "tools",
            "top_k",
            "top_logprobs",
            "top_p",
        )
    ),
    "vertex": frozenset(
        (
            "reasoning_effort",
            "response_format",
            "stop",
            "temperature",
            "thinking",
            "tool_choice",
            "tools",
            "top_k",
            "top_p",
        )
    ),
    "bedrock": frozenset(
        (
            "additionalModelRequestFields",
            "betas",
            "guardrailConfig",
            "output_config",
            "parallel_tool_calls",
            "reasoning_effort",
            "response_format",
            "stop",
            "temperature",
            "thinking",
            "tool_choice",
            "tools",
            "top_k",
            "top_p",
        )
    ),
    "cohere": frozenset(
        (
            "citation_options",
            "documents",
            "frequency_penalty",
            "k",
            "logprobs",
            "parallel_tool_calls",
            "presence_penalty",
            "priority",
            "reasoning_effort",
            "response_format",
            "safety_mode",
            "seed",
            "stop",
            "strict_tools",
            "temperature",
            "thinking",
            "tool_choice",
            "tools",
            "top_k",
            "top_p",
        )
    ),
}
"""The parameters that the adapter of a provider translates, for models that have them; it drops or refuses
the rest. Vertex: what both Gemini and Claude take there. Providers that are not here speak OpenAI's dialect
and are given everything as it came."""


class Need(msgspec.Struct, frozen=True):
    """A capability, and the field of the request that needs it."""

    capability: str
    param: str


def needs(chat: Chat) -> tuple[Need, ...]:
    """What `chat` needs, each capability once."""
    request = chat.request
    if request.tools is None and request.response_format is None and not chat.extra:
        for message in request.messages:
            if type(message.content) is list:
                break
        else:
            return ()
    found: dict[str, str] = {}
    for capability, param in _needed(chat):
        found.setdefault(capability, param)
    return tuple(Need(capability, param) for capability, param in found.items())


def _needed(chat: Chat) -> Iterator[tuple[str, str]]:
    request, extra = chat.request, chat.extra
    for at, message in enumerate(request.messages):
        if type(message.content) is list:
            for part in message.content:
                capability = PARTS.get(part["type"])
                if capability is not None:
                    yield capability, f"messages[{at}].content"
    if request.tools:
        yield "tools", "tools"
    if extra.get("functions"):
        yield "tools", "functions"
    if request.response_format is not None and request.response_format["type"] == "json_schema":
        yield "json_schema", "response_format"
    modalities = extra.get("modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        yield "audio", "modalities"


def lacking(needed: tuple[Need, ...], model: Model) -> Need | None:
    """The first need that `model` is declared not to meet."""
    for need in needed:
        if model.capabilities.get(need.capability) is False:
            return need
    return None


def too_long(chat: Chat, context: int) -> int | None:
    """How many tokens the prompt has at least, if that surely is more than `context`."""
    if chat.size <= CHARACTERS_MIN * context:
        return None
    texts = list(_texts(chat))
    least = sum(map(len, texts)) // TOKEN_CHARACTERS_MAX
    words = 0
    for text in texts:
        for start in range(0, len(text), BLOCK):
            if least > context:
                return least
            # A word that a block's end cuts counts twice, which a block without any makes good by far.
            words += len(text[start : start + BLOCK].split())
            least = max(least, words // TOKEN_WORDS_MAX)
    return least if least > context else None


def _texts(chat: Chat) -> Iterator[str]:
    for message in chat.request.messages:
        content = message.content
        if type(content) is str:
            yield content
        elif type(content) is list:
            for part in content:
                text = part.get("text")
                if type(text) is str:
                    yield text


def unknown(parameters: frozenset[str], at: Candidate) -> list[str]:
    """Those that would be lost at `at`: its provider's adapter drops them, or its model is declared not to
    know them."""
    understood = UNDERSTOOD.get(at.channel.provider, parameters)
    capabilities = at.model.capabilities
    return sorted(
        name
        for name in parameters
        if name not in understood or capabilities.get(PARAMETERS_OF.get(name, name)) is False
    )
