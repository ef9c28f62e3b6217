"""Requests of OpenAI's moderations: texts, or texts and pictures that belong together.

Source: developers.openai.com/api/docs/api-reference/moderations and the types of its SDK (openai 3.54), read
2026-11-25.
"""

from collections.abc import Iterator
from typing import Any

from deeptoken.wire import task_request
from deeptoken.wire.chat import Chat, wrong
from deeptoken.wire.task import Task
from deeptoken.wire.task_request import TaskRequest, tokens_bound
from deeptoken.wire.usage import Usage

NAME = "moderations"
DEFAULT_MODEL = "omni-moderation-latest"
"""OpenAI's own, where a request names none."""
IMAGE_TOKENS = 3_000


class ModerationsRequest(TaskRequest, frozen=True, kw_only=True):
    input: str | list[Any]
    model: task_request.ModelId = DEFAULT_MODEL

    @property
    def texts(self) -> list[str]:
        if isinstance(self.input, str):
            return [self.input]
        return [one if isinstance(one, str) else one.get("text", "") for one in self.input]

    @property
    def count(self) -> int:
        """How many results are asked for: parts belong together, texts do not."""
        return len(self.input) if isinstance(self.input, list) and isinstance(self.input[0], str) else 1


def read(body: bytes) -> Chat:
    """Raises:
    BadRequest: it is no such request; `param` names the field.
    """
    return task_request.read(body, ModerationsRequest, _task)


def _task(request: ModerationsRequest) -> Task:
    if not request.input:
        raise wrong("input", "expected something to classify, and it is empty")
    images = 0 if isinstance(request.input, str) else sum(_images(request.input))
    tokens = images * IMAGE_TOKENS
    return Task(
        name=NAME,
        request=request,
        bound=Usage(prompt=tokens + sum(map(tokens_bound, request.texts))),
        units=Usage(prompt=tokens),
        texts=tuple((text, 1) for text in request.texts),
    )


def _images(told: list[Any]) -> Iterator[bool]:
    """Whether each part is a picture; all are texts, or all are parts."""
    texts = isinstance(told[0], str)
    for at, one in enumerate(told):
        match one:
            case str() if texts:
                yield False
            case {"type": "text", "text": str()} if not texts:
                yield False
            case {"type": "image_url", "image_url": {"url": str()}} if not texts:
                yield True
            case _:
                raise wrong(f"input[{at}]", "expected texts alone, or parts of type text and image_url alone")
