"""The pages in `docs/` and the README say what is there, and their examples work.

    ```sh       is run by a shell against a gateway that was just started
    ```python   is executed, against the same
    ```toml     is read as a configuration
    ```json     is JSON

What starts something that stays, or needs a network, stands in a ```console block and is not run.
"""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from conftest import Running
from deeptoken import config, errors, ids
from deeptoken.cli.main import main
from deeptoken.providers import compatible_tasks
from deeptoken.providers.registry import BASE_URLS, PROVIDERS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\(([\w./-]+)\)")
ORIGIN = "http://127.0.0.1:8080"
EVERYWHERE = ("--config", "--json", "--help")
VARIABLE = re.compile(r'env = "(\w+)"')


def blocks(language: str) -> list[object]:
    """Every block of a language, named by its page and its place in it."""
    return [
        pytest.param(text, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, (kind, text) in enumerate(BLOCK.findall(page.read_text()), start=1)
        if kind == language
    ]


@pytest.mark.parametrize("text", blocks("sh"))
def test_each_shell_example_works(text: str, gateway: Running) -> None:
    tools = Path(sys.executable).parent
    script = text.replace(ORIGIN, gateway.origin).replace("curl -", "curl --fail-with-body -")

    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=gateway.configuration.parent,
        env={"PATH": f"{tools}:/usr/local/bin:/usr/bin:/bin", "DEEPTOKEN_KEY": gateway.key},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout


@pytest.mark.parametrize("text", blocks("python"))
def test_each_python_example_works(
    text: str, gateway: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEEPTOKEN_KEY", gateway.key)

    exec(compile(text.replace(ORIGIN, gateway.origin), "example", "exec"), {})

    assert capsys.readouterr().out


@pytest.mark.parametrize("text", blocks("toml"))
def test_each_configuration_example_is_one(text: str, tmp_path: Path) -> None:
    file = tmp_path / "deeptoken.toml"
    file.write_text(text)
    environ = dict.fromkeys(VARIABLE.findall(text), ids.new_secret())

    settings = config.load(file, environ, providers=BASE_URLS)

    assert settings.file == file


@pytest.mark.parametrize("text", blocks("json"))
def test_each_json_example_is_json(text: str) -> None:
    assert json.loads(text)


def test_the_pages_show_examples_of_each_kind() -> None:
    assert min(len(blocks(kind)) for kind in ("sh", "python", "toml", "json")) > 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_link_leads_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_code_of_an_error_stands_in_its_page_with_status_and_category() -> None:
    page = (DOCS / "errors.md").read_text()

    missing = [error.__name__ for error in codes() if row(error) not in page]

    assert missing == []


def row(error: type[errors.DeeptokenError]) -> str:
    return f"| {error.status} | `{error.code}` | {error.category} |"


def codes() -> list[type[errors.DeeptokenError]]:
    """The classes that a caller meets; of two with the same code, the parent."""
    found: dict[str, type[errors.DeeptokenError]] = {}
    waiting: list[type[errors.DeeptokenError]] = [errors.DeeptokenError]
    for error in waiting:
        found.setdefault(error.code, error)
        waiting.extend(error.__subclasses__())
    return list(found.values())


def test_every_setting_stands_in_its_page() -> None:
    page = (DOCS / "configuration.md").read_text()

    missing = [name for name in settings() if not re.search(rf"`[^`\n]*\b{name}\b", page)]

    assert len(settings()) > 40
    assert missing == []


def settings() -> list[str]:
    """The keys that the reader of the configuration knows, as its code spells them."""
    files = [ROOT / "src" / "deeptoken" / f"config_{part}.py" for part in ("sections", "oidc")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    names = {name for node in nodes for name in spelled(node)}
    return sorted(names)


def spelled(node: ast.AST) -> list[str]:
    match node:
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            return [
                key.value
                for key, value in pairs
                if isinstance(key, ast.Constant)
                and isinstance(key.value, str)
                and isinstance(value, ast.Call)
                and ast.unparse(value.func) == "Field"
            ]
        case ast.Assign(targets=[ast.Name(id="RATES")], value=ast.Tuple(elts=names)):
            return [
                name.value for name in names if isinstance(name, ast.Constant) and isinstance(name.value, str)
            ]
    return []


def test_every_command_and_option_stands_in_its_page() -> None:
    page = (DOCS / "cli.md").read_text()
    groups = page.split("\n## ")

    missing = [
        f"{words} {option}"
        for words, options in commands(main, "deeptoken")
        for option in options
        if not any(f"`{words}" in group and f"`{option}" in group for group in groups)
    ]

    assert len(commands(main, "deeptoken")) > 30
    assert missing == []


def commands(command: click.Command, words: str) -> list[tuple[str, list[str]]]:
    """Each command that does something, as one types it, with the options that are its own."""
    found = []
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            found += commands(inner, f"{words} {name}")
    if not isinstance(command, click.Group) or (command.invoke_without_command and " " in words):
        named = [option for one in command.params for option in (*one.opts, *one.secondary_opts)]
        own = [name for name in named if name.startswith("--") and name not in EVERYWHERE]
        found.append((words, [*own, ""]))
    return found


def test_whoever_has_a_task_stands_in_its_row() -> None:
    page = (DOCS / "providers.md").read_text()
    rows = {
        path.split("`")[1]: names for path, names in re.findall(r"^\| (`/v1/.*?) \| (.*) \|$", page, re.M)
    }

    missing = [
        (host, task)
        for host, tasks in compatible_tasks.TASKS.items()
        for task in tasks
        if f"`{host}`" not in rows[f"/v1/{task}"]
    ]

    assert missing == []


def test_every_provider_stands_in_its_page() -> None:
    page = (DOCS / "providers.md").read_text()

    missing = [name for name in PROVIDERS if f"`{name}`" not in page]

    assert missing == []
