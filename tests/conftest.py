"""A gateway as people run it: the real process, on a real socket, in a folder of its own."""

import contextlib
import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from deeptoken import ids
from deeptoken.observe import logs
from log_scene import Logged

# No test is timed: a busy machine is no failure.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

START_SECONDS = 20
STOP_SECONDS = 20
LISTENING = re.compile(r"serves (http://(\S+))\n")

CONFIGURATION = """
[server]
port = 0

[database]
url = "sqlite:///deeptoken.db"

[[channels]]
name = "sim"
provider = "sim"
models = {{ "sim/text" = "text", "sim/echo" = "echo", "sim/slow" = "slow" }}

[[channels]]
name = "sim-openai"
provider = "sim"
models = {{ "gpt-6-astra" = "text", "gpt-3.5-turbo-instruct" = "text" }}

[[channels]]
name = "sim-claude"
provider = "sim"
models = {{ "claude-*" = "text" }}

[[channels]]
name = "tasks"
provider = "sim"

[channels.models]
"text-embedding-3-small" = "text"
"omni-moderation-latest" = "text"
"omni-moderation-2024-09-26" = "text"
"gpt-image-2.5-flare" = "text"
"gpt-4o-transcribe" = "text"
"whisper-1" = "text"

[[channels]]
name = "broken"
provider = "sim"
models = {{ "broken/503" = "error-503", "broken/cut" = "cut" }}

[[models]]
id = "gpt-6-*"
prompt = 1
completion = 2

[[models]]
id = "gpt-3.5-*"
prompt = 1
completion = 2

[[models]]
id = "claude-*"
prompt = 1
completion = 2

[[models]]
id = "omni-moderation-2024-09-26"
prompt = 0
completion = 0

[[models]]
id = "broken/*"
prompt = 1
completion = 2

[[users]]
name = "ops"
operator = true
grant_usd = 100.0

[[users]]
name = "poor"

[[keys]]
name = "ops"
owner = "ops"
children = true
secret = "{key}"

[[keys]]
name = "narrow"
owner = "ops"
secret = "{narrow}"
models = ["sim/echo"]

[[keys]]
name = "poor"
owner = "poor"
secret = "{poor}"
"""


@dataclass(frozen=True)
class Running:
    """A gateway that answers. `key` has money and all models, `narrow` just ``sim/echo``, `poor` no money."""

    origin: str
    configuration: Path
    key: str
    narrow: str
    poor: str

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    def run(self, *words: str) -> str:
        """What a `deeptoken` command prints about this installation."""
        command = [deeptoken(), *words, "--config", str(self.configuration)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    def usage(self) -> list[dict[str, object]]:
        """The usage rows, newest last."""
        return [json.loads(line) for line in self.run("usage", "--json").splitlines()]


def deeptoken() -> str:
    return str(Path(sys.executable).with_name("deeptoken"))


def told(log: Path) -> str:
    """The end of what the gateway said."""
    return log.read_text()[-4_000:]


def address(log: Path) -> str | None:
    """What the gateway says it serves, once it is ready."""
    said = LISTENING.search(log.read_text())
    if said is None:
        return None
    connection = http.client.HTTPConnection(said[2], timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError):
        connection.request("GET", "/readyz")
        if connection.getresponse().status == 200:
            return said[1]
    return None


@contextlib.contextmanager
def running(folder: Path, more: str = "") -> Iterator[Running]:
    """Start a gateway in `folder`; end it as an operator would, and see that it ended well.

    `more` is added to its configuration.
    """
    key, narrow, poor = ids.new_secret(), ids.new_secret(), ids.new_secret()
    configuration = folder / "deeptoken.toml"
    configuration.write_text(CONFIGURATION.format(key=key, narrow=narrow, poor=poor) + more)
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [deeptoken(), "serve", "--config", configuration],
            env={},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            for _ in range(START_SECONDS * 50):
                if (origin := address(log)) is not None:
                    break
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.02)
                    pytest.fail(f"The gateway ended at its start:\n{told(log)}")
            else:
                pytest.fail(f"The gateway is not ready after {START_SECONDS} s:\n{told(log)}")
            yield Running(origin, configuration, key, narrow, poor)
        finally:
            process.terminate()
            ended = process.wait(STOP_SECONDS)
    assert ended == 0, told(log)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Logged:
    """Where the gateways of this process log to."""
    lines = Logged()
    monkeypatch.setattr(logs, "_standard_error", lambda: lines)
    return lines


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("gateway")) as started:
        yield started
