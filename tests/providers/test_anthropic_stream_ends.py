"""How Anthropic's streams end: rightly, cut, broken or with an error."""

import json

import pytest
from anthropic_events import ASKED, END, begin, delta, events, put_together, read, started, stop, told

from deeptoken.providers.anthropic import Anthropic
from deeptoken.providers.base import Malformed


def test_a_stream_that_ends_without_a_reason_has_stopped() -> None:
    pieces = read(events(started(), begin(0, type="text", text="Hi"), stop(0), END))

    assert put_together(pieces)["finish"] == "stop"
    assert sum(piece.finish for piece in pieces) == 1


def test_a_second_reason_finishes_nothing() -> None:
    pieces = read(events(started(), told("end_turn"), told("end_turn", output_tokens=1), END))

    assert sum(piece.finish for piece in pieces) == 1


def test_the_end_of_the_connection_after_a_reason_is_an_end() -> None:
    stream = Anthropic().stream(ASKED)

    pieces = [*stream.feed(events(started(), told("max_tokens"))), *stream.end()]

    assert put_together(pieces)["finish"] == "length"
    assert not stream.done


@pytest.mark.parametrize(
    "data",
    [
        b"",
        events(started(), begin(0, type="text", text=""), delta(0, type="text_delta", text="Hel")),
        b"<html><body>Bad gateway</body></html>",
        b'{"type": "error", "error": {"type": "overloaded_error", "message": "x"}}',
    ],
)
def test_a_stream_that_was_cut_is_malformed(data: bytes) -> None:
    stream = Anthropic().stream(ASKED)
    list(stream.feed(data))

    with pytest.raises(Malformed):
        list(stream.end())


@pytest.mark.parametrize(
    "data", [b"data: {\n\n", b"data: 1\n\n", b"data: \xff\n\n", b'data: {"type": 1}\n\n']
)
def test_an_event_that_is_no_event_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(Anthropic().stream(ASKED).feed(data))


def test_an_event_larger_than_the_limit_is_malformed() -> None:
    stream = Anthropic().stream(ASKED)

    for _ in range(8):
        list(stream.feed(b"x" * 1024 * 1024))
    with pytest.raises(Malformed):
        list(stream.feed(b"x"))


@pytest.mark.parametrize(
    ("kind", "cause", "status"),
    [
        ("overloaded_error", "outage", 529),
        ("api_error", "outage", 500),
        ("timeout_error", "outage", 504),
        ("rate_limit_error", "capacity", 429),
        ("invalid_request_error", "caller", 400),
        ("request_too_large", "caller", 413),
        ("authentication_error", "credential", 401),
        ("billing_error", "credential", 402),
        ("permission_error", "credential", 403),
        ("not_found_error", "misconfigured", 404),
        ("something_new", "outage", 500),
    ],
)
def test_an_error_event_is_a_failure_and_nothing_follows_it(kind: str, cause: str, status: int) -> None:
    stream = Anthropic().stream(ASKED)
    error = {"type": "error", "error": {"type": kind, "message": "Sorry."}}
    data = events(started(), begin(0, type="text", text="a"), error, delta(0, type="text_delta", text="b"))

    pieces = [*stream.feed(data), *stream.end()]

    failure = pieces[-1].failure
    assert failure is not None
    assert (failure.cause, failure.status, failure.kind, failure.message) == (cause, status, kind, "Sorry.")
    assert stream.done
    assert put_together(pieces)["content"] == "a"


def test_an_error_event_without_words_is_an_outage() -> None:
    pieces = list(Anthropic().stream(ASKED).feed(b'data: {"type": "error"}\n\n'))

    assert pieces[0].failure is not None
    assert pieces[0].failure.cause == "outage"


def test_the_id_is_the_providers_once_it_is_told_and_ours_before() -> None:
    stream = Anthropic().stream(ASKED)
    assert stream.upstream_id is None

    list(stream.feed(events(started())))

    assert stream.upstream_id == "msg_1"
    nameless = list(Anthropic().stream(ASKED).feed(events({"type": "message_start", "message": {}})))
    assert json.loads(nameless[0].data)["id"] == "chatcmpl-7"
