"""The shape that everything inside speaks: OpenAI's chat completions, request side.

Source: platform.openai.com/docs/api-reference/chat, read 2026-11-23; ours: spec "the HTTP API".

A body is decoded once. `ChatRequest` is what the gateway must understand, checked; `Chat.fields` is the
same body with its top-level fields as they came, each once, ours and `model` taken out: a
provider of the same dialect passes them on byte for byte. A field that is null is as one that is absent.
"""

import re
from typing import Annotated, Any, Literal

import msgspec

from deeptoken.errors import BadRequest

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
Parts = list[dict[str, Any]]

MODEL_ID_MAX = 256
OURS = ("models", "provider", "max_cost_usd", "usage")
"""Fields that are for the gateway; no upstream sees them."""
NESTING_MAX = 64
KEY = re.compile(rb'"[ \t\r\n]*:')


class Function(msgspec.Struct, frozen=True):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(msgspec.Struct, frozen=True):
    type: str
    function: Function | None = None


class FunctionCall(msgspec.Struct, frozen=True):
    name: str
    arguments: str


class ToolCall(msgspec.Struct, frozen=True):
    id: str
    type: str = "function"
    function: FunctionCall | None = None


class Message(msgspec.Struct, frozen=True):
    role: Role
    content: str | Parts | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    function_call: FunctionCall | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class UsageOptions(msgspec.Struct, frozen=True):
    include: bool | None = None


Positive = Annotated[int, msgspec.Meta(ge=1)]


class ChatRequest(msgspec.Struct, frozen=True):
    """What the gateway understands of a request; the rest passes by."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=MODEL_ID_MAX)]
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Positive | None = None
    max_completion_tokens: Positive | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=128)] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    stop: str | Annotated[list[str], msgspec.Meta(max_length=4)] | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    user: str | None = None
    usage: UsageOptions | None = None

    @property
    def limit(self) -> int | None:
        """The most tokens that the caller wants, by either name; the newer one counts."""
        return self.max_completion_tokens or self.max_tokens


class Chat(msgspec.Struct):
    """A checked request. `request` to reason with, `fields` to pass on, `extra` what `request` does not know."""

    request: ChatRequest
    fields: dict[str, msgspec.Raw]
    extra: dict[str, Any]
    size: int
    """Bytes of the body."""

    @property
    def stream(self) -> bool:
        return bool(self.request.stream)
