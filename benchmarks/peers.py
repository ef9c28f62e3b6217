"""Other gateways, in front of the same upstream on the same core.

    python benchmarks/peers.py      installs what `pins/` names into `.peers/`, each in a folder of its own

    LiteLLM   one worker of its default server, no database, its own list of prices, errors alone in its log;
              with a master key, as ours asks for one too. See: "Production best practices", "Benchmarks"
    Portkey   one process of Node, without its console; headers of a request name the provider and its host

What is not installed or does not start is said and left out.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from figures import Bench
from processes import SERVER_CORE, NotReady, Server, free_port, start
from stage import Stage

HERE = Path(__file__).parent
PINS = HERE / "pins"
FOLDER = HERE / ".peers"
DONE = ".installed"
"""Of a peer's folder: the pins that it was installed from. Written last."""
READY_SECONDS = 90.0
WARM_SECONDS = 2.0
INSTALL_SECONDS = 900


class Peer(msgspec.Struct, frozen=True):
    """One of them: its bar's name, its file in `pins/`, how it comes, and what starts it at a port."""

    name: str
    title: str
    pins: str
    steps: Callable[[Path], list[list[str]]]
    command: Callable[[Path, Path, int], list[str]]
    headers: tuple[str, ...] = ()
    ready: str = "/"
    environment: dict[str, str] = {}

    @property
    def version(self) -> str:
        found = re.search(r"\d+\.\d+\.\d+", (PINS / self.pins).read_text())
        assert found is not None
        return found[0]

    @property
    def said(self) -> str:
        return f"{self.title} {self.version}"

    def lacking(self, folder: Path = FOLDER) -> str | None:
        """Why it cannot be started; None: it can."""
        done = folder / self.name / DONE
        if not done.exists():
            return f"{self.said}: not installed. `make bench-peers` does."
        if done.read_text() != (PINS / self.pins).read_text():
            return f"{self.said}: another version is installed. `make bench-peers` mends that."
        return None


def litellm_steps(home: Path) -> list[list[str]]:
    pip = [str(home / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    return [
        [sys.executable, "-m", "venv", str(home)],
        [*pip, "install", "--quiet", "--requirement", str(home / "litellm.txt")],
    ]


def litellm_command(installed: Path, home: Path, port: int) -> list[str]:
    config = str(home / "litellm.yaml")
    program = [str(installed / "bin/litellm"), "--config", config, "--host", "127.0.0.1", "--port", str(port)]
    return [*program, "--num_workers", "1", "--telemetry", "False"]


def portkey_steps(home: Path) -> list[list[str]]:
    quiet = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    return [["npm", "install", "--prefix", str(home), *quiet]]


def portkey_command(installed: Path, home: Path, port: int) -> list[str]:
    program = installed / "node_modules/@portkey-ai/gateway/build/start-server.js"
    return [shutil.which("node") or "node", str(program), f"--port={port}", "--headless"]


PEERS = (
    Peer(
        name="litellm",
        title="LiteLLM",
        pins="litellm.txt",
        steps=litellm_steps,
        command=litellm_command,
        ready="/health/readiness",
        environment={
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOG": "ERROR",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
    ),
    Peer(
        name="portkey",
        title="Portkey's gateway",
        pins="package.json",
        steps=portkey_steps,
        command=portkey_command,
        headers=("x-portkey-provider: openai", "x-portkey-custom-host: http://127.0.0.1:{upstream}/v1"),
        environment={"NODE_ENV": "production"},
    ),
)


def started(stage: Stage, bench: Bench, whole: Server, *, known: tuple[Peer, ...] = PEERS) -> list[Server]:
    """Those that are installed, start and answer right; why the others do not is printed."""
    servers: list[Server] = []
    for peer in known:
        try:
            servers.append(_started(peer, stage, bench, whole))
        except NotReady as problem:
            print(f"Without {peer.said}. {problem}", file=sys.stderr)
    return servers


def _started(peer: Peer, stage: Stage, bench: Bench, whole: Server) -> Server:
    if (why := peer.lacking()) is not None:
        raise NotReady(why)
    home, port = stage.folder / peer.name, free_port()
    home.mkdir()
    if peer.name == "litellm":
        (home / "litellm.yaml").write_bytes(litellm_configuration(whole.port, stage.key))
    server = start(
        peer.name,
        peer.command(FOLDER / peer.name, home, port),
        port=port,
        cores=(SERVER_CORE,),
        folder=home,
        path=peer.ready,
        environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), **peer.environment},
        seconds=READY_SECONDS,
    )
    stage.stopping(server)
    server.peer = True
    server.headers = tuple(header.format(upstream=whole.port) for header in peer.headers)
    load = bench.closed(server, 1_000, WARM_SECONDS)
    if not load.right:
        server.stop()
        raise NotReady(f"It does not answer right: {load.trouble}.")
    return server


def litellm_configuration(upstream: int, key: str) -> bytes:
    """JSON is YAML."""
    to = {"model": "openai/bench", "api_base": f"http://127.0.0.1:{upstream}/v1", "api_key": "sk-bench"}
    return msgspec.json.encode(
        {
            "model_list": [{"model_name": "bench", "litellm_params": to}],
            "litellm_settings": {"num_retries": 0, "callbacks": []},
            "general_settings": {"master_key": key},
        }
    )


def install(peer: Peer, folder: Path = FOLDER) -> str | None:
    """Into a folder of its own, anew. Why it could not be installed; None: it is."""
    home = folder / peer.name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    shutil.copy(PINS / peer.pins, home)
    for step in peer.steps(home):
        if shutil.which(step[0]) is None:
            return f"{peer.said} was not installed: {step[0]} is not here."
        try:
            done = subprocess.run(step, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            return f"{peer.said} was not installed: it took more than {INSTALL_SECONDS} s."
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-1000:]
            return f"{peer.said} was not installed: {Path(step[0]).name} said\n{said}"
    shutil.copy(PINS / peer.pins, home / DONE)
    return None


def main() -> int:
    """Install those that are not there. What cannot be had is said; the bench goes on without it."""
    for peer in PEERS:
        if peer.lacking() is None:
            print(f"{peer.said} is installed.")
        elif (why := install(peer)) is not None:
            print(why, file=sys.stderr)
        else:
            print(f"{peer.said} was installed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
