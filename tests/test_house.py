"""The rules of the house that no linter knows. Each is a function from the tree to its breaches.

Every rule is tried twice: on this repository, where it must find nothing, and on a planted breach, which it
must find.
"""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50

THIRD_PARTY = {
    "aiosmtplib": "src/deeptoken/mail.py",
    "apsw": "src/deeptoken/store/",
    "argon2": "src/deeptoken/accounts/attempts.py",
    "authlib": "src/deeptoken/accounts/oidc.py",
    "click": "src/deeptoken/cli/",
    # Secrets at rest, and the one that signs: Google takes a service account's word for a token.
    "cryptography": "src/deeptoken/store/secrets.py src/deeptoken/gateway/credentials.py",
    "genai_prices": "src/deeptoken/catalog/pricedata.py",
    # Answers are read with it, and requests: uvicorn's parser is one of its.
    "httptools": "src/deeptoken/net.py src/deeptoken/api/connection.py",
    "joserfc": "src/deeptoken/accounts/oidc.py",
    "prometheus_client": "src/deeptoken/observe/",
    "pyotp": "src/deeptoken/accounts/second_factor.py",
    "rich": "src/deeptoken/cli/",
    "splintr": "src/deeptoken/catalog/tokens.py",
    "starlette": "src/deeptoken/api/",
    "uvicorn": "src/deeptoken/api/server.py src/deeptoken/api/connection.py src/deeptoken/mock.py",
    "uvloop": "src/deeptoken/cli/serve.py",
    "msgspec": "src/deeptoken/",
}
"""A package, and the only files or folders that import it."""

BORDERS = {
    "src/deeptoken/answer.py": 1,
    "src/deeptoken/api/v1.py": 1,
    "src/deeptoken/cli/main.py": 1,
    "src/deeptoken/jobs.py": 1,
    "src/deeptoken/store/commit.py": 1,
    "src/deeptoken/workers.py": 1,
}
"""Where any exception is caught, at most how often: a request, a job, a command, a process, and a call of the
loop that has a task waiting for it."""

WHOLE = ("src/deeptoken/money.py", "src/deeptoken/ledger/", "src/deeptoken/catalog/price.py")
"""Where money is counted: whole numbers only."""

LEFTOVERS = re.compile(r"(^|_)(utils?|helpers?|common|misc|manager)(_|$)|^base_")
MACHINE = re.compile(r"(?:^|[^\w./-])/(?:work|root|farm|home/[a-z]+)/")
REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.npmjs|crates\.io|proxy\.golang|repo1\.maven|deb\.debian", re.I
)
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b")
NOT_RUN = re.compile(r"pytest\.(?:mark\.)?(?:skip|xfail|importor[s]kip)\b")
UNREASONED = re.compile(r"#\s*type:\s*ignore(?:\[[\w, -]*\])?\s*$")

Tree = dict[str, str]
"""The repository's text files: path -> text."""
Rule = Callable[[Tree], Iterator[str]]


def tree() -> Tree:
    """What git knows, and what it would be told of: everything that is not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return {str(path.relative_to(ROOT)): path.read_text() for path in sorted(paths) if path.is_file()}


def python(files: Tree, *, under: tuple[str, ...] = ("",)) -> Iterator[tuple[str, ast.Module]]:
    for path, text in files.items():
        if path.endswith(".py") and path.startswith(under):
            yield path, ast.parse(text)


def no_file_is_longer_than_400_lines(files: Tree) -> Iterator[str]:
    for path, text in files.items():
        lines = text.count("\n")
        if path.endswith(".py") and lines > FILE_LINES_MAX:
            yield f"{path}: {lines} lines"


def no_function_is_longer_than_50_lines(files: Tree) -> Iterator[str]:
    for path, module in python(files):
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    yield f"{path}: {node.name} has {lines} lines"


def money_is_never_a_float(files: Tree) -> Iterator[str]:
    for path, module in python(files, under=WHOLE):
        for node in ast.walk(module):
            match node:
                case (
                    ast.Constant(value=float())
                    | ast.Call(func=ast.Name(id="float"))
                    | ast.BinOp(op=ast.Div())
                    | ast.AugAssign(op=ast.Div())
                ):
                    yield f"{path}:{node.lineno}: {ast.unparse(node)}"


def each_package_is_imported_in_one_place(files: Tree) -> Iterator[str]:
    for path, module in python(files, under=("src/",)):
        for node in ast.walk(module):
            match node:
                case ast.Import(names=names):
                    imported = [alias.name for alias in names]
                case ast.ImportFrom(module=str(name), level=0):
                    imported = [name]
                case ast.ImportFrom():
                    yield f"{path}:{node.lineno}: a relative import"
                    continue
                case _:
                    continue
            for package in {name.partition(".")[0] for name in imported}:
                if package in sys.stdlib_module_names or package == "deeptoken":
                    continue
                if not path.startswith(tuple(THIRD_PARTY.get(package, "nowhere").split())):
                    yield f"{path}:{node.lineno}: {package} belongs to {THIRD_PARTY.get(package, 'nobody')}"


def any_exception_is_caught_only_at_a_border(files: Tree) -> Iterator[str]:
    for path, module in python(files, under=("src/",)):
        caught = [
            node.lineno
            for node in ast.walk(module)
            if isinstance(node, ast.ExceptHandler)
            and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
            and ast.unparse(node.body[-1]) != "raise"
        ]
        for line in caught[BORDERS.get(path, 0) :]:
            yield f"{path}:{line}: catches any exception"


def no_module_is_a_place_for_leftovers(files: Tree) -> Iterator[str]:
    for path in files:
        if path.endswith(".py") and any(LEFTOVERS.search(part) for part in Path(path).with_suffix("").parts):
            yield path


def no_file_names_a_path_of_a_machine(files: Tree) -> Iterator[str]:
    yield from found(files, MACHINE, but=(".lock",))


def no_file_names_the_host_of_a_registry(files: Tree) -> Iterator[str]:
    yield from found(files, REGISTRY)
    locks = {path: text for path, text in files.items() if path.endswith(("lock", "package-lock.json"))}
    yield from found(locks, re.compile("https?:/{2}"))


def nothing_is_left_unfinished_or_unrun(files: Tree) -> Iterator[str]:
    code = {path: text for path, text in files.items() if path.endswith(".py")}
    for pattern in (UNFINISHED, NOT_RUN, UNREASONED):
        yield from found(code, pattern)


def found(files: Tree, pattern: re.Pattern[str], *, but: tuple[str, ...] = ()) -> Iterator[str]:
    for path, text in files.items():
        if not (but and path.endswith(but)):
            for number, line in enumerate(text.splitlines(), start=1):
                if pattern.search(line):
                    yield f"{path}:{number}: {line.strip()[:80]}"


def the_readme_opens_with_the_two_commands(files: Tree) -> Iterator[str]:
    opening = "\n".join(files["README.md"].splitlines()[:25])
    for command in ("make run", "make test"):
        if command not in opening:
            yield f"README.md does not open with {command}"


def every_folder_stands_in_the_architecture(files: Tree) -> Iterator[str]:
    folders = {str(Path(path).parent) for path in files if path.startswith("src/deeptoken/")}
    for folder in sorted(folders - {"src/deeptoken"}):
        if f"{Path(folder).name}/" not in files["ARCHITECTURE.md"]:
            yield f"ARCHITECTURE.md does not name {folder}"


RULES: dict[Rule, Tree] = {
    no_file_is_longer_than_400_lines: {"a.py": "x = 1\n" * 401},
    no_function_is_longer_than_50_lines: {"a.py": "def f():\n" + "    x = 1\n" * 50},
    money_is_never_a_float: {"src/deeptoken/ledger/a.py": "half = 1 / 2\n"},
    each_package_is_imported_in_one_place: {"src/deeptoken/gateway/a.py": "def f():\n    import apsw\n"},
    any_exception_is_caught_only_at_a_border: {
        "src/deeptoken/a.py": "try:\n    f()\nexcept Exception:\n    g()\n"
    },
    no_module_is_a_place_for_leftovers: {"src/deeptoken/wire/string_utils.py": ""},
    no_file_names_a_path_of_a_machine: {"a.md": "see " + "/".join(("", "home", "ann", "notes"))},
    no_file_names_the_host_of_a_registry: {"a.md": ".".join(("registry", "npmjs", "org"))},
    nothing_is_left_unfinished_or_unrun: {"a.py": "x = 1  # TO" + "DO\n"},
    the_readme_opens_with_the_two_commands: {"README.md": "make test\n"},
    every_folder_stands_in_the_architecture: {"src/deeptoken/attic/a.py": "", "ARCHITECTURE.md": ""},
}
"""A rule, and a tree that breaks it."""


@pytest.fixture(scope="module")
def files() -> Tree:
    return tree()


@pytest.mark.parametrize("rule", RULES)
def test_the_repository_keeps_each_rule(rule: Rule, files: Tree) -> None:
    breaches = list(rule(files))

    assert breaches == []


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_finds_a_planted_breach(rule: Rule) -> None:
    planted = RULES[rule]

    breaches = list(rule(planted))

    assert len(breaches) == 1


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("wire/chat.py", "import deeptoken.gateway.plan", "Imports go down, never up"),
        ("ledger/postings.py", "import asyncio", "What is pure knows no door"),
    ],
)
def test_a_planted_import_breaks_its_contract(tmp_path: Path, file: str, line: str, contract: str) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("*.pyc", "*.json"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    planted = tmp_path / "src" / "deeptoken" / file
    planted.write_text(f"{planted.read_text()}\n{line}\n")

    checked = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 1
    assert re.search(f"{contract}.* BROKEN", checked.stdout)
