"""Audio that is heard, ``/v1/audio/transcriptions`` and ``/translations``: forms that go on as they come.

A form is read until it is known where it goes: the fields before the file, and the file's beginning; where
the model stands behind the file, to its end. Then it waits, unread, until somebody takes it. Nothing of it is
kept once it went on, and nothing is read faster than it goes on.
"""

from functools import partial

from deeptoken import clock
from deeptoken.api.body import Body
from deeptoken.api.exchange import Exchange
from deeptoken.wire import sound, transcriptions
from deeptoken.wire.chat import Chat
from deeptoken.wire.form import Form
from deeptoken.wire.http import Upload
from deeptoken.wire.multipart import boundary, content_type
from deeptoken.wire.transcriptions import TRANSCRIPTIONS, TRANSLATIONS

AUDIO = {f"/v1/{name}": name for name in (TRANSCRIPTIONS, TRANSLATIONS)}
"""The endpoints, and the name of the task of each."""


async def receive(exchange: Exchange, name: str, most: int) -> tuple[Chat, bytes]:
    """The task `name` that a form asks for, of at most so many bytes; and what stands for the form where a
    repeat is compared.

    Raises:
        UnsupportedMedia, BadRequest, RequestTooLarge: it asks for no such task, or cannot go on.
        RequestTimeout: it did not come in time.
    """
    recording = Recording(exchange.body, boundary(exchange.header(b"content-type")), most)
    return await exchange.in_time(partial(recording.chat, name))


class Recording:
    """One form, on its way; see `wire.task.Incoming`."""

    def __init__(self, body: Body, divides: bytes, most: int) -> None:
        self.taken = False
        self.given_at: float | None = None
        self.awaited = False
        self.content_type = content_type(divides)
        self._body = body
        self._most = most
        self._form = Form(divides)
        self._whole = False

    @property
    def likely_s(self) -> int:
        return sound.read(self._form.file_head).likely_s(self._form.file_bytes)

    def named(self, model: str) -> Upload:
        return _Named(self, model)

    async def chat(self, name: str) -> tuple[Chat, bytes]:
        """See `receive`."""
        while not self._form.known and not self._whole:
            await self._read()
        told = self._body.told
        chat = transcriptions.read(name, self._form, self._most if told is None else told, self)
        return chat, b"%b %d" % (self._form.digest, told or 0)

    async def piece(self, model: str) -> bytes:
        """The next bytes that go on; empty at the end."""
        self.taken = True
        while not (piece := self._form.take(model)) and not self._whole:
            await self._read()
        if not piece:
            self.given_at = clock.monotonic()
        return piece

    def size(self, model: str) -> int | None:
        told = self._body.told
        return None if told is None else self._form.size(told, model)

    async def _read(self) -> None:
        self.awaited = True
        data = await self._body.part()
        self.awaited = False
        self._form.feed(data)
        if self._body.complete:
            # Before the last bytes go on: a form that is cut short must not look like a whole one.
            self._form.end()
            self._whole = True


class _Named:
    """A recording for one upstream."""

    def __init__(self, recording: Recording, model: str) -> None:
        self.size = recording.size(model)
        self._recording = recording
        self._model = model

    async def read(self) -> bytes:
        return await self._recording.piece(self._model)
