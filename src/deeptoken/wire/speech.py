"""Requests of OpenAI's speech: a text that is to be spoken.

Source: developers.openai.com/api/docs/api-reference/audio and the types of its SDK (openai 3.54), read
2026-11-25. Older models bill the characters of the text, newer ones the tokens of what they speak, about 21 a
second; a second is about 14 bytes of text, of the slowest speech a quarter of that.
"""

from typing import Annotated, Any, Literal

import msgspec

from deeptoken.wire import task_request
from deeptoken.wire.chat import Chat, wrong
from deeptoken.wire.task import Task
from deeptoken.wire.task_request import TaskRequest, tokens_bound
from deeptoken.wire.usage import Usage

NAME = "audio/speech"
SPOKEN_A_BYTE = 1.5
"""Tokens of audio for a byte of text."""
SPOKEN_A_BYTE_MAX = 6
SPOKEN_MIN = 256
"""A word may be spoken slowly, with silence around it."""
TOKENS_A_SECOND = 21
BYTES_A_SECOND = {"wav": 48_000, "pcm": 48_000, "flac": 24_000}
"""At 24 kHz and 16 bits."""
COMPRESSED = 8_000
CONTENT_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


class SpeechRequest(TaskRequest, frozen=True, kw_only=True):
    input: Annotated[str, msgspec.Meta(min_length=1)]
    voice: str | dict[str, Any]
    instructions: str | None = None
    response_format: str | None = None
    speed: Annotated[float, msgspec.Meta(ge=0.25, le=4)] | None = None
    stream_format: Literal["sse", "audio"] | None = None

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES.get(self.response_format or "mp3", "application/octet-stream")


def read(body: bytes) -> Chat:
    """Raises:
    BadRequest: it is no such request; `param` names the field.
    """
    return task_request.read(body, SpeechRequest, _task)


def _task(request: SpeechRequest) -> Task:
    if isinstance(request.voice, dict) and not isinstance(request.voice.get("id"), str):
        raise wrong("voice.id", "expected a string")
    size = len(request.input.encode())
    slowness = 1 / min(1.0, request.speed or 1.0)
    instructions = request.instructions or ""
    return Task(
        name=NAME,
        request=request,
        bound=Usage(
            prompt=tokens_bound(request.input) + tokens_bound(instructions),
            characters=len(request.input),
            completion_audio=SPOKEN_MIN + int(SPOKEN_A_BYTE_MAX * slowness * size),
        ),
        units=Usage(characters=len(request.input), completion_audio=1 + int(SPOKEN_A_BYTE * size)),
        texts=((request.input, 1), (instructions, 1)),
        stream=True,
        bytes_a_token=BYTES_A_SECOND.get(request.response_format or "", COMPRESSED) // TOKENS_A_SECOND,
    )
