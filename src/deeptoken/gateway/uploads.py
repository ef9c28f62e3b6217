"""A body that comes as slowly as its sender likes, on its way to a provider."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from deeptoken import clock
from deeptoken.errors import RequestTimeout
from deeptoken.net import Stalled
from deeptoken.wire.http import Upload
from deeptoken.wire.task import Incoming

T = TypeVar("T")
SOME = 0.001


async def in_time(sending: Awaitable[T], upload: Incoming, deadline: float) -> T:
    """What comes of sending a body, if that is before `deadline`, on the monotonic clock.

    Raises:
        RequestTimeout, Stalled: it is not, and its sender or the provider was slow.
    """
    try:
        async with asyncio.timeout(max(SOME, deadline - clock.monotonic())):
            return await sending
    except TimeoutError as error:
        if upload.awaited:
            raise RequestTimeout("The body did not arrive in time. Send it faster.") from None
        raise Stalled("The deadline of the call has passed.") from error


async def drained(upload: Upload) -> None:
    """Whoever plays a provider hears all of it."""
    while await upload.read():
        pass
