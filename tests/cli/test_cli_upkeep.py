"""`deeptoken init`, `migrate`, `backup`, `verify` and `serve`."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_scene import CONFIGURATION, Installation, call, change, install

from deeptoken import clock, ids
from deeptoken.store.secrets import key_file
from deeptoken.store.verify import Finding


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    return install(tmp_path)


def bare(folder: Path, configuration: str = "") -> Installation:
    """A configuration alone."""
    made = Installation(folder)
    made.file.write_text(configuration)
    return made


# init


def test_init_makes_database_secrets_key_and_an_operator_with_a_key(tmp_path: Path) -> None:
    place = bare(tmp_path, CONFIGURATION.format(digest=ids.digest("x").hex()).replace("operator = true", ""))

    result = place.run("init", "--operator", "boss")
    secret, (_, token) = result.stdout.strip(), result.stderr.strip().rsplit(maxsplit=1)
    with place.reader() as reader:
        assert reader.linked(ids.digest(token), clock.wall_us()) == "boss"

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

    for words in (["init"], ["serve", "--check"], ["serve"]):
        assert f"database.url: there is no folder {tmp_path / 'no'}" in nowhere.refusal(*words)
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


# several workers


@pytest.mark.parametrize(
    "words", [pytest.param(["serve", "--check"], id="a check"), pytest.param(["serve"], id="a start")]
)
@pytest.mark.parametrize("declared", [pytest.param(True, id="in the file"), pytest.param(False, id="asked")])
def test_several_workers_are_refused_where_the_system_cannot_keep_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], declared: bool
) -> None:
    monkeypatch.delattr(signal, "sigtimedwait")
    place = bare(tmp_path, "[server]\nport = 0\nworkers = 2\n" if declared else "")

    line = place.refusal(*words, *([] if declared else ["--workers", "2"]))

    assert line.startswith(f"{place.file}: " if declared else "workers = 2: ")
    assert "workers = 2: this system has no sigtimedwait" in line
    assert "set workers = 1" in line
    assert not place.database.exists()


def test_one_worker_needs_nothing_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "sigtimedwait")
    place = bare(tmp_path, "[server]\nworkers = 2\n")

    assert "the configuration is right" in place.done("serve", "--check", "--workers", "1")


# rules of keys


@pytest.mark.parametrize(
    ("rules", "where"),
    [
        pytest.param("ceilings = { 5h = 2, 1d = 1 }", "ceilings.5h", id="a shorter window above a longer"),
        pytest.param('scope = "manage"\nrpm = 5', "rpm", id="a limit of calls without calls"),
        pytest.param('cheaper_model = "sim/echo"', "cheaper_model", id="a cheaper model without a ceiling"),
    ],
)
def test_a_check_names_the_line_of_a_rule_that_could_never_take_effect(
    tmp_path: Path, rules: str, where: str
) -> None:
    place = install(tmp_path)
    text = place.file.read_text() + rules + "\n"
    place.file.write_text(text)

    line = place.refusal("serve", "--check")

    assert line.startswith(f'{place.file}:{len(text.splitlines())}: key "ci", {where}: ')


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


# serve


def test_a_host_that_is_not_this_machine_s_is_named(place: Installation) -> None:
    for host in ("no.such.host.invalid", "192.0.2.1"):
        told = place.refusal("serve", "--host", host)
        assert told == f"cannot listen on {host}: it is no address of this machine"


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
