"""Requests in the dialect of Anthropic's Messages API, read as chats.

    messages, system     messages (`messages_turns.py`)
    tools, tool_choice   the same, and parallel_tool_calls; thinking, output_config: reasoning_effort and
                         response_format (`messages_tools.py`)
    max_tokens           max_completion_tokens; required
    stop_sequences       stop, however many
    metadata.user_id     user

A chat that came so has three forms. Those who translate read `request`, `fields` and `extra`, in which
nothing is lost. Hosts of OpenAI's API get `plain` (`messages_plain.py`). A provider of this dialect gets
`native` (`messages_native.py`).

Source: platform.claude.com/docs/en/api/messages, .../api/messages-count-tokens, read 2026-11-25; the
gateway's own fields (`models`, `provider`, `max_cost_usd`, `usage`) may stand in the body.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import msgspec

from deeptoken.errors import BadRequest
from deeptoken.wire import chat
from deeptoken.wire.chat import Chat
from deeptoken.wire.messages_native import native
from deeptoken.wire.messages_plain import plain
from deeptoken.wire.messages_tools import choice, effort, response_format, tools
from deeptoken.wire.messages_turns import Block, Turn, messages, wrong

AS_THEY_ARE = (
    *("stream", "temperature", "top_p", "top_k", "thinking", "output_config", "metadata"),
    *("service_tier", "cache_control", "context_management"),
)
"""Fields that a chat has too, or carries for those who know them."""
INDEX = re.compile(r"\[(\d+)\]")
NO_HEADERS: Mapping[str, str] = {}

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Request(msgspec.Struct, frozen=True):
    """The fields that are translated, checked."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=chat.MODEL_ID_MAX)]
    messages: Annotated[list[Turn], msgspec.Meta(min_length=1)]
    max_tokens: chat.Tokens | None = None
    system: str | list[Block] | None = None
    stream: bool | None = None
    temperature: Share | None = None
    top_p: Share | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0)] | None = None
    stop_sequences: list[str] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None
    output_format: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None


def read(body: bytes, headers: Mapping[str, str] = NO_HEADERS, *, counting: bool = False) -> Chat:
    """The chat that a request means. `headers` by lower-case name; `counting`: nothing is to be generated.

    Raises:
        BadRequest: not JSON, not a request of this dialect, or what no provider could be sent; `param` is
            the field's path as Anthropic writes it: ``messages.0.content``.
    """
    try:
        return _read(body, headers, counting)
    except RecursionError:
        raise BadRequest("The body's JSON is nested too deeply.") from None


def _read(body: bytes, headers: Mapping[str, str], counting: bool) -> Chat:
    whole, raw = chat.decode(body)
    try:
        request = msgspec.convert(whole, _Request)
    except msgspec.ValidationError as error:
        raise chat.invalid(str(error), _path) from None
    if request.max_tokens is None and not counting:
        raise wrong("max_tokens", "is required")
    for name, value in whole.items():
        if not chat.once(raw[name], value):
            # A key may stand twice in it. Everybody who reads it must see the same one.
            raw[name] = msgspec.Raw(msgspec.json.encode(value))
    told = native(whole, raw, request.messages, headers)
    fields = _fields(whole, request, raw["messages"])
    stops = fields.pop("stop", None)
    made = {name: msgspec.json.encode(value) for name, value in fields.items()}
    raws = {name: msgspec.Raw(data) for name, data in made.items()}
    read = chat.chat_of(fields, raws, sum(map(len, made.values())))
    if stops:
        # More of them than OpenAI's API takes are no mistake here.
        fields["stop"] = stops
        read.request = msgspec.structs.replace(read.request, stop=stops)
        read.fields["stop"] = msgspec.Raw(msgspec.json.encode(stops))
    read.native = told
    read.plain = partial(plain, fields, request.messages)
    return read


def _fields(whole: dict[str, Any], request: _Request, raw: msgspec.Raw) -> dict[str, Any]:
    """The body of the chat."""
    fields: dict[str, Any] = {
        "model": request.model,
        "messages": messages(request.system, request.messages, raw),
        "max_completion_tokens": request.max_tokens,
        "stop": request.stop_sequences,
        "reasoning_effort": effort(request.thinking, request.output_config, request.max_tokens),
        "response_format": response_format(request.output_config, request.output_format),
        **{name: whole.get(name) for name in (*AS_THEY_ARE, *chat.OURS)},
    }
    if request.tools:
        fields["tools"] = tools(request.tools)
    if request.tool_choice is not None:
        fields["tool_choice"], fields["parallel_tool_calls"] = choice(request.tool_choice)
    user = (request.metadata or {}).get("user_id")
    if isinstance(user, str) and user:
        fields["user"] = user
    if not fields["messages"]:
        raise wrong("messages", "nobody says anything")
    return {name: value for name, value in fields.items() if value is not None}


def _path(path: str) -> str:
    """As Anthropic writes it: ``messages.0.role``."""
    return INDEX.sub(r".\1", path).removeprefix(".")
