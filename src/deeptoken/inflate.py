"""Content codings undone, never more of them at a time than asked for: gzip and deflate.

``gzip`` (RFC 1952) may have several members. ``deflate`` is zlib (RFC 1950, as RFC 9110, section 8.4.1.2
has it) or, as some servers have it, raw (RFC 1951).
"""

import zlib

CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS


class Inflater:
    """Undoes one content coding. Bytes may be cut anywhere."""

    __slots__ = ("_coding", "_engine", "_full", "pending")

    def __init__(self, coding: str) -> None:
        self.pending = b""
        """What came and waits to be inflated."""
        self._coding = coding
        self._engine: zlib._Decompress | None = None
        self._full = False

    @property
    def whole(self) -> bool:
        """Nothing is missing at the end. (Nothing at all is whole, too.)"""
        return not self.pending and (self._engine is None or self._engine.eof)

    def inflate(self, data: bytes, most: int) -> bytes:
        """At most `most` bytes of what `data` and all before it come to; empty once there is no more.

        Raises:
            ValueError: this is not the coding that was announced.
        """
        data = self.pending + data
        pieces: list[bytes] = []
        try:
            while most > 0 and (data or self._full):
                engine = self._begun(data)
                if engine is None:
                    break
                piece = engine.decompress(data, most)
                # A full piece may leave output inside the engine when all input is taken.
                self._full = len(piece) == most and not engine.eof
                most -= len(piece)
                pieces.append(piece)
                data = engine.unused_data if engine.eof else engine.unconsumed_tail
        except zlib.error as error:
            raise ValueError(f"The answer is not in the coding {self._coding}.") from error
        self.pending = data
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _begun(self, data: bytes) -> "zlib._Decompress | None":
        """The engine for the bytes that come next; none while it takes one more byte to know which."""
        engine = self._engine
        if engine is not None and not engine.eof:
            return engine
        if self._coding not in CODINGS:
            raise zlib.error("not asked for")
        if self._coding != "deflate":
            engine = zlib.decompressobj(_GZIP)
        elif engine is not None:
            raise zlib.error("data after the end")
        elif len(data) < 2:
            return None
        else:
            zlib_header = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
            engine = zlib.decompressobj(_ZLIB if zlib_header else _RAW)
        self._engine = engine
        return engine
