"""A task: a call that is no chat. Embeddings, moderations, images, speech, a ranking.

To the path of a call it is a chat without messages (`Chat.task`): routes, limits, money, repeats, the log and
the row are the same. What it can cost is known of its request alone.

    bound   the most of each unit; a task without any cannot be made, so nothing is served that is not metered
    units   what the request itself tells: images, characters, searches, and a guess of what is generated. It
            counts where the provider tells nothing
    texts   whose tokens the prompt is, each so many times
    upload  its body, where that is not read whole
"""

from typing import Protocol

import msgspec

from deeptoken.wire.http import Upload
from deeptoken.wire.usage import NOTHING, Usage


class Incoming(Protocol):
    """A body that goes on as it comes. Only the first who takes of it can have it."""

    @property
    def taken(self) -> bool:
        """Some of it went on: nobody else can be asked."""

    @property
    def given_at(self) -> float | None:
        """When the last of it went on, on the monotonic clock."""

    @property
    def awaited(self) -> bool:
        """Its sender is waited for, who is slower than whoever takes it."""

    @property
    def content_type(self) -> str: ...

    @property
    def likely_s(self) -> int:
        """How many seconds of audio have come, as far as one can tell."""

    def named(self, model: str) -> Upload:
        """The body for an upstream that calls the model so."""


class Task(msgspec.Struct, frozen=True):
    """`name` is also the path of the endpoint: ``images/generations``. `request` is the checked body, of a
    type for each task."""

    name: str
    request: msgspec.Struct
    bound: Usage
    units: Usage = NOTHING
    texts: tuple[tuple[str, int], ...] = ()
    stream: bool = False
    """Its answer goes on as it comes: audio, or events."""
    bytes_a_token: int = 0
    """About so many bytes of its stream are a token that was generated; 0: nobody can say."""
    upload: Incoming | None = None

    def __post_init__(self) -> None:
        if self.bound == NOTHING:
            raise ValueError(f"{self.name} has no meter: its request tells of nothing that can be billed")
