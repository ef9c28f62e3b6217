"""Audio that is heard: transcriptions and translations. The form is read as it comes (`form.py`).

Source: developers.openai.com/api/docs/api-reference/audio and the types of its SDK (openai 3.54), read
2026-11-25. Older models bill the seconds of the audio, newer ones its tokens, about ten a second, and those
of the text. How long it is nobody knows before: it is held for as long as it may be (`sound.py`), and what
the provider tells counts.
"""

import msgspec
from msgspec import Raw

from deeptoken.errors import BadRequest
from deeptoken.wire import sound
from deeptoken.wire.chat import OURS, Chat, ChatRequest
from deeptoken.wire.form import FILE, MODEL, Form
from deeptoken.wire.task import Incoming, Task
from deeptoken.wire.task_request import ModelId, TaskRequest
from deeptoken.wire.usage import Usage

TRANSCRIPTIONS, TRANSLATIONS = "audio/transcriptions", "audio/translations"
HEARD_A_SECOND, HEARD_A_SECOND_MAX = 10, 16
"""Tokens of audio."""
WRITTEN_A_SECOND, WRITTEN_A_SECOND_MAX = 4, 10
"""Tokens of text: the fastest speech has six words a second."""
WRITTEN_MIN = 64
TRUE = ("true", "1")
PROMPT_MAX = 1_024
"""Tokens of a prompt; a model hears no more than 224 of it, and keywords."""


class TranscriptionRequest(TaskRequest, frozen=True, kw_only=True):
    """What of a form stands before its file, where that goes on as it comes."""

    response_format: str = "json"
    stream: bool | None = None


class _Model(msgspec.Struct):
    model: ModelId


def read(name: str, form: Form, size: int, upload: Incoming) -> Chat:
    """The chat around the task that `form` asks for, of which enough has come (`Form.known`).

    `size` is the most bytes that its body has; `upload` gives them to whoever is asked.

    Raises:
        BadRequest: it asks for no such task; `param` names the field.
    """
    model = form.values.get(MODEL)
    if model is None:
        raise BadRequest("model is required: a field of the form.", param=MODEL)
    try:
        msgspec.convert({MODEL: model}, _Model)
    except msgspec.ValidationError:
        raise BadRequest("model: expected 1 to 256 characters.", param=MODEL) from None
    if form.file is None:
        raise BadRequest("file is required: the audio, as a file of the form.", param=FILE)
    request = TranscriptionRequest(
        model=model,
        response_format=form.values.get("response_format") or "json",
        stream=form.values.get("stream", "").lower() in TRUE,
    )
    heard = sound.read(form.file_head)
    most_s, likely_s = heard.most_s(size), heard.likely_s(size)
    task = Task(
        name=name,
        request=request,
        bound=Usage(
            seconds=most_s,
            prompt=PROMPT_MAX,
            prompt_audio=HEARD_A_SECOND_MAX * most_s,
            completion=WRITTEN_MIN + WRITTEN_A_SECOND_MAX * most_s,
        ),
        units=Usage(seconds=likely_s, prompt_audio=tokens(likely_s)[0], completion=tokens(likely_s)[1]),
        stream=bool(request.stream),
        upload=upload,
    )
    return Chat(
        request=ChatRequest(model=model, messages=[], stream=task.stream or None),
        fields={},
        extra={},
        size=0,
        ours={name: _json(name, form.values[name]) for name in OURS if name in form.values},
        task=task,
    )


def tokens(seconds: int) -> tuple[int, int]:
    """About as many tokens of audio and of text as so many seconds have."""
    return HEARD_A_SECOND * seconds, WRITTEN_A_SECOND * seconds


def _json(name: str, value: str) -> Raw:
    """A field that is for the gateway: JSON, as it stands in the bodies of other calls."""
    try:
        msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        raise BadRequest(f"{name}: expected JSON.", param=name) from None
    return Raw(value.encode())
