"""OpenAI's own tests of its Python SDK, for what this gateway serves. `make conformance` runs them.

They are in the SDK's source archive, not in its wheel. The archive of the locked version is fetched from
the package index once, its hash checked against `requirements-dev.lock`, and unpacked beside this file;
nothing of it is committed. Their conftest names a fixed key and plugins of theirs: `vendor_clients.py` stands
in for it.
"""

import subprocess
import sys
import tarfile
from pathlib import Path

import openai

from conftest import Running

HERE = Path(__file__).parent
WORK = HERE / ".work"
LOCK = HERE.parent.parent / "requirements-dev.lock"
SUITES = (
    "tests/api_resources/audio/test_transcriptions.py",
    "tests/api_resources/audio/test_translations.py",
    "tests/api_resources/chat/test_completions.py",
    "tests/api_resources/test_embeddings.py",
    "tests/api_resources/test_images.py",
    "tests/api_resources/test_models.py",
    "tests/api_resources/test_moderations.py",
)
CHOSEN = (
    "(create and Completions) or (list and Models) or (retrieve and Models)"
    " or (create and Moderations) or (generate and all_params and Images)"
    " or (create and Embeddings and (all_params or loose))"
    " or Transcriptions or Translations"
)
"""An image wants its model named here; and the SDK by itself asks for embeddings in base64, which its own
strict types refuse."""
COUNT = 176


def archive() -> Path:
    """The unpacked source archive of the SDK that is installed."""
    name = f"openai-{openai.__version__}"
    unpacked = WORK / name
    if (unpacked / SUITES[0]).is_file():
        return unpacked
    WORK.mkdir(exist_ok=True)
    pinned = LOCK.read_text().split(f"openai=={openai.__version__} ", 1)[1].split("    #", 1)[0]
    requirement = WORK / "openai.txt"
    requirement.write_text(f"openai=={openai.__version__} {pinned}")
    fetch = ["download", "--quiet", "--no-deps", "--no-build-isolation", "--no-binary", "openai"]
    subprocess.run(
        [sys.executable, "-m", "pip", *fetch, "--require-hashes", "-r", requirement, "-d", WORK], check=True
    )
    with tarfile.open(WORK / f"{name}.tar.gz") as packed:
        if hasattr(tarfile, "data_filter"):
            packed.extractall(WORK, filter="data")
        else:  # Python before 3.11.4 has no filters; the archive is the one whose hash the lock has.
            packed.extractall(WORK)
    return unpacked


def test_the_vendors_own_tests_pass(gateway: Running) -> None:
    ours = ["-c", str(HERE / "vendor.ini"), "--noconftest", "-p", "vendor_clients"]
    asked = ["--base-url", gateway.base_url, "--key", gateway.key, "-k", CHOSEN]

    tried = subprocess.run(
        [sys.executable, "-m", "pytest", *ours, *asked, "--rootdir", ".", *SUITES],
        cwd=archive(),
        env={"PYTHONPATH": f"{HERE}:{archive()}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert f"{COUNT} passed" in tried.stdout
