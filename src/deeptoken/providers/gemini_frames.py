"""The two ways in which Gemini streams: server-sent events, and one JSON array whose items come one by one.

Source: ai.google.dev/api/generate-content: streamGenerateContent with and without ``alt=sse``, read
2026-11-25. Which it is shows in the first byte. A proxy may send the array though events were asked for.
"""

import re

from deeptoken.wire.sse import EVENT_BYTES_MAX, EventTooLarge, Reader

BLANK = b"\xef\xbb\xbf \t\r\n"
"""What may stand before the first byte that counts."""
DONE = b"[DONE]"
"""Not Google's, but what proxies of OpenAI's dialect end with."""
MARK = re.compile(rb'["{}\[\]]')
MARK_IN_TEXT = re.compile(rb'["\\]')


class Frames:
    """JSON objects out of a body, however its bytes are cut."""

    __slots__ = ("_reader",)

    def __init__(self) -> None:
        self._reader: _Items | Reader | None = None

    @property
    def closed(self) -> bool:
        """The array has ended. Events have no end but the connection's."""
        return isinstance(self._reader, _Items) and self._reader.closed

    def feed(self, data: bytes) -> list[bytes]:
        """The objects that are complete with `data`.

        Raises:
            EventTooLarge: one passes the limit.
        """
        if self._reader is None:
            data = data.lstrip(BLANK)
            if not data:
                return []
            self._reader = _Items() if data[:1] in (b"[", b"{") else Reader()
        if isinstance(self._reader, _Items):
            return self._reader.feed(data)
        return [event.data for event in self._reader.feed(data) if event.data != DONE]

    def end(self) -> list[bytes]:
        """What the end of the body completes."""
        if isinstance(self._reader, Reader):
            return [event.data for event in self._reader.end() if event.data != DONE]
        return []


class _Items:
    """The objects of an array. Each byte is looked at once."""

    __slots__ = ("_depth", "_escaped", "_partial", "_size", "_text", "closed")

    def __init__(self) -> None:
        self._depth = 0
        """0: between two objects."""
        self._text = False
        self._escaped = False
        self._partial: list[bytes] = []
        self._size = 0
        self.closed = False

    def feed(self, data: bytes) -> list[bytes]:
        found: list[bytes] = []
        at = begin = 0
        while not self.closed and (at := self._bracket(data, at)):
            mark = data[at - 1 : at]
            if mark in (b"{", b"["):
                if self._depth or mark == b"{":
                    begin = begin if self._depth else at - 1
                    self._depth += 1
            elif not self._depth:
                self.closed = True
            else:
                self._depth -= 1
                if not self._depth:
                    found.append(b"".join((*self._partial, data[begin:at])))
                    self._partial, self._size = [], 0
        if self._depth:
            self._keep(data[begin:])
        return found

    def _bracket(self, data: bytes, at: int) -> int:
        """Where the next bracket outside of text ends; 0: there is none."""
        while at < len(data):
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            mark = (MARK_IN_TEXT if self._text else MARK).search(data, at)
            if mark is None:
                break
            at = mark.end()
            if self._text:
                self._escaped = mark[0] == b"\\"
                self._text = self._escaped
            elif mark[0] == b'"':
                self._text = True
            else:
                return at
        return 0

    def _keep(self, data: bytes) -> None:
        self._partial.append(data)
        self._size += len(data)
        if self._size > EVENT_BYTES_MAX:
            raise EventTooLarge
