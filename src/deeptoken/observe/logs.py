"""JSON lines, one a request: collected on the loop, written by a thread, so that a slow reader of the log
never slows a call. The queue is bounded: what does not fit is counted and told, not kept.
"""

import sys
import threading
import traceback
from datetime import UTC, datetime
from functools import lru_cache
from typing import BinaryIO

import msgspec

from deeptoken import clock
from deeptoken.observe.record import Record

LINES_MAX = 50_000
"""Lines that wait for the writer, at most."""
FLUSH_S = 0.05


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def timestamp() -> str:
    """Now, UTC, with milliseconds: ``2026-11-23T08:00:00.000Z``."""
    ms = clock.wall_us() // 1_000
    return f"{_second(ms // 1_000)}.{ms % 1_000:03d}Z"


class Log:
    """Where log lines go. Use as ``with Log(...)``: what was logged is written on the way out."""

    def __init__(self, to: BinaryIO | None = None) -> None:
        self._to = to or sys.stderr.buffer
        self._lines: list[bytes] = []
        self._lost = 0
        self._encode = msgspec.json.Encoder().encode
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)

    def __enter__(self) -> "Log":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()

    def request(self, record: Record) -> None:
        self._put(self._encode(record))

    def event(self, event: str, level: str = "info", **facts: str | int | float | bool | None) -> None:
        """Something that happened, with its facts."""
        self._put(self._encode({"time": timestamp(), "level": level, "event": event, **facts}))

    def unexpected(self, id: str, error: BaseException) -> None:
        """A mistake of ours: its traceback, for the operator."""
        trace = "".join(traceback.format_exception(error))
        self.event("unexpected", "error", id=id, error=repr(error), traceback=trace)

    def _put(self, line: bytes) -> None:
        if len(self._lines) >= LINES_MAX:
            self._lost += 1
        else:
            self._lines.append(line)

    def _write(self) -> None:
        while not self._closing.wait(FLUSH_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        if lost := self._lost:
            self._lost = 0
            lines.append(
                self._encode({"time": timestamp(), "level": "warning", "event": "log_lost", "lines": lost})
            )
        if lines:
            try:
                self._to.write(b"\n".join(lines) + b"\n")
                self._to.flush()
            except (OSError, ValueError):
                # The reader of the log has gone; there is nowhere left to say so.
                return
