"""Commands on an installation whose gateway runs: what they change holds at once; and those that call it."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from conftest import Running
from deeptoken import ids
from deeptoken.cli.main import main

TRIES = 200
"""Of a question to the gateway, which takes some milliseconds: a change holds within 2 s."""


def ask(gateway: Running, path: str, key: str) -> tuple[int, Any]:
    request = urllib.request.Request(f"{gateway.base_url}{path}", headers={"authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def soon(gateway: Running, path: str, key: str, status: int) -> Any:
    """The first answer with this status."""
    for _ in range(TRIES):
        told, body = ask(gateway, path, key)
        if told == status:
            return body
    pytest.fail(f"{path} answers {told}, not {status}, after {TRIES} questions: {body}")


def talk(gateway: Running, *words: str, input: str | None = None, key: str | None = None) -> Result:
    """A command that calls the gateway."""
    return CliRunner().invoke(
        main, [*words, "--url", gateway.origin], input=input, env={"DEEPTOKEN_KEY": key or gateway.key}
    )


def test_a_key_that_was_made_works_and_one_that_was_revoked_does_not(gateway: Running) -> None:
    secret = gateway.run("keys", "create", "fresh", "--owner", "ops").strip()
    models = soon(gateway, "/models", secret, 200)

    gateway.run("keys", "revoke", "fresh")
    refused = soon(gateway, "/models", secret, 401)

    assert "sim/echo" in [model["id"] for model in models["data"]]
    assert refused["error"]["code"] == "invalid_api_key"


def test_a_rotated_key_has_two_secrets_until_the_old_one_ends(gateway: Running) -> None:
    old = gateway.run("keys", "create", "rotated", "--owner", "ops").strip()
    soon(gateway, "/models", old, 200)

    new = gateway.run("keys", "rotate", "rotated", "--grace", "1h").strip()

    soon(gateway, "/models", new, 200)
    assert ask(gateway, "/models", old)[0] == 200
    last = gateway.run("keys", "rotate", "rotated").strip()
    soon(gateway, "/models", last, 200)
    soon(gateway, "/models", new, 401)


def test_a_grant_shows_in_the_credits(gateway: Running) -> None:
    gateway.run("users", "create", "granted", "--grant", "1")
    secret = gateway.run("keys", "create", "granted", "--owner", "granted").strip()
    before = soon(gateway, "/credits", secret, 200)

    gateway.run("wallets", "grant", "user:granted", "2.50")

    assert (before["wallet"], before["balance"]) == ("user:granted", 1_000_000)
    assert ask(gateway, "/credits", secret)[1]["balance"] == 3_500_000


def test_a_suspended_user_cannot_call(gateway: Running) -> None:
    gateway.run("users", "create", "paused")
    secret = gateway.run("keys", "create", "paused", "--owner", "paused").strip()
    soon(gateway, "/models", secret, 200)

    gateway.run("users", "suspend", "paused")
    call = talk(gateway, "chat", "Hello", "--model", "sim/echo", key=secret)

    assert call.exit_code == 1
    assert "suspended" in call.stderr


def test_a_channel_that_is_disabled_takes_its_models_along(gateway: Running) -> None:
    words = ("channels", "create", "extra", "--provider", "sim", "--model", "broken/extra=echo")
    gateway.run(*words)
    soon(gateway, "/models/broken/extra", gateway.key, 200)

    gateway.run("channels", "disable", "extra")

    soon(gateway, "/models/broken/extra", gateway.key, 404)
    listed = [model["id"] for model in ask(gateway, "/models", gateway.key)[1]["data"]]
    assert "broken/extra" not in listed
    gateway.run("channels", "delete", "extra")


def test_a_refund_returns_to_the_wallet_that_paid(gateway: Running) -> None:
    gateway.run("users", "create", "refunded", "--grant", "1")
    secret = gateway.run("keys", "create", "refunded", "--owner", "refunded").strip()
    soon(gateway, "/credits", secret, 200)
    talk(gateway, "chat", "Hello", "--model", "sim/echo", key=secret)
    row = json.loads(gateway.run("usage", "--json", "--key", "refunded"))

    gateway.run("wallets", "refund", row["id"])

    assert row["charged"] > 0
    assert ask(gateway, "/credits", secret)[1]["balance"] == 1_000_000


def test_verify_backup_migrate_init_and_doctor_work_while_it_runs(gateway: Running, tmp_path: Path) -> None:
    talk(gateway, "chat", "Hello", "--model", "sim/echo")

    assert all(json.loads(line)["ok"] for line in gateway.run("verify", "--json").splitlines())
    assert "a gateway runs" in gateway.run("doctor")
    assert "is up to date" in gateway.run("migrate")
    assert gateway.run("init") == ""
    gateway.run("backup", str(tmp_path / "copy.db"))
    assert (tmp_path / "copy.db").read_bytes().startswith(b"SQLite format 3")


def test_usage_as_a_group_takes_options_in_any_order(gateway: Running) -> None:
    talk(gateway, "chat", "Hello", "--model", "sim/echo")

    (row,) = [json.loads(line) for line in gateway.run("usage", "--json", "--limit", "1").splitlines()]

    assert json.loads(gateway.run("usage", "show", row["id"], "--json"))["id"] == row["id"]


def test_chat_prints_the_answer_alone(gateway: Running) -> None:
    result = talk(gateway, "chat", "Hello there", "--model", "sim/echo")

    assert (result.exit_code, result.stdout) == (0, "Hello there\n")


def test_chat_is_a_conversation_over_standard_input(gateway: Running) -> None:
    result = talk(gateway, "chat", "--model", "sim/echo", "--system", "Be brief.", input="one\n\ntwo three\n")

    assert result.stdout == "one\ntwo three\n"
    rows = [json.loads(line) for line in gateway.run("usage", "--json", "--limit", "2").splitlines()]
    # The second turn carries the first: the system's words, "one", its answer, "two three".
    assert rows[1]["prompt_tokens"] > rows[0]["prompt_tokens"]


def test_chat_takes_the_cheapest_model_that_the_key_may_call(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UP", "sk-never-used")
    gateway.run(
        "channels", "create", "dear", "--provider", "openai", "--api-key-env", "UP", "--model", "gpt-4o"
    )
    words = ("keys", "create", "two", "--owner", "ops", "--model", "gpt-4o", "--model", "sim/echo")
    secret = gateway.run(*words).strip()
    listed = soon(gateway, "/models", secret, 200)

    result = talk(gateway, "chat", "Hello", key=secret)

    gateway.run("channels", "delete", "dear")
    assert [model["id"] for model in listed["data"]] == ["gpt-4o", "sim/echo"]
    assert result.stdout == "Hello\n"
    assert "Talking to sim/echo" in result.stderr


def test_chat_ends_where_it_is_told(gateway: Running) -> None:
    result = talk(gateway, "chat", "one two three four", "--model", "sim/echo", "--max-tokens", "2")

    assert result.stdout == "one two\n"


@pytest.mark.parametrize(
    ("words", "key", "code", "why"),
    [
        (("--model", "nothing"), None, 1, "'nothing' does not exist here"),
        (("--model", "broken/503"), None, 1, "503"),
        (("--model", "broken/cut"), None, 1, ""),
        (("--model", "sim/echo"), "dtk_x", 1, "not a DeepToken key"),
        (("--model", "sim/echo"), " ", 2, "DEEPTOKEN_KEY is not set"),
        (("--model", "sim/echo", "--key-env", "OTHER"), None, 2, "OTHER is not set"),
    ],
)
def test_chat_says_what_is_wrong(
    gateway: Running, words: tuple[str, ...], key: str | None, code: int, why: str
) -> None:
    result = talk(gateway, "chat", "Hello", *words, key=key)

    assert result.exit_code == code
    assert why in result.stderr
    assert result.stderr.startswith("deeptoken: ")
    assert len(result.stderr.splitlines()) == 1


def test_chat_says_that_no_gateway_answers(tmp_path: Path) -> None:
    file = tmp_path / "deeptoken.toml"
    file.write_text("[server]\nport = 1\n")
    key = {"DEEPTOKEN_KEY": ids.new_secret()}

    result = CliRunner().invoke(main, ["chat", "Hello", "--model", "m", "--config", str(file)], env=key)
    strange = CliRunner().invoke(main, ["chat", "Hello", "--model", "m", "--url", "gateway:80"], env=key)

    assert result.exit_code == 1
    assert "http://127.0.0.1:1 does not answer" in result.stderr
    assert strange.exit_code == 2
    assert "expected an address" in strange.stderr


def test_commands_that_call_need_an_address_where_the_port_is_open(gateway: Running) -> None:
    result = CliRunner().invoke(
        main, ["chat", "Hello", "--config", str(gateway.configuration)], env={"DEEPTOKEN_KEY": gateway.key}
    )

    assert result.exit_code == 2
    assert "by --url" in result.stderr


def test_bench_counts_right_answers(gateway: Running) -> None:
    words = ("bench", "--model", "sim/text", "--requests", "20", "--connections", "2")

    told = json.loads(talk(gateway, *words, "--json").stdout)
    shown = talk(gateway, *words, "--stream")

    assert (told["requests"], told["right"], told["errors"]) == (20, 20, {})
    assert told["latency_ms"]["p50"] > 0
    assert "20 in" in shown.stdout
    assert "whole answer" in shown.stdout


def test_bench_exits_with_1_where_answers_are_wrong(gateway: Running) -> None:
    result = talk(gateway, "bench", "--model", "broken/503", "--requests", "3", "--connections", "1")

    assert result.exit_code == 1
    assert "3 x 503" in result.stderr
    assert talk(gateway, "bench").exit_code == 2


def test_mock_serves_until_it_is_told_to_stop() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "deeptoken", "mock", "--port", "0", "--pace", "1000"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        told = re.fullmatch(r"The mock serves (http://\S+/v1)\n", process.stdout.readline())
        assert told is not None
        with urllib.request.urlopen(f"{told[1]}/models", timeout=10) as answer:
            models = json.load(answer)
        process.send_signal(signal.SIGTERM)
        ended = process.wait(20)

    assert "echo" in [model["id"] for model in models["data"]]
    assert ended == 0


def test_mock_says_as_serve_does_that_its_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(main, ["mock", "--port", port])

    assert result.exit_code == 2
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in result.stderr


def test_mock_refuses_a_pace_of_nothing() -> None:
    result = CliRunner().invoke(main, ["mock", "--pace", "0"])

    assert result.exit_code == 2
    assert "--pace" in result.stderr
