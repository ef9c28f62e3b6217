"""The gateway is killed at any moment, again and again, under load. What it delivered is billed, once.

`kill_scene.py` has the process and the callers, `kill_ledger.py` what must hold, `settle_late.py` a gateway
with a defect that the same eyes must see.
"""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kill_ledger import Ledger
from kill_scene import SECONDS_MAX, SERVE, Callers, Draw, Gateway, Moment

from deeptoken.ledger.postings import Done, Grant
from deeptoken.money import usd
from deeptoken.store.ledger import open_ledger

SEED = "a gateway is killed"
ROUNDS = 2
MOMENTS: tuple[tuple[Moment, int], ...] = (
    ("delivered", 60),
    ("read", 8_000),
    ("delivered", 60),
    ("sent", 60),
    ("delivered", 60),
    ("read", 8_000),
)
"""When it is killed, in turn: after one of the first so many of these."""
RICH = {"ann": "40.00", "bob": "40.00"}
ENDLESS = {"ann": "1000000.00"}
POOR = {"ann": "1.50", "bob": "0.40"}
LATE = (sys.executable, str(Path(__file__).with_name("settle_late.py")))

Made = Callable[[dict[str, str]], Gateway]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    gateways: list[Gateway] = []

    def make(grants: dict[str, str]) -> Gateway:
        gateways.append(Gateway(tmp_path, grants))
        return gateways[-1]

    yield make
    for gateway in gateways:
        gateway.put_away()


def killed_again_and_again(gateway: Gateway, rounds: int) -> Callers:
    """Kill it at each of the moments, and once a round while it starts; end it in order at last."""
    draw, callers = Draw(f"{SEED}: when"), Callers(gateway, SEED)
    for _ in range(rounds):
        for moment, most in MOMENTS:
            gateway.start()
            asyncio.run(callers.until_kill(moment, draw.between(1, most)))
        gateway.start_and_kill()
    gateway.start()
    assert gateway.stop() == 0, gateway.said()
    return callers


def test_what_was_delivered_is_billed_once_however_often_the_gateway_is_killed(made: Made) -> None:
    gateway = made(RICH)

    callers = killed_again_and_again(gateway, ROUNDS)

    ledger = Ledger(gateway)
    print(f"\n{ledger.told(callers)}")
    assert ledger.breaches(callers) == []
    assert set(callers.statuses) <= {0, 200, 503}
    assert len(callers.delivered) > 60
    assert callers.replays > 0
    assert ledger.orphans
    assert any(row.charged for row in ledger.orphans), "no hold had grown when the gateway was killed"


def test_verify_says_that_a_ledger_is_sound_whose_gateway_was_killed(made: Made) -> None:
    gateway = made(RICH)
    callers = Callers(gateway, "verify")
    gateway.start()
    asyncio.run(callers.until_kill("delivered", 20))
    gateway.start()

    command = [*SERVE, "verify", "--config", str(gateway.configuration)]
    verified = subprocess.run(
        command, env={}, capture_output=True, text=True, check=False, timeout=SECONDS_MAX
    )

    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert gateway.stop() == 0


def test_an_answer_that_leaves_before_its_settlement_is_written_is_found(made: Made) -> None:
    gateway = made(RICH)
    callers = Callers(gateway, "late")
    gateway.start(LATE)

    asyncio.run(callers.until_kill("delivered", 1))

    gateway.start()
    assert gateway.stop() == 0
    breaches = Ledger(gateway).breaches(callers)
    print(f"\nWith settlement after delivery, of {len(callers.delivered)} delivered: {breaches}")
    assert [breach for breach in breaches if "was delivered" in breach]


def test_the_planted_defect_shows_at_a_kill_only(made: Made) -> None:
    gateway = made(RICH)
    callers = Callers(gateway, "late, in order")
    gateway.start(LATE)

    asyncio.run(callers.until("delivered", 20, callers.stop))

    assert gateway.stop() == 0
    assert len(callers.delivered) >= 20
    assert Ledger(gateway).breaches(callers) == []


def test_a_gateway_that_is_killed_while_wallets_run_dry_overdraws_none(made: Made) -> None:
    gateway = made(POOR)
    draw, callers = Draw(f"{SEED}: dry"), Callers(gateway, "dry")

    for _ in range(4):
        gateway.start()
        asyncio.run(callers.until_kill("sent", draw.between(10, 60)))
    gateway.start()
    asyncio.run(callers.until("emptied", len(POOR), callers.stop))

    assert gateway.stop() == 0
    ledger = Ledger(gateway)
    print(f"\n{ledger.told(callers)}; {callers.statuses[402]} refused")
    assert ledger.breaches(callers) == []
    assert set(callers.statuses) <= {0, 200, 402, 503}
    assert [wallet.id for wallet in ledger.wallets if wallet.balance > usd("0.06")] == []


def test_a_gateway_that_is_told_to_stop_finishes_every_call_that_it_took(made: Made) -> None:
    gateway = made(RICH)
    callers = Callers(gateway, "stop")
    gateway.start()

    asyncio.run(callers.until("read", 3_000, gateway.terminate))

    assert gateway.process.wait(SECONDS_MAX) == 0, gateway.said()
    ledger = Ledger(gateway)
    assert ledger.breaches(callers) == []
    assert {row.id for row in ledger.rows} == set(callers.delivered)
    assert {row.outcome for row in ledger.rows} == {"complete"}
    begun = [wish.last for wish in callers.asked.values() if wish.last is not None and wish.last.status]
    assert [heard for heard in begun if not heard.whole] == []


def test_a_second_gateway_on_the_same_database_says_so_and_harms_nothing(made: Made) -> None:
    gateway = made(ENDLESS)
    callers = Callers(gateway, "second")
    gateway.start()
    command = [*SERVE, "serve", "--config", str(gateway.configuration)]

    async def beside() -> subprocess.CompletedProcess[str]:
        """The second, while the first is called."""
        calling = asyncio.create_task(callers.until("delivered", 0, callers.stop))
        second = await asyncio.to_thread(
            subprocess.run, command, env={}, capture_output=True, text=True, timeout=SECONDS_MAX
        )
        callers.stop()
        await calling
        return second

    second = asyncio.run(beside())
    before = len(callers.delivered)
    asyncio.run(callers.until("delivered", 20, callers.stop))

    assert second.returncode == 1
    assert second.stdout == ""
    assert second.stderr.startswith(f"deeptoken: Another process (pid {gateway.process.pid}) writes ")
    assert second.stderr.count("\n") == 1
    assert len(callers.delivered) >= before + 20
    assert asyncio.run(granted_through_its_socket(gateway))
    assert gateway.stop() == 0
    assert Ledger(gateway).breaches(callers) == []


async def granted_through_its_socket(gateway: Gateway) -> bool:
    """Does the gateway still take what commands post?"""
    (wallet, *_) = Ledger(gateway).wallets
    async with open_ledger(gateway.database) as ledger:
        answer = await ledger.post(
            Grant(wallet=wallet.id, lot="lot_1", amount=usd("1.00"), source="grant", ref="test")
        )
    return answer == Done(changed=True)
