"""Frames of AWS's event stream, with the bytes cut at every place and with bits that fell over."""

import struct
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_frames import Written, event, frame, header, sealed
from deeptoken.wire.eventstream import FRAME_BYTES_MAX, BrokenFrame, Frame, Reader

EVERY_TYPE: dict[str, Written] = {
    "yes": True,
    "no": False,
    "byte": (2, b"\xff"),
    "short": (3, struct.pack(">h", -2)),
    "int": 7,
    "long": (5, struct.pack(">q", -(2**40))),
    "bytes": b"\x00\xff",
    "text": "café 🎉",
    "time": (8, struct.pack(">q", 1_790_000_000_000)),
    "uuid": (9, bytes(range(16))),
}
READ = {
    "yes": True,
    "no": False,
    "byte": -1,
    "short": -2,
    "int": 7,
    "long": -(2**40),
    "bytes": b"\x00\xff",
    "text": "café 🎉",
    "time": 1_790_000_000_000,
    "uuid": bytes(range(16)),
}

MIXED = frame(EVERY_TYPE, b"one") + frame({}) + event("metadata", a=1) + frame({"text": ""}, b"\x00" * 40)
MIXED_FRAMES = [
    (READ, b"one"),
    ({}, b""),
    (
        {":event-type": "metadata", ":content-type": "application/json", ":message-type": "event"},
        b'{"a": 1}',
    ),
    ({"text": ""}, b"\x00" * 40),
]


def read(*pieces: bytes) -> list[tuple[dict[str, object], bytes]]:
    reader = Reader()
    frames: list[Frame] = []
    for piece in pieces:
        frames += reader.feed(piece)
    reader.end()
    return [(dict(one.headers), one.payload) for one in frames]


@pytest.mark.parametrize("cut", range(len(MIXED) + 1))
def test_a_cut_anywhere_changes_nothing(cut: int) -> None:
    assert read(MIXED[:cut], MIXED[cut:]) == MIXED_FRAMES


def test_one_byte_at_a_time_changes_nothing() -> None:
    assert read(*(bytes([byte]) for byte in MIXED)) == MIXED_FRAMES


@given(
    st.lists(st.tuples(st.dictionaries(st.text(max_size=9), st.text(max_size=9)), st.binary(max_size=99))),
    st.lists(st.integers(0, 2_000), max_size=9),
)
def test_what_is_written_is_read_however_it_is_cut(
    frames: list[tuple[dict[str, str], bytes]], cuts: list[int]
) -> None:
    stream = b"".join(frame({**headers}, payload) for headers, payload in frames)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})

    assert read(*(stream[start:stop] for start, stop in pairwise(places))) == frames


@pytest.mark.parametrize("bit", range(len(event("messageStop", stopReason="end_turn")) * 8))
def test_a_bit_that_fell_over_is_noticed(bit: int) -> None:
    data = bytearray(event("messageStop", stopReason="end_turn"))
    data[bit // 8] ^= 1 << bit % 8

    with pytest.raises(BrokenFrame):
        read(bytes(data))


def test_a_wrong_length_is_noticed_before_its_bytes_are_waited_for() -> None:
    data = bytearray(frame({}, b"x" * 100))
    data[2] ^= 1

    with pytest.raises(BrokenFrame, match="should begin a frame"):
        list(Reader().feed(bytes(data[:12])))


def test_what_came_before_a_broken_frame_is_read() -> None:
    reader = Reader()
    broken = bytearray(frame({}, b"two"))
    broken[-5] ^= 1
    read: list[bytes] = []

    with pytest.raises(BrokenFrame, match="does not agree with its checksum"):
        read.extend(one.payload for one in reader.feed(frame({}, b"one") + bytes(broken)))

    assert read == [b"one"]


@pytest.mark.parametrize(
    "data", [b"<html><body>Bad gateway</body></html>", b'{"message": "No."}', b"\0" * 16]
)
def test_what_is_no_stream_of_frames_is_refused(data: bytes) -> None:
    with pytest.raises(BrokenFrame):
        read(data)


@pytest.mark.parametrize("length", range(1, len(frame({"a": "b"}, b"c"))))
def test_an_end_inside_a_frame_is_noticed(length: int) -> None:
    reader = Reader()

    assert list(reader.feed(frame({"a": "b"}, b"c")[:length])) == []
    with pytest.raises(BrokenFrame, match="ended inside"):
        reader.end()


@pytest.mark.parametrize("lengths", [(15, 0), (20, 5), (16, 0xFFFFFFFF)])
def test_lengths_that_cannot_be_are_refused(lengths: tuple[int, int]) -> None:
    prelude = struct.pack(">II", *lengths)

    with pytest.raises(BrokenFrame, match="shorter than its own headers"):
        read(prelude + struct.pack(">I", zlib.crc32(prelude)) + b"\0" * 20)


def test_a_frame_above_the_limit_is_refused_at_its_first_bytes() -> None:
    fits, too_large = FRAME_BYTES_MAX, FRAME_BYTES_MAX + 1
    prelude = struct.pack(">II", too_large, 0)

    assert len(read(frame({}, b"x" * (fits - 16)))) == 1
    with pytest.raises(BrokenFrame, match="8388608"):
        list(Reader().feed(prelude + struct.pack(">I", zlib.crc32(prelude))))


@pytest.mark.parametrize(
    "headers",
    [
        header("a", "b")[:-1],
        header("a", (7, b"\0\x09b")),
        header("a", (3, b"\0")),
        header("a", (10, b"")),
        header("a", (7, b"\0\x01\xff")),
        b"\x05a",
        b"\x01\xff\x00",
        b"\x01a",
    ],
)
def test_headers_that_are_none_are_refused(headers: bytes) -> None:
    with pytest.raises(BrokenFrame, match="header"):
        read(sealed(headers))


def test_a_header_that_is_missing_or_no_text_is_empty_text() -> None:
    (one,) = Reader().feed(frame({"number": 7, "text": "seven"}))

    assert (one.text("number"), one.text("nothing"), one.text("text")) == ("", "", "seven")


def test_a_large_frame_in_small_pieces_is_kept_once() -> None:
    stream = frame({}, b"x" * 1_500_000)
    reader = Reader()

    frames = [
        one for start in range(0, len(stream), 1024) for one in reader.feed(stream[start : start + 1024])
    ]

    assert [len(one.payload) for one in frames] == [1_500_000]
    assert not reader._kept
