"""Server-sent events, with the bytes cut at every place."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeptoken.wire.sse import EVENT_BYTES_MAX, Event, EventTooLarge, Reader

MIXED = (
    b"\xef\xbb\xbfdata: one\n\n"
    b": a comment\nid: 7\nretry: 10\n\n"
    b"event: error\r\ndata: two\r\ndata:three\r\n\r\n"
    b"data: caf\xc3\xa9\xe2\x80\xa8\xf0\x9f\x8e\x89\r\rdata\n\nevent: empty\n\n"
    b"data: \xef\xbb\xbf four\n\n"
)
MIXED_EVENTS = [
    ("", b"one"),
    ("error", b"two\nthree"),
    ("", "café\u2028🎉".encode()),
    ("", b""),
    ("", b"\xef\xbb\xbf four"),
]


def read(*pieces: bytes) -> list[tuple[str, bytes]]:
    reader = Reader()
    events: list[Event] = []
    for piece in pieces:
        events += reader.feed(piece)
    events += reader.end()
    return [(event.name, event.data) for event in events]


def test_a_run_of_usual_events_is_read() -> None:
    stream = b'data: {"a":1}\n\ndata: {"a":2}\n\ndata: [DONE]\n\n'

    events = read(stream)

    assert events == [("", b'{"a":1}'), ("", b'{"a":2}'), ("", b"[DONE]")]


@pytest.mark.parametrize("cut", range(len(MIXED) + 1))
def test_a_cut_anywhere_changes_nothing(cut: int) -> None:
    events = read(MIXED[:cut], MIXED[cut:])

    assert events == MIXED_EVENTS


def test_one_byte_at_a_time_changes_nothing() -> None:
    pieces = [bytes([byte]) for byte in MIXED]

    events = read(*pieces)

    assert events == MIXED_EVENTS


@given(
    st.lists(
        st.sampled_from([b"data: x", b"data:y", b"event: e", b": c", b"", b"id: 1", b"data"]), max_size=12
    ),
    st.sampled_from([b"\n", b"\r", b"\r\n"]),
    st.lists(st.integers(0, 80), max_size=6),
)
def test_cuts_and_line_ends_do_not_matter(lines: list[bytes], line_end: bytes, cuts: list[int]) -> None:
    stream = b"".join(line + line_end for line in lines)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[start:stop] for start, stop in pairwise(places)]

    events = read(*pieces)

    assert events == read(b"".join(line + b"\n" for line in lines))


def test_a_carriage_return_and_its_line_feed_in_two_reads_are_one_line_end() -> None:
    events = read(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n")

    assert events == [("", b"a\nb")]


def test_a_byte_order_mark_counts_only_at_the_start() -> None:
    events = read(b"\xef", b"\xbb", b"\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n")

    assert events == [("", b"a")]


def test_a_last_event_without_its_blank_line_counts() -> None:
    assert read(b"data: a\n\ndata: b") == [("", b"a"), ("", b"b")]
    assert read(b"data: a\n\ndata: b\r\n") == [("", b"a"), ("", b"b")]


def test_an_end_inside_a_byte_order_mark_is_no_event() -> None:
    assert read(b"\xef\xbb") == []


def test_comments_and_names_without_data_are_no_events() -> None:
    assert read(b": keep-alive\n\n" * 3 + b"event: ping\n\n") == []


@pytest.mark.parametrize("size", [1024, 65_536, EVENT_BYTES_MAX])
def test_an_event_above_the_limit_is_refused(size: int) -> None:
    piece = b"x" * size
    pieces = [b"data: ", *[piece] * (EVENT_BYTES_MAX // size)]

    with pytest.raises(EventTooLarge, match="8388608"):
        read(*pieces)


def test_a_whole_event_above_the_limit_is_refused() -> None:
    reader = Reader()
    reader.feed(b"data: a\n\n")

    with pytest.raises(EventTooLarge):
        reader.feed(b"data: " + b"x" * EVENT_BYTES_MAX + b"\n\n")


def test_many_events_and_comments_may_be_larger_than_one_event_may_be() -> None:
    reader = Reader()
    comment = b": " + b"c" * 65_000 + b"\n"

    events = [event for _ in range(200) for event in reader.feed(comment)]
    events += reader.feed(b"data: a\n\n")

    assert [event.data for event in events] == [b"a"]


def test_a_large_event_in_small_pieces_is_read_in_linear_work() -> None:
    size = 1_500_000
    stream = b"data: " + b"x" * size + b"\n\n"
    reader = Reader()
    held: list[int] = []

    for start in range(0, len(stream), 1024):
        events = reader.feed(stream[start : start + 1024])
        held.append(max((len(piece) for piece in reader._partial), default=0))

    assert [len(event.data) for event in events] == [size]
    assert max(held) <= 1024, "pieces of a line are joined once, when it ends"
