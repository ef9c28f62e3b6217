"""How commands are found, how they print, and how they end."""

import contextlib
import os
import pty
import sqlite3  # noqa: TID251
import subprocess
import sys
from pathlib import Path

import click
import pytest
from cli_scene import Installation, install
from click.testing import CliRunner

from deeptoken import __version__, clock
from deeptoken.cli.main import COMMANDS, border, main
from deeptoken.cli.options import Mistake, Trouble, dollars, duration, future, past
from deeptoken.cli.output import plain
from deeptoken.settings import ConfigError
from deeptoken.store.sqlite import locked

HEAVY = ("uvicorn", "starlette", "splintr", "rich", "genai_prices", "uvloop", "prometheus_client")
DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("main"))


def commands(command: click.Command, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [words]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            found += commands(inner, (*words, name))
    return found


@pytest.mark.parametrize("words", commands(main), ids=" ".join)
def test_every_command_has_help(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*words, "--help"])

    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")
    assert all(line.strip() for line in result.stdout.splitlines()[2:3])


def test_the_list_of_commands_tells_what_each_does() -> None:
    result = CliRunner().invoke(main, ["--help"])

    assert all(name in result.stdout and text in result.stdout for name, text in COMMANDS.items())


@pytest.mark.parametrize(
    "words",
    [("--help",), ("keys", "generate"), ("keys", "list"), ("usage", "--json"), ("wallets", "list")],
    ids=" ".join,
)
def test_a_light_command_loads_nothing_heavy(place: Installation, words: tuple[str, ...]) -> None:
    config = ["--config", str(place.file)] if words not in (("--help",), ("keys", "generate")) else []
    script = (
        "import sys\n"
        "from deeptoken.cli.main import main\n"
        f"main({[*words, *config]!r}, standalone_mode=False)\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )

    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert ran.stderr.splitlines()[-1] == "[]"


def test_the_module_is_the_command_line() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "deeptoken", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert __version__ in ran.stdout


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nonsense"], "No such command 'nonsense'. See `main --help`."),
        (["--nonsense"], "No such option '--nonsense'. See `main --help`."),
        (["keys", "show"], "Missing argument 'KEY'. See `main keys show --help`."),
        (["keys", "create", "x"], "Missing option '--owner'. See `main keys create --help`."),
        (
            ["users", "list", "--config", "nowhere.toml"],
            "nowhere.toml: there is no such file; --config names it",
        ),
    ],
)
def test_a_wrong_call_is_told_in_a_line_and_exits_with_2(words: list[str], why: str) -> None:
    result = CliRunner().invoke(main, words)

    assert result.exit_code == 2
    assert result.stderr == f"deeptoken: {why}\n"
    assert result.stdout == ""


def test_a_wrong_configuration_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "deeptoken.toml"
    file.write_text("[server]\nport = 'high'\n")

    result = CliRunner().invoke(main, ["users", "list", "--config", str(file)])

    assert result.exit_code == 2
    assert f"{file}:2: server.port" in result.stderr


def test_a_missing_database_says_how_to_make_one(tmp_path: Path) -> None:
    place = Installation(tmp_path)
    place.file.write_text("")

    for words in (("keys", "list"), ("usage",), ("wallets", "list"), ("keys", "create", "x", "--owner", "y")):
        assert "`deeptoken serve` or `deeptoken init` makes one." in place.refusal(*words, code=1)
    assert not place.database.exists()


def test_a_file_that_is_no_database_is_told_in_a_line(tmp_path: Path) -> None:
    place = Installation(tmp_path)
    place.file.write_text("")
    place.database.write_text("This is a letter to my aunt, and no database. " * 100)

    assert "file is not a database" in place.refusal("users", "list", code=1)


def test_an_older_schema_is_told_in_a_line(tmp_path: Path) -> None:
    place = Installation(tmp_path)
    place.file.write_text("")
    with contextlib.closing(sqlite3.connect(place.database)) as connection:
        connection.execute("create table migration (number integer primary key, sha256 text)")

    assert "deeptoken migrate --check" in place.refusal("users", "list", code=1)


def test_a_ledger_that_another_process_holds_is_told_in_a_line(place: Installation) -> None:
    with locked(place.database):
        line = place.refusal("wallets", "grant", "poor", "1", code=1)

    assert f"Another process (pid {os.getpid()}) writes" in line


def test_what_nobody_foresaw_is_a_line_too() -> None:
    with pytest.raises(Trouble, match=r"KeyError at test_cli_main.py:\d+: 'x'"), border():
        raise KeyError("x")


def test_of_a_group_of_tasks_the_first_trouble_is_told() -> None:
    with pytest.raises(Mistake, match="no such setting") as told, border():
        raise ExceptionGroup("tasks", [ExceptionGroup("inner", [ConfigError("no such setting")])])

    assert told.value.exit_code == 2


def test_on_a_terminal_tables_are_drawn_and_long_work_shows_a_bar(place: Installation) -> None:
    listed = on_terminal("users", "list", "--config", str(place.file))
    checked = on_terminal("verify", "--config", str(place.file))

    assert "ops" in listed
    assert "───" in listed
    assert "bills" in checked
    assert "%" in checked


def on_terminal(*words: str) -> str:
    """All that a person would see."""
    person, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "deeptoken", *words],
        env={"TERM": "xterm-256color", "PYTHONUTF8": "1"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        seen = b""
        # Reading a terminal that its last program has left is an error on Linux.
        with contextlib.suppress(OSError):
            while more := os.read(person, 65_536):
                seen += more
        assert process.wait(60) == 0, seen
    os.close(person)
    return seen.decode()


def test_a_reader_that_leaves_early_is_no_error(place: Installation) -> None:
    command = f"{sys.executable} -m deeptoken models list --config {place.file}"

    ran = subprocess.run(
        ["bash", "-c", f"{command} | true"], capture_output=True, text=True, check=False, timeout=60
    )

    assert ran.stderr == ""


@pytest.mark.parametrize(("text", "amount"), [("25", 25 * 10**9), ("$0.50", 5 * 10**8), ("0.000000001", 1)])
def test_dollars_are_read_exactly(text: str, amount: int) -> None:
    assert dollars(text) == amount


@pytest.mark.parametrize("text", ["0", "-1", "", "ten", "nan", "1e400", "0.0000000001"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        dollars(text)


@pytest.mark.parametrize(
    ("text", "us"), [("30s", 30_000_000), ("10m", 600_000_000), ("24h", DAY_US), ("2w", 14 * DAY_US)]
)
def test_a_duration_has_a_unit(text: str, us: int) -> None:
    before_us = clock.wall_us()
    told = (future(text), past(text))
    after_us = clock.wall_us()

    assert duration(text) == us
    assert before_us <= told[0] - us <= after_us
    assert before_us <= told[1] + us <= after_us


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("2027-01-31", 1_801_353_600_000_000),
        ("2027-01-31T12:00:00Z", 1_801_396_800_000_000),
        ("2027-01-31T12:00:00+02:00", 1_801_389_600_000_000),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise(text: str, us: int) -> None:
    assert past(text) == future(text) == us


@pytest.mark.parametrize("text", ["", "7", "soon", "7 d", "1900-01-01", "999999999w"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        future(text)


def test_a_plain_table_has_columns_and_cuts_nothing() -> None:
    long = "x" * 300

    lines = plain([{"name": "a", "balance": "$1.00"}, {"name": long, "balance": "$10.00"}], ["balance"])

    assert lines[0] == "name" + " " * 298 + "balance"
    assert lines[1] == "a" + " " * 303 + "$1.00"
    assert lines[2] == f"{long}   $10.00"


def test_a_message_of_several_lines_is_told_in_one(capsys: pytest.CaptureFixture[str]) -> None:
    Mistake("one\n  two").show()

    assert capsys.readouterr().err == "deeptoken: one two\n"
