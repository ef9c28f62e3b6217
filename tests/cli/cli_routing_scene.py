"""Channels for the commands about routing, and servers on this machine that answer as they are told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cli_scene import Installation

from certificates import Certificate

NOBODY = "[server]\nport = 1\n"
"""No gateway is there."""
CHANNELS = """
[[channels]]
name = "first"
provider = "sim"
label = "Public"
models = { "house/a" = "hidden-a" }
priority = 9
[[channels]]
name = "second"
provider = "sim"
models = { "house/a" = "a", "house/b" = "b" }
[[channels]]
name = "theirs"
provider = "sim"
models = { "house/a" = "a" }
groups = ["pro"]
priority = 20
[[models]]
id = "house/blind"
prompt = 1
completion = 2
capabilities = { tools = false, vision = false, audio = false, files = false, json_schema = false }
[[channels]]
name = "blind"
provider = "sim"
models = { "house/blind" = "text" }
"""
Answer = Callable[[str, dict[str, str], bytes], tuple[int, str, bytes]]
"""Path, headers and body of a request -> status, content type and body."""


def serving_at(place: Installation, more: str) -> Installation:
    place.file.write_text(place.file.read_text() + more)
    return place


@contextmanager
def server(answer: Answer, certificate: Certificate | None = None) -> Iterator[int]:
    """One that answers so, on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, kind, body = answer(self.path, headers, self.rfile.read(length))
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        if certificate is not None:
            listening.socket = certificate.server().wrap_socket(listening.socket, server_side=True)
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield listening.server_port
        finally:
            listening.shutdown()
            thread.join()


def ready(
    *health: dict[str, Any], token: str | None = None, status: int = 200, installation: str | None = None
) -> Answer:
    """What a gateway answers whose channels stand so."""

    def answer(path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        told: dict[str, Any] = {"ready": status == 200}
        if token is None or headers.get("authorization") == f"Bearer {token}":
            told |= {"installation": installation, "health": health, "health_left_out": 0}
        assert path == "/readyz"
        return status, "application/json", json.dumps(told).encode()

    return answer


def stands(channel: str, model: str | None = None, **facts: Any) -> dict[str, Any]:
    return {"channel": channel, "model": model, "enabled": True, **facts}


DOWN = stands("first", state="open", why="credential", wait_s=599.0, share=0.1)
