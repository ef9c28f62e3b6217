"""A connection that nothing comes on but what a test feeds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

MOST = 100


class Wire:
    """A connection that nothing comes on but what a test feeds."""

    def __init__(self) -> None:
        self.left = False
        self.loop = asyncio.get_running_loop()
        self.wanted = 0
        self.said = b""
        self.transport: Any = self

    def write(self, data: bytes) -> None:
        self.said += data

    def read_on(self) -> None:
        self.wanted += 1


def run(main: Callable[[Wire], Awaitable[None]]) -> None:
    async def started() -> None:
        async with asyncio.timeout(5):
            await main(Wire())

    asyncio.run(started())
