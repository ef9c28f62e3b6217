"""OpenAI's Responses, request side: read into the chat that everything inside speaks.

    input, instructions   messages (`responses_input.py`); instructions come first
    max_output_tokens     max_completion_tokens
    text                  response_format, verbosity
    reasoning             reasoning_effort; a summary is asked of us, not of the model
    tools, tool_choice    functions in the chat's shape; `allowed_tools` leaves just those
    include               logprobs, where it asks for them; reasoning always comes encrypted
    metadata              told back and not sent: it belongs to what is stored
    store                 accepted; nothing is stored here, and the answer says so
    truncation            accepted; nothing is cut off here, and the answer says so

The other fields go on as they came. What needs storage, or runs on the operator's account beside the call,
is refused. What only a host of this dialect can do is kept for one (`Chat.native`) and refused where it
would have to be translated (`refuse_beyond`).

Source: developers.openai.com/api/reference/resources/responses/methods/create and openai-python's types,
read 2026-11-25.
"""

import re
from typing import Annotated, Any, Literal

import msgspec

from deeptoken.errors import BadRequest, DeeptokenError
from deeptoken.wire import chat
from deeptoken.wire.chat import Chat, Native, wrong
from deeptoken.wire.responses_input import BEYOND, messages

DIALECT = "responses"
LOGPROBS = "message.output_text.logprobs"
STORAGE_OFF = "nothing is stored here: send the whole conversation in input"
STORED = {
    "previous_response_id": STORAGE_OFF,
    "conversation": STORAGE_OFF,
    "prompt": "prompt templates are stored upstream, on the operator's account: send instructions and input",
}
ELSEWHERE = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "functions": "tools",
    "function_call": "tool_choice",
    "logprobs": "include",
}
"""Chat's names of what is called otherwise here."""
WITHOUT_PARTS = ("messages", "response_format", "logprobs")
"""Chat's fields whose parts have no name here: which item a message came from is not kept."""
NATIVE_ONLY = ("context_management", "moderation")
"""Wishes that may not be dropped and that no chat can carry."""
CALLERS_TOOLS = ("function", "custom", "local_shell", "apply_patch", "computer", "computer_use_preview")
"""Tools that the caller runs: they cost tokens only. What the host runs has fees that no price here bears."""

Object = dict[str, Any]
encode = msgspec.json.encode


class Misnamed(BadRequest):
    """A field by the name that a chat has for it: told as it was sent."""


class Text(msgspec.Struct, frozen=True):
    format: Object | None = None
    verbosity: str | None = None


class Reasoning(msgspec.Struct, frozen=True):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class Create(msgspec.Struct, frozen=True):
    """What the gateway understands of a request; the rest passes by."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=chat.MODEL_ID_MAX)]
    input: str | list[Object] | None = None
    instructions: str | None = None
    stream: bool | None = None
    stream_options: Object | None = None
    store: bool | None = None
    background: bool | None = None
    max_output_tokens: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    max_tool_calls: int | None = None
    text: Text | None = None
    reasoning: Reasoning | None = None
    tools: list[Object] | None = None
    tool_choice: str | Object | None = None
    parallel_tool_calls: bool | None = None
    include: list[str] | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: dict[str, str] | None = None
    previous_response_id: Any = None
    conversation: Any = None
    prompt: Any = None
    background_options: Any = None
    access_programs: Any = None
    image: Any = None
    context_management: Any = None
    moderation: Any = None


SAME = frozenset(("model", "stream", "stream_options", "temperature", "top_p"))
TRANSLATED = frozenset(Create.__struct_fields__) - SAME
"""Fields that do not go on under their own name; every other does."""


def read(body: bytes) -> Chat:
    """Check a request's body and read it as a chat, with what came in `native`.

    Raises:
        BadRequest: not JSON, not a request of this dialect, or one that needs what is not here; `param` is
            this dialect's own name of the field: ``input[0].content``.
    """
    try:
        return _read(body)
    except RecursionError:
        raise BadRequest(chat.TOO_DEEP) from None


def refuse_beyond(made: Chat) -> None:
    """Called where a host of another dialect is to answer.

    Raises:
        BadRequest: something of the request has no place in a chat; `param` names it.
    """
    if made.native is None:
        return
    for name in NATIVE_ONLY:
        if name in made.native.fields:
            raise wrong(name, "the providers of this model do not have it")
    foreign = any(tool.type != "function" for tool in made.request.tools or ())
    if foreign or any(_is_beyond(message) for message in made.request.messages):
        _translated(msgspec.json.decode(encode(made.native.fields)), strict=True)


def rename(error: DeeptokenError) -> None:
    """Gives an error that names a field of the chat this dialect's name of it."""
    if isinstance(error, Misnamed):
        return
    told = error.param or ""
    field = re.split(r"[.\[]", told, maxsplit=1)[0]
    if field in ELSEWHERE:
        rest = "" if field in WITHOUT_PARTS else told.removeprefix(field)
        error.param = ELSEWHERE[field] + rest
        error.message = error.message.replace(told, error.param)


def _read(body: bytes) -> Chat:
    whole, fields = chat.decode(body)
    translated = _translated(whole, strict=False)
    for name, raw in fields.items():
        if name not in TRANSLATED and whole[name] is not None:
            translated[name] = raw
    try:
        made = chat.read(encode(translated))
    except BadRequest as error:
        rename(error)
        raise
    passing = {name: raw for name, raw in fields.items() if name not in chat.OURS and whole[name] is not None}
    for name in ("input", "tools"):
        given = whole.get(name)
        if isinstance(given, list) and not chat.once(fields[name], given):
            # Whoever reads it after us must see the same of two fields.
            passing[name] = msgspec.Raw(encode(given))
    made.native = Native(DIALECT, passing)
    made.size = len(body)
    return made


def _is_beyond(message: chat.Message) -> bool:
    content = message.content
    return isinstance(content, list) and any(part.get("type") == BEYOND for part in content)


def _translated(whole: Object, *, strict: bool) -> Object:
    """The fields of a chat that say what a request does. `strict`: what a chat cannot carry is refused."""
    try:
        asked = msgspec.convert(whole, Create)
    except msgspec.ValidationError as error:
        raise chat.invalid(str(error), chat.dotted) from None
    _refuse(asked, whole)
    if asked.input is None:
        raise wrong("input", "expected a string or a list of items")
    said = messages(asked.input, strict=strict)
    if asked.instructions:
        said.insert(0, {"role": "system", "content": asked.instructions})
    if not said:
        raise wrong("input", "there is nothing to answer in it")
    made: Object = {"model": asked.model, "messages": said}
    if asked.max_output_tokens is not None:
        made["max_completion_tokens"] = asked.max_output_tokens
    if asked.reasoning is not None and asked.reasoning.effort is not None:
        made["reasoning_effort"] = asked.reasoning.effort
    if asked.text is not None:
        _text(made, asked.text)
    _tools(made, asked, strict=strict)
    if LOGPROBS in (asked.include or ()):
        made["logprobs"] = True
        if asked.top_logprobs:
            made["top_logprobs"] = asked.top_logprobs
    return made


def _refuse(asked: Create, whole: Object) -> None:
    """What is asked of storage that is not here, or by the names of another dialect."""
    for name, why in STORED.items():
        if getattr(asked, name) is not None:
            raise wrong(name, why)
    if asked.background:
        raise wrong("background", "nothing is stored here to be fetched later: leave it out, or use stream")
    for name, here in ELSEWHERE.items():
        if whole.get(name) is not None:
            raise Misnamed(f"{name}: it is called {here} in the Responses API.", param=name)
    if whole.get("n") not in (None, 1):
        raise wrong("n", "a response is one answer: leave it out and call again")
    if whole.get("audio") is not None:
        raise wrong("audio", "a response does not speak")


def _text(made: Object, text: Text) -> None:
    if text.verbosity is not None:
        made["verbosity"] = text.verbosity
    match text.format:
        case None | {"type": "text"}:
            pass
        case {"type": "json_object"}:
            made["response_format"] = {"type": "json_object"}
        case {"type": "json_schema", "name": str(name), "schema": dict(schema)}:
            schema_format: Object = {"name": name, "schema": schema}
            for option in ("description", "strict"):
                if text.format.get(option) is not None:
                    schema_format[option] = text.format[option]
            made["response_format"] = {"type": "json_schema", "json_schema": schema_format}
        case {"type": "json_schema"}:
            missing = "name" if not isinstance(text.format.get("name"), str) else "schema"
            raise wrong(f"text.format.{missing}", "a JSON schema has a name and a schema")
        case _:
            raise wrong("text.format.type", "expected text, json_object or json_schema")


def _tools(made: Object, asked: Create, *, strict: bool) -> None:
    tools = [_tool(tool, f"tools[{at}]", strict=strict) for at, tool in enumerate(asked.tools or ())]
    tools, choice = _chosen(tools, asked.tool_choice, strict=strict)
    if not tools:
        # This dialect allows a choice without tools; a chat does not.
        return
    made["tools"] = tools
    if choice is not None:
        made["tool_choice"] = choice
    if asked.parallel_tool_calls is not None:
        made["parallel_tool_calls"] = asked.parallel_tool_calls


def _chosen(
    tools: list[Object], choice: str | Object | None, *, strict: bool
) -> tuple[list[Object], str | Object | None]:
    """The tools among which is chosen, and the choice as a chat has it."""
    match choice:
        case None | "none" | "auto" | "required":
            return tools, choice
        case {"type": "function", "name": str(name)}:
            return tools, {"type": "function", "function": {"name": name}}
        case {"type": "allowed_tools", "mode": "auto" | "required" as mode, "tools": list(allowed)}:
            names = [tool.get("name") for tool in allowed if isinstance(tool, dict)]
            return [tool for tool in tools if tool.get("function", tool).get("name") in names], mode
        case {"type": "function"}:
            raise wrong("tool_choice.name", "expected the name of a function")
        case {"type": "allowed_tools"}:
            raise wrong("tool_choice.tools", "allowed_tools has a mode, auto or required, and tools")
        case {"type": str(kind)} if kind in CALLERS_TOOLS and not strict:
            return tools, choice
        case {"type": str(kind)}:
            raise wrong("tool_choice.type", f"{kind} cannot be chosen here")
    raise wrong("tool_choice", "expected none, auto, required or an object")


def _tool(tool: Object, path: str, *, strict: bool) -> Object:
    kind = tool.get("type")
    if not isinstance(kind, str):
        raise wrong(f"{path}.type", "expected a string")
    if kind != "function":
        if not _run_by_the_caller(tool):
            raise wrong(f"{path}.type", f"{kind} runs on the operator's account and has no price here")
        if strict:
            raise wrong(f"{path}.type", f"the providers of this model take functions, not {kind}")
        return tool
    if not isinstance(tool.get("name"), str):
        raise wrong(f"{path}.name", "expected a string")
    if not isinstance(tool.get("parameters"), dict | None):
        raise wrong(f"{path}.parameters", "expected a JSON schema")
    if not isinstance(tool.get("strict"), bool | None):
        raise wrong(f"{path}.strict", "expected true or false")
    if not isinstance(tool.get("description"), str | None):
        raise wrong(f"{path}.description", "expected a string")
    names = ("name", "description", "parameters", "strict")
    made: Object = {
        "type": "function",
        "function": {name: tool[name] for name in names if tool.get(name) is not None},
    }
    if tool.get("cache_control") is not None:
        made["cache_control"] = tool["cache_control"]
    return made


def _run_by_the_caller(tool: Object) -> bool:
    """A tool that costs tokens only, or a group of such."""
    match tool:
        case {"type": "shell", "environment": {"type": "local"}} | {
            "type": "tool_search",
            "execution": "client",
        }:
            return True
        case {"type": "namespace", "tools": list(inner)}:
            return all(isinstance(one, dict) and one.get("type") in ("function", "custom") for one in inner)
    return tool["type"] in CALLERS_TOOLS
