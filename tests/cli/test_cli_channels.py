"""`deeptoken channels`."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli_scene import Installation, install

from deeptoken.accounts.channels import opened
from deeptoken.catalog.model import Channel
from deeptoken.store.secrets import key_file, load_secrets

SECRET = "sk-upstream-0123456789"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("channels"))


def stored(place: Installation, name: str) -> Channel:
    """As the gateway uses it, its credential in the clear."""
    with place.reader() as reader:
        row = next(row for row in reader.channels() if row.name == name)
    return opened(row, load_secrets(place.database))


def test_a_channel_takes_its_credential_from_a_variable_and_seals_it(place: Installation) -> None:
    place.done(
        "channels", "create", "groq-1", "--provider", "groq", "--api-key-env", "UP", env={"UP": SECRET}
    )

    channel = stored(place, "groq-1")
    assert (channel.secret, channel.base_url) == (SECRET, "https://api.groq.com/openai/v1")
    files = [path for path in place.folder.iterdir() if path.is_file()]
    assert not any(SECRET.encode() in path.read_bytes() for path in files)
    assert SECRET not in place.done("channels", "show", "groq-1")
    assert place.row("channels", "show", "groq-1")["has_api_key"] is True


def test_a_channel_takes_its_credential_from_a_file_or_standard_input(
    place: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text(SECRET + "\n")

    place.done("channels", "create", "xai-1", "--provider", "xai", "--api-key-file", str(file))
    words = ["channels", "create", "xai-2", "--provider", "xai", "--api-key-file", "-"]
    place.done(*words, input=SECRET + "\n")

    assert stored(place, "xai-1").secret == stored(place, "xai-2").secret == SECRET


def test_a_channel_asks_for_its_credential_on_a_terminal(place: Installation) -> None:
    person, terminal = pty.openpty()
    command = [sys.executable, "-m", "deeptoken", "channels", "create", "asked", "--provider", "deepseek"]

    with subprocess.Popen(
        [*command, "--config", place.file],
        stdin=terminal,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as running:
        assert running.stderr is not None
        asked = b""
        # The space comes when the terminal no longer shows what is typed.
        while not asked.endswith(b": ") and (more := os.read(running.stderr.fileno(), 100)):
            asked += more
        os.write(person, SECRET.encode() + b"\n")
        running.wait(60)

    os.close(person)
    os.close(terminal)
    assert asked == b"API key of deepseek: "
    assert running.returncode == 0
    assert stored(place, "asked").secret == SECRET


def test_a_channel_keeps_every_setting(place: Installation) -> None:
    options = [
        "--base-url",
        "http://127.0.0.1:9/v1",
        "--label",
        "Ours",
        "--model",
        "house/*=*",
        "--model",
        "m",
    ]
    options += ["--priority", "7", "--weight", "3", "--group", "pro", "--timeout", "idle=30"]
    options += ["--max-concurrency", "9", "--rpm", "60", "--tpm", "1000", "--responses", "--disabled"]

    row = place.row("channels", "create", "full", "--provider", "vllm", *options)

    assert (row["base_url"], row["label"]) == ("http://127.0.0.1:9/v1", "Ours")
    assert row["models"] == {"house/*": "*", "m": "m"}
    assert (row["priority"], row["weight"], row["groups"], row["max_concurrency"]) == (7, 3, ["pro"], 9)
    assert row["timeout"] == {"connect": 5, "first_byte": 120, "idle": 30, "total": 600}
    assert (row["enabled"], row["source"], row["has_api_key"]) == (False, "database", False)
    assert (row["rpm"], row["tpm"], row["options"]) == (60, 1000, {"responses": True})
    assert "secret" not in row
    shown = place.done("channels", "show", "full")
    assert re.search(r"requests a minute +60\n", shown)
    assert re.search(r"tokens a minute +1000\n", shown)


def test_edit_changes_what_a_channel_takes_in_a_minute(place: Installation) -> None:
    place.done("channels", "create", "paced", "--provider", "vllm", "--model", "a", "--rpm", "60")

    row = place.row("channels", "edit", "paced", "--rpm", "90", "--tpm", "500", "--no-responses")

    assert (row["rpm"], row["tpm"], row["options"]) == (90, 500, {"responses": False})


def test_a_channel_of_vertex_has_its_project_its_location_and_a_key_file(place: Installation) -> None:
    words = ["--provider", "vertex", "--project", "p", "--location", "eu", "--api-key-file", "-"]

    place.done("channels", "create", "google", *words, input='{\n  "project_id": "q r"\n}\n')

    shown = place.done("channels", "show", "google")
    assert "project p, location eu" in shown
    assert place.row("channels", "show", "google")["has_api_key"] is True


def test_a_channel_of_bedrock_is_where_its_region_is(place: Installation) -> None:
    words = ["--provider", "bedrock", "--region", "eu-west-1", "--api-key-file", "-"]

    place.done("channels", "create", "amazon", *words, input="AKIDEXAMPLE:wJalr/EXAMPLE\n")

    row = place.row("channels", "show", "amazon")
    assert row["base_url"] == "https://bedrock-runtime.eu-west-1.amazonaws.com"
    assert row["has_api_key"] is True


def test_a_channel_with_an_address_of_its_own_needs_no_credential(place: Installation) -> None:
    place.done("channels", "create", "near", "--provider", "openai", "--base-url", "http://127.0.0.1:8090/v1")

    assert place.row("channels", "show", "near")["has_api_key"] is False


def test_a_hint_ends_as_a_question(place: Installation) -> None:
    line = place.refusal("channels", "create", "wrong", "--provider", "opnai")

    assert line.endswith('did you mean "openai"?')


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--provider", "azure", "--base-url", "https://r.test"), "needs a credential"),
        (("--provider", "bedrock", "--region", "eu-west-1"), "needs a credential"),
        (("--provider", "bedrock", "--api-key-env", "HOME"), '"region" is missing'),
        (("--provider", "opnai"), 'did you mean "openai"?'),
        (("--provider", "openai"), "needs a credential: name it by --api-key-env or --api-key-file"),
        (("--provider", "openai", "--api-key-env", "NOWHERE"), "variable NOWHERE is not set"),
        (("--provider", "openai", "--api-key-file", "nowhere"), "Cannot read nowhere"),
        (("--provider", "azure", "--api-key-env", "HOME"), '"base_url" is missing'),
        (("--provider", "vllm", "--base-url", "ftp://x"), "--base-url: expected a URL"),
        (("--provider", "vllm", "--model", "a*b"), "--model: a pattern has one"),
        (("--provider", "vllm", "--timeout", "idle=0"), "--timeout: expected a number of seconds above 0"),
        (("--provider", "vllm", "--timeout", "head=1"), "'head=1' is no time limit"),
        (("--provider", "vllm", "--timeout", "idle=x"), "'idle=x' is no time limit"),
        (("--provider", "vllm", "--group", "por"), 'did you mean "pro"?'),
        (("--provider", "vllm", "--api-version", "v1"), '--api-version: unknown key "api_version"'),
        (("--provider", "vllm", "--rpm", "0"), "--rpm: expected a whole number"),
        (("--provider", "vllm", "--tpm", "-5"), "--tpm: expected a whole number"),
        (("--provider", "cohere", "--responses", "--api-key-env", "HOME"), "--responses: unknown key"),
        (("--provider", "vllm", "--auth", "bearer"), '--auth: unknown key "auth"'),
        (
            ("--provider", "azure", "--base-url", "https://r.test", "--auth", "token"),
            '--auth: there is no way to authenticate "token"',
        ),
    ],
)
def test_a_channel_that_cannot_be_is_refused(place: Installation, words: tuple[str, ...], why: str) -> None:
    line = place.refusal("channels", "create", "wrong", *words)

    assert why in line
    assert "There is no channel" in place.refusal("channels", "show", "wrong")


def test_a_credential_is_no_option(place: Installation) -> None:
    line = place.refusal("channels", "create", "wrong", "--provider", "openai", "--api-key", SECRET)

    assert "No such option" in line


def test_edit_changes_what_is_named_and_keeps_the_credential(place: Installation) -> None:
    words = ["channels", "create", "edited", "--provider", "groq", "--model", "a", "--timeout", "idle=9"]
    place.done(*words, "--api-key-env", "UP", env={"UP": SECRET})

    row = place.row("channels", "edit", "edited", "--priority", "5", "--timeout", "total=99")

    assert (row["priority"], row["models"]) == (5, {"a": "a"})
    assert (row["timeout"]["idle"], row["timeout"]["total"]) == (9, 99)
    assert stored(place, "edited").secret == SECRET


def test_edit_changes_the_credential_alone(place: Installation) -> None:
    words = ["channels", "create", "renewed", "--provider", "groq", "--api-key-env", "UP"]
    place.done(*words, env={"UP": SECRET})

    place.done("channels", "edit", "renewed", "--api-key-env", "UP", env={"UP": "sk-next"})

    assert stored(place, "renewed").secret == "sk-next"
    assert "Say what to change" in place.refusal("channels", "edit", "renewed")


def test_a_channel_is_disabled_enabled_and_deleted(place: Installation) -> None:
    place.done("channels", "create", "switched", "--provider", "sim")

    place.done("channels", "disable", "switched")
    disabled = place.row("channels", "show", "switched")
    again = place.run("channels", "disable", "switched")
    place.done("channels", "enable", "switched")
    enabled = place.row("channels", "show", "switched")
    place.done("channels", "delete", "switched")

    assert (disabled["enabled"], enabled["enabled"]) == (False, True)
    assert "disabled already" in again.stderr
    assert "There is no channel" in place.refusal("channels", "delete", "switched")
    assert "There is no channel" in place.refusal("channels", "enable", "switched")


@pytest.mark.parametrize("words", [("edit", "--priority", "1"), ("disable",), ("enable",), ("delete",)])
def test_a_channel_of_the_file_is_changed_in_the_file(place: Installation, words: tuple[str, ...]) -> None:
    line = place.refusal("channels", words[0], "sim", *words[1:])

    assert f"{place.file} declares the channel sim" in line


def test_a_name_is_taken_once(place: Installation) -> None:
    place.done("channels", "create", "once", "--provider", "sim")

    assert "There is a channel once already" in place.refusal(
        "channels", "create", "once", "--provider", "sim"
    )
    assert "declares the channel sim" in place.refusal("channels", "create", "sim", "--provider", "sim")


def test_channels_are_listed_by_priority_from_the_file_and_the_database(place: Installation) -> None:
    place.done("channels", "create", "first", "--provider", "sim", "--priority", "1000")

    rows = place.rows("channels", "list")

    assert rows[0]["name"] == "first"
    assert {row["source"] for row in rows} == {"file", "database"}
    assert json.dumps(rows).count(SECRET) == 0
    assert "first" in place.done("channels", "list").splitlines()[1]


def test_a_secrets_key_that_is_missing_is_not_made_anew_while_credentials_are_sealed(tmp_path: Path) -> None:
    place = install(tmp_path)
    words = ("channels", "create", "xai-1", "--provider", "xai", "--api-key-env", "UP")
    place.done(*words, env={"UP": SECRET})
    key = key_file(place.database)
    kept = key.read_bytes()
    key.unlink()
    before = place.rows("users", "list")
    place.file.write_text(place.file.read_text() + '[[users]]\nname = "late"\n')

    served = subprocess.run(
        [sys.executable, "-m", "deeptoken", "serve", "--port", "0", "--config", str(place.file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    edited = place.refusal("channels", "edit", "xai-1", "--api-key-env", "UP", code=1, env={"UP": SECRET})

    assert served.returncode == 1
    assert f"The secrets key {key} is missing" in served.stderr
    assert f"The secrets key {key} is missing" in edited
    assert not key.exists()
    assert place.rows("users", "list") == before
    place.done("channels", "delete", "xai-1")
    place.done("init")
    assert key.read_bytes() != kept
