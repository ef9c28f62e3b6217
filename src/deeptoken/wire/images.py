"""Requests of OpenAI's image generation.

Source: developers.openai.com/api/docs/api-reference/images, .../guides/image-generation and the types of its
SDK (openai 3.54), read 2026-11-25. OpenAI's models bill a picture by its tokens: about one for each 252
pixels in high quality (1024x1024 are 4,160), a quarter of them in medium, and 100 more for each partial
picture.
"""

import re
from typing import Annotated

import msgspec

from deeptoken.wire import task_request
from deeptoken.wire.chat import Chat
from deeptoken.wire.task import Task
from deeptoken.wire.task_request import TaskRequest, tokens_bound
from deeptoken.wire.usage import Usage

NAME = "images/generations"
SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")
LARGEST = (3_840, 2_160)
USUAL = (1_536, 1_024)
"""The size that is reckoned with where none is told."""
PIXELS_A_TOKEN = 250
DEAR = 2
"""By so much a picture may have more tokens than one in high quality has."""
SHARES = {"low": 16, "medium": 4}
"""A quality's part of the tokens of a picture in high quality."""
PARTIAL_TOKENS = 100


class ImagesRequest(TaskRequest, frozen=True, kw_only=True):
    prompt: Annotated[str, msgspec.Meta(min_length=1)]
    n: Annotated[int, msgspec.Meta(ge=1, le=10)] | None = None
    size: str | None = None
    quality: str | None = None
    response_format: str | None = None
    stream: bool | None = None
    partial_images: Annotated[int, msgspec.Meta(ge=0, le=3)] | None = None

    @property
    def pixels(self) -> tuple[int, int] | None:
        """Width and height, where they are told."""
        found = SIZE.fullmatch(self.size or "")
        return None if found is None else (int(found[1]), int(found[2]))


def read(body: bytes) -> Chat:
    """Raises:
    BadRequest: it is no such request; `param` names the field.
    """
    return task_request.read(body, ImagesRequest, _task)


def _task(request: ImagesRequest) -> Task:
    count = request.n or 1
    width, height = request.pixels or USUAL
    tokens = min(width * height, LARGEST[0] * LARGEST[1]) // PIXELS_A_TOKEN + 1
    partial = (request.partial_images or 0) * PARTIAL_TOKENS
    usual = tokens // SHARES.get(request.quality or "", 1) + partial
    return Task(
        name=NAME,
        request=request,
        bound=Usage(
            prompt=tokens_bound(request.prompt),
            images=count,
            completion_image=count * (DEAR * usual if request.quality in SHARES else DEAR * tokens + partial),
        ),
        units=Usage(images=count, completion_image=count * usual),
        texts=((request.prompt, 1),),
        stream=bool(request.stream),
    )
