"""`workers = 2`: whichever worker a browser comes back to, it ends what another one began."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from pathlib import Path

from conftest import LISTENING
from deeptoken import app, ids
from issuer_scene import PUBLIC, Traveller, declared, issuing
from management_scene import SIM, Managed
from whole_scene import BASE, SECONDS_MAX, Whole

SIGN_INS = 12


async def listening(process: Process) -> int:
    """The port, once it says so."""
    assert process.stdout is not None
    async with asyncio.timeout(SECONDS_MAX * 3):
        while line := await process.stdout.readline():
            if found := LISTENING.search(line.decode()):
                return int(found[1].rpartition(":")[2])
    raise AssertionError("it never listened")


async def drain(process: Process) -> None:
    assert process.stdout is not None
    while await process.stdout.readline():
        pass


def test_what_one_worker_began_any_other_ends(tmp_path: Path) -> None:
    async def story() -> None:
        async with issuing() as issuer:
            server = f'workers = 2\npublic_url = "{PUBLIC}"'
            more = SIM + declared(issuer, "create_users = true")
            text = BASE.format(server=server, grant=1, key=ids.new_secret(), more=more)
            (tmp_path / "deeptoken.toml").write_text(text)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "deeptoken", "serve",
                cwd=tmp_path, env={}, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT,
            )  # fmt: skip
            try:
                port = await listening(process)
                rest = asyncio.create_task(drain(process))
                there = Managed(Whole(port, tmp_path, "", app.Orders()), {})
                for n in range(SIGN_INS):
                    issuer.claims |= {"sub": f"subject-{n}", "email": f"mia{n}@example.com"}
                    traveller = Traveller(there, issuer)
                    assert (await traveller.sign_in()).status == 303
                    assert await traveller.who() == f"mia{n}@example.com"
                # Each has read the issuer's document for itself: both took part.
                assert issuer.paths().count("/.well-known/openid-configuration") == 2
            finally:
                process.terminate()
                assert await process.wait() == 0
            await rest

    asyncio.run(story())
