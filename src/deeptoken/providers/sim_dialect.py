"""What a dialect says so that sim speaks it: sim plays in OpenAI's, and this puts it into another. Pure.

Waits, breaks and statuses stay as they were played, so a fault is the same one in every dialect.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from deeptoken.providers import sim
from deeptoken.providers.sim import Played, Step
from deeptoken.wire.chat import Chat, ChatRequest

Object = dict[str, Any]
END = b"data: [DONE]"


class Dialect(msgspec.Struct, frozen=True):
    """One dialect. A completion and its chunks are OpenAI's, decoded."""

    path: re.Pattern[str]
    """Where it is asked."""
    place: re.Pattern[str]
    """How the paths begin below which errors are told in it."""
    read: Callable[[bytes, re.Match[str]], Chat]
    """The request as sim understands it. Raises msgspec.DecodeError or BadRequest: it is none."""
    whole: Callable[[Chat, Object], Object]
    """The answer that says what a completion does."""
    events: Callable[[Chat], Callable[[Object], bytes]]
    """For one stream: what turns its chunks, one by one, into bytes."""
    error: Callable[[int, str], Object] | None = None
    """The body of an error. None: OpenAI's own."""
    id: str = ""
    """How the ids of its answers begin."""
    stream_type: str = sim.EVENTS["content-type"]


def translated(played: Played, chat: Chat, dialect: Dialect) -> Played:
    """What sim says in OpenAI's dialect, with the same waits, breaks and errors."""
    if played.status != 200:
        return played if dialect.error is None else _refused(played, dialect.error)
    if played.stalls or (played.breaks and not chat.stream):
        # Half an answer is none in any dialect.
        return played
    if chat.stream:
        steps = _streamed(played.steps, dialect.events(chat))
        return msgspec.structs.replace(played, headers={"content-type": dialect.stream_type}, steps=steps)
    [step] = played.steps
    return _with_body(played, step.wait_s, dialect.whole(chat, msgspec.json.decode(step.data)))


def heard(request: Object, size: int) -> Chat:
    """A chat that was put together from another dialect's request; what is None was not asked.

    Raises:
        msgspec.ValidationError: a field is not what a chat may have there.
    """
    asked = {name: value for name, value in request.items() if value is not None}
    return Chat(request=msgspec.convert(asked, ChatRequest), fields={}, extra={}, size=size)


def text_of(parts: object) -> str:
    """The text of content that is text, or a list of parts which have some."""
    if isinstance(parts, list):
        texts = [part.get("text") for part in parts if isinstance(part, dict)]
        return " ".join(text for text in texts if isinstance(text, str))
    return parts if isinstance(parts, str) else ""


def arguments_of(call: Object, finish: str) -> Object | None:
    """The arguments of a whole call. None where the limit cut them off: that is no JSON."""
    if finish == "length":
        return None
    arguments: Object = msgspec.json.decode(call["function"]["arguments"])
    return arguments


def _refused(played: Played, error: Callable[[int, str], Object]) -> Played:
    [step] = played.steps
    said = msgspec.json.decode(step.data)["error"]["message"]
    return _with_body(played, step.wait_s, error(played.status, said))


def _with_body(played: Played, wait_s: float, body: Object) -> Played:
    return msgspec.structs.replace(played, steps=(Step(wait_s, msgspec.json.encode(body)),))


def _streamed(steps: Iterable[Step], told: Callable[[Object], bytes]) -> Iterator[Step]:
    for step in steps:
        lines = (line for line in step.data.split(b"\n\n") if line and line != END)
        chunks = (msgspec.json.decode(line.removeprefix(b"data: ")) for line in lines)
        yield Step(step.wait_s, b"".join(map(told, chunks)))
