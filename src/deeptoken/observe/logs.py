"""JSON lines, one a request: collected on the loop, encoded and written by a thread, so that a slow reader of
the log never slows a call. The queue is bounded: what does not fit is counted and told, not kept.

An error is told by its type and its frames, never by its message, which may hold what was sent.
"""

import io
import logging
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from select import PIPE_BUF
from typing import BinaryIO

import msgspec

from deeptoken import clock
from deeptoken.observe.record import Record

LINES_MAX = 50_000
"""Lines that wait for the writer, at most."""
FLUSH_S = 0.05
STOP_S = 2.0
"""How long the end waits for the last lines to be written."""
OURS = "deeptoken"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def timestamp(at_us: int | None = None) -> str:
    """That time, or now, UTC, with milliseconds: ``2026-11-23T08:00:00.000Z``."""
    seconds, us = divmod(clock.wall_us() if at_us is None else at_us, 1_000_000)
    return f"{_second(seconds)}.{us // 1_000:03d}Z"


class Log:
    """Where log lines go, from any thread. Use as ``with Log(...)``: the way out writes what was logged."""

    def __init__(self, to: BinaryIO | None = None, *, shared: bool = False) -> None:
        self._shared = shared
        """Other processes write to the same place: none of their lines may come within one of ours."""
        self._to = to or _standard_error()
        self._lines: deque[Record | msgspec.Raw] = deque()
        self._lost = 0
        self._losing = threading.Lock()
        encoder = msgspec.json.Encoder()
        self._encode, self._encode_lines = encoder.encode, encoder.encode_lines
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)

    def __enter__(self) -> "Log":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join(STOP_S)

    def request(self, record: Record) -> None:
        self._put(record)

    def event(self, event: str, level: str = "info", **facts: str | int | float | bool | None) -> None:
        """Something that happened, with its facts."""
        facts = {"time": timestamp(), "level": level, "event": event, **facts}
        self._put(msgspec.Raw(self._encode(facts)))

    def unexpected(self, id: str, error: BaseException) -> None:
        """A mistake of ours: where it happened, for the operator."""
        self.event("unexpected", "error", id=id, error=type(error).__name__, traceback=_frames(error))

    def _put(self, line: Record | msgspec.Raw) -> None:
        if len(self._lines) < LINES_MAX:
            self._lines.append(line)
            return
        with self._losing:
            self._lost += 1

    def _write(self) -> None:
        while not self._closing.wait(FLUSH_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        with self._losing:
            lost, self._lost = self._lost, 0
        if lost:
            facts = {"time": timestamp(), "level": "warning", "event": "log_lost", "lines": lost}
            lines.append(msgspec.Raw(self._encode(facts)))
        if lines:
            whole = self._encode_lines(lines)
            try:
                for part in _parts(whole) if self._shared else [whole]:
                    self._send(part)
            except (OSError, ValueError):
                # The reader of the log has gone; there is nowhere left to say so.
                return

    def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest and (written := self._to.write(rest)):
            rest = rest[written:]
        self._to.flush()


def _parts(lines: bytes) -> Iterator[bytes]:
    """So many lines at a time as a pipe takes at once (POSIX: `PIPE_BUF`)."""
    part: list[bytes] = []
    size = 0
    for line in lines.splitlines(keepends=True):
        if part and size + len(line) > PIPE_BUF:
            yield b"".join(part)
            part, size = [], 0
        part.append(line)
        size += len(line)
    yield b"".join(part)


class Forwarded(logging.Handler):
    """Takes what is told by the standard library's `logging`: warnings of all, and what ours tell besides.

    The first line of a message only: asyncio shows an error's own message in the lines after it.
    """

    def __init__(self, log: Log) -> None:
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        ours = record.name == OURS or record.name.startswith(f"{OURS}.")
        if record.levelno < logging.WARNING and not ours:
            return
        try:
            message = record.getMessage().strip().partition("\n")[0]
        except (KeyError, TypeError, ValueError):
            self.handleError(record)
            return
        error = record.exc_info[1] if record.exc_info else None
        facts = {} if error is None else {"error": type(error).__name__, "traceback": _frames(error)}
        self._log.event("log", record.levelname.lower(), logger=record.name, message=message, **facts)


def _frames(error: BaseException) -> str:
    return "".join(traceback.format_tb(error.__traceback__))


def _standard_error() -> BinaryIO | io.RawIOBase:
    """Without its buffer: a write that blocks would hold the buffer's lock, which the exit needs."""
    buffer = sys.stderr.buffer
    return buffer.raw if isinstance(buffer, io.BufferedWriter) else buffer
