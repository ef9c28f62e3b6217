"""How long audio is, by the beginning of its file."""

import struct

import pytest
from form_scene import flac, wav
from hypothesis import given
from hypothesis import strategies as st

from deeptoken.wire.sound import FLAC_LEAST, LEAST, SECONDS_MAX, USUAL, Sound, read


@pytest.mark.parametrize(
    ("head", "rate"),
    [
        (wav(), 32_000),
        (wav(channels=2, samples=44_100, bits=24), 264_600),
        (wav(form=3, samples=8_000, bits=32), 32_000),
        (wav(form=0xFFFE, inner=1, samples=48_000), 96_000),
        (wav(before=b"JUNK" + struct.pack("<I", 3) + b"abc\0"), 32_000),
        (wav(riff=b"RF64"), 32_000),
    ],
)
def test_what_is_not_packed_lasts_as_its_header_tells(head: bytes, rate: int) -> None:
    sound = read(head + bytes(100))

    assert sound.likely_s(len(head) + 10 * rate) == 10
    assert sound.likely_s(len(head) + 10 * rate + 1) == 11
    assert sound.most_s(10 * rate) == 10


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"RIFF",
        wav()[:30],
        wav(form=0x55),
        wav(form=0xFFFE, inner=2),
        wav(samples=0),
        wav(samples=100, bits=8),
        b"RIFF\0\0\0\0AVI " + wav()[12:],
        b"ID3\x04" + bytes(100),
        b"OggS" + bytes(100),
    ],
)
def test_the_length_of_anything_else_is_bound_by_what_voice_needs(head: bytes) -> None:
    sound = read(head)

    assert sound.most_s(60 * LEAST) == 60
    assert sound.likely_s(60 * USUAL) == 60


def test_what_is_packed_without_loss_tells_its_length_and_may_be_longer() -> None:
    sound = read(flac(16_000, 16_000 * 90 + 1))
    silent = read(flac(16_000, 0))

    assert sound.likely_s(1_000_000) == 91
    assert sound.most_s(1_000_000) == 1_000_000 // FLAC_LEAST
    assert silent.length_s is None
    assert silent.likely_s(1_000_000) == 50


@given(st.binary(max_size=64) | st.binary(max_size=40).map(lambda rest: b"RIFF\0\0\0\0WAVEfmt " + rest))
def test_any_beginning_is_some_length(head: bytes) -> None:
    sound = read(head)

    assert 1 <= sound.likely_s(10_000) <= SECONDS_MAX
    assert 1 <= sound.most_s(10_000) <= SECONDS_MAX


def test_nothing_lasts_less_than_a_second_or_more_than_a_day() -> None:
    assert Sound().most_s(0) == Sound().likely_s(0) == 1
    assert Sound().most_s(1 << 40) == SECONDS_MAX
