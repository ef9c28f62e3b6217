"""What runs by the clock, beside the calls: each job by itself, owned, ended with the process."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from deeptoken.observe.logs import Log


class Jobs:
    """Use as ``async with``; on the way out every job is ended."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Jobs":
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    def every(self, seconds: float, job: Callable[[], Awaitable[object]]) -> None:
        """Run `job` again and again, `seconds` after it ended. One that fails is logged and runs again."""
        self._tasks.add(asyncio.get_running_loop().create_task(self._run(seconds, job)))

    async def _run(self, seconds: float, job: Callable[[], Awaitable[object]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await job()
            except Exception as error:
                self._log.unexpected("job", error)
