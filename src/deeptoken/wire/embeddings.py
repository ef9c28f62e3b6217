"""Requests of OpenAI's embeddings: a text, tokens, or a list of either.

Source: developers.openai.com/api/docs/api-reference/embeddings and the types of its SDK (openai 3.54), read
2026-11-25.
"""

from typing import Annotated, Any, Literal

import msgspec

from deeptoken.wire import task_request
from deeptoken.wire.chat import Chat, wrong
from deeptoken.wire.task import Task
from deeptoken.wire.task_request import TaskRequest, tokens_bound
from deeptoken.wire.usage import Usage

NAME = "embeddings"
EXPECTED = "expected a text, a list of texts, a list of tokens, or a list of such lists"


class EmbeddingsRequest(TaskRequest, frozen=True, kw_only=True):
    input: str | list[Any]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None

    @property
    def base64(self) -> bool:
        """Vectors are asked for as text: the bytes of their floats, little end first."""
        return self.encoding_format == "base64"

    @property
    def inputs(self) -> list[str] | list[list[int]]:
        """Each of what is to be embedded, as text or as tokens."""
        if isinstance(self.input, str):
            return [self.input]
        return [self.input] if isinstance(self.input[0], int) else self.input


def read(body: bytes) -> Chat:
    """Raises:
    BadRequest: it is no such request; `param` names the field.
    """
    return task_request.read(body, EmbeddingsRequest, _task)


def _task(request: EmbeddingsRequest) -> Task:
    _check(request.input)
    texts = [one for one in request.inputs if isinstance(one, str)]
    tokens = sum(len(one) for one in request.inputs if not isinstance(one, str))
    return Task(
        name=NAME,
        request=request,
        bound=Usage(prompt=tokens + sum(map(tokens_bound, texts))),
        units=Usage(prompt=tokens),
        texts=tuple((text, 1) for text in texts),
    )


def _check(told: str | list[Any]) -> None:
    if not told:
        raise wrong("input", "expected something to embed, and it is empty")
    if isinstance(told, str):
        return
    first = told[0]
    for at, one in enumerate(told):
        if isinstance(first, str) and isinstance(one, str):
            continue
        if _is_token(first) and _is_token(one):
            continue
        if isinstance(first, list) and isinstance(one, list) and one and all(map(_is_token, one)):
            continue
        raise wrong(f"input[{at}]", EXPECTED)


def _is_token(value: Any) -> bool:
    return type(value) is int and value >= 0
