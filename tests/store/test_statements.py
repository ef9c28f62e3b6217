"""A statement that cannot be is turned away by itself; a database that cannot be written is waited for."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from store_scene import COST, RATES, broken, call, fund, hold, pay, settle, until

from deeptoken.ledger.postings import Answer, Done, Held, Rejected, Settled, Statement
from deeptoken.store.ledger import open_writer
from deeptoken.store.queries.people import StoredChannel
from deeptoken.store.queries.statements import add_channel, add_price

ADD_PRICE = add_price("sim/echo", RATES, (), from_us=0, source="test").parameters

IMPOSSIBLE = {
    "one parameter is missing": Statement("user_suspend", ("usr_1",)),
    "all are missing": Statement("user_add", ()),
    "one too many": Statement("user_suspend", ("usr_1", None, None)),
    "a chained one with one missing": Statement("price_add", ADD_PRICE[:-1]),
    "a chained one with one too many": Statement("price_add", (*ADD_PRICE, 1)),
    "a time that is no time": Statement("user_add", ("u", "u", None, 0, 0, "now")),
    "an integer that is too large": Statement("channel_add", ("c", "c", "{}", None, 1, 1 << 70)),
    "no JSON": Statement("channel_add", ("c", "c", "{", None, 1, 0)),
    "a price of the wrong type": Statement("price_add", ("m", "{}", "[]", "now", "test")),
    "a text that is no text": Statement("channel_add", ("\ud800", "c", "{}", None, 1, 0)),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deeptoken.db"


@pytest.fixture
def connections() -> Iterator[list[apsw.Connection]]:
    """Every connection that is opened, in order; the first one of a writer writes."""
    opened: list[apsw.Connection] = []
    apsw.connection_hooks.append(opened.append)
    yield opened
    apsw.connection_hooks.remove(opened.append)


@pytest.mark.parametrize("why", IMPOSSIBLE)
def test_an_impossible_statement_is_rejected_and_holds_and_settlements_go_on(path: Path, why: str) -> None:
    async def story() -> list[Answer]:
        async with open_writer(path) as ledger:
            await fund(ledger)
            rejected = await asyncio.wait_for(ledger.post(IMPOSSIBLE[why]), 5)
            made = call()
            return [rejected, await ledger.post(hold(made)), await ledger.post(settle(made))]

    rejected, held, settled = asyncio.run(story())

    assert isinstance(rejected, Rejected)
    assert isinstance(held, Held)
    assert settled == Settled(charged=COST)
    assert broken(path) == []


def test_what_shares_a_commit_with_an_impossible_statement_is_written(path: Path) -> None:
    good = add_channel(
        StoredChannel(id="ch_1", name="a", settings={}, secret=None, enabled=True, created_us=0)
    )

    async def story() -> list[Answer]:
        async with open_writer(path) as ledger:
            await fund(ledger)
            posted = [add_price("sim/echo", RATES, (), from_us=0, source="test"), *IMPOSSIBLE.values(), good]
            return await asyncio.gather(*(ledger.post(statement) for statement in posted), pay(ledger))

    first, *_, last, paid = asyncio.run(story())

    assert (first, last, paid) == (Done(changed=True), Done(changed=True), Settled(charged=COST))
    assert broken(path) == []


def test_a_statement_that_meets_a_full_disk_waits_until_there_is_room(
    path: Path, connections: list[apsw.Connection]
) -> None:
    large = add_channel(
        StoredChannel(
            id="ch_1", name="a", settings={"label": "x" * 200_000}, secret=None, enabled=True, created_us=0
        )
    )

    async def story() -> Answer:
        async with open_writer(path) as ledger:
            await fund(ledger)
            pages = connections[0].execute("pragma page_count").get
            connections[0].execute(f"pragma max_page_count = {pages}")
            posted = asyncio.create_task(ledger.post(large))
            await until(lambda: ledger.failing)
            assert not posted.done()
            connections[0].execute("pragma max_page_count = 1000000")
            return await posted

    answer = asyncio.run(story())

    assert answer == Done(changed=True)
