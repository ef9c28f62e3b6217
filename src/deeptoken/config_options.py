"""The keys of a channel that only one provider knows."""

import re
from collections.abc import Mapping
from typing import Any

from deeptoken.config_fields import Field, expected, flag, one_of, read_table, region, seconds, text
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

_DATED = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}(-preview)?")


def _sim(value: Any, path: Path) -> dict[str, float]:
    return read_table(value, path, {"delay": Field(seconds(zero=True)), "pace": Field(seconds())})


def _api_version(value: Any, path: Path) -> str:
    if text(value, path) not in ("v1", "preview") and not _DATED.fullmatch(value):
        raise expected('"v1", "preview" or a date such as 2024-10-21', value, path)
    return str(value)


OPTION_FIELDS: Mapping[str, Field] = {
    "auth": Field(one_of(("api-key", "bearer"), "way to authenticate")),
    "sim": Field(_sim),
    "region": Field(region),
    "responses": Field(flag),
    "api_version": Field(_api_version),
    **dict.fromkeys(("location", "project"), Field(text)),
}
