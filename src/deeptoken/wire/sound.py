"""How long audio is, by the beginning of its file. Pure.

    WAV     by its header, if what is in it is not packed
    FLAC    by its header, if that counts the samples
    others  by the size alone: between what voice needs at least and what is usual

Sources: the RIFF form of Microsoft and IBM (``fmt``), RFC 9639 section 8.2 (STREAMINFO). The least rate is
that of MP3, 8 kbit/s, and about the least that speech is packed to in Opus or AAC; the usual one is 64. FLAC
packs speech of a telephone's quality to some 32. Silence may be packed to less.
"""

import struct

import msgspec

SECONDS_MAX = 24 * 3600
"""Longer than any model hears at once."""
PCM, FLOATS, EXTENSIBLE = 1, 3, 0xFFFE
"""Formats in a WAV file; the last one has another inside."""
LEAST, USUAL = 1_000, 8_000
FLAC_LEAST, FLAC_USUAL = 4_000, 20_000
"""Bytes a second."""


class Sound(msgspec.Struct, frozen=True):
    """What is known of a file."""

    least: int = LEAST
    """Bytes that a second takes at least."""
    usual: int = USUAL
    start: int = 0
    """Bytes before the audio."""
    length_s: float | None = None
    """As its header tells, whatever its size."""

    def most_s(self, size: int) -> int:
        """The most seconds that so many bytes hold. What a header counts does not bound them."""
        return _bounded(size / self.least)

    def likely_s(self, size: int) -> int:
        """How many seconds they hold, as far as one can tell."""
        return _bounded((size - self.start) / self.usual if self.length_s is None else self.length_s)


def read(head: bytes) -> Sound:
    """What the beginning of a file tells."""
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        rate, start = _wav(head)
        return Sound() if rate is None else Sound(least=rate, usual=rate, start=start)
    if head[:4] == b"fLaC":
        return Sound(FLAC_LEAST, FLAC_USUAL, length_s=_flac_length(head))
    return Sound()


def _wav(head: bytes) -> tuple[int | None, int]:
    """Bytes a second of what is not packed, and where it starts; None: it is packed, or nothing tells."""
    rate: int | None = None
    at = 12
    while at + 8 <= len(head):
        name, size = struct.unpack_from("<4sI", head, at)
        at += 8
        if name == b"data":
            return rate, at
        if name == b"fmt " and at + 16 <= len(head):
            rate = _wav_rate(head, at)
        at += size + size % 2
    return rate, 0


def _wav_rate(head: bytes, at: int) -> int | None:
    form, channels, samples, _, _, bits = struct.unpack_from("<HHIIHH", head, at)
    if form == EXTENSIBLE and at + 26 <= len(head):
        (form,) = struct.unpack_from("<H", head, at + 24)
    rate: int = channels * samples * ((bits + 7) // 8)
    return rate if form in (PCM, FLOATS) and rate >= LEAST else None


def _flac_length(head: bytes) -> float | None:
    """Its samples by their rate; None: it does not count them."""
    if len(head) < 26 or head[4] & 0x7F:
        return None
    told = int.from_bytes(head[18:26], "big")
    rate, samples = told >> 44, told & (1 << 36) - 1
    return samples / rate if rate and samples else None


def _bounded(seconds: float) -> int:
    """Whole seconds, begun ones counted; one at least."""
    return max(1, min(SECONDS_MAX, -int(-seconds // 1)))
