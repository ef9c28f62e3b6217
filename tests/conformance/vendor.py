"""The vendors' own tests of their Python SDKs, for what this gateway serves. `make conformance` runs them.

They are in an SDK's source archive, not in its wheel. The archive of the locked version is fetched from
the package index once, its hash checked against `requirements-dev.lock`, and unpacked beside this file;
nothing of it is committed. Their conftest names a fixed key and plugins of theirs: `vendor_clients.py` stands
in for it.
"""

import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest

from conftest import Running

HERE = Path(__file__).parent
WORK = HERE / ".work"
LOCK = HERE.parent.parent / "requirements-dev.lock"


class Suite(NamedTuple):
    """Tests of an SDK. `left_out`: those that want what the gateway refuses, and why it does. Single fields
    that it refuses are left out by `vendor_clients.py`.
    """

    package: str
    files: tuple[str, ...]
    chosen: str
    left_out: dict[str, str]
    passing: int


SUITES = (
    Suite(
        "openai",
        (
            "tests/api_resources/audio/test_transcriptions.py",
            "tests/api_resources/audio/test_translations.py",
            "tests/api_resources/chat/test_completions.py",
            "tests/api_resources/test_completions.py",
            "tests/api_resources/test_embeddings.py",
            "tests/api_resources/test_images.py",
            "tests/api_resources/test_models.py",
            "tests/api_resources/test_moderations.py",
            "tests/api_resources/test_responses.py",
        ),
        "Completions or Models or Responses"
        " or (create and Moderations) or (generate and all_params and Images)"
        " or (create and Embeddings and (all_params or loose))"
        " or Transcriptions or Translations",
        {
            "((retrieve or update or list or delete) and Completions)": "chats are not stored",
            "((retrieve or delete or cancel) and Responses)": "neither are responses",
            "(compact and Responses)": "no chat can be compacted",
            "(delete and Models)": "models are the operator's",
        },
        256,
    ),
    Suite(
        "anthropic",
        ("tests/api_resources/test_messages.py", "tests/api_resources/beta/test_messages.py"),
        "create or count_tokens or deprecated",
        {
            "create_with_all_params": "container, inference_geo, mcp_servers, fallbacks and thread are the "
            "operator's, or at another price",
            "(count_tokens_with_all_params and beta)": "so are mcp_servers",
        },
        100,
    ),
)


def archive(suite: Suite) -> Path:
    """The unpacked source archive of the SDK that is installed."""
    package, locked = suite.package, version(suite.package)
    name = f"{package}-{locked}"
    unpacked = WORK / name
    if (unpacked / suite.files[0]).is_file():
        return unpacked
    WORK.mkdir(exist_ok=True)
    pinned = LOCK.read_text().split(f"\n{package}=={locked} ", 1)[1].split("    #", 1)[0]
    requirement = WORK / f"{package}.txt"
    requirement.write_text(f"{package}=={locked} {pinned}")
    fetch = ["download", "--quiet", "--no-deps", "--no-build-isolation", "--no-binary", package]
    subprocess.run(
        [sys.executable, "-m", "pip", *fetch, "--require-hashes", "-r", requirement, "-d", WORK], check=True
    )
    with tarfile.open(WORK / f"{name}.tar.gz") as packed:
        if hasattr(tarfile, "data_filter"):
            packed.extractall(WORK, filter="data")
        else:  # Python before 3.11.4 has no filters; the archive is the one whose hash the lock has.
            packed.extractall(WORK)
    return unpacked


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.package)
def test_the_vendors_own_tests_pass(suite: Suite, gateway: Running) -> None:
    ours = ["-c", str(HERE / "vendor.ini"), "--noconftest", "-p", "vendor_clients"]
    wanted = " and ".join([f"({suite.chosen})", *(f"not {name}" for name in suite.left_out)])
    asked = ["--vendor", suite.package, "--origin", gateway.origin, "--key", gateway.key, "-k", wanted]

    tried = subprocess.run(
        [sys.executable, "-m", "pytest", *ours, *asked, "--rootdir", ".", *suite.files],
        cwd=archive(suite),
        env={"PYTHONPATH": f"{HERE}:{archive(suite)}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert f"\n{suite.passing} passed" in tried.stdout
