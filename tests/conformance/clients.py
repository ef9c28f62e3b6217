"""Other people's clients find in the gateway what they want. `make conformance-clients` runs them.

Each group is installed when it is run first, as its lock file says, into a folder that git ignores. Before
the gateway are LangChain with its standard tests of chat models, Pydantic AI, Instructor, Vercel's AI SDK and
Anthropic's for Node; behind it is a model with a little sense (`mind.py`), which speaks OpenAI's dialect.
Google's own client reads `deeptoken mock`, against which the adapter for Gemini is tried.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import mind
import pytest

from conftest import Running, deeptoken, running

CLIENTS = Path(__file__).parent / "clients"
NODE = CLIENTS / "node"
WORK = Path(__file__).parent / ".work"
MORE = """
[[channels]]
name = "mind"
provider = "openai"
base_url = "{url}"
api_key = "any"
priority = 1
models = ["mind", "other/mind", "claude-sonnet-4-5"]

[[models]]
id = "mind"
prompt = 1
completion = 2

[[models]]
id = "other/*"
prompt = 1
completion = 2
"""


class Client(NamedTuple):
    """Tests of one client: what they are installed by, and how many must pass."""

    file: str
    group: str
    passing: int


PYTHON = (
    Client("langchain_models.py", "agents", 86),
    Client("pydantic_agents.py", "agents", 14),
    Client("instructor_answers.py", "instructor", 6),
)
GOOGLE = Client("google_genai.py", "google", 7)
NODES = (Client("vercel.test.mjs", "node", 12), Client("anthropic.test.mjs", "node", 6))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with mind.thinking() as url, running(tmp_path_factory.mktemp("gateway"), MORE.format(url=url)) as started:
        yield started


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[str]:
    """The address of a `deeptoken mock`."""
    with subprocess.Popen(
        [deeptoken(), "mock", "--port", "0"], env={}, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def environment(group: str) -> Path:
    """The interpreter of an environment in which the group is installed."""
    folder, lock = WORK / group, CLIENTS / f"{group}.lock"
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.is_file() or done.read_text() != lock.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(lock)]
        subprocess.run([python, "-m", "pip", *install], check=True)
        done.write_text(lock.read_text())
    return python


def modules() -> None:
    """The locked packages in `node_modules`."""
    lock, done = NODE / "package-lock.json", NODE / "node_modules" / ".package-lock.json"
    if not done.is_file() or done.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=NODE, check=True)


def passes(client: Client, **told: str) -> None:
    """The tests of a client for Python pass, as many as there are."""
    python = environment(client.group)
    options = ["-c", "clients.ini", "--noconftest", "--rootdir", "."]

    tried = subprocess.run(
        [python, "-m", "pytest", *options, client.file],
        cwd=CLIENTS,
        env=told,
        capture_output=True,
        text=True,
        check=False,
    )

    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert f"\n{client.passing} passed" in tried.stdout, tried.stdout


@pytest.mark.parametrize("client", PYTHON, ids=lambda client: client.file)
def test_a_client_for_python_is_served(client: Client, gateway: Running) -> None:
    passes(client, DEEPTOKEN_ORIGIN=gateway.origin, DEEPTOKEN_KEY=gateway.key)


def test_googles_client_reads_the_mock(mock: str) -> None:
    passes(GOOGLE, DEEPTOKEN_MOCK=mock)


@pytest.mark.parametrize("client", NODES, ids=lambda client: client.file)
def test_a_client_for_node_is_served(client: Client, gateway: Running) -> None:
    modules()

    tried = subprocess.run(
        ["node", client.file, gateway.origin, gateway.key],
        cwd=NODE,
        capture_output=True,
        text=True,
        check=False,
    )

    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert f"# pass {client.passing}\n" in tried.stdout, tried.stdout
