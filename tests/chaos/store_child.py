"""Bills calls as fast as it can, and tells each settlement once it was acknowledged: for `test_kill_store`.

store_child.py <database>      prints "ready", then ids of calls that were settled, for ever
"""

import asyncio
import os
import sys
from pathlib import Path

from deeptoken.ids import uuid7
from deeptoken.ledger.postings import Call, Checkpoint, Grant, Hold, OpenWallet, Settle, Settled
from deeptoken.money import NanoUsd
from deeptoken.store.ledger import open_writer
from deeptoken.store.writer import Writer
from deeptoken.wire.usage import Usage

CALLERS = 16
COST = NanoUsd(1_000)
WALLETS = ("usr_1", "usr_2", "usr_3")


def tell(line: str) -> None:
    """One write: a kill cuts no line that was begun by it."""
    os.write(1, f"{line}\n".encode())


async def bill(ledger: Writer, number: int) -> None:
    while True:
        wallet = WALLETS[number % len(WALLETS)]
        call = Call(uuid7(), "", "chat", f"key_{number}", wallet, "sim/text", 1, 1_000_000, False)
        await ledger.post(Hold(call=call, minimum=COST, wanted=NanoUsd(2 * COST)))
        await asyncio.sleep(0)
        await ledger.post(Checkpoint(id=call.id, used=NanoUsd(COST // 2)))
        await asyncio.sleep(0)
        answer = await ledger.post(
            Settle(id=call.id, cost=COST, outcome="complete", usage=Usage(completion=10))
        )
        assert answer == Settled(charged=COST), answer
        tell(call.id)


async def main(path: Path) -> None:
    async with open_writer(path) as ledger, asyncio.TaskGroup() as callers:
        for wallet in WALLETS:
            await ledger.post(OpenWallet(wallet))
            await ledger.post(Grant(wallet, f"lot_{wallet}", NanoUsd(10**15), "grant", f"ref_{wallet}"))
        tell("ready")
        for number in range(CALLERS):
            callers.create_task(bill(ledger, number))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
