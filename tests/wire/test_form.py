"""Forms on their way through: what they ask for, and what of them goes on."""

import pytest
from form_scene import BOUNDARY, audio, cut, form, part
from hypothesis import given
from hypothesis import strategies as st

from deeptoken.errors import BadRequest, RequestTooLarge
from deeptoken.wire.form import FIELD_BYTES_MAX, FILE_HEAD_BYTES, PIECE_BYTES, VALUE_BYTES_MAX, Form
from deeptoken.wire.multipart import Part

MODEL = part("model", "whisper-1")
THERE = part("model", "hidden")
LONG = bytes(range(256)) * 1024
"""256 KiB of a file."""


def fed(body: bytes, size: int = 0) -> Form:
    """A form that has come whole."""
    made = Form(BOUNDARY)
    for piece in cut(body, size or len(body)):
        made.feed(piece)
    made.end()
    return made


def gone(made: Form, model: str = "hidden") -> bytes:
    """All that goes on of what has come."""
    pieces = []
    while piece := made.take(model):
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize("size", [0, 1, 7, 64])
def test_a_form_goes_on_byte_for_byte_with_the_model_by_its_upstream_name(size: int) -> None:
    odd = b'content-disposition:form-data;name="prompt"\r\nX-Odd:  1 \r\n\r\n\xff\r\n--'
    body = form(MODEL, odd, audio(), part("language", "de"))

    made = fed(body, size)

    assert made.size(len(body), "hidden") == len(body) - len("whisper-1") + len("hidden")
    assert gone(made) == form(THERE, odd, audio(), part("language", "de"))


@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize("place", range(4))
def test_what_is_for_the_gateway_alone_is_left_out_wherever_it_stands(place: int, size: int) -> None:
    parts = [MODEL, part("prompt", "x"), part("temperature", "0")]
    parts.insert(place, part("max_cost_usd", "0.5"))
    body = b"\r\n" + form(*parts, audio())

    made = fed(body, size)

    assert made.values["max_cost_usd"] == "0.5"
    wanted = form(THERE, part("prompt", "x"), part("temperature", "0"), audio())
    assert made.size(len(body), "hidden") == len(wanted)
    assert gone(made) == wanted


def test_line_ends_before_the_first_boundary_do_not_go_on() -> None:
    rest = (part("prompt", "x"), MODEL, audio())
    body = b"\r\n" + form(part("max_cost_usd", "1"), *rest)

    made = fed(body)

    wanted = form(part("prompt", "x"), THERE, audio())
    assert made.size(len(body), "hidden") == len(wanted)
    assert gone(made) == wanted


NAMES = st.permutations(["model", "prompt", "stream", "provider", "models"])


@given(NAMES, st.booleans(), st.integers(1, 200), st.text(max_size=5))
def test_its_size_is_told_before_it_goes_on(names: list[str], first: bool, size: int, model: str) -> None:
    fields = [part(name, "12") for name in names]
    body = form(*((audio(), *fields) if first else (*fields, audio())))

    made = fed(body, size)

    told = made.size(len(body), model)
    assert len(gone(made, model)) == told


def test_values_are_read_and_the_file_is_seen() -> None:
    made = fed(form(MODEL, part("stream", "true"), part("other", "x"), audio(b"RIFF" + bytes(5000))))

    assert made.values == {"model": "whisper-1", "stream": "true"}
    assert made.file == Part("file", "a.wav", "audio/wav")
    assert made.file_bytes == 5004
    assert made.file_head == b"RIFF" + bytes(FILE_HEAD_BYTES - 4)


def test_a_form_is_known_when_the_file_has_begun_behind_the_model() -> None:
    body = form(MODEL, part("prompt", "x"), audio(LONG))
    begins = body.index(LONG)
    made = Form(BOUNDARY)

    made.feed(body[: begins + FILE_HEAD_BYTES - 1])
    early = made.known
    made.feed(body[begins + FILE_HEAD_BYTES - 1 : begins + FILE_HEAD_BYTES])

    assert not early
    assert made.known


def test_a_form_with_a_small_file_is_known_when_the_file_has_ended() -> None:
    body = form(MODEL, audio(b"x"), part("prompt", "x"))
    begins = body.index(b'"prompt"')
    made = Form(BOUNDARY)

    made.feed(body[:begins])
    early = made.known
    made.feed(body[begins : begins + 20])

    assert not early
    assert made.known
    assert not made.ended


@pytest.mark.parametrize(
    "parts", [(audio(LONG), MODEL), (MODEL,), (audio(LONG),)], ids=["first", "none", "alone"]
)
def test_a_form_in_another_order_is_known_when_all_of_it_has_come(parts: tuple[bytes, ...]) -> None:
    body = form(*parts)
    made = Form(BOUNDARY)

    made.feed(body[:-5])
    early = made.known
    made.feed(body[-5:])

    assert not early
    assert made.known


def test_a_field_that_stands_behind_the_file_is_read_before_the_form_goes_on_if_the_model_does_too() -> None:
    made = fed(form(audio(), MODEL, part("max_cost_usd", "1")))

    assert made.values == {"model": "whisper-1", "max_cost_usd": "1"}
    assert gone(made) == form(audio(), THERE)


@pytest.mark.parametrize("size", [1, 7, 5_000])
def test_a_form_has_a_digest_as_soon_as_it_is_known_and_the_same_however_it_comes(size: int) -> None:
    def known(*parts: bytes, size: int = 1 << 20) -> bytes:
        made = Form(BOUNDARY)
        for piece in cut(form(*parts), size):
            made.feed(piece)
            if made.known:
                return made.digest
        raise AssertionError

    language, late = part("language", "de"), part("prompt", "x")
    same = known(MODEL, language, audio(LONG), late)
    last = known(audio(LONG), language, MODEL)

    assert known(MODEL, language, audio(LONG), late, size=size) == same
    assert known(audio(LONG), language, MODEL, size=size) == last
    others = [
        known(MODEL, part("language", "fr"), audio(LONG), late),
        known(MODEL, part("languag", "ede"), audio(LONG), late),
        known(MODEL, language, audio(b"x" + LONG), late),
        known(MODEL, language, audio(LONG, filename="b.wav"), late),
        last,
        known(audio(LONG), part("language", "fr"), MODEL),
    ]
    assert len({same, *others}) == 7


def test_what_stands_behind_the_file_of_a_form_that_goes_on_as_it_comes_is_not_read() -> None:
    late, early = part("stream", "true"), part("stream", "false")

    going = fed(form(MODEL, early, audio(), late))
    waiting = fed(form(audio(), late, MODEL))

    assert going.values["stream"] == "false"
    assert waiting.values["stream"] == "true"


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("name", ["max_cost_usd", "models", "provider", "usage"])
def test_what_would_change_where_a_form_goes_stands_before_the_file(name: str, size: int) -> None:
    with pytest.raises(BadRequest, match="before the file") as refused:
        fed(form(MODEL, audio(), part(name, "1")), size)

    assert refused.value.param == name


@pytest.mark.parametrize("parts", [(MODEL, MODEL, audio()), (MODEL, audio(), MODEL), (audio(), MODEL, MODEL)])
def test_a_model_that_stands_twice_is_refused(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(BadRequest, match="stands twice") as refused:
        fed(form(*parts))

    assert refused.value.param == "model"


def test_a_model_that_is_a_file_or_no_text_is_refused() -> None:
    for odd in (part("model", "x", filename="x"), part("model", b"\xff")):
        with pytest.raises(BadRequest) as refused:
            fed(form(odd, audio()))
        assert refused.value.param == "model"


@pytest.mark.parametrize(("name", "most"), [("model", VALUE_BYTES_MAX), ("prompt", FIELD_BYTES_MAX)])
@pytest.mark.parametrize("size", [0, 50_000])
def test_a_field_has_a_limit_and_a_file_has_none(name: str, most: int, size: int) -> None:
    fed(form(part(name, "x" * most), audio(bytes(FIELD_BYTES_MAX + 1))), size)

    with pytest.raises(RequestTooLarge, match=f"'{name}' is larger than {most}"):
        fed(form(part(name, "x" * (most + 1)), audio()), size)


def test_small_pieces_go_on_together_and_what_went_on_is_not_kept() -> None:
    made = Form(BOUNDARY)
    body = form(MODEL, part("prompt", "x"), audio(LONG))

    sizes = []
    for piece in cut(body, 10_000):
        made.feed(piece)
        if made.known:
            sizes.append(len(made.take("hidden")))
            assert made.take("hidden") == b""

    assert sum(sizes) == made.size(len(body), "hidden")
    assert len(sizes) < len(body) / 10_000 + 2

    whole = fed(body, 10_000)
    assert len(whole.take("hidden")) < PIECE_BYTES + 10_000


def test_other_files_go_on_as_they_are_and_say_nothing() -> None:
    files = [part("file", "two", filename="b"), part("other", LONG * 5, filename="c")]
    body = form(part("stream", "true", filename="d"), MODEL, audio(b"one"), *files)

    made = fed(body)

    assert made.values == {"model": "whisper-1"}
    assert (made.file, made.file_bytes) == (Part("file", "a.wav", "audio/wav"), 3)
    assert gone(made) == body.replace(b"whisper-1", b"hidden")


def test_a_file_needs_no_name() -> None:
    made = fed(form(MODEL, part("file", bytes(FIELD_BYTES_MAX + 1))))

    assert made.file == Part("file")
    assert made.file_bytes == FIELD_BYTES_MAX + 1
