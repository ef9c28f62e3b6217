"""Other processes that post through a writer, and those that outlive it."""

import asyncio
from collections.abc import Callable

import msgspec

from deeptoken.ledger.postings import Answer

RESUME_S = 5.0
"""How long processes that outlive their writer have to come to the next one."""


class Busy(msgspec.Struct, frozen=True, tag="busy"):
    """A hold that was refused because of load (`Overloaded` for who asked)."""


class Peer(msgspec.Struct):
    """Another process that writes through this one: its last batch and what it was answered."""

    batch_no: int = 0
    answers: asyncio.Future[list[Answer | Busy]] | None = None


class Kept(msgspec.Struct, frozen=True):
    """Of an epoch that another writer gave: its last durable batch, and what that was answered."""

    batch_no: int
    answers: list[Answer | Busy]


class Heirs:
    """Those of the writer before this one: `kept` by epoch, of which so many `processes` live. `over` is
    called once, when each has come or has had its time, with the epochs of which nobody came.

    Until then nobody knows what they hold, so no new hold is given.
    """

    def __init__(self, kept: dict[int, Kept], processes: int, over: Callable[[list[int]], None]) -> None:
        self._kept = kept
        self._missing = processes
        self._over = over
        self._timer = asyncio.get_running_loop().call_later(RESUME_S, self._all_here)
        self.waiting = True

    def find(self, epoch: int) -> Kept | None:
        return self._kept.get(epoch)

    def came(self, epoch: int | None) -> None:
        """A process is here; with the epoch that it has, if it has one."""
        if epoch is not None:
            del self._kept[epoch]
        self._missing -= 1
        if self.waiting and self._missing <= 0:
            self._all_here()

    def stop(self) -> None:
        self._timer.cancel()

    def _all_here(self) -> None:
        self._timer.cancel()
        self.waiting = False
        left, self._kept = list(self._kept), {}
        self._over(left)
