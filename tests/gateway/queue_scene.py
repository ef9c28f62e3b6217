"""A line before full channels, and who got which place in it."""

import asyncio
from collections.abc import Sequence

import msgspec

from deeptoken.errors import Overloaded
from deeptoken.gateway.pace import Pace
from deeptoken.gateway.queue import Place, Queue
from virtual_loop import now, settled


class Limited(msgspec.Struct, frozen=True):
    name: str = "c"
    max_concurrency: int | None = 1
    rpm: int | None = None
    tpm: int | None = None


ONE = Limited()


class Scene:
    """A queue, and who got which place in it, in order."""

    def __init__(self, *, length_max: int = 1_000, seconds: float = 5.0) -> None:
        self.pace = Pace()
        self.queue = Queue(self.pace, length_max=length_max, seconds=seconds)
        self.served: list[str] = []
        self.refused: list[tuple[str, float]] = []
        self.places: list[Place] = []

    def full(self, channel: Limited = ONE) -> Place:
        place = self.queue.take([channel], 1)
        assert place is not None
        return place

    async def call(
        self, name: str, channels: Sequence[Limited] = (ONE,), *, group: str, weight: int, tokens: int = 1
    ) -> None:
        try:
            place = await self.queue.wait(channels, tokens, group=group, weight=weight)
        except Overloaded:
            self.refused.append((name, now()))
            return
        self.served.append(name)
        self.places.append(place)

    def waits(
        self,
        name: str,
        channels: Sequence[Limited] = (ONE,),
        *,
        group: str = "free",
        weight: int = 1,
        tokens: int = 1,
    ) -> asyncio.Task[None]:
        return asyncio.create_task(self.call(name, channels, group=group, weight=weight, tokens=tokens))

    async def free(self, place: Place | None = None) -> None:
        """One place; the oldest that the line gave."""
        (place or self.places.pop(0)).close()
        await settled()
