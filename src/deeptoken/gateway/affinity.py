"""Which channel served a conversation last, so that its provider's prompt cache is met again. Time is given.

A conversation is its owner, its model and how it began: `prompt_cache_key`, or else its first system and its
first user message. It is a hint: two conversations that begin alike share it, and a lost one costs a cache.
"""

from collections import OrderedDict
from typing import Any

from deeptoken.wire.chat import Chat, Parts

LASTS_S = 600.0
CONVERSATIONS_MAX = 10_000
END = 512
"""Characters of a text's beginning and end that are read: long ones differ at the end, and hashing a
megabyte would take a millisecond."""
PARTS_MAX = 8
SYSTEM = ("system", "developer")


class Affinity:
    """The memory of one process. What was served longest ago is forgotten first."""

    def __init__(self, *, conversations_max: int = CONVERSATIONS_MAX, lasts_s: float = LASTS_S) -> None:
        self._max = conversations_max
        self._lasts_s = lasts_s
        self._served: OrderedDict[int, tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._served)

    def served(self, conversation: int, now: float) -> str | None:
        """The channel that served it, if that is not too long ago."""
        known = self._served.get(conversation)
        return None if known is None or known[1] <= now else known[0]

    def remember(self, conversation: int, channel: str, now: float) -> None:
        """It was served by this channel, now."""
        served = self._served
        served[conversation] = channel, now + self._lasts_s
        served.move_to_end(conversation)
        # They stand in the order of their time: at most one is too many, and the oldest may have passed.
        if len(served) > self._max or next(iter(served.values()))[1] <= now:
            served.popitem(last=False)


def conversation(owner: str, model: str, chat: Chat) -> int:
    """The key of a conversation; the same at each of its turns, in this process."""
    label = chat.extra.get("prompt_cache_key")
    if type(label) is str and label:
        return hash((owner, model, label))
    system = user = None
    for message in chat.request.messages:
        if message.role == "user":
            user = message.content
            break
        if system is None and message.role in SYSTEM:
            system = message.content
    return hash((owner, model, _beginning(system), _beginning(user)))


def _beginning(content: str | Parts | None) -> Any:
    """What tells a message from others, without reading megabytes of it."""
    if isinstance(content, str):
        return content if len(content) <= 2 * END else (content[:END], content[-END:], len(content))
    if content is None:
        return None
    return len(content), *(_beginning(_told(part)) for part in content[:PARTS_MAX])


def _told(part: dict[str, Any]) -> str | None:
    match part:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return url
        case {"type": "input_audio", "input_audio": {"data": str(data)}}:
            return data
        case {"type": "file", "file": {"file_data": str(data)}} | {
            "type": "file",
            "file": {"file_id": str(data)},
        }:
            return data
    return None
