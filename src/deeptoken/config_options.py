"""The keys of a channel that only one provider knows."""

from collections.abc import Mapping
from typing import Any

from deeptoken.config_fields import Field, flag, one_of, read_table, region, seconds, text
from deeptoken.config_lines import Path

MAY_HAVE_RESPONSES = (
    *("openai", "xai", "openrouter"),
    *("groq", "huggingface", "fireworks", "dashscope", "ollama", "vllm", "lmstudio"),
)
"""Hosts of OpenAI's dialect that have its Responses, or may: a beta, by their version, by their address."""
OPTIONS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(MAY_HAVE_RESPONSES, ("responses",)),
    "azure": ("api_version", "auth", "responses"),
    "bedrock": ("region",),
    "sim": ("sim",),
    "vertex": ("project", "location"),
}
"""By provider."""


def _sim(value: Any, path: Path) -> dict[str, float]:
    return read_table(value, path, {"delay": Field(seconds(zero=True)), "pace": Field(seconds())})


OPTION_FIELDS: Mapping[str, Field] = {
    "auth": Field(one_of(("api-key", "bearer"), "way to authenticate")),
    "sim": Field(_sim),
    "region": Field(region),
    "responses": Field(flag),
    **dict.fromkeys(("api_version", "location", "project"), Field(text)),
}
