"""`deeptoken doctor`."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cli_scene import Installation, change, install

from deeptoken import clock, ids
from deeptoken.catalog.model import Channel
from deeptoken.cli import checks
from deeptoken.cli.options import load
from deeptoken.cli.providers_reached import models_request
from deeptoken.store.secrets import key_file
from deeptoken.store.sqlite import locked


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    return install(tmp_path)


def test_doctor_finds_a_sound_installation_sound(place: Installation) -> None:
    rows = {row["name"]: row for row in place.rows("doctor")}

    assert {"configuration", "database", "writer", "clock", "channel sim", "open files", "disk"} <= set(rows)
    assert {row["status"] for row in rows.values()} <= {"ok", "warning"}
    assert len(place.done("doctor").splitlines()) == len(rows)


def wrong_configuration(place: Installation) -> None:
    place.file.write_text("[server]\nprot = 1\n")


def no_database(place: Installation) -> None:
    place.database.unlink()


def clock_behind(place: Installation) -> None:
    later_us = clock.wall_us() + 3_600_000_000
    change(place.database, f"update replica set started_us = {later_us}")


def no_channel(place: Installation) -> None:
    place.file.write_text("")


def unreachable(place: Installation) -> None:
    place.done("channels", "create", "far", "--provider", "vllm", "--base-url", "http://127.0.0.1:1/v1")


def key_lost(place: Installation) -> None:
    words = ["channels", "create", "sealed", "--provider", "vllm", "--base-url", "http://127.0.0.1:1/v1"]
    place.done(*words, "--api-key-env", "UP", env={"UP": "sk-1"})
    key_file(place.database).unlink()


@pytest.mark.parametrize(
    ("spoil", "check", "why"),
    [
        (wrong_configuration, "configuration", 'did you mean "port"?'),
        (no_database, "database", "There is no database"),
        (clock_behind, "clock", "set this machine's clock"),
        (no_channel, "models", "no channel is enabled"),
        (unreachable, "channel far", "does not answer"),
        (key_lost, "secrets key", "is missing"),
    ],
)
def test_doctor_names_what_is_wrong_and_exits_with_1(
    place: Installation, spoil: Callable[[Installation], None], check: str, why: str
) -> None:
    spoil(place)

    result = place.run("doctor", "--json")

    rows = {row["name"]: row for row in map(json.loads, result.stdout.splitlines())}
    assert result.exit_code == 1
    assert rows[check]["status"] == "failed"
    assert why in rows[check]["detail"]


def listening(status: int, asked: list[tuple[str, dict[str, str]]]) -> HTTPServer:
    """A provider that answers one question with this status, and what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return HTTPServer(("127.0.0.1", 0), Handler)


@pytest.mark.parametrize(
    ("status", "told", "why"),
    [
        (200, "ok", "answers in"),
        (404, "ok", "answers in"),
        (401, "failed", "refuses the credential with 401"),
        (503, "warning", "with status 503"),
    ],
)
def test_doctor_asks_a_provider_for_its_models_with_the_credential(
    place: Installation, status: int, told: str, why: str
) -> None:
    asked: list[tuple[str, dict[str, str]]] = []
    with listening(status, asked) as provider:
        answering = threading.Thread(target=provider.handle_request)
        answering.start()
        url = f"http://127.0.0.1:{provider.server_port}/v1"
        words = ["--provider", "openai", "--base-url", url, "--api-key-env", "UP"]
        place.done("channels", "create", "near", *words, env={"UP": "sk-1"})
        lines = place.run("doctor", "--json").stdout.splitlines()
        answering.join()

    check = next(row for row in map(json.loads, lines) if row["name"] == "channel near")
    assert (check["status"], why in check["detail"]) == (told, True)
    ((path, headers),) = asked
    assert (path, headers["authorization"]) == ("/v1/models", "Bearer sk-1")


@pytest.mark.parametrize(
    ("provider", "base", "url", "header"),
    [
        ("anthropic", "https://a.test", "https://a.test/v1/models", ("x-api-key", "sk-2")),
        ("gemini", "https://g.test/v1beta", "https://g.test/v1beta/models", ("x-goog-api-key", "sk-2")),
        ("voyage", "https://v.test/v1", "https://v.test/v1/models", ("authorization", "Bearer sk-2")),
    ],
)
def test_doctor_asks_each_dialect_as_the_gateway_does(
    provider: str, base: str, url: str, header: tuple[str, str]
) -> None:
    request = models_request(Channel("a", provider, "a", base, {}, secret="sk-2"))

    assert (request.method, request.url) == ("GET", url)
    assert header in request.headers


def test_doctor_warns_of_a_secret_in_the_file(place: Installation) -> None:
    place.file.write_text(
        place.file.read_text() + f'[[keys]]\nname="p"\nowner="ops"\nsecret="{ids.new_secret()}"\n'
    )

    rows = place.rows("doctor")

    assert any(row["status"] == "warning" and 'key "p", secret' in row["detail"] for row in rows)


def test_doctor_says_that_somebody_else_holds_the_ledger(place: Installation) -> None:
    with locked(place.database):
        result = place.run("doctor")

    assert result.exit_code == 1
    assert "failed   writer: Another process" in result.stdout


def test_doctor_warns_of_what_a_channel_cannot_serve(tmp_path: Path) -> None:
    place = install(tmp_path)
    place.file.write_text(
        place.file.read_text()
        + '[[channels]]\nname = "odd"\nprovider = "sim"\nmodels = { "mine/x" = "text", "house/y" = "text" }\n'
        + '[[channels]]\nname = "bare"\nprovider = "vllm"\nbase_url = "http://127.0.0.1:1/v1"\n'
        + '[[channels]]\nname = "off"\nprovider = "sim"\nmodels = ["mine/z"]\nenabled = false\n'
    )

    lines = place.run("doctor", "--json").stdout.splitlines()

    told = {row["name"]: row for row in map(json.loads, lines) if row["name"].startswith("models of")}
    assert {name: row["status"] for name, row in told.items()} == {
        "models of odd": "warning",
        "models of bare": "warning",
    }
    assert told["models of odd"]["detail"].startswith("mine/x: no price")
    assert "serves nothing" in told["models of bare"]["detail"]


def test_doctor_warns_of_a_provider_that_is_called_without_the_key_that_it_needs(tmp_path: Path) -> None:
    place = install(tmp_path)
    place.file.write_text(
        place.file.read_text()
        + '[[channels]]\nname = "bare"\nprovider = "bedrock"\nregion = "us-east-1"\nmodels = ["mine/x"]\n'
        + '[[channels]]\nname = "own"\nprovider = "openai"\nbase_url = "http://127.0.0.1:1/v1"\n'
        + '[[channels]]\nname = "off"\nprovider = "openai"\nenabled = false\n'
    )

    told = {check.name: check for check in checks.keyless(load(place.file))}

    assert list(told) == ["key of bare"]
    assert told["key of bare"].status == "warning"
    assert "it has no api_key" in told["key of bare"].detail
