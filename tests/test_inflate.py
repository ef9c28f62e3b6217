"""Inflating: every cut, every portion."""

import gzip
import itertools
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeptoken.inflate import Inflater

PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", lambda text: gzip.compress(text, mtime=0)),
    "members": ("gzip", lambda text: gzip.compress(text[:9], mtime=0) + gzip.compress(text[9:], mtime=0)),
    "zlib": ("deflate", zlib.compress),
    "raw": ("deflate", lambda text: zlib.compress(text, wbits=-15)),
}
TEXTS = st.binary(max_size=300) | st.integers(0, 3_000).map(bytes)


@given(
    packer=st.sampled_from(sorted(PACKERS)),
    text=TEXTS,
    cuts=st.lists(st.integers(0, 400), max_size=5),
    most=st.integers(1, 500),
)
def test_what_was_packed_comes_out_however_it_is_cut_and_never_more_than_asked_for(
    packer: str, text: bytes, cuts: list[int], most: int
) -> None:
    coding, pack = PACKERS[packer]
    packed = pack(text)
    places = sorted({0, len(packed), *(cut for cut in cuts if cut < len(packed))})
    inflater = Inflater(coding)

    portions = []
    for start, end in itertools.pairwise(places):
        portion = inflater.inflate(packed[start:end], most)
        while portion:
            portions.append(portion)
            portion = inflater.inflate(b"", most)

    assert b"".join(portions) == text
    assert max(map(len, portions), default=0) <= most
    assert inflater.whole


@pytest.mark.parametrize("packer", sorted(PACKERS))
def test_what_is_cut_short_is_not_whole(packer: str) -> None:
    coding, pack = PACKERS[packer]
    packed = pack(b"a text that is long enough")

    for end in range(1, len(packed)):
        inflater = Inflater(coding)
        inflater.inflate(packed[:end], 1_000)
        ends_a_member = packer == "members" and end == len(gzip.compress(b"a text th", mtime=0))
        assert inflater.whole is ends_a_member


def test_nothing_at_all_is_whole() -> None:
    assert Inflater("gzip").whole


def test_output_left_in_the_engine_comes_out_though_all_input_is_taken() -> None:
    for size in range(1, 3_000, 7):
        inflater = Inflater("deflate")

        portion = inflater.inflate(zlib.compress(bytes(size), wbits=-15), 50)
        total = len(portion)
        while portion:
            portion = inflater.inflate(b"", 50)
            total += len(portion)

        assert total == size
        assert inflater.whole
