"""Two workers and their writer, under load: each of the processes is killed, again and again. What was
delivered is billed, once; nothing stays held; the gateway goes on by itself.

`kill_scene.py` has the processes and the callers, `kill_ledger.py` what must hold.
"""

import asyncio
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from kill_ledger import Ledger
from kill_scene import SECONDS_MAX, Callers, Draw, Gateway, Heard, Moment

SEED = "one of several processes is killed"
ROUNDS = 3
MOMENTS: tuple[tuple[Moment, int], ...] = (("delivered", 40), ("read", 5_000), ("sent", 40))
LATE = (sys.executable, str(Path(__file__).with_name("settle_late.py")))
RICH = {"ann": "40.00", "bob": "40.00"}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path, RICH, workers=2)
    yield gateway
    gateway.put_away()


def test_any_process_may_be_killed_at_any_moment(gateway: Gateway) -> None:
    draw, callers = Draw(f"{SEED}: when"), Callers(gateway, SEED)
    victims: list[Callable[[], int]] = [
        lambda: gateway.writer,
        lambda: workers_of(gateway)[draw.between(0, 1)],
    ]
    gateway.start()
    for _ in range(ROUNDS):
        for victim in victims:
            for moment, most in MOMENTS:
                killed: list[int] = []

                def kill(victim: Callable[[], int] = victim, killed: list[int] = killed) -> None:
                    killed.append(victim())
                    os.kill(killed[0], signal.SIGKILL)
                    callers.stop()

                asyncio.run(callers.until(moment, draw.between(1, most), kill))
                gateway.await_heir(killed[0])
                # Those who are told to stop end what they began; so somebody calls again.
                asyncio.run(callers.until("delivered", 3, callers.stop))
    family = gateway.family
    asyncio.run(callers.until_kill("read", draw.between(1, 5_000)))
    await_end(family)
    gateway.start()
    assert gateway.stop() == 0, gateway.said()

    ledger = Ledger(gateway)
    print(f"\n{ledger.told(callers)}")
    assert ledger.breaches(callers) == []
    assert set(callers.statuses) <= {0, 200, 503}
    assert len(callers.delivered) > 60
    assert ledger.orphans


def test_an_answer_goes_on_when_the_writer_is_killed_and_is_billed(gateway: Gateway) -> None:
    gateway.start()
    callers = Callers(gateway, "goes on")

    def kill() -> None:
        os.kill(gateway.writer, signal.SIGKILL)
        callers.stop()

    asyncio.run(callers.until("read", 200, kill))

    assert gateway.stop() == 0
    # Nobody's answer broke off: of those that had begun, all came to their end.
    assert {heard.status for heard in last_of(callers) if not heard.whole} <= {503}
    assert [heard for heard in last_of(callers) if heard.whole]
    assert Ledger(gateway).breaches(callers) == []


def test_an_answer_that_leaves_before_its_settlement_is_written_is_found(gateway: Gateway) -> None:
    gateway.start(LATE)
    callers = Callers(gateway, "late")
    killed: list[int] = []

    def kill() -> None:
        for pid in workers_of(gateway):
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)
        callers.stop()

    asyncio.run(callers.until("delivered", 1, kill))

    for pid in killed:
        gateway.await_heir(pid)
    assert gateway.stop() == 0
    assert [breach for breach in Ledger(gateway).breaches(callers) if "was delivered" in breach]


def last_of(callers: Callers) -> list[Heard]:
    return [wish.last for wish in callers.asked.values() if wish.last is not None]


def workers_of(gateway: Gateway) -> list[int]:
    return [pid for pid in gateway.family if pid != gateway.writer]


def await_end(family: list[int]) -> None:
    """Until they have ended by themselves."""
    for pid in family:
        with suppress(ProcessLookupError):
            process = os.pidfd_open(pid)
            assert select.select([process], [], [], SECONDS_MAX)[0], f"{pid} lives on"
            os.close(process)
