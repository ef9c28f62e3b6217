"""All providers by name: the adapters, their own base URLs, and the variables that hold their keys."""

from collections.abc import Mapping
from types import MappingProxyType

from deeptoken.providers import anthropic, bedrock, cohere, compatible, gemini, vertex
from deeptoken.providers.base import Provider
from deeptoken.providers.host import Host
from deeptoken.providers.openai import OpenAI

SIM = Host("sim", "Sim", "", None, compatible.BOTH)
"""`sim` speaks OpenAI's dialect; its bytes come from `sim.py` instead of a network."""

PROVIDERS: Mapping[str, Provider] = MappingProxyType(
    {
        **compatible.PROVIDERS,
        "anthropic": anthropic.Anthropic(),
        "gemini": gemini.Gemini(),
        "vertex": vertex.Vertex(),
        "cohere": cohere.Cohere(),
        "bedrock": bedrock.Bedrock(),
        "sim": OpenAI(SIM),
    }
)
BASE_URLS: Mapping[str, str | None] = MappingProxyType(
    {host.name: host.base_url or None for host in compatible.ALL}
    | {
        "anthropic": anthropic.BASE_URL,
        "bedrock": bedrock.BASE_URL,
        "cohere": cohere.BASE_URL,
        "gemini": gemini.BASE_URL,
        "vertex": "",
        "sim": "",
    }
)
"""None: a channel must say it. Empty: the provider makes it (Vertex, of the location). ``{region}`` in one is
the channel's option `region`."""
KEY_VARIABLES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        host.name: (host.key_variable, host.base_url)
        for host in compatible.ALL
        if host.key_variable and host.base_url
    }
    | {
        "anthropic": ("ANTHROPIC_API_KEY", anthropic.BASE_URL),
        "gemini": ("GEMINI_API_KEY", gemini.BASE_URL),
        "cohere": ("COHERE_API_KEY", cohere.BASE_URL),
    }
)
"""The variable that a key is usually in, and the base URL that goes with it."""
