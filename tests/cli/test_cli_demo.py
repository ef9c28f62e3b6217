"""`deeptoken demo`."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from cli_scene import Installation

import deeptoken
from deeptoken.catalog.model import Channel
from deeptoken.cli import demo

KEYS = {"OPENAI_API_KEY": "sk-x", "GROQ_API_KEY": " "}


def channels(place: Installation) -> list[str]:
    return [row["name"] for row in place.rows("channels", "list")]


def made(folder: Path, environ: dict[str, str]) -> Installation:
    """What a start leaves, with its database."""
    demo.prepare(folder, environ)
    place = Installation(folder)
    place.run("init", env={"OPENAI_API_KEY": "", **environ})
    return place


def test_the_demo_says_how_to_look_after_it(tmp_path: Path) -> None:
    file, secret = demo.prepare(tmp_path / ".demo", {})
    sim = Channel(name="sim", provider="sim", label="sim", base_url="", models={})

    told = demo.greeting("http://127.0.0.1:8080", secret, (sim,), file)

    assert f"deeptoken keys list --config {file}" in told


def test_the_channels_of_the_environment_are_seen_by_the_commands_and_go_with_their_variables(
    tmp_path: Path,
) -> None:
    place = made(tmp_path, KEYS)

    first = channels(place)
    models = {row["id"] for row in place.rows("models", "list")}
    demo.prepare(tmp_path, {})

    assert first == ["openai", "sim"]
    assert "gpt-4o-mini" in models
    assert "sk-x" not in place.file.read_text()
    assert channels(place) == ["sim"]
    assert place.file.read_text() == demo.CONFIGURATION


def test_what_a_person_wrote_into_the_demo_s_file_stays_and_comes_first(tmp_path: Path) -> None:
    place = made(tmp_path, KEYS)
    mine = demo.CONFIGURATION + '[server]\nport = 9\n[[channels]]\nname = "openai"\nprovider = "sim"\n'
    place.file.write_text(mine)

    demo.prepare(tmp_path, KEYS | {"ANTHROPIC_API_KEY": "sk-y"})
    demo.write_found(place.file, KEYS, "http://127.0.0.1:9000")
    kept = place.file.read_text()
    place.file.write_text("this is not TOML")
    demo.prepare(tmp_path, KEYS)

    assert kept == mine
    assert place.file.read_text() == "this is not TOML"


def test_where_a_demo_listens_is_found_by_the_commands(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "deeptoken", "demo", "--port", "0", "--folder", tmp_path / "demo"],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(Path(deeptoken.__file__).parents[1])},
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        told = Installation(tmp_path / "demo").run("channels", "health", "--json")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)

    assert line.startswith("DeepToken serves http://127.0.0.1:")
    assert [json.loads(row)["channel"] for row in told.stdout.splitlines()] == ["sim"]
