"""What becomes of each feature between each dialect and each provider: computed, by the adapters themselves.

    yes            it reaches the provider, or the caller
    no: 400 x      it is refused, and `x` is the parameter that is named
    dropped        the call goes on without it
    -              this side has no such thing

`make compatibility` writes the page; `test_compatibility.py` compares it.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import msgspec
import wires
from features import DIALECTS, GROUPS, HI, Feature, Fields
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk
from wires import CALLED, END, FILTERED, LENGTH, Call, Said

from claude_client import put_together
from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.errors import BadRequest
from deeptoken.money import PicoUsd
from deeptoken.providers.base import Asked, Reply
from deeptoken.providers.registry import PROVIDERS
from deeptoken.wire.completion import usage_object
from deeptoken.wire.messages_answer import message
from deeptoken.wire.messages_events import Events
from deeptoken.wire.usage import Usage

YES, DROPPED, NONE = "yes", "dropped", "-"
FREE = Price(id=1, model="m", rates=Rates(prompt=PicoUsd(0), completion=PicoUsd(0)))


class Column(NamedTuple):
    """A provider: a model of its, how it answers, and what it has no words for beside its wire's lacks."""

    provider: str
    model: str
    wire: wires.Wire
    lacks: frozenset[str] = frozenset()
    base_url: str = ""
    options: dict[str, Any] = {}

    @property
    def at(self) -> Candidate:
        channel = Channel(
            self.provider, self.provider, "", self.base_url, {}, secret="ya29.key", options=self.options
        )
        return Candidate(channel, Model("m", FREE), self.model)


SILENT = wires.OpenAI(reasoning="")
COLUMNS = (
    Column("openai", "gpt-5.1", SILENT, frozenset({"thought"})),
    Column("azure", "gpt-5.1", SILENT, frozenset({"thought"}), base_url="https://r.openai.azure.com"),
    Column("anthropic", "claude-sonnet-4-5", wires.Anthropic()),
    Column("gemini", "gemini-2.5-pro", wires.Gemini()),
    Column("vertex", "gemini-2.5-pro", wires.Gemini(), options={"project": "p"}),
    Column(
        "bedrock",
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
        wires.Bedrock(),
        base_url="https://bedrock-runtime.us-east-1.amazonaws.com",
    ),
    Column("cohere", "command-a-reasoning-08-2025", wires.Cohere()),
    Column("mistral", "magistral-medium-2509", wires.Mistral()),
    Column("groq", "openai/gpt-oss-120b", wires.OpenAI("reasoning")),
    Column("deepseek", "deepseek-reasoner", wires.OpenAI()),
)


# What is asked


def sent(dialect: str, column: Column, fields: Fields) -> str:
    """The body that the provider gets.

    Raises:
        BadRequest: it gets none.
    """
    how, provider = DIALECTS[dialect], PROVIDERS[column.provider]
    chat = how.read(json.dumps(how.body | fields).encode())
    native = chat.native
    if native is not None and native.only and getattr(provider, "dialect", None) != native.dialect:
        raise native.only
    request = provider.request(chat, column.at, stream=False, limit=None)
    return json.dumps(json.loads(request.body), ensure_ascii=False, sort_keys=True)


def asks(dialect: str, feature: Feature, column: Column) -> str:
    fields = feature.fields.get(dialect)
    if fields is None:
        return NONE
    try:
        body = sent(dialect, column, fields)
    except BadRequest as refused:
        return f"no: 400 `{refused.param}`"
    if feature.implied:
        return YES
    if feature.marks:
        return YES if any(mark in body for mark in feature.marks) else DROPPED
    return YES if body != sent(dialect, column, feature.beside.get(dialect, {})) else DROPPED


# What is told


class Heard(NamedTuple):
    """An answer as its caller has it, in the dialect's own shape; `id` is the provider's."""

    dialect: str
    answer: Any
    id: str | None

    @property
    def message(self) -> Any:
        return self.answer["choices"][0]["message"] if self.dialect == "chat" else self.answer

    @property
    def finish(self) -> str:
        told = self.answer["choices"][0]["finish_reason"] if self.dialect == "chat" else None
        return str(told or self.answer["stop_reason"])

    @property
    def usage(self) -> Any:
        return self.answer["usage"]

    @property
    def blocks(self) -> dict[str, list[Any]]:
        """Of a Message, by their types."""
        found: dict[str, list[Any]] = {}
        for block in self.answer["content"]:
            found.setdefault(block["type"], []).append(block)
        return found


def heard(dialect: str, column: Column, said: Said, *, stream: bool = False) -> Heard:
    provider = PROVIDERS[column.provider]
    asked = Asked("m", "chatcmpl-1", 1, dialect=None if dialect == "chat" else dialect)
    if not stream:
        reply = provider.reply(column.wire.whole(said), asked)
        return Heard(dialect, _whole(dialect, reply), reply.upstream_id)
    reader = provider.stream(asked)
    raw = column.wire.streamed(said)
    pieces = [*reader.feed(raw), *reader.end()]
    usage = next((piece.usage for piece in reversed(pieces) if piece.usage), Usage())
    if dialect == "chat":
        state = ChatCompletionStreamState()
        for piece in pieces:
            if piece.data:
                state.handle_chunk(ChatCompletionChunk.model_validate_json(piece.data))
        told = state.current_completion_snapshot.to_dict() | {"usage": usage_object(usage)}
        return Heard(dialect, told, reader.upstream_id)
    outlet = Events("m", "msg_1")
    events = b"".join(
        outlet.native(piece.native) if piece.native else outlet.chunk(piece.data) for piece in pieces
    )
    return Heard(dialect, put_together(events + outlet.end(usage)).to_dict(), reader.upstream_id)


def _whole(dialect: str, reply: Reply) -> Any:
    told: Any
    if dialect == "chat":
        told = {**reply.fields, "usage": usage_object(reply.usage or Usage())}
    else:
        told = reply.native or message(reply.fields, reply.usage or Usage())
    return json.loads(msgspec.json.encode(told))


Check = Callable[[Heard, Said], bool]


class Tell(NamedTuple):
    """What an answer tells, and how it is seen in each dialect. `needs`: words that a wire may lack."""

    name: str
    said: Said
    seen: dict[str, Check]
    needs: frozenset[str] = frozenset()
    stream: bool = False


CALLS = (Call("call_1", "look", {"place": "here"}), Call("call_2", "look", {"place": "there", "n": [1]}))
TEXT, THOUGHT, SIGNATURE = "TEXT MARK", "THOUGHT-MARK", "U0lHTkVE"
FINISHES = {
    "chat": {END: "stop", LENGTH: "length", CALLED: "tool_calls", FILTERED: "content_filter"},
    "messages": {END: "end_turn", LENGTH: "max_tokens", CALLED: "tool_use", FILTERED: "refusal"},
}


def texts(told: Heard, said: Said) -> bool:
    if told.dialect == "chat":
        text = told.message["content"]
    else:
        text = "".join(block["text"] for block in told.blocks["text"])
    return bool(text in (said.text, said.text.replace(" ", "")))


def calls(told: Heard, said: Said) -> bool:
    if told.dialect == "chat":
        found = [
            Call(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in told.message["tool_calls"]
        ]
    else:
        found = [Call(block["id"], block["name"], block["input"]) for block in told.blocks["tool_use"]]
    return tuple(found) == said.calls and told.finish == FINISHES[told.dialect][CALLED]


def each(check: Check) -> dict[str, Check]:
    return dict.fromkeys(("chat", "messages"), check)


def counts(chat: tuple[str, str], messages: tuple[str, ...], count: int) -> dict[str, Check]:
    """A count, by its path in the usage of each dialect."""

    def at(path: tuple[str, ...]) -> Check:
        return lambda told, _: _found(told.usage, path) == count

    return {"chat": at(chat), "messages": at(messages)}


def _found(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = (value or {}).get(key)
    return value


TELLS = (
    Tell("Text", Said(text=TEXT), each(texts)),
    Tell("Text, streamed", Said(text=TEXT), each(texts), stream=True),
    Tell("Tool calls, several at once", Said(calls=CALLS, finish=CALLED), each(calls)),
    Tell("The same, streamed", Said(calls=CALLS, finish=CALLED), each(calls), stream=True),
    Tell(
        "Reasoning",
        Said(text=TEXT, thought=THOUGHT),
        {
            "chat": lambda told, said: told.message.get("reasoning_content") == said.thought,
            "messages": lambda told, said: told.blocks["thinking"][0]["thinking"] == said.thought,
        },
        frozenset({"thought"}),
    ),
    Tell(
        "Refusal",
        Said(refusal="I must not."),
        {
            "chat": lambda told, said: (
                told.message["refusal"] == said.refusal or told.finish == "content_filter"
            ),
            "messages": lambda told, said: told.finish == "refusal",
        },
        frozenset({"refusal"}),
    ),
    Tell(
        "Log-probabilities",
        Said(text=TEXT, logprobs=True),
        {"chat": lambda told, _: told.answer["choices"][0]["logprobs"]["content"][0]["logprob"] == -0.5},
        frozenset({"logprobs"}),
    ),
    Tell(
        "Usage",
        Said(text=TEXT),
        {
            "chat": lambda told, _: (
                (told.usage["prompt_tokens"], told.usage["completion_tokens"])
                == (wires.PROMPT, wires.COMPLETION)
            ),
            "messages": lambda told, _: (
                (told.usage["input_tokens"], told.usage["output_tokens"]) == (wires.PROMPT, wires.COMPLETION)
            ),
        },
    ),
    Tell(
        "Tokens from the cache",
        Said(text=TEXT, cached=5),
        counts(("prompt_tokens_details", "cached_tokens"), ("cache_read_input_tokens",), 5),
        frozenset({"cached"}),
    ),
    Tell(
        "Tokens written to the cache",
        Said(text=TEXT, written=4),
        counts(("prompt_tokens_details", "cache_write_tokens"), ("cache_creation_input_tokens",), 4),
        frozenset({"written"}),
    ),
    Tell(
        "Tokens of reasoning",
        Said(text=TEXT, reasoned=3),
        counts(
            ("completion_tokens_details", "reasoning_tokens"),
            ("output_tokens_details", "thinking_tokens"),
            3,
        ),
        frozenset({"reasoned"}),
    ),
    Tell(
        "The provider's id of the answer",
        Said(text=TEXT),
        each(lambda told, _: told.id == "upstream-1"),
        frozenset({"id"}),
    ),
)


def tells(dialect: str, tell: Tell, column: Column) -> str:
    lacks = column.lacks | column.wire.lacks
    if dialect not in tell.seen or tell.needs & lacks:
        return NONE
    told = heard(dialect, column, tell.said, stream=tell.stream)
    return YES if tell.seen[dialect](told, tell.said) else DROPPED


def finishes(dialect: str, column: Column) -> str:
    """Whether each reason for an end is told in the dialect's word."""
    lacks = column.lacks | column.wire.lacks
    for finish, word in FINISHES[dialect].items():
        said = Said(text=TEXT, calls=CALLS if finish == CALLED else (), finish=finish)
        if finish not in lacks and heard(dialect, column, said).finish != word:
            return DROPPED
    return YES


def signatures(dialect: str, column: Column) -> str:
    """Whether what the provider signed goes back to it on the next turn."""
    if "signature" in column.lacks | column.wire.lacks:
        return NONE
    told = heard(dialect, column, Said(text=TEXT, thought=THOUGHT, signature=SIGNATURE))
    content = (
        {"role": "assistant", "content": told.answer["content"]} if dialect == "messages" else told.message
    )
    body = sent(dialect, column, {"messages": [HI, content, HI]})
    return YES if SIGNATURE in body else DROPPED


# The page

INTRODUCTION = """# Compatibility

What becomes of each feature between the dialect in which a call comes and the provider that serves it. The
tables are computed by the adapters and compared by the tests; `make compatibility` writes this page.

| | |
| --- | --- |
| yes | it reaches the provider, or the caller |
| no: 400 | the call is refused, and the parameter is named; another channel of the model may take it |
| dropped | the call goes on without it; `provider: {"require_parameters": true}` asks for another channel |
| - | this side has no such thing |

Where both sides speak Anthropic's dialect, or both OpenAI's, bytes pass as they are, and the provider
decides. Each stands here with one model; other hosts of OpenAI's dialect are like the last two, each in
[its own ways](providers.md).
"""


def rows(dialect: str) -> Iterator[tuple[str, str, Callable[[Column], str]]]:
    """Each row: its group, its name, and what computes its cells."""
    for group, listed in GROUPS.items():
        for feature in listed:
            if dialect in feature.fields:
                yield group, feature.name, partial(asks, dialect, feature)
    for tell in TELLS:
        if dialect in tell.seen:
            yield "Answer", tell.name, partial(tells, dialect, tell)
    yield "Answer", "Reasons for the end", partial(finishes, dialect)
    yield "Answer", "Signatures, there and back", partial(signatures, dialect)


def page() -> str:
    told = [INTRODUCTION, "| provider | model |", "| --- | --- |"]
    told += [f"| `{column.provider}` | {column.model} |" for column in COLUMNS]
    for dialect, how in DIALECTS.items():
        told += ["", f"## `{how.path}`"]
        before = ""
        for group, name, cell in rows(dialect):
            if group != before:
                told += ["", line(group, (column.provider for column in COLUMNS))]
                told.append(line("---", ["---"] * len(COLUMNS)))
                before = group
            told.append(line(name, (cell(column) for column in COLUMNS)))
    return "\n".join(told) + "\n"


def line(name: str, cells: Iterable[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    print(page(), end="")
