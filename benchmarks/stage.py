"""Everything that stands on the machine during a run: upstreams, nginx, the gateway."""

import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from processes import LOAD_CORE, SERVER_CORE, Server, free_port, start

from deeptoken import ids

HERE = Path(__file__).parent
PACKAGES = {"gcc": "gcc libc6-dev", "nginx": "nginx-light"}
"""A program, and the Debian packages that bring it."""

ANSWER = (
    '{"id":"chatcmpl-bench0123456789","object":"chat.completion","created":1700000000,"model":"bench",'
    '"choices":[{"index":0,"message":{"role":"assistant","content":"%s","refusal":null,"annotations":[]},'
    '"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":200,"completion_tokens":100,'
    '"total_tokens":300,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},'
    '"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,'
    '"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_0123456789"}'
)
ANSWER_BYTES = 1_083

ANSWERING = """
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ return 200 '{answer}'; }}
    }}
"""
PASSING = """
    upstream at_{port} {{
        server 127.0.0.1:{upstream};
        keepalive 1024;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://at_{port};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
"""
CONFIGURATION = """
[server]
host = "127.0.0.1"
port = {port}
workers = {workers}

[database]
url = "sqlite:///bench.db"

[[channels]]
name = "whole"
provider = "openai"
base_url = "http://127.0.0.1:{whole}/v1"
api_key = "sk-bench"
models = ["bench"]

[[channels]]
name = "streams"
provider = "openai"
base_url = "http://127.0.0.1:{streams}/v1"
api_key = "sk-bench"
models = ["bench-stream", "bench-open"]

[[models]]
id = "bench*"
prompt = 0.15
completion = 0.60
context = 128000
max_output = 16384

[[users]]
name = "ops"
operator = true
grant_usd = 1000000.0

[[keys]]
name = "bench"
secret = "{key}"
owner = "ops"
ceilings = {{ "5h" = 500000.0, "1d" = 500000.0, "7d" = 500000.0 }}
rpm = 100000000
tpm = 1000000000000
concurrency = 100000
"""


class Stage:
    """A folder, a key, and servers that stop with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ids.new_secret()
        self._running = ExitStack()

    def __enter__(self) -> "Stage":
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        command = ["gcc", "-O2", "-o", str(self.folder / "load"), str(HERE / "load.c")]
        subprocess.run(command, check=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._running.close()

    def upstreams(self) -> tuple[Server, Server]:
        """The one that answers at once, and the one that streams."""
        answer = ANSWER % ("word " * (ANSWER_BYTES // 5))[: ANSWER_BYTES - len(ANSWER) + 2]
        file = self.folder / "answer.json"
        file.write_text(answer)
        port = free_port()
        command = [sys.executable, str(HERE / "upstream.py"), str(port), str(file)]
        streams = start("direct-streams", command, port=port, cores=(LOAD_CORE,), folder=self.folder)
        self.stopping(streams)
        if not there("nginx"):
            return streams.at(port, "direct"), streams.at(port, "direct")
        port = free_port()
        whole = self._nginx("direct", ANSWERING.format(port=port, answer=answer), port, LOAD_CORE)
        return whole, streams.at(streams.port, "direct")

    def proxy(self, whole: Server, streams: Server) -> tuple[Server, Server]:
        """nginx before each of the two."""
        ports = free_port(), free_port()
        passing = [
            PASSING.format(port=port, upstream=server.port)
            for port, server in zip(ports, (whole, streams), strict=True)
        ]
        proxy = self._nginx("nginx", "".join(passing), ports[0], SERVER_CORE)
        return proxy, proxy.at(ports[1], "nginx")

    def stopping(self, server: Server) -> Server:
        """It ends with the stage."""
        self._running.callback(server.stop)
        return server

    def gateway(
        self,
        whole: Server,
        streams: Server,
        *,
        folder: Path | None = None,
        database: Path | None = None,
        workers: int = 1,
        cores: tuple[int, ...] = (SERVER_CORE,),
        declared: str = "",
        again: bool = False,
    ) -> Server:
        """The gateway on an empty database, or on a copy of another one, or `again` on that of its folder.

        `declared` is what its configuration has beside the usual.
        """
        home = folder or self.folder / "gateway"
        if not again:
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir()
        if database is not None:
            shutil.copy(database, home / "bench.db")
        port = free_port()
        file = home / "deeptoken.toml"
        told = {"port": port, "whole": whole.port, "streams": streams.port, "key": self.key}
        file.write_text(CONFIGURATION.format(**told, workers=workers) + declared)
        command = [sys.executable, "-m", "deeptoken", "serve", "--config", str(file)]
        return self.stopping(start("gateway", command, port=port, cores=cores, folder=home, path="/readyz"))

    def _nginx(self, name: str, servers: str, port: int, core: int) -> Server:
        home = self.folder / name
        home.mkdir()
        file = home / "nginx.conf"
        template = (HERE / "nginx.conf").read_text()
        file.write_text(template.replace("@folder@", str(home)).replace("@servers@", servers))
        command = ["nginx", "-p", str(home), "-c", str(file)]
        return self.stopping(start(name, command, port=port, cores=(core,), folder=home))


def there(program: str) -> bool:
    return shutil.which(program) is not None


def missing() -> dict[str, str]:
    """The programs that this machine has not, and where they are, as sentences."""
    return {
        program: f"{program} is not here. Debian has it in: {packages}."
        for program, packages in PACKAGES.items()
        if not there(program)
    }
