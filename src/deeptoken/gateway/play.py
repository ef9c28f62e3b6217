"""A channel without a network: plays the steps of `sim` as if they came over a connection."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

from deeptoken import clock
from deeptoken.catalog.model import Candidate
from deeptoken.gateway.uploads import drained
from deeptoken.gateway.upstream import Wanted
from deeptoken.net import Lost, Stalled
from deeptoken.providers.sim import Played, Step, play


async def playing(at: Candidate, wanted: Wanted) -> "Playing":
    """What `sim` answers. What stalls or breaks before its head does so here.

    Raises:
        Lost, Stalled: as a network would.
    """
    if wanted.upload is not None:
        await drained(wanted.upload.named(at.upstream_model))
    options = at.channel.options.get("sim") or {}
    played = play(
        wanted.chat,
        at.upstream_model,
        stream=wanted.stream,
        limit=wanted.limit,
        options=options,
        id=wanted.asked.id,
        created=wanted.asked.created,
    )
    if played.stalls:
        await _until(min(clock.monotonic() + at.channel.timeout.first_byte, wanted.deadline))
        raise Stalled("sim never answers")
    if played.breaks and not played.steps:
        raise Lost("sim closed the connection", head=False)
    return Playing(played)


class Playing:
    """A response as `net.py` would give it."""

    def __init__(self, played: Played) -> None:
        self.status = played.status
        self.headers: Mapping[str, str] = played.headers
        self._steps: Iterator[Step] = iter(played.steps)
        self._next: Step | None = None
        self._due = clock.monotonic()
        self._breaks = played.breaks

    async def read(self, wait_s: float) -> bytes:
        """The bytes of all steps that are due; at least one, waiting for it."""
        by = clock.monotonic() + wait_s
        due_now: list[bytes] = []
        while (step := self._ahead()) is not None:
            due = self._due + step.wait_s
            now = clock.monotonic()
            if due > now:
                if due_now:
                    break
                await _until(min(due, by))
                if due > by:
                    raise Stalled("sim is slow")
            self._due = due
            self._next = None
            due_now.append(step.data)
        if not due_now and self._breaks:
            raise Lost("sim broke off", head=True)
        return b"".join(due_now)

    async def whole(self, wait_s: float) -> bytes:
        by = clock.monotonic() + wait_s
        parts = []
        while data := await self.read(by - clock.monotonic()):
            parts.append(data)
        return b"".join(parts)

    async def relay(self, take: Callable[[bytes], float | None], due: float) -> bool:
        """As a connection does; see `net.Response`."""
        while data := await self.read(due - clock.monotonic()):
            told = take(data)
            if told is None:
                return True
            due = told
        return False

    def close(self) -> None:
        """Nothing was opened."""

    def finish(self, wait_s: float) -> None:
        """Nor is anything kept."""

    def _ahead(self) -> Step | None:
        if self._next is None:
            self._next = next(self._steps, None)
        return self._next


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - clock.monotonic()))
