"""`deeptoken init`, `migrate`, `backup`, `verify` and `doctor`."""

import contextlib
import json
import signal
import sqlite3  # noqa: TID251
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cli_scene import CONFIGURATION, Installation, call, install

from deeptoken import clock, ids
from deeptoken.catalog.model import Channel
from deeptoken.cli import demo
from deeptoken.cli.providers_reached import models_request
from deeptoken.store.secrets import key_file
from deeptoken.store.sqlite import locked
from deeptoken.store.verify import Finding


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    return install(tmp_path)


def change(path: Path, sql: str) -> None:
    """What no program of ours does: write to the database past the ledger."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)


def bare(folder: Path, configuration: str = "") -> Installation:
    """A configuration alone."""
    made = Installation(folder)
    made.file.write_text(configuration)
    return made


# init


def test_init_makes_database_secrets_key_and_an_operator_with_a_key(tmp_path: Path) -> None:
    place = bare(tmp_path, CONFIGURATION.format(digest=ids.digest("x").hex()).replace("operator = true", ""))

    secret = place.done("init", "--operator", "boss").strip()

    assert place.row("users", "show", "boss")["operator"] is True
    key = next(key for key in place.all_keys() if key.sha256 == ids.digest(secret))
    assert place.row("keys", "show", key.id)["owner"] == "user:boss"
    assert key_file(place.database).stat().st_mode & 0o777 == 0o600
    assert place.row("wallets", "show", "ops")["balance"] == 100_000_000
    assert place.row("models", "show", "sim/text")["id"] == "sim/text"


def test_a_second_init_changes_nothing_and_says_so(tmp_path: Path) -> None:
    place = bare(tmp_path)
    place.done("init", "--operator", "boss")
    before = (place.rows("users", "list"), place.rows("keys", "list"), key_file(place.database).read_bytes())

    result = place.run("init", "--operator", "boss")

    assert result.exit_code == 0
    assert result.stdout == ""
    assert "nothing was changed" in result.stderr
    assert before == (
        place.rows("users", "list"),
        place.rows("keys", "list"),
        key_file(place.database).read_bytes(),
    )


def test_init_says_what_it_cannot_do(tmp_path: Path) -> None:
    place = bare(tmp_path, '[[users]]\nname = "ann"\n')
    nowhere = bare(tmp_path, '[database]\nurl = "sqlite:///no/where.db"\n')

    assert "There is no folder" in nowhere.refusal("init")
    bare(tmp_path, '[[users]]\nname = "ann"\n')
    assert "no spaces and no colon" in place.refusal("init", "--operator", "a b")
    place.done("init")
    assert "deeptoken users edit ann --operator" in place.refusal("init", "--operator", "ann")


# secrets


def test_what_administers_needs_no_secret_and_what_serves_names_the_one_that_is_missing(
    tmp_path: Path,
) -> None:
    place = install(tmp_path)
    place.file.write_text(
        place.file.read_text()
        + '[[channels]]\nname = "up"\nprovider = "openai"\napi_key = { env = "NOT_THERE" }\n'
        + '[[keys]]\nname = "one"\nowner = "ops"\nsecret = { env = "NOT_THERE" }\n'
        + '[[keys]]\nname = "two"\nowner = "ops"\nsecret = { file = "nowhere" }\n'
    )

    for words in ("keys list", "users list", "wallets list", "channels list", "verify", "usage"):
        place.done(*words.split())
    place.done("keys", "revoke", "ci")

    assert next(key for key in place.all_keys() if key.name == "ci").revoked_us is not None
    assert place.row("channels", "show", "up")["has_api_key"] is True
    assert "NOT_THERE is not set" in place.refusal("serve", "--check")


# migrate


def test_migrate_says_that_a_schema_is_current(place: Installation) -> None:
    assert "is up to date" in place.done("migrate")
    assert "is up to date" in place.done("migrate", "--check")


def test_migrate_applies_what_is_missing(tmp_path: Path) -> None:
    place = bare(tmp_path)
    place.database.touch()

    checked = place.run("migrate", "--check")
    applied = place.done("migrate")

    assert checked.exit_code == 1
    assert "0001 people" in checked.stdout
    assert "Applied 0001 people." in applied
    assert "is up to date" in place.done("migrate", "--check")


def test_migrate_leaves_alone_what_is_not_ours_or_not_there(tmp_path: Path) -> None:
    place = bare(tmp_path)

    assert "There is no database" in place.refusal("migrate", code=1)
    change(place.database, "create table mine (id integer)")
    assert "is not a database of deeptoken's" in place.refusal("migrate", code=1)


# backup


def test_a_backup_is_a_database_of_its_own(place: Installation) -> None:
    target = place.folder / "copies" / "deeptoken.db"
    target.parent.mkdir()

    told = place.run("backup", str(target))

    copy = bare(target.parent, place.file.read_text())
    assert copy.rows("users", "list") == place.rows("users", "list")
    assert str(key_file(place.database)) in told.stderr
    assert [
        path.name for path in target.parent.iterdir() if ".part" in path.name or ".new" in path.name
    ] == []


def test_a_backup_replaces_a_file_only_with_force(place: Installation) -> None:
    target = place.folder / "copy.db"
    target.write_text("mine")

    line = place.refusal("backup", str(target))
    kept = target.read_text()
    place.done("backup", str(target), "--force")

    assert "--force" in line
    assert kept == "mine"
    assert target.read_bytes().startswith(b"SQLite format 3")


def test_a_backup_never_replaces_the_database_itself(place: Installation) -> None:
    assert "is the database itself" in place.refusal("backup", str(place.database), "--force")
    assert "There is no folder" in place.refusal("backup", str(place.folder / "no" / "copy.db"))
    assert place.rows("users", "list")


# verify


def test_verify_prints_each_invariant_and_ends_well(place: Installation) -> None:
    call(place)

    rows = place.rows("verify")

    assert {"I1", "I2", "I11", "bills"} <= {row["name"] for row in rows}
    assert all(row["ok"] and not row["problems"] for row in rows)
    assert len(place.done("verify").splitlines()) == len(rows)


def test_verify_names_what_was_changed_and_exits_with_1(place: Installation) -> None:
    call(place)
    change(place.database, "update wallet set balance = balance + 1 where balance > 0")

    result = place.run("verify")

    assert result.exit_code == 1
    failed = [line for line in result.stdout.splitlines() if line.startswith("failed")]
    assert any("I1 " in line for line in failed)
    assert "usr_" in result.stdout
    assert "I1" in result.stderr
    assert set(Finding.__struct_fields__) < set(
        json.loads(place.run("verify", "--json").stdout.splitlines()[0])
    )


def test_verify_needs_a_database(tmp_path: Path) -> None:
    assert "deeptoken init" in bare(tmp_path).refusal("verify", code=1)


# doctor


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


def test_serve_says_that_it_found_no_configuration_and_serves(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "deeptoken", "serve", "--port", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=20)

    assert line.startswith("DeepToken serves http://")
    assert "no deeptoken.toml here and no --config" in told
    assert process.returncode == 0


def test_the_demo_says_how_to_look_after_it(tmp_path: Path) -> None:
    file, secret = demo.prepare(tmp_path / ".demo")
    sim = Channel(name="sim", provider="sim", label="sim", base_url="", models={})

    told = demo.greeting("http://127.0.0.1:8080", secret, (sim,), file)

    assert f"deeptoken keys list --config {file}" in told
