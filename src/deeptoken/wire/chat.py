"""The shape that everything inside speaks: OpenAI's chat completions, request side.

Source: platform.openai.com/docs/api-reference/chat, read 2026-11-23; ours: spec "the HTTP API".

A body is decoded once. `ChatRequest` is what the gateway must understand, checked; `Chat.fields` is the
same body with its top-level fields as they came, each once, ours and `model` taken out: a
provider of the same dialect passes them on byte for byte. A field that is null is as one that is absent.

A chat that came in another dialect is the same to those who reason with it, and has two things more: what
the caller wrote (`Native`), and a plain form for hosts that refuse what OpenAI's API does not name.

A call that is no chat has a task instead of messages (`task.py`).
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec

from deeptoken.errors import BadRequest
from deeptoken.wire.task import Task
from deeptoken.wire.texts import SPACED, bare, counted

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
Parts = list[dict[str, Any]]

MODEL_ID_MAX = 256
OURS = ("models", "provider", "max_cost_usd", "usage")
"""Fields that are for the gateway; no upstream sees them."""


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
    cache_control: Any = None
    """Anthropic's mark, as it came."""


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
    is_error: Any = None
    """A tool message: the tool failed. Anthropic's word, as it came; so is the next one."""
    cache_control: Any = None

    @property
    def details(self) -> list[dict[str, Any]]:
        """The details of its reasoning, the name of each one's format once.

        A client that puts a stream's deltas together, as OpenAI's own library does, writes it as often as it
        came.
        """
        return [_once_named(detail) for detail in self.reasoning_details or ()]


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class UsageOptions(msgspec.Struct, frozen=True):
    include: bool | None = None


Tokens = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""0 is as no limit."""


class ChatRequest(msgspec.Struct, frozen=True):
    """What the gateway understands of a request; the rest passes by."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=MODEL_ID_MAX)]
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
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


class Native(msgspec.Struct, frozen=True):
    """A call as its caller wrote it, for a provider that speaks the same dialect."""

    dialect: str
    """``messages``: Anthropic's; ``responses``, ``completions``: OpenAI's other ones."""
    fields: dict[str, msgspec.Raw]
    """The top-level fields as they came, without ours and `model`."""
    headers: tuple[tuple[str, str], ...] = ()
    """What belongs to the body: the version of the dialect, names of its previews."""
    only: BadRequest | None = None
    """The first thing that no other dialect can carry, as the refusal where nobody speaks this one."""


class Chat(msgspec.Struct):
    """A checked request: `request` to reason with, `fields` to pass on, `extra` what `request` has not."""

    request: ChatRequest
    fields: dict[str, msgspec.Raw]
    extra: dict[str, Any]
    size: int
    """Bytes of the body."""
    ours: dict[str, msgspec.Raw] = {}
    """The fields that are for the gateway, as they came."""
    native: Native | None = None
    """Of a call that came in another dialect."""
    plain: Callable[[], dict[str, msgspec.Raw]] | None = None
    """Of a call that came in another dialect: its `fields` as OpenAI's own API has them."""
    task: Task | None = None
    """Of a call that is no chat."""

    def passing(self) -> dict[str, msgspec.Raw]:
        """The fields for a host of this dialect.

        Raises:
            BadRequest: the caller, in another dialect, wrote what OpenAI's API has no place for.
        """
        return dict(self.fields) if self.plain is None else self.plain()

    @property
    def stream(self) -> bool:
        return bool(self.request.stream)


DECODE = msgspec.json.Decoder().decode
REQUEST = msgspec.json.Decoder(ChatRequest).decode
FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
KNOWN = frozenset(ChatRequest.__struct_fields__) | frozenset(OURS)
UNDERSTOOD = frozenset(ChatRequest.__struct_fields__) - frozenset(OURS)
NULL = msgspec.Raw(b"null")
TOO_DEEP = "The body's JSON is nested too deeply."
TOOL_CHOICES = ("none", "auto", "required")
MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`(?: - at `\$(?P<path>[^`]*)`)?")
KEYS = re.compile(rb'"(?:(?<!\\")|(?<=\\\\"))[ \t\r\n]*:')
"""The end of a key: a quote that is not escaped, or perhaps not, and a colon."""
INVALID = re.compile(r"(?P<what>.*) - at `\$(?P<path>[^`]*)`", re.DOTALL)


def read(body: bytes) -> Chat:
    """Check a request's body, decoding it once.

    Raises:
        BadRequest: not JSON, or not a chat; `param` names the field.
    """
    return read_texts(body) or read_carefully(body)


def read_texts(body: bytes) -> Chat | None:
    """The chat, where all its messages are a role and a text and all its fields are known and plain; None: it
    may be one all the same, or none (measured: half of the time of reading it, and of 30 KB two thirds).

    Then nothing is written but what was read: no key stands twice, and nothing was not decoded.
    """
    try:
        request = REQUEST(body)
        fields = FIELDS(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    for message in request.messages:
        if type(message.content) is not str:
            return None
    keys = len(fields) + 2 * len(request.messages)
    if request.stream_options is not None:
        if request.stream_options.include_usage is None:
            return None
        keys += 1
    if not fields.keys() <= UNDERSTOOD or not (bare(body, fields) or counted(body, keys)):
        return None
    _check(request)
    del fields["model"]
    if NULL in fields.values():
        fields = {name: value for name, value in fields.items() if value != NULL}
    return Chat(request=request, fields=fields, extra={}, size=len(body))


def read_carefully(body: bytes) -> Chat:
    """Any chat.

    Raises:
        BadRequest: not JSON, or not a chat; `param` names the field.
    """
    whole, fields = decode(body)
    chat = chat_of(whole, fields, len(body))
    if not once(fields["messages"], whole["messages"]):
        # A field stands twice somewhere inside. Both readers of a message must see the same one.
        chat.fields["messages"] = msgspec.Raw(msgspec.json.encode(whole["messages"]))
    return chat


def chat_of(whole: dict[str, Any], fields: dict[str, msgspec.Raw], size: int) -> Chat:
    """The chat of a body that is decoded already; `fields` are the same as JSON.

    Raises:
        BadRequest: it is none.
    """
    try:
        request = msgspec.convert(whole, ChatRequest)
    except msgspec.ValidationError as error:
        raise invalid(str(error), dotted) from None
    _check(request)
    passing = {name: raw for name, raw in fields.items() if name not in OURS and whole[name] is not None}
    del passing["model"]
    extra = {name: value for name, value in whole.items() if name not in KNOWN and value is not None}
    ours = {name: fields[name] for name in OURS if whole.get(name) is not None}
    return Chat(request=request, fields=passing, extra=extra, size=size, ours=ours)


def decode(body: bytes) -> tuple[dict[str, Any], dict[str, msgspec.Raw]]:
    """A JSON object, and its fields as they came.

    Raises:
        BadRequest: it is none.
    """
    try:
        whole = DECODE(body)
        if not isinstance(whole, dict):
            raise BadRequest("The body must be a JSON object.")
        return whole, FIELDS(body)
    except RecursionError:
        raise BadRequest(TOO_DEEP) from None
    except UnicodeDecodeError:
        raise BadRequest("The body is not valid UTF-8.") from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"The body is not valid JSON: {error}. Send one JSON object.") from None


def invalid(error: str, written: Callable[[str], str]) -> BadRequest:
    """msgspec's words about a body; `written` gives a path in it as the dialect writes it."""
    if missing := MISSING.fullmatch(error):
        path = written(f"{missing['path'] or ''}.{missing['field']}")
        return BadRequest(f"{path} is required.", param=path)
    if found := INVALID.fullmatch(error):
        path = written(found["path"])
        return BadRequest(f"{path}: {found['what']}.", param=path or None)
    return BadRequest(f"{error}.")


def dotted(path: str) -> str:
    """As OpenAI writes it: ``messages[0].role``."""
    return path.removeprefix(".")


def _check(request: ChatRequest) -> None:
    """What types cannot say."""
    for at, message in enumerate(request.messages):
        _check_message(message, f"messages[{at}]")
    choice = request.tool_choice
    if isinstance(choice, str) and choice not in TOOL_CHOICES:
        raise wrong("tool_choice", "expected none, auto, required or an object")
    if isinstance(choice, dict) and not isinstance(choice.get("type"), str):
        raise wrong("tool_choice.type", "expected a string")
    for at, tool in enumerate(request.tools or ()):
        if tool.type == "function" and tool.function is None:
            raise wrong(f"tools[{at}].function", "a function tool must have a function")
    if request.response_format is not None:
        _check_format(request.response_format)


def _check_message(message: Message, path: str) -> None:
    content = message.content
    if isinstance(content, list):
        for index, part in enumerate(content):
            _check_part(part, f"{path}.content[{index}]")
    elif content is None and message.role != "assistant":
        raise wrong(f"{path}.content", f"a {message.role} message must have content")
    if message.role == "tool" and message.tool_call_id is None:
        raise wrong(f"{path}.tool_call_id", "a tool message must say which call it answers")


def _check_part(part: dict[str, Any], path: str) -> None:
    match part:
        case {"type": "text", "text": str()} | {"type": "refusal", "refusal": str()}:
            return
        case {"type": "text" | "refusal" as kind}:
            raise wrong(f"{path}.{kind}", "expected a string")
        case {"type": "image_url", "image_url": {"url": str()}} | {
            "type": "input_audio",
            "input_audio": {"data": str()},
        }:
            return
        case {"type": "image_url"}:
            raise wrong(f"{path}.image_url.url", "expected a string")
        case {"type": "input_audio"}:
            raise wrong(f"{path}.input_audio.data", "expected a string")
        case {"type": "file", "file": dict()}:
            return
        case {"type": "file"}:
            raise wrong(f"{path}.file", "expected an object")
        case {"type": str()}:
            return
    raise wrong(f"{path}.type", "expected a string")


def _check_format(form: dict[str, Any]) -> None:
    if not isinstance(form.get("type"), str):
        raise wrong("response_format.type", "expected text, json_object or json_schema")
    if form["type"] == "json_schema" and not isinstance(form.get("json_schema"), dict):
        raise wrong("response_format.json_schema", "expected an object")


def _once_named(detail: dict[str, Any]) -> dict[str, Any]:
    name = detail.get("format")
    if not isinstance(name, str) or not name:
        return detail
    once = (name + name).find(name, 1)
    return detail if once == len(name) else {**detail, "format": name[:once]}


def wrong(path: str, what: str) -> BadRequest:
    return BadRequest(f"{path}: {what}.", param=path)


def once(raw: bytes, value: Any) -> bool:
    """Whether no key stands twice in `raw`, of which `value` was decoded; false where that is not sure.

    Both counts of the keys that are written may be too high, since text may look like one, never too low. The
    second one looks closer and takes longer.

    Raises:
        BadRequest: it is nested too deeply.
    """
    try:
        keys, raw = _keys(value), bytes(raw)
    except RecursionError:
        raise BadRequest(TOO_DEEP) from None
    return raw.count(b'":') + len(SPACED.findall(raw)) == keys or len(KEYS.findall(raw)) == keys


def _keys(value: Any) -> int:
    """How many keys there are in decoded JSON."""
    if type(value) is dict:
        return len(value) + sum(_keys(inner) for inner in value.values() if type(inner) in (dict, list))
    if type(value) is list:
        return sum(_keys(inner) for inner in value if type(inner) in (dict, list))
    return 0
