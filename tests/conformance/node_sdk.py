"""OpenAI's own Node SDK drives the gateway. `make conformance` runs it where Node and npm are."""

import subprocess
from pathlib import Path

import pytest

from conftest import Running

NODE = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def installed() -> None:
    """The locked SDK in `node_modules`, which git ignores."""
    lock = NODE / "package-lock.json"
    done = NODE / "node_modules" / ".package-lock.json"
    if not done.is_file() or done.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=NODE, check=True)


@pytest.mark.usefixtures("installed")
def test_the_node_sdk_is_served(gateway: Running) -> None:
    tried = subprocess.run(
        ["node", "sdk.test.mjs", gateway.base_url, gateway.key, gateway.narrow],
        cwd=NODE,
        capture_output=True,
        text=True,
        check=False,
    )

    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert "# pass 14" in tried.stdout
