"""The store is killed at any moment, again and again: what it acknowledged is there, exactly once."""

import asyncio
import subprocess
import sys
import zlib
from pathlib import Path

import apsw

from deeptoken.catalog.price import charge
from deeptoken.store.ledger import open_writer
from deeptoken.store.verify import verify

KILLS = 10
ACKNOWLEDGED_MOST = 400
CHILD = Path(__file__).with_name("store_child.py")


def acknowledged_until_killed(path: Path, most: int) -> list[str]:
    """What a child told before it was killed, which is after `most` lines or some more."""
    told: list[str] = []
    with subprocess.Popen([sys.executable, str(CHILD), str(path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        for line in child.stdout:
            if len(told) == most:
                child.kill()
            told.append(line.decode().strip())
        assert child.wait() == -9
    return [id for id in told if len(id) == 36]


def test_a_store_that_is_killed_loses_and_doubles_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "deeptoken.db"
    acknowledged: list[str] = []

    for kill in range(KILLS):
        moment = zlib.crc32(b"moment %d" % kill) % ACKNOWLEDGED_MOST
        acknowledged += acknowledged_until_killed(path, moment)

    async def start_again() -> None:
        async with open_writer(path) as ledger:
            assert not ledger.book.holds

    asyncio.run(start_again())
    connection = apsw.Connection(str(path))
    settled = connection.execute("select request_id, charged from usage where outcome = 'complete'")
    charged = {str(id): amount for id, amount in settled}
    orphans = connection.execute("select distinct charged from usage where outcome = 'orphan'").fetchall()
    connection.close()
    assert len(acknowledged) == len(set(acknowledged)) >= KILLS
    assert [id for id in acknowledged if charged.get(id) != 1_000] == []
    assert {amount for (amount,) in orphans} <= {0, 500}
    # The calls name a price that is in no price book: their bills cannot be computed again.
    assert [f for f in verify(path, charge) if f.count and f.name != "bills"] == []
