"""Server-sent events: bytes in, events out.

Source: html.spec.whatwg.org/multipage/server-sent-events.html, read 2026-11-23. Two differences: an event
without its blank line at the end of the stream counts (many hosts leave it out), and nothing reconnects,
so `id` and `retry` are skipped.
"""

import msgspec

EVENT_BYTES_MAX = 8 * 1024 * 1024
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LINE_FEED = 0x0A


class Event(msgspec.Struct, gc=False):
    """`name` is empty where none was given. Lines of data are joined by a line feed."""

    name: str
    data: bytes


class EventTooLarge(ValueError):
    def __init__(self) -> None:
        super().__init__(f"an event is larger than {EVENT_BYTES_MAX} bytes")


class Reader:
    """Reads events however the bytes are cut. Each byte is looked at a fixed number of times."""

    __slots__ = ("_cr", "_data", "_name", "_partial", "_size", "_start", "idle")

    def __init__(self) -> None:
        self._start: bytes | None = b""
        """What came so far, while it may still be a byte order mark."""
        self.idle = False
        """Nothing is begun: what comes next starts a line of a new event."""
        self._partial: list[bytes] = []
        """The pieces of a line whose end has not come yet."""
        self._data: list[bytes] = []
        self._name = ""
        self._size = 0
        self._cr = False
        """The last byte was a carriage return: a line feed after it ends no second line."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that are complete with `data`.

        Raises:
            EventTooLarge: an event passes the limit.
        """
        events: list[Event] = []
        if not self.idle:
            if self._start is not None:
                data = self._without_mark(data)
            # Finish line by line what was begun; what follows is usually whole events.
            cut = data.find(b"\n\n") + 2
            if cut == 1:
                self._lines(data, events)
                return events
            self._lines(data[:cut], events)
            data = data[cut:]
        if b"\r" in data or not self.idle:
            self._lines(data, events)
            return events
        blocks = data.split(b"\n\n")
        rest = blocks.pop()
        for block in blocks:
            if block.startswith(b"data: ") and b"\n" not in block:
                if len(block) > EVENT_BYTES_MAX:
                    raise EventTooLarge
                events.append(Event("", block[6:]))
            else:
                self._lines(block + b"\n\n", events)
        if rest:
            self._lines(rest, events)
        return events

    def end(self) -> list[Event]:
        """The event that the end of the stream completes, if there is one."""
        events: list[Event] = []
        if self._start:
            self._lines(self._start, events)
            self._start = None
        self._lines(b"\n\n", events)
        return events

    def _without_mark(self, data: bytes) -> bytes:
        data = (self._start or b"") + data
        if len(data) < len(BYTE_ORDER_MARK) and BYTE_ORDER_MARK.startswith(data):
            self._start = data
            return b""
        self._start = None
        return data.removeprefix(BYTE_ORDER_MARK)

    def _lines(self, data: bytes, events: list[Event]) -> None:
        if not data:
            return
        if self._cr and data[0] == LINE_FEED:
            data = data[1:]
        self._cr = data.endswith(b"\r")
        for line in data.splitlines(keepends=True):
            self._size += len(line)
            if self._size > EVENT_BYTES_MAX:
                raise EventTooLarge
            if not line.endswith((b"\n", b"\r")):
                self._partial.append(line)
                break
            if self._partial:
                self._partial.append(line)
                line = b"".join(self._partial)
                self._partial.clear()
            line = line.rstrip(b"\r\n")
            if line:
                self._field(line)
            else:
                self._dispatch(events)
        self.idle = not (self._partial or self._data or self._name or self._cr)

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")
        elif not name:
            # A host may send comments for minutes before the answer; they are no part of an event.
            self._size -= len(line) + 1

    def _dispatch(self, events: list[Event]) -> None:
        if self._data:
            events.append(Event(self._name, b"\n".join(self._data)))
            self._data.clear()
        self._name = ""
        self._size = 0
