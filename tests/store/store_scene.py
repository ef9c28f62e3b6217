"""What the store's tests share: a wallet with money, calls on it, and the postings of a call."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

from deeptoken.catalog.model import Rates
from deeptoken.catalog.price import charge
from deeptoken.ids import uuid7
from deeptoken.ledger.postings import Answer, Call, Done, Grant, Hold, OpenWallet, Settle
from deeptoken.money import NanoUsd, PicoUsd, usd
from deeptoken.store.queries.statements import add_price
from deeptoken.store.sqlite import numbered, open_reader_connection
from deeptoken.store.verify import Finding, verify
from deeptoken.store.writer import Writer
from deeptoken.wire.usage import Usage

WALLET = "usr_1"
KEY = "key_1"
USED = Usage(prompt=1_000, cached=200, completion=50, reasoning=25)
RATES = Rates(prompt=PicoUsd(1_000_000), completion=PicoUsd(2_000_000), cached=PicoUsd(500_000))
COST = NanoUsd(1_250_000)
"""What `USED` costs at `RATES`: 1,000 x 1000 + 200 x 500 + 75 x 2000 nano-USD."""


def call(*, wallet: str = WALLET, label: str = "mine", id: str | None = None) -> Call:
    return Call(
        id=id or uuid7(),
        request_id=label,
        endpoint="chat",
        key=KEY,
        wallet=wallet,
        model="sim/text",
        price=1,
        ratio_ppm=1_000_000,
        stream=True,
    )


def hold(of: Call, amount: NanoUsd = COST) -> Hold:
    return Hold(call=of, minimum=amount, wanted=amount)


def settle(of: Call, cost: NanoUsd = COST, usage: Usage = USED) -> Settle:
    return Settle(id=of.id, cost=cost, outcome="complete", usage=usage, channel="sim", duration_ms=7)


async def fund(ledger: Writer, amount: str = "1.00", wallet: str = WALLET) -> None:
    """A price, a wallet and a lot in it."""
    await ledger.post(add_price("sim/text", RATES, (), from_us=0, source="test"))
    await ledger.post(OpenWallet(wallet))
    granted = await ledger.post(
        Grant(wallet=wallet, lot=f"lot_{wallet}", amount=usd(amount), source="grant", ref=f"ref_{wallet}")
    )
    assert granted == Done(changed=True)


async def pay(ledger: Writer, of: Call | None = None) -> Answer:
    """A call from its hold to its end."""
    made = of or call()
    await ledger.post(hold(made))
    return await ledger.post(settle(made))


def broken(path: Path) -> list[Finding]:
    """The invariants that do not hold."""
    return [finding for finding in verify(path, charge) if finding.count]


def plan(path: Path, statement: str) -> list[str]:
    """What SQLite would do for a statement."""
    connection = open_reader_connection(path)
    try:
        count = max(map(int, re.findall(r"\$(\d+)", statement)))
        told = connection.execute(f"explain query plan {statement}", numbered(*[None] * count))
        return [str(row[3]) for row in told]
    finally:
        connection.close()


async def until(true: Callable[[], bool]) -> None:
    """Let the loop turn until it is so."""
    for _ in range(1_000_000):
        if true():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")
