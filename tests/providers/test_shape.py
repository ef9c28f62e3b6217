"""The short way through a stream says what the long way says, of whatever comes."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from deeptoken.providers.base import Asked, Malformed, Piece
from deeptoken.providers.compatible import HOSTS
from deeptoken.providers.openai import ChunkStream
from deeptoken.providers.shape import Words, shape
from deeptoken.wire.choice import FIELDS

ASKED = Asked(model="m/canonical", id="chatcmpl-ours", created=1_700_000_000)
HOST = next(host for host in HOSTS if host.name == "openai")

texts = st.text(max_size=6) | st.sampled_from(['"choices":[]', "[]", '}]}"', "\\", "\u2028", "\r\n"])
deltas = st.fixed_dictionaries(
    {},
    optional={
        "content": texts | st.none(),
        "role": st.just("assistant"),
        "reasoning": texts,
        "reasoning_content": texts,
        "refusal": texts,
        "tool_calls": st.lists(
            st.fixed_dictionaries(
                {"index": st.integers(0, 1)},
                optional={
                    "id": st.sampled_from(["call_1", "call_2"]),
                    "type": st.just("function"),
                    "function": st.fixed_dictionaries({"arguments": texts}, optional={"name": texts}),
                },
            ),
            max_size=2,
        ),
        "audio": st.none() | st.just({"data": "AA"}),
    },
)
choice = st.fixed_dictionaries(
    {
        "index": st.sampled_from([0, 0, 0, 1]),
        "delta": deltas,
        "finish_reason": st.sampled_from([None, "stop", "eos"]),
    },
    optional={"logprobs": st.none(), "x": st.just([{"choices": []}])},
)
plain = texts.map(lambda text: [{"index": 0, "delta": {"content": text}, "finish_reason": None}])
odd = st.lists(choice, max_size=2)
choices: st.SearchStrategy[object] = st.integers(0, 5).flatmap(lambda number: plain if number else odd)
heads: st.SearchStrategy[dict[str, object]] = st.sampled_from(
    [
        {"id": "up-1", "object": "chat.completion.chunk", "created": 5, "model": "up"},
        {"id": "up-1", "created": 5, "model": "up", "system_fingerprint": "fp_1"},
        {"id": "up-1", "created": 5, "model": "up", "system_fingerprint": "fp_2"},
        {"id": 'a"choices":[', "created": 0, "nested": {"choices": []}},
    ]
)
tails: st.SearchStrategy[dict[str, object]] = st.sampled_from(
    [{}, {"usage": None}, {"obfuscation": "x"}, {"choices2": []}, {"error": None}, {"usage": {}}]
)
spaces = st.sampled_from([(",", ":"), (",", ":"), (", ", ": "), (",\n", ":"), (" ,", " :")])
raw_bytes = st.sampled_from([b"", b"\xff", b"\r"])


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Events of one host, most of them alike around their choices."""
    usual, tail, space = draw(heads), draw(tails), draw(spaces)
    events = []
    for _ in range(draw(st.integers(5, 9))):
        head = draw(st.just(usual) | st.just(usual) | heads)
        if draw(st.integers(0, 9)) == 0:
            tail = draw(tails)
        fields = {**head, "choices": draw(choices), **tail}
        data = written(fields, *space)
        if draw(st.integers(0, 9)) == 0:
            place = draw(st.integers(0, len(data)))
            data = data[:place] + draw(raw_bytes) + data[place:]
        events.append(b"".join(b"data: %b\n" % line for line in data.split(b"\n")) + b"\n")
    return events


def written(value: object, comma: str, colon: str) -> bytes:
    """JSON with those separators."""
    return json.dumps(value, separators=(comma, colon), ensure_ascii=False).encode()


def read(events: list[bytes], *, short: bool) -> tuple[list[Piece], str]:
    stream = ChunkStream(HOST, ASKED)
    if not short:
        stream._shapes = 0
    pieces: list[Piece] = []
    try:
        for event in events:
            pieces += stream.feed(event)
        pieces += stream.end()
    except Malformed as error:
        return pieces, str(error)
    return pieces, ""


@given(streams())
def test_both_ways_give_the_same_pieces(events: list[bytes]) -> None:
    short = read(events, short=True)
    long = read(events, short=False)

    assert short == long


def test_the_short_way_is_taken() -> None:
    choices = b'[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]'
    event = b'data: {"id":"up-1","created":5,"choices":' + choices + b',"usage":null}\n\n'
    stream = ChunkStream(HOST, ASKED)
    pieces = [piece for word in (b"a", b"b", b"c") for piece in stream.feed(event % word)]

    assert stream._shape is not None
    assert stream._shape.piece(event % b"d", stream._chunks) is not None
    assert [piece.text for piece in pieces] == ["a", "b", "c"]
    assert msgspec.json.decode(pieces[2].data)["model"] == "m/canonical"


def words_of(choices: bytes, *, text: bytes = b"a") -> Words | None:
    """The shape of events with those choices, `%b` for a text, once two of them were read."""
    event = b'data: {"id":"up-1","created":5,"choices":' + choices + b"}\n\n"
    stream = ChunkStream(HOST, ASKED)
    for _ in range(3):
        list(stream.feed(event % text))
    return stream._words


def test_of_choices_that_differ_in_a_text_only_that_is_read() -> None:
    one = words_of(b'[{"index":0,"delta":{"content": "%b","refusal":null},"finish_reason":null}]')
    event = b'data: {"id":"up-1","created":5,"choices":[{"index":0,"delta":{"content": %b,"refusal":null},'
    event += b'"finish_reason":null}]}\n\n'

    assert one is not None
    told = one.piece(event % b'"b \\" \xc3\xa9"')
    assert told is not None
    assert (told.text, told.content) == ('b " \u00e9', True)
    assert msgspec.json.decode(told.data)["choices"][0]["delta"]["content"] == told.text
    others = (b'""', b"null", b'"a","content":"b"', b' "b"', b'"b" ', b'"b\n"', b'"\xff"', b'"', b"")
    assert [one.piece(event % other) for other in others] == [None] * len(others)


def test_a_text_beside_others_is_not_read_alone() -> None:
    beside = (
        b'"content":"%b","reasoning_content":"x"',
        b'"content":"%b","audio":{"content":"x"}',
        b'"content":"%b","tool_calls":[]',
        b'"c\\u006fntent":"x","content":"%b"',
        b'"content" :"%b"',
        b'"refusal":"%b"',
    )

    for fields in beside:
        assert words_of(b'[{"index":0,"delta":{' + fields + b'},"finish_reason":null}]') is None, fields


def test_behind_a_finish_no_text_is_read() -> None:
    choices = b'[{"index":0,"delta":{"content":"a"},"finish_reason":%b}]'
    event = b'data: {"id":"up-1","created":5,"choices":' + choices + b"}\n\n"
    stream = ChunkStream(HOST, ASKED)
    pieces = [
        piece
        for reason in (b"null", b"null", b"null", b'"stop"', b"null")
        for piece in stream.feed(event % reason)
    ]

    assert [piece.finish for piece in pieces] == [False, False, False, True]
    assert stream._words is None


def test_an_event_whose_key_stands_twice_has_no_shape() -> None:
    data = b'{"x":{"choices":[1]},"choices":[1]}'
    fields = FIELDS.decode(data)

    assert shape(data, fields, fields["choices"]) is None
