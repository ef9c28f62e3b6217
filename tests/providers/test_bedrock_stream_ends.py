"""How Bedrock's streams end: rightly, cut, broken or with an error."""

import pytest
from bedrock_events import ASKED, STARTED, THINKING_AND_TOOLS, begin, delta, put_together, stopped, told

from aws_frames import error, event, exception, frame
from deeptoken.providers.base import Malformed
from deeptoken.providers.bedrock import Bedrock


def test_the_end_of_the_connection_after_a_reason_is_an_end() -> None:
    stream = Bedrock().stream(ASKED)

    pieces = [*stream.feed(STARTED + stopped("max_tokens") + told()[:9]), *stream.end()]

    assert put_together(pieces)["finish"] == "length"
    assert not stream.done


def test_a_usage_without_a_reason_is_a_stop() -> None:
    stream = Bedrock().stream(ASKED)

    pieces = [*stream.feed(STARTED + delta(0, text="Hi") + told(inputTokens=1, outputTokens=1))]

    assert put_together(pieces)["finish"] == "stop"
    assert stream.done


def test_a_second_reason_finishes_nothing_and_nothing_follows_the_end() -> None:
    stream = Bedrock().stream(ASKED)
    data = STARTED + stopped("end_turn") + stopped("max_tokens") + told(inputTokens=1, outputTokens=1)

    pieces = [*stream.feed(data + delta(0, text="x")), *stream.end()]

    assert sum(piece.finish for piece in pieces) == 1
    assert put_together(pieces)["content"] == ""


@pytest.mark.parametrize("data", [b"", STARTED, STARTED + delta(0, text="Hel"), STARTED + b"\0\0\0"])
def test_a_stream_that_was_cut_is_malformed(data: bytes) -> None:
    stream = Bedrock().stream(ASKED)
    list(stream.feed(data))

    with pytest.raises(Malformed, match="cut"):
        list(stream.end())


def test_a_stream_cut_anywhere_before_its_reason_is_malformed() -> None:
    last = THINKING_AND_TOOLS.index(b"messageStop")

    for cut in range(0, last, 7):
        stream = Bedrock().stream(ASKED)
        list(stream.feed(THINKING_AND_TOOLS[:cut]))
        with pytest.raises(Malformed):
            list(stream.end())


def test_a_bit_that_fell_over_is_malformed_and_what_came_before_it_is_read() -> None:
    good = STARTED + delta(0, text="Hi")
    broken = bytearray(delta(0, text="there"))
    broken[-10] ^= 4
    stream = Bedrock().stream(ASKED)
    texts: list[str] = []

    with pytest.raises(Malformed, match="checksum"):
        texts.extend(piece.text for piece in stream.feed(good + bytes(broken)))

    assert texts == ["", "Hi"]


@pytest.mark.parametrize(
    "data",
    [
        b"<html><body>Bad gateway</body></html>",
        b'{"message": "Too many requests"}',
        b"data: {}\n\ndata: [DONE]\n\n",
        frame({":message-type": "event", ":event-type": "metadata"}, b"{"),
        frame({":message-type": "event", ":event-type": "metadata"}, b"\xff"),
        frame({":message-type": "event", ":event-type": "messageStop"}, b"[]"),
        event("contentBlockDelta", contentBlockIndex="x", delta={}),
        event("contentBlockDelta", contentBlockIndex=0, delta={"text": 7}),
        STARTED + begin(0, toolUse={"name": "n"}) + delta(0, toolUse={"input": {"a": 1}}),
    ],
)
def test_what_is_no_event_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(Bedrock().stream(ASKED).feed(data))


@pytest.mark.parametrize("reason", ["malformed_tool_use", "malformed_model_output"])
def test_an_answer_that_the_model_could_not_write_is_malformed(reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        list(Bedrock().stream(ASKED).feed(STARTED + stopped(reason)))


def test_events_that_say_nothing_here_are_skipped() -> None:
    nothing = (
        frame({":message-type": "event", ":event-type": "initial-response"}),
        frame({":message-type": "someNewType"}, b"\xff"),
        frame({}, b"\xff"),
        begin(0, image={"format": "png"}),
        delta(0, image={"source": {"bytes": "AA=="}}),
        delta(4, toolUse={"input": "x"}),
        delta(0, reasoningContent={"text": ""}),
        delta(0, text=""),
    )

    pieces = list(Bedrock().stream(ASKED).feed(STARTED + b"".join(nothing)))

    assert len(pieces) == 1


@pytest.mark.parametrize(
    ("kind", "cause", "status"),
    [
        ("internalServerException", "outage", 500),
        ("modelStreamErrorException", "outage", 424),
        ("serviceUnavailableException", "outage", 503),
        ("throttlingException", "capacity", 429),
        ("modelTimeoutException", "slow", 408),
        ("validationException", "caller", 400),
        ("accessDeniedException", "credential", 403),
        ("somethingNew", "outage", 500),
    ],
)
def test_an_exception_is_a_failure_and_nothing_follows_it(kind: str, cause: str, status: int) -> None:
    stream = Bedrock().stream(ASKED)
    data = STARTED + delta(0, text="a") + exception(kind, message="Sorry.") + delta(0, text="b")

    pieces = [*stream.feed(data), *stream.end()]

    failure = pieces[-1].failure
    assert failure is not None
    assert (failure.cause, failure.status, failure.kind, failure.message) == (cause, status, kind, "Sorry.")
    assert stream.done
    assert put_together(pieces)["content"] == "a"


def test_an_error_frame_is_a_failure() -> None:
    pieces = list(Bedrock().stream(ASKED).feed(error("ThrottlingException", "Wait.") + STARTED))

    (failure,) = (piece.failure for piece in pieces)
    assert failure is not None
    assert (failure.cause, failure.message) == ("capacity", "Wait.")


def test_an_exception_may_say_what_the_model_said_or_nothing() -> None:
    told = exception("modelStreamErrorException", originalStatusCode=500, originalMessage="It broke.")
    silent = frame({":message-type": "exception", ":exception-type": "modelStreamErrorException"})

    messages = [next(iter(Bedrock().stream(ASKED).feed(data))).failure for data in (told, silent)]

    assert [failure.message for failure in messages if failure] == [
        "It broke.",
        "Bedrock answered with modelStreamErrorException and no message.",
    ]
