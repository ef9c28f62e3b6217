"""A provider without a network: steps of (seconds, bytes), in OpenAI's dialect.

    text, slow          words by a hash of model, messages and seed; slow takes its time
    echo                the last user message
    error-503           that status and an error body; error-429-30 with ``Retry-After: 30``
    empty, stall, cut   closes without an answer, never answers, breaks off after five words

What is no chat is in `sim_tasks.py`. A word is a token. The gateway plays the steps instead of sending a
request, and reads the bytes as OpenAI's. Source: spec "Names and numbers";
platform.openai.com/docs/api-reference/chat, read 2026-11-23.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice, repeat, zip_longest
from typing import Any

import msgspec

from deeptoken.money import PicoUsd
from deeptoken.providers import sim_tasks
from deeptoken.providers.smallest import smallest, smallest_object
from deeptoken.wire.chat import Chat, ChatRequest, Message
from deeptoken.wire.task import Task

MODELS = ("sim/text", "sim/echo", "sim/slow")
"""What a channel serves that names no models."""
PROMPT_PRICE = PicoUsd(1_000_000)
COMPLETION_PRICE = PicoUsd(2_000_000)

JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}
TALKING = ("text", "echo", "slow", "cut")
ERROR = re.compile(r"error-([345]\d\d)(?:-(\d{1,6}))?")
WORD = re.compile(r"\s*\S+")
WORDS_MIN = 20
WORDS_MORE = 41
CUT_WORDS = 5
SLOW_DELAY_S = 0.5
SLOW_PACE = 20.0
SPOKEN = """
after all always and answer any are away because before begin between both bring come could day each
early enough even every few find first follow for from give good great group half hand have here high
hold house idea into just keep kind know last later learn leave let letter light line list little live
long look made make many may mean might more morning most move much must name near need never new next
night no not now number of off often old once one only open or order other our out over own page part
people place plain play point put question quite read reason right river round run same say second see
sentence set she short should show side since small so some soon sound spell stand start state still
stop story such take talk tell ten than that the their then there these they thing think this those
three time to together too tree turn two under until up us use very voice walk want was water way we
well what when where which while white who whole why will wind with without wonder word work world would
write year yes yet you young
"""
VOCABULARY = tuple(SPOKEN.split())


class Step(msgspec.Struct, frozen=True):
    """Bytes that come after a wait."""

    wait_s: float
    data: bytes


class Played(msgspec.Struct, frozen=True):
    """An answer as it would come over a network. Where it breaks or stalls without a step, no head came."""

    status: int
    headers: Mapping[str, str]
    steps: Iterable[Step]
    breaks: bool = False
    """After the steps the connection breaks."""
    stalls: bool = False
    """Nothing ever comes."""


class Choice(msgspec.Struct, frozen=True):
    """What one choice says: text in pieces of a word, or a tool's arguments in such pieces."""

    pieces: list[str]
    finish: str
    tool: str | None = None
    call_id: str = ""


class Pace(msgspec.Struct, frozen=True):
    """Seconds before the first word and between two words."""

    delay_s: float
    gap_s: float


class Answer(msgspec.Struct, frozen=True):
    """All that is said, and what stands around it."""

    id: str
    created: int
    model: str
    choices: list[Choice]
    usage: dict[str, int]

    def head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def play(
    chat: Chat,
    upstream_model: str,
    *,
    stream: bool,
    limit: int | None,
    options: Mapping[str, Any],
    id: str,
    created: int,
) -> Played:
    """What `upstream_model` answers. `limit` is the most tokens, else the caller's own counts.

    `options` are a channel's ``sim = { delay = 0.5, pace = 20 }``: seconds, and words a second.
    """
    name = upstream_model.removeprefix("sim/")
    if name == "stall":
        return Played(status=200, headers={}, steps=(), stalls=True)
    if name == "empty":
        return Played(status=200, headers={}, steps=(), breaks=True)
    pace = _pace(name, options)
    if error := ERROR.fullmatch(name):
        return _error(int(error[1]), f"sim was asked to answer {error[1]}.", pace, retry_after=error[2])
    if name not in TALKING:
        return _error(404, f"sim knows no model {upstream_model!r}.", pace)
    if chat.task is not None:
        return _task(chat.task, upstream_model, pace, cut=name == "cut", id=id, created=created)
    most = limit or chat.request.limit
    choices = [_choice(chat.request, name, most, index) for index in range(chat.request.n or 1)]
    answer = Answer(
        id=id, created=created, model=upstream_model, choices=choices, usage=_usage(chat.request, choices)
    )
    if stream:
        steps = _streamed(answer, pace, cut=name == "cut")
        return Played(status=200, headers=EVENTS, steps=steps, breaks=name == "cut")
    whole = _whole(answer)
    if name == "cut":
        whole = whole[: len(whole) // 2]
    words = max(len(choice.pieces) for choice in choices)
    step = Step(pace.delay_s + pace.gap_s * max(0, words - 1), whole)
    return Played(status=200, headers=JSON, steps=(step,), breaks=name == "cut")


def _task(task: Task, model: str, pace: Pace, *, cut: bool, id: str, created: int) -> Played:
    """What is no chat; what is streamed comes piece by piece."""
    if why := sim_tasks.refusal(task):
        return _error(400, why, pace)
    if not task.stream:
        content_type, told = sim_tasks.whole(task, model, id, created)
        return Played(
            status=200,
            headers={"content-type": content_type},
            steps=(Step(pace.delay_s, told[: len(told) // 2] if cut else told),),
            breaks=cut,
        )
    content_type, pieces = sim_tasks.streamed(task, created)
    waits = chain((pace.delay_s,), repeat(pace.gap_s))
    steps = (Step(wait_s, piece) for wait_s, piece in zip(waits, pieces, strict=False))
    return Played(
        status=200,
        headers={"content-type": content_type},
        steps=islice(steps, CUT_WORDS) if cut else steps,
        breaks=cut,
    )


def prompt_tokens(request: ChatRequest) -> int:
    """The words of all messages, at least one."""
    return max(1, sum(len(_text(message).split()) for message in request.messages))


def _pace(name: str, options: Mapping[str, Any]) -> Pace:
    slow = name == "slow"
    delay = options.get("delay", SLOW_DELAY_S if slow else 0)
    pace = options.get("pace", SLOW_PACE if slow else 0)
    return Pace(delay_s=float(delay), gap_s=1 / float(pace) if pace else 0.0)


def _error(status: int, message: str, pace: Pace, *, retry_after: str | None = None) -> Played:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    code = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}.get(status)
    if status == 429:
        kind = "rate_limit_error"
    error = {"message": message, "type": kind, "param": None, "code": code}
    headers = JSON if retry_after is None else JSON | {"retry-after": retry_after}
    step = Step(pace.delay_s, msgspec.json.encode({"error": error}))
    return Played(status=status, headers=headers, steps=(step,))


def _choice(request: ChatRequest, name: str, limit: int | None, index: int) -> Choice:
    seed = _hash(request, name, index)
    if (tool := _called(request)) is not None:
        arguments = msgspec.json.encode(smallest_object(tool[1])).decode()
        pieces = WORD.findall(arguments)
        finish = "length" if limit is not None and limit < len(pieces) else "tool_calls"
        call_id = f"call_{hashlib.sha256(seed).hexdigest()[:24]}"
        return Choice(pieces=pieces[:limit], finish=finish, tool=tool[0], call_id=call_id)
    text = _structured(request) or (_last_words(request) if name == "echo" else _prose(seed))
    pieces = _pieces(text)
    finish = "length" if limit is not None and limit < len(pieces) else "stop"
    pieces = pieces[:limit]
    said = "".join(pieces)
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    found = [at for stop in stops if stop and (at := said.find(stop)) >= 0]
    if found:
        return Choice(pieces=_pieces(said[: min(found)]), finish="stop")
    return Choice(pieces=pieces, finish=finish)


def _pieces(text: str) -> list[str]:
    """The words, each with the space before it; what follows the last one belongs to it."""
    pieces = WORD.findall(text)
    if pieces:
        pieces[-1] += text[sum(map(len, pieces)) :]
    return pieces


def _hash(request: ChatRequest, name: str, index: int) -> bytes:
    said = [(said.role, said.content, said.tool_calls, said.tool_call_id) for said in request.messages]
    return msgspec.json.encode((name, said, request.seed, index))


def _prose(seed: bytes) -> str:
    bits = hashlib.shake_256(seed).digest(1 + WORDS_MIN + WORDS_MORE)
    count = WORDS_MIN + bits[0] % WORDS_MORE
    words = [VOCABULARY[bit % len(VOCABULARY)] for bit in bits[1 : count + 1]]
    return " ".join(words).capitalize() + "."


def _last_words(request: ChatRequest) -> str:
    last = next((message for message in reversed(request.messages) if message.role == "user"), None)
    return "" if last is None else _text(last)


def _text(message: Message) -> str:
    if isinstance(message.content, list):
        texts = [part["text"] for part in message.content if isinstance(part.get("text"), str)]
        return " ".join(texts)
    return message.content or ""


def _structured(request: ChatRequest) -> str | None:
    match request.response_format:
        case {"type": "json_object"}:
            return "{}"
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return msgspec.json.encode(smallest(schema)).decode()
    return None


def _called(request: ChatRequest) -> tuple[str, dict[str, Any] | None] | None:
    """The tool that this answer calls, and its schema."""
    tools = {tool.function.name: tool.function.parameters for tool in request.tools or () if tool.function}
    match request.tool_choice:
        case "none":
            return None
        case {"type": "function", "function": {"name": str(name)}}:
            return name, tools.get(name)
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(allowed)}}:
            names = {entry["function"]["name"] for entry in allowed if _names_a_function(entry)}
            tools = {name: schema for name, schema in tools.items() if name in names}
        case choice:
            mode = choice
    last = request.messages[-1]
    # Once the tool has answered, calling it again would never end.
    if last.role == "user":
        text = _text(last)
        for name, schema in tools.items():
            if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text):
                return name, schema
    return next(iter(tools.items()), None) if mode == "required" else None


def _names_a_function(entry: object) -> bool:
    match entry:
        case {"type": "function", "function": {"name": str()}}:
            return True
    return False


def _usage(request: ChatRequest, choices: list[Choice]) -> dict[str, int]:
    prompt, completion = prompt_tokens(request), sum(len(choice.pieces) for choice in choices)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _whole(answer: Answer) -> bytes:
    choices = []
    for index, choice in enumerate(answer.choices):
        text = "".join(choice.pieces)
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if choice.tool is not None:
            function = {"name": choice.tool, "arguments": text}
            calls = [{"id": choice.call_id, "type": "function", "function": function}]
            message |= {"content": None, "tool_calls": calls}
        choices.append({"index": index, "message": message, "logprobs": None, "finish_reason": choice.finish})
    return msgspec.json.encode(
        answer.head("chat.completion")
        | {"choices": choices, "usage": answer.usage, "system_fingerprint": None}
    )


def _streamed(answer: Answer, pace: Pace, *, cut: bool) -> Iterator[Step]:
    """Role first, then a word a chunk, the choices in turn, the reasons to finish, the usage, the end."""
    head = msgspec.json.encode(answer.head("chat.completion.chunk"))[:-1]

    def chunk(index: int, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return b'data: %b,"choices":[%b]}\n\n' % (head, msgspec.json.encode(choice))

    opening = b"".join(chunk(index, _opening(choice)) for index, choice in enumerate(answer.choices))
    yield Step(0.0, opening)
    wait = pace.delay_s
    rows = zip_longest(*(choice.pieces for choice in answer.choices))
    for count, row in enumerate(rows):
        if cut and count == CUT_WORDS:
            break
        for index, piece in enumerate(row):
            if piece is not None:
                yield Step(wait, chunk(index, _delta(answer.choices[index], piece)))
                wait = 0.0
        wait = pace.gap_s
    if cut:
        return
    for index, choice in enumerate(answer.choices):
        yield Step(0.0, chunk(index, {}, choice.finish))
    usage = msgspec.json.encode(answer.usage)
    yield Step(0.0, b'data: %b,"choices":[],"usage":%b}\n\ndata: [DONE]\n\n' % (head, usage))


def _opening(choice: Choice) -> dict[str, Any]:
    if choice.tool is None:
        return {"role": "assistant", "content": ""}
    function = {"name": choice.tool, "arguments": ""}
    call = {"index": 0, "id": choice.call_id, "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _delta(choice: Choice, piece: str) -> dict[str, Any]:
    if choice.tool is None:
        return {"content": piece}
    return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
