"""Forms with files, read as they come: the same wherever they are cut, and nothing that is vague."""

import email
import email.policy
import itertools
from collections.abc import Iterable

import pytest
from form_scene import BOUNDARY, audio, cut, form, part
from hypothesis import example, given
from hypothesis import strategies as st

from deeptoken.errors import BadRequest, DeeptokenError, RequestTooLarge, UnsupportedMedia
from deeptoken.wire.multipart import HEAD_BYTES_MAX, PARTS_MAX, Begin, Data, Event, Part, Reader, boundary

LINE = b"\r\n--" + BOUNDARY
TEMPTING = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"\r\n", b"--", b"-", b"\r\n-", b"\r\n--", b"\r\n--3f9c0", BOUNDARY, b"x", b"\0\xff"]
    ),
    max_size=12,
).map(b"".join)
"""Data that looks like a boundary, almost."""
VALUES = (st.binary(max_size=40) | TEMPTING).filter(lambda data: LINE not in b"\r\n" + data)


def read(pieces: Iterable[bytes], boundary: bytes = BOUNDARY) -> list[Event]:
    reader = Reader(boundary)
    events = [event for piece in pieces for event in reader.feed(piece)]
    reader.end()
    return events


def parts(events: list[Event]) -> list[tuple[Part, bytes]]:
    """Each part with all of its data."""
    found: list[tuple[Part, bytes]] = []
    for event in events:
        match event:
            case Begin(part=began):
                found.append((began, b""))
            case Data(raw=raw):
                found[-1] = (found[-1][0], found[-1][1] + raw)
    return found


def test_a_form_is_its_parts_in_order() -> None:
    body = form(part("model", "whisper-1"), audio(b"\x00\r\nsound"), part("empty", ""))

    told = parts(read([body]))

    assert told == [
        (Part("model"), b"whisper-1"),
        (Part("file", "a.wav", "audio/wav"), b"\x00\r\nsound"),
        (Part("empty"), b""),
    ]


@pytest.mark.parametrize("size", range(1, 80))
def test_a_form_is_the_same_wherever_it_is_cut(size: int) -> None:
    body = form(part("model", "m"), audio(b"\r\n--3f9c0\r\n-\r\r\n--3f9c\r\n" * 3), part("prompt", "\r\n"))

    events = read(cut(body, size))

    assert parts(events) == parts(read([body]))
    assert b"".join(event.raw for event in events) == body


@given(st.lists(VALUES, min_size=1, max_size=4), st.lists(st.integers(1, 200), max_size=5))
@example([b"\r\n--3f9c0", b"\r", b"-"], [1, 2, 3])
def test_what_is_in_a_part_comes_out_whatever_it_is_and_wherever_it_is_cut(
    values: list[bytes], places: list[int]
) -> None:
    body = form(*[part(f"p{number}", value) for number, value in enumerate(values)])
    ends = [0, *sorted(places), len(body)]

    events = read(body[start:end] for start, end in itertools.pairwise(ends))

    assert [data for _, data in parts(events)] == values
    assert b"".join(event.raw for event in events) == body
    assert all(event.raw for event in events)


@given(st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30), min_size=1))
def test_the_library_for_mail_reads_the_same(values: list[str]) -> None:
    body = form(*[part(f"p{number}", value) for number, value in enumerate(values)], boundary=b"a b~")
    head = b'Content-Type: multipart/form-data; boundary="a b~"\r\n\r\n'
    if b"--a b~" in "\r\n".join(values).encode():
        return

    told = [data.decode() for _, data in parts(read([body], b"a b~"))]

    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    assert told == [one.get_payload() for one in message.iter_parts()]


def test_data_goes_on_as_soon_as_it_surely_is_data() -> None:
    reader = Reader(BOUNDARY)
    reader.feed(form(audio(b""))[: -len(LINE) - 4])

    whole = reader.feed(b"sound")
    vague = reader.feed(b"sound\r\n--3f")
    clear = reader.feed(b"9x")

    assert whole == [Data(b"sound")]
    assert vague == [Data(b"sound")]
    assert clear == [Data(b"\r\n--3f9x")]


@pytest.mark.parametrize(
    ("told", "divides"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data ; charset=utf-8; Boundary="a b"', b"a b"),
        ("multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxk;", b"----WebKitFormBoundary7MA4YWxk"),
        (f"multipart/form-data; boundary={'a' * 70}", b"a" * 70),
    ],
)
def test_the_boundary_is_what_the_content_type_tells(told: str, divides: bytes) -> None:
    assert boundary(told) == divides


@pytest.mark.parametrize("told", [None, "", "application/json", "multipart/mixed; boundary=a", "text/plain"])
def test_what_is_no_form_with_files_is_not_supported(told: str | None) -> None:
    with pytest.raises(UnsupportedMedia, match="multipart/form-data"):
        boundary(told)


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "; boundary",
        "; boundary=",
        '; boundary=""',
        "; boundary=a; boundary=b",
        f"; boundary={'a' * 71}",
        '; boundary="a "',
        '; boundary="a\\b"',
        "; boundary=a b",
        "; boundary*=a",
        " boundary=a",
    ],
)
def test_a_boundary_that_is_not_told_once_and_rightly_is_refused(rest: str) -> None:
    with pytest.raises(DeeptokenError) as refused:
        boundary("multipart/form-data" + rest)

    assert refused.value.status in (400, 415)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b'content-disposition:form-data;name="a"', Part("a")),
        (b"Content-Disposition: form-data; name=a; filename=b.wav", Part("a", "b.wav")),
        (
            b'Content-Disposition: form-data; filename="a\\"b\\\\.mp3" ; name="f"\t\r\nX-Other: 1',
            Part("f", 'a\\"b\\\\.mp3'),
        ),
        ('Content-Disposition: form-data; name="f"; filename="grüße.wav"'.encode(), Part("f", "grüße.wav")),
        (b"Content-Disposition: form-data; name=\"f\"; filename*=utf-8''a.wav", Part("f", "utf-8''a.wav")),
        (b'Content-Disposition: form-data; name="f"; filename=""', Part("f", "")),
        (b'Content-Type: audio/wav\r\nContent-Disposition: form-data; name=""', Part("", None, "audio/wav")),
    ],
)
def test_the_head_of_a_part_is_read_as_clients_write_it(head: bytes, says: Part) -> None:
    body = form(head + b"\r\n\r\ndata")

    assert parts(read([body])) == [(says, b"data")]


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"Content-Type: text/plain",
        b"Content-Disposition: form-data",
        b'Content-Disposition: attachment; name="a"',
        b'Content-Disposition: form-data; name="a"; name="b"',
        b"Content-Disposition: form-data; name*=utf-8''a",
        b"Content-Disposition: form-data; name=\"a\"; name*=utf-8''model",
        b'Content-Disposition: form-data; name="a\\"b"',
        b'Content-Disposition: form-data; name="a\\\\b"',
        b'Content-Disposition: form-data; name="a"; filename="x"; x',
        b'Content-Disposition: form-data; name="a',
        b'Content-Disposition: form-data; name="a" name="b"',
        b'Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="b"',
        b'Content-Disposition: form-data;\r\n name="a"',
        b'Content-Disposition : form-data; name="a"',
        b'Content-Disposition: form-data; name="a"\nX: y',
        b'Content-Disposition: form-data; name="a\x00"',
        b'Content-Disposition: form-data; name="\xff"',
        b'no field\r\nContent-Disposition: form-data; name="a"',
    ],
)
def test_a_head_that_readers_might_read_otherwise_is_refused(head: bytes) -> None:
    with pytest.raises(BadRequest):
        read([form(head + b"\r\n\r\ndata")])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"--other\r\n", "does not begin with"),
        (b"text\r\n" + form(audio()), "does not begin with"),
        (b" \r\n" + form(audio()), "does not begin with"),
        (b"\r\n" * 33 + form(audio()), "does not begin with"),
        (b"-x", "does not begin with"),
        (form(audio())[:-4] + b"x", "goes on"),
        (form(audio())[:-4] + b" \r\n", "goes on"),
        (form(audio())[:-4] + b"-x", "goes on"),
        (form(audio())[:-4] + b"\rx", "goes on"),
        (form(audio()) + b"more", "behind its last boundary"),
        (form(audio()) + form(audio()), "behind its last boundary"),
        (form(audio()) + b"\r\n" * 32, "behind its last boundary"),
    ],
)
def test_a_body_that_is_not_just_its_parts_is_refused(body: bytes, words: str) -> None:
    for size in (1, 7, len(body)):
        with pytest.raises(BadRequest, match=words):
            read(cut(body, size))


def test_a_form_that_is_cut_anywhere_is_told_to_be_cut() -> None:
    body = form(part("model", "m"), audio())

    for end in range(len(body) - 2):
        with pytest.raises(BadRequest, match="cut short"):
            read([body[:end]])


@pytest.mark.parametrize("ends", [b"", b"\r\n", b"\r\n\r\n", b" \t\r\n"])
def test_line_ends_around_a_form_are_nothing(ends: bytes) -> None:
    body = b"\r\n" + form(audio())[:-2] + ends

    events = read(cut(body, 1))

    assert len(parts(events)) == 1
    assert b"".join(event.raw for event in events) == body


@pytest.mark.parametrize("size", [1, 100, 100_000])
def test_a_head_has_a_limit(size: int) -> None:
    told = b'Content-Disposition: form-data; name="a"\r\nX: '
    most = told + b"x" * (HEAD_BYTES_MAX - len(told) - 2)

    assert len(parts(read(cut(form(most + b"\r\n\r\n"), size)))) == 1
    with pytest.raises(RequestTooLarge, match="head of a part"):
        read(cut(form(most + b"x\r\n\r\n"), size))


def test_a_form_has_so_many_parts_at_most() -> None:
    assert len(parts(read([form(*[part("a", "")] * PARTS_MAX)]))) == PARTS_MAX
    with pytest.raises(RequestTooLarge, match="64 parts"):
        read([form(*[part("a", "")] * (PARTS_MAX + 1))])


def test_a_head_without_end_is_not_kept() -> None:
    endless = (b"xx" for _ in range(HEAD_BYTES_MAX))

    with pytest.raises(RequestTooLarge):
        read(itertools.chain([b"--3f9c0a\r\n"], endless))

    assert next(endless) == b"xx"
