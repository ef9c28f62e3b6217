"""The log: what a line says and never says, that none vanishes, and that a slow reader holds nothing up."""

import asyncio
import io
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import msgspec
import pytest

from deeptoken.observe import logs
from deeptoken.observe.logs import Forwarded, Log
from deeptoken.observe.record import Record

SECRET = "sk-hidden"
FIELDS = (
    "time", "level", "event", "id", "request_id", "endpoint", "key", "wallet", "model", "channel", "attempts",
    "stream", "status", "code", "outcome", "prompt_tokens", "completion_tokens", "charged", "ttft_ms",
    "duration_ms", "overhead_ms",
)  # fmt: skip
"""Of a request's line, in the order of the specification."""


def lines_of(sink: io.BytesIO) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in sink.getvalue().splitlines()]


def record(**facts: Any) -> Record:
    usual: dict[str, Any] = {
        "time": logs.timestamp(), "level": "info", "event": "request", "id": "i", "request_id": "r",
        "endpoint": "chat", "key": "ci", "wallet": "user:ops", "model": "m", "channel": "a", "attempts": 1,
        "stream": True, "status": 200, "code": None, "outcome": "complete", "prompt_tokens": 12,
        "completion_tokens": 7, "charged": msgspec.Raw(b"0.025"), "ttft_ms": 9, "duration_ms": 120,
        "overhead_ms": 0.4,
    }  # fmt: skip
    return Record(**(usual | facts))


def failed(message: str) -> ValueError:
    """An error that was raised, so that it has frames."""
    try:
        raise ValueError(message)
    except ValueError as error:
        return error


class Blocked(io.BytesIO):
    """A reader that takes nothing until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()

    def write(self, data: Any) -> int:
        self.let.wait()
        return super().write(data)


class Dripping(io.BytesIO):
    """A reader that takes three bytes at a time."""

    def write(self, data: Any) -> int:
        return super().write(bytes(data[:3]))


@pytest.fixture
def loggers() -> Iterator[list[logging.Logger]]:
    """Loggers that tell all they are told to nobody yet."""
    found = [
        logging.getLogger(name) for name in ("deeptoken.store", "uvicorn.error", "asyncio", "deeptokens")
    ]
    before = [(logger.level, logger.propagate, list(logger.handlers)) for logger in found]
    for logger in found:
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
    yield found
    for logger, (level, propagate, handlers) in zip(found, before, strict=True):
        logger.setLevel(level)
        logger.propagate, logger.handlers = propagate, handlers


def test_a_request_s_line_has_the_fields_of_the_specification_in_their_order() -> None:
    sink = io.BytesIO()

    with Log(sink) as log:
        log.request(record(code="odd\nline"))

    (line,) = lines_of(sink)
    assert tuple(line) == FIELDS
    assert (line["event"], line["charged"], line["code"]) == ("request", 0.025, "odd\nline")


def test_an_event_has_its_time_its_level_and_its_facts() -> None:
    sink = io.BytesIO()

    with Log(sink) as log:
        log.event("reloaded", channels=2, changed=None)
        log.event("operator_loss", "warning", credits="0.1")

    told, loss = lines_of(sink)
    assert list(told) == ["time", "level", "event", "channels", "changed"]
    assert (told["level"], told["event"], told["channels"]) == ("info", "reloaded", 2)
    assert (loss["level"], loss["credits"]) == ("warning", "0.1")


def test_an_unexpected_error_tells_its_type_and_its_frames_and_not_its_message() -> None:
    sink = io.BytesIO()

    with Log(sink) as log:
        log.unexpected("i", failed(f"invalid header value b'Bearer {SECRET}'"))

    (line,) = lines_of(sink)
    assert (line["level"], line["event"], line["id"], line["error"]) == (
        "error",
        "unexpected",
        "i",
        "ValueError",
    )
    assert "test_logs.py" in line["traceback"]
    assert "in failed" in line["traceback"]
    assert SECRET.encode() not in sink.getvalue()


def test_a_line_is_kept_wherever_the_writer_comes_between() -> None:
    sink = io.BytesIO()
    log = Log(sink)
    steps = 0

    def between(frame: FrameType, event: str, _: object) -> Any:
        nonlocal steps
        if frame.f_code is not Log._put.__code__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            steps += 1
            log._flush()
        return between

    before = sys.gettrace()
    sys.settrace(between)
    try:
        log.event("one")
        log.event("two")
    finally:
        sys.settrace(before)
    log._flush()

    assert steps > 10
    assert [line["event"] for line in lines_of(sink)] == ["one", "two"]


def test_no_line_vanishes_while_many_threads_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FLUSH_S", 0)
    monkeypatch.setattr(logs, "LINES_MAX", 200)
    sink = io.BytesIO()
    threads, each, interval = 4, 5_000, sys.getswitchinterval()

    def many(number: int) -> None:
        for n in range(each):
            log.event("one", number=number, n=n)

    sys.setswitchinterval(1e-6)
    try:
        with Log(sink) as log:
            workers = [threading.Thread(target=many, args=(number,)) for number in range(threads)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
    finally:
        sys.setswitchinterval(interval)

    written = lines_of(sink)
    lost = sum(line["lines"] for line in written if line["event"] == "log_lost")
    told = [(line["number"], line["n"]) for line in written if line["event"] == "one"]
    assert len(told) + lost == threads * each
    for number in range(threads):
        places = [n for who, n in told if who == number]
        assert places == sorted(set(places))


def test_what_does_not_fit_is_counted_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LINES_MAX", 2)
    sink = io.BytesIO()
    log = Log(sink)

    for n in range(5):
        log.event("one", n=n)
    with log:
        pass

    *kept, told = lines_of(sink)
    assert [line["n"] for line in kept] == [0, 1]
    assert (told["event"], told["level"], told["lines"]) == ("log_lost", "warning", 3)


def test_a_reader_that_takes_a_few_bytes_at_a_time_gets_whole_lines() -> None:
    sink = Dripping()

    with Log(sink) as log:
        log.event("one")
        log.event("two")

    assert [line["event"] for line in lines_of(sink)] == ["one", "two"]


def test_a_reader_that_has_gone_stops_nothing() -> None:
    sink = io.BytesIO()
    sink.close()

    with Log(sink) as log:
        log.event("one")


def test_a_blocked_reader_does_not_hang_the_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert logs.STOP_S <= 2
    monkeypatch.setattr(logs, "STOP_S", 0.01)
    sink = Blocked()

    with Log(sink) as log:
        log.event("one")

    assert sink.getvalue() == b""
    sink.let.set()


def test_a_process_whose_error_output_nobody_reads_ends() -> None:
    program = """if True:
        from deeptoken.observe import logs
        logs.STOP_S = 0.1
        with logs.Log() as log:
            for n in range(5_000):
                log.event("one", n=n, more="x" * 100)
    """

    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) as process:
        ended = process.wait(30)

    assert ended == 0


def test_what_logging_is_told_becomes_lines(loggers: list[logging.Logger]) -> None:
    store, uvicorn, _, stranger = loggers
    sink = io.BytesIO()

    with Log(sink) as log:
        for logger in loggers:
            logger.addHandler(Forwarded(log))
        store.debug("too small")
        store.info("the ledger can be written again")
        uvicorn.info("Started server process")
        stranger.info("not ours, whatever its name begins with")
        uvicorn.warning("Invalid HTTP request received: %d", 3)
        store.error("the ledger cannot be written")

    lines = lines_of(sink)
    assert [list(line) for line in lines] == [["time", "level", "event", "logger", "message"]] * 3
    assert [(line["event"], line["level"], line["logger"], line["message"]) for line in lines] == [
        ("log", "info", "deeptoken.store", "the ledger can be written again"),
        ("log", "warning", "uvicorn.error", "Invalid HTTP request received: 3"),
        ("log", "error", "deeptoken.store", "the ledger cannot be written"),
    ]


def test_an_error_that_asyncio_tells_of_is_told_without_its_message(loggers: list[logging.Logger]) -> None:
    sink = io.BytesIO()

    async def story() -> None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": "Task exception was never retrieved", "exception": failed(SECRET)}
        )

    with Log(sink) as log:
        for logger in loggers:
            logger.addHandler(Forwarded(log))
        asyncio.run(story())

    (line,) = (line for line in lines_of(sink) if line["level"] == "error")
    assert (line["logger"], line["message"]) == ("asyncio", "Task exception was never retrieved")
    assert line["error"] == "ValueError"
    assert "in failed" in line["traceback"]
    assert SECRET.encode() not in sink.getvalue()
