"""The keys of a channel that only one provider knows."""

from collections.abc import Mapping
from typing import Any

from deeptoken.config_fields import Field, one_of, read_table, region, seconds, text
from deeptoken.config_lines import Path

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "azure": ("api_version", "auth"),
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
    **dict.fromkeys(("api_version", "location", "project"), Field(text)),
}
