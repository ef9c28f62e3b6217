"""The short way to read a chat of texts reads what the careful one reads, or nothing."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deeptoken.errors import BadRequest
from deeptoken.wire.chat import Chat, read_carefully, read_texts

TEXTS = st.one_of(st.text(max_size=8), st.sampled_from(['a "quoted": x', '":', "\\", "\ud83d\ude00", "null"]))
NUMBERS = st.sampled_from([0, 1, 256, 1.0, 1e2, 0.5, -1, True, None, "3", 2**40])
ROLES = st.sampled_from(["user", "user", "system", "assistant", "tool", "bogus"])
PARTS = st.just([{"type": "text", "text": "x"}])
PLAIN = st.fixed_dictionaries({"role": ROLES, "content": TEXTS})
ODD: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"role": ROLES, "content": st.one_of(TEXTS, st.none(), PARTS)},
    optional={"name": TEXTS, "odd": st.one_of(NUMBERS, TEXTS), "tool_calls": st.sampled_from([None, []])},
)
FIELDS = {
    "stream": st.sampled_from([True, False, None, 1]),
    "stream_options": st.sampled_from([None, {}, {"include_usage": True}, {"include_usage": None}, {"x": 1}]),
    "stop": st.sampled_from(["a", ["a", "b"], None, 3]),
    "user": TEXTS,
    "tools": st.sampled_from([None, [], [{"type": "function", "function": {"name": "f"}}]]),
    "tool_choice": st.sampled_from([None, "auto", "bogus", {"type": "function"}]),
    "response_format": st.sampled_from([None, {"type": "text"}, {}]),
    "usage": st.just({"include": True}),
    "provider": st.just({}),
    "extra": TEXTS,
    **dict.fromkeys(("n", "temperature", "top_p", "max_tokens", "max_completion_tokens", "seed"), NUMBERS),
}
BODIES = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["m", "m", "m", "", 3]),
        "messages": st.one_of(st.lists(PLAIN, max_size=3), st.lists(st.one_of(PLAIN, ODD), max_size=3)),
    },
    optional=FIELDS,
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (",", " : ")])
MESSAGES = b'"messages":[{"role":"user","content":"a"}]'


def told(read: Callable[[bytes], Chat | None], body: bytes) -> Chat | tuple[str, str | None] | None:
    try:
        return read(body)
    except BadRequest as error:
        return str(error), error.param


@given(
    BODIES,
    SEPARATORS,
    st.booleans(),
    st.one_of(st.none(), st.tuples(st.integers(0, 400), st.integers(0, 255))),
)
def test_a_chat_of_texts_is_read_as_any_other(
    fields: dict[str, object], separators: tuple[str, str], escaped: bool, broken: tuple[int, int] | None
) -> None:
    written = json.dumps(fields, ensure_ascii=escaped, separators=separators)
    body = bytearray(written.encode("utf-8", "surrogatepass"))
    if broken is not None and broken[0] < len(body):
        body[broken[0]] = broken[1]
    short = told(read_texts, bytes(body))

    assert short is None or short == told(read_carefully, bytes(body))


def test_what_stands_twice_or_is_not_known_is_read_with_care() -> None:
    bodies = (
        b'{"model":"m",%b,%b}' % (MESSAGES, MESSAGES),
        b'{"model":"m","model":"n",%b}' % MESSAGES,
        b'{"model":"m","messages":[{"role":"user","role":"user","content":"a"}]}',
        b'{"model":"m","messages":[{"role":"user","content":"a","odd":"\\ud800"}]}',
        b'{"model":"m",%b,"odd":1}' % MESSAGES,
        b'{"model":"m",%b,"tools":[{"type":"x"}]}' % MESSAGES,
        b'{"model":"m",%b,"max_cost_usd":1}' % MESSAGES,
        b'{"model":"m", %b,"user":"a \\":b"}' % MESSAGES,
        b'{"model":"m","messages":[{"role":"user","content":"a","content":"a"}]}',
        b'{"model":"m",%b,"stop":"a","st\\u006fp":"a"}' % MESSAGES,
        b'{"model":"m",%b,"tool_choice":{"type":"x"}}' % MESSAGES,
    )

    assert [read_texts(body) for body in bodies] == [None] * len(bodies)


def test_a_usual_chat_is_read_the_short_way() -> None:
    bare = b'{"model":"m",%b,"stream":true,"stream_options":{"include_usage":true},"seed":null}' % MESSAGES
    spaced = bare.replace(b":", b": ").replace(b",", b" ,\n")

    for body in (bare, spaced):
        chat = read_texts(body)
        assert chat is not None
        assert chat == read_carefully(body)
        assert list(chat.fields) == ["messages", "stream", "stream_options"]


def test_a_text_that_looks_like_a_key_is_read_the_short_way_where_nothing_has_spaces() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"a \\":b"},{"content":"","role":"system"}]}'

    chat = read_texts(body)

    assert chat is not None
    assert chat == read_carefully(body)
