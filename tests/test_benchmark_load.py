"""The load generator of the benchmarks finds what is wrong. Without a C compiler the benchmarks say so."""

import shutil
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from figures import EXPECTED, Load
from stage import HERE, missing

REQUEST = b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n"
RIGHT = b"{" + EXPECTED.encode() + b"}"
Answer = Callable[[int], bytes | None]
"""What the request of that number on a connection gets; None: the connection ends."""


def answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


def in_pieces(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@contextmanager
def serving(said: Answer) -> Iterator[int]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            number = 0
            while self.request.recv(4_096):
                told = said(number)
                if told is None:
                    return
                self.request.sendall(told)
                number += 1

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    if shutil.which("gcc") is None:
        return None
    file = tmp_path_factory.mktemp("load") / "load"
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-o", str(file), str(HERE / "load.c")], check=True)
    return file


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        pytest.param(lambda _: answer(RIGHT), "right", id="right answers"),
        pytest.param(lambda _: in_pieces(RIGHT), "right", id="in chunks"),
        pytest.param(lambda _: answer(b" " * 9_000 + RIGHT), "right", id="long ones"),
        pytest.param(lambda number: answer(RIGHT if number % 3 else b"{}"), "wrong", id="no usage in some"),
        pytest.param(lambda _: answer(RIGHT, b"503 No"), "wrong", id="another status"),
        pytest.param(lambda number: answer(RIGHT) if number % 3 < 2 else None, "broken", id="broken off"),
    ],
)
@pytest.mark.parametrize("mode", [pytest.param("closed", id="closed"), pytest.param("open", id="open")])
def test_an_answer_is_right_wrong_or_broken_off(
    tmp_path: Path, program: Path | None, said: Answer, verdict: str, mode: str
) -> None:
    if program is None:
        assert "gcc" in missing()
        return
    request = tmp_path / "request"
    request.write_bytes(REQUEST)

    with serving(said) as port:
        command = [str(program), mode, str(port), str(request), EXPECTED, "2", "0.2", "500"]
        done = subprocess.run(command, capture_output=True, check=True)
    load = msgspec.json.decode(done.stdout, type=Load)

    assert load.right == (verdict == "right"), load
    assert load.answers > 0
    assert (load.wrong > 0, load.broken > 0) == (verdict == "wrong", verdict == "broken")
