"""Sim's words in the dialect of OpenAI's Responses, as the gateway writes it for its own callers. Pure.

Source: developers.openai.com/api/reference/resources/responses and .../responses/streaming-events, read
2026-11-25. Errors are those of OpenAI's chat.
"""

import re

import msgspec

from deeptoken.providers.sim_dialect import Dialect, Object
from deeptoken.wire import responses
from deeptoken.wire.chat import Chat
from deeptoken.wire.responses_answer import End, Facts, facts, response
from deeptoken.wire.responses_events import Events
from deeptoken.wire.usage import Usage


def read(body: bytes, path: re.Match[str]) -> Chat:
    """Raises:
    BadRequest: it is no request, or one that needs what is stored.
    """
    return responses.read(body)


def whole(chat: Chat, completion: Object) -> Object:
    return response(completion, _facts(chat, completion), _end(completion))


class Told:
    """Of one stream: its events as the chunks come, the last one with the usage."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._events: Events | None = None

    def __call__(self, chunk: Object) -> bytes:
        if self._events is None:
            self._events = Events(_facts(self._chat, chunk))
        if not chunk["choices"]:
            return self._events.end(_end(chunk))
        return self._events.chunk(msgspec.json.encode(chunk))


def _facts(chat: Chat, said: Object) -> Facts:
    return facts(chat, id=said["id"], created=said["created"], model=said["model"])


def _end(said: Object) -> End:
    usage = said["usage"]
    counted = Usage(prompt=usage["prompt_tokens"], completion=usage["completion_tokens"])
    return End(usage=counted, completed_at=said["created"])


DIALECT = Dialect(
    path=re.compile("/v1/responses"),
    place=re.compile("/v1/responses"),
    read=read,
    whole=whole,
    events=Told,
    id="resp_",
)
