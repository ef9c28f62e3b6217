"""`deeptoken channels health`."""

import json
from pathlib import Path
from typing import Any

import pytest
from cli_routing_scene import CHANNELS, DOWN, NOBODY, ready, server, serving_at, stands
from cli_scene import Installation, install
from click.testing import CliRunner

from certificates import Certificate
from conftest import Running
from deeptoken.cli.main import main
from deeptoken.settings import Database

TRIES = 50
"""Of a question to the gateway, which takes half a second: a change holds within 2 s."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return serving_at(install(tmp_path_factory.mktemp("routing")), NOBODY + CHANNELS)


def report(gateway: Running) -> dict[tuple[str, str | None], dict[str, Any]]:
    told = gateway.run("channels", "health", "--url", gateway.origin, "--json")
    rows = [json.loads(line) for line in told.splitlines()]
    return {(row["channel"], row["model"]): row for row in rows}


def test_health_tells_what_the_running_gateway_has_seen(gateway: Running) -> None:
    gateway.run("channels", "create", "sick", "--provider", "sim", "--model", "broken/sick=error-401")
    for _ in range(TRIES):
        if ("sick", None) in report(gateway):
            break
    talk = ("chat", "Hello", "--model", "broken/sick", "--url", gateway.origin)
    assert CliRunner().invoke(main, talk, env={"DEEPTOKEN_KEY": gateway.key}).exit_code == 1

    told = report(gateway)
    table = gateway.run("channels", "health", "--url", gateway.origin).splitlines()

    gateway.run("channels", "delete", "sick")
    assert (told["sick", None]["state"], told["sick", None]["why"]) == ("open", "credential")
    assert told["sick", None]["wait_s"] > 500
    assert told["sim", None]["state"] == "closed"
    assert ("sick", "broken/sick") in told
    (line,) = [line for line in table if line.startswith("sick ") and "open" in line]
    assert "credential" in line


def test_health_is_asked_of_the_gateway_s_own_port_with_its_token(tmp_path: Path) -> None:
    place = install(tmp_path)
    with server(ready(DOWN, stands("second"), token="let-me-in")) as port:
        configuration = place.file.read_text()
        told = f'[server]\nport = {port}\nmetrics_token = "{{}}"\n'
        place.file.write_text(configuration + told.format("let-me-in"))
        rows = place.rows("channels", "health")
        place.file.write_text(configuration + told.format("other"))
        refused = place.refusal("channels", "health", code=1)

    assert [(row["channel"], row["state"]) for row in rows] == [("first", "open"), ("second", "closed")]
    assert "does not tell how its channels stand" in refused


def test_health_of_another_installation_is_refused_unless_it_is_named(tmp_path: Path) -> None:
    place = install(tmp_path)
    configuration = place.file.read_text()
    ours = Database("", place.database).installation
    with (
        server(ready(DOWN, installation="another")) as theirs,
        server(ready(DOWN, installation=ours)) as port,
    ):
        place.file.write_text(configuration + f"[server]\nport = {theirs}\n")
        refused = place.refusal("channels", "health", code=1)
        planned = place.run("channels", "plan", "sim/text")
        named = place.rows("channels", "health", "--url", f"http://127.0.0.1:{theirs}")
        place.file.write_text(configuration + f"[server]\nport = {port}\n")
        rows = place.rows("channels", "health")

    assert f"Another installation's gateway answers at http://127.0.0.1:{theirs}" in refused
    assert "--url" in refused
    assert "All channels are taken as healthy. Another installation's" in planned.stderr
    assert rows == named != []


@pytest.mark.parametrize("issued", [False, True])
def test_health_is_asked_over_tls_and_the_gateway_s_own_certificate_is_trusted_alone(
    issued: bool, tmp_path: Path
) -> None:
    for name in ("issuer", "stranger"):
        (tmp_path / name).mkdir()
    issuer, stranger = Certificate(tmp_path / "issuer"), Certificate(tmp_path / "stranger")
    ours = Certificate(tmp_path, issuer if issued else None)
    with server(ready(stands("first")), ours) as port:
        place = install(tmp_path)
        configuration = place.file.read_text()
        told = f"[server]\nport = {port}\ntls = {{ certificate = 'FILE', key = 'FILE' }}\n"
        place.file.write_text(configuration + told.replace("FILE", str(ours.file)))
        rows = place.rows("channels", "health")
        place.file.write_text(configuration + told.replace("FILE", str(stranger.file)))
        refused = place.refusal("channels", "health", code=1)

    assert [row["channel"] for row in rows] == ["first"]
    assert f"No gateway answers at https://127.0.0.1:{port}" in refused


def test_health_needs_a_gateway_and_says_where_it_looked(place: Installation, gateway: Running) -> None:
    open_port = CliRunner().invoke(main, ["channels", "health", "--config", str(gateway.configuration)])

    assert "No gateway answers at http://127.0.0.1:1. Is it running?" in place.refusal(
        "channels", "health", code=1
    )
    assert (open_port.exit_code, "by --url" in open_port.stderr) == (2, True)
