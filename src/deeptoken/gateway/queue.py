"""The line before full channels, and the only one that gives their room away. The loop's time.

    take    room on the first channel that has some and that nobody waits for
    wait    stand in line for any of these channels, `seconds` at most
    close   the place is free: it goes to exactly one of those who wait for that channel
    unused  so it is, and the call does not count in the channel's minute: it never went out

Each channel has a line of its own, shared by the groups: who comes next is who began longest ago on a clock
that runs slower for a heavier group (start-time fair queueing: Goyal, Vin, Cheng, 1996). While a group waits
it gets its weight's part of the places, so none starves; in a group, first come, first served. A call that
does not fit yet (its tokens) is waited for, so that smaller ones do not pass it for ever; one that could not
be served in its time anyway lets others pass.

The place is taken for a call before it wakes, so nobody snatches it; a call that was cancelled at that very
moment gives it back. When the line is as long as it may be, the last call of the group with the most calls
for its weight makes way.
"""

import asyncio
import math
from collections.abc import Iterator, Sequence

from deeptoken.errors import Overloaded
from deeptoken.gateway.pace import Pace, Paced, Taken

RETRY_AFTER_MAX_S = 60.0


class Place:
    """Room on `channel` for one call, until it is closed. Use with ``closing``."""

    __slots__ = ("_queue", "_taken", "channel")

    def __init__(self, queue: "Queue", taken: Taken) -> None:
        self.channel = taken.channel
        self._queue = queue
        self._taken = taken

    def used(self, tokens: int) -> None:
        """The call came to so many tokens, not to what it might have."""
        self._queue.pace.used(self._taken, tokens)
        self._queue.serve(self.channel)

    def unused(self) -> None:
        """The call never went out: its place is free, as if it had not been taken."""
        self._queue.pace.unused(self._taken)
        self._queue.serve(self.channel)

    def close(self) -> None:
        """The second time it changes nothing."""
        self._queue.pace.leave(self._taken)
        self._queue.serve(self.channel)


class _Call:
    """One that waits."""

    __slots__ = ("by", "channels", "future", "group", "number", "tokens", "weight")

    def __init__(
        self,
        channels: Sequence[Paced],
        tokens: int,
        group: str,
        weight: int,
        future: asyncio.Future[Place],
        number: int,
        by: float,
    ) -> None:
        self.channels = {channel.name: channel for channel in channels}
        self.tokens = tokens
        self.group = group
        self.weight = max(1, weight)
        self.future = future
        self.number = number
        """Of arrival."""
        self.by = by
        """Then it gives up, on the loop's clock."""


class _Share:
    """A group in the line of a channel."""

    __slots__ = ("calls", "start")

    def __init__(self) -> None:
        self.calls: dict[_Call, None] = {}
        self.start = 0.0
        """When its next call begins, on the line's clock."""


class _Line:
    """Of one channel, while somebody waits for it. `clock` is where the last call that was served began."""

    __slots__ = ("clock", "shares", "timer", "waiting")

    def __init__(self) -> None:
        self.clock = 0.0
        self.shares: dict[str, _Share] = {}
        self.timer: asyncio.Handle | None = None
        self.waiting = 0

    def add(self, call: _Call) -> None:
        share = self.shares.setdefault(call.group, _Share())
        if not share.calls:
            share.start = max(share.start, self.clock)
        share.calls[call] = None
        self.waiting += 1

    def remove(self, call: _Call) -> None:
        del self.shares[call.group].calls[call]
        self.waiting -= 1

    def served(self, call: _Call) -> None:
        share = self.shares[call.group]
        self.clock = share.start
        share.start += 1 / call.weight

    def ordered(self) -> Iterator[_Call]:
        """All that wait, the next one first."""
        shares = [share for share in self.shares.values() if share.calls]
        for share in sorted(shares, key=_rank):
            yield from share.calls


def _rank(share: _Share) -> tuple[float, int, int]:
    """Who begins at the same time: the heavier first, then who came first."""
    first = next(iter(share.calls))
    return share.start, -first.weight, first.number


class Queue:
    """Of this process. `length_max` calls wait at most, each for `seconds` at most."""

    def __init__(self, pace: Pace, *, length_max: int, seconds: float) -> None:
        self.pace = pace
        self.length = 0
        """Calls that wait."""
        self._length_max = length_max
        self.seconds = seconds
        self._lines: dict[str, _Line] = {}
        self._groups: dict[str, dict[_Call, None]] = {}
        self._arrived = 0

    def full(self, channel: Paced, tokens: int, now: float) -> bool:
        """A call of so many tokens has to wait for it."""
        return channel.name in self._lines or self.pace.full(channel, tokens, now) is not None

    def take(self, channels: Sequence[Paced], tokens: int) -> Place | None:
        """A place on the first of `channels` that has room for so many tokens and no line; None: wait."""
        now = asyncio.get_running_loop().time()
        for channel in channels:
            if channel.name not in self._lines and self.pace.full(channel, tokens, now) is None:
                return Place(self, self.pace.take(channel, tokens, now))
        return None

    async def wait(
        self, channels: Sequence[Paced], tokens: int, *, group: str, weight: int, by: float = math.inf
    ) -> Place:
        """A place on any of `channels`, the sooner the greater the weight of the group. `by` then at the
        latest, on the loop's clock.

        Raises:
            Overloaded: there was none in time, or too many wait already.
        """
        loop = asyncio.get_running_loop()
        self._arrived += 1
        by = min(by, loop.time() + self.seconds)
        call = _Call(channels, tokens, group, weight, loop.create_future(), self._arrived, by)
        self._admit(call)
        expiry = loop.call_at(by, self._refuse, call)
        for channel in channels:
            self.serve(channel.name)
        try:
            return await call.future
        except BaseException:
            if call.future.done() and not call.future.cancelled() and call.future.exception() is None:
                call.future.result().unused()
            raise
        finally:
            expiry.cancel()
            self._remove(call)

    def serve(self, name: str) -> None:
        """Give away what room there is on that channel, and come back when there may be more."""
        while (line := self._lines.get(name)) is not None:
            loop = asyncio.get_running_loop()
            now = loop.time()
            call, wait_s = self._next(line, name, now)
            if call is None:
                if line.timer is not None:
                    line.timer.cancel()
                line.timer = None if wait_s == math.inf else loop.call_at(now + wait_s, self.serve, name)
                return
            place = Place(self, self.pace.take(call.channels[name], call.tokens, now))
            line.served(call)
            self._remove(call)
            call.future.set_result(place)

    def _next(self, line: _Line, name: str, now: float) -> tuple[_Call | None, float]:
        """Who is next; if nobody may go yet, the seconds until one may."""
        soonest = math.inf
        for call in line.ordered():
            if call.future.done():
                # Cancelled: it has not come to leave the line yet.
                continue
            channel = call.channels[name]
            wait_s = self.pace.full(channel, call.tokens, now)
            if wait_s is None:
                return call, 0.0
            soonest = min(soonest, wait_s)
            if now + wait_s < call.by:
                return None, soonest
            if (wait_s := self.pace.full(channel, 0, now)) is not None:
                return None, min(soonest, wait_s)
        return None, soonest

    def _admit(self, call: _Call) -> None:
        """Into the lines of its channels, if need be in the place of another.

        Raises:
            Overloaded: the line is full, and no group has more in it for its weight.
        """
        if self.length >= self._length_max:
            longest = max(self._groups.values(), key=_load, default={})
            own = len(self._groups.get(call.group, ())) + 1
            if not longest or _load(longest) <= own / call.weight:
                raise self._overloaded(call)
            self._refuse(next(reversed(longest)))
        self._groups.setdefault(call.group, {})[call] = None
        self.length += 1
        for name in call.channels:
            self._lines.setdefault(name, _Line()).add(call)

    def _remove(self, call: _Call) -> None:
        """Out of all lines. The second time it changes nothing."""
        calls = self._groups.get(call.group, {})
        if call not in calls:
            return
        del calls[call]
        if not calls:
            del self._groups[call.group]
        self.length -= 1
        for name in call.channels:
            line = self._lines[name]
            line.remove(call)
            if line.timer is not None:
                line.timer.cancel()
            if line.waiting:
                # The others may have waited for this one.
                line.timer = asyncio.get_running_loop().call_soon(self.serve, name)
            else:
                del self._lines[name]

    def _refuse(self, call: _Call) -> None:
        """Its time is over, or it makes way."""
        if not call.future.done():
            call.future.set_exception(self._overloaded(call))
        self._remove(call)

    def _overloaded(self, call: _Call) -> Overloaded:
        now = asyncio.get_running_loop().time()
        waits = [self.pace.full(channel, call.tokens, now) or 0.0 for channel in call.channels.values()]
        soonest = min(waits, default=0.0)
        return Overloaded(
            "Every channel that serves this model is full. Try again shortly.",
            retry_after_s=1.0 if soonest == math.inf else min(RETRY_AFTER_MAX_S, max(1.0, soonest)),
        )


def _load(calls: dict[_Call, None]) -> float:
    """How many wait in a group, for its weight."""
    return len(calls) / next(iter(calls)).weight
