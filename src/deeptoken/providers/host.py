"""A host of OpenAI's dialect: where it is, how it differs, and a request as it takes it.

Azure: learn.microsoft.com/azure/foundry/openai/api-version-lifecycle, read 2026-11-25. Its v1 API has one
address for all deployments, which are named as the model; a dated version has one for each. Both take a key
in `api-key`, or a token of Microsoft Entra as others take their key.
"""

import re
from urllib.parse import quote

import msgspec
from msgspec import Raw

from deeptoken.catalog.model import Candidate
from deeptoken.errors import BadRequest
from deeptoken.providers.manners import Manners, fitted, fitted_plain
from deeptoken.wire.chat import Chat
from deeptoken.wire.choice import NULL, encode

COMPLETION_LIMIT, LIMIT = "max_completion_tokens", "max_tokens"
NEWER_LIMIT_ONLY = re.compile(r"(?:^|/)(?:o\d|gpt-5)")
"""OpenAI's reasoning models refuse the older name."""
TEMPERATURE_MAX = 2.0
AZURE_V1 = ("v1", "preview")
AZURE_STREAM_OPTIONS = "2024-09-01"
"""Azure's dated versions before this one refuse `stream_options`."""


class Host(msgspec.Struct, frozen=True):
    """A host that speaks OpenAI's dialect, and how it differs."""

    name: str
    label: str
    base_url: str
    """Where `/chat/completions` is; empty where each customer has an own one."""
    key_variable: str | None
    """Where its key is by custom; None: it needs none."""
    limits: tuple[str, ...] = (LIMIT,)
    """The names it knows for the most tokens to generate, its own first."""
    stream_options: bool = True
    """It knows `stream_options`. One that does not tells the usage unasked."""
    renamed: dict[str, str] = {}
    """Parameters that it calls otherwise."""
    dropped: tuple[str, ...] = ()
    """OpenAI's parameters that it refuses, and that nobody misses in the answer."""
    temperature_max: float = TEMPERATURE_MAX
    forces_tools: bool = True
    """It can be told to call a tool, or none. One that cannot chooses for itself."""
    manners: Manners = Manners()
    """What it takes of a message."""
    stands_for_others: bool = False
    """A channel with an address of its own may be any host: messages go there as they came."""
    reasoning_outside: bool = False
    """It counts reasoning beside `completion_tokens`."""
    counts_beside: bool = False
    """It counts what it read and thought of its own accord beside prompt, completion and total."""
    own_tiers: bool = True
    """Its `service_tier` may have values of its own. Clients that know OpenAI's choke on them."""
    chats: bool = True
    """It has chats. What else a host does stands in `compatible_tasks.py`."""
    azure: bool = False
    """Keys go into `api-key`, deployments into the path."""
    responses: bool = False
    """It has OpenAI's Responses, at `/responses`."""
    completions: str = ""
    """Which of its models its `/completions` serves: a pattern; empty where it has none."""


def url(host: Host, at: Candidate, path: str) -> str:
    """The address of `path` there, such as ``chat/completions``."""
    base = (at.channel.base_url or host.base_url).rstrip("/")
    if not host.azure:
        return f"{base}/{path}"
    resource = base.removesuffix("/v1").removesuffix("/openai")
    version = _version(at)
    if has_v1(at):
        return f"{resource}/openai/v1/{path}" + ("" if version == "v1" else f"?api-version={version}")
    deployment = quote(at.upstream_model, safe="")
    return f"{resource}/openai/deployments/{deployment}/{path}?api-version={quote(version)}"


def headers(host: Host, at: Candidate) -> tuple[tuple[str, str], ...]:
    """The content type and the key, if there is one."""
    secret = at.channel.secret
    if not secret:
        return (("content-type", "application/json"),)
    if host.azure and at.channel.options.get("auth") != "bearer":
        return (("content-type", "application/json"), ("api-key", secret))
    return (("content-type", "application/json"), ("authorization", f"Bearer {secret}"))


def takes_stream_options(host: Host, at: Candidate) -> bool:
    if not host.azure:
        return host.stream_options
    return has_v1(at) or _version(at) >= AZURE_STREAM_OPTIONS


def has_v1(at: Candidate) -> bool:
    """Whether a channel of Azure speaks its v1 API, not a dated version."""
    return _version(at) in AZURE_V1


def set_limit(fields: dict[str, Raw], host: Host, at: Candidate, limit: int | None) -> None:
    """One limit, by the name that the caller used if the host knows it; of two the newer one counts."""
    newer, older = fields.pop(COMPLETION_LIMIT, NULL), fields.pop(LIMIT, NULL)
    name = LIMIT if newer == NULL and older != NULL else COMPLETION_LIMIT
    told = older if newer == NULL else newer
    if limit is not None:
        told = Raw(encode(limit))
    if told == NULL:
        return
    if name not in host.limits:
        name = host.limits[0]
    if COMPLETION_LIMIT in host.limits and NEWER_LIMIT_ONLY.search(at.upstream_model):
        name = COMPLETION_LIMIT
    fields[name] = told


def fit(fields: dict[str, Raw], chat: Chat, host: Host, at: Candidate) -> None:
    """What this host calls otherwise, or does not take.

    Raises:
        BadRequest: it cannot do what is asked.
    """
    request = chat.request
    for theirs, ours in host.renamed.items():
        if theirs in fields:
            fields.setdefault(ours, fields.pop(theirs))
    for name in host.dropped:
        fields.pop(name, None)
    if (request.temperature or 0) > host.temperature_max:
        fields["temperature"] = Raw(encode(host.temperature_max))
    if not host.forces_tools:
        _unforced(fields, request.tool_choice)
    if chat.native is not None or chat.plain is not None:
        fields["messages"] = fitted_plain(fields["messages"], host.manners, at.upstream_model)
    elif not (host.stands_for_others and at.channel.base_url not in ("", host.base_url)):
        fields["messages"] = fitted(fields["messages"], request.messages, host.manners, at.upstream_model)


def _version(at: Candidate) -> str:
    return str(at.channel.options.get("api_version") or "v1")


def _unforced(fields: dict[str, Raw], choice: object) -> None:
    """For a host that knows `auto` alone: without tools it calls none."""
    if choice not in (None, "auto", "none"):
        raise BadRequest("This provider cannot be made to call a tool.", param="tool_choice")
    fields.pop("tool_choice", None)
    if choice == "none":
        fields.pop("tools", None)
