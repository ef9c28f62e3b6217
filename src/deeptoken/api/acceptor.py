"""Connections to a socket that several workers listen on, spread evenly.

Each takes one connection at a time, and leaves the next to others while it has more than the least busy of
them; but nobody waits long for another worker, which may be stuck.
"""

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence
from ssl import SSLContext
from typing import Any

import msgspec

PAUSE_S = 0.002
PATIENCE = 5
"""So many pauses, then it is taken, whoever has less."""
REST_S = 1.0
"""Where there are no descriptors left."""
FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
GONE = 2**32
"""What a worker has that is not there: more than any."""


class Seat(msgspec.Struct):
    """A worker's place among the others: the socket they share, and how many connections each has."""

    door: socket.socket
    taken: memoryview
    """One number for each worker, in memory that all share."""
    mine: int


class Acceptor:
    """Stands where uvicorn keeps the servers that it started."""

    def __init__(
        self,
        seat: Seat,
        protocol: Callable[[], asyncio.Protocol],
        ssl: SSLContext | None,
        connections: Callable[[], int],
    ) -> None:
        self._seat = seat
        self._protocol = protocol
        self._ssl = ssl
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._paused = 0
        seat.door.setblocking(False)
        self.count()
        self._listen()

    @property
    def sockets(self) -> Sequence[socket.socket]:
        return [self._seat.door]

    def count(self) -> int:
        """Tell the others how many connections there are here."""
        here = self._connections() + len(self._opening)
        self._seat.taken[self._seat.mine] = here
        return here

    def close(self) -> None:
        self._loop.remove_reader(self._seat.door.fileno())
        if self._timer is not None:
            self._timer.cancel()
        self._seat.taken[self._seat.mine] = GONE

    async def wait_closed(self) -> None:
        """There is nothing that has not closed."""

    def _listen(self) -> None:
        self._timer = None
        self._loop.add_reader(self._seat.door.fileno(), self._ready)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._seat.door.fileno())
        self._timer = self._loop.call_later(seconds, self._listen)

    def _ready(self) -> None:
        if self.count() > min(self._seat.taken) and self._paused < PATIENCE:
            self._paused += 1
            self._pause(PAUSE_S)
            return
        self._paused = 0
        try:
            connection, _ = self._seat.door.accept()
        except (BlockingIOError, ConnectionAbortedError):
            # Another one was faster, or the caller has gone.
            return
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._pause(REST_S)
            return
        connection.setblocking(False)
        opening = self._loop.create_task(self._open(connection))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
        self.count()

    async def _open(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection, ssl=self._ssl)
        except OSError:
            # It has gone, or speaks no TLS.
            connection.close()
