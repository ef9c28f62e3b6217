"""`workers = 2`: several processes behind one socket, which callers cannot tell from one."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from conftest import LISTENING
from deeptoken import ids

SECONDS_MAX = 60
WORKERS = 2
CONFIGURATION = """
[server]
port = {port}
workers = 2

[database]
url = "sqlite:///deeptoken.db"

[[channels]]
name = "sim"
provider = "sim"
models = {{ "text" = "text" }}

[[models]]
id = "text"
prompt = 1
completion = 2

[[users]]
name = "ops"
operator = true
grant_usd = 10

[[keys]]
name = "free"
owner = "ops"
secret = "{free}"

[[keys]]
name = "few"
owner = "ops"
secret = "{few}"
rpm = 20

[[keys]]
name = "boss"
owner = "ops"
secret = "{boss}"
scope = "manage"
"""


class Gateway:
    """The real processes, on a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = {name: ids.new_secret() for name in ("free", "few", "boss")}
        self.log = folder / "log"
        self.configure()

    def configure(self, port: int = 0, more: str = "") -> None:
        text = CONFIGURATION.format(port=port, **self.keys) + more
        (self.folder / "deeptoken.toml").write_text(text)

    def spawn(self, *options: str) -> None:
        command = [sys.executable, "-m", "deeptoken", "serve", *options]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env={}, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def start(self, *options: str) -> None:
        self.spawn(*options)
        self.await_log(LISTENING.pattern)
        found = LISTENING.search(self.log.read_text())
        assert found
        self.port = int(found[1].rpartition(":")[2])

    def await_log(self, words: str, times: int = 1) -> None:
        """Until the log says that."""
        for _ in range(SECONDS_MAX * 100):
            if len(re.findall(words, self.log.read_text())) >= times:
                return
            try:
                self.process.wait(0.01)
            except subprocess.TimeoutExpired:
                continue
            break
        raise AssertionError(f"It never said {words}:\n{self.log.read_text()}")

    def until(self, true: Callable[[], bool]) -> None:
        """Other processes hear of a change a moment later."""
        for _ in range(1_000):
            if true():
                return
        raise AssertionError("it never came true")

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(SECONDS_MAX)

    def open(self) -> HTTPConnection:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=SECONDS_MAX)
        connection.connect()
        return connection

    def ask(self, connection: HTTPConnection, method: str, path: str, key: str, body: Any = None) -> Any:
        headers = {"authorization": f"Bearer {self.keys.get(key, key)}", "content-type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        data = answer.read()
        return answer.status, json.loads(data) if data and data[:1] in b"{[" else data

    def call(self, connection: HTTPConnection, key: str) -> int:
        body = {"model": "text", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 3}
        status: int = self.ask(connection, "POST", "/v1/chat/completions", key, body)[0]
        return status

    @property
    def family(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path)
    yield gateway
    if gateway.process.poll() is None:
        gateway.process.kill()
        gateway.process.wait()


def served(gateway: Gateway, pid: int) -> int:
    """How many connections a process has on the gateway's port."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    found = 0
    for line in lines:
        fields = line.split()
        here, state = int(fields[1].rpartition(":")[2], 16), fields[3]
        found += here == gateway.port and state == "01" and fields[9] in inodes
    return found


def test_connections_are_spread_evenly_and_limits_are_exact_over_all_of_them(gateway: Gateway) -> None:
    gateway.start()
    with ExitStack() as stack, ThreadPoolExecutor(24) as pool:
        connections = [stack.enter_context(closing(gateway.open())) for _ in range(24)]
        assert set(pool.map(gateway.call, connections, ["free"] * 24)) == {200}
        # The connection by which it was seen to listen may not be gone yet.
        gateway.until(lambda: sum(served(gateway, pid) for pid in gateway.family) == 24)
        counts = sorted(served(gateway, pid) for pid in gateway.family)
        assert counts[0] == 0, "the writer"
        assert counts[1] >= 9, counts

        statuses = Counter(pool.map(gateway.call, connections, ["few"] * 24))
        statuses.update(pool.map(gateway.call, connections, ["few"] * 24))

        assert statuses == {200: 20, 429: 28}
    assert gateway.stop() == 0


def test_what_is_changed_at_one_worker_holds_there_at_once_and_soon_at_the_others(gateway: Gateway) -> None:
    gateway.start()
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(gateway.open())) for _ in range(8)]
        status, made = gateway.ask(connections[0], "POST", "/api/keys", "boss", {"name": "mine"})
        assert status == 201, made
        assert gateway.call(connections[0], made["secret"]) == 200
        gateway.until(lambda: {gateway.call(one, made["secret"]) for one in connections} == {200})
        status, _ = gateway.ask(connections[1], "POST", f"/api/keys/{made['id']}/revoke", "boss")
        assert status in (200, 204)
        assert gateway.call(connections[1], made["secret"]) == 401
        gateway.until(lambda: {gateway.call(one, made["secret"]) for one in connections} == {401})
    assert gateway.stop() == 0


def test_metrics_and_health_are_of_all_workers(gateway: Gateway) -> None:
    gateway.start()
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(gateway.open())) for _ in range(10)]
        assert {gateway.call(one, "free") for one in connections} == {200}
        for one in connections:
            page = gateway.ask(one, "GET", "/metrics", "free")[1].decode()
            assert 'deeptoken_requests_total{channel="sim",model="text",status="200"} 10.0' in page
            assert "deeptoken_overhead_seconds_count 10.0" in page
            assert "deeptoken_holds_open 0.0" in page
            assert page.count("# TYPE deeptoken_in_flight gauge") == 1
            assert "deeptoken_ledger_commit_seconds_count 0.0" not in page
            status, ready = gateway.ask(one, "GET", "/readyz", "free")
            assert status == 200
            assert {(row["channel"], row["model"]) for row in ready["health"]} == {
                ("sim", None),
                ("sim", "text"),
            }
    assert gateway.stop() == 0


def test_the_file_is_read_again_by_all_of_them(gateway: Gateway) -> None:
    gateway.start()
    later = ids.new_secret()
    gateway.configure(more=f'\n[[keys]]\nname = "later"\nowner = "ops"\nsecret = "{later}"\n')
    gateway.process.send_signal(signal.SIGHUP)
    gateway.await_log('"reloaded"')
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(gateway.open())) for _ in range(8)]
        gateway.until(lambda: {gateway.call(one, later) for one in connections} == {200})
        gateway.configure(more="\n[broken")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.await_log('"reload_failed"')
        assert {gateway.call(one, later) for one in connections} == {200}
    assert gateway.stop() == 0
    assert gateway.log.read_text().count('"reloaded"') == 1


def test_a_start_that_fails_says_why_and_leaves_nothing_running(gateway: Gateway) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        gateway.configure(port=taken.getsockname()[1])
        gateway.spawn()
        assert gateway.process.wait(SECONDS_MAX) == 2
        assert "cannot listen" in gateway.log.read_text()
    (gateway.folder / "deeptoken.db").write_bytes(b"this is no database, and long enough to say so " * 40)
    gateway.configure()
    gateway.spawn()
    assert gateway.process.wait(SECONDS_MAX) == 1
    assert "deeptoken: " in gateway.log.read_text()
    assert "Traceback" not in gateway.log.read_text()


def test_a_second_gateway_on_the_database_is_refused(gateway: Gateway) -> None:
    gateway.start()
    other = subprocess.run(
        [sys.executable, "-m", "deeptoken", "serve", "--workers", "1", "--port", "0"],
        cwd=gateway.folder,
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert other.returncode == 1
    assert "writes" in other.stderr
    assert gateway.stop() == 0


def test_each_line_of_the_log_is_whole(gateway: Gateway) -> None:
    gateway.start("--workers", "3")
    assert len(gateway.family) == 4
    with ExitStack() as stack, ThreadPoolExecutor(12) as pool:
        connections = [stack.enter_context(closing(gateway.open())) for _ in range(12)]
        for _ in range(10):
            assert set(pool.map(gateway.call, connections, ["free"] * 12)) == {200}
    assert gateway.stop() == 0
    _, *lines = gateway.log.read_text().splitlines()
    events = Counter(json.loads(line)["event"] for line in lines)
    assert events["request"] == 120
