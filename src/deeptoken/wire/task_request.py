"""The request of a task: what the readers of all tasks share.

A body is decoded once and checked; its fields go on as they came, each once, ours and `model` taken out. A
field that is null is as one that is absent.
"""

from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec

from deeptoken.wire import chat
from deeptoken.wire.chat import MODEL_ID_MAX, OURS, Chat, ChatRequest, UsageOptions
from deeptoken.wire.task import Task

SPECIAL_TOKENS = 4
"""What a model puts around each text at most."""

ModelId = Annotated[str, msgspec.Meta(min_length=1, max_length=MODEL_ID_MAX)]


class TaskRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway understands of every task; the rest passes by."""

    model: ModelId
    user: str | None = None
    usage: UsageOptions | None = None


Request = TypeVar("Request", bound=TaskRequest)


def read(body: bytes, kind: type[Request], task: Callable[[Request], Task]) -> Chat:
    """The chat around the task that `body` asks for.

    Raises:
        BadRequest: not JSON, or no such request; `param` names the field.
    """
    whole, fields = chat.decode(body)
    try:
        request = msgspec.convert(whole, kind)
    except msgspec.ValidationError as error:
        raise chat.invalid(str(error), chat.dotted) from None
    for name, value in whole.items():
        if not chat.once(fields[name], value):
            # A key stands twice inside. All who read it must see the same one.
            fields[name] = msgspec.Raw(msgspec.json.encode(value))
    told = {name: raw for name, raw in fields.items() if whole[name] is not None}
    made = task(request)
    return Chat(
        request=ChatRequest(
            model=request.model,
            messages=[],
            stream=made.stream or None,
            user=request.user,
            usage=request.usage,
        ),
        fields={name: raw for name, raw in told.items() if name not in OURS and name != "model"},
        extra={},
        size=len(body),
        ours={name: told[name] for name in OURS if name in told},
        task=made,
    )


def tokens_bound(text: str) -> int:
    """The most tokens of a text: one for each of its bytes, and what stands around it."""
    return SPECIAL_TOKENS + (len(text) if text.isascii() else len(text.encode()))
