"""A key that was just made is known: who calls with it waits until it is in use, and nobody else does."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deeptoken.cli.main import main as command
from deeptoken.gateway.snapshot import Snapshot
from deeptoken.running import Running
from whole_scene import Whole, chat, whole

SIM = '[[channels]]\nname = "sim"\nprovider = "sim"\n'


async def made(gateway: Whole, scope: str) -> str:
    """A new key, by the command line."""
    words = ["keys", "create", scope, "--owner", "ops", "--scope", scope, "--config"]
    ran = await asyncio.to_thread(
        CliRunner().invoke, command, [*words, str(gateway.folder / "deeptoken.toml")]
    )
    assert ran.exit_code == 0, ran.output
    return ran.stdout.strip()


@pytest.mark.parametrize(
    ("scope", "path", "body"),
    [("call", "/v1/chat/completions", chat("hello")), ("manage", "/api/me", b"")],
    ids=["a call", "the management API"],
)
def test_a_key_is_known_from_the_moment_it_is_made(
    scope: str, path: str, body: dict[str, Any] | bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, goes_on = asyncio.Event(), asyncio.Event()
    read = Running.read_snapshot

    async def held_back(running: Running) -> Snapshot:
        asked.set()
        await goes_on.wait()
        return await read(running)

    async def main() -> None:
        async with whole(tmp_path, SIM) as gateway:
            # Who has no key waits for what is still to be read: of the start, nothing is on its way any more.
            assert (await gateway.ask(body, path=path, authorization="Bearer dtk_typo")).status == 401
            monkeypatch.setattr(Running, "read_snapshot", held_back)
            key = await made(gateway, scope)
            await asked.wait()
            calling = asyncio.create_task(gateway.ask(body, path=path, authorization=f"Bearer {key}"))
            unknown = asyncio.create_task(gateway.ask(body, path=path, authorization="Bearer dtk_typo"))
            assert (await gateway.ask(chat("hello"))).status == 200
            assert not calling.done()

            goes_on.set()

            assert (await calling).status == 200
            assert (await unknown).status == 401

    asyncio.run(main())
