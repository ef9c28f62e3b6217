"""Who is slow: a sender, or this process. Time is what the test says."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from connection_scene import Wire, connect
from deeptoken.api.connection import LATE_S, Connection
from deeptoken.api.exchange import Exchange
from deeptoken.settings import Server

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n"
SETTINGS = Server(header_seconds=10, body_idle_seconds=10)


class Timer:
    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at = at
        self.call = call
        self.cancelled = False

    def when(self) -> float:
        return self.at

    def cancel(self) -> None:
        self.cancelled = True


class Hands:
    """A loop's clock, moved by hand; all else is the loop's own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []
        self._loop = asyncio.get_running_loop()

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        timer = Timer(self.now + seconds, call)
        self.timers.append(timer)
        return timer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def fire(self, *, late: float) -> None:
        """The timer that is due next, so much behind its time."""
        timer = min((one for one in self.timers if not one.cancelled), key=Timer.when)
        self.timers.remove(timer)
        self.now = timer.at + late
        timer.call()


async def served(exchange: Exchange) -> None:
    exchange.answer(200, await exchange.body.whole(), [])


def scene() -> tuple[Connection, Hands, Wire]:
    hands, wire = Hands(), Wire()
    return connect(wire, served, SETTINGS, cast(asyncio.AbstractEventLoop, hands)), hands, wire


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("cut", [10, len(HEAD) + 1], ids=["head", "body"])
def test_a_slow_sender_is_told_so(cut: int) -> None:
    async def main() -> None:
        connection, hands, wire = scene()
        connection.data_received((HEAD + b"{}")[:cut])
        await turns()

        hands.fire(late=LATE_S / 2)

        assert wire.written.startswith(b"HTTP/1.1 408 ")
        connection.connection_lost(None)

    asyncio.run(main())


@pytest.mark.parametrize("cut", [10, len(HEAD) + 1], ids=["head", "body"])
def test_what_came_while_the_process_stood_still_is_read_before_anybody_is_blamed(cut: int) -> None:
    async def main() -> None:
        connection, hands, wire = scene()
        connection.data_received((HEAD + b"{}")[:cut])
        await turns()

        hands.fire(late=3.0)
        assert wire.written == b""
        connection.data_received((HEAD + b"{}")[cut:])
        await turns()

        assert wire.written.startswith(b"HTTP/1.1 200 ")
        connection.connection_lost(None)

    asyncio.run(main())


def test_a_process_that_is_late_each_time_waits_once_more_and_no_longer() -> None:
    async def main() -> None:
        connection, hands, wire = scene()
        connection.data_received(HEAD[:10])

        hands.fire(late=3.0)
        hands.fire(late=3.0)

        assert wire.written.startswith(b"HTTP/1.1 408 ")
        connection.connection_lost(None)

    asyncio.run(main())
