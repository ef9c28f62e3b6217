"""The messages of a chat as the turns of Bedrock's Converse.

    system, developer    the system prompt: all of it first, in its order
    user                 a user turn; neighbours of one role are one turn
    tool, function       `toolResult` blocks, which stand first in the user turn after the call
    assistant            reasoning that was signed, text, `toolUse`; each where it stood

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html and
.../API_runtime_ContentBlock.html, .../userguide/prompt-caching.html; read 2026-11-25. What the API refuses
and a chat may have is left out: blank text, other providers' reasoning, a turn of nothing but reasoning, the
space at the end of a last assistant turn. Tool calls need tools beside them: where none go along, calls and
their results are told as text.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from deeptoken.errors import BadRequest
from deeptoken.providers.anthropic_messages import NO_INPUT, signed_thoughts, woven
from deeptoken.providers.bedrock_models import reasoning_block
from deeptoken.providers.bedrock_parts import Names, block_of
from deeptoken.wire.chat import Message

Block = dict[str, Any]
Group = list[Block]
"""A block, and the cache mark behind it if there is one."""

TOOL_ID = re.compile(r"[^a-zA-Z0-9_-]")
"""What an id of a tool call must not have; other providers' ids do."""
TOOL_ID_MAX = 64
NO_OUTPUT = "(no output)"
"""An empty result is refused."""
GUIDED, CALLED = frozenset(("text", "guardContent")), frozenset(("text", "image", "document"))
TAKEN: Mapping[str, frozenset[str]] = {
    "system": GUIDED,
    "developer": GUIDED,
    "user": GUIDED | CALLED | {"audio"},
    "assistant": frozenset(("text",)),
    "tool": CALLED,
    "function": CALLED,
}
"""The blocks that a message may have."""

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Turns(msgspec.Struct):
    """A conversation, ready to be sent."""

    system: list[Block]
    messages: list[dict[str, Any]]


class Manner(msgspec.Struct, frozen=True):
    """How a conversation is to be told."""

    tools: bool
    """Tools go along."""
    formats: tuple[str, ...]
    """The reasoning that the model takes back."""
    marks: tuple[str, ...] = ()
    """How long the model keeps what is marked for its cache; empty: it knows no marks."""


def turns(messages: list[Message], manner: Manner) -> Turns:
    """Raises:
    BadRequest: a part that Converse cannot carry, or arguments that are no JSON object.
    """
    told = _Conversation(manner)
    for at, message in enumerate(messages):
        match message.role:
            case "system" | "developer":
                told.system += told.blocks(message, at)
            case "user":
                told.rest += told.blocks(message, at)
            case "assistant":
                told.assistant(message, at)
            case "tool" | "function":
                told.result(message, at)
    return told.whole()


class _Conversation:
    """Turns as they are gathered: neighbours joined, a user turn's tool results kept before the rest."""

    __slots__ = ("calls", "function", "manner", "messages", "names", "rest", "results", "system")

    def __init__(self, manner: Manner) -> None:
        self.manner = manner
        self.names = Names()
        self.calls: dict[str, str] = {}
        """What each call so far has called."""
        self.function = ""
        """The id of the last function call, which a `function` message answers without naming it."""
        self.system: list[Block] = []
        self.messages: list[dict[str, Any]] = []
        self.results: list[Block] = []
        self.rest: list[Block] = []

    def blocks(self, message: Message, at: int) -> list[Block]:
        return [block for group in self.groups(message, at) for block in group]

    def groups(self, message: Message, at: int) -> list[Group]:
        """What a message says, each block with its mark."""
        match message.content:
            case None:
                return []
            case str(text):
                return [] if _blank(text) else [[{"text": text}]]
            case parts:
                return [
                    [block, *self.mark(part)]
                    for i, part in enumerate(parts)
                    if (block := self.part(message, part, f"messages[{at}].content[{i}]"))
                ]

    def part(self, message: Message, part: dict[str, Any], path: str) -> Block | None:
        block = block_of(part, path, self.names)
        if block and not block.keys() <= TAKEN[message.role]:
            raise BadRequest(
                f"Bedrock takes no part of type {part['type']!r} from the {message.role}.",
                param=f"{path}.type",
            )
        return block

    def mark(self, part: dict[str, Any]) -> Group:
        """The cache mark behind a part that has one."""
        return cache_point(part.get("cache_control"), self.manner.marks)

    def assistant(self, message: Message, at: int) -> None:
        said = self.groups(message, at)
        if message.refusal and not _blank(message.refusal):
            said.append([{"text": message.refusal}])
        for i, call in enumerate(message.tool_calls or ()):
            path = f"messages[{at}].tool_calls[{i}]"
            if call.function is None:
                raise BadRequest("Bedrock's tools are functions.", param=f"{path}.type")
            read = _input(call.function.arguments, f"{path}.function.arguments")
            mark = cache_point(call.cache_control, self.manner.marks)
            said.append([self.call(tool_id(call.id), call.function.name, read), *mark])
        if legacy := message.function_call:
            read = _input(legacy.arguments, f"messages[{at}].function_call.arguments")
            self.function = f"function_call_{at}"
            said.append([self.call(self.function, legacy.name, read)])
        if not said:
            # A turn of reasoning alone is taken for the beginning of an answer.
            return
        thoughts = signed_thoughts(message.details, self.manner.formats)
        groups = woven([(thought.index, [reasoning_block(thought)]) for thought in thoughts], said)
        blocks = [block for group in groups for block in group]
        self.close()
        if self.messages and self.messages[-1]["role"] == "assistant":
            self.messages[-1]["content"] += blocks
        else:
            self.messages.append({"role": "assistant", "content": blocks})

    def call(self, id: str, name: str, arguments: msgspec.Raw) -> Block:
        self.calls[id] = name
        if not self.manner.tools:
            return {"text": f"(Called the tool {name} with {bytes(arguments).decode()})"}
        return {"toolUse": {"toolUseId": id, "name": name, "input": arguments}}

    def result(self, message: Message, at: int) -> None:
        called = tool_id(message.tool_call_id or "") if message.role == "tool" else self.function
        if not called:
            raise BadRequest("No function_call stands before this.", param=f"messages[{at}].role")
        content = [group[0] for group in self.groups(message, at)] or [{"text": NO_OUTPUT}]
        failed = message.is_error is True
        if not self.manner.tools:
            how = "failed with" if failed else "answered"
            self.results += [{"text": f"(The tool {self.calls.get(called, called)} {how}:)"}, *content]
            return
        block: Block = {"toolUseId": called, "content": content}
        if failed:
            block["status"] = "error"
        self.results += [{"toolResult": block}, *self.results_mark(message)]

    def results_mark(self, message: Message) -> Group:
        """A result has one mark behind it, be it its own or that of a part."""
        marks = [message.cache_control]
        if isinstance(message.content, list):
            marks += [part.get("cache_control") for part in message.content]
        points = (cache_point(mark, self.manner.marks) for mark in marks)
        return next((point for point in points if point), [])

    def close(self) -> None:
        """End the user turn, if there is one."""
        said = self.results + self.rest
        if not said:
            return
        if any("document" in block for block in said) and not any("text" in block for block in said):
            # A turn with a document must have text.
            said.append({"text": self.names.told(said)})
        self.messages.append({"role": "user", "content": said})
        self.results, self.rest = [], []

    def whole(self) -> Turns:
        self.close()
        system, said = self.system, self.messages
        if not said and system:
            # A chat may have a system prompt alone; here somebody must have spoken.
            said, system = [{"role": "user", "content": system}], []
        if not said:
            raise BadRequest("There is no message with content.", param="messages")
        _trim_prefill(said[-1])
        return Turns(system=system, messages=said)


def cache_point(mark: object, marks: tuple[str, ...]) -> Group:
    """Anthropic's mark as Converse writes it: a block behind what is to be kept."""
    if not isinstance(mark, dict) or not marks:
        return []
    point = {"type": "default"}
    if mark.get("ttl") in marks:
        point["ttl"] = mark["ttl"]
    return [{"cachePoint": point}]


def tool_id(id: str) -> str:
    """An id that the API takes: of its characters, and not too long. The same for the same id."""
    clean = TOOL_ID.sub("_", id) or "_"
    if len(clean) <= TOOL_ID_MAX:
        return clean
    digest = hashlib.sha256(id.encode()).hexdigest()[:16]
    return f"{clean[: TOOL_ID_MAX - len(digest) - 1]}_{digest}"


def _input(arguments: str, path: str) -> msgspec.Raw:
    """The arguments as they came: only looked at, so that the prompt's cache still knows them."""
    if _blank(arguments):
        return NO_INPUT
    data = arguments.encode()
    try:
        _object.decode(data)
    except msgspec.DecodeError:
        raise BadRequest("The arguments of a tool call must be a JSON object.", param=path) from None
    return msgspec.Raw(data)


def _trim_prefill(last: dict[str, Any]) -> None:
    """An answer that is to be continued must not end in space."""
    content = last["content"]
    if last["role"] == "assistant" and "text" in content[-1]:
        content[-1] = {"text": content[-1]["text"].rstrip()}


def _blank(text: str) -> bool:
    return not text or text.isspace()
